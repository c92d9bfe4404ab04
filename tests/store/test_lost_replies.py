"""A stream's value whose reply was lost: committed, not acknowledged, written again by the journal."""

from __future__ import annotations

from typing import Any

import pytest
from programs import step_names, streamed

from dbos import SetWorkflowID, testing
from dbos._store.database import ConnectionLost


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
