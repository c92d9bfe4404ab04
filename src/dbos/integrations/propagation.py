"""`PropagateOtelContext`: workflows started in the block belong to the trace around it, wherever they run.

Needs OpenTelemetry when the block is entered, not when this is imported (OT-24).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._engine.context import Block, Context, with_options

if TYPE_CHECKING:
    from opentelemetry.context import Context as OtelContext


class PropagateOtelContext(Block):
    """Store the current trace context, or the given one, with every workflow started or enqueued in the block.

    Its span then belongs to that trace, also when another process runs it, or runs it again. Children do not inherit
    it. Without a valid span nothing is stored.

    Raises ImportError without OpenTelemetry (`pip install dbos[otel]`).

        with PropagateOtelContext():
            DBOS.enqueue_workflow("reports", build_report)
    """

    def __init__(self, context: OtelContext | None = None) -> None:
        super().__init__()
        self._context = context

    def _changed(self, context: Context) -> Context:
        return with_options(context, carrier=carrier_of(self._context))


def carrier_of(context: Any) -> dict[str, str] | None:
    """Return a trace context, or the current one, as it is stored; ImportError without OpenTelemetry."""
    from .telemetry import injected

    return injected(context)
