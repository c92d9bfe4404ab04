"""Which spans there are, what they say, and what they hang under."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from programs import rerun

from dbos import DBOS, DBOSContextEnsure, DBOSContextSetAuth, SendMessage, SetWorkflowID


@pytest.mark.rules("OT-2", "OT-6", "OT-8", "OT-9", "OTEL-6", "OTEL-10", "OTEL-11", "OTEL-12", "OTEL-15", "TST-11")
async def test_a_workflow_and_its_steps(launch, face, spans):
    @face.step()
    async def add(a: int, b: int) -> int:
        return a + b

    @face.workflow()
    async def total(a: int, b: int) -> int:
        with spans.user.start_as_current_span("mine"):
            await add(a, b)
        return int(await face.dbos.run_step({"name": "again"}, face.fn(add), a, b))

    launch(enable_otlp=True)
    with SetWorkflowID("sum"):
        assert await total(1, 2) == 3
    name, inner = total.__qualname__, add.__qualname__
    assert spans.tree() == [(inner, "mine"), ("mine", name), ("again", name), (name, None)]
    step, workflow = spans.named("again"), spans.named(name)
    own = {"applicationVersion": "v1", "executorID": "local", "authenticatedUserRoles": "", "operationUUID": "sum"}
    assert dict(workflow.attributes) == {**own, "operationType": "workflow"}
    assert dict(step.attributes) == {**own, "operationType": "step"}
    for span in (step, workflow):
        assert (span.status.status_code, span.status.description, span.events) == (StatusCode.OK, None, ())
        assert span.instrumentation_scope.name == "dbos-tracer"


@pytest.mark.rules("OT-6", "OTEL-10", "OTEL-11")
async def test_an_operation_of_a_workflow_has_a_span_without_a_type(launch, face, spans):
    @face.workflow()
    async def busy() -> None:
        mine = DBOS.workflow_id
        await face.dbos.send(mine, "hello", "topic")
        await face.dbos.recv("topic", 5)
        await face.dbos.send_bulk([SendMessage(mine, "more")])
        await face.dbos.set_event("key", 1)
        await face.dbos.get_event(mine, "key")
        await face.dbos.sleep(0.001)
        await face.dbos.list_schedules()
        await face.dbos.list_workflows()
        await face.dbos.set_event("key", 2)
        await face.dbos.write_stream("stream", 1)
        await face.dbos.close_stream("stream")

    launch(enable_otlp=True)
    await busy()
    names = ["send", "recv", "send_bulk", "set_event", "get_event", "sleep", "listSchedules", "set_event"]
    names += ["write_stream", "close_stream"]
    assert spans.tree() == [*((name, busy.__qualname__) for name in names), (busy.__qualname__, None)]
    assert "operationType" not in spans.named("sleep").attributes
    assert (
        spans.named("sleep").attributes["operationUUID"] == spans.named(busy.__qualname__).attributes["operationUUID"]
    )


@pytest.mark.rules("OTEL-10")
async def test_operations_outside_workflows_have_none(launch, face, spans):
    @face.workflow()
    async def waiting() -> Any:
        return await face.dbos.recv("topic", 10)

    launch(enable_otlp=True)
    handle = await face.start(waiting)
    await face.dbos.send(handle.workflow_id, "hello", "topic")
    assert await handle.get_result() == "hello"
    assert spans.tree() == [("recv", waiting.__qualname__), (waiting.__qualname__, None)]


@pytest.mark.rules("OT-6", "OTEL-11")
def test_asyncio_wait_has_a_span(launch, spans):
    @DBOS.step()
    async def one() -> int:
        return 1

    @DBOS.workflow()
    async def gathering() -> int:
        done, _ = await DBOS.asyncio_wait([one()])
        return (await done.pop()) if done else 0

    async def main() -> None:
        launch(enable_otlp=True)
        assert await gathering() == 1
        await asyncio.to_thread(DBOS.destroy)

    asyncio.run(main())
    assert {name for name, _ in spans.tree()} == {one.__qualname__, "asyncio_wait", gathering.__qualname__}


@pytest.mark.rules("OT-9", "OTEL-15", "OT-12", "STEP-16")
async def test_failures_and_retries(launch, face, spans):
    @face.step(retries_allowed=True, max_attempts=2, interval_seconds=0.001)
    async def failing() -> None:
        raise ValueError("no luck")

    @face.workflow()
    async def hopeful() -> None:
        await failing()

    launch(enable_otlp=True)
    with pytest.raises(Exception, match="retries"):
        await hopeful()
    step = spans.named(failing.__qualname__)
    assert [(event.name, dict(event.attributes)) for event in step.events] == [
        ("Step attempt 0 failed", {"error": "no luck", "retryIntervalSeconds": 0.001})
    ]
    for span in (step, spans.named(hopeful.__qualname__)):
        assert span.status.status_code is StatusCode.ERROR
        assert "maximum of 2 retries" in span.status.description


@pytest.mark.rules("OT-10", "OTEL-16", "OTEL-12")
async def test_the_span_is_current_while_the_body_runs(launch, face, spans):
    seen = {}

    @face.step()
    async def inner() -> None:
        seen["step"] = DBOS.span.name
        assert DBOS.span is trace.get_current_span()

    @face.workflow()
    async def outer() -> None:
        seen["before"] = DBOS.span.name
        await inner()
        seen["after"] = DBOS.span.name
        DBOS.span.set_attribute("colour", "red")

    launch(enable_otlp=True)
    await outer()
    assert seen == {"before": outer.__qualname__, "step": inner.__qualname__, "after": outer.__qualname__}
    assert spans.named(outer.__qualname__).attributes["colour"] == "red"
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.rules("OTEL-16")
def test_span_outside_workflows(launch, spans):
    launch(enable_otlp=True)
    with pytest.raises(AssertionError, match="No DBOS context"):
        _ = DBOS.span
    with DBOSContextEnsure():
        assert DBOS.span is None
        with spans.user.start_as_current_span("mine") as mine:
            assert DBOS.span is mine


@pytest.mark.rules("OT-1", "OTEL-1", "OT-24")
async def test_tracing_off_makes_no_span(launch, face, spans):
    @face.workflow()
    async def quiet() -> str:
        await face.dbos.set_event("key", 1)
        return str(DBOS.span)

    launch()
    assert await quiet() == "None"
    assert spans.all() == []


@pytest.mark.rules("OT-8", "OTEL-12", "OTEL-13")
async def test_a_started_workflow_hangs_under_the_span_at_the_call(launch, face, spans):
    @face.workflow()
    async def child() -> None:
        pass

    @face.workflow()
    async def parent() -> None:
        await (await face.start(child)).get_result()
        await child()

    launch(enable_otlp=True)
    with spans.user.start_as_current_span("caller"):
        await (await face.start(parent)).get_result()
    inner, outer = child.__qualname__, parent.__qualname__
    assert spans.tree() == [(inner, outer), (inner, outer), (outer, "caller"), ("caller", None)]


@pytest.mark.rules("OTEL-14", "OT-8", "OT-6")
async def test_queued_and_recovered_workflows_start_a_new_trace(launch, face, spans):
    @face.workflow()
    async def queued() -> None:
        pass

    launch(enable_otlp=True)
    await face.dbos.register_queue("reports")
    with spans.user.start_as_current_span("caller"):
        handle = await face.dbos.enqueue_workflow("reports", face.fn(queued))
        await handle.get_result()
    span = spans.named(queued.__qualname__)
    assert span.parent is None
    assert span.attributes["queueName"] == "reports"


@pytest.mark.rules("OT-11", "OTEL-10", "OTEL-14")
async def test_replay(launch, face, db, spans):
    @face.step()
    async def once() -> None:
        pass

    @face.workflow()
    async def repeated() -> None:
        await once()

    launch(enable_otlp=True)
    with SetWorkflowID("again"):
        await repeated()
    spans.clear()
    with SetWorkflowID("again"):
        await repeated()
    assert spans.tree() == [(repeated.__qualname__, None)]
    spans.clear()
    with spans.user.start_as_current_span("caller"):
        await rerun(face, db, "again")
    # The step that is replayed has its span in the run's; the run is nobody's child.
    assert sorted(spans.tree()) == sorted(
        [(once.__qualname__, repeated.__qualname__), (repeated.__qualname__, None), ("caller", None)]
    )


@pytest.mark.rules("OT-7", "OTEL-21", "OTEL-22", "OT-6")
async def test_the_names_of_the_semantic_conventions(launch, face, spans, monkeypatch):
    monkeypatch.setenv("DBOS__APPID", "app-7")

    @face.step()
    async def inner() -> None:
        pass

    @face.workflow()
    async def outer() -> None:
        await inner()

    launch(enable_otlp=True, otel_attribute_format="semconv", otlp_attributes={"team": "blue", "queueName": "kept"})
    with SetWorkflowID("semantic"), DBOSContextSetAuth("alice", ["admin"]):
        await outer()
    assert dict(spans.named(outer.__qualname__).attributes) == {
        "dbos.operation.workflow_id": "semantic",
        "dbos.operation.type": "workflow",
        "dbos.application.id": "app-7",
        "dbos.application.version": "v1",
        "dbos.executor.id": "local",
        "dbos.user.name": "alice",
        "dbos.user.roles": '["admin"]',
        "team": "blue",
        "queueName": "kept",
    }


@pytest.mark.rules("OT-6", "OT-7", "OTEL-21")
async def test_the_legacy_names(launch, face, spans, monkeypatch):
    monkeypatch.setenv("DBOS__APPID", "app-7")

    @DBOS.required_roles(["admin"])
    @face.workflow()
    async def outer() -> None:
        pass

    launch(enable_otlp=True, otlp_attributes={"team": "blue"})
    with SetWorkflowID("legacy"), DBOSContextSetAuth("alice", ["user", "admin"]):
        await outer()
    attributes = dict(spans.named(outer.__qualname__).attributes)
    assert attributes == {
        "operationUUID": "legacy",
        "operationType": "workflow",
        "applicationID": "app-7",
        "applicationVersion": "v1",
        "executorID": "local",
        "authenticatedUser": "alice",
        "authenticatedUserRoles": '["user", "admin"]',
        "authenticatedUserAssumedRole": "admin",
        "team": "blue",
    }


@pytest.mark.rules("ATH-15")
async def test_authenticating_says_so_on_the_span(launch, face, spans):
    @face.workflow()
    async def login() -> None:
        DBOS.set_authentication("alice", ["admin"])

    launch(enable_otlp=True)
    await login()
    attributes = spans.named(login.__qualname__).attributes
    assert (attributes["authenticatedUser"], attributes["authenticatedUserRoles"]) == ("alice", '["admin"]')


@pytest.mark.rules("OT-15", "OTEL-7", "OTEL-22")
def test_spans_of_the_users_own(launch, spans):
    launch(enable_otlp=True, otlp_attributes={"team": "blue"})
    with spans.user.start_as_current_span("caller") as caller:
        span = DBOS.tracer.start_span({"name": "mine", "amount": 7, "nothing": None, "list": [1]})
        assert DBOS.tracer.get_current_span() is caller
        below = DBOS.tracer.start_span({"name": "below"}, parent=span)
    DBOS.tracer.end_span(below)
    DBOS.tracer.end_span(span)
    assert DBOS.tracer.get_current_span() is None
    assert sorted(spans.tree()) == [("below", "mine"), ("caller", None), ("mine", "caller")]
    own = {"applicationVersion": "v1", "executorID": "local", "team": "blue"}
    assert dict(spans.named("mine").attributes) == {**own, "amount": 7}


@pytest.mark.rules("OTEL-7")
def test_a_provider_for_dbos_alone(launch, spans):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    @DBOS.workflow()
    def work() -> None:
        pass

    launch(enable_otlp=True)
    elsewhere = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(elsewhere))
    DBOS.tracer.set_provider(provider)
    work()
    DBOS.tracer.set_provider(None)
    assert [span.name for span in elsewhere.get_finished_spans()] == [work.__qualname__]
    assert spans.all() == []
    work()
    assert len(spans.all()) == 1
    provider.shutdown()


@pytest.mark.rules("OT-15")
def test_the_tracer_without_tracing_records_nothing(launch, spans):
    span = DBOS.tracer.start_span({"name": "early"})
    DBOS.tracer.end_span(span)
    launch()
    DBOS.tracer.end_span(DBOS.tracer.start_span({"name": "off"}))
    assert spans.all() == []


@pytest.mark.rules("OTEL-10", "OTEL-12")
def test_a_step_started_by_itself(launch, spans):
    @DBOS.step()
    def alone() -> None:
        pass

    launch(enable_otlp=True)
    DBOS.start_workflow(alone).get_result()
    alone()
    assert spans.tree() == [
        (alone.__qualname__, f"<temp>.{alone.__qualname__}"),
        (f"<temp>.{alone.__qualname__}", None),
    ]
