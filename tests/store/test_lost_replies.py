"""Records whose reply was lost: committed, not acknowledged, written again by the journal."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from programs import INTERNAL_QUEUE, step_names, streamed

from dbos import SetWorkflowID, _lifecycle, testing
from dbos._engine.recovery import requeue
from dbos._store.database import ConnectionLost

pytestmark = pytest.mark.usefixtures("soon")


def lose_the_reply() -> None:
    raise ConnectionLost("the reply was lost")


@pytest.mark.rules("STR-4", "STR-5", "FT-3", "RV-47")
@pytest.mark.parametrize("in_step", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_value_whose_reply_was_lost_stands_once(
    launch: Any, db: Any, face: Any, in_step: bool, when: testing.When
) -> None:
    async def writes() -> None:
        for number in range(4):
            with testing.at_commit(1, lose_the_reply, when=when):
                await face.dbos.write_stream("s", "the same")
            with testing.at_commit(1, lose_the_reply, when=when):
                await face.dbos.write_stream("s", number)

    @face.step(name="step")
    async def step() -> None:
        await writes()

    @face.workflow()
    async def program() -> None:
        await (step() if in_step else writes())

    launch()
    with SetWorkflowID("w"):
        await program()
    assert await streamed("w", "s") == ["the same", 0, "the same", 1, "the same", 2, "the same", 3]
    assert step_names(db, "w") == ([(1, "step")] if in_step else [(n, "DBOS.writeStream") for n in range(1, 9)])


@pytest.mark.rules("OP-11", "MSG-24", "RV-47")
async def test_a_message_whose_receipt_lost_its_reply_is_received_once(launch: Any, db: Any, face: Any) -> None:
    @face.workflow()
    async def program() -> list[Any]:
        with testing.at_commit(1, lose_the_reply, when="after"):
            first = await face.dbos.recv("t", timeout_seconds=30)
        return [first, await face.dbos.recv("t", timeout_seconds=0), await face.dbos.recv("t", timeout_seconds=0)]

    launch()
    with SetWorkflowID("w"):
        handle = await face.dbos.enqueue_workflow("slow", face.fn(program))
    for number in (1, 2):
        await face.dbos.send("w", number, "t")
    await face.dbos.register_queue("slow")
    assert await handle.get_result() == [1, 2, None]
    consumed = db.rows("select consumed_by_function_id from {notifications} order by consumed_by_function_id")
    assert [row["consumed_by_function_id"] for row in consumed] == [1, 3]


def hand_over() -> None:
    """Take the run from this process and let it claim it again, as after a lapse of its lease; then lose the reply."""
    node = _lifecycle.launched().runtime
    assert node is not None
    run = node.runs["w"]
    owner = run.owner
    requeue(node, ["w"], [node.executor_id], INTERNAL_QUEUE, None)
    handed = threading.Event()
    while run.owner == owner:
        handed.wait(0.001)
    lose_the_reply()


@pytest.mark.rules("OP-6", "RV-44", "RV-46", "FT-3")
async def test_what_was_committed_under_an_earlier_token_of_the_same_execution_stands(
    launch: Any, db: Any, face: Any
) -> None:
    ran: list[int] = []

    @face.step(name="step")
    async def step() -> int:
        ran.append(1)
        return len(ran)

    @face.workflow()
    async def child() -> str:
        return "child"

    @face.workflow()
    async def program() -> list[Any]:
        results = []
        for act in (
            step,
            lambda: face.dbos.set_event("e", 1),
            lambda: face.dbos.write_stream("s", "value"),
            lambda: face.dbos.send("w", "message", "t"),
            lambda: face.dbos.recv("t", timeout_seconds=0),
            lambda: face.dbos.get_event("w", "e", 0),
            child,
        ):
            with testing.at_commit(1, hand_over, when="after"):
                results.append(await act())
        return results

    launch()
    with SetWorkflowID("w"):
        assert await program() == [1, None, None, None, "message", 1, "child"]
    assert ran == [1]
    assert await streamed("w", "s") == ["value"]
    assert step_names(db, "w")[:5] == [
        (1, "step"),
        (2, "DBOS.setEvent"),
        (3, "DBOS.writeStream"),
        (4, "DBOS.send"),
        (5, "DBOS.recv"),
    ]
    assert testing.check_invariants(db.url) == []
