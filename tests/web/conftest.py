"""DBOS around a web app on the test's database, and the spans of its requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dbos import DBOS


@pytest.fixture
def configured(db: Any) -> Iterator[Callable[..., DBOS]]:
    """Construct DBOS, not launched, with `fastapi=`, `flask=` or nothing; destroyed after the test."""
    before = set(threading.enumerate())

    def configured(*, fastapi: Any = None, flask: Any = None, **config: Any) -> DBOS:
        defaults = {"name": "testapp", "system_database_url": db.url, "application_version": "v1"}
        return DBOS(config={**defaults, **config}, fastapi=fastapi, flask=flask)  # type: ignore[typeddict-item]

    yield configured
    DBOS.destroy(destroy_registry=True)
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive(), thread.name


@pytest.fixture
def spans() -> Iterator[Callable[[], list[ReadableSpan]]]:
    """The spans DBOS makes from `DBOS.tracer.set_provider(spans.provider)` on."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def ended() -> list[ReadableSpan]:
        return list(exporter.get_finished_spans())

    ended.provider = provider  # type: ignore[attr-defined]
    yield ended
    provider.shutdown()
    assert not trace.get_current_span().get_span_context().is_valid
