"""`Queue`: what users hold of a queue, declared in this process or registered in the database.

Lists the properties and how each is read and set, in both colours. Leaves what they mean to `_model.queue` and the
verbs behind them to `_ops.queues`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, Generic, ParamSpec, TypeVar, overload

from ._decorators import not_running
from ._engine.color import Io, run_now, settled
from ._engine.handles import WorkflowHandle, WorkflowHandleAsync
from ._engine.registry import REGISTRY
from ._engine.runtime import Node, Runtime, installed
from ._engine.threads import loop_is_running
from ._error import DBOSException
from ._model.queue import POLLING_SEC, QueueSettings, declared, shown
from ._model.records import QueueRateLimit
from ._ops import enqueue, queues

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger("dbos")


class Property(Generic[T]):
    """A property of a queue, read from the database each time when the queue is registered there (QU-30)."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn its own name."""
        self.name = name

    @overload
    def __get__(self, queue: None, owner: type) -> Property[T]: ...

    @overload
    def __get__(self, queue: Queue, owner: type) -> T: ...

    def __get__(self, queue: Queue | None, owner: type) -> T | Property[T]:
        """Read the property."""
        if queue is None:
            return self
        _warn_on_loop(queue, self.name, f"get_{self.name}_async")
        return queue._run(_read, self.name)  # type: ignore[no-any-return]  # the property's own type


async def _read(queue: Queue, io: Io, what: str) -> Any:
    settings = queue.settings
    if queue.database_backed_queue:
        settings = await queues.settings_of(queue.node, io, queue.name)
    return shown(settings, what)


async def _write(queue: Queue, io: Io, what: str, value: Any) -> None:
    if not queue.database_backed_queue:
        raise DBOSException(
            f"Cannot configure queue {queue.name}: this is only supported for queues registered via DBOS.register_queue"
        )
    await queues.change(queue.node, io, queue.name, what, value)


def _getter_async(what: str, kind: Callable[[T], None]) -> Callable[[Queue], Coroutine[Any, Any, T]]:
    async def get(self: Queue) -> T:
        return await self._await(_read, what)  # type: ignore[no-any-return]  # the property's own type

    return _named(get, f"get_{what}_async", f"Return {what} as it stands in the database.")


def _setter(what: str, kind: Callable[[T], None]) -> Callable[[Queue, T], None]:
    def set(self: Queue, value: T) -> None:
        _warn_on_loop(self, f"set_{what}", f"set_{what}_async")
        self._run(_write, what, value)

    return _named(set, f"set_{what}", f"Set {what}; every process follows at its next poll. None clears a limit.")


def _setter_async(what: str, kind: Callable[[T], None]) -> Callable[[Queue, T], Coroutine[Any, Any, None]]:
    async def set(self: Queue, value: T) -> None:
        await self._await(_write, what, value)

    return _named(set, f"set_{what}_async", f"Set {what}; every process follows at its next poll. None clears a limit.")


def _named(function: F, name: str, doc: str) -> F:
    function.__name__ = name
    function.__qualname__ = f"Queue.{name}"
    function.__doc__ = doc
    return function


def _warn_on_loop(queue: Queue, name: str, instead: str) -> None:
    if queue.database_backed_queue and loop_is_running():
        logger.warning("Queue.%s blocks the running event loop: use %s", name, instead)


# What a property's value may be, for the makers of its functions.
def _count(value: int | None) -> None: ...
def _rate(value: QueueRateLimit | None) -> None: ...
def _flag(value: bool) -> None: ...
def _seconds(value: float) -> None: ...


class Queue:
    """A queue of workflows, with limits on how many run at once and how often they start.

    Register queues with `DBOS.register_queue` after launch. Constructing one declares it in this process only, and is
    deprecated:

        reports = Queue("reports", worker_concurrency=4)
        handle = reports.enqueue(build_report, "monthly")

    Raises `ValueError` for limits that contradict one another, `Exception` when the name is declared already.
    """

    def __init__(
        self,
        name: str,
        concurrency: int | None = None,
        limiter: QueueRateLimit | None = None,
        *,
        worker_concurrency: int | None = None,
        global_concurrency: int | None = None,
        partition_concurrency: int | None = None,
        partition_worker_concurrency: int | None = None,
        partition_limiter: QueueRateLimit | None = None,
        polling_interval_sec: float = POLLING_SEC,
        priority_enabled: bool = False,
        partition_queue: bool = False,
    ) -> None:
        self.settings = declared(
            name,
            concurrency=concurrency,
            limiter=limiter,
            worker_concurrency=worker_concurrency,
            global_concurrency=global_concurrency,
            partition_concurrency=partition_concurrency,
            partition_worker_concurrency=partition_worker_concurrency,
            partition_limiter=partition_limiter,
            polling_interval_sec=polling_interval_sec,
            priority_enabled=priority_enabled,
            partition_queue=partition_queue,
        )
        self._node: Node | None = None
        if REGISTRY.queues.setdefault(name, self.settings) is not self.settings:
            raise Exception(f"Queue {name} has already been declared")
        warnings.warn(
            f"Queue({name!r}) declares a queue in this process only and is deprecated: use DBOS.register_queue",
            DeprecationWarning,
            stacklevel=2,
        )

    @property
    def name(self) -> str:
        """The queue's name."""
        return self.settings.name

    @property
    def application_name(self) -> str | None:
        """The application that owns the queue; None when nobody does, or when it is declared in this process only."""
        return self.settings.application_name

    @property
    def database_backed_queue(self) -> bool:
        """Whether the queue is registered in the database."""
        return self._node is not None

    concurrency = Property[int | None]("How many run at once, in all processes together. Deprecated spelling.")
    get_concurrency_async = _getter_async("concurrency", _count)
    set_concurrency = _setter("concurrency", _count)
    set_concurrency_async = _setter_async("concurrency", _count)

    global_concurrency = Property[int | None]("How many run at once, in all processes together.")
    get_global_concurrency_async = _getter_async("global_concurrency", _count)
    set_global_concurrency = _setter("global_concurrency", _count)
    set_global_concurrency_async = _setter_async("global_concurrency", _count)

    worker_concurrency = Property[int | None]("How many run at once in each process.")
    get_worker_concurrency_async = _getter_async("worker_concurrency", _count)
    set_worker_concurrency = _setter("worker_concurrency", _count)
    set_worker_concurrency_async = _setter_async("worker_concurrency", _count)

    limiter = Property[QueueRateLimit | None]("How many start in any period of so many seconds.")
    get_limiter_async = _getter_async("limiter", _rate)
    set_limiter = _setter("limiter", _rate)
    set_limiter_async = _setter_async("limiter", _rate)

    partition_concurrency = Property[int | None]("How many of one partition run at once, in all processes together.")
    get_partition_concurrency_async = _getter_async("partition_concurrency", _count)
    set_partition_concurrency = _setter("partition_concurrency", _count)
    set_partition_concurrency_async = _setter_async("partition_concurrency", _count)

    partition_worker_concurrency = Property[int | None]("How many of one partition run at once in each process.")
    get_partition_worker_concurrency_async = _getter_async("partition_worker_concurrency", _count)
    set_partition_worker_concurrency = _setter("partition_worker_concurrency", _count)
    set_partition_worker_concurrency_async = _setter_async("partition_worker_concurrency", _count)

    partition_limiter = Property[QueueRateLimit | None]("How many of one partition start in any period.")
    get_partition_limiter_async = _getter_async("partition_limiter", _rate)
    set_partition_limiter = _setter("partition_limiter", _rate)
    set_partition_limiter_async = _setter_async("partition_limiter", _rate)

    priority_enabled = Property[bool]("As declared. Has no effect: priorities always count.")
    get_priority_enabled_async = _getter_async("priority_enabled", _flag)
    set_priority_enabled = _setter("priority_enabled", _flag)
    set_priority_enabled_async = _setter_async("priority_enabled", _flag)

    partition_queue = Property[bool]("Whether the queue is partitioned.")
    get_partition_queue_async = _getter_async("partition_queue", _flag)
    set_partition_queue = _setter("partition_queue", _flag)
    set_partition_queue_async = _setter_async("partition_queue", _flag)

    polling_interval_sec = Property[float]("How often processes look for what others have enqueued, in seconds.")
    get_polling_interval_sec_async = _getter_async("polling_interval_sec", _seconds)
    set_polling_interval_sec = _setter("polling_interval_sec", _seconds)
    set_polling_interval_sec_async = _setter_async("polling_interval_sec", _seconds)

    def enqueue(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> WorkflowHandle[R]:
        """Put a workflow on this queue and return a handle to it, as `DBOS.enqueue_workflow` does."""
        node = self._runtime()
        return settled(  # type: ignore[no-any-return]  # a handle of this colour
            run_now(enqueue.enqueue_workflow(node, node.blocking, self.name, func, *args, **kwargs))
        )

    async def enqueue_async(
        self, func: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> WorkflowHandleAsync[R]:
        """Put a workflow on this queue and return a handle to it, as `DBOS.enqueue_workflow_async` does."""
        node = self._runtime()
        node.threads.adopt()
        core: Any = enqueue.enqueue_workflow(node, node.looping, self.name, func, *args, **kwargs)
        return settled(await core)  # type: ignore[no-any-return]  # a handle of this colour

    def __repr__(self) -> str:
        """Show the name and the options that are set."""
        return f"Queue({self.settings})"

    @property
    def node(self) -> Node:
        """What a registered queue is read and written through: today's runtime, or the client it came from."""
        node = self._node
        if isinstance(node, Runtime):
            node = installed()
        if node is None:
            raise not_running[0](f"Queue {self.name}")
        return node

    def _runtime(self) -> Runtime:
        if self._node is not None and not isinstance(self._node, Runtime):
            raise DBOSException(f"Queue {self.name} belongs to a client. Use DBOSClient.enqueue instead")
        node = installed()
        if node is None:
            raise not_running[0](f"Queue {self.name}")
        return node

    def _run(self, core: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        return run_now(core(self, self.node.blocking if self.database_backed_queue else None, *args))

    async def _await(self, core: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        return await core(self, self.node.looping if self.database_backed_queue else None, *args)


def queue_of(node: Node, settings: QueueSettings) -> Queue:
    """Return the object for a registered queue."""
    queue = object.__new__(Queue)
    queue.settings = settings
    queue._node = node
    return queue
