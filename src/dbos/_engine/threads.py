"""The threads and loops that run users' code: a pool of daemon threads and a background event loop.

Knows which loop a coroutine workflow belongs on (LIF-15). Leaves what runs there to the engine.
"""

from __future__ import annotations

import logging
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from .._error import DBOSException

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

logger = logging.getLogger("dbos")

UNBOUNDED = 1_000_000

_Task = tuple["Future[Any] | None", Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def running_loop() -> object | None:
    """Return the event loop this thread is inside of, if any, without importing asyncio to find out."""
    # Another thread may be importing it at this moment: then nobody runs a loop yet.
    get_running_loop = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    return None if get_running_loop is None else get_running_loop()


def loop_is_running() -> bool:
    """Tell whether this thread is inside an event loop."""
    return running_loop() is not None


class Pool(ThreadPoolExecutor):
    """A thread pool whose threads are daemons, start on demand and are reused.

    It is a `ThreadPoolExecutor` because event loops accept no other as their default executor (AS-4). Only `close`
    ends it: `asyncio.run` shuts its loop's default executor down on exit, which must not reach ours.
    """

    def __init__(self, max_threads: int | None) -> None:
        super().__init__(max_workers=1, thread_name_prefix="dbos-executor")
        self._limit = max_threads or UNBOUNDED
        self._lock = threading.Lock()
        self._tasks: deque[_Task] = deque()
        self._idle: list[Any] = []  # a raw lock per idle thread; releasing it wakes the thread
        self._count = 0
        self._coming = False
        self._closed = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a function on a free thread, or a new one while the limit allows."""
        future: Future[T] = Future()
        self._push([(future, fn, args, kwargs)])
        return future

    def start(self, calls: Iterable[Callable[[], None]]) -> None:
        """Run functions whose result nobody wants, and which never raise."""
        self._push([(None, call, (), {}) for call in calls])

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do nothing: an event loop that closes does not own this pool."""

    def close(self) -> None:
        """Drop queued work and let idle threads end; threads that run users' code are left to finish."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            dropped, self._tasks = self._tasks, deque()
        for future, *_ in dropped:
            if future is not None:
                future.cancel()
        for sleeper in idle:
            sleeper.release()

    def _push(self, tasks: Sequence[_Task]) -> None:
        with self._lock:
            if self._closed:
                raise DBOSException("DBOS was destroyed: its thread pool runs nothing any more")
            self._tasks.extend(tasks)
            helper = self._helper()
        self._send(helper)

    def _helper(self) -> Any:
        """Return a thread to wake or start, if tasks wait for one and none is on its way. The lock is held.

        Waking a thread costs more than many a task takes, and starting one waits until it runs. So in a burst each
        thread that comes sends the next, and there come no more than there is work for.
        """
        if self._coming or not self._tasks or (not self._idle and self._count >= self._limit):
            return None
        self._coming = True
        if self._idle:
            return self._idle.pop()
        self._count += 1
        return threading.Thread(target=self._work, name=f"dbos-executor-{self._count}", daemon=True)

    def _send(self, helper: Any) -> None:
        if helper is None:
            return
        if not isinstance(helper, threading.Thread):
            helper.release()
            return
        try:
            helper.start()
        except RuntimeError:  # the system allows no more threads: those there are take the tasks, one after another
            with self._lock:
                self._coming = False
                self._count -= 1
                if not self._count:
                    raise
            logger.warning("No thread could be started beside the %d of the pool", self._count, exc_info=True)

    def _work(self) -> None:
        sleeper = threading.Lock()
        sleeper.acquire()
        coming = True
        while True:
            with self._lock:
                if coming:
                    self._coming = False
                task = self._tasks.popleft() if self._tasks else None
                if task is None:
                    if self._closed:
                        self._count -= 1
                        return
                    self._idle.append(sleeper)
                helper = self._helper()
            self._send(helper)
            coming = task is None
            if task is None:
                sleeper.acquire()
                continue
            _run(*task)
            del task


def _run(future: Future[Any] | None, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if future is None:
        fn()
        return
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:  # whoever waits for the future gets it
        future.set_exception(error)
    else:
        future.set_result(result)


class Threads:
    """The pool, the background loop, and the loop `launch` was called in, if any."""

    def __init__(self, max_threads: int | None) -> None:
        self.pool = Pool(max_threads)
        self._adopted: Any = None
        # Loops whose default executor is our pool, and what it was before.
        self._before: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()
        self._main_loop: asyncio.AbstractEventLoop | None = None
        self._main_thread: int | None = None
        self._background: asyncio.AbstractEventLoop | None = None
        self._background_thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    def adopt_main_loop(self) -> None:
        """Make the loop running in this thread, if there is one, the main loop."""
        if loop_is_running():
            import asyncio

            self._main_loop = asyncio.get_running_loop()
            self._main_thread = threading.get_ident()

    def adopt(self) -> None:
        """Make our pool the default executor of the running loop, so that `asyncio.to_thread` stays within it."""
        import asyncio

        loop = asyncio.get_running_loop()
        if loop is not self._adopted:
            before = getattr(loop, "_default_executor", None)
            if before is not self.pool:
                self._before[loop] = before
                loop.set_default_executor(self.pool)
            self._adopted = loop

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop for coroutines that have none of their own: the main loop while it runs, else ours."""
        main = self._main_loop
        if main is not None and main.is_running() and not main.is_closed():
            return main
        with self._lock:
            if self._closed:
                raise DBOSException("DBOS was destroyed: its event loop runs nothing any more")
            if self._background is None:
                import asyncio

                self._background = asyncio.new_event_loop()
                self._background.set_default_executor(self.pool)
                self._background_thread = threading.Thread(
                    target=self._background.run_forever, name="dbos-loop", daemon=True
                )
                self._background_thread.start()
            return self._background

    def owns(self, loop: object) -> bool:
        """Tell whether a loop is the background one, which `close` takes care of."""
        return loop is self._background

    def run_on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the target loop and wait for it in this thread."""
        import asyncio

        loop = self.loop()
        on_main = loop is self._main_loop and self._main_thread == threading.get_ident()
        if on_main or (self._background_thread is threading.current_thread() and loop is self._background):
            coroutine.close()
            raise RuntimeError("Waiting here for a coroutine on this thread's own event loop would deadlock: await it")
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    def spawn(self, makers: list[Callable[[], None]]) -> None:
        """Call functions inside the target loop's thread: one wake-up for all."""

        def call() -> None:
            for make in makers:
                make()

        self.loop().call_soon_threadsafe(call)

    def close(self) -> None:
        """Cancel what runs on the background loop, stop it, and close the pool."""
        with self._lock:
            self._closed = True
            loop, thread = self._background, self._background_thread
        if loop is not None and thread is not None and thread is not threading.current_thread():
            loop.call_soon_threadsafe(_cancel_all_and_stop, loop)
            thread.join(10.0)
            if not thread.is_alive():
                loop.close()
        self._give_back()
        self.pool.close()

    def _give_back(self) -> None:
        """Give loops their former default executor, or a fresh one, so that they can go on without us (LOOP-7)."""
        for loop, before in list(self._before.items()):
            if not loop.is_closed() and getattr(loop, "_default_executor", self.pool) is self.pool:
                loop.set_default_executor(before or ThreadPoolExecutor(thread_name_prefix="asyncio"))
        self._before.clear()


def _cancel_all_and_stop(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel every task of the loop, let their clean-up run, then stop it."""
    import asyncio

    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()

    async def stop() -> None:
        await asyncio.gather(*tasks, return_exceptions=True)
        loop.stop()

    loop.create_task(stop())  # noqa: RUF006  # the loop ends with it
