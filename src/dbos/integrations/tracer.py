"""`DBOS.tracer`: spans of the user's own among ours.

Can be held before anything is configured; OpenTelemetry is imported when a span is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from .telemetry import Telemetry


class DBOSTracer:
    """Begins and ends spans that say, as ours do, which application, version and executor they come from.

    Without `enable_otlp` its spans record nothing. Its methods raise ImportError without OpenTelemetry.

        span = DBOS.tracer.start_span({"name": "charge", "amount": 7})
        DBOS.tracer.end_span(span)
    """

    def __init__(self, telemetry: Callable[[], Telemetry | None]) -> None:
        self._telemetry = telemetry

    def start_span(self, attributes: dict[str, Any], parent: Span | None = None) -> Span:
        """Begin a span called `attributes["name"]`, under `parent` or the current span. It is not made current."""
        from opentelemetry.trace import INVALID_SPAN

        telemetry = self._telemetry()
        return INVALID_SPAN if telemetry is None else telemetry.start_span(attributes, parent)

    def end_span(self, span: Span) -> None:
        """End a span."""
        span.end()

    def get_current_span(self) -> Span | None:
        """Return the active span, ours or not; None if there is none."""
        from opentelemetry.trace import get_current_span

        span = get_current_span()
        return span if span.get_span_context().is_valid else None

    def set_provider(self, provider: Any) -> None:
        """Make spans by this tracer provider from now on; None means the global one."""
        telemetry = self._telemetry()
        if telemetry is not None:
            telemetry.use(provider)
