"""Steps with limits: a timeout, or being cancelled with their workflow while they run.

Knows how an async step is run as a task that may be cancelled (STEP-20..27). Leaves everything else about steps to
`step.py`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._error import DBOSStepTimeoutError, DBOSWorkflowCancelledError
from .._model.outcome import Failure, Outcome, Value
from .._store.cancelling import cancelled_among
from .color import Io
from .context import Run

if TYPE_CHECKING:
    import asyncio

    from .registry import StepRetry
    from .runtime import Runtime

logger = logging.getLogger("dbos")

PREEMPTION_POLL_SEC = 1.0


async def call_limited(
    node: Runtime, io: Io, run: Run, name: str, retry: StepRetry, fn: Callable[..., Any], args: Any, kwargs: Any
) -> Outcome[Any]:
    """Call an async step under its limits, on this loop or, from a blocking caller, on the target loop."""

    async def limited() -> Any:
        return await _limited(node, run, name, retry, fn, args, kwargs)

    outcome = await io.call(limited, (), {})
    if isinstance(outcome, Value):
        limited_outcome: Outcome[Any] = outcome.value
        return limited_outcome
    return outcome


async def _limited(
    node: Runtime, run: Run, name: str, retry: StepRetry, fn: Callable[..., Any], args: Any, kwargs: Any
) -> Outcome[Any]:
    import asyncio

    task: asyncio.Task[Any] = asyncio.ensure_future(fn(*args, **kwargs))
    watch = Preemption(node, run) if retry.preemptible else None
    waiting: set[asyncio.Future[Any]] = {task}
    if watch is not None:
        waiting.add(watch.start())
    try:
        await asyncio.wait(waiting, timeout=retry.timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        await _end(task)
        raise
    finally:
        if watch is not None:
            watch.stop()
    if task.done():
        return await _own_outcome(task)
    cancelled = watch is not None and watch.seen
    ended = await _end(task)
    if ended is not None and not isinstance(ended, (Exception, asyncio.CancelledError)):
        raise ended
    if cancelled:
        run.cancelled = True
        raise DBOSWorkflowCancelledError(f"Workflow {run.workflow_id} is cancelled. Aborting step {name}.")
    assert retry.timeout_seconds is not None
    timeout = DBOSStepTimeoutError(name, retry.timeout_seconds)
    if isinstance(ended, Exception):
        timeout.__cause__ = ended
    return Failure(timeout)


async def _own_outcome(task: asyncio.Task[Any]) -> Outcome[Any]:
    try:
        return Value(await task)
    except Exception as error:
        return Failure(error)


async def _end(task: asyncio.Task[Any]) -> BaseException | None:
    """Cancel a task and wait for its clean-up, without bound; return what it raised."""
    import asyncio

    task.cancel()
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            with contextlib.suppress(BaseException):
                await task
            raise
    return asyncio.CancelledError() if task.cancelled() else task.exception()


class Preemption:
    """Watches for the cancellation of a workflow while a preemptible step of it runs."""

    def __init__(self, node: Runtime, run: Run) -> None:
        self._node = node
        self._run = run
        self._task: Any = None
        self.seen = False

    def start(self) -> asyncio.Task[None]:
        """Begin watching; the task ends once the cancellation is seen."""
        import asyncio

        task: asyncio.Task[None] = asyncio.ensure_future(self._watch())
        self._task = task
        return task

    def stop(self) -> None:
        """Stop watching."""
        self._task.cancel()

    async def _watch(self) -> None:
        import asyncio

        while True:
            if self._run.cancelled or await self._asked_all():
                self.seen = True
                return
            await asyncio.sleep(0.05 if self._run.cancelled else PREEMPTION_POLL_SEC)

    async def _asked_all(self) -> bool:
        """Ask the database, once per loop and interval for all preemptible steps (STEP-25)."""
        poll = Poll.of(self._node)
        return self._run.workflow_id in await poll.cancelled(self._run)


class Poll:
    """One shared question per interval: which of the runs with preemptible steps are cancelled?"""

    _polls: dict[tuple[int, int], Poll] = {}

    def __init__(self, node: Runtime) -> None:
        self._node = node
        self._runs: dict[str, Run] = {}
        self._asking: Any = None

    @classmethod
    def of(cls, node: Runtime) -> Poll:
        """Return the poll of this node on the running loop."""
        import asyncio

        key = (id(node), id(asyncio.get_running_loop()))
        poll = cls._polls.get(key)
        if poll is None or poll._node is not node:
            poll = cls._polls[key] = cls(node)
        return poll

    async def cancelled(self, run: Run) -> set[str]:
        """Return the ids, among all asked for by now, whose runs are cancelled under the token they hold."""
        import asyncio

        self._runs[run.workflow_id] = run
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask())
        try:
            answer: set[str] = await asyncio.shield(self._asking)
            return answer
        finally:
            self._runs.pop(run.workflow_id, None)

    async def _ask(self) -> set[str]:
        import asyncio

        await asyncio.sleep(0)  # let every step that is due join this question
        owners = {workflow_id: run.owner for workflow_id, run in self._runs.items()}
        try:
            rows = await self._node.looping.query(
                self._node.database.read, lambda session: cancelled_among(session, list(owners))
            )
            # A run resumed meanwhile holds another token: the answer is stale for it (STEP-27).
            return {row for row in rows if row in self._runs and self._runs[row].owner == owners[row]}
        except Exception:
            logger.warning("Could not see whether workflows with preemptible steps are cancelled", exc_info=True)
            return set()
        finally:
            self._asking = None
