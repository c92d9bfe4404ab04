"""Transactions on a user's database, of every kind: one that buys, one that raises, around it steps of DBOS.

Knows the table they write to and what may be in it. A purchase is one row under the key of its workflow, there
exactly when the workflow says that it took place.
"""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from face import Face, drive
from sqlalchemy import text

from dbos import DBOS, AsyncSQLAlchemyDatasource, SQLAlchemyDatasource
from dbos_core import Workflow, WorkflowContext, dbos_workflow, transactional_function

TABLE = "torture_purchases"
INSERT = text(f"insert into {TABLE} (item) values (:item)")
BOUGHT = "bought, then refused"
Act = Callable[[str], Awaitable[str]]


class Overdrawn(Exception):
    """Raised by a transaction that must leave nothing."""


async def now(value: Any) -> Any:
    """Return a value, of either colour."""
    return await value if inspect.isawaitable(value) else value


async def buy(session: Any, item: str) -> str:
    """Write the row."""
    await now(session.execute(INSERT, {"item": item}))
    return "bought"


async def overdraw(session: Any, item: str) -> str:
    """Write a row, and raise."""
    await now(session.execute(INSERT, {"item": item}))
    raise Overdrawn(item)


class Purchases:
    """Workflows that buy something by a transaction, one for each kind there is."""

    def __init__(self, face: Face, url: str, double: Any) -> None:
        """Register them, and make the table."""
        self._face = face
        self._double = double
        if url.startswith("sqlite"):
            self._rows: Any = sqlite3.connect(
                url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
            )
        else:
            self._rows = psycopg.connect(url, autocommit=True)
        self._rows.execute(f"create table if not exists {TABLE} (item text not null)")
        self.datasource: Any = (
            asyncio.run(AsyncSQLAlchemyDatasource.create(url)) if face.looping else SQLAlchemyDatasource.create(url)
        )
        self.workflows = {
            "datasource": self._of_datasource(),
            "transaction": self._of_application_database(),
            "transactional_class": self._of_class(),
        }

    async def close(self) -> None:
        """Let go of the database."""
        self._rows.close()
        await now(self.datasource.engine.dispose())

    def count(self, item: str) -> int:
        """Count the rows of a key."""
        statement = f"select count(*) from {TABLE} where item = '{item}'"  # a key of ours; drivers differ in parameters
        (found,) = self._rows.execute(statement).fetchone()
        return int(found)

    async def _visit(self, buy: Act, overdraw: Act, item: str) -> str:
        """Run what every workflow here runs."""
        await self._double(1)
        bought = await buy(item)
        try:
            await overdraw(item)
        except Overdrawn:
            await self._double(2)
        return f"{bought}, then refused"

    def _visiting(self, name: str, buy: Act, overdraw: Act) -> Any:
        @self._face.workflow(name=name)
        async def visit(item: str) -> str:
            return await self._visit(buy, overdraw, item)

        return visit

    def _of_datasource(self) -> Any:
        def transaction(body: Callable[[Any, str], Awaitable[str]]) -> Act:
            async def act(item: str) -> str:
                return await body(self.datasource.sql_session(), item)

            decorated = self.datasource.transaction(name=body.__name__)(self._face.plain(act))
            return lambda item: now(decorated(item))

        return self._visiting("visit_datasource", transaction(buy), transaction(overdraw))

    def _of_application_database(self) -> Any:
        def transaction(body: Callable[[Any, str], Awaitable[str]]) -> Act:
            @DBOS.transaction(name=body.__name__)
            def act(item: str) -> str:
                return str(drive(body(DBOS.sql_session, item)))

            return lambda item: now(asyncio.to_thread(act, item) if self._face.looping else act(item))

        return self._visiting("visit_transaction", transaction(buy), transaction(overdraw))

    def _of_class(self) -> Any:
        purchases, plain = self, self._face.plain

        @dbos_workflow(name="visit_class")
        class Visit(Workflow):
            @transactional_function(name="buy")
            @plain
            async def buy(self, item: str) -> str:
                return await buy(self.ctx.sql_session, item)

            @transactional_function(name="overdraw")
            @plain
            async def overdraw(self, item: str) -> str:
                return await overdraw(self.ctx.sql_session, item)

            @plain
            async def run(self, item: str) -> str:
                return await purchases._visit(lambda i: now(self.buy(i)), lambda i: now(self.overdraw(i)), item)

        async def visit(item: str) -> Any:
            return await now(Visit(WorkflowContext()).run(item))

        return visit
