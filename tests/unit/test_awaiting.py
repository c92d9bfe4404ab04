"""Awaiting an outcome: a run that is not there yet is waited for, one that vanishes was deleted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dbos._engine.color import run_now
from dbos._engine.waiting import outcome_of
from dbos._error import DBOSNonExistentWorkflowError
from dbos._model.outcome import Failure, Value
from dbos._store.workflows import Finish

ABSENT = None
WAITING = Finish("ENQUEUED", None, None, None)
DONE = Finish("SUCCESS", "1", None, None)


class Reads:
    """An io whose reads find what was prepared, one after the other, and whose waits are over at once."""

    def __init__(self, *found: Finish | None) -> None:
        self.found = list(found)

    async def query(self, *_: Any) -> Finish | None:
        """Return the next row."""
        return self.found.pop(0)

    async def wait(self, ticket: Any) -> None:
        """Return at once."""


@pytest.mark.rules("MGT-52", "HND-5")
@pytest.mark.parametrize(
    ("found", "is_deleted"),
    [
        ([WAITING, ABSENT], True),
        ([ABSENT, WAITING, WAITING, ABSENT], True),
        ([ABSENT, ABSENT, WAITING, DONE], False),
        ([DONE], False),
    ],
)
def test_only_a_run_that_was_there_can_have_been_deleted(found: list[Finish | None], is_deleted: bool) -> None:
    nothing = {"watch_also": lambda key, ticket: None, "leave_all": lambda keys, ticket: None}
    signals = SimpleNamespace(stopped=False, watch=lambda key, interval: None, **nothing)
    codec = SimpleNamespace(loads=lambda text, name: int(text))
    node: Any = SimpleNamespace(signals=signals, codec=codec, database=SimpleNamespace(read=None))
    io: Any = Reads(*found)
    outcome = run_now(outcome_of(node, io, "w"))
    if is_deleted:
        assert isinstance(outcome, Failure)
        assert isinstance(outcome.error, DBOSNonExistentWorkflowError)
    else:
        assert outcome == Value(1)
    assert io.found == []
