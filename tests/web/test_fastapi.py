"""`DBOS(fastapi=app)`, and FastAPI without it."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from dbos import DBOS, DBOSContextSetAuth, SetWorkflowID
from dbos.error import DBOSException

KEY = "dbos-idempotency-key"


@pytest.mark.rules("WEB-1", "WFI-1", "WFI-2", "TST-10")
def test_it_lives_as_long_as_the_server(configured):
    order = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> Any:
        order.append(("startup", launched()))
        yield
        order.append(("shutdown", launched()))

    def launched() -> bool:
        try:
            DBOS.start_workflow(one)
        except DBOSException:
            return False
        return True

    @DBOS.workflow()
    def one() -> int:
        return 1

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    def read() -> int:
        return one()

    configured(fastapi=app)
    with TestClient(app) as client:
        assert client.get("/").json() == 1
        order.append(("serving", launched()))
    assert order == [("startup", False), ("serving", True), ("shutdown", True)]
    assert not launched()


@pytest.mark.rules("WFI-2", "LOOP-2", "WFI-11", "LOOP-3")
@pytest.mark.parametrize("early", [False, True])
def test_async_workflows_run_on_the_servers_loop(configured, early):
    @DBOS.workflow()
    async def where() -> int:
        return id(asyncio.get_running_loop())

    app = FastAPI()

    @app.get("/")
    async def read() -> list[int]:
        queued = await DBOS.enqueue_workflow_async("reports", where)
        return [id(asyncio.get_running_loop()), await where(), await queued.get_result()]

    configured(fastapi=app)
    if early:
        DBOS.launch()
    with TestClient(app) as client:
        DBOS.register_queue("reports")
        loops = client.get("/").json()
        from_a_thread = DBOS.start_workflow(where).get_result()
    assert len({*loops, from_a_thread}) == 1


@pytest.mark.rules("WFI-3", "TST-10")
def test_without_a_lifespan_launch_is_explicit(configured):
    @DBOS.workflow()
    def one() -> int:
        return 1

    app = FastAPI()

    @app.get("/")
    def read() -> int:
        return one()

    configured(fastapi=app)
    client = TestClient(app)
    assert "launch" in client.get("/").json()["message"]
    DBOS.launch()
    assert client.get("/").json() == 1


@pytest.mark.rules("WFI-3")
def test_an_app_that_has_served_comes_too_late(configured):
    app = FastAPI()
    TestClient(app).get("/")
    with pytest.raises(RuntimeError):
        configured(fastapi=app)
    with pytest.raises(DBOSException, match="No DBOS was created"):
        DBOS.launch()


@pytest.mark.rules("WFI-1")
def test_the_keyword_alone_names_the_app(configured):
    with pytest.raises(TypeError):
        DBOS(FastAPI(), config={"name": "app"})  # type: ignore[misc]


@pytest.mark.rules("WEB-3", "WFI-5")
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_the_idempotency_key_is_the_first_workflows_id(configured, colour, caplog):
    @DBOS.workflow()
    def plain() -> str | None:
        return DBOS.workflow_id

    @DBOS.workflow()
    async def looping() -> str | None:
        return DBOS.workflow_id

    app = FastAPI()

    @app.get("/sync")
    def sync_route() -> list[str | None]:
        return [DBOS.workflow_id, plain(), plain()]

    @app.get("/async")
    async def async_route() -> list[str | None]:
        return [DBOS.workflow_id, await looping(), await looping()]

    configured(fastapi=app)
    with TestClient(app) as client:
        outside, first, second = client.get(f"/{colour}", headers={KEY: "order-1"}).json()
        _, again, third = client.get(f"/{colour}", headers={KEY: "order-1"}).json()
        _, empty, _ = client.get(f"/{colour}", headers={KEY: ""}).json()
        _, none, _ = client.get(f"/{colour}").json()
    assert (outside, first, again) == (None, "order-1", "order-1")
    assert len({first, second, third, empty, none}) == 5
    assert all(uuid.UUID(one) for one in (second, third, empty, none))


@pytest.mark.rules("WFI-5")
def test_a_second_workflow_under_one_key_is_warned_of(configured, caplog):
    @DBOS.workflow()
    def one() -> None:
        pass

    app = FastAPI()

    @app.get("/")
    def read() -> None:
        one()
        one()

    configured(fastapi=app)
    logging.getLogger("dbos").addHandler(caplog.handler)
    try:
        with TestClient(app) as client:
            client.get("/", headers={KEY: "order-1"})
    finally:
        logging.getLogger("dbos").removeHandler(caplog.handler)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert ["order-1" in warning for warning in warnings] == [True]


@pytest.mark.rules("WEB-4", "WFI-7", "ATH-7")
def test_an_error_of_ours_is_an_answer(configured):
    @DBOS.required_roles(["admin"])
    @DBOS.workflow(name="close")
    def close() -> None:
        pass

    app = FastAPI()

    @app.get("/denied")
    def denied() -> None:
        with DBOSContextSetAuth("bob", ["user"]):
            close()

    @app.get("/broken")
    async def broken() -> None:
        await DBOS.retrieve_workflow_async("absent")

    @app.get("/teapot")
    def teapot() -> None:
        raise HTTPException(418, "short and stout")

    @app.get("/plain")
    def plain() -> None:
        raise DBOSException("no code")

    configured(fastapi=app)
    with TestClient(app, raise_server_exceptions=False) as client:
        answers = [client.get(path) for path in ("/denied", "/broken", "/teapot", "/plain")]
    assert [answer.status_code for answer in answers] == [403, 500, 418, 500]
    assert answers[0].json() == {
        "message": "Function close has required roles, but user is not authenticated for any of them",
        "dbos_error_code": "8",
        "dbos_error": "DBOSNotAuthorizedError",
    }
    assert answers[1].json()["dbos_error"] == "DBOSNonExistentWorkflowError"
    assert answers[2].json() == {"detail": "short and stout"}
    assert answers[3].json() == {"message": "no code", "dbos_error_code": "None", "dbos_error": "DBOSException"}


@pytest.mark.rules("WEB-6", "WFI-8", "WFI-9")
def test_routes_above_workflows_and_steps(configured, db, caplog):
    app = FastAPI()

    @app.get("/workflow/{number}")
    @DBOS.workflow()
    def workflow(number: int) -> int:
        return number + 1

    @app.get("/async/{number}")
    @DBOS.workflow()
    async def async_workflow(number: int, extra: int = 0) -> int:
        return number + extra

    @app.get("/step/{number}")
    @DBOS.step()
    def step(number: int) -> str:
        return f"{number} in {DBOS.workflow_id}"

    @app.get("/async-step/{number}")
    @DBOS.step()
    async def async_step(number: int) -> str:
        return f"{number} in {DBOS.workflow_id}"

    @app.get("/transaction/{number}")
    @DBOS.transaction()
    def transaction(number: int) -> int:
        return number * 2

    configured(fastapi=app, application_database_url=db.url)
    logging.getLogger("dbos").addHandler(caplog.handler)
    try:
        with TestClient(app) as client:
            paths = ("workflow/1", "async/2?extra=3", "step/4", "async-step/5", "transaction/6")
            assert [client.get(f"/{path}").json() for path in paths] == [2, 5, "4 in None", "5 in None", 12]
            assert client.get("/workflow/x").status_code == 422
            assert [row.name for row in DBOS.list_workflows(name=workflow.__qualname__)] == [workflow.__qualname__]
    finally:
        logging.getLogger("dbos").removeHandler(caplog.handler)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.rules("ATH-14", "ATH-1", "WFI-10", "ATH-4")
@pytest.mark.parametrize("before", [True, False])
def test_middleware_that_authenticates_may_stand_on_either_side(configured, before):
    @DBOS.required_roles(["admin"])
    @DBOS.workflow()
    def secret() -> str | None:
        return DBOS.authenticated_user

    app = FastAPI()

    def authenticate() -> None:
        @app.middleware("http")
        async def middleware(request: Any, call_next: Any) -> Any:
            user = request.headers.get("user")
            with DBOSContextSetAuth(user, None if user is None else ["user", "admin"]):
                return await call_next(request)

    @app.get("/sync")
    def sync_route() -> list[Any]:
        return [DBOS.authenticated_user, DBOS.authenticated_roles, secret()]

    @app.get("/async")
    async def async_route() -> list[Any]:
        handle = await DBOS.start_workflow_async(secret)
        return [DBOS.authenticated_user, DBOS.authenticated_roles, await handle.get_result()]

    @app.get("/self")
    def self_made() -> str | None:
        DBOS.set_authentication("carol", ["admin"])
        return secret()

    if before:
        authenticate()
    configured(fastapi=app)
    if not before:
        authenticate()
    with TestClient(app) as client:
        for path in ("/sync", "/async"):
            assert client.get(path, headers={"user": "alice"}).json() == ["alice", ["user", "admin"], "alice"]
        anonymous = client.get("/sync")
        assert (anonymous.status_code, anonymous.json()["dbos_error"]) == (403, "DBOSNotAuthorizedError")
        assert "without authentication information" in anonymous.json()["message"]
        assert client.get("/self").json() == "carol"
        assert client.get("/sync").status_code == 403  # nothing of a request is left for the next


@pytest.mark.rules("WEB-2", "WFI-4", "WFI-6", "OTEL-20", "OT-6", "ATH-15")
def test_the_span_of_a_request(configured, spans):
    app = FastAPI()

    @DBOS.workflow()
    def one() -> None:
        pass

    @app.get("/orders/{number}")
    def read(number: int) -> None:
        with DBOSContextSetAuth("alice", ["admin"]):
            one()

    @app.get("/broken")
    def broken() -> None:
        raise ValueError("no luck")

    configured(fastapi=app, enable_otlp=True)
    DBOS.tracer.set_provider(spans.provider)
    with TestClient(app, raise_server_exceptions=False) as client:
        client.get("/orders/7?x=1", headers={"x-request-id": "mine"})
        client.get("/orders/8")
        client.get("/broken")
    workflow, seven, _, eight, broken_span = spans()
    assert workflow.parent.trace_id == seven.context.trace_id  # FastAPI may put spans of its own between
    assert (seven.name, eight.name, broken_span.name) == ("/orders/7", "/orders/8", "/broken")
    generated = eight.attributes["requestID"]
    assert str(uuid.UUID(generated)) == generated
    assert dict(seven.attributes) == {
        "operationType": "handler",
        "requestID": "mine",
        "requestIP": "testclient",
        "requestURL": "http://testserver/orders/7?x=1",
        "requestMethod": "GET",
        "responseCode": 200,
        "applicationVersion": "v1",
        "executorID": "local",
        "authenticatedUser": "alice",
        "authenticatedUserRoles": '["admin"]',
    }
    assert (broken_span.status.status_code.name, broken_span.status.description) == ("ERROR", "no luck")


@pytest.mark.rules("WFI-12", "LOOP-1", "LOOP-2")
def test_a_lifespan_of_ones_own(configured):
    @DBOS.workflow()
    async def where() -> int:
        return id(asyncio.get_running_loop())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> Any:
        configured()
        DBOS.launch()
        yield
        DBOS.destroy()

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def read() -> list[int]:
        with SetWorkflowID("mine"):
            return [id(asyncio.get_running_loop()), await (await DBOS.start_workflow_async(where)).get_result()]

    with TestClient(app) as client:
        here, there = client.get("/").json()
        assert here == there
        assert DBOS.start_workflow(where).get_result() == here


@pytest.mark.rules("WEB-1", "WFI-2")
def test_shutting_down_lets_workflows_on_the_loop_be_recovered(configured, db):
    entered = threading.Event()

    @DBOS.workflow()
    async def forever() -> None:
        entered.set()
        await asyncio.sleep(3600)

    app = FastAPI()

    @app.get("/")
    async def start() -> None:
        with SetWorkflowID("forever"):
            await DBOS.start_workflow_async(forever)

    configured(fastapi=app)
    with TestClient(app) as client:
        client.get("/")
        assert entered.wait(30)
    rows = db.rows("select status from {workflow_status} where workflow_uuid = 'forever'")
    assert [row["status"] for row in rows] == ["PENDING"]
