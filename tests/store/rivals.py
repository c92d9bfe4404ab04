"""What other processes of our application do to us: die and leave us their runs, or take ours over.

Knows the rows that such a process leaves or writes. All of it happens in this process, through its own database, so
that a campaign's failures strike there too.
"""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

from dbos import _lifecycle
from dbos._engine.runtime import Runtime
from dbos._model.queue import INTERNAL_QUEUE
from dbos._service.service import Service
from dbos._store import adoption
from dbos._store.database import Session
from dbos._store.leases import INCARNATION_LENGTH

MOST_ROWS = 1000


def leave_behind(workflow_id: str, name: str, argument: Any, step: tuple[str, Any]) -> None:
    """Leave a run and its first step as a process of another machine does whose lease ran out, once per id; let the
    sweeper of this process look.
    """
    node = _node()
    incarnation = hashlib.md5(workflow_id.encode(), usedforsecurity=False).hexdigest()[:INCARNATION_LENGTH]
    whose = {"application": node.application_name, "version": node.version, "executor": executor_of(workflow_id)}

    def leave(session: Session) -> None:
        written = session.run(
            """
            insert into {workflow_status}
                   (workflow_uuid, status, name, executor_id, application_name, application_version, owner_xid,
                    creator_xid, recovery_attempts, started_at_epoch_ms, serialization)
            values (:id, 'PENDING', :name, :executor, :application, :version, :owner, :owner, 1, {now_ms},
                    'portable_json')
                on conflict (workflow_uuid) do nothing
            """,
            id=workflow_id,
            name=name,
            owner=f"{incarnation}-000000000001",
            **whose,
        )
        if not written:
            return
        inputs = json.dumps({"positionalArgs": [argument], "namedArgs": {}})
        session.run("insert into {workflow_input} (workflow_uuid, inputs) values (:id, :i)", id=workflow_id, i=inputs)
        session.run(
            """
            insert into {operation_outputs} (workflow_uuid, function_id, function_name, output, serialization)
            values (:id, 1, :step, :output, 'portable_json')
            """,
            id=workflow_id,
            step=step[0],
            output=json.dumps(step[1]),
        )
        session.run(
            """
            insert into {executors}
                   (incarnation, executor_id, application_name, application_version, host, boot_id, pid,
                    process_started, started_at_epoch_ms, heartbeat_at_epoch_ms, expires_at_epoch_ms, draining)
            values (:incarnation, :executor, :application, :version, 'elsewhere', '', 1, '',
                    {now_ms} - 30000, {now_ms} - 30000, {now_ms} - 1, false)
            """,
            incarnation=incarnation,
            **whose,
        )

    node.database.transact(leave)
    node.wake_sweeper()


def executor_of(workflow_id: str) -> str:
    """Return the executor id of the process that left a run behind."""
    return f"dead-{workflow_id}"


def take_over() -> None:
    """Take over all that this process runs, as others do that hold its lease for run out; wait until it noticed."""
    node, lease = _node(), _lease()
    node.database.transact(
        lambda session: adoption.adopt(session, node.incarnation, INTERNAL_QUEUE, MOST_ROWS, ended=True)
    )
    node.enqueued()
    lease.wake()
    while not node.database.read(lambda session: _holds(session, node.incarnation)):
        threading.Event().wait(0.002)


def _holds(session: Session, incarnation: str) -> bool:
    statement = "select 1 from {executors} where incarnation = :incarnation and expires_at_epoch_ms > {now_ms}"
    return session.one(statement, incarnation=incarnation) is not None


def _node() -> Runtime:
    node = _lifecycle.launched().runtime
    assert node is not None
    return node


def _lease() -> Service:
    lease = _lifecycle.launched().lease
    assert lease is not None
    return lease
