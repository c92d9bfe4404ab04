"""Spans, by OpenTelemetry: what `enable_otlp` switches on.

Knows what a span is called, what it says and what it hangs under (chapter 1, §13). Spans go to the application's own
provider; sending them on is `exporters`', where they begin and end the engine's. Imported only when tracing is on.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, create_key, detach, get_value, set_value
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .._engine.context import CARRIER, Auth, Run, current
from .._model.config import Settings
from .exporters import Exporters

logger = logging.getLogger("dbos")

TRACER_NAME = "dbos-tracer"
SEMCONV = {
    "operationUUID": "dbos.operation.workflow_id",
    "operationType": "dbos.operation.type",
    "applicationID": "dbos.application.id",
    "applicationVersion": "dbos.application.version",
    "executorID": "dbos.executor.id",
    "queueName": "dbos.queue.name",
    "authenticatedUser": "dbos.user.name",
    "authenticatedUserRoles": "dbos.user.roles",
    "authenticatedUserAssumedRole": "dbos.user.assumed_role",
    "requestID": "dbos.request.id",
    "requestIP": "dbos.request.ip",
    "requestURL": "dbos.request.url",
    "requestMethod": "dbos.request.method",
    "responseCode": "dbos.response.status_code",
}
_SCALARS = (str, bool, int, float)
_OK = Status(StatusCode.OK)
_ROOT = Context()
_INNERMOST = create_key("dbos-span")  # in a context: the span of ours that others may have put theirs into
_propagator = TraceContextTextMapPropagator()


class OwnSpan:
    """A span of ours under way; it ends once."""

    __slots__ = ("_ended", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self._ended = False

    def attach(self) -> Any:
        """Make it the current one here."""
        return attach(trace.set_span_in_context(self.span, set_value(_INNERMOST, self.span)))

    def detach(self, token: Any) -> None:
        """Make the former one current again."""
        detach(token)

    def end(self, error: BaseException | None) -> None:
        """End it: well, or with an error (OT-9)."""
        if self._ended:
            return
        self._ended = True
        self.span.set_status(_OK if error is None else Status(StatusCode.ERROR, str(error)))
        self.span.end()


class Telemetry:
    """Makes the spans of one application."""

    def __init__(self, settings: Settings) -> None:
        self._exporters = Exporters(settings)
        self._tracer = trace.get_tracer(TRACER_NAME)
        self._semconv = settings.otel_attribute_format == "semconv"
        self._given = settings.otlp_attributes
        self._application_id = settings.application_id
        self._standard: dict[str, Any] = {}
        self._of_kind: dict[str | None, dict[str, Any]] = {}  # what all spans of a kind say
        self._name_of = SEMCONV if self._semconv else {name: name for name in SEMCONV}
        self.identify(settings.application_version or "", settings.executor_id)

    def identify(self, version: str, executor_id: str) -> None:
        """Say which version and executor later spans belong to."""
        own = {"applicationID": self._application_id or None, "applicationVersion": version, "executorID": executor_id}
        self._standard = {**self._named(own), **self._given}
        for kind in (None, "workflow", "step", "transaction"):
            facts = {"operationUUID": "", "operationType": kind, "authenticatedUserRoles": ""}
            self._of_kind[kind] = {**self._named(facts), **self._standard}

    def use(self, provider: Any) -> None:
        """Make spans by this provider from now on, or with None by the global one."""
        self._tracer = trace.get_tracer(TRACER_NAME, tracer_provider=provider)

    # --- spans of the engine

    def workflow(self, workflow_id: str, name: str, queue_name: str | None, parent: Any, auth: Auth) -> OwnSpan:
        """Begin the span of a workflow's execution."""
        attributes = self._facts("workflow", workflow_id, auth)
        if queue_name is not None:
            attributes.setdefault(self._name_of["queueName"], queue_name)
        return OwnSpan(self._tracer.start_span(name, parent, attributes=attributes))

    def operation(self, run: Run, name: str, kind: str | None) -> OwnSpan:
        """Begin the span of a step or operation of a run."""
        here = current()
        attributes = self._facts(kind, run.workflow_id, None if here is None else here.auth)
        return OwnSpan(self._tracer.start_span(name, attributes=attributes))

    def _facts(self, kind: str | None, workflow_id: str, auth: Auth | None) -> dict[str, Any]:
        """Return what a span of a workflow says; this is done for each, so it is a copy and little else."""
        attributes = self._of_kind[kind].copy()
        attributes[self._name_of["operationUUID"]] = workflow_id
        if auth is not None and (auth.user is not None or auth.roles or auth.assumed_role is not None):
            attributes.update(self._named(_who(auth)))
        return attributes

    def handler(self, path: str, facts: dict[str, Any]) -> OwnSpan:
        """Begin the span of a web request (OTEL-20)."""
        return self._begin(path, {"operationType": "handler", **facts}, None)

    def _begin(self, name: str, facts: dict[str, Any], parent: Context | None) -> OwnSpan:
        return OwnSpan(
            self._tracer.start_span(name, context=parent, attributes={**self._named(facts), **self._standard})
        )

    def event(self, name: str, attributes: dict[str, Any]) -> None:
        """Note an event on the current span (OT-12)."""
        trace.get_current_span().add_event(name, attributes)

    def describe(self, span: OwnSpan, facts: dict[str, Any]) -> None:
        """Add attributes to a span of ours."""
        span.span.set_attributes(self._named(facts))

    def authenticated(self, auth: Auth) -> None:
        """Say on the innermost span of ours who acts from now on (ATH-15)."""
        span = get_value(_INNERMOST)
        if auth.user is not None and isinstance(span, Span):
            span.set_attributes(self._named(_who(auth)))

    def _named(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return attributes by the names of the format in force; what has no value or is no scalar is left out
        (OTEL-21, OTEL-22).
        """
        kept = {name: value for name, value in facts.items() if isinstance(value, _SCALARS)}
        return {SEMCONV.get(name, name): value for name, value in kept.items()} if self._semconv else kept

    # --- spans of users

    def start_span(self, attributes: dict[str, Any], parent: Span | None) -> Span:
        """Begin a span that is not made current (OT-15)."""
        name = attributes["name"]
        facts = {key: value for key, value in attributes.items() if key != "name"}
        context = None if parent is None else trace.set_span_in_context(parent)
        return self._begin(name, facts, context).span

    # --- propagation

    def stored_parent(self, attributes: str | None) -> Context | None:
        """Return the trace context among a workflow's stored attributes; anything malformed is none (OT-23)."""
        if attributes is None or CARRIER not in attributes:
            return None
        try:
            carrier = json.loads(attributes)[CARRIER]
        except (ValueError, TypeError, KeyError):
            return None
        return extracted(carrier)

    def root(self) -> Context:
        """Return the context without a span."""
        return _ROOT

    def close(self) -> None:
        """Send what is left, and take off what was attached."""
        self._exporters.close()


def _who(auth: Auth) -> dict[str, Any]:
    return {
        "authenticatedUser": auth.user,
        "authenticatedUserRoles": json.dumps(auth.roles) if auth.roles else "",
        "authenticatedUserAssumedRole": auth.assumed_role,
    }


def extracted(carrier: Any) -> Context | None:
    """Return the context that W3C headers describe, None if they do not describe any."""
    if not isinstance(carrier, dict) or not all(isinstance(value, str) for value in carrier.values()):
        return None
    context = _propagator.extract({key: value for key, value in carrier.items() if isinstance(key, str)}, Context())
    return context if trace.get_current_span(context).get_span_context().is_valid else None


def injected(context: Context | None) -> dict[str, str] | None:
    """Return a context, or the current one, as W3C headers; None when it has no valid span (OT-20)."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, context)
    return carrier or None


def trace_id() -> str | None:
    """Return the trace id of the current span, as 32 hex digits."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None
