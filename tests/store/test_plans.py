"""Listings and counts go by indexes when the history is long: no plan reads the whole table.

Run it at a million workflows with `DBOS_TEST_PLAN_ROWS=1000000`.
"""

from __future__ import annotations

import functools
import itertools
import json
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import big
import psycopg
import pytest
from databases import at

from dbos._store import deletion, metrics, retention, search
from dbos._store.search import Filter
from dbos._store.sql import Dialect

MIDDLE_MS = big.FIRST_MS + big.ROWS // 2 * big.STEP_MS
SPAN_MS = 100 * big.STEP_MS


class Explained:
    """A session that runs nothing: it keeps the plan of every statement, and returns no rows."""

    def __init__(self, connection: Any, dialect: Dialect) -> None:
        self._connection = connection
        self._dialect = dialect
        self.plans: list[str] = []

    def rows(self, statement: str, **parameters: Any) -> list[Any]:
        """Explain a statement."""
        compiled = self._dialect.compile(statement)
        values = {name: parameters[name] for name in compiled.parameters}
        if self._dialect.name == "postgres":
            explained = psycopg.RawCursor(self._connection).execute(
                f"explain {compiled.text}".encode(), list(values.values())
            )
            lines = [row[0] for row in explained]
        else:
            given = {name: json.dumps(value) if isinstance(value, list) else value for name, value in values.items()}
            lines = [row[3] for row in self._connection.execute(f"explain query plan {compiled.text}", given)]
        self.plans.append("\n".join(lines))
        return []

    def run(self, statement: str, **parameters: Any) -> int:
        """Explain a statement that changes rows."""
        return len(self.rows(statement, **parameters))

    def one(self, statement: str, **parameters: Any) -> Any:
        """Explain a statement of which one row is wanted."""
        return next(iter(self.rows(statement, **parameters)), None)

    def try_lock(self, name: str) -> bool:
        """Lock nothing."""
        return True

    @property
    def sorts_bytewise(self) -> bool:
        """Whether the database's order of texts is that of their bytes."""
        if self._dialect.name == "sqlite":
            return True
        row = self._connection.execute(
            "select datcollate, datlocprovider from pg_database where datname = current_database()"
        ).fetchone()
        return row[0] in ("C", "POSIX") or row[1] == "b"

    @property
    def plan(self) -> str:
        """The one plan, once it is known to read no table from end to end."""
        (plan,) = self.plans
        for line in plan.splitlines():
            walks = _walks_postgres(line) if self._dialect.name == "postgres" else _walks_sqlite(line)
            assert not walks, f"reads a whole table: {line}\n{plan}"
        return plan


def _walks_postgres(line: str) -> bool:
    """Tell of a plan's line whether it reads a large table; those of payloads are empty here."""
    return "Seq Scan on workflow_status" in line or "Seq Scan on operation_outputs" in line


def _walks_sqlite(line: str) -> bool:
    return line.startswith(("SCAN w", "SCAN s")) and "INDEX" not in line


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Dialect]]:
    """A database with a long history."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("big") / "big.sqlite"
        shutil.copyfile(Path(request.getfixturevalue("sqlite_template")), path)
        connection: Any = sqlite3.connect(path, isolation_level=None)
        connection.execute("pragma synchronous = off")
        dialect = Dialect("sqlite", None)
        for statement in big.history("sqlite"):
            connection.execute(dialect.expand(statement))
        yield connection, dialect
        connection.close()
        path.unlink()
        return
    server, template = request.getfixturevalue("postgres_server_url"), request.getfixturevalue("postgres_template")
    name, dialect = f"big_{uuid.uuid4().hex[:12]}", Dialect("postgres", "dbos")
    with psycopg.connect(server, autocommit=True) as administrator:
        administrator.execute(f"create database {name} template {template}".encode())
        try:
            with psycopg.connect(at(server, name), autocommit=True) as connection:
                for statement in big.history("postgres"):
                    connection.execute(dialect.expand(statement).encode())
                connection.execute("vacuum analyze dbos.workflow_status, dbos.operation_outputs")
                yield connection, dialect
        finally:
            administrator.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def session(history: tuple[Any, Dialect]) -> Explained:
    return Explained(*history)


# What the console and the command line filter by, one at a time.
FILTERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "ids": {"workflow_ids": ["wf-1000001-7", "unknown"]},
    "id prefix": {"workflow_id_prefix": ["wf-10000"]},
    "name": {"name": ["workflow_3"]},
    "rare name": {"name": ["rare_workflow"]},
    "unknown name": {"name": ["unknown"]},
    "user": {"user": ["user_78"]},
    "unknown user": {"user": ["unknown"]},
    "executor": {"executor_id": ["executor_2"]},
    "version": {"app_version": ["v8"]},
    "old version": {"app_version": ["v0"]},
    "queue": {"queue_name": ["queue_1"]},
    "queued": {"queues_only": True},
    "queued of a queue": {"queues_only": True, "queue_name": ["queue_1"]},
    "ran from queues": {"queues_only": True, "status": ["SUCCESS"]},
    "parent": {"parent_workflow_id": ["wf-p7"]},
    "has parent": {"has_parent": True},
    "has no parent": {"has_parent": False},
    "forked from": {"forked_from": ["wf-x7"]},
    "is fork": {"is_fork": True},
    "was forked": {"was_forked_from": True},
    "schedule": {"schedule_name": ["schedule_1"]},
    "application": {"application_name": ["shop"]},
    "created": {"created_from_ms": MIDDLE_MS, "created_to_ms": MIDDLE_MS + SPAN_MS},
    "created before": {"created_to_ms": big.FIRST_MS + SPAN_MS},
    "completed": {"completed_from_ms": MIDDLE_MS, "completed_to_ms": MIDDLE_MS + SPAN_MS},
    "dequeued": {"dequeued_from_ms": MIDDLE_MS, "dequeued_to_ms": MIDDLE_MS + SPAN_MS},
    "attributes": {"attributes": '{"customer": "c27"}'},
    **{
        f"status {status}": {"status": [status]}
        for status in ("ENQUEUED", "DELAYED", "PENDING", "SUCCESS", "ERROR", "CANCELLED")
    },
    "failed": {"status": ["ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]},
    "name and status": {"name": ["workflow_3"], "status": ["ERROR"]},
    "name and time": {"name": ["rare_workflow"], "created_from_ms": MIDDLE_MS},
}


@pytest.mark.parametrize("wanted", list(FILTERS))
def test_a_page_of_a_list_goes_by_an_index(session: Explained, wanted: str) -> None:
    """For one application and for all, from either end."""
    if wanted == "id prefix" and not session.sorts_bytewise:
        pytest.skip("Postgres finds prefixes by the primary key only where texts sort by their bytes (collation C)")
    for scope, sort_desc in itertools.product((None, ["shop"]), (True, False)):
        session.plans.clear()
        conditions = {"application_name": scope, **FILTERS[wanted]}
        search.workflows(session, Filter(**conditions, limit=50, sort_desc=sort_desc))
        assert "INDEX" in session.plan.upper()


SELECTIVE = {
    "unknown name": "idx_indie_workflow_status_name",
    "user": "idx_indie_workflow_status_user",
    "unknown user": "idx_indie_workflow_status_user",
    "parent": "idx_workflow_status_parent_workflow_id",
    "forked from": "idx_workflow_status_forked_from",
    "completed": "idx_workflow_status_completed_at",
    "dequeued": "idx_workflow_status_started_at",
    "created": "workflow_status_created_at_index",
    "status PENDING": "idx_workflow_status_pending",
    "failed": "idx_workflow_status_failed",
    "schedule": "idx_workflow_status_schedule_name",
}


@pytest.mark.parametrize("wanted", list(SELECTIVE))
def test_a_filter_that_few_workflows_meet_goes_by_its_own_index(session: Explained, wanted: str) -> None:
    """However many others there are: also without a limit."""
    for limit in (50, None):
        session.plans.clear()
        search.workflows(session, Filter(**FILTERS[wanted], limit=limit, sort_desc=True, load_input=False))
        assert SELECTIVE[wanted] in session.plan


def test_workflows_that_a_page_skips_are_not_joined(session: Explained) -> None:
    search.workflows(session, Filter(limit=50, offset=5_000))
    (plan,) = session.plans
    assert plan.startswith(("CO-ROUTINE", "MATERIALIZE")) or plan.index(" Join ") < plan.index("Limit")


@pytest.mark.parametrize("wanted", list(FILTERS))
def test_counts_of_a_period_go_by_an_index(session: Explained, wanted: str) -> None:
    period = {"created_from_ms": MIDDLE_MS, "created_to_ms": MIDDLE_MS + SPAN_MS}
    for group in metrics.WORKFLOW_GROUPS:
        session.plans.clear()
        metrics.of_workflows(session, [group], 60_000, ["count"], Filter(**{**FILTERS[wanted], **period}))
        assert "INDEX" in session.plan.upper()


def test_counts_of_steps_and_metrics_of_a_period_go_by_an_index(session: Explained) -> None:
    period = metrics.StepFilter(completed_from_ms=MIDDLE_MS, completed_to_ms=MIDDLE_MS + SPAN_MS)
    metrics.of_steps(session, ["function_name"], None, ["count"], period)
    assert "idx_operation_outputs_completed_at_function_name" in session.plan
    session.plans.clear()
    metrics.counts(session, MIDDLE_MS, MIDDLE_MS + SPAN_MS, ["shop"])
    assert "idx_operation_outputs_completed_at_function_name" in session.plan
    assert "workflow_status_created_at_index" in session.plan


@pytest.mark.rules("MGT-65", "MGT-68", "IDX-2")
@pytest.mark.parametrize("application", [None, "shop"])
def test_retention_goes_by_indexes(session: Explained, application: str | None) -> None:
    """A page of what may go, and how it is deleted; the cutoff by number; what is cancelled for its age."""
    ids = ["wf-1000001-7", "wf-1000002-8"]
    after = retention.Old(MIDDLE_MS, ids[0], None)
    for act in (
        lambda: retention.page(session, application, MIDDLE_MS + SPAN_MS, after, 500),
        lambda: retention.page(session, application, MIDDLE_MS, None, 500),
        lambda: retention.created_at_of_newest(session, application, 1000),
        lambda: retention.collect(session, retention.held(session, ids)),
        lambda: retention.unread(session, [after]),
        lambda: retention.is_active_older(session, application, MIDDLE_MS),
        lambda: deletion.delete(session, ids, with_children=True),
        lambda: deletion.remove(session, ids),
        *(
            functools.partial(retention.cancel_older, session, application, status, MIDDLE_MS, 500)
            for status in ("DELAYED", "ENQUEUED", "PENDING")
        ),
    ):
        session.plans.clear()
        act()
        plans, session.plans = session.plans, []
        for plan in plans:
            session.plans = [plan]
            assert session.plan
