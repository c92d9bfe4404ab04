"""Whoever wants the rows of many workflows waits for none while it holds another that sorts after it: no deadlocks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from programs import BOUND_SEC, until

from dbos._ops import retention

LOCK = "select 1 from {workflow_status} where workflow_uuid = ? for no key update nowait"
WAITING = """
select 1
  from pg_locks w
  join pg_locks h on h.pid = w.pid
  join pg_database d on d.oid = h.database and d.datname = current_database()
 where not w.granted
"""


@pytest.mark.rules("MGT-51", "MGT-65", "MGT-68")
@pytest.mark.parametrize("db", ["postgres"], indirect=True)  # SQLite has one writer
@pytest.mark.parametrize(
    ("status", "act"),
    [
        ("SUCCESS", lambda client: client.delete_workflow("z", delete_children=True)),
        ("SUCCESS", lambda client: client.garbage_collect(10, batch_size=None)),
        ("ENQUEUED", lambda client: client.global_timeout(10)),
    ],
    ids=["deletion", "retention", "timeout"],
)
async def test_who_waits_holds_nothing_that_others_lock_later(db, client, monkeypatch, status, act):
    """The child `a` sorts before its parent `z`, which is older and on an earlier page."""
    monkeypatch.setattr(retention, "PAGE_ROWS", 1 if status == "SUCCESS" else retention.PAGE_ROWS)
    for created_at, (workflow_id, parent) in enumerate([("z", None), ("a", "z")]):
        client.enqueue({"workflow_name": "absent", "queue_name": "absent", "workflow_id": workflow_id})
        db.execute(
            "update {workflow_status} set status = ?, created_at = ?, parent_workflow_id = ? where workflow_uuid = ?",
            *(status, created_at, parent, workflow_id),
        )
    with ThreadPoolExecutor() as pool:
        db.execute("begin")
        db.execute(LOCK, "a")
        acting = pool.submit(act, client)
        await until(lambda: db.rows(WAITING))
        db.execute(LOCK, "z")
        db.execute("rollback")
        acting.result(BOUND_SEC)
    left: list[Any] = db.rows("select status from {workflow_status}")
    assert left == ([{"status": "CANCELLED"}] * 2 if status == "ENQUEUED" else [])
