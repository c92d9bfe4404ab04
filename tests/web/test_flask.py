"""`DBOS(flask=app)`."""

from __future__ import annotations

import uuid

import pytest
from flask import Flask, Response, jsonify

from dbos import DBOS
from dbos.error import DBOSException

KEY = "dbos-idempotency-key"


@pytest.mark.rules("WEB-5", "WFI-13", "WEB-2", "OTEL-20", "WFI-6")
def test_the_span_of_a_request(configured, spans):
    app = Flask("shop")

    @app.route("/orders/<int:number>")
    def read(number: int) -> Response:
        one()
        return jsonify(number)

    @DBOS.workflow()
    def one() -> None:
        pass

    configured(flask=app, enable_otlp=True)
    DBOS.launch()  # its own business, unlike with FastAPI
    DBOS.tracer.set_provider(spans.provider)
    client = app.test_client()
    client.get("/orders/7?x=1", headers={"x-request-id": "mine"})
    client.get("/orders/8")
    workflow, seven, _, eight = spans()
    assert workflow.parent.span_id == seven.context.span_id
    assert str(uuid.UUID(eight.attributes["requestID"])) == eight.attributes["requestID"]
    assert dict(seven.attributes) == {
        "operationType": "handler",
        "requestID": "mine",
        "requestIP": "127.0.0.1",
        "requestURL": "http://localhost/orders/7?x=1",
        "requestMethod": "GET",
        "applicationVersion": "v1",
        "executorID": "local",
    }
    assert seven.name == "/orders/7"


@pytest.mark.rules("WEB-5", "WEB-3", "WFI-5", "WFI-13")
def test_the_idempotency_key_is_the_first_workflows_id(configured):
    app = Flask("shop")

    @DBOS.workflow()
    def one() -> str | None:
        return DBOS.workflow_id

    @app.route("/")
    def read() -> Response:
        return jsonify([DBOS.workflow_id, one(), one()])

    configured(flask=app)
    DBOS.launch()
    client = app.test_client()
    outside, first, second = client.get("/", headers={KEY: "order-1"}).json
    _, again, _ = client.get("/", headers={KEY: "order-1"}).json
    _, empty, _ = client.get("/", headers={KEY: ""}).json
    assert (outside, first, again) == (None, "order-1", "order-1")
    assert len({first, second, empty}) == 3


@pytest.mark.rules("WFI-14", "WFI-13")
def test_routes_above_workflows(configured):
    app = Flask("shop")

    @app.route("/<name>")
    @DBOS.workflow()
    def greet(name: str) -> str:
        return f"hello {name}"

    @app.route("/response")
    @DBOS.workflow()
    def response() -> Response:
        return Response("made by hand", status=201)

    @app.route("/error")
    def error() -> None:
        raise DBOSException("not handled")

    configured(flask=app)
    DBOS.launch()
    client = app.test_client()
    assert client.get("/alice").text == "hello alice"
    made = client.get("/response")
    assert (made.status_code, made.text) == (201, "made by hand")
    assert client.get("/error").status_code == 500
    assert "dbos_error" not in client.get("/error").text
