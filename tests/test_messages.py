"""Messages: sending and receiving."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from programs import BOUND_SEC, Crash, Gate, pause, relaunch, rerun, step_names, step_rows, until

from dbos import DBOS, SendMessage, SetWorkflowID, WorkflowSerializationFormat
from dbos import error as dbos_error


def messages(db: Any, workflow_id: str) -> list[dict[str, Any]]:
    return list(db.rows("select * from {notifications} where destination_uuid = ?", workflow_id))


@pytest.fixture
def mailbox(launch, face):
    """Return a workflow's program that receives what it is told to: (topic, timeout) in turn."""

    @face.workflow(name="mailbox")
    async def mailbox(wanted: list[tuple[str | None, float]]) -> list[Any]:
        return [await face.dbos.recv(topic, seconds) for topic, seconds in wanted]

    return mailbox


@pytest.mark.rules("MSG-1", "MSG-11", "MSG-21", "MSG-32", "COM-2", "COM-3", "SDM-1", "SDM-2")
async def test_messages_come_in_the_order_they_were_sent_by_topic(launch, db, face):
    gate = Gate()

    @face.workflow()
    async def program() -> list[Any]:
        await gate.wait()
        return [await face.dbos.recv(topic, 5) for topic in (None, "t", "t", None)]

    launch()
    with SetWorkflowID("w"):
        handle = await face.start(program)
    for message, topic in ((1, None), (2, "t"), (3, "t"), (4, None)):
        await face.dbos.send("w", message, topic)
    gate.open()
    assert await handle.get_result() == [1, 2, 3, 4]
    assert step_names(db, "w") == [(n, ("DBOS.sleep", "DBOS.recv")[n % 2]) for n in range(1, 9)]
    stored = messages(db, "w")
    assert {row["topic"] for row in stored} == {"__null__topic__", "t"}
    assert sorted(row["consumed_by_function_id"] for row in stored) == [1, 3, 5, 7]
    assert all(row["consumed"] for row in stored)


@pytest.mark.rules("MSG-1", "MSG-2", "MSG-8", "MSG-18", "MSG-26", "COM-2", "COM-4", "EX-30")
async def test_a_workflow_sends_once_and_replays_what_it_received(launch, db, face):
    @face.workflow()
    async def program() -> Any:
        await face.dbos.send("w", "hello", "t")
        return await face.dbos.recv("t", 5)

    launch()
    with SetWorkflowID("w"):
        assert await program() == "hello"
    before = step_rows(db, "w")
    assert [(row["function_name"], row["error"]) for row in before] == [
        ("DBOS.send", None),
        ("DBOS.recv", None),
        ("DBOS.sleep", None),
    ]
    assert before[0]["output"] is None
    assert await rerun(face, db, "w") == "hello"
    assert step_rows(db, "w") == before
    assert len(messages(db, "w")) == 1


@pytest.mark.rules("MSG-3", "MSG-19", "COM-7", "COM-9")
async def test_a_send_from_a_step_or_plain_code_records_no_step(launch, db, face):
    @face.step(name="step")
    async def step() -> None:
        await face.dbos.send("w", "from a step")

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    with SetWorkflowID("other"):
        await face.dbos.send("w", "from plain code")
    assert step_names(db, "w") == [(1, "step")]
    assert len(messages(db, "w")) == 2
    assert len(db.rows("select 1 as one from {workflow_status}")) == 1


@pytest.mark.rules("MSG-3")
@pytest.mark.parametrize("many", [1, 2])
async def test_a_step_whose_run_was_taken_over_sends_nothing(launch, db, face, many):
    refused: list[type[BaseException]] = []

    @face.step()
    async def step() -> None:
        db.execute("update {workflow_status} set owner_xid = 'another' where workflow_uuid = 'w'")
        try:
            await face.dbos.send_bulk([SendMessage("w", "message")] * many)
        except dbos_error.DBOSWorkflowConflictIDError as error:
            refused.append(type(error))
        db.execute("update {workflow_status} set status = 'SUCCESS' where workflow_uuid = 'w'")

    @face.workflow()
    async def program() -> None:
        await step()

    launch()
    with SetWorkflowID("w"):
        await program()
    assert refused == [dbos_error.DBOSWorkflowConflictIDError]
    assert messages(db, "w") == []


@pytest.mark.rules("MSG-4", "MSG-14", "SDM-4")
async def test_a_message_to_nobody_names_every_destination_and_sends_nothing(launch, db, face, mailbox):
    launch()
    with SetWorkflowID("w"):
        await mailbox([])
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError, match="destination workflow ID: nobody$") as caught:
        await face.dbos.send("nobody", 1)
    assert caught.value.dbos_error_code == 5
    bulk = [SendMessage("w", 1), SendMessage("nobody", 2)]
    with pytest.raises(dbos_error.DBOSNonExistentWorkflowError, match="`send` destination workflow ID: nobody, w$"):
        await face.dbos.send_bulk(bulk)
    assert messages(db, "w") == []


@pytest.mark.rules("MSG-4", "MSG-5", "MSG-14", "COM-11", "SDM-4")
@pytest.mark.parametrize(("to", "to_forks"), [(["late"], False), (["late", "w"], False), (["late", "w"], True)])
async def test_in_a_workflow_a_message_to_nobody_is_the_steps_error(launch, db, face, to, to_forks):
    @face.workflow()
    async def program() -> str:
        try:
            await face.dbos.send_bulk([SendMessage(destination, 1) for destination in to], send_to_forks=to_forks)
        except dbos_error.DBOSNonExistentWorkflowError as error:
            return str(error)
        return "sent"

    @face.workflow()
    async def late() -> None: ...

    launch()
    with SetWorkflowID("w"):
        refused = await program()
    assert ", ".join(to) in refused
    with SetWorkflowID("late"):
        await late()
    assert await rerun(face, db, "w") == refused
    assert messages(db, "w") == []
    [row] = step_rows(db, "w")
    assert row["output"] is None
    assert row["error"]


@pytest.mark.rules("MSG-6", "SDM-8")
async def test_a_message_to_a_finished_workflow_is_stored(launch, db, face, mailbox):
    launch()
    with SetWorkflowID("w"):
        await mailbox([])
    await face.dbos.send("w", "late")
    [row] = messages(db, "w")
    assert not row["consumed"]


@pytest.mark.rules("MSG-7")
async def test_a_message_reaches_another_applications_workflow(launch, db, face, mailbox):
    launch()
    with SetWorkflowID("w"):
        await mailbox([])
    db.execute("update {workflow_status} set application_name = 'elsewhere'")
    await face.dbos.send("w", 1)
    assert len(messages(db, "w")) == 1


@pytest.mark.rules("MSG-9")
async def test_none_is_a_message(launch, face, mailbox):
    launch()
    with SetWorkflowID("w"):
        handle = await face.start(mailbox, [(None, 30)])
    await face.dbos.send("w", None)
    before = time.monotonic()
    assert await handle.get_result() == [None]
    assert time.monotonic() - before < 10


@pytest.mark.rules("MSG-10")
async def test_what_cannot_be_serialized_is_not_sent(launch, db, face, mailbox):
    launch()
    with SetWorkflowID("w"):
        await mailbox([])
    with pytest.raises(Exception, match="pickle"):
        await face.dbos.send_bulk([SendMessage("w", 1), SendMessage("w", lambda: None)])
    assert messages(db, "w") == []


@pytest.mark.rules("MSG-12", "SDM-5", "SDM-6")
async def test_of_messages_with_one_idempotency_key_the_first_wins(launch, db, face, mailbox):
    launch()
    for workflow_id in ("w", "v"):
        with SetWorkflowID(workflow_id):
            await mailbox([])
    await face.dbos.send("w", 1, "t", idempotency_key="k")
    await face.dbos.send("w", 2, idempotency_key="k")
    await face.dbos.send_bulk([SendMessage("w", 3, None, "k"), SendMessage("w", 4)])
    await face.dbos.send("v", 5, idempotency_key="k")
    assert sorted(row["message_uuid"] for row in messages(db, "w") if len(row["message_uuid"]) < 20) == ["k::w"]
    assert [row["message_uuid"] for row in messages(db, "v")] == ["k::v"]
    assert len(messages(db, "w")) == 2


@pytest.mark.rules("MSG-13", "SDM-6")
async def test_a_bulk_may_not_use_a_key_twice(launch, db, face, mailbox):
    launch()
    with SetWorkflowID("w"):
        await mailbox([])
    bulk = [SendMessage("w", 1, None, "b"), SendMessage("v", 2, None, "b"), SendMessage("w", 3, None, "a")]
    with pytest.raises(dbos_error.DBOSException, match="send_bulk received duplicate idempotency keys: b"):
        await face.dbos.send_bulk(bulk)
    assert messages(db, "w") == []


@pytest.mark.rules("MSG-14", "MSG-15", "MSG-21", "COM-2")
async def test_a_bulk_keeps_its_order_and_an_empty_one_is_a_step(launch, db, face):
    @face.workflow()
    async def program() -> list[Any]:
        await face.dbos.send_bulk([])
        await face.dbos.send_bulk([SendMessage("w", number) for number in range(20)])
        return [await face.dbos.recv(None, 5) for _ in range(20)]

    launch()
    await face.dbos.send_bulk([])
    with SetWorkflowID("w"):
        assert await program() == list(range(20))
    assert step_names(db, "w")[:3] == [(1, "DBOS.send_bulk"), (2, "DBOS.send_bulk"), (3, "DBOS.recv")]
    assert step_rows(db, "w")[0]["output"] is None


@pytest.mark.rules("MSG-16", "SDM-7")
@pytest.mark.parametrize("inside", [False, True])
async def test_forks_get_the_message_too_each_once(launch, db, face, mailbox, inside):
    @face.workflow()
    async def sender() -> None:
        await face.dbos.send("root", "m", idempotency_key="k", send_to_forks=True)
        await face.dbos.send_bulk([SendMessage("root", 1), SendMessage("fork", 2)], send_to_forks=True)

    launch()
    for workflow_id in ("root", "fork", "deep", "stranger"):
        with SetWorkflowID(workflow_id):
            await mailbox([])
    db.execute("update {workflow_status} set forked_from = 'root' where workflow_uuid = 'fork'")
    db.execute("update {workflow_status} set forked_from = 'fork' where workflow_uuid = 'deep'")
    if inside:
        await sender()
    else:
        await face.dbos.send("root", "m", idempotency_key="k", send_to_forks=True)
        await face.dbos.send_bulk([SendMessage("root", 1), SendMessage("fork", 2)], send_to_forks=True)
    await face.dbos.send("root", "again", idempotency_key="k", send_to_forks=True)
    counts = {one: len(messages(db, one)) for one in ("root", "fork", "deep", "stranger")}
    assert counts == {"root": 2, "fork": 3, "deep": 3, "stranger": 0}
    keyed = db.rows("select message_uuid from {notifications} where message_uuid like 'k%' order by 1")
    assert [row["message_uuid"] for row in keyed] == ["k::deep", "k::fork", "k::root"]


@pytest.mark.rules("MSG-17", "MSG-29", "SDM-10", "SER-13")
async def test_the_format_is_the_workflows_unless_asked_for(launch, db, face):
    @face.step()
    async def step() -> None:
        await face.dbos.send("w", 2, "step")

    @face.workflow(serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def program() -> list[Any]:
        await face.dbos.send("w", 1, "code")
        await face.dbos.send("w", 3, "native", serialization_type=WorkflowSerializationFormat.NATIVE)
        await step()
        return [await face.dbos.recv(topic, 5) for topic in ("code", "step", "native")]

    launch()
    with SetWorkflowID("w"):
        assert await program() == [1, 2, 3]
    await face.dbos.send("w", 4, "plain")
    await face.dbos.send("w", 5, "asked", serialization_type=WorkflowSerializationFormat.PORTABLE)
    formats = {row["topic"]: row["serialization"] for row in messages(db, "w")}
    portable, native = "portable_json", "py_pickle"
    assert formats == {"code": portable, "step": portable, "native": native, "plain": native, "asked": portable}
    recorded = [row["serialization"] for row in step_rows(db, "w") if row["function_name"] == "DBOS.recv"]
    assert recorded == [portable, portable, native]


@pytest.mark.rules("MSG-22", "MSG-23", "COM-3", "COM-19", "SLP-6")
async def test_without_a_message_none_is_returned_when_the_time_is_up(launch, db, face, mailbox):
    launch()
    before = time.monotonic()
    with SetWorkflowID("w"):
        assert await mailbox([(None, 0), (None, 0.2)]) == [None, None]
    assert 0.19 < time.monotonic() - before < 10
    assert [name for _, name in step_names(db, "w")] == ["DBOS.recv", "DBOS.sleep"] * 2
    for row in step_rows(db, "w"):
        assert row["output"]
        assert row["error"] is None
    [_, _, waited, slept] = step_rows(db, "w")
    assert waited["completed_at_epoch_ms"] - waited["started_at_epoch_ms"] >= 190
    assert slept["completed_at_epoch_ms"] - slept["started_at_epoch_ms"] < 150


@pytest.mark.rules("MSG-26", "MSG-28", "MSG-25")
async def test_a_waiting_receiver_is_woken_and_its_row_spans_the_wait(launch, db, face, mailbox):
    launch()
    with SetWorkflowID("w"):
        handle = await face.start(mailbox, [("t", 30)])
    await until(lambda: step_rows(db, "w"))
    await pause(0.05)
    await face.dbos.send("w", "news", "t")
    assert await handle.get_result() == ["news"]
    [recv, sleep] = step_rows(db, "w")
    assert recv["completed_at_epoch_ms"] - recv["started_at_epoch_ms"] >= 45
    assert sleep["completed_at_epoch_ms"] < recv["completed_at_epoch_ms"]
    assert len(messages(db, "w")) == 1


@pytest.mark.rules("MSG-30", "SDM-9")
async def test_what_cannot_be_deserialized_stays_unconsumed(launch, db, face, mailbox):
    launch()
    gate = Gate()

    @face.workflow()
    async def program() -> Any:
        await gate.wait()
        return await face.dbos.recv(None, 5)

    with SetWorkflowID("w"):
        handle = await face.start(program)
    await face.dbos.send("w", 1)
    db.execute("update {notifications} set message = 'no pickle'")
    gate.open()
    with pytest.raises(Exception):  # noqa: B017 - whatever the serializer raises
        await handle.get_result()
    [row] = messages(db, "w")
    assert not row["consumed"]
    assert step_rows(db, "w") == []
    assert db.rows("select status from {workflow_status}") == [{"status": "ERROR"}]


@pytest.mark.rules("MSG-2", "MSG-24", "EX-37", "FT-1")
async def test_after_a_crash_nothing_is_sent_or_received_again(launch, db, face):
    crash = [True]

    @face.workflow()
    async def program() -> list[Any]:
        await face.dbos.send("w", 1)
        first = await face.dbos.recv(None, 5)
        await face.dbos.send("w", 2)
        if crash[0]:
            raise Crash
        return [first, await face.dbos.recv(None, 5)]

    launch()
    with pytest.raises(Crash), SetWorkflowID("w"):
        await program()
    crash[0] = False
    await relaunch(launch)
    assert await face.dbos.get_result("w") == [1, 2]
    assert len(messages(db, "w")) == 2


@pytest.mark.rules("MSG-21", "MSG-24", "COM-20")
def test_many_senders_messages_all_arrive_once_in_each_ones_order(launch):
    senders, each = 8, 25

    @DBOS.workflow()
    def program() -> list[Any]:
        return [DBOS.recv("t", BOUND_SEC) for _ in range(senders * each)]

    launch()
    with SetWorkflowID("w"):
        handle = DBOS.start_workflow(program)

    def send(sender: int) -> None:
        for number in range(each):
            DBOS.send("w", (sender, number), "t")

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    received = handle.get_result()
    for sender in range(senders):
        assert [message for message in received if message[0] == sender] == [(sender, n) for n in range(each)]


@pytest.mark.rules("MSG-21", "MSG-33")
@pytest.mark.parametrize("db", ["postgres"], indirect=True)  # SQLite numbers its rows
def test_messages_of_one_millisecond_come_in_order_wherever_they_are_kept(launch, db):
    @DBOS.workflow()
    def program() -> list[Any]:
        return [DBOS.recv(timeout_seconds=0) for _ in range(3)]

    launch()
    with SetWorkflowID("w"):
        handle = DBOS.enqueue_workflow("q", program)
    db.execute("alter table {notifications} alter column created_at_epoch_ms set default 5")
    places: list[str] = []
    while places == sorted(places):  # until nobody's snapshot has kept the second from taking the free place
        db.execute("delete from {notifications}")
        DBOS.send("w", "gone", idempotency_key="gone")
        DBOS.send("w", 1, idempotency_key="first")
        db.execute("delete from {notifications} where message_uuid like 'gone%'")
        db.execute("vacuum {notifications}")
        DBOS.send("w", 2, idempotency_key="second")
        rows = db.rows("select ctid::text as place from {notifications} order by message_uuid")
        places = [row["place"] for row in rows]
    DBOS.send("w", 3)
    assert [one["message"] for one in DBOS.get_all_messages("w")] == [1, 2, 3]
    DBOS.register_queue("q", polling_interval_sec=0.05)
    assert handle.get_result() == [1, 2, 3]


@pytest.mark.rules("COM-23")
async def test_a_shard_key_is_refused(launch, face):
    launch()
    with pytest.raises(dbos_error.DBOSException, match="not sharded"):
        await face.dbos.send("w", 1, shard_key="s")
    with pytest.raises(dbos_error.DBOSException, match="not sharded"):
        await face.dbos.send_bulk([SendMessage("w", 1, shard_key="s")])


def test_a_message_is_built_by_position() -> None:
    message = SendMessage("w", 1, "t", "k")
    assert (message.destination_id, message.message, message.topic, message.idempotency_key) == ("w", 1, "t", "k")


@pytest.mark.rules("MSG-33", "MSG-11", "COM-23")
async def test_a_mailbox_is_listed(launch, db, face):
    @face.workflow()
    async def program() -> Any:
        return [await face.dbos.recv("t", timeout_seconds=0), await face.dbos.get_all_messages("w")]

    launch()
    with SetWorkflowID("w"):
        handle = await face.dbos.enqueue_workflow("later", face.fn(program))
    assert await face.dbos.get_all_messages("w") == await face.dbos.get_all_messages("absent") == []
    await face.dbos.send("w", {"n": 1}, "t")
    await face.dbos.send("w", None)
    await face.dbos.send("w", 3, "t", serialization_type=WorkflowSerializationFormat.PORTABLE)
    await face.dbos.register_queue("later")
    received, inside = await handle.get_result()
    assert received == {"n": 1}
    found = await face.dbos.get_all_messages("w")
    assert found == inside
    assert [(one["topic"], one["message"], one["consumed"]) for one in found] == [
        ("t", {"n": 1}, True),
        (None, None, False),
        ("t", 3, False),
    ]
    times = [one["created_at_epoch_ms"] for one in found]
    assert times == sorted(times)
    assert all(type(time) is int for time in times)
    assert all(set(one) == {"topic", "message", "created_at_epoch_ms", "consumed"} for one in found)
    assert step_names(db, "w")[-1] == (3, "DBOS.getMessages")
    with pytest.raises(dbos_error.DBOSException, match="shard"):
        await face.dbos.get_all_messages("w", shard_key="k")
