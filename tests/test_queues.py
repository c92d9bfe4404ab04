"""Serving queues: which ones a process serves, when it claims, in which order, and what one bad row does to others."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from programs import (
    INTERNAL_QUEUE,
    Gate,
    logged,
    reaches,
    says,
    status_of,
    until,
    workflow_row,
)

from dbos import DBOS, DBOSConfiguredInstance, DBOSContextSetAuth, Queue, SetEnqueueOptions, SetWorkflowID
from dbos import error as dbos_error


@pytest.mark.rules("DQ-1", "DQ-2", "EQ-5", "QU-19", "FT-25")
async def test_rows_wait_until_their_queue_is_registered(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    await face.dbos.register_queue("other")
    await face.dbos.register_queue("q")
    await (await face.dbos.enqueue_workflow("q", face.fn(program))).get_result()
    with logged() as records:
        await face.dbos.delete_queue("q")
        await until(lambda: says(records, "q is not registered any more"))
    with SetWorkflowID("w"):
        handle = await face.dbos.enqueue_workflow("q", face.fn(program))
    await (await face.dbos.enqueue_workflow("other", face.fn(program))).get_result()
    assert status_of(db, "w") == "ENQUEUED"
    await face.dbos.register_queue("q")
    await handle.get_result()


@pytest.mark.rules("DQ-1", "QU-18")
async def test_queues_of_other_applications_are_not_served(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    db.execute(
        "insert into {queues} (queue_id, name, created_at, updated_at, application_name) values "
        "('1', 'theirs', 1, 1, 'other'), ('2', 'nobodys', 1, 1, null)"
    )
    with SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("theirs", face.fn(program))
    await (await face.dbos.enqueue_workflow("nobodys", face.fn(program))).get_result()
    assert status_of(db, "w") == "ENQUEUED"


@pytest.mark.rules("DQ-3", "DQ-4", "DQ-5")
async def test_listening_to_some_queues_only(launch, db, face):
    with pytest.warns(DeprecationWarning):
        declared = Queue("declared")

    @face.workflow()
    async def program() -> None: ...

    DBOS(
        config={
            "name": "testapp",
            "system_database_url": db.url,
            "application_version": "v1",
            "executor_id": "local",
        }
    )
    DBOS.listen_queues(["later", declared])
    with pytest.raises(dbos_error.DBOSException, match="more than once"):
        DBOS.listen_queues([])
    launch()
    with pytest.raises(dbos_error.DBOSException, match="after DBOS is launched"):
        DBOS.listen_queues([])
    with logged() as records:
        await face.dbos.register_queue("later")
        await face.dbos.register_queue("deaf")
    assert says(records, "Registered new queue (not listening): deaf")
    with SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("deaf", face.fn(program))
    for queue_name in ("later", "declared", INTERNAL_QUEUE):
        await (await face.dbos.enqueue_workflow(queue_name, face.fn(program))).get_result()
    assert status_of(db, "w") == "ENQUEUED"
    await (await face.dbos.resume_workflow("w")).get_result()
    DBOS.destroy()
    launch()
    await (await face.dbos.enqueue_workflow("deaf", face.fn(program))).get_result()


@pytest.mark.rules("EQ-60", "EQ-61", "DQ-50", "QS-6", "QU-39")
async def test_order_is_by_priority_then_age(launch, face):
    ran: list[str] = []

    @face.workflow()
    async def program(name: str) -> None:
        ran.append(name)

    launch()
    handles = []
    for name, priority in [("a", None), ("5", 5), ("1", 1), ("3", 3), ("b", None), ("4", 4), ("2", 2), ("c", None)]:
        with SetEnqueueOptions(priority=priority):
            handles.append(await face.dbos.enqueue_workflow("q", face.fn(program), name))
    await face.dbos.register_queue("q", concurrency=1)
    for handle in handles:
        await handle.get_result()
    assert ran == ["a", "b", "c", "1", "2", "3", "4", "5"]


@pytest.mark.rules("DQ-22", "QS-5", "DQ-21", "OWN-3", "EQ-7")
async def test_which_rows_a_process_may_claim(launch, db, face):
    @face.workflow(name="program")
    async def program() -> None: ...

    launch()
    for workflow_id, version in (("old", "v0"), ("any", None), ("mine", "v1"), ("theirs", "v1"), ("nobodys", "v1")):
        options: Any = {"workflow_name": "program", "queue_name": "q", "workflow_id": workflow_id}
        await face.dbos.enqueue_workflow_with_options({**options, "app_version": version})
    db.execute("update {workflow_status} set application_name = 'other' where workflow_uuid = 'theirs'")
    db.execute("update {workflow_status} set application_name = null where workflow_uuid = 'nobodys'")
    await face.dbos.register_queue("q", concurrency=1)
    for workflow_id in ("any", "mine", "nobodys"):
        await face.dbos.get_result(workflow_id)
    row = workflow_row(db, "any")
    assert (row["application_version"], row["executor_id"]) == ("v1", "local")
    assert workflow_row(db, "nobodys")["application_name"] == "testapp"
    assert (status_of(db, "old"), status_of(db, "theirs")) == ("ENQUEUED", "ENQUEUED")
    # A process that does not run the latest version leaves version-less rows alone.
    db.execute(
        "insert into {application_versions} (version_id, version_name, version_timestamp, created_at)"
        " values ('x', 'v2', 99999999999999, 1)"
    )
    options = {"workflow_name": "program", "queue_name": "q", "workflow_id": "newest"}
    await face.dbos.enqueue_workflow_with_options(options)
    await (await face.dbos.enqueue_workflow("q", face.fn(program))).get_result()
    assert status_of(db, "newest") == "ENQUEUED"


@pytest.mark.rules("DQ-72", "DQ-75", "DQ-71", "DQ-73", "ST-35", "DQ-51")
async def test_one_bad_row_never_holds_up_its_batch(launch, db, face):
    @face.workflow(name="program")
    async def program(x: int) -> int:
        return x

    launch()
    for number in range(5):
        with SetWorkflowID(f"w{number}"):
            await face.dbos.enqueue_workflow("q", face.fn(program), number)
    await face.dbos.enqueue_workflow_with_options(
        {"workflow_name": "unknown", "queue_name": "q", "workflow_id": "stranger", "app_version": "v1"}
    )
    db.execute("update {workflow_input} set inputs = 'no such thing' where workflow_uuid = 'w1'")
    db.execute("update {workflow_status} set workflow_timeout_ms = 9223372036854775807 where workflow_uuid = 'w2'")
    with logged() as records:
        await face.dbos.register_queue("q")
        for number in (0, 2, 3, 4):
            assert await face.dbos.get_result(f"w{number}") == number
        await reaches(db, "w1", "ERROR")
        await until(lambda: says(records, "stranger", logging.ERROR))
    assert status_of(db, "stranger") == "PENDING"
    assert workflow_row(db, "w2")["workflow_deadline_epoch_ms"] == 2**63 - 1


@pytest.mark.rules("EQ-8", "DQ-51", "DQ-66", "EQ-7")
async def test_very_many_rows_are_all_run(launch, db, face):
    @face.workflow()
    async def program(x: int) -> int:
        return x

    launch(max_executor_threads=20)
    await face.dbos.enqueue_workflows("q", [(face.fn(program), (x,)) for x in range(2500)])
    await face.dbos.register_queue("q")
    await until(lambda: db.rows("select count(*) as n from {workflow_status} where status = 'SUCCESS'")[0]["n"] == 2500)


@pytest.mark.rules("DQ-2", "DQ-12")
async def test_a_failing_queue_does_not_delay_others(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    # What this row says cannot be claimed: the claim of its queue fails.
    db.execute("insert into {queues} (queue_id, name, created_at, updated_at) values ('1', 'broken', 1, 1)")
    with logged(logging.WARNING) as records:
        if db.dialect == "postgres":
            db.execute(
                "alter table {workflow_status} "
                "add constraint no_claim check (queue_name <> 'broken' or status <> 'PENDING')"
            )
        else:
            db.execute(
                "create trigger no_claim before update on {workflow_status} when new.queue_name = 'broken' "
                "and new.status = 'PENDING' begin select raise(abort, 'no claim'); end"
            )
        db.execute("update {queues} set concurrency = 3 where name = 'broken'")
        await face.dbos.enqueue_workflow("broken", face.fn(program))
        await face.dbos.register_queue("q")
        await (await face.dbos.enqueue_workflow("q", face.fn(program))).get_result()
        await until(lambda: says(records, "Claiming from broken failed", logging.WARNING))
        await (await face.dbos.enqueue_workflow("q", face.fn(program))).get_result()


@pytest.mark.rules("DQ-80", "DQ-34")
async def test_cancelling_frees_the_slot_and_keeps_queued_ones_from_running(launch, db, face):
    ran: list[int] = []
    gate = Gate()

    @face.workflow()
    async def program(x: int) -> None:
        ran.append(x)
        if x == 0:
            await gate.wait()

    launch()
    await face.dbos.register_queue("q", concurrency=1, polling_interval_sec=3600)
    handles = []
    for x in range(3):
        with SetWorkflowID(f"w{x}"):
            handles.append(await face.dbos.enqueue_workflow("q", face.fn(program), x))
    await gate.reached()
    await face.dbos.cancel_workflow("w1")
    row = workflow_row(db, "w1")
    assert (row["status"], row["queue_name"], row["started_at_epoch_ms"]) == ("CANCELLED", None, None)
    await face.dbos.cancel_workflow("w0")
    await handles[2].get_result()
    gate.open()
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await handles[0].get_result()
    assert ran == [0, 2] and status_of(db, "w0") == "CANCELLED"


@pytest.mark.rules("DQ-81", "EQ-51")
async def test_resuming_moves_a_queued_workflow_past_its_queue(launch, db, face):
    @face.workflow()
    async def program() -> int:
        return 5

    launch()
    await face.dbos.register_queue("paused", worker_concurrency=0)
    with SetWorkflowID("w"), SetEnqueueOptions(deduplication_id="d", priority=3):
        handle = await face.dbos.enqueue_workflow("paused", face.fn(program))
    await face.dbos.resume_workflow("w")
    assert await handle.get_result() == 5
    row = workflow_row(db, "w")
    assert (row["queue_name"], row["deduplication_id"], row["priority"]) == (INTERNAL_QUEUE, None, 3)


@pytest.mark.rules("DQ-13", "RV-60")
def test_destroying_ends_claims_promptly_whatever_the_interval(launch, db):
    @DBOS.workflow()
    def program() -> None: ...

    launch()
    DBOS.register_queue("q", polling_interval_sec=3600)
    DBOS.enqueue_workflow("q", program).get_result()
    ended = threading.Event()

    def destroy() -> None:
        DBOS.destroy()
        ended.set()

    threading.Thread(target=destroy).start()
    assert ended.wait(5)
    db.execute("update {workflow_status} set status = 'ENQUEUED'")
    assert db.rows("select status from {workflow_status}")[0]["status"] == "ENQUEUED"


@pytest.mark.rules("DQ-14", "DQ-10")
async def test_rows_of_other_processes_are_found_by_polling(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    await face.dbos.register_queue("q", polling_interval_sec=0.05)
    with SetWorkflowID("w"):
        await face.dbos.enqueue_workflow("elsewhere", face.fn(program))
    db.execute("update {workflow_status} set queue_name = 'q' where workflow_uuid = 'w'")
    await reaches(db, "w", "SUCCESS")


@pytest.mark.rules("QU-31", "DQ-10", "FT-24")
async def test_changed_settings_take_effect_without_a_restart(launch, db, face):
    gates = [Gate() for _ in range(3)]

    @face.workflow()
    async def program(x: int) -> None:
        await gates[x].wait()

    launch()
    queue = await face.dbos.register_queue("q", concurrency=1)
    for x in range(3):
        await face.dbos.enqueue_workflow("q", face.fn(program), x)
    await gates[0].reached()
    if face.looping:
        await queue.set_concurrency_async(2)
    else:
        queue.set_concurrency(2)
    await gates[1].reached()
    # As another process would change it.
    db.execute("update {queues} set concurrency = 3")
    await gates[2].reached()
    for gate in gates:
        gate.open()


@pytest.mark.rules("RV-22", "EQ-61", "FT-17")
async def test_a_recovered_workflow_is_ahead_of_younger_ones(launch, db, face):
    ran: list[str] = []

    @face.workflow()
    async def program(name: str) -> None:
        ran.append(name)

    launch()
    await face.dbos.register_queue("q", concurrency=1)
    for name in ("first", "second"):
        with SetWorkflowID(name):
            await face.dbos.enqueue_workflow("elsewhere", face.fn(program), name)
    DBOS.destroy()
    db.execute("update {workflow_status} set queue_name = 'q'")
    db.execute(
        "update {workflow_status} set status = 'PENDING', executor_id = 'local', owner_xid = 'dead' "
        "where workflow_uuid = 'first'"
    )
    launch()
    for name in ("first", "second"):
        await face.dbos.get_result(name)
    assert ran == ["first", "second"]
    assert workflow_row(db, "first")["queue_name"] == "q"


@pytest.mark.rules("DQ-20", "DQ-90")
async def test_what_is_queued_is_listed_and_only_that_of_its_queue_is_claimed(launch, db, face):
    gate = Gate()

    @face.workflow()
    async def program(waits: bool) -> None:
        if waits:
            await gate.wait()

    launch()
    await face.dbos.register_queue("q")
    await (await face.dbos.enqueue_workflow("q", face.fn(program), False)).get_result()
    for name, queue, options in (
        ("running", "q", {}),
        ("elsewhere", "another", {}),
        ("later", "q", {"delay_seconds": 3600}),
    ):
        with SetWorkflowID(name), SetEnqueueOptions(**options):
            await face.dbos.enqueue_workflow(queue, face.fn(program), True)
    await face.start(program, False)  # on no queue
    await gate.reached()
    assert {one.workflow_id: one.status for one in await face.dbos.list_queued_workflows()} == {
        "running": "PENDING",
        "elsewhere": "ENQUEUED",
        "later": "DELAYED",
    }
    found = await face.dbos.list_queued_workflows(status="SUCCESS")
    assert [one.queue_name for one in found] == ["q"]
    gate.open()
    await face.dbos.get_result("running")
    assert {one.workflow_id for one in await face.dbos.list_queued_workflows()} == {"elsewhere", "later"}


@pytest.mark.rules("DQ-70")
def test_a_dispatched_run_has_its_instance_its_arguments_and_its_user(launch):
    @DBOS.dbos_class()
    class Office(DBOSConfiguredInstance):
        @DBOS.required_roles(["clerk"])
        @DBOS.workflow(name="sign")
        def sign(self, text: str) -> list[Any]:
            return [self.config_name, text, DBOS.authenticated_user, DBOS.authenticated_roles, DBOS.assumed_role]

    office = Office("north")
    launch()
    DBOS.register_queue("q")
    with DBOSContextSetAuth("ann", ["clerk", "guest"]):
        signed = DBOS.enqueue_workflow("q", office.sign, "here")
    with DBOSContextSetAuth("bob", ["guest"]):
        refused = DBOS.enqueue_workflow("q", office.sign, "here")
    assert signed.get_result() == ["north", "here", "ann", ["clerk", "guest"], "clerk"]
    with pytest.raises(dbos_error.DBOSNotAuthorizedError):
        refused.get_result()
