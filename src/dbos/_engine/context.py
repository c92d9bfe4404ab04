"""Where we are: the running workflow and step, the options of enclosing `with` blocks, and who the user is.

One context variable holds one frozen value, replaced whole. Leaves what the blocks validate to `options.py` and what
a run does to `workflow.py`.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .._error import DBOSException, DBOSWorkflowCancelledError
from .._model.outcome import Failure, Outcome
from .._store.steps import Recorded
from .._store.ticket import Ticket

if TYPE_CHECKING:
    from .inbox import Inbox
    from .pen import Pen


class Run:
    """One execution of a workflow in this process: its identity, its replay map and its next step id."""

    __slots__ = (
        "background",
        "cancelled",
        "checked_at",
        "creator",
        "deadline_ms",
        "done",
        "inboxes",
        "keepers",
        "lock",
        "loop",
        "lost",
        "name",
        "next_step_id",
        "owner",
        "pens",
        "queue_name",
        "recorded_to",
        "reading",
        "replay",
        "serialization",
        "span",
        "trace_parent",
        "view",
        "workflow_id",
    )

    def __init__(
        self,
        workflow_id: str,
        owner: str,
        name: str,
        serialization: str | None,
        deadline_ms: int | None,
        queue_name: str | None,
        replay: dict[int, Recorded],
        creator: str | None,
    ) -> None:
        self.workflow_id = workflow_id
        self.owner = owner
        self.name = name
        self.serialization = serialization
        self.deadline_ms = deadline_ms
        self.queue_name = queue_name
        self.replay = replay
        self.creator = creator  # of the row: a deleted id that is used again has another
        self.next_step_id = 1
        self.loop: object = None  # the event loop whose task executes it, if one does
        self.background = False  # nobody called it directly: an exception that escapes it is logged
        self.cancelled = False
        self.lost = False
        self.keepers: tuple[Any, ...] = ()  # users' databases that hold checkpoints of it
        self.recorded_to = 0  # the highest step id it has recorded
        self.checked_at = 0.0  # monotonic seconds: when the database last confirmed that we own the run
        self.done: Ticket[Outcome[Any]] = Ticket()
        self.inboxes: dict[str, Inbox] = {}  # by topic: messages read and not yet received
        self.pens: dict[str, Pen] = {}  # by stream: where to write next
        self.reading = False  # a stream: its id is drawn, its outcome not yet recorded
        self.lock = threading.Lock()
        self.view: Any = None  # what `dbos._context` shows of it, once somebody asks
        self.span: Any = None  # of this execution, when tracing is on
        self.trace_parent: Any = None  # the trace context its span belongs under; None: the current one

    def draw(self, count: int = 1) -> int:
        """Take the next step id, or the first of `count` consecutive ones (EX-20)."""
        with self.lock:
            step_id = self.next_step_id
            self.next_step_id += count
        return step_id

    @property
    def portable(self) -> bool:
        """Tell whether messages, events and streams of this run default to portable JSON (SER-13)."""
        return self.serialization == "portable_json"

    def end_span(self, outcome: Outcome[Any]) -> None:
        """End the execution's span, if it has one: before anybody can see the outcome."""
        span, self.span = self.span, None
        if span is not None:
            span.end(outcome.error if isinstance(outcome, Failure) else None)

    def raise_if_cancelled(self) -> None:
        """Raise what a cancelled workflow's operations raise (EX-80)."""
        if self.cancelled:
            raise DBOSWorkflowCancelledError(f"Workflow {self.workflow_id} is cancelled. Aborting function.")


@dataclass(slots=True)
class StepStatus:
    """What `DBOS.step_status` shows: the running step and, when it is retried, which attempt this is."""

    step_id: int
    current_attempt: int | None = None
    max_attempts: int | None = None


@dataclass(slots=True)
class NextId:
    """The id that `SetWorkflowID` offers: the first start in the block takes it."""

    workflow_id: str
    reuse_policy: str | None
    taken: bool = False


@dataclass(slots=True)
class Auth:
    """Who acts: `set_authentication` changes the innermost scope in place (CTX-47)."""

    user: str | None = None
    roles: list[str] | None = None
    assumed_role: str | None = None


@dataclass(frozen=True, slots=True)
class EnqueueDefaults:
    """What `SetEnqueueOptions` says."""

    deduplication_id: str | None = None
    priority: int | None = None
    app_version: str | None = None
    queue_partition_key: str | None = None
    delay_until_ms: int | None = None
    duplication_policy: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What the enclosing `with` blocks say about workflows started in them."""

    next_id: NextId | None = None
    timeout_set: bool = False
    timeout_ms: int | None = None
    attributes: dict[str, Any] | None = None
    carrier: dict[str, str] | None = None  # a trace context, as W3C headers, to store with them
    enqueue: EnqueueDefaults | None = None
    shard_key: str | None = None


NO_OPTIONS = Options()

# Where a workflow's attributes hold the trace context it belongs to (OT-20).
CARRIER = "dbos.otelContext"


def stored_attributes(options: Options) -> dict[str, Any] | None:
    """Return the attributes of a workflow started with these options: the carrier stands above one written by hand."""
    if options.carrier is None:
        return options.attributes
    return {**(options.attributes or {}), CARRIER: options.carrier}


@dataclass(frozen=True, slots=True)
class Context:
    """Where we are. No context at all means plain code outside every block."""

    run: Run | None = None
    step: StepStatus | None = None
    options: Options = NO_OPTIONS
    auth: Auth = field(default_factory=Auth)
    in_transaction: bool = False

    @property
    def in_workflow_code(self) -> bool:
        """Tell whether operations here are checkpointed: inside a workflow, outside its steps."""
        return self.run is not None and self.step is None


_current: ContextVar[Context | None] = ContextVar("dbos_context", default=None)


# The session of a running `@DBOS.transaction` (TX-2).
application_session: ContextVar[Any] = ContextVar("dbos_sql_session", default=None)


def current() -> Context | None:
    """Return the context here, if any."""
    return _current.get()


def running_workflow_id() -> str | None:
    """Return the id of the running workflow, also inside its steps; None outside workflows."""
    here = _current.get()
    return here.run.workflow_id if here is not None and here.run is not None else None


def workflow_run() -> Run | None:
    """Return the run whose workflow code this is, or None in a step and outside workflows."""
    here = _current.get()
    return here.run if here is not None and here.step is None else None


def enter(context: Context | None) -> Token[Context | None]:
    """Make `context` the current one; hand the token to `leave`."""
    return _current.set(context)


def leave(token: Token[Context | None], before: Context | None) -> None:
    """Restore the context before `enter`, also when a block is left elsewhere than it was entered (AS-8)."""
    try:
        _current.reset(token)
    except ValueError:
        _current.set(before)


def require(what: str) -> Context:
    """Return the current context; AssertionError when there is none."""
    here = _current.get()
    assert here is not None, f"No DBOS context found: {what} is available only inside workflows, steps and DBOS blocks"
    return here


class Block:
    """A `with` block that changes the context for its body (CTX-1).

    One block may be used again after it was left, but not entered while it is active (CTX-2).
    """

    def __init__(self) -> None:
        self._token: Token[Context | None] | None = None
        self._before: Context | None = None

    def _changed(self, context: Context) -> Context:
        raise NotImplementedError

    def applied_to(self, context: Context) -> Context:
        """Return the context that the block would make of another."""
        return self._changed(context)

    def __enter__(self) -> Any:
        """Change the context."""
        if self._token is not None:
            raise DBOSException(f"This {type(self).__name__} block is already in use: make a new one for each `with`")
        self._before = _current.get()
        self._token = _current.set(self._changed(self._before if self._before is not None else Context()))
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Restore the context."""
        token, before = self._token, self._before
        self._token = self._before = None
        if token is not None:
            leave(token, before)


def with_options(context: Context, **changes: Any) -> Context:
    """Return `context` with some options changed."""
    return replace(context, options=replace(context.options, **changes))
