"""Tests of an application as its authors write them: a fresh runtime for each, mocks, errors that are expected."""

import time
import uuid
from unittest.mock import AsyncMock, patch

import pytest

from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID
from dbos.error import DBOSException, DBOSMaxStepRetriesExceeded, DBOSQueueDeduplicatedError

calls: list[str] = []


@DBOS.step(retries_allowed=True, max_attempts=2, interval_seconds=0.01)
def charge(order: str) -> str:
    calls.append(order)
    if order == "broken":
        raise ConnectionError("no answer")
    return f"charged {order}"


@DBOS.workflow()
def checkout(order: str) -> str:
    return charge(order)


@DBOS.workflow()
async def wait_for_message() -> str:
    return await DBOS.recv_async("go", timeout_seconds=5) or "nothing"


@pytest.fixture()
def config(tmp_path) -> DBOSConfig:
    return {
        "name": "orders",
        "system_database_url": f"sqlite:///{tmp_path}/orders.sqlite",
        "executor_id": str(uuid.uuid4()),
    }


@pytest.fixture(autouse=True)
def dbos(config):
    DBOS.destroy()
    DBOS(config=config)
    DBOS.launch()
    calls.clear()
    yield
    DBOS.destroy()


def test_an_order_is_charged_once():
    key = str(uuid.uuid4())
    with SetWorkflowID(key):
        assert checkout("book") == "charged book"
    with SetWorkflowID(key):
        assert checkout("book") == "charged book"
    assert calls == ["book"]


def test_a_broken_bank_fails_the_order():
    with pytest.raises(DBOSMaxStepRetriesExceeded):
        checkout("broken")
    assert calls == ["broken", "broken"]


def test_a_second_one_is_refused():
    with SetEnqueueOptions(deduplication_id="ada"):
        DBOS.enqueue_workflow("later", checkout, "book")
        with pytest.raises(DBOSQueueDeduplicatedError):
            DBOS.enqueue_workflow("later", checkout, "book")


def test_receiving_outside_is_refused():
    with pytest.raises(DBOSException):
        DBOS.recv("go")
    with pytest.raises(DBOSException):
        DBOS.set_event("k", 1)


@pytest.mark.asyncio
async def test_a_message_arrives():
    handle = await DBOS.start_workflow_async(wait_for_message)
    await DBOS.send_async(handle.workflow_id, "go!", "go")
    assert await handle.get_result() == "go!"
    with pytest.raises(RuntimeError):
        DBOS.list_workflows()


@pytest.mark.asyncio
async def test_with_a_mock():
    with patch("dbos.DBOS.recv_async", AsyncMock(return_value="mocked")):
        assert await wait_for_message() == "mocked"


def test_eventually():
    handle = DBOS.start_workflow(checkout, "pen")
    deadline = time.time() + 5
    while handle.get_status().status != "SUCCESS" and time.time() < deadline:
        time.sleep(0.05)
    assert handle.get_result() == "charged pen"
