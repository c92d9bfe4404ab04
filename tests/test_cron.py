"""The cron dialect: which expressions are accepted, and what they mean."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dbos import DBOS
from dbos.error import DBOSException
from dbos.testing import manual_clock

VALID = {
    "CR-1": ["* * * * *", "* * * * * *", "0 0 0 1 1 * 2030", " 0\t0  * *   * ", "0 0 * JAN MON"],
    "CR-2": ["0 0 * * 7", "0 0 0 * * 7", "0 0 0 0 * *", "0 0 0 1 1 * 2099"],
    "CR-4": ["*/70 * * * *", "5/10 * * * *", "1,1,2 * * * *"],
    "CR-5": ["0 0 * * fri-mon", "50-10 * * * *", "5-5 * * * *"],
    "CR-6": ["0 0 ? * *", "0 0 * * ?"],
    "CR-7": ["0 0 7,14,21,L * *", "0 0 29-L * *"],
    "CR-8": ["0 0 * * sat#1,sun#2", "0 0 * * L2,L4", "0 0 * * sat#1,L6", "0 0 * * *,sat#3", "0 0 * * mon-fri#1"],
    "CR-9": ["0 0 15W * *", "0 0 W15 * *"],
    "CR-12": ["R * * * *", "R(3-5) * * * *", "R/7 * * * *"],
}
INVALID = {
    "CR-1": ["", "* * * *", "* * * * * * * *"],
    "CR-2": [
        *("60 * * * *", "0 24 * * *", "0 0 32 * *", "0 0 * 13 *", "0 0 * * 8", "0 0 0 * *", "0 0 * 0 *"),
        "0 0 0 1 1 * 1969",
    ],
    "CR-3": ["0 0 * janu *"],
    "CR-4": [
        "*/0 * * * *",
        "0-10/ * * * *",
        "1-1_0 * * * *",
        "0-1& * * * *",
        "-90 * * * *",
        "a * * * *",
        "*,b * * * *",
    ],
    "CR-6": ["? * * * *", "0 0 1? * *"],
    "CR-7": ["0 0 L/2 * *"],
    "CR-8": [
        "0 0 * * 5#0",
        "0 0 * * 5#6",
        "0 0 * * L8",
        "0 0 * * L-1",
        "0 0 * * 5,6#3",
        "0 0 * * 5,L6",
        "0 0 * * 0-6#2",
    ],
    "CR-9": ["0 0 15W,20 * *", "0 0 LW * *"],
    "CR-11": ["@reboot"],
    "CR-12": ["H * * * *"],
}
MEANING = [
    ("0 0 0 0 * *", ["2025-02-01T00:00:00", "2025-03-01T00:00:00"]),
    ("0 0 0 * * 7", ["2025-01-05T00:00:00", "2025-01-12T00:00:00"]),
    ("0 22-4/2 * * *", ["2025-01-01T02:00:00", "2025-01-01T04:00:00", "2025-01-01T22:00:00"]),
    ("0 0 1 apr-jan/3 *", ["2025-04-01T00:00:00", "2025-07-01T00:00:00", "2025-10-01T00:00:00", "2026-01-01T00:00:00"]),
    ("5-5 * * * *", ["2025-01-01T00:01:00"]),
    ("*/70 * * * *", ["2025-01-01T01:00:00", "2025-01-01T02:00:00"]),
    ("0 0 L * *", ["2025-01-31T00:00:00", "2025-02-28T00:00:00"]),
    ("0 0 * * 5#5", ["2025-01-31T00:00:00", "2025-05-30T00:00:00"]),
    ("0 0 * * L5", ["2025-01-31T00:00:00", "2025-02-28T00:00:00"]),
    ("0 0 * * *,sat#3", ["2025-01-18T00:00:00", "2025-02-15T00:00:00"]),
    ("0 0 1W * *", ["2025-02-03T00:00:00", "2025-03-03T00:00:00"]),
    ("0 0 31W * *", ["2025-01-31T00:00:00", "2025-02-28T00:00:00"]),
    ("0 0 1 * mon", ["2025-01-06T00:00:00", "2025-01-13T00:00:00", "2025-01-20T00:00:00", "2025-01-27T00:00:00"]),
    ("0 16 */2 * sat", ["2025-01-01T16:00:00", "2025-01-03T16:00:00", "2025-01-04T16:00:00"]),
    ("@yearly", ["2026-01-01T00:00:00"]),
    ("@weekly", ["2025-01-05T00:00:00"]),
    ("0 0 29 2 *", ["2028-02-29T00:00:00", "2032-02-29T00:00:00"]),
    ("* * * * * *", ["2025-01-01T00:00:01"]),
    ("0 0 31 2 *", []),
]
NEW_YORK = [
    ("2025-03-08T12:00:00-05:00", "30 2 * * *", ["2025-03-09T03:00:00-04:00", "2025-03-10T02:30:00-04:00"]),
    ("2025-03-08T12:00:00-05:00", "0 2 * * *", ["2025-03-09T03:00:00-04:00", "2025-03-10T02:00:00-04:00"]),
    ("2025-03-09T01:00:00-05:00", "*/30 * * * *", ["2025-03-09T01:30:00-05:00", "2025-03-09T03:00:00-04:00"]),
    ("2025-11-01T12:00:00-04:00", "30 1 * * *", ["2025-11-02T01:30:00-04:00", "2025-11-02T01:30:00-05:00"]),
    ("2025-11-02T00:30:00-04:00", "0 * * * *", ["2025-11-02T01:00:00-04:00", "2025-11-02T01:00:00-05:00"]),
    ("2025-03-08T12:00:00-05:00", "0 0 * * *", ["2025-03-09T00:00:00-05:00", "2025-03-10T00:00:00-04:00"]),
]


@pytest.mark.rules("CR-1", "CR-3", "CR-6", "CR-12", *VALID, *INVALID)
@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_which_expressions_are_accepted(launch):
    launch()
    for expression in sum(VALID.values(), []):
        assert DBOS.preview_schedule(expression, 0) == []
    for expression in sum(INVALID.values(), []):
        with pytest.raises(DBOSException, match="Invalid cron schedule"):
            DBOS.preview_schedule(expression)


@pytest.mark.rules("CR-2", "CR-4", "CR-5", "CR-7", "CR-8", "CR-9", "CR-10", "CR-11", "CR-13", "CR-14", "CR-15", "CR-17")
@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_expressions_mean(launch):
    with manual_clock(datetime(2025, 1, 1, 0, 0, 0, 500_000, tzinfo=timezone.utc)):
        launch()
        for expression, times in MEANING:
            found = DBOS.preview_schedule(expression, len(times) or 1)
            assert [moment.isoformat() for moment in found] == [f"{moment}+00:00" for moment in times], expression


@pytest.mark.rules("CR-16")
@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("now", "expression", "times"), NEW_YORK)
def test_when_clocks_change(launch, now, expression, times):
    with manual_clock(datetime.fromisoformat(now)):
        launch()
        found = DBOS.preview_schedule(expression, len(times), cron_timezone="America/New_York")
    assert [moment.isoformat() for moment in found] == times
