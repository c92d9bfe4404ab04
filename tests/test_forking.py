"""Forking: what a fork begins with, what it is, where it goes on."""

from __future__ import annotations

from typing import Any

import pytest
from programs import INTERNAL_QUEUE, Gate, status_of, step_names, workflow_row, workflow_rows
from sqlalchemy.exc import IntegrityError

from dbos import DBOS, DBOSClient, SetWorkflowAttributes, SetWorkflowID, SetWorkflowTimeout
from dbos import error as dbos_error

NonExistent = dbos_error.DBOSNonExistentWorkflowError
NO_VERSION = "a version nobody runs"
TAKEN_OVER = {
    "name",
    "class_name",
    "config_name",
    "serialization",
    "authenticated_user",
    "authenticated_roles",
    "assumed_role",
    "attributes",
    "application_name",
    "application_id",
}
LEFT_BEHIND = {
    "parent_workflow_id",
    "deduplication_id",
    "delay_until_epoch_ms",
    "workflow_deadline_epoch_ms",
    "workflow_timeout_ms",
    "schedule_name",
    "output",
    "error",
    "executor_id",
    "owner_xid",
    "started_at_epoch_ms",
    "completed_at",
    "debounce_deadline_epoch_ms",
}


class Shop:
    """A workflow of three steps with events between them, whose runs are counted."""

    def __init__(self, face: Any) -> None:
        self.ran: list[int] = []

        @face.step(name="count")
        async def count(number: int) -> int:
            self.ran.append(number)
            return number

        @face.workflow(name="shop")
        async def shop(arg: str = "x") -> str:
            await count(1)
            await face.dbos.set_event("place", "first")
            await count(3)
            await face.dbos.set_event("place", "second")
            await count(5)
            return f"{arg} {DBOS.workflow_id}"

        self.workflow = shop


async def finished(workflow: Any, workflow_id: str, *args: Any) -> Any:
    """Run a workflow under an id to its end."""
    with SetWorkflowID(workflow_id):
        return await workflow(*args)


async def waiting_fork(face: Any, workflow_id: str, start_step: int, fork_id: str, **options: Any) -> Any:
    """Fork a workflow for a version that nobody runs, so that it stays as it was made."""
    with SetWorkflowID(fork_id):
        return await face.dbos.fork_workflow(workflow_id, start_step, application_version=NO_VERSION, **options)


def events(db: Any, workflow_id: str) -> list[str]:
    """Read the keys of a workflow's event history."""
    return [
        (row["function_id"], row["key"])
        for row in db.rows(
            "select function_id, key from {workflow_events_history} where workflow_uuid = ? order by function_id",
            workflow_id,
        )
    ]


@pytest.mark.rules("MGT-20", "MGT-22", "MGT-24", "MGT-26", "VER-3", "ST-29", "CTX-10", "QU-9", "DQ-5")
async def test_a_fork_replays_what_is_below_its_start_step_and_runs_the_rest(launch, db, face):
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w", "a")
    with SetWorkflowID("f"):
        fork = await face.dbos.fork_workflow("w", 3)
    assert fork.workflow_id == "f"
    assert await fork.get_result() == "a f"
    assert shop.ran == [1, 3, 5, 3, 5]
    assert step_names(db, "f") == step_names(db, "w")
    assert workflow_row(db, "f")["forked_from"] == "w"
    source = workflow_row(db, "w")
    assert (source["status"], bool(source["was_forked_from"])) == ("SUCCESS", True)


@pytest.mark.rules("MGT-23")
@pytest.mark.parametrize("start_step", [1, 0, -7])
async def test_a_fork_from_the_first_step_or_before_starts_anew(launch, db, face, start_step):
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w")
    await waiting_fork(face, "w", start_step, "waiting")
    assert step_names(db, "waiting") == []
    assert events(db, "waiting") == []
    assert await (await face.dbos.fork_workflow("w", start_step)).get_result()
    assert shop.ran == [1, 3, 5, 1, 3, 5]


@pytest.mark.rules("MGT-23")
@pytest.mark.parametrize("start_step", [6, 100, 2**40, 2**80])
async def test_a_fork_beyond_the_last_step_runs_no_step(launch, db, face, start_step):
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w")
    with SetWorkflowID("f"):
        assert await (await face.dbos.fork_workflow("w", start_step)).get_result() == "x f"
    assert shop.ran == [1, 3, 5]
    assert step_names(db, "f") == step_names(db, "w")


@pytest.mark.rules("MGT-20", "MGT-21b", "MGT-27", "ST-29")
async def test_a_fork_goes_where_it_is_told(launch, db, face):
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w")
    await waiting_fork(face, "w", 1, "f", queue_name="q", queue_partition_key="k", timeout_seconds=1.5)
    row = workflow_row(db, "f")
    assert (row["status"], row["queue_name"], row["queue_partition_key"]) == ("ENQUEUED", "q", "k")
    assert (row["application_version"], row["workflow_timeout_ms"]) == (NO_VERSION, 1500)
    assert row["workflow_deadline_epoch_ms"] is None
    await waiting_fork(face, "w", 1, "g")
    row = workflow_row(db, "g")
    assert (row["queue_name"], row["queue_partition_key"], row["workflow_timeout_ms"]) == (INTERNAL_QUEUE, None, None)


@pytest.mark.rules("MGT-21a", "MGT-21c", "MGT-27", "CTX-25", "ST-29", "EX-72")
async def test_what_a_fork_takes_over_and_what_not(launch, db, face):
    shop = Shop(face)

    @face.workflow(name="parent")
    async def parent() -> None:
        with SetWorkflowID("w"), SetWorkflowAttributes({"customer": "acme"}), SetWorkflowTimeout(100):
            await shop.workflow("a")

    launch()
    await finished(parent, "p")
    db.execute(
        "update {workflow_status} set priority = 3, deduplication_id = 'd', schedule_name = 's', application_id = 'a', "
        "authenticated_user = 'ann', authenticated_roles = '[\"r\"]', assumed_role = 'r', delay_until_epoch_ms = 5, "
        "is_debounced = true, debounce_deadline_epoch_ms = 7, rate_limited = true where workflow_uuid = 'w'"
    )
    await waiting_fork(face, "w", 9, "f")
    source, fork = workflow_row(db, "w"), workflow_row(db, "f")
    same = {name for name in fork if fork[name] == source[name]}
    assert same >= TAKEN_OVER
    assert {fork[name] for name in LEFT_BEHIND} == {None}
    assert (fork["priority"], fork["recovery_attempts"]) == (0, 0)
    assert not any(fork[name] for name in ("was_forked_from", "is_debounced", "rate_limited"))
    assert source["workflow_timeout_ms"] == 100_000
    assert db.rows("select 1 from {workflow_output} where workflow_uuid = 'f'") == []
    status = await face.dbos.get_workflow_status("f")
    assert status.input == {"args": ("a",), "kwargs": {}}


@pytest.mark.rules("MGT-21a")
async def test_the_fork_of_an_unclaimed_workflow_is_the_callers(launch, db, face):
    shop = Shop(face)
    launch(name="shop-app")
    await finished(shop.workflow, "w")
    await finished(shop.workflow, "of-another")
    db.execute("update {workflow_status} set application_name = null where workflow_uuid = 'w'")
    db.execute("update {workflow_status} set application_name = 'other' where workflow_uuid = 'of-another'")
    await waiting_fork(face, "w", 1, "f")
    await waiting_fork(face, "of-another", 1, "g")
    assert [workflow_row(db, one)["application_name"] for one in ("f", "g")] == ["shop-app", "other"]


@pytest.mark.rules("MGT-21a", "APP-3")
async def test_a_workflow_of_an_older_schema_is_forked_with_its_inputs(launch, db, face):
    """Rows of 2.x have their inputs in `workflow_status`."""
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w", "a")
    inputs = db.rows("select inputs from {workflow_input} where workflow_uuid = 'w'")[0]["inputs"]
    db.execute("delete from {workflow_input} where workflow_uuid = 'w'")
    db.execute("update {workflow_status} set inputs = ? where workflow_uuid = 'w'", inputs)
    with SetWorkflowID("f"):
        assert await (await face.dbos.fork_workflow("w", 1)).get_result() == "a f"


@pytest.mark.rules("MGT-22", "MGT-30", "SDE-1", "EVT-5c")
@pytest.mark.parametrize(("start_step", "place"), [(1, None), (2, None), (3, "first"), (4, "first"), (5, "second")])
async def test_a_forks_events_are_those_below_its_start_step(launch, db, face, start_step, place):
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w")
    await waiting_fork(face, "w", start_step, "f")
    assert await face.dbos.get_event("f", "place", timeout_seconds=0) == place
    assert events(db, "f") == [event for event in events(db, "w") if event[0] < start_step]


@pytest.mark.rules("MGT-22")
async def test_steps_are_copied_with_times_errors_and_formats(launch, db, face):
    @face.step()
    async def fails() -> None:
        raise ValueError("refused")

    @face.workflow()
    async def program() -> None:
        await face.dbos.sleep(0.001)
        with pytest.raises(ValueError, match="refused"):
            await fails()

    launch()
    await finished(program, "w")
    await waiting_fork(face, "w", 3, "f")
    columns = """function_id, function_name, output, error, child_workflow_id, serialization, started_at_epoch_ms,
                 completed_at_epoch_ms, application_name"""
    read = f"select {columns} from {{operation_outputs}} where workflow_uuid = ? order by function_id"
    assert len(db.rows(read, "w")) == 2
    assert db.rows(read, "f") == db.rows(read, "w")


@pytest.mark.rules("MGT-22", "MGT-30")
async def test_streams_are_copied_at_their_offsets_with_their_end(launch, db, face):
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w")
    closed = '"__DBOS_STREAM_CLOSED__"'
    for offset, value, step_id in ((0, '"a"', 1), (1, '"b"', 3), (2, closed, 3), (3, '"late"', 5)):
        db.execute(
            'insert into {streams} (workflow_uuid, key, value, "offset", function_id, serialization) '
            "values ('w', 'out', ?, ?, ?, 'portable_json')",
            value,
            offset,
            step_id,
        )
    await waiting_fork(face, "w", 4, "f")
    rows = db.rows('select value, "offset", function_id from {streams} where workflow_uuid = \'f\' order by "offset"')
    assert [tuple(row.values()) for row in rows] == [('"a"', 0, 1), ('"b"', 1, 3), (closed, 2, 3)]


@pytest.mark.rules("MGT-22", "ST-29")
async def test_messages_are_not_copied(launch, db, face):
    @face.workflow()
    async def program() -> Any:
        return await face.dbos.recv("t", 0)

    launch()
    await finished(program, "w")
    await face.dbos.send("w", "hello", "t")
    with SetWorkflowID("f"):
        assert await (await face.dbos.fork_workflow("w", 1)).get_result() is None
    assert db.rows("select destination_uuid from {notifications}") == [{"destination_uuid": "w"}]


@pytest.mark.rules("MGT-24")
async def test_children_below_the_start_step_stay_those_above_are_new(launch, db, face):
    @face.workflow()
    async def child(number: int) -> str:
        return f"{number} {DBOS.workflow_id}"

    @face.workflow()
    async def parent() -> list[str]:
        return [await child(1), await child(2)]

    launch()
    assert await finished(parent, "w") == ["1 w-1", "2 w-3"]
    with SetWorkflowID("f"):
        fork = await face.dbos.fork_workflow("w", 3)
    assert await fork.get_result() == ["1 w-1", "2 f-3"]


@pytest.mark.rules("MGT-28", "CON-13b")
async def test_replacement_children_take_the_place_of_children_of_replayed_steps(launch, db, face):
    @face.workflow()
    async def child(number: int) -> str:
        return f"{number} {DBOS.workflow_id}"

    @face.workflow()
    async def parent() -> list[str]:
        first = await face.start(child, 1)
        kept = await first.get_result()
        second = await face.start(child, 2)
        return [kept, await second.get_result(), await first.get_result()]

    launch()
    assert await finished(parent, "w") == ["1 w-1", "2 w-3", "1 w-1"]
    await finished(child, "better", 7)
    with SetWorkflowID("f"):
        fork = await face.dbos.fork_workflow("w", 3, replacement_children={"w-1": "better", "absent": "nobody"})
    assert await fork.get_result() == ["7 better", "2 f-3", "7 better"]
    children = db.rows(
        "select child_workflow_id from {operation_outputs} where workflow_uuid = 'f' order by function_id"
    )
    assert [row["child_workflow_id"] for row in children] == ["better", "better", "f-3", "f-3", "better"]


@pytest.mark.rules("MGT-25")
async def test_a_fork_is_forked_and_names_its_immediate_source(launch, db, face):
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w")
    for source, fork in (("w", "f"), ("f", "g")):
        with SetWorkflowID(fork):
            await (await face.dbos.fork_workflow(source, 5)).get_result()
    assert [one.workflow_id for one in await face.dbos.list_workflows(forked_from="w")] == ["f"]
    assert [one.workflow_id for one in await face.dbos.list_workflows(forked_from="f")] == ["g"]
    assert shop.ran == [1, 3, 5, 5, 5]


@pytest.mark.rules("MGT-20", "MGT-30")
async def test_a_running_workflow_is_forked_and_goes_on(launch, db, face):
    gate = Gate()

    @face.step(name="first")
    async def first() -> int:
        return 1

    @face.workflow()
    async def program() -> str:
        await first()
        await face.dbos.set_event("k", DBOS.workflow_id)
        if DBOS.workflow_id == "w":
            await gate.wait()
        return f"{await first()} {DBOS.workflow_id}"

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    await gate.reached()
    with SetWorkflowID("f"):
        fork = await face.dbos.fork_workflow("w", 3)
    assert await fork.get_result() == "1 f"
    assert status_of(db, "w") == "PENDING"
    gate.open()
    assert await handle.get_result() == "1 w"


@pytest.mark.rules("MGT-20")
async def test_the_fork_of_nothing_raises_and_leaves_nothing(launch, db, face):
    launch()
    with pytest.raises(NonExistent, match="target workflow ID: absent"):
        await face.dbos.fork_workflow("absent", 1)
    assert workflow_rows(db) == []


@pytest.mark.rules("MGT-20")
async def test_an_id_in_use_cannot_be_a_forks(launch, db, face):
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w")
    await finished(shop.workflow, "taken")
    before = workflow_row(db, "taken"), step_names(db, "taken")
    with pytest.raises(IntegrityError, match="taken"), SetWorkflowID("taken"):
        await face.dbos.fork_workflow("w", 3)
    assert (workflow_row(db, "taken"), step_names(db, "taken")) == before
    assert not workflow_row(db, "w")["was_forked_from"]


@pytest.mark.rules("MGT-27")
@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
async def test_a_forks_timeout_must_be_positive(launch, db, face, timeout):
    shop = Shop(face)
    launch()
    await finished(shop.workflow, "w")
    with pytest.raises(Exception, match="Invalid workflow timeout"):
        await face.dbos.fork_workflow("w", 1, timeout_seconds=timeout)
    assert [row["workflow_uuid"] for row in workflow_rows(db)] == ["w"]


@pytest.mark.rules("MGT-27", "MGT-10b")
async def test_a_forks_timeout_runs_from_its_dequeue(launch, db, face):
    dequeued: list[dict[str, Any]] = []

    @face.workflow()
    async def program() -> None:
        dequeued.append(workflow_row(db, str(DBOS.workflow_id)))
        while DBOS.workflow_id == "hasty":
            await face.dbos.sleep(0.02)

    launch()
    await finished(program, "w")
    await (await face.dbos.fork_workflow("w", 1, timeout_seconds=60)).get_result()
    assert dequeued[1]["workflow_deadline_epoch_ms"] == dequeued[1]["started_at_epoch_ms"] + 60_000
    with SetWorkflowID("hasty"):
        fork = await face.dbos.fork_workflow("w", 1, timeout_seconds=0.2)
    with pytest.raises(dbos_error.DBOSAwaitedWorkflowCancelledError):
        await fork.get_result()


@pytest.mark.rules("CLT-58", "CLT-83", "CLT-81", "COM-10")
async def test_a_client_forks_under_the_id_of_the_block_and_nothing_else_of_it(launch, db, face):
    shop = Shop(face)

    @face.workflow()
    async def program() -> str:
        with DBOSClient(system_database_url=db.url) as client, SetWorkflowID("f"), SetWorkflowAttributes({"a": 1}):
            if face.looping:
                return (await client.fork_workflow_async("w", 3)).workflow_id
            return str(client.fork_workflow("w", 3).workflow_id)

    launch()
    await finished(shop.workflow, "w")
    assert await finished(program, "p") == "f"
    assert step_names(db, "p") == []
    assert workflow_row(db, "f")["attributes"] is None
    assert await face.dbos.get_result("f") == "x f"


@pytest.mark.rules("CLT-58")
def test_a_clients_fork_is_enqueued_under_a_new_id(launch, db):
    @DBOS.workflow(name="source")
    def source() -> int:
        return 1

    launch()
    with SetWorkflowID("w"):
        source()
    DBOS.destroy()
    with DBOSClient(system_database_url=db.url) as client:
        fork = client.fork_workflow("w", 1)
        assert fork.get_status().status == "ENQUEUED"
        with pytest.raises(NonExistent):
            client.fork_workflow("absent", 1)
        with pytest.raises(Exception, match=r"Timeouts must be positive"):
            client.fork_workflow("w", 1, timeout_seconds=0)
        with pytest.raises(IntegrityError), SetWorkflowID("w"):
            client.fork_workflow("w", 1)


@pytest.mark.rules("COM-23")
async def test_a_shard_key_is_refused(launch, db, face):
    launch()
    with pytest.raises(dbos_error.DBOSException, match="not sharded"):
        await face.dbos.fork_workflow("w", 1, shard_key="k")
