"""Rows that nobody of us has written: they cost nobody but themselves, and somebody says what is wrong with them."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import pytest
from programs import logged, says, workflow_row

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID
from dbos.error import DBOSException, DBOSNonExistentWorkflowError

AGAIN = "update {workflow_status} set status = 'ENQUEUED', queue_name = 'q', owner_xid = null where workflow_uuid = ?"


@pytest.mark.rules("DQ-10")
@pytest.mark.parametrize(("column", "value"), [("polling_interval_sec", -1.0), ("rate_limit_period_sec", float("inf"))])
def test_a_queue_whose_row_makes_no_sense_is_passed_over(launch, db, column, value):
    @DBOS.workflow()
    def program() -> int:
        return 1

    launch()
    DBOS.register_queue("spoiled", limiter={"limit": 5, "period": 1.0})
    db.execute(f'update {{queues}} set "{column}" = ?', value)
    with logged() as records:
        DBOS.register_queue("q", polling_interval_sec=0.05)
        assert DBOS.enqueue_workflow("q", program).get_result() == 1
        assert [queue.name for queue in DBOS.list_queues()] == ["q"]
    assert says(records, "Queue 'spoiled' is passed over", logging.WARNING)
    DBOS.register_queue("spoiled", polling_interval_sec=0.05, on_conflict="always_update")
    assert DBOS.enqueue_workflow("spoiled", program).get_result() == 1


@pytest.mark.rules("DQ-50", "ENC-21")
def test_a_time_that_is_no_number_does_not_hold_up_a_queue(launch, db):
    if db.dialect != "sqlite":
        pytest.skip("Postgres keeps numbers only where numbers belong")

    @DBOS.workflow()
    def program() -> int:
        return 1

    launch()
    handles = [DBOS.enqueue_workflow("q", program) for _ in range(2)]
    db.execute("update {workflow_status} set created_at = 'garbage' where workflow_uuid = ?", handles[0].workflow_id)
    DBOS.register_queue("q", polling_interval_sec=0.05)
    assert [handle.get_result() for handle in handles] == [1, 1]


@pytest.mark.rules("RV-50")
def test_a_lease_with_an_impossible_process_does_not_stop_the_sweeper(launch, db):
    @DBOS.workflow()
    def program() -> int:
        return 1

    launch()
    db.execute(
        "insert into {executors} select 'spoiled', 'spoiled', application_name, application_version, host, boot_id, ?, "
        "process_started, started_at_epoch_ms, heartbeat_at_epoch_ms, expires_at_epoch_ms, draining from {executors}",
        2**62,
    )
    DBOS.register_queue("q", polling_interval_sec=0.05)
    with logged() as records:
        # Only the sweeper enqueues what was delayed.
        with SetEnqueueOptions(delay_seconds=0.1):
            handle = DBOS.enqueue_workflow("q", program)
        assert handle.get_result() == 1
    assert not says(records, "The sweeper failed")


@pytest.mark.rules("MGT-52", "CON-13b")
@pytest.mark.parametrize("has_result", [True, False])
def test_a_recovered_parent_whose_child_was_deleted_does_not_wait_for_it(launch, db, has_result):
    """It gets what it has recorded of the child, else learns that there is none."""

    @DBOS.workflow()
    def child() -> int:
        return 7

    @DBOS.workflow()
    def parent() -> Any:
        handle = DBOS.start_workflow(child)
        try:
            return handle.get_result()
        except DBOSNonExistentWorkflowError:
            return "none"

    launch()
    DBOS.register_queue("q", polling_interval_sec=0.05)
    with SetWorkflowID("w"):
        parent()
    DBOS.delete_workflow("w-1")
    if not has_result:
        db.execute("delete from {operation_outputs} where function_id = 2")
    db.execute(AGAIN, "w")
    retrieved = DBOS.retrieve_workflow("w")
    assert retrieved.get_result() == (7 if has_result else "none")
    assert workflow_row(db, "w")["status"] == "SUCCESS"


@pytest.mark.rules("HND-3")
def test_a_status_of_a_later_version_is_named(launch, db):
    @DBOS.workflow()
    def program() -> int:
        return 1

    launch()
    with SetWorkflowID("w"):
        program()
    db.execute("update {workflow_status} set status = 'PAUSED'")
    with pytest.raises(DBOSException, match="w has status 'PAUSED', which this version of dbos does not know"):
        DBOS.get_result("w")
    assert [row.status for row in DBOS.list_workflows()] == ["PAUSED"]


@pytest.mark.rules("DEC-38", "ENC-21", "INS-1", "ST-35")
@pytest.mark.parametrize("db", ["sqlite"], indirect=True)  # Postgres keeps only texts as texts
@pytest.mark.parametrize("column", ["workflow_uuid", "creator_xid", "queue_name"])
@pytest.mark.parametrize("bad", ["x'ff66'", "cast(x'ff66' as text)"])
def test_a_text_that_is_no_text_costs_its_row_only(launch, db, column, bad):
    """Whether SQLite keeps bytes, or calls a text what is no UTF-8."""

    @DBOS.workflow()
    def program() -> int:
        return 1

    launch()
    handles = [DBOS.enqueue_workflow("q", program) for _ in range(2)]
    db.execute(f'update {{workflow_status}} set "{column}" = {bad} where workflow_uuid = ?', handles[0].workflow_id)
    with logged() as records:
        DBOS.register_queue("q", concurrency=1, polling_interval_sec=0.05)
        assert handles[1].get_result() == 1
        first, second = DBOS.list_workflows()
    recorded = pickle.loads(pickle.dumps(first))
    assert (recorded.workflow_id, recorded.queue_name) == (first.workflow_id, first.queue_name)
    ended = {"workflow_uuid": "ERROR", "queue_name": "ENQUEUED"}
    assert (first.status, second.status) == (ended.get(column, "SUCCESS"), "SUCCESS")
    reported = [record for record in records if "Workflow ID is no text" in str(record.exc_info)]
    assert len(reported) == (column == "workflow_uuid")
    assert not says(records, "trying again")
