"""Spoil one column after another of every table, and see that only its own row suffers.

    python tests/torture/rows.py [URL] [--only postgres] [--table NAME] [--column NAME] [--share 1.0] [--floor N] ...

URL is of a Postgres server whose database `row_torture` may be dropped and made again; without it, SQLite only.
Values are nulled, emptied, cut in half, made garbage, negative or huge, and such as a later version or another language
would write. The row belongs to a workflow that has ended, or that is queued again with half of its history.
Afterwards a neighbour on the same queue must run, every listing must work, no service may stumble, no driver's error
may reach a caller, and what cannot run must have ended or been reported with its id.
Ends with 1 when a promise was broken, and with 2, VOID, when fewer values were spoiled than `--floor`.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from click.testing import CliRunner
from psycopg.rows import dict_row
from sqlalchemy import text

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS)]

from databases import Database  # noqa: E402
from grounds import dropped, parser_of  # noqa: E402
from spoiling import HALF, OF_TRANSACTIONS, OF_WORKFLOWS, OWNERS, TORN, Case, cases  # noqa: E402
from verdict import conclude, fewer  # noqa: E402

from dbos import DBOS, DBOSClient, SetWorkflowID, SQLAlchemyDatasource, run_dbos_database_migrations  # noqa: E402
from dbos.cli.cli import app  # noqa: E402

logger = logging.getLogger("campaign")

DATABASE = "row_torture"
QUEUE = "rows"
BOUND_SEC = 60.0
ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
DRIVERS = ("psycopg", "sqlite3", "sqlalchemy")
# A row that says so waits for somebody who knows what it means: another queue, version or application.
WAITING = {"workflow_uuid", "status", "queue_name", "queue_partition_key", "application_version", "application_name"}
# A transaction whose row says that it is another's is done again.
KEYS = ("workflow_id", "workflow_uuid", "step_id", "function_id")


class Ward(logging.Handler):
    """Keeps what DBOS warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, with the exception it tells of."""
        error = record.exc_info[1] if record.exc_info else None
        self.lines.append(record.getMessage() + (f" ({type(error).__name__}: {error})" if error else ""))


class Campaign:
    """One application on one database, whose rows are spoiled one after another."""

    def __init__(self, db: Database) -> None:
        """Launch the application."""
        self.db = db
        self.broken: list[str] = []
        self.spoiled: Counter[str] = Counter()
        self.ward = Ward()
        self._numbers = iter(range(10**9))
        DBOS(
            config={
                "name": "rowapp",
                "system_database_url": db.url,
                "application_database_url": db.url,
                "application_version": "v1",
                "executor_id": "rows",
                "log_level": "WARNING",
            }
        )
        self.shop = SQLAlchemyDatasource.create(db.url)
        db.execute("create table purchases (item text not null)")
        self._register()
        DBOS.launch()
        logging.getLogger("dbos").handlers[:] = [self.ward]
        DBOS.register_queue(QUEUE, polling_interval_sec=0.05, on_conflict="always_update")
        self.client = DBOSClient(system_database_url=db.url)

    def close(self) -> None:
        """End the application."""
        self.client.destroy()
        DBOS.destroy(destroy_registry=True)
        self.shop.engine.dispose()

    def _register(self) -> None:
        @DBOS.step()
        def double(number: int) -> int:
            return 2 * number

        @DBOS.workflow()
        def child(number: int) -> int:
            return double(number)

        @DBOS.workflow()
        def victim(number: int) -> list[Any]:
            first = double(number)
            handle = DBOS.start_workflow(child, number)
            DBOS.set_event("stage", first)
            # When it is queued again, it has forgotten what follows.
            DBOS.write_stream("numbers", first)
            told = DBOS.recv("topic", 0)
            return [told, handle.get_result(), double(first)]

        @DBOS.workflow()
        def neighbour(number: int) -> int:
            return double(number)

        @DBOS.workflow()
        def tick(*_: Any) -> None: ...

        insert = text("insert into purchases (item) values (:item)")

        @self.shop.transaction(name="buy")
        def buy(number: int) -> int:
            self.shop.sql_session().execute(insert, {"item": DBOS.workflow_id})
            return number

        @DBOS.transaction(name="pay")
        def pay(number: int) -> int:
            DBOS.sql_session.execute(insert, {"item": DBOS.workflow_id})
            return number

        @DBOS.workflow()
        def buyer(number: int) -> list[int]:
            # When it is queued again, it has forgotten what follows.
            double(number)
            bought, paid = buy(number), pay(number)
            self.bought = self.db.rows("select * from {datasource_outputs} where workflow_id = ?", DBOS.workflow_id)
            return [bought, paid]

        self.victim, self.buyer, self.neighbour, self.tick = victim, buyer, neighbour, tick

    # --- one case

    def strike(self, case: Case) -> None:
        """Spoil a row, within the bound, and note what breaks."""
        key = f"victim-{next(self._numbers)}"
        self.ward.lines.clear()
        problems: list[str] = []

        def work() -> None:
            try:
                self._strike(case, key, problems)
            except BaseException as error:
                problems.append(f"{type(error).__name__}: {error}")

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        worker.join(BOUND_SEC)
        if worker.is_alive():
            problems.append(f"hangs for {BOUND_SEC:g} s")
        self._clear()
        stumbled = [line for line in self.ward.lines if " failed; trying again" in line]
        for problem in [*problems, *stumbled[:1]]:
            self.broken.append(f"{case}: {problem}")
            logger.info("BROKEN %s", self.broken[-1])

    def _strike(self, case: Case, key: str, problems: list[str]) -> None:
        self._prepare(case.table, key)
        if not self._spoil(case, key):
            return
        self.spoiled[case.table] += 1
        with SetWorkflowID(f"{key}-neighbour"):
            queued = DBOS.enqueue_workflow(QUEUE, self.neighbour, 1)
        if (queued.get_result(), self.neighbour(2)) != (2, 4):
            problems.append("a neighbour got a wrong result")
        if case.queued and case.is_nameless and not self._said("Workflow ID is no text"):
            problems.append("is not reported once")
        if case.queued and case.column not in WAITING and not self._over(key):
            problems.append("neither ends nor is reported")
        if case.table in OF_TRANSACTIONS and case.column not in KEYS:
            (found,) = self.db.rows("select count(*) as bought from purchases where item = ?", key)
            if found["bought"] != 2:
                problems.append(f"its transactions took effect {found['bought']} times, not once each")
        problems += self._listed(case.table, key)
        problems += self._read(key) if case.table in OF_WORKFLOWS else ()

    def _prepare(self, table: str, key: str) -> None:
        """Make what is to be spoiled."""
        if table in OF_TRANSACTIONS:
            with SetWorkflowID(key):
                self.buyer(3)
            for row in self.bought:  # which a workflow that ends forgets
                self.db.execute(
                    f"insert into {{datasource_outputs}} ({', '.join(row.keys())}) values (?, ?, ?, ?, ?, ?)",
                    *dict(row).values(),
                )
        elif table in OF_WORKFLOWS:
            with SetWorkflowID(key):
                self.victim(3)
            DBOS.send(key, "told", "topic")
        elif table == "queues":
            DBOS.register_queue(key, concurrency=3, limiter={"limit": 5, "period": 1.0}, polling_interval_sec=1.0)
        elif table == "workflow_schedules":
            DBOS.create_schedule(schedule_name=key, workflow_fn=self.tick, schedule="* * * * * *")
        elif table == "application_versions":
            self.db.execute("insert into {application_versions} (version_id, version_name) values (?, ?)", key, key)
        else:
            self.db.execute(
                "insert into {executors} select ?, ?, application_name, application_version, host, boot_id, pid, "
                "process_started, started_at_epoch_ms, heartbeat_at_epoch_ms, 0, draining from {executors} limit 1",
                key[-16:],
                key,
            )

    def _spoil(self, case: Case, key: str) -> bool:
        """Queue the workflow again if that is wanted, and write the value; False when the database refuses it."""
        owner, value = OWNERS[case.table], "?"
        arguments = [case.value]
        if case.value is HALF:
            value, arguments = f'substr("{case.column}", 1, length("{case.column}") / 2)', []
        elif case.value is TORN:
            value, arguments = "cast(? as text)", [b"\xff\xfe"]
        statements: list[tuple[str, list[Any]]] = []
        if case.queued:
            statements = [
                ("delete from {workflow_output} where workflow_uuid = ?", [key]),
                ("delete from {streams} where workflow_uuid = ?", [key] if case.table != "streams" else [""]),
                (
                    "delete from {operation_outputs} where workflow_uuid = ? and function_id > ?",
                    [key, 1 if case.table in OF_TRANSACTIONS else 3],
                ),
                (
                    "update {workflow_status} set status = 'ENQUEUED', queue_name = ?, owner_xid = null, "
                    "completed_at = null, started_at_epoch_ms = null where workflow_uuid = ?",
                    [QUEUE, key],
                ),
            ]
        statements.append(
            (f'update {{{case.table}}} set "{case.column}" = {value} where {owner} = ?', [*arguments, key])
        )
        self.db.execute("begin")
        try:
            for statement, given in statements:
                self.db.execute(statement, *given)
            self.db.execute("commit")
        except (psycopg.Error, sqlite3.Error, OverflowError):
            self.db.execute("rollback")
            return False
        return True

    def _said(self, reason: str) -> bool:
        """Wait until somebody has said so, and nobody twice."""
        deadline = time.monotonic() + BOUND_SEC / 3
        while not (said := sum(reason in line for line in self.ward.lines)) and time.monotonic() < deadline:
            time.sleep(0.01)
        return said == 1

    def _over(self, key: str) -> bool:
        """Wait until the victim has ended or somebody has said what is wrong with it."""
        deadline = time.monotonic() + BOUND_SEC / 3
        while time.monotonic() < deadline:
            rows = self.db.rows("select status from {workflow_status} where workflow_uuid = ?", key)
            if not rows or rows[0]["status"] in ENDED or any(key in line for line in self.ward.lines):
                return True
            time.sleep(0.01)
        return False

    def _listed(self, table: str, key: str) -> Iterator[str]:
        """List what the table is about, in every way; yield what fails."""
        client = self.client
        calls: dict[str, list[Callable[[], Any]]] = {
            "workflow_schedules": [DBOS.list_schedules, client.list_schedules],
            "application_versions": [DBOS.list_application_versions, DBOS.list_stranded_versions],
            "queues": [DBOS.list_queues],
            "executors": [DBOS.list_executors, DBOS.list_stranded_versions],
        }
        of_workflows: list[Callable[[], Any]] = [
            DBOS.list_workflows,
            DBOS.list_queued_workflows,
            lambda: DBOS.list_workflow_steps(key),
            lambda: DBOS.get_workflow_status(key),
            lambda: client.list_workflows(load_input=True, load_output=True),
            lambda: client.list_workflow_steps(key),
        ]
        for number, call in enumerate(calls.get(table, of_workflows)):
            try:
                call()
            except Exception as error:
                yield f"listing number {number} raises {type(error).__name__}: {error}"
        of_table = {
            "workflow_schedules": ("schedule", "list"),
            "application_versions": ("version", "list"),
            "queues": ("queue", "list"),
            "executors": ("executor", "list"),
        }.get(table)
        workflow = [("workflow", "list"), ("workflow", "get", key), ("workflow", "steps", key)]
        for arguments in [of_table] if of_table else [*workflow, ("workflow", "queue", "list")]:
            for form in ((), ("--json",)):
                result = CliRunner().invoke(app, [*arguments, "-s", self.db.url, *form], env={"COLUMNS": "100"})
                if result.exit_code and not (arguments[1] in ("get", "steps") and key in result.stderr):
                    yield f"dbos {' '.join((*arguments, *form))} fails: {result.stderr or repr(result.exception)}"

    def _read(self, key: str) -> Iterator[str]:
        """Read and manage the victim; yield what a driver says. Anything else is a way to say what is wrong."""
        calls: dict[str, Callable[[], Any]] = {
            "get_event": lambda: DBOS.get_event(key, "stage", 0),
            "get_all_events": lambda: DBOS.get_all_events(key),
            "get_all_messages": lambda: DBOS.get_all_messages(key),
            "get_all_streams": lambda: DBOS.get_all_streams(key),
            "get_result": lambda: DBOS.retrieve_workflow(key).get_result() if self._ended(key) else None,
            "get_metrics": lambda: DBOS.get_metrics("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
            "export_workflow": lambda: DBOS.export_workflow(key),
            "fork_workflow": lambda: DBOS.cancel_workflow(DBOS.fork_workflow(key, 2).workflow_id),
            "cancel_workflow": lambda: DBOS.cancel_workflow(key),
            "set_workflow_delay": lambda: DBOS.set_workflow_delay(key, 0.0),
            "delete_workflow": lambda: DBOS.delete_workflow(key),
        }
        for name, call in calls.items():
            try:
                call()
            except Exception as error:
                if type(error).__module__.partition(".")[0] in DRIVERS:
                    yield f"{name} raises {type(error).__name__}: {error}"

    def _ended(self, key: str) -> bool:
        rows = self.db.rows("select status from {workflow_status} where workflow_uuid = ?", key)
        return bool(rows) and rows[0]["status"] in ENDED

    def _clear(self) -> None:
        """Remove everything, so that a spoiled row is no burden to the next case."""
        tables = [table for table in OWNERS if table not in ("queues", "executors", "workflow_status")]
        for table in [*tables, "workflow_status"]:
            self.db.execute(f"delete from {{{table}}}")
        self.db.execute("delete from {queues} where name <> ?", QUEUE)
        self.db.execute("delete from {executors} where expires_at_epoch_ms <= 0 or executor_id <> 'rows'")


def run(db: Database, chosen: Callable[[Case], bool]) -> Campaign:
    """Run the chosen cases on a database."""
    campaign = Campaign(db)
    try:
        for case in cases(db):
            if chosen(case):
                campaign.strike(case)
    finally:
        campaign.close()
    return campaign


def main() -> None:
    """Run the campaign on every database."""
    parser = parser_of(__doc__, seed=0)
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    parser.add_argument("--table")
    parser.add_argument("--column")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--floor", type=int, default=1)
    given = parser.parse_args()
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logger.setLevel(logging.INFO)
    began, chance = time.monotonic(), random.Random(given.seed)
    spoiled: Counter[str] = Counter()
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        for db in databases(given.server, Path(directory)):
            if given.only not in (None, db.dialect):
                continue
            campaign = run(
                db,
                lambda case: (
                    given.table in (None, case.table)
                    and given.column in (None, case.column)
                    and chance.random() < given.share
                ),
            )
            spoiled += campaign.spoiled
            broken += [f"{db.dialect}: {line}" for line in campaign.broken]
    conclude(
        given.seed, spoiled, "spoiled values", began, broken, fewer(spoiled.total(), given.floor, "spoiled values")
    )


def databases(server: str | None, directory: Path) -> Iterator[Database]:
    """Give a fresh database of each kind there is a server for."""
    path = directory / "rows.sqlite"
    run_dbos_database_migrations(f"sqlite:///{path}")
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.row_factory = sqlite3.Row
    connection.text_factory = lambda text: text.decode(errors="replace")
    yield Database(f"sqlite:///{path}", "sqlite", connection)
    connection.close()
    if server is None:
        return
    url = dropped(server, DATABASE)
    run_dbos_database_migrations(url)
    with psycopg.connect(url, autocommit=True, row_factory=dict_row, prepare_threshold=None) as other:
        yield Database(url, "postgres", other)


if __name__ == "__main__":
    main()
