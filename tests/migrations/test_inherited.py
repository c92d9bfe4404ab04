"""Databases that other versions of `dbos` wrote are opened here: old results are read, unfinished workflows finish."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import survivor
from loading import WRITERS, load

from dbos import DBOS

pytestmark = pytest.mark.parametrize("writer", WRITERS)


@pytest.mark.rules("IOP-11", "MIG-4", "MIG-14", "MIG-15", "SCH-3")
def test_unfinished_workflows_finish_without_repeating_their_first_step(
    db: Any, launch: Callable[..., Any], writer: str
) -> None:
    load(db.url, writer)
    charged: list[str] = []
    shipped: list[str] = []
    survivor.register(charged.append, shipped.append)
    launch()
    results = {
        workflow_id: DBOS.retrieve_workflow(workflow_id).get_result(polling_interval_sec=0.05)
        for workflow_id in survivor.UNFINISHED
    }
    assert results == survivor.UNFINISHED
    assert charged == []
    assert sorted(shipped) == ["desk", "lamp", "lamp"]
    assert db.rows("select version from {dbos_migrations}") == [{"version": 125}]


@pytest.mark.rules("IOP-11", "MIG-14", "SCH-3")
def test_finished_workflows_are_read_and_do_not_run_again(db: Any, launch: Callable[..., Any], writer: str) -> None:
    load(db.url, writer)
    shipped: list[str] = []
    survivor.register(shipped.append, shipped.append)
    launch()
    for workflow_id, result in survivor.FINISHED.items():
        assert DBOS.retrieve_workflow(workflow_id).get_result() == result
        status = DBOS.get_workflow_status(workflow_id)
        assert status is not None
        assert status.status == "SUCCESS"
        assert list(status.input["args"]) == ["book", 3]
    for workflow_id, message in survivor.FAILED.items():
        with pytest.raises(Exception, match=message) as raised:
            DBOS.retrieve_workflow(workflow_id).get_result()
        expected = "ValueError" if workflow_id == "failed-pickled" else "PortableWorkflowError"
        assert type(raised.value).__name__ == expected
    assert "book" not in shipped
    assert "void" not in shipped
