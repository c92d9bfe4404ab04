"""The dispatcher's pauses: longer and longer ones after contention, until it claims."""

from __future__ import annotations

import itertools
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from dbos._model.queue import INTERNAL_QUEUE, POLLING_SEC
from dbos._service.dispatcher import CONTENDED_SEC, Dispatcher
from dbos._store.database import Conflicted, Contended
from dbos._store.workflows import Scope


class Node:
    """As much of a runtime as claiming from the internal queue needs; `failure` is what its database raises."""

    application_name = "app"
    scope = Scope("app", "v1", "local")
    settings = SimpleNamespace(kafka_polling_sec=1.0)

    def __init__(self, failure: Exception) -> None:
        self.failure: Exception | None = failure
        self.now_sec = 0.0
        self.registry = SimpleNamespace(queues={}, receivers=[])
        self.clock = SimpleNamespace(monotonic_sec=lambda: self.now_sec)
        self.database = SimpleNamespace(claim=self.claim)
        self.threads = SimpleNamespace(pool=SimpleNamespace(start=lambda starts: None))
        self.new_token = map(str, itertools.count()).__next__

    def claim(self, work: Any, *, alone: bool = False) -> list[Any]:
        if self.failure is not None:
            raise self.failure
        return []


@pytest.mark.rules("DQ-11", "DQ-12")
@pytest.mark.parametrize(("failure", "level"), [(Conflicted, logging.WARNING), (Contended, logging.DEBUG)])
def test_contention_doubles_the_pause_up_to_the_polling_interval(
    failure: type[Exception], level: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 1.0)
    node: Any = Node(failure("somebody else claims"))
    dispatcher = Dispatcher(node, [])
    pauses = []
    with caplog.at_level(logging.DEBUG, "dbos"):
        for _ in range(10):
            pauses.append(dispatcher._turn())
            dispatcher.enqueued(INTERNAL_QUEUE)  # news does not end the pause
            node.now_sec += pauses[-1]
    assert pauses == pytest.approx([min(POLLING_SEC, CONTENDED_SEC * 2**n) for n in range(10)])
    said = [record.levelno for record in caplog.records if "somebody else claims" in record.getMessage()]
    assert said == [level] * 10, "once for each poll"
    node.failure = None
    dispatcher._turn()
    node.failure = failure()
    dispatcher.enqueued(INTERNAL_QUEUE)
    assert dispatcher._turn() == pytest.approx(CONTENDED_SEC), "a claim that succeeds ends the doubling"
