"""Deleting workflows: everything of them goes, nothing comes back, whoever runs or awaits them learns of it."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TimedOut
from typing import Any

import pytest
from programs import BOUND_SEC, OF_WORKFLOWS, Gate, rerun, status_of, step_names, workflow_row, workflow_rows

from dbos import DBOS, DBOSClient, SetEnqueueOptions, SetWorkflowID, testing
from dbos import error as dbos_error

NonExistent = dbos_error.DBOSNonExistentWorkflowError


def rows_of(db: Any, workflow_id: str) -> dict[str, int]:
    """Return how many rows of a workflow each table holds, where there are any."""
    counted = {
        table: db.rows(f"select count(*) as number from {{{table}}} where {column} = ?", workflow_id)[0]["number"]
        for table, column in OF_WORKFLOWS.items()
    }
    return {table: number for table, number in counted.items() if number}


@pytest.mark.rules("MGT-50", "DEL-1", "DEL-5")
async def test_every_row_of_a_deleted_workflow_goes(launch, db, face):
    @face.step()
    async def step() -> int:
        return 1

    @face.workflow()
    async def program() -> int:
        await face.dbos.set_event("key", "value")
        await face.dbos.recv("topic")
        return await step()

    launch()
    for workflow_id in ("w", "other"):
        with SetWorkflowID(workflow_id):
            handle = await face.start(program)
        await face.dbos.send(workflow_id, "hello", "topic")
        await handle.get_result()
        db.execute(
            'insert into {streams} (workflow_uuid, key, value, "offset") values (?, ?, ?, ?)', workflow_id, "s", "1", 0
        )
    before = rows_of(db, "w")
    assert set(before) == set(OF_WORKFLOWS)
    assert await face.dbos.delete_workflow("w") is None
    assert rows_of(db, "w") == {}
    assert rows_of(db, "other") == before
    assert await face.dbos.get_workflow_status("w") is None


@pytest.mark.rules("MGT-50", "CLT-56")
async def test_unknown_ids_are_ignored(launch, db, face, client):
    @face.workflow()
    async def program() -> int:
        return 1

    launch()
    with SetWorkflowID("w"):
        await program()
    await face.dbos.delete_workflow("absent")
    await face.dbos.delete_workflows([])
    await face.dbos.delete_workflows(["absent", "w", "w"])
    assert workflow_rows(db) == []


@pytest.mark.rules("CLT-56", "CLT-62", "COM-13")
async def test_a_client_deletes(launch, db, client):
    @DBOS.workflow(name="child")
    def child() -> None: ...

    @DBOS.workflow()
    def parent() -> None:
        child()

    launch()
    for number in range(4):
        with SetWorkflowID(f"w{number}"):
            parent()
    client.delete_workflow("absent")
    client.delete_workflow("w0", delete_children=True)
    await client.delete_workflow_async("w1", delete_children=True)
    client.delete_workflows(["w2", "absent"])
    await client.delete_workflows_async(["w3"])
    assert [row["workflow_uuid"] for row in workflow_rows(db)] == ["w2-1", "w3-1"]


@pytest.mark.rules("MGT-50")
@pytest.mark.parametrize("status", ["ENQUEUED", "DELAYED", "CANCELLED", "ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"])
async def test_a_workflow_is_deleted_in_any_status(launch, db, face, status):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("w"), SetEnqueueOptions(delay_seconds=3600 if status == "DELAYED" else None):
        await face.dbos.enqueue_workflow("nobody-listens", face.fn(program))
    db.execute("update {workflow_status} set status = ? where workflow_uuid = ?", status, "w")
    await face.dbos.delete_workflow("w")
    assert rows_of(db, "w") == {}


@pytest.mark.rules("MGT-51", "CLT-62")
async def test_children_survive_unless_they_are_deleted_too(launch, db, face):
    @face.workflow(name="leaf")
    async def leaf() -> None: ...

    @face.workflow(name="middle")
    async def middle() -> None:
        await leaf()

    @face.workflow()
    async def root() -> None:
        await middle()
        await leaf()

    launch()
    for workflow_id in ("kept", "gone"):
        with SetWorkflowID(workflow_id):
            await root()
    db.execute("update {workflow_status} set forked_from = ? where workflow_uuid = ?", "gone-3", "kept-3")
    await face.dbos.delete_workflow("kept")
    await face.dbos.delete_workflows(["gone"], delete_children=True)
    left = {row["workflow_uuid"]: row["parent_workflow_id"] for row in workflow_rows(db)}
    assert left == {"kept-1": "kept", "kept-1-1": "kept-1", "kept-3": "kept"}


@pytest.mark.rules("MGT-51")
async def test_a_cycle_of_parents_does_not_hold_up_a_deletion(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    for workflow_id in ("a", "b"):
        with SetWorkflowID(workflow_id):
            await program()
    db.execute("update {workflow_status} set parent_workflow_id = case workflow_uuid when 'a' then 'b' else 'a' end")
    await face.dbos.delete_workflow("a", delete_children=True)
    assert workflow_rows(db) == []


@pytest.mark.rules("MGT-52", "MGT-40a", "DEL-5")
async def test_a_running_workflow_that_is_deleted_fails_and_writes_nothing(launch, db, face):
    gate = Gate()
    ran: list[int] = []

    @face.step()
    async def step() -> None:
        ran.append(1)

    @face.workflow()
    async def program() -> None:
        await step()
        await gate.wait()
        await step()

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    await face.dbos.delete_workflow("w")
    gate.open()
    with pytest.raises(NonExistent):
        await handle.get_result()
    assert ran == [1]
    assert rows_of(db, "w") == {}


@pytest.mark.rules("MGT-52", "DEL-5")
@pytest.mark.parametrize("where", ["step", "end"])
async def test_what_a_client_deletes_fails_at_its_next_write(launch, db, face, client, where):
    gate = Gate()

    @face.step()
    async def step() -> int:
        await gate.wait()
        return 1

    @face.workflow()
    async def program() -> None:
        await (step() if where == "step" else gate.wait())

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    client.delete_workflow("w")
    gate.open()
    with pytest.raises(NonExistent):
        await handle.get_result()
    assert rows_of(db, "w") == {}


@pytest.mark.rules("DEL-5", "MGT-52")
@pytest.mark.parametrize("number", range(1, 12))
async def test_deleted_before_any_commit_it_leaves_nothing_behind(launch, db, face, number):
    """The deletion comes between a run's operation and its commit, whichever it is."""

    @face.step()
    async def step() -> int:
        return 1

    @face.workflow(name="child")
    async def child() -> int:
        return await step()

    @face.workflow()
    async def program() -> int:
        await step()
        await face.dbos.set_event("key", 1)
        await face.dbos.send(DBOS.workflow_id, "hello")
        await face.dbos.recv()
        await child()
        return await step()

    launch()
    deleted: list[bool] = []

    def delete() -> None:
        with DBOSClient(system_database_url=db.url) as client:
            deleted.append(status_of(db, "w") is not None)
            client.delete_workflow("w", delete_children=True)

    with SetWorkflowID("w"), testing.at_commit(number, delete), contextlib.suppress(NonExistent):
        await program()
    assert len(deleted) == 1
    left = [table for table in OF_WORKFLOWS if db.rows(f"select * from {{{table}}}")]
    # All or nothing. Services commit too: the first commit may be one of theirs, before there is anything to delete.
    assert not left or (not deleted[0] and left == [table for table in OF_WORKFLOWS if table != "streams"])


@pytest.mark.rules("MGT-53", "DEL-5")
async def test_a_deleted_id_starts_afresh(launch, db, face):
    @face.step()
    async def step(number: int) -> int:
        return number

    @face.workflow()
    async def program(number: int) -> int:
        return await step(number)

    launch()
    for number in (1, 2):
        with SetWorkflowID("w"):
            assert await program(number) == number
        await face.dbos.delete_workflow("w")
    assert await face.dbos.get_workflow_status("w") is None


@pytest.mark.rules("MGT-53", "MGT-52", "RV-44")
@pytest.mark.parametrize("deleter", ["the application", "a client"])
async def test_a_deleted_id_runs_again_while_its_old_execution_still_does(launch, db, face, client, deleter):
    gates = {1: Gate(), 2: Gate()}
    seen: list[int] = []

    @face.step()
    async def step(number: int) -> int:
        seen.append(number)
        return number

    @face.workflow()
    async def program(number: int) -> int:
        await gates[number].wait()
        return await step(number)

    launch()
    await face.dbos.register_queue("queue", polling_interval_sec=0.01)
    handles = {}
    for number in (1, 2):
        with SetWorkflowID("w"):
            handles[number] = await face.dbos.enqueue_workflow("queue", face.fn(program), number)
        await gates[number].reached()
        if number == 1 and deleter == "a client":
            client.delete_workflow("w")
        elif number == 1:
            await face.dbos.delete_workflow("w")
    gates[1].open()
    gates[2].open()
    assert await handles[2].get_result() == 2
    assert seen == [2]
    assert step_names(db, "w")[0][0] == 1


@pytest.mark.rules("MGT-50", "COM-4")
async def test_in_a_workflow_a_deletion_is_a_step(launch, db, face):
    @face.workflow(name="victim")
    async def victim() -> None: ...

    @face.workflow()
    async def program() -> None:
        await face.dbos.delete_workflow("v")

    launch()
    with SetWorkflowID("v"):
        await victim()
    with SetWorkflowID("w"):
        await program()
    assert step_names(db, "w") == [(1, "DBOS.deleteWorkflow")]
    with SetWorkflowID("v"):
        await victim()
    await rerun(face, db, "w")
    assert status_of(db, "v") == "SUCCESS"  # replayed: the new one was not deleted


@pytest.mark.rules("MGT-50", "DEL-5", "COM-4")
async def test_a_deletion_and_its_step_commit_together(launch, db, face):
    class Broken(Exception):
        pass

    @face.workflow(name="victim")
    async def victim() -> None: ...

    @face.workflow()
    async def program() -> None:
        def fail() -> None:
            raise Broken

        with testing.at_commit(1, fail, when="before"):
            await face.dbos.delete_workflow("v")

    launch()
    with SetWorkflowID("v"):
        await victim()
    with SetWorkflowID("w"), pytest.raises(Broken):
        await program()
    assert status_of(db, "v") == "SUCCESS"


@pytest.mark.rules("MGT-52", "DEL-5")
async def test_a_workflow_may_delete_itself(launch, db, face):
    ran: list[int] = []

    @face.step()
    async def step() -> None:
        ran.append(1)

    @face.workflow()
    async def program() -> None:
        await face.dbos.delete_workflow(DBOS.workflow_id)
        await step()

    launch()
    with SetWorkflowID("w"), pytest.raises(NonExistent):
        await program()
    assert ran == []
    assert rows_of(db, "w") == {}


@pytest.mark.rules("MGT-52", "MGT-53")
@pytest.mark.parametrize("deleter", ["the application", "a client"])
@pytest.mark.parametrize("waits", ["get_result", "wait_first"])
def test_who_waits_for_a_workflow_that_is_deleted_learns_of_it(launch, db, client, waits, deleter):
    @DBOS.workflow()
    def program() -> None: ...

    launch(notification_listener_polling_interval_sec=0.05)
    with SetWorkflowID("w"):
        handle = DBOS.enqueue_workflow("nobody-listens", program)
    with ThreadPoolExecutor(1) as thread:
        waiting = (
            thread.submit(DBOS.get_result, "w") if waits == "get_result" else thread.submit(DBOS.wait_first, [handle])
        )
        # Nothing outside tells that somebody waits: that it goes on waiting shows that it does.
        with pytest.raises(TimedOut):
            waiting.result(timeout=0.2)
        (client if deleter == "a client" else DBOS).delete_workflow("w")
        with pytest.raises(NonExistent):
            waiting.result(timeout=BOUND_SEC)


@pytest.mark.rules("HND-5", "MGT-53")
def test_who_waits_for_an_id_that_is_new_goes_on_waiting(launch, client):
    @DBOS.workflow(name="program")
    def program() -> int:
        return 1

    launch(notification_listener_polling_interval_sec=0.05)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(DBOS.get_result, "w")
        client.delete_workflow("w")
        with pytest.raises(TimedOut):
            waiting.result(timeout=0.2)
        with SetWorkflowID("w"):
            program()
        assert waiting.result(timeout=BOUND_SEC) == 1


@pytest.mark.rules("MGT-51", "DEL-5")
async def test_a_tree_that_grows_is_deleted_whole(launch, db, face):
    started = Gate()
    started.open()

    @face.workflow(name="leaf")
    async def leaf() -> None: ...

    @face.workflow()
    async def program() -> None:
        for _ in range(5):
            await face.start(leaf)
        await started.wait()
        while True:
            await face.start(leaf)

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await started.reached()
    await face.dbos.delete_workflow("w", delete_children=True)
    with pytest.raises(NonExistent):
        await handle.get_result()
    assert workflow_rows(db) == []


@pytest.mark.rules("CLT-56", "COM-23")
async def test_shard_keys_are_refused(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowID("w"):
        await program()
    with pytest.raises(dbos_error.DBOSException, match="not sharded"):
        await face.dbos.delete_workflow("w", shard_key="k")
    assert workflow_row(db, "w")["status"] == "SUCCESS"
