"""The scheduler: one thread that fires every schedule of this process's application on time.

Knows one timer per schedule. Any number of processes run it: the id of a tick's run decides who enqueues it. Reads the
table every `scheduler_polling_interval_sec`, more often at first. Leaves the dialect to `_model.cron`, rows of runs to
`_engine.scheduled`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from .._engine import scheduled
from .._engine.color import run_now
from .._engine.registry import Decorated
from .._engine.runtime import Runtime
from .._engine.scheduled import Tick
from .._model import cron
from .._model.clock import moment_of
from .._store import schedules
from .._store.schedules import Schedule
from .service import Service

logger = logging.getLogger("dbos")

YOUNG_SEC = 60.0  # so long after launch the table is read once a second (SD-20)
JITTER = 0.1  # of the wait
MOST_JITTER_SEC = 10.0
# What a short stall delayed is fired late, tick by tick (SD-29). A process that was stopped for longer, or past more
# ticks, fires the last of them only, unless backfill was asked for: a laptop that wakes up does not run an hour's work
# at once.
MOST_LATE = 10
MOST_LATE_SEC = 900.0


@dataclass(slots=True)
class Timer:
    """A schedule's next time; none when it never fires (SD-32)."""

    schedule: Schedule
    is_decorated: bool
    times: Iterator[datetime]
    moment: datetime | None = None
    due_sec: float = 0.0  # with jitter


class Scheduler(Service):
    """Fires what is due, and sleeps until something is (SD-20 .. SD-33, SD-52)."""

    def __init__(self, node: Runtime, polling_sec: float, chance: random.Random | None = None) -> None:
        super().__init__("scheduler", self._fire)
        self._node = node
        self._polling_sec = polling_sec
        self._chance = chance or random.Random()
        self._timers: dict[tuple[bool, str], Timer] = {}
        self._read_sec = 0.0
        self._changed = True
        self._launched_sec = node.clock.monotonic_sec()

    def start(self) -> None:
        """Start ticking, also when the clock is moved by hand."""
        self._node.clock.watch(self.wake)
        super().start()

    def ask_to_stop(self) -> None:
        """Let the tick under way be the last."""
        self._node.clock.unwatch(self.wake)
        super().ask_to_stop()

    def changed(self) -> None:
        """Note that this process changed a schedule: it takes effect at once."""
        self._changed = True
        self.wake()

    def _fire(self) -> float:
        pause = self._look()
        while not self.stopping:
            now = self._node.clock.now_sec()
            due = [timer for timer in self._timers.values() if timer.moment is not None and timer.due_sec <= now]
            if not due:
                break
            self._enqueue([tick for timer in due for tick in self._elapsed(timer, now)])
        now = self._node.clock.now_sec()
        waits = [timer.due_sec - now for timer in self._timers.values() if timer.moment is not None]
        return max(0.0, min([pause, *waits]))

    # --- which schedules there are

    def _look(self) -> float:
        """Read the table if that is due, and set the timers; return the seconds until the next time."""
        now = self._node.clock.monotonic_sec()
        is_young = now - self._launched_sec < YOUNG_SEC
        pause = min(1.0, self._polling_sec) if is_young else self._polling_sec
        if not self._changed and now - self._read_sec < pause:
            return pause - (now - self._read_sec)
        self._changed, self._read_sec = False, now
        try:
            rows = self._rows()
        except Exception as error:
            if self.stopping:
                return pause
            logger.warning("The schedules cannot be read, trying again in %.1f s: %s", pause, error)
            return pause
        self._set(rows)
        return pause

    def _rows(self) -> dict[tuple[bool, str], Schedule]:
        node = self._node
        found = node.database.read(
            lambda session: schedules.listed(
                session, application_names=[node.application_name or ""], statuses=["ACTIVE"]
            )
        )
        stored = {(False, row.schedule_name): row for row in found}
        declared = {(True, one.name): _declared(node, one) for one in list(node.registry.scheduled.values())}
        return stored | declared

    def _set(self, rows: dict[tuple[bool, str], Schedule]) -> None:
        for key in [key for key in self._timers if key not in rows]:
            del self._timers[key]
        for key, row in rows.items():
            if self.stopping:
                return
            timer = self._timers.get(key)
            if timer is not None and timer.schedule.definition() == row.definition():
                timer.schedule = row
                continue
            if timer is None:
                self._make_up(row)
            self._timers[key] = self._started(row, is_decorated=key[0])

    def _started(self, row: Schedule, *, is_decorated: bool) -> Timer:
        """Start a timer from now (SD-22); one that can never fire says so once (SD-32)."""
        now = self._node.clock.now_sec()
        timer = Timer(row, is_decorated, iter(()))
        try:
            timer.times = cron.parse(row.schedule, row.cron_timezone).after(datetime.fromtimestamp(now, timezone.utc))
            self._advance(timer, now)
        except ValueError as error:
            logger.error("Schedule %s never fires: %s", row.schedule_name, error)
            return timer
        if timer.moment is None:
            logger.error("Schedule %s never fires: %r has no future time", row.schedule_name, row.schedule)
        return timer

    def _advance(self, timer: Timer, now: float) -> None:
        """Go on to the next time, and draw when to fire for it (SD-23)."""
        timer.moment = next(timer.times, None)
        if timer.moment is None:
            return
        at = timer.moment.timestamp()
        timer.due_sec = at + self._chance.uniform(0.0, min(JITTER * max(0.0, at - now), MOST_JITTER_SEC))

    def _make_up(self, row: Schedule) -> None:
        """Enqueue what was missed since the schedule last fired, if it asks for that (SD-44)."""
        if not row.automatic_backfill or row.last_fired_at is None:
            return
        now = datetime.fromtimestamp(self._node.clock.now_sec(), timezone.utc)
        try:
            last = cron.utc(moment_of(row.last_fired_at))
            missed = cron.parse(row.schedule, row.cron_timezone).between(last, now)
            run_now(scheduled.enqueue_all(self._node, self._node.blocking, row, missed))
        except Exception:
            logger.warning("Schedule %s could not be backfilled", row.schedule_name, exc_info=True)

    # --- firing

    def _elapsed(self, timer: Timer, now: float) -> list[Tick]:
        """Take the ticks of a timer whose time has come, and go on to the next (SD-29)."""
        moments: list[datetime] = []
        while timer.moment is not None and timer.due_sec <= now:
            moments.append(timer.moment)
            self._advance(timer, now)
        is_away = len(moments) > MOST_LATE or (moments and now - moments[0].timestamp() > MOST_LATE_SEC)
        if len(moments) > 1 and is_away and not timer.schedule.automatic_backfill:
            logger.warning(
                "Schedule %s: this process was stopped past %d times; it fires the last one, %s",
                timer.schedule.schedule_name,
                len(moments),
                moments[-1].isoformat(),
            )
            del moments[:-1]
        ticks = [scheduled.tick_of(timer.schedule, moment) for moment in moments]
        if timer.is_decorated:
            actual = datetime.fromtimestamp(now, timezone.utc)
            ticks = [replace(tick, second=actual, is_decorated=True) for tick in ticks]
        return ticks

    def _enqueue(self, ticks: list[Tick]) -> None:
        """Enqueue ticks and note that they fired; a failure loses them for this process only (SD-28)."""
        node = self._node
        for start in range(0, len(ticks), scheduled.CHUNK):
            chunk = ticks[start : start + scheduled.CHUNK]
            try:
                run_now(scheduled.enqueue(node, node.blocking, chunk))
                self._note(
                    {tick.schedule.schedule_name: tick.moment.isoformat() for tick in chunk if not tick.is_decorated}
                )
            except Exception:
                if self.stopping:
                    return
                logger.warning("%s could not be enqueued", chunk[0].workflow_id, exc_info=True)

    def _note(self, moments: dict[str, str]) -> None:
        if moments:
            self._node.database.transact(lambda session: schedules.fired(session, moments))


def _declared(node: Runtime, one: Decorated) -> Schedule:
    """Return the schedule that a decorator declares (SD-52)."""
    return Schedule(one.name, one.name, None, one.cron, "", False, None, None, node.application_name)
