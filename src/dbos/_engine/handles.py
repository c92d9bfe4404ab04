"""Handles: what a caller holds of a workflow that runs here, elsewhere, or later.

A handle knows the id and, for a run started in this process, the run itself. Leaves waiting to `waiting.py` and
reading to `status.py`, which the two classes publish in their colour.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

from .._model.outcome import unwrap
from .color import Io, run_now
from .context import Run
from .runtime import Node
from .status import status_or_raise
from .waiting import handle_result

if TYPE_CHECKING:
    from .._model.records import WorkflowStatus

R = TypeVar("R", covariant=True)


@runtime_checkable
class WorkflowHandle(Protocol[R]):
    """A workflow that was started, enqueued or retrieved.

    handle = DBOS.start_workflow(checkout, order)
    receipt = handle.get_result()
    """

    @property
    def workflow_id(self) -> str:
        """The workflow's id."""

    @property
    def shard_key(self) -> str | None:
        """Always None: this system database is not sharded."""

    def get_workflow_id(self) -> str:
        """Return the workflow's id."""

    def get_result(self, *, polling_interval_sec: float = 1.0) -> R:
        """Wait for the workflow and return its result, or raise its error.

        Woken by signals; `polling_interval_sec` bounds how stale a wait on another process's run may be (seconds).

        Raises `DBOSAwaitedWorkflowCancelledError` or `DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded` when it ended so.
        """

    def get_status(self) -> WorkflowStatus:
        """Return the workflow's status; `DBOSNonExistentWorkflowError` if it has no row."""


@runtime_checkable
class WorkflowHandleAsync(Protocol[R]):
    """A workflow that was started, enqueued or retrieved from async code.

    handle = await DBOS.start_workflow_async(checkout, order)
    receipt = await handle.get_result()
    """

    @property
    def workflow_id(self) -> str:
        """The workflow's id."""

    @property
    def shard_key(self) -> str | None:
        """Always None: this system database is not sharded."""

    def get_workflow_id(self) -> str:
        """Return the workflow's id."""

    def get_result(self, *, polling_interval_sec: float = 1.0) -> Coroutine[Any, Any, R]:
        """Wait for the workflow and return its result, or raise its error, as `WorkflowHandle.get_result` does."""

    def get_status(self) -> Coroutine[Any, Any, WorkflowStatus]:
        """Return the workflow's status; `DBOSNonExistentWorkflowError` if it has no row."""


class _Held(Generic[R]):
    """What both colours have in common."""

    def __init__(self, node: Any, workflow_id: str, run: Run | None = None) -> None:
        self._node = node
        self._run = run
        self.workflow_id = workflow_id
        self.shard_key: str | None = None

    def get_workflow_id(self) -> str:
        """Return the workflow's id."""
        return self.workflow_id

    @property
    def run(self) -> Run | None:
        """The run itself, when this process executes it."""
        return self._run

    def __repr__(self) -> str:
        """Show the workflow's id."""
        return f"{type(self).__name__}({self.workflow_id!r})"


class Handle(_Held[R]):
    """A handle for blocking callers."""

    def get_result(self, *, polling_interval_sec: float = 1.0) -> R:
        """Wait for the workflow and return its result, or raise its error."""
        core = handle_result(self._node, self._node.blocking, self.workflow_id, self._run, polling_interval_sec)
        result: R = unwrap(run_now(core))
        return result

    def get_status(self) -> WorkflowStatus:
        """Return the workflow's status."""
        return run_now(status_or_raise(self._node, self._node.blocking, self.workflow_id))


class HandleAsync(_Held[R]):
    """A handle for callers on an event loop."""

    async def get_result(self, *, polling_interval_sec: float = 1.0) -> R:
        """Wait for the workflow and return its result, or raise its error."""
        core = handle_result(self._node, self._node.looping, self.workflow_id, self._run, polling_interval_sec)
        result: R = unwrap(await core)
        return result

    async def get_status(self) -> WorkflowStatus:
        """Return the workflow's status."""
        return await status_or_raise(self._node, self._node.looping, self.workflow_id)


def handle(node: Node, io: Io, workflow_id: str, run: Run | None = None) -> Any:
    """Return a handle of the caller's colour."""
    return (HandleAsync if io.looping else Handle)(node, workflow_id, run)
