"""What the engine asks of tracing: spans around workflows, steps and operations, when it is switched on.

Knows where spans begin and end, nothing of OpenTelemetry: `integrations.telemetry` makes them. A node without a tracer
traces nothing and pays one comparison.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from .._model.outcome import Failure
from .color import Io
from .context import Auth, Context, Run, current, enter, leave, workflow_run

P = ParamSpec("P")
T = TypeVar("T")


class Span(Protocol):
    """A span under way."""

    def attach(self) -> Any:
        """Make it the current one here; hand what this returns to `detach`."""

    def detach(self, token: Any) -> None:
        """Make the former one current again."""

    def end(self, error: BaseException | None) -> None:
        """End it: well, or with an error (OT-9)."""


class Tracer(Protocol):
    """What makes spans."""

    def workflow(self, workflow_id: str, name: str, queue_name: str | None, parent: Any, auth: Auth) -> Span:
        """Begin the span of a workflow's execution, under a trace context or None, the current one (OT-8)."""

    def operation(self, run: Run, name: str, kind: str | None) -> Span:
        """Begin the span of a step or operation of a run, under the current span; `kind` is `operationType`."""

    def event(self, name: str, attributes: dict[str, Any]) -> None:
        """Note an event on the current span."""

    def stored_parent(self, attributes: str | None) -> Any:
        """Return the trace context among a workflow's stored attributes, None when there is no usable one (OT-23)."""

    def root(self) -> Any:
        """Return the context without a span."""

    def authenticated(self, auth: Auth) -> None:
        """Say on the innermost span of ours who acts from now on (ATH-15)."""

    def identify(self, version: str, executor_id: str) -> None:
        """Say which version and executor later spans belong to."""

    def close(self) -> None:
        """Send what is left, and take off what was attached."""


class Within:
    """A `with` block in another context, and in a run's span if it has one."""

    __slots__ = ("_before", "_context", "_span", "_span_token", "_token")

    def __init__(self, context: Context, span: Span | None) -> None:
        self._context = context
        self._span = span

    def __enter__(self) -> None:
        """Enter both."""
        self._before = current()
        self._token = enter(self._context)
        self._span_token = self._span.attach() if self._span is not None else None

    def __exit__(self, *exc_info: object) -> None:
        """Leave both."""
        if self._span is not None:
            self._span.detach(self._span_token)
        leave(self._token, self._before)


async def around(span: Span, core: Coroutine[Any, Any, T]) -> T:
    """Run core code in a span, which ends as its outcome says."""
    token = span.attach()
    try:
        result = await core
    except BaseException as error:
        span.detach(token)
        span.end(error)
        raise
    span.detach(token)
    span.end(result.error if isinstance(result, Failure) else None)
    return result


def traced(
    name: str,
) -> Callable[
    [Callable[Concatenate[Any, Io, P], Coroutine[Any, Any, T]]],
    Callable[Concatenate[Any, Io, P], Coroutine[Any, Any, T]],
]:
    """Give an operation a span of this name wherever it is an operation of a workflow (OT-6).

    @traced("send")
    async def send(node, io, ...): ...
    """

    def decorate(
        op: Callable[Concatenate[Any, Io, P], Coroutine[Any, Any, T]],
    ) -> Callable[Concatenate[Any, Io, P], Coroutine[Any, Any, T]]:
        @functools.wraps(op)
        def spanned(node: Any, io: Io, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
            core = op(node, io, *args, **kwargs)
            if node.tracer is None:
                return core
            run = workflow_run()
            return core if run is None else around(node.tracer.operation(run, name, None), core)

        return spanned

    return decorate
