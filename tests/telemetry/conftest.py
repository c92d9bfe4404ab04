"""Spans in memory: a global provider, set once in a process, and what a test finds of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Spans:
    """The spans that have ended since the last look."""

    def __init__(self) -> None:
        """Set the global provider: this can be done once in a process."""
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        trace.set_tracer_provider(provider)
        self.user = trace.get_tracer("user")

    def all(self) -> list[ReadableSpan]:
        """Return the spans in the order they ended."""
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        """Return the one span of a name."""
        found = [span for span in self.all() if span.name == name]
        assert len(found) == 1, [span.name for span in self.all()]
        return found[0]

    def tree(self) -> list[tuple[str, str | None]]:
        """Return each span's name and its parent's, None for a root."""
        names: dict[Any, str] = {span.context.span_id: span.name for span in self.all()}  # type: ignore[union-attr]
        return [
            (span.name, None if span.parent is None else names.get(span.parent.span_id, "elsewhere"))
            for span in self.all()
        ]

    def clear(self) -> None:
        """Forget them."""
        self._exporter.clear()


@pytest.fixture(scope="session")
def _provided() -> Spans:
    return Spans()


@pytest.fixture
def spans(_provided: Spans) -> Iterator[Spans]:
    """No spans yet."""
    _provided.clear()
    yield _provided
    _provided.clear()
