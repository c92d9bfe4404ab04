"""Methods that are exactly-once database transactions."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, ParamSpec, TypeVar, cast

from dbos import DBOS
from dbos.error import DBOSException

P = ParamSpec("P")
R = TypeVar("R")

IsolationLevel = Literal["SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"]


def transactional_function(
    *,
    name: str | None = None,
    isolation_level: IsolationLevel = "SERIALIZABLE",
    retries_allowed: bool = False,
    max_attempts: int = 3,
    interval_seconds: float = 1.0,
    backoff_rate: float = 2.0,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a method of a `Workflow`, plain or async, one exactly-once database transaction.

    What it writes through `self.ctx.sql_session` and its own checkpoint are one commit: a crash leaves both or neither.
    Serialization failures, deadlocks and lost connections run it again by themselves. With `retries_allowed` a failure
    of another kind does too, up to `max_attempts` times, `interval_seconds * backoff_rate ** k` seconds apart; each
    attempt is a transaction and a step of its own.

    Raises what the method raises, after its writes were rolled back; `DBOSException` for less than one attempt.

        @transactional_function(isolation_level="READ COMMITTED")
        def reserve(self, item: str) -> None:
            self.ctx.sql_session.execute(text("insert into reservations (item) values (:item)"), {"item": item})
    """
    if max_attempts < 1:
        raise DBOSException(f"max_attempts must be at least 1, not {max_attempts}")
    attempts = max_attempts if retries_allowed else 1

    def pauses() -> Iterator[float]:
        return (interval_seconds * backoff_rate**attempt for attempt in range(attempts - 1))

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        options: Any = {"name": name or function.__qualname__, "isolation_level": isolation_level}

        @functools.wraps(function)
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            run = functools.partial(self.ctx.datasource().run_tx_step, options, function, self, *args, **kwargs)
            for seconds in pauses():
                try:
                    return run()
                except Exception as error:
                    self.ctx.logger.warning("%s failed and is tried again: %s", options["name"], error)
                _pause(seconds)
            return run()

        @functools.wraps(function)
        async def method_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            datasource = self.ctx.async_datasource()
            run = functools.partial(datasource.run_tx_step_async, options, function, self, *args, **kwargs)
            for seconds in pauses():
                try:
                    return await run()
                except Exception as error:
                    self.ctx.logger.warning("%s failed and is tried again: %s", options["name"], error)
                await _pause_async(seconds)
            return await run()

        return cast("Callable[P, R]", method_async if inspect.iscoroutinefunction(function) else method)

    return decorate


def _pause(seconds: float) -> None:
    if DBOS.workflow_id is not None and DBOS.step_id is None:
        DBOS.sleep(seconds)
    else:
        time.sleep(seconds)


async def _pause_async(seconds: float) -> None:
    if DBOS.workflow_id is not None and DBOS.step_id is None:
        await DBOS.sleep_async(seconds)
    else:
        await asyncio.sleep(seconds)
