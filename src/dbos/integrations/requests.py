"""What every web framework's glue does with a request: a DBOS context, an id for its first workflow, a span.

Leaves hearing of requests to `fastapi` and `flask`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._engine.context import Context, NextId, current, enter, leave, with_options

if TYPE_CHECKING:
    from .telemetry import Telemetry

IDEMPOTENCY_KEY = "dbos-idempotency-key"
REQUEST_ID = "x-request-id"


@dataclass(frozen=True, slots=True)
class Request:
    """What we want to know of a request."""

    path: str
    method: str
    url: str
    ip: str | None
    request_id: str | None
    idempotency_key: str | None

    @property
    def facts(self) -> dict[str, Any]:
        """What its span says (OT-6)."""
        return {
            "requestID": self.request_id or str(uuid.uuid4()),
            "requestIP": self.ip,
            "requestURL": self.url,
            "requestMethod": self.method,
        }


class Handling:
    """A `with` block around the handling of a request (WFI-4)."""

    def __init__(self, telemetry: Callable[[], Any], request: Request) -> None:
        self._request = request
        tracer: Telemetry | None = telemetry()
        self._span = None if tracer is None else tracer.handler(request.path, request.facts)
        self._tracer = tracer

    def __enter__(self) -> Handling:
        """Enter a context of the request's own."""
        key = (self._request.idempotency_key or "").strip()
        self._before = current()
        context = with_options(self._before or Context(), next_id=NextId(key, None) if key else None)
        self._token = enter(context)
        self._span_token = None if self._span is None else self._span.attach()
        return self

    def answered(self, status: int) -> None:
        """Note the status of the response."""
        if self._tracer is not None and self._span is not None:
            self._tracer.describe(self._span, {"responseCode": status})

    def __exit__(self, kind: Any, error: BaseException | None, trail: Any) -> None:
        """Leave it, and end the span."""
        if self._span is not None:
            self._span.detach(self._span_token)
            self._span.end(error)
        leave(self._token, self._before)
