"""The laws of the two colours (ARCHITECTURE.md)."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from dbos import DBOS
from dbos._engine.color import run_now
from dbos._ops import workflows


def test_core_code_that_suspends_under_a_blocking_io_is_a_defect():
    async def core() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="law 1"):
        run_now(core())


def test_core_code_that_does_not_suspend_is_driven_to_its_end():
    async def inner() -> int:
        return 1

    async def core() -> int:
        return await inner() + 1

    assert run_now(core()) == 2


def test_a_published_operation_shows_its_own_signature_and_documentation():
    published = inspect.signature(DBOS.get_workflow_status)
    operation = inspect.signature(workflows.get_workflow_status)
    assert list(published.parameters) == list(operation.parameters)[2:]
    assert list(inspect.signature(DBOS.get_workflow_status_async).parameters) == list(published.parameters)
    assert DBOS.get_workflow_status.__doc__ == workflows.get_workflow_status.__doc__
    assert inspect.iscoroutinefunction(DBOS.get_workflow_status_async)
