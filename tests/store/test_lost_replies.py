"""Records whose reply was lost: committed, not acknowledged, written again by the journal."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from programs import INTERNAL_QUEUE, step_names, streamed

from dbos import SetWorkflowID, _lifecycle, testing
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


@pytest.mark.rules("OP-6", "RV-44")
async def test_a_step_whose_reply_was_lost_while_its_run_was_dispatched_again_stands(
    launch: Any, db: Any, face: Any
) -> None:
    runs: list[int] = []

    @face.step(name="step")
    async def step() -> int:
        runs.append(1)
        return 7

    @face.workflow()
    async def program() -> int:
        with testing.at_commit(1, dispatched_again, when="after"):
            return await step()

    def dispatched_again() -> None:
        node = _lifecycle.launched().runtime
        assert node is not None
        run = node.runs["w"]
        owner = run.owner
        db.execute(
            "update {workflow_status} set status = 'ENQUEUED', owner_xid = null, started_at_epoch_ms = null,"
            " queue_name = ? where workflow_uuid = 'w'",
            INTERNAL_QUEUE,
        )
        while run.owner == owner:
            node.enqueued(INTERNAL_QUEUE)
            threading.Event().wait(0.005)
        lose_the_reply()

    launch()
    with SetWorkflowID("w"):
        assert await program() == 7
    assert runs == [1]
    assert step_names(db, "w") == [(1, "step")]
