"""What the tests of the store share."""

from __future__ import annotations

import pytest


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon after a lost connection: what a test waits for is that it is tried, not the second before."""
    monkeypatch.setattr("dbos._model.retry.FIRST_SEC", 0.01)
