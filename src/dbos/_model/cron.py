"""When a schedule fires: cron expressions, their time zones, their next times.

Knows the dialect of chapter 3.5 where croniter does not, and how times come out of it. croniter is imported when the
first expression is parsed. Leaves waiting and firing to the scheduler.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from itertools import takewhile
from typing import Any

HORIZON_YEARS = 50  # CR-14


class InvalidCron(ValueError):
    """Say that an expression is none of the dialect."""


class InvalidTimezone(ValueError):
    """Say that a time zone is unknown."""


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression that was parsed, and the zone its fields are read in."""

    expression: str
    zone: tzinfo

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Give the times strictly after `moment`, parts of a second dropped (CR-13), until there are none (CR-14)."""
        from croniter import CroniterBadDateError

        times = self._times(moment)
        while True:
            try:
                found = times.get_next(datetime)
            except CroniterBadDateError:
                return
            yield found

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Give the times strictly between two moments (SD-40)."""
        return takewhile(lambda moment: moment < end, self.after(start))

    def fires_after(self, moment: datetime) -> bool:
        """Tell whether there is any time after `moment`."""
        return next(self.after(moment), None) is not None

    def _times(self, moment: datetime) -> Any:
        from croniter import croniter

        return croniter(
            self.expression,
            moment.astimezone(self.zone).replace(microsecond=0),
            second_at_beginning=True,
            max_years_between_matches=HORIZON_YEARS,
        )


def parse(expression: str, timezone_name: str | None = None) -> Cron:
    """Parse a cron expression; `InvalidCron` or `InvalidTimezone` says what is wrong.

    parse("0 9 * * mon-fri", "Europe/Berlin")
    """
    from croniter import CroniterError

    zone = zone_of(timezone_name)
    try:
        cron = Cron(normal(expression), zone)
        cron._times(datetime(2025, 1, 1, tzinfo=timezone.utc))
    except (CroniterError, AttributeError, TypeError) as error:
        raise InvalidCron(f"Invalid cron schedule: {expression!r}: {error}") from error
    return cron


def zone_of(name: str | None) -> tzinfo:
    """Return the zone of an IANA name; None is UTC."""
    if name is None:
        return timezone.utc
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError, TypeError) as error:  # unknown, malformed, a directory
        raise InvalidTimezone(f"Invalid timezone: {name!r}: {error}") from error


def utc(moment: datetime) -> datetime:
    """Return a moment with its zone; a naive one is UTC (SD-40)."""
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment


_ZERO_DAY = re.compile(r"(?<![\w#/-])0+(?=$|[,/-])")
_SUNDAY_SEVEN = re.compile(r"(?<![\w#/-])7(?=$|,)")


def normal(expression: str) -> str:
    """Write an expression as every croniter from 6.2.4 reads it: with seconds, day 0 is 1 and weekday 7 is 0 (CR-2)."""
    fields = expression.split()
    if len(fields) >= 6:
        fields[3] = _ZERO_DAY.sub("1", fields[3])
        fields[5] = _SUNDAY_SEVEN.sub("0", fields[5])
    return " ".join(fields)
