"""Traces that cross processes: the carrier a workflow stores, and the parent its span gets from it."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.trace import SpanContext, TraceFlags
from programs import rerun

from dbos import DBOS, DBOSClient, PropagateOtelContext, SetWorkflowAttributes, SetWorkflowID

KEY = "dbos.otelContext"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID, SPAN_ID = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
HERE = SpanContext(TRACE_ID, SPAN_ID, False, TraceFlags(1))


def elsewhere() -> context.Context:
    """Return a context with a span that is nowhere current, and baggage."""
    return baggage.set_baggage("secret", "value", trace.set_span_in_context(trace.NonRecordingSpan(HERE)))


async def attributes_of(face: Any, workflow_id: str) -> Any:
    """Return what a workflow has stored."""
    return (await face.dbos.get_workflow_status(workflow_id)).attributes


@pytest.mark.rules("OTEL-40", "OTEL-41", "OT-20", "OTEL-43", "OT-22")
async def test_every_way_to_start_stores_the_context(launch, face, spans):
    @face.workflow()
    async def work() -> None:
        pass

    launch(enable_otlp=True)
    await face.dbos.register_queue("reports")
    with PropagateOtelContext(elsewhere()):
        with SetWorkflowID("called"):
            await work()
        started = await face.start(work)
        queued = await face.dbos.enqueue_workflow("reports", face.fn(work))
    await started.get_result()
    await queued.get_result()
    for workflow_id in ("called", started.workflow_id, queued.workflow_id):
        assert await attributes_of(face, workflow_id) == {KEY: {"traceparent": PARENT}}
    assert [(span.parent.trace_id, span.parent.span_id) for span in spans.all()] == [(TRACE_ID, SPAN_ID)] * 3


@pytest.mark.rules("OTEL-40", "OT-20")
async def test_the_current_context_is_captured_when_the_block_is_entered(launch, face, spans):
    @face.workflow()
    async def work() -> None:
        pass

    launch(enable_otlp=True)
    span = spans.user.start_as_current_span
    with span("caller"), PropagateOtelContext(), span("inner"):
        await work()
    assert spans.tree() == [(work.__qualname__, "caller"), ("inner", "caller"), ("caller", None)]


@pytest.mark.rules("OTEL-41", "OT-20")
async def test_without_a_valid_span_nothing_is_stored(launch, face, spans):
    @face.workflow()
    async def work() -> None:
        pass

    launch(enable_otlp=True)
    with PropagateOtelContext(), SetWorkflowID("empty"):
        await work()
    with SetWorkflowAttributes({"a": 1}), PropagateOtelContext(), SetWorkflowID("unchanged"):
        await work()
    assert await attributes_of(face, "empty") is None
    assert await attributes_of(face, "unchanged") == {"a": 1}


@pytest.mark.rules("OTEL-42", "OT-21")
async def test_it_composes_with_attributes_in_either_order(launch, face, spans):
    @face.workflow()
    async def work() -> None:
        pass

    launch(enable_otlp=True)
    with SetWorkflowAttributes({"a": 1, KEY: "by hand"}), PropagateOtelContext(elsewhere()), SetWorkflowID("one"):
        await work()
    with PropagateOtelContext(elsewhere()), SetWorkflowAttributes({"a": 1, KEY: "by hand"}), SetWorkflowID("two"):
        await work()
    for workflow_id in ("one", "two"):
        assert await attributes_of(face, workflow_id) == {"a": 1, KEY: {"traceparent": PARENT}}


@pytest.mark.rules("OTEL-45", "OT-21", "OTEL-43")
async def test_children_do_not_inherit_and_blocks_nest(launch, face, spans):
    @face.step()
    async def step() -> None:
        pass

    @face.workflow()
    async def child() -> None:
        await step()

    @face.workflow()
    async def parent() -> None:
        with SetWorkflowID("child"):
            await child()

    launch(enable_otlp=True)
    other = trace.set_span_in_context(trace.NonRecordingSpan(SpanContext(7, 8, False, TraceFlags(1))))
    with PropagateOtelContext(elsewhere()):
        with PropagateOtelContext(other), SetWorkflowID("inner"):
            await parent()
        with SetWorkflowID("outer"):
            await parent()
    assert await attributes_of(face, "child") is None
    assert (await attributes_of(face, "inner"))[KEY] == {"traceparent": f"00-{7:032x}-{8:016x}-01"}
    assert await attributes_of(face, "outer") == {KEY: {"traceparent": PARENT}}
    # A step stays under its workflow's span, a child under its parent's.
    assert spans.tree()[:3] == [
        (step.__qualname__, child.__qualname__),
        (child.__qualname__, parent.__qualname__),
        (parent.__qualname__, "elsewhere"),
    ]


@pytest.mark.rules("OTEL-43", "OT-22")
async def test_a_recovered_workflow_belongs_to_the_stored_trace(launch, face, db, spans):
    @face.workflow()
    async def work() -> None:
        pass

    launch(enable_otlp=True)
    with PropagateOtelContext(elsewhere()), SetWorkflowID("recovered"):
        await work()
    spans.clear()
    await rerun(face, db, "recovered")
    assert spans.named(work.__qualname__).parent.span_id == SPAN_ID


MALFORMED = [
    {"traceparent": 7},
    {"traceparent": "garbage"},
    {"tracestate": "a=b"},
    {"traceparent": PARENT, "tracestate": 7},
    {},
    [],
    "text",
    None,
]


@pytest.mark.rules("OTEL-44", "OT-23")
@pytest.mark.parametrize("carrier", MALFORMED, ids=repr)
async def test_a_malformed_carrier_is_ignored(launch, face, spans, carrier):
    @face.workflow()
    async def work() -> str:
        return "done"

    launch(enable_otlp=True)
    with spans.user.start_as_current_span("caller"), SetWorkflowAttributes({KEY: carrier}):
        assert await work() == "done"
        assert await (await face.dbos.enqueue_workflow("_dbos_internal_queue", face.fn(work))).get_result() == "done"
    assert spans.tree()[:2] == [(work.__qualname__, "caller"), (work.__qualname__, None)]


@pytest.mark.rules("OTEL-44", "OT-23")
@pytest.mark.parametrize("stored", ["[1, 2]", '"dbos.otelContext"', "7"])
async def test_attributes_that_are_no_dict_are_ignored(launch, face, db, spans, stored):
    @face.workflow()
    async def work() -> str:
        return "done"

    launch(enable_otlp=True)
    with SetWorkflowID("odd"):
        await work()
    spans.clear()
    value = "?::jsonb" if db.dialect == "postgres" else "?"
    db.execute(f"update {{workflow_status}} set attributes = {value} where workflow_uuid = 'odd'", stored)
    await rerun(face, db, "odd")
    assert spans.tree() == [(work.__qualname__, None)]


@pytest.mark.rules("OT-24", "OTEL-1")
async def test_storing_needs_no_tracing_here_and_has_no_effect_where_it_is_off(launch, face, spans):
    @face.workflow()
    async def work() -> None:
        assert DBOS.span is None

    launch()
    with PropagateOtelContext(elsewhere()), SetWorkflowID("off"):
        await work()
    assert await attributes_of(face, "off") == {KEY: {"traceparent": PARENT}}
    assert spans.all() == []


@pytest.mark.rules("OTEL-40")
def test_a_client_names_the_context(launch, db, spans):
    @DBOS.workflow(name="work")
    def work() -> None:
        pass

    launch(enable_otlp=True)
    DBOS.register_queue("reports")
    client = DBOSClient(system_database_url=db.url)
    options: Any = {"workflow_name": "work", "queue_name": "reports", "otel_context": elsewhere()}
    handle = client.enqueue(options)
    handle.get_result()
    assert handle.get_status().attributes == {KEY: {"traceparent": PARENT}}
    client.destroy()
    inside = DBOS.enqueue_workflow_with_options({**options, "attributes": {"a": 1}})
    inside.get_result()
    assert inside.get_status().attributes == {"a": 1, KEY: {"traceparent": PARENT}}
    assert [span.parent.span_id for span in spans.all()] == [SPAN_ID] * 2
