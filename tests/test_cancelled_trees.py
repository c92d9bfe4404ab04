"""Cancelling a tree of workflows while it grows: none escapes, none starts after."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from programs import logged, says, until

from dbos import DBOS, DBOSClient, SetWorkflowID

GROWN = 1000


class Tree:
    """Workflows that start and enqueue children, who do the same, until they are cancelled."""

    def __init__(self) -> None:
        self.started = self.ended = 0

        @DBOS.workflow(name="node")
        async def node(depth: int) -> None:
            self.started += 1
            try:
                for number in itertools.count():
                    if depth == 3:
                        await DBOS.sleep_async(0.001)
                        if number:
                            return
                    elif number % 4 == 3:
                        await DBOS.enqueue_workflow_async("leaves", node, 3)
                    elif number > 10:
                        await DBOS.sleep_async(0.02)
                    else:
                        await DBOS.start_workflow_async(node, depth + 1)
            finally:
                self.ended += 1

        self.node = node


def standing(db: Any) -> tuple[dict[str, int], int]:
    """Count the workflows by status, and the steps they have recorded."""
    rows = db.rows("select status, count(*) as n from {workflow_status} group by status")
    steps = db.rows("select count(*) as n from {operation_outputs}")
    return {row["status"]: row["n"] for row in rows}, steps[0]["n"]


@pytest.mark.rules("MGT-5", "ST-22", "ST-18", "MGT-3", "CLT-62")
@pytest.mark.parametrize("by", ["application", "client"])
async def test_no_descendant_escapes_or_starts_after(launch, db, by):
    tree = Tree()
    launch()
    await DBOS.register_queue_async("leaves", polling_interval_sec=0.01)
    with SetWorkflowID("root"):
        root = await DBOS.start_workflow_async(tree.node, 0)
    await until(lambda: tree.started > GROWN)
    with logged() as records:
        if by == "application":
            await DBOS.cancel_workflow_async("root", cancel_children=True)
        else:
            with DBOSClient(system_database_url=db.url) as client:
                await client.cancel_workflow_async("root", cancel_children=True)
        left = standing(db)
    assert set(left[0]) <= {"CANCELLED", "SUCCESS"}
    assert left[0]["CANCELLED"] > 10
    await until(lambda: tree.ended == tree.started)
    assert standing(db) == left  # none was started or claimed, nor did any of them do a thing
    assert not says(records, "deadlock")
    assert not says(records, "not reachable")
    assert (await root.get_status()).status == "CANCELLED"
    await asyncio.get_running_loop().run_in_executor(None, DBOS.destroy)
