"""Waiting, on a loop's own thread, for what only that loop can do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from dbos import DBOS


@pytest.mark.rules("LIF-15", "LIF-16", "EX-3")
def test_blocking_the_loop_for_its_own_workflow_is_refused(launch: Callable[..., type[DBOS]]) -> None:
    @DBOS.workflow()
    async def program() -> str:
        await asyncio.sleep(0)
        return "done"

    async def main() -> str:
        launch()  # adopts this loop
        handle = DBOS.start_workflow(program)
        with pytest.raises(RuntimeError, match="deadlock"):
            handle.get_result()
        return str(await DBOS.get_result_async(handle.workflow_id))

    assert asyncio.run(main()) == "done"


@pytest.mark.rules("LIF-15", "EX-3")
def test_another_threads_loop_may_be_waited_for(launch: Callable[..., type[DBOS]]) -> None:
    @DBOS.workflow()
    async def program() -> str:
        await asyncio.sleep(0)
        return "done"

    launch()
    assert DBOS.start_workflow(program).get_result() == "done"
