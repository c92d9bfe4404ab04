"""Waits between tries."""

from __future__ import annotations

import pytest

from dbos._model.retry import Backoff, step_wait


@pytest.mark.rules("EX-42")
def test_waits_for_the_database_double_from_one_second_to_a_minute():
    backoff = Backoff(uniform=lambda low, high: 1.0)
    assert [backoff.next() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.rules("EX-42")
def test_waits_for_the_database_are_spread():
    asked = []
    backoff = Backoff(uniform=lambda low, high: asked.append((low, high)) or 0.5)
    assert [backoff.next(), backoff.next()] == [0.5, 1.0]
    assert asked == [(0.5, 1.5)] * 2
    waits = [Backoff().next() for _ in range(50)]
    assert all(0.5 <= wait <= 1.5 for wait in waits)
    assert len(set(waits)) > 1


@pytest.mark.rules("STEP-11")
@pytest.mark.parametrize(
    ("interval", "rate", "attempt", "seconds"),
    [
        (1.0, 2.0, 0, 1.0),
        (1.0, 2.0, 3, 8.0),
        (0.5, 1.0, 9, 0.5),
        (0.0, 2.0, 9, 0.0),
        (1.0, 2.0, 12, 3600.0),
        (7200.0, 1.0, 0, 3600.0),
        (1.0, 2.0, 5000, 3600.0),
    ],
)
def test_a_steps_waits_grow_to_an_hour_at_most(interval, rate, attempt, seconds):
    assert step_wait(interval, rate, attempt) == seconds
