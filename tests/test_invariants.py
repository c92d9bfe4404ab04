"""The checker of invariants: silent on what an application leaves behind, and not blind to any law that is broken."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from dbos import DBOS, DBOSClient, SetEnqueueOptions, SetWorkflowID
from dbos.error import DBOSException
from dbos.testing import Violation, check_invariants, read_outcomes

INCARNATION = "0123456789abcdef"
ROWS = {
    "done": {"status": "SUCCESS", "completed_at": 2, "recovery_attempts": 1},
    "failed": {"status": "ERROR", "completed_at": 2, "recovery_attempts": 1},
    "running": {
        "status": "PENDING",
        "owner_xid": f"{INCARNATION}-1",
        "executor_id": "local",
        "recovery_attempts": 1,
        "queue_name": "q",
        "queue_partition_key": "k",
        "application_name": "a",
        "started_at_epoch_ms": 1000,
        "rate_limited": True,
    },
    "waiting": {"status": "ENQUEUED", "queue_name": "q", "deduplication_id": "its own"},
    "later": {"status": "DELAYED", "queue_name": "q", "delay_until_epoch_ms": 3, "deduplication_id": "its own"},
}


def insert(db: Any, table: str, **columns: Any) -> None:
    """Insert a row."""
    places = ", ".join("?" * len(columns))
    names = ", ".join(f'"{name}"' for name in columns)
    db.execute(f"insert into {{{table}}} ({names}) values ({places})", *columns.values())


def workflow(db: Any, workflow_id: str, **columns: Any) -> None:
    """Insert a workflow and its inputs."""
    row = {"workflow_uuid": workflow_id, "name": "f", "creator_xid": workflow_id, "created_at": 1, **columns}
    insert(db, "workflow_status", **row)
    insert(db, "workflow_input", workflow_uuid=workflow_id, inputs="i")


def whole(db: Any, kind: str, workflow_id: str) -> None:
    """Insert a workflow of `ROWS`, under an id, with all that belongs to it."""
    columns = dict(ROWS[kind])
    if "deduplication_id" in columns:
        columns["deduplication_id"] = workflow_id
    workflow(db, workflow_id, **columns)
    if kind == "done":
        insert(db, "workflow_output", workflow_uuid=workflow_id, output="o")
        workflow(db, f"{workflow_id}-fork", status="ENQUEUED", queue_name="q", forked_from=workflow_id)
        db.execute("update {workflow_status} set was_forked_from = true where workflow_uuid = ?", workflow_id)
    elif kind == "failed":
        insert(db, "workflow_output", workflow_uuid=workflow_id, error="e")
    elif kind == "running":
        insert(db, "operation_outputs", workflow_uuid=workflow_id, function_id=1, function_name="DBOS.recv", output="m")
        message = {"destination_uuid": workflow_id, "message": "m", "consumed": True, "consumed_by_function_id": 1}
        insert(db, "notifications", message_uuid=workflow_id, **message)
        insert(db, "workflow_events", workflow_uuid=workflow_id, key="e", value="v")
        insert(db, "workflow_events_history", workflow_uuid=workflow_id, function_id=2, key="e", value="v")
        for offset in (0, 1):
            insert(db, "streams", workflow_uuid=workflow_id, key="s", value="v", offset=offset)


@pytest.fixture
def rows(db: Any) -> Any:
    """A database with a row for every law."""
    for kind in ROWS:
        whole(db, kind, kind)
    return db


SET = "update {workflow_status} set "
BROKEN: list[tuple[str, str, str]] = [
    ("a row has an id and a known status", "waiting", SET + "status = 'LOST'"),
    ("a row has an id and a known status", "waiting", SET + "status = null"),
    ("whoever runs has a token, nobody else", "running", SET + "owner_xid = null"),
    ("whoever runs has a token, nobody else", "running", SET + "executor_id = null"),
    ("whoever runs has a token, nobody else", "running", SET + "recovery_attempts = 0"),
    ("whoever runs has a token, nobody else", "waiting", SET + "owner_xid = 'mine'"),
    ("whoever runs has a token, nobody else", "done", SET + "owner_xid = 'mine'"),
    ("what waits is on a queue", "waiting", SET + "queue_name = null"),
    ("what waits is on a queue", "waiting", SET + "started_at_epoch_ms = 1"),
    ("what waits is on a queue", "later", SET + "delay_until_epoch_ms = null"),
    ("what has ended says when", "done", SET + "completed_at = null"),
    ("what has ended says when", "running", SET + "completed_at = 1"),
    ("an outcome is of the kind its status says", "done", SET + "status = 'CANCELLED'"),
    ("an outcome is of the kind its status says", "done", SET + "status = 'ERROR'"),
    ("an outcome is of the kind its status says", "failed", SET + "status = 'SUCCESS'"),
    ("a deduplication id has one live holder", "done", SET + "deduplication_id = 'kept', queue_name = 'q'"),
    ("a deduplication id has one live holder", "waiting", SET + "is_debounced = true"),
    ("a run of a schedule is named for it", "done", SET + "schedule_name = 'nightly'"),
    ("whatever was forked says so", "done", SET + "was_forked_from = false"),
    ("what is to run has its inputs", "running", "delete from {workflow_input}"),
    ("an outcome is of the kind its status says", "done", "delete from {workflow_output}"),
    ("a step has a number and one outcome", "running", "update {operation_outputs} set error = 'e'"),
    ("a message is consumed once, by a step that says so", "running", "delete from {operation_outputs}"),
    ("an event has a value of its history", "running", "delete from {workflow_events}"),
    ("an event has a value of its history", "running", "update {workflow_events} set value = 'other'"),
]


def about(db: Any, workflow_id: str) -> set[str]:
    """Return the laws that do not hold for a workflow."""
    return {violation.law for violation in check_invariants(db.url) if violation.workflow_id == workflow_id}


@pytest.mark.rules("ST-1", "ST-15", "ST-16", "ST-17", "ST-18", "ST-24", "ST-29", "ST-34", "MSG-24", "OP-2", "EVT-3")
def test_each_broken_law_is_told_with_the_workflow(db):
    for number, (_, kind, _) in enumerate(BROKEN):
        whole(db, kind, f"{number}-{kind}")
    assert check_invariants(db.url) == []
    for number, (_, kind, statement) in enumerate(BROKEN):
        db.execute(f"{statement} where workflow_uuid = ?", f"{number}-{kind}")
    told = {(violation.workflow_id, violation.law) for violation in check_invariants(db.url)}
    assert told == {(f"{number}-{kind}", law) for number, (law, kind, _) in enumerate(BROKEN)}


@pytest.mark.rules("MSG-24", "STR-3", "SDS-1", "OP-1", "DEL-1", "DEL-5", "ST-14")
def test_rows_that_nobody_may_write_are_told(rows):
    message = {"destination_uuid": "running", "message": "m", "consumed": True, "consumed_by_function_id": 1}
    insert(rows, "notifications", message_uuid="two", **message)
    assert about(rows, "running") == {"a message is consumed once, by a step that says so"}
    rows.execute("update {notifications} set consumed = false, consumed_by_function_id = null")
    assert check_invariants(rows.url) == []
    rows.execute("update {notifications} set consumed_by_function_id = 1 where message_uuid = 'running'")
    assert about(rows, "running") == {"a message is consumed once, by a step that says so"}
    rows.execute("delete from {notifications}")

    rows.execute('delete from {streams} where "offset" = 0')
    assert about(rows, "running") == {"a stream has no gap"}
    rows.execute('update {streams} set "offset" = 0')
    insert(rows, "streams", workflow_uuid="running", key="s", value="v", offset=2)
    assert about(rows, "running") == {"a stream has no gap"}
    rows.execute("delete from {streams}")

    insert(rows, "operation_outputs", workflow_uuid="running", function_id=-1)
    assert about(rows, "running") == {"a step has a number and one outcome"}
    rows.execute("delete from {operation_outputs} where function_id < 0")
    insert(rows, "operation_outputs", workflow_uuid="running", function_id=2, function_name="DBOS.sleep")
    assert check_invariants(rows.url) == []
    rows.execute("update {operation_outputs} set function_name = 'charge' where function_id = 2")
    assert about(rows, "running") == {"a step has a number and one outcome"}
    rows.execute("delete from {operation_outputs} where function_id = 2")
    for table in ("operation_outputs", "workflow_input", "workflow_output"):
        insert(rows, table, workflow_uuid="gone", **({"function_id": 1} if table == "operation_outputs" else {}))
        assert about(rows, "gone") == {"what belongs to a workflow goes with it"}
        rows.execute(f"delete from {{{table}}} where workflow_uuid = 'gone'")
    workflow(rows, "", status="ENQUEUED", queue_name="q")
    assert about(rows, "") == {"a row has an id and a known status"}


NUMBERED: list[tuple[str, list[tuple[int, str, str | None]], str | None]] = [
    ("whole", [(1, "a", None), (2, "b", None)], None),
    ("waited", [(1, "DBOS.recv", None), (3, "DBOS.getEvent", None), (5, "a", None)], None),
    ("call-refused", [(1, "child", "in use"), (3, "a", None)], None),
    ("first-lost", [(2, "a", None)], "step 2 follows none"),
    ("lost", [(1, "a", None), (3, "b", None)], "step 3 follows step 1"),
    ("lost-after-a-wait", [(1, "DBOS.recv", None), (4, "b", None)], "step 4 follows step 1"),
    ("lost-after-a-sleep", [(1, "DBOS.recv", None), (2, "DBOS.sleep", None), (4, "b", None)], "step 4 follows step 2"),
]


@pytest.mark.rules("OP-1")
def test_a_number_that_no_step_has_is_told_where_none_may_miss(db):
    for workflow_id, steps, _ in NUMBERED:
        workflow(db, workflow_id, **ROWS["done"])
        insert(db, "workflow_output", workflow_uuid=workflow_id, output="o")
        for number, name, error in steps:
            step = {"function_id": number, "function_name": name, "error": error}
            insert(db, "operation_outputs", workflow_uuid=workflow_id, **step)
    assert check_invariants(db.url) == []
    told = {(violation.workflow_id, violation.found) for violation in check_invariants(db.url, dense=True)}
    assert told == {(workflow_id, found) for workflow_id, _, found in NUMBERED if found is not None}
    db.execute("update {workflow_status} set status = 'CANCELLED'")
    db.execute("delete from {workflow_output}")
    assert check_invariants(db.url, dense=True) == []


@pytest.mark.rules("SD-24")
def test_a_time_of_a_schedule_that_ran_twice_is_told(db):
    def tick(workflow_id: str, created_at: int = 1) -> None:
        row = {"status": "ENQUEUED", "queue_name": "q", "schedule_name": "nightly"}
        workflow(db, workflow_id, created_at=created_at, **row)

    tick("sched-nightly-2025-01-01T00:00:00+00:00")
    tick("sched-nightly-2025-01-02T00:00:00+00:00")
    tick("sched-nightly-2025-01-01T01:00:00+01:00")  # its zone was changed, and the night filled up
    tick("sched-nightly-trigger-2025-01-01T00:00:00+00:00")
    assert check_invariants(db.url) == []
    again = "sched-nightly-2025-01-01T00:00:00.000+00:00"
    tick(again, created_at=2)
    found = "its time is that of sched-nightly-2025-01-01T00:00:00+00:00"
    assert check_invariants(db.url) == [Violation("a time of a schedule has one run", again, found)]


@pytest.mark.rules("ST-12")
def test_two_holders_of_a_deduplication_id_are_told(rows):
    schema = "" if rows.dialect == "sqlite" else "dbos."
    rows.execute(f"drop index {schema}uq_workflow_status_dedup_id")
    workflow(rows, "twin", status="ENQUEUED", queue_name="q", deduplication_id="waiting")
    (violation,) = check_invariants(rows.url)
    assert violation.workflow_id == "twin"
    assert str(violation) == "a deduplication id has one live holder: twin: one of 2 that hold waiting"


LIMITS = {
    "concurrency": "2 workflows run where at most 1 may",
    "worker_concurrency": "2 workflows run where at most 1 may",
    "partition_concurrency": "2 workflows run where at most 1 may",
    "partition_worker_concurrency": "2 workflows run where at most 1 may",
    "rate_limit": "1 times more than 1 workflows were started within 500 ms",
    "partition_rate_limit": "1 times more than 1 workflows were started within 500 ms",
}


@pytest.mark.rules("DQ-30", "DQ-31", "DQ-32", "DQ-40")
def test_a_queue_over_a_limit_is_told(rows):
    for limit, found in LIMITS.items():
        columns = {f"{limit}_max": 1, f"{limit}_period_sec": 0.5} if limit.endswith("rate_limit") else {limit: 1}
        insert(rows, "queues", queue_id=limit, name="q", **columns)
        assert check_invariants(rows.url) == [], limit
        workflow(rows, "other", **{**ROWS["running"], "started_at_epoch_ms": 1499})
        assert check_invariants(rows.url) == [Violation("a registered queue keeps its limits", "q", found)], limit
        rows.execute("delete from {workflow_status} where workflow_uuid = 'other'")
        rows.execute("delete from {workflow_input} where workflow_uuid = 'other'")
        rows.execute("delete from {queues}")


@pytest.mark.rules("RV-20")
def test_at_rest_whoever_runs_must_be_alive(rows):
    assert {violation.workflow_id for violation in check_invariants(rows.url, at_rest=True)} == {"running"}
    live_process(rows)
    assert check_invariants(rows.url, at_rest=True) == []
    rows.execute("update {executors} set expires_at_epoch_ms = 5")
    assert {violation.workflow_id for violation in check_invariants(rows.url, at_rest=True)} == {"running"}


def live_process(db: Any) -> None:
    """Insert the lease of a process that lives."""
    lease = {"incarnation": INCARNATION, "executor_id": "local", "application_version": "v1", "host": "h"}
    times = {"started_at_epoch_ms": 1, "heartbeat_at_epoch_ms": 1, "expires_at_epoch_ms": 2**52}
    insert(db, "executors", **lease, boot_id="b", pid=1, process_started="p", draining=False, **times)


@pytest.mark.rules("RV-20")
def test_at_rest_nothing_that_was_put_back_waits_beside_a_live_process(rows):
    live_process(rows)
    workflow(
        rows, "w", status="ENQUEUED", queue_name="_dbos_internal_queue", application_version="v1", updated_at=2**52
    )
    assert check_invariants(rows.url, at_rest=True) == []
    rows.execute("update {workflow_status} set updated_at = 5 where workflow_uuid = 'w'")
    found = "ENQUEUED since 5, and a process of its version is alive"
    assert check_invariants(rows.url, at_rest=True) == [
        Violation("at rest, nothing waits that a live process may run", "w", found)
    ]
    rows.execute("update {workflow_status} set application_version = 'nobody''s' where workflow_uuid = 'w'")
    assert check_invariants(rows.url, at_rest=True) == []


@pytest.mark.rules("DQ-30", "DQ-40")
@pytest.mark.parametrize(
    "limits",
    [{"concurrency": 2}, {"worker_concurrency": 2}, {"partition_concurrency": 2}, {"rate_limit_max": 2}],
    ids=lambda limits: next(iter(limits)),
)
def test_at_rest_nothing_waits_on_a_served_queue_that_has_room(rows, limits):
    period = {"rate_limit_period_sec": 3600.0} if "rate_limit_max" in limits else {}
    insert(rows, "queues", queue_id="q", name="q", polling_interval_sec=1.0, **limits, **period)
    live_process(rows)
    workflow(rows, "w", status="ENQUEUED", queue_name="q", application_version="v1", updated_at=5)
    rows.execute("update {workflow_status} set started_at_epoch_ms = ? where workflow_uuid = 'running'", 2**52)
    assert check_invariants(rows.url, at_rest=True) == []
    found = "ENQUEUED since 5, and a process of its version is alive"
    left = [Violation("at rest, nothing waits that a live process may run", "w", found)]
    assert check_invariants(rows.url, at_rest=True, served=["q"]) == left
    assert check_invariants(rows.url, at_rest=True, served=["others"]) == []
    rows.execute(f"update {{queues}} set {next(iter(limits))} = 1")  # which is what runs
    assert check_invariants(rows.url, at_rest=True, served=["q"]) == []


@pytest.mark.rules("EX-51")
def test_an_outcome_that_changes_is_told(rows):
    before = read_outcomes(rows.url)
    assert set(before) == {"done", "failed"}
    whole(rows, "done", "another")
    assert check_invariants(rows.url, since=before) == []
    rows.execute("update {workflow_output} set output = 'else' where workflow_uuid = 'done'")
    rows.execute("update {workflow_status} set status = 'ENQUEUED', queue_name = 'q' where workflow_uuid = 'failed'")
    told = {v.workflow_id: v.found for v in check_invariants(rows.url, since=before) if v.law == "an outcome stays"}
    assert told == {"done": "was SUCCESS and is SUCCESS", "failed": "was ERROR and is none"}


def test_what_an_application_leaves_behind_is_sound(launch, db):
    @DBOS.step()
    def step() -> str:
        DBOS.set_event("within", 1)
        DBOS.write_stream("numbers", 0)
        return "done"

    @DBOS.workflow()
    def child() -> str | None:
        return DBOS.recv("topic", timeout_seconds=60)

    @DBOS.workflow()
    def program(child_id: str) -> str:
        with SetWorkflowID(child_id):
            handle = DBOS.start_workflow(child)
        DBOS.send(child_id, "hello", "topic")
        DBOS.set_event("progress", 1)
        step()
        DBOS.set_event("progress", 2)
        DBOS.write_stream("numbers", 1)
        DBOS.close_stream("numbers")
        assert check_invariants(db.url, at_rest=True) == []
        return handle.get_result() + step()

    @DBOS.workflow()
    def failing() -> None:
        raise ValueError("no")

    launch()
    DBOS.register_queue("q", concurrency=1, limiter={"limit": 100, "period": 60})
    with SetWorkflowID("w"):
        assert program("w-child") == "hellodone"
    with pytest.raises(ValueError, match="no"):
        failing()
    handles = [DBOS.enqueue_workflow("q", failing) for _ in range(5)]
    with SetEnqueueOptions(delay_seconds=3600, deduplication_id="later"), SetWorkflowID("later"):
        DBOS.enqueue_workflow("q", failing)
    for handle in handles:
        with pytest.raises(ValueError, match="no"):
            handle.get_result()
    assert DBOS.fork_workflow("w", 4, application_version="nobody's")
    DBOS.cancel_workflow("later")
    DBOS.rewind_workflow("w-child", start_step=2)
    assert DBOS.retrieve_workflow("w-child").get_result() is not None
    assert check_invariants(db.url, at_rest=True, dense=True) == []
    DBOS.delete_workflow("w")
    assert check_invariants(db.url, at_rest=True) == []
    with DBOSClient(system_database_url=db.url) as client:
        client.enqueue({"workflow_name": "nobody's", "queue_name": "q"})
    DBOS.destroy()  # which may have claimed it, and leaves it to whoever knows its function
    assert check_invariants(db.url) == []


def test_a_database_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DBOSException):
        check_invariants(f"sqlite:///{tmp_path}/none.sqlite")
    with pytest.raises(OperationalError):
        check_invariants("postgresql://postgres@127.0.0.1:1/none")
