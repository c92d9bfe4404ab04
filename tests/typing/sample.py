"""A program as a user writes it, which type checkers must accept and see through.

`make check` runs mypy --strict and pyright over it: every `assert_type` is a claim about what they know.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from typing_extensions import assert_type

from dbos import (
    DBOS,
    DBOSConfig,
    SetWorkflowID,
    SetWorkflowTimeout,
    StepInfo,
    WorkflowHandle,
    WorkflowHandleAsync,
    WorkflowStatus,
)

config: DBOSConfig = {"name": "sample", "system_database_url": "sqlite:///sample.sqlite"}
DBOS(config=config)


@DBOS.step(retries_allowed=True, max_attempts=5)
def charge(order: str, cents: int = 100) -> int:
    """Charge an order."""
    return cents


@DBOS.step()
async def notify(order: str) -> bool:
    """Tell the customer."""
    return True


@DBOS.workflow()
def checkout(order: str, *, gift: bool = False) -> list[int]:
    """Run a plain workflow."""
    assert_type(charge(order, 3), int)
    assert_type(DBOS.workflow_id, str | None)
    assert_type(DBOS.run_step(None, len, order), int)
    DBOS.sleep(1.5)
    return [charge(order)]


@DBOS.workflow(name="checkout")
async def checkout_async(order: str) -> dict[str, bool]:
    """Run an async workflow."""
    assert_type(await notify(order), bool)
    assert_type(await DBOS.run_step_async(None, notify, order), bool)
    await DBOS.sleep_async(1)
    return {order: True}


class Shop:
    """Hold a workflow that is a method."""

    @DBOS.workflow()  # dbos: ignore[pattern-classes]
    def sell(self, item: str) -> float:
        """Sell an item."""
        return 1.0


def blocking() -> None:
    """Use what a plain function uses."""
    with SetWorkflowID("order-17"), SetWorkflowTimeout(10):
        assert_type(checkout("order-17", gift=True), list[int])
    handle = DBOS.start_workflow(checkout, "order-17")
    assert_type(handle, WorkflowHandle[list[int]])
    assert_type(handle.get_result(), list[int])
    assert_type(handle.get_status(), WorkflowStatus)
    assert_type(handle.workflow_id, str)
    assert_type(DBOS.start_workflow(checkout_async, "order-17").get_result(), dict[str, bool])
    assert_type(DBOS.start_workflow(Shop().sell, "pen"), WorkflowHandle[float])
    assert_type(DBOS.retrieve_workflow("order-17"), WorkflowHandle[Any])
    assert_type(DBOS.list_workflows(status="PENDING"), list[WorkflowStatus])
    assert_type(DBOS.list_workflow_steps("order-17"), list[StepInfo])


async def looping() -> None:
    """Use what a coroutine function uses."""
    assert_type(await checkout_async("order-17"), dict[str, bool])
    handle = await DBOS.start_workflow_async(checkout_async, "order-17")
    assert_type(handle, WorkflowHandleAsync[dict[str, bool]])
    assert_type(await handle.get_result(), dict[str, bool])
    assert_type(await handle.get_status(), WorkflowStatus)
    plain = await DBOS.start_workflow_async(checkout, "order-17", gift=True)
    assert_type(await plain.get_result(), list[int])
    assert_type(await DBOS.retrieve_workflow_async("order-17"), WorkflowHandleAsync[Any])
    assert_type(await DBOS.get_workflow_status_async("order-17"), WorkflowStatus | None)


# Decorated functions keep their signatures.
plain_workflow: Callable[[str], list[int]] = checkout
async_workflow: Callable[[str], Coroutine[Any, Any, dict[str, bool]]] = checkout_async
