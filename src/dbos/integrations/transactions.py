"""`@DBOS.transaction`: exactly-once transactions on the application database, with their table `transaction_outputs`.

Knows the table (TXN-9), which is older than datasources', and how to open the database. Leaves running to
`exactly_once` and the decorator to `_decorators`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.orm import sessionmaker

from .._engine import datasources
from .._engine.color import Io, run_now
from .._engine.context import Run, application_session
from .._engine.runtime import Runtime
from .._engine.threads import loop_is_running
from .._model.config import Settings
from .._model.outcome import Outcome
from .._model.serialize import Codec
from .._store import address
from .._store.address import quote
from .._store.admin import create_database
from . import checkpoints
from .checkpoints import Recorded, Step, Table, from_step
from .engines import blocking_engine
from .exactly_once import BlockingPort, Call, Place, check_isolation, lenient, transact
from .retrying import is_passing

logger = logging.getLogger("dbos")


class TransactionOutputs:
    """The statements of `transaction_outputs`. It names no serializer: its texts are the configured one's."""

    def __init__(self, table: Table) -> None:
        self.table = table
        name = table.qualified("transaction_outputs")
        key = "workflow_uuid = :workflow_id and function_id = :step_id"
        self.find = f"select output, error, null, function_name from {name} where {key}"
        self.insert = (
            f"insert into {name} (workflow_uuid, function_id, output, error, txn_id, txn_snapshot, function_name) "
            "values (:workflow_id, :step_id, :output, :error, '', '', :name) on conflict do nothing"
        )
        self.forget = f"delete from {name} where workflow_uuid = :workflow_id and function_id >= :from_step_id"

    def row(self, step: Step, recorded: Recorded) -> dict[str, Any]:
        """Return the parameters of `insert`."""
        return {
            "workflow_id": step.workflow_id,
            "step_id": step.step_id,
            "output": recorded.output,
            "error": recorded.error,
            "name": step.name,
        }


class ApplicationDatabase:
    """The application database of a launch."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        url = settings.application_database_url
        assert url is not None
        where = address.parse(url)
        if settings.run_migrations and where.dialect == "postgres":
            create_database(where)
        self.engine = blocking_engine(url, settings.engine_kwargs)
        table = Table(where.dialect, None if where.dialect == "sqlite" else settings.system_schema)
        self._outcomes = TransactionOutputs(table)
        if settings.run_migrations:
            checkpoints.in_one_transaction(self.engine, table, lambda connection: migrate(connection, table))
        self._port = BlockingPort(self.engine, sessionmaker(expire_on_commit=False))
        self._place = Place(self._port, self._outcomes, codec, application_session)
        datasources.register(self)

    async def run(self, node: Runtime, call: Call) -> Outcome[Any]:
        """Run a transaction as an operation of the workflow whose code this is."""
        return await transact(self._place, node, node.blocking, call, inside=True)

    def check_isolation(self, level: str) -> None:
        """Refuse an isolation level that the database does not have."""
        check_isolation(level, self._port.dialect)

    async def finish(self, node: Any, io: Io, run: Run) -> None:
        """Keep the rows of a run that has ended, as ever (DS-29 is about datasources)."""

    async def forget(self, io: Io, workflow_ids: Sequence[str], from_step_id: int) -> None:
        """Drop workflows' rows from a step on, for a rewind; from step 0 all, for a deletion (MGT-50)."""
        await io.query(run_now, self._forget(workflow_ids, from_step_id))

    def is_passing(self, error: Exception) -> bool:
        """Tell whether forgetting failed for something that passes."""
        return is_passing(error)

    async def _forget(self, workflow_ids: Sequence[str], from_step_id: int) -> None:
        async with self._port.transaction(lenient(self._port)) as session:
            await self._port.execute(session, self._outcomes.forget, from_step(workflow_ids, from_step_id))

    def close(self) -> None:
        """Close every connection."""
        datasources.unregister(self)
        self.engine.dispose()


async def run_transaction(
    node: Runtime, name: str, level: str, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Outcome[Any]:
    """Run a decorated function in a transaction of the application database (TX-2, TX-5)."""
    database: ApplicationDatabase | None = node.application_database
    assert database is not None, (
        f"Transaction {name} needs an application database: configure application_database_url, or use a datasource"
    )
    database.check_isolation(level)
    if loop_is_running():
        logger.warning(
            "Transaction %s blocks the event loop it was called on: call it with asyncio.to_thread(...), or use an "
            "AsyncSQLAlchemyDatasource",
            name,
        )
    return await database.run(node, Call(name, level, fn, args, kwargs))


def migrate_application(url: str, schema: str) -> None:
    """Create an application database if it is missing, and bring `transaction_outputs` in it up to date (CLI-28)."""
    where = address.parse(url)
    if where.dialect == "postgres":
        create_database(where)
    table = Table(where.dialect, None if where.dialect == "sqlite" else schema)
    engine = blocking_engine(url, None)
    try:
        checkpoints.in_one_transaction(engine, table, lambda connection: migrate(connection, table))
    finally:
        engine.dispose()


def migrate(connection: Connection, table: Table) -> None:
    """Create `transaction_outputs`, or add what an old one lacks (TXN-9)."""
    name = table.qualified("transaction_outputs")
    postgres = table.dialect == "postgres"
    if postgres:
        digest = hashlib.sha256(f"dbos.transaction_outputs.{table.schema}".encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": key})
    if checkpoints.exists(connection, table, "transaction_outputs"):
        if not _has_function_name(connection, table):
            connection.execute(text(f"alter table {name} add column function_name text not null default ''"))
        return
    if postgres:
        checkpoints.create_schema(connection, table)
    number, big = checkpoints.INTEGERS[table.dialect]
    connection.execute(
        text(
            f"""
create table {name} (
    workflow_uuid text not null,
    function_id   {number} not null,
    output        text,
    error         text,
    txn_id        text,
    txn_snapshot  text not null,
    executor_id   text,
    function_name text not null default '',
    created_at    {big} not null default {checkpoints.NOW_MS[table.dialect]},
    primary key (workflow_uuid, function_id)
)"""
        )
    )
    connection.execute(text(f"create index {quote('transaction_outputs_created_at_index')} on {name} (created_at)"))


def _has_function_name(connection: Connection, table: Table) -> bool:
    if table.dialect == "sqlite":
        found = connection.scalar(
            text("select 1 from pragma_table_info('transaction_outputs') where name = 'function_name'")
        )
    else:
        found = connection.scalar(
            text(
                "select 1 from information_schema.columns where table_schema = :schema "
                "and table_name = 'transaction_outputs' and column_name = 'function_name'"
            ),
            {"schema": table.schema},
        )
    return found is not None
