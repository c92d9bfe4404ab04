"""`Debouncer` and `DebouncerClient`: what users hold to debounce a workflow. Leaves the rows to `_ops.debounce`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from . import _decorators as decorators
from ._engine.color import refuse_to_block, run_now
from ._engine.handles import WorkflowHandle, WorkflowHandleAsync
from ._engine.registry import REGISTRY
from ._engine.runtime import Runtime, installed
from ._engine.target import method_target
from ._engine.workflow import Target
from ._model.queue import INTERNAL_QUEUE
from ._model.records import EnqueueOptions
from ._ops.debounce import debounce, debounce_outside
from ._queue import Queue

if TYPE_CHECKING:
    from ._client import DBOSClient

P = ParamSpec("P")
R = TypeVar("R")


class Debouncer(Generic[P, R]):
    """Runs a workflow once its calls under a key have stopped for a while, with the arguments of the last one.

        debouncer = Debouncer.create(save_draft, debounce_timeout_sec=60)
        handle = debouncer.debounce("user-17", 5, draft)

    Each call puts the run off by its period; `debounce_timeout_sec` bounds how long in all, from the first call.
    """

    def __init__(
        self,
        workflow_name: str,
        *,
        debounce_timeout_sec: float | None = None,
        queue: Queue | str | None = None,
        application_name: str | None = None,
    ) -> None:
        """Debounce a workflow by its name; nothing is looked up before the first call."""
        self._workflow_name = workflow_name
        self._timeout_sec = debounce_timeout_sec or None
        self._queue_name = queue.name if isinstance(queue, Queue) else queue
        self._application_name = application_name

    @staticmethod
    def create(
        workflow: Callable[P, R],
        *,
        debounce_timeout_sec: float | None = None,
        queue: Queue | str | None = None,
        application_name: str | None = None,
    ) -> Debouncer[P, R]:
        """Return a debouncer of a workflow function.

        Raises `TypeError` for a method.
        """
        return Debouncer(
            _name_of(workflow),
            debounce_timeout_sec=debounce_timeout_sec,
            queue=queue,
            application_name=application_name,
        )

    @staticmethod
    def create_async(
        workflow: Callable[P, Coroutine[Any, Any, R]],
        *,
        debounce_timeout_sec: float | None = None,
        queue: Queue | str | None = None,
        application_name: str | None = None,
    ) -> Debouncer[P, R]:
        """Return a debouncer of a coroutine workflow. Not a coroutine itself: it is not awaited."""
        return Debouncer(
            _name_of(workflow),
            debounce_timeout_sec=debounce_timeout_sec,
            queue=queue,
            application_name=application_name,
        )

    def debounce(
        self, debounce_key: str, debounce_period_sec: float, *args: P.args, **kwargs: P.kwargs
    ) -> WorkflowHandle[R]:
        """Put off the run that waits under the key, with these arguments now; without one, create it.

        Raises `DBOSQueueDeduplicatedError` when something else holds the key, `DBOSException` for options that cannot
        be debounced, `RuntimeError` inside a running event loop.
        """
        refuse_to_block("debounce", "debounce_async")
        node = _node()
        call = self._call(args, kwargs)
        held: WorkflowHandle[R] = run_now(debounce(node, node.blocking, *call, debounce_key, debounce_period_sec))
        return held

    async def debounce_async(
        self, debounce_key: str, debounce_period_sec: float, *args: P.args, **kwargs: P.kwargs
    ) -> WorkflowHandleAsync[R]:
        """Do what `debounce` does, from async code."""
        node = _node()
        node.threads.adopt()
        call = self._call(args, kwargs)
        held: WorkflowHandleAsync[R] = await debounce(node, node.looping, *call, debounce_key, debounce_period_sec)
        return held

    def _call(self, args: Any, kwargs: Any) -> tuple[Target, str, str | None, float | None]:
        workflow = REGISTRY.workflows.get(self._workflow_name)
        if workflow is None:
            raise Exception(f"Invalid workflow name provided to debouncer: {self._workflow_name}")
        queue_name = self._queue_name or INTERNAL_QUEUE
        return method_target(workflow.info, args, kwargs), queue_name, self._application_name, self._timeout_sec


class DebouncerClient:
    """Debounces a workflow from outside its application, by its name.

        debouncer = DebouncerClient(client, {"workflow_name": "save_draft", "queue_name": "drafts"})
        handle = debouncer.debounce("user-17", 5, draft)

    It runs on `queue`, else on the queue that the options name. `application_name` says whose the workflow is; left
    out, the options say, then the client.
    """

    def __init__(
        self,
        client: DBOSClient,
        workflow_options: EnqueueOptions,
        *,
        debounce_timeout_sec: float | None = None,
        queue: Queue | str | None = None,
        application_name: str | None = None,
    ) -> None:
        """Debounce what the options describe; nothing is looked up or checked before the first call."""
        self._client: Any = client  # its stub shows users what is theirs
        self._options = workflow_options
        self._queue_name = queue.name if isinstance(queue, Queue) else queue
        self._application_name = application_name
        self._timeout_sec = debounce_timeout_sec or None

    def _given(self) -> dict[str, Any]:
        """Return what the next call is given: the options as they are now (DEB-17)."""
        chosen = {"queue_name": self._queue_name, "application_name": self._application_name}
        own = {name: value for name, value in chosen.items() if value is not None}
        return {name: value for name, value in self._options.items() if value is not None} | own

    def debounce(self, debounce_key: str, debounce_period_sec: float, *args: Any, **kwargs: Any) -> WorkflowHandle[Any]:
        """Put off the run that waits under the key, with these arguments now; without one, create it.

        Raises `DBOSQueueDeduplicatedError` when something else holds the key, `DBOSException` for options that cannot
        be debounced.
        """
        handle: WorkflowHandle[Any] = self._client._run(
            debounce_outside,
            (self._given(), debounce_key, debounce_period_sec, self._timeout_sec, args, kwargs),
            {},
        )
        return handle

    async def debounce_async(
        self, debounce_key: str, debounce_period_sec: float, *args: Any, **kwargs: Any
    ) -> WorkflowHandleAsync[Any]:
        """Do what `debounce` does, from async code."""
        handle: WorkflowHandleAsync[Any] = await self._client._run_async(
            debounce_outside,
            (self._given(), debounce_key, debounce_period_sec, self._timeout_sec, args, kwargs),
            {},
        )
        return handle


def _name_of(workflow: Callable[..., Any]) -> str:
    if inspect.ismethod(workflow):
        raise TypeError("Only workflow functions may be debounced, not methods")
    info = getattr(workflow, "dbos_info", None)
    if info is None or info.workflow is None:
        return getattr(workflow, "__qualname__", repr(workflow))
    return str(info.workflow.name)


def _node() -> Runtime:
    node = installed()
    if node is None:
        raise decorators.not_running[0]("Debouncer.debounce")
    return node
