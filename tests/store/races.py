"""Operations that race for one workflow, the states it may be in, and what is left of it when they are done.

`w` is the workflow, `c` its child. A live process runs what is PENDING, unless a dead one does; the two players A and B
are processes and clients of their own. What each operation returns, and every row without its times, is compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from dbos import DBOSClient, DebouncerClient, SendMessage, SetWorkflowID
from dbos._model.queue import INTERNAL_QUEUE, QueueSettings
from dbos._store import adoption, cancelling, claims, delays, leases, messages, steps, streams, upgrades, workflows
from dbos._store.claims import Claimant
from dbos._store.database import Contended, Database
from dbos._store.deletion import BELONGINGS
from dbos._store.events import SET_EVENT, Setting
from dbos._store.messages import RECEIVE, SEND, Message, Receipt, Sending
from dbos._store.opening import Opening, open_database
from dbos._store.steps import STEP, Step
from dbos._store.streams import WRITE_STREAM, Writing
from dbos._store.upgrades import Upgrade
from dbos._store.workflows import OUTCOME, START_CHILD, Outcome, Scope, Start

SCOPE = Scope("app", "v1", "local")
LIVE, DEAD = "1" * 16, "d" * 16
QUEUE, DEDUPLICATION_ID, LEASE_MS = "q", "f-k", 10**9
MESSAGE = {"message_uuid": "m", "destination_uuid": "w", "topic": "t", "message": "hello"}
TABLES = ("workflow_status", *BELONGINGS, "executors")


# --- the states a workflow may be in


def _row(status: str, **columns: Any) -> dict[str, Any]:
    return {
        "workflow_uuid": "w",
        "status": status,
        "name": "f",
        "application_name": "app",
        "application_version": "v1",
        "executor_id": "local",
        "creator_xid": "creator",
        "recovery_attempts": 0,
        "queue_name": QUEUE,
        "workflow_deadline_epoch_ms": 5,
        "created_at": 1,
        "updated_at": 1,
        **columns,
    }


def _pending(incarnation: str) -> dict[str, Any]:
    return _row(
        "PENDING",
        owner_xid=f"{incarnation}-1-0-w",
        recovery_attempts=1,
        started_at_epoch_ms=5,
        deduplication_id=DEDUPLICATION_ID,
    )


STATES: dict[str, dict[str, Any]] = {
    "queued": _row("ENQUEUED", deduplication_id=DEDUPLICATION_ID),
    "delayed": _row("DELAYED", deduplication_id=DEDUPLICATION_ID, is_debounced=True, delay_until_epoch_ms=5),
    "running": _pending(LIVE),
    "orphaned": _pending(DEAD),
    "cancelled": _row("CANCELLED", queue_name=None, completed_at=5, recovery_attempts=1),
    "done": _row("SUCCESS", completed_at=5, recovery_attempts=1),
}


class Stage:
    """A database that is put into a state again and again."""

    def __init__(self, url: str, beside: Any) -> None:
        """Take a migrated database, and a connection beside DBOS that runs scripts."""
        self.sides = {name: Side(name, url, number) for number, name in enumerate("AB")}
        self.database = opened(url)
        self._execute = beside.execute
        self._schema = beside.schema
        self._scripts = {state: self._script(row) for state, row in STATES.items()}

    def close(self) -> None:
        """Close every connection."""
        for side in self.sides.values():
            side.close()
        self.database.close()

    def set(self, state: str) -> None:
        """Empty the database and put `w` and its child there."""
        self._execute(self._scripts[state])
        for side in self.sides.values():
            side.claims = 0

    def operation(self, name: str, side: str, state: str) -> Callable[[], Any]:
        """Return an operation as a player performs it."""
        token = STATES[state].get("owner_xid") or f"{LIVE}-1-0-w"
        one = self.sides[side]
        return lambda: OPERATIONS[name](one, token)

    def left(self) -> str:
        """Return every row, its times and random tokens only as there or not."""
        return self.database.snapshot(_digest)

    def _script(self, row: dict[str, Any]) -> str:
        statements = [f"delete from {self._schema}{table}" for table in (*TABLES[1:], TABLES[0])]
        # The child of a cancelled workflow has ended, all others run.
        child = STATES["done"] if row["status"] == "CANCELLED" else {**_pending(LIVE), "deduplication_id": None}
        owner = child.get("owner_xid") and f"{LIVE}-1-0-c"
        child = {**child, "owner_xid": owner, "workflow_uuid": "c", "parent_workflow_id": "w", "queue_name": "others"}
        child["workflow_deadline_epoch_ms"] = None
        rows: list[tuple[str, dict[str, Any]]] = [
            ("workflow_status", row),
            ("workflow_input", {"workflow_uuid": "w", "inputs": "i"}),
            ("workflow_status", child),
            ("workflow_input", {"workflow_uuid": "c", "inputs": "i"}),
            ("operation_outputs", {"workflow_uuid": "w", "function_id": 1, "child_workflow_id": "c"}),
            ("notifications", {**MESSAGE, "created_at_epoch_ms": 1}),
        ]
        rows += [
            ("workflow_output", {"workflow_uuid": one["workflow_uuid"], "output": "o"})
            for one in (row, child)
            if one["status"] == "SUCCESS"
        ]
        for incarnation in (LIVE, DEAD, *(side.incarnation for side in self.sides.values())):
            expires = 5 if incarnation == DEAD else 2**52
            rows.append(("executors", _lease(incarnation, expires)))
        statements += [self._insert(table, columns) for table, columns in rows]
        return ";\n".join(statements)

    def _insert(self, table: str, row: dict[str, Any]) -> str:
        names, values = ", ".join(row), ", ".join(map(_literal, row.values()))
        return f"insert into {self._schema}{table} ({names}) values ({values})"


def _lease(incarnation: str, expires_at: int) -> dict[str, Any]:
    return {
        "incarnation": incarnation,
        "executor_id": "local",
        "application_name": "app",
        "application_version": "v1",
        "host": "h",
        "boot_id": "b",
        "pid": 1,
        "process_started": "p",
        "started_at_epoch_ms": 1,
        "heartbeat_at_epoch_ms": 1,
        "expires_at_epoch_ms": expires_at,
        "draining": False,
    }


def _literal(value: Any) -> str:
    return "null" if value is None else f"'{value}'" if isinstance(value, str) else str(value)


def _digest(session: Any) -> str:
    found: dict[str, list[Any]] = {}
    for table in TABLES:
        columns = COLUMNS.get(table, "*")
        found[table] = sorted(session.rows(f"select {columns} from {{{table}}}"), key=repr)
    return json.dumps(found, default=str)


COLUMNS = {
    "workflow_status": "workflow_uuid, status, owner_xid, executor_id, application_version, queue_name,"
    " deduplication_id, is_debounced, recovery_attempts, forked_from, was_forked_from, parent_workflow_id,"
    " completed_at is null, started_at_epoch_ms is null, delay_until_epoch_ms > 5, workflow_deadline_epoch_ms,"
    " rate_limited, {json:attributes}",
    "operation_outputs": "workflow_uuid, function_id, function_name, output, error, child_workflow_id",
    "workflow_input": "workflow_uuid, inputs",
    "workflow_output": "workflow_uuid, output, error",
    "notifications": "message_uuid, destination_uuid, message, consumed, consumed_by_function_id",
    "executors": "incarnation, expires_at_epoch_ms > 5",
}


# --- who performs operations


def opened(url: str) -> Database:
    """Open a migrated database."""
    return open_database(Opening(url), migrate=False, verify=False)


class Side:
    """A process and a client of its own, and where it counts its claims."""

    def __init__(self, name: str, url: str, number: int) -> None:
        """Connect."""
        self.name = name.lower()
        self.incarnation = name * 16
        self.step_id = 7 + 2 * number
        self.claims = 0
        self.client = DBOSClient(system_database_url=url, application_name="app", serializer=Plain())  # type: ignore[arg-type]
        self.node = self.client._connected()
        self.database = self.node.database
        self.debouncer = DebouncerClient(
            self.client, {"workflow_name": "f", "queue_name": QUEUE, "workflow_id": f"b-{self.name}"}
        )

    def close(self) -> None:
        """Disconnect."""
        self.client.destroy()

    def claimant(self) -> Claimant:
        """Return who claims, with a fresh token."""
        self.claims += 1
        return Claimant(SCOPE, f"{self.incarnation}-{self.claims}")

    def write(self, kind: Any, record: Any, judge: Any) -> Any:
        """Write a record through the journal; return its verdict."""
        entry = self.node.journal.append(kind, record, judge)
        entry.wait()
        return entry.result()

    def step(self, token: str) -> dict[str, Any]:
        """Return the columns of a step that this side records for `w`."""
        return {
            "workflow_id": "w",
            "step_id": self.step_id,
            "owner": token,
            "name": "step",
            "output": None,
            "error": None,
            "child_id": None,
            "serialization": None,
            "started_at_ms": 1,
            "completed_at_ms": self.step_id,
            "application_name": "app",
        }


class Plain:
    """A serializer whose bytes tell what they are."""

    def serialize(self, value: Any) -> str:
        """Return it as JSON."""
        return json.dumps(value)

    def deserialize(self, text: str) -> Any:
        """Return what was serialized."""
        return json.loads(text)

    def name(self) -> str:
        """Return how rows name it."""
        return "plain"


# --- the operations; each takes who performs it, and the token that `w` has at first


def claim(side: Side, _token: str) -> Any:
    """Take what is queued."""
    claimant = side.claimant()
    taken = side.database.claim(
        lambda session: claims.take_open(session, claimant, [QUEUE, INTERNAL_QUEUE], 10), alone=True
    )
    return [one.workflow_id for one in taken]


def claim_shared(side: Side, _token: str) -> Any:
    """Take what a queue's limit lets run."""
    claimant, queue = side.claimant(), QueueSettings(QUEUE, concurrency=1)
    try:
        taken = side.database.claim(lambda session: claims.take_shared(session, claimant, queue, 10))
    except Contended:
        return []
    return [one.workflow_id for one in taken.rows]


def recover(side: Side, _token: str) -> Any:
    """Put the runs of our executor id back that no live process has."""
    pending = side.database.read(lambda session: workflows.pending_of(session, SCOPE, ["local"], []))
    return side.database.transact(lambda session: workflows.requeue(session, pending, ["local"], INTERNAL_QUEUE, []))


def adopt(side: Side, _token: str) -> Any:
    """Take over from the dead."""
    if side.database.read(lambda session: leases.other(session, DEAD)) is None:
        return []
    return side.database.claim(
        lambda session: adoption.adopt(session, DEAD, INTERNAL_QUEUE, 10, ended=False)
    ).workflow_ids


def renew(side: Side, _token: str) -> Any:
    """Let the dead say that they live."""
    return side.database.transact(lambda session: leases.renew(session, DEAD, LEASE_MS))


def complete(side: Side, token: str) -> Any:
    """Record an outcome."""
    outcome = Outcome("w", token, "SUCCESS", f"of {side.name}", None)
    return side.write(OUTCOME, outcome, workflows.judge_outcome)


def step(side: Side, token: str) -> Any:
    """Record a step."""
    return side.write(STEP, Step(**side.step(token)), steps.judge_step)


def start_child(side: Side, token: str) -> Any:
    """Start a child."""
    child_id = f"c-{side.name}"
    values: dict[str, Any] = dict.fromkeys(Start.__slots__)
    values |= {
        "workflow_id": child_id,
        "creator": child_id,
        "status": "PENDING",
        "name": "f",
        "inputs": "i",
        "serialization": "plain",
        "executor_id": "local",
        "application_version": "v1",
        "application_name": "app",
        "recovery_attempts": 1,
        "owner": f"{LIVE}-{child_id}",
        "priority": 0,
        "parent_id": "w",
        "parent_owner": token,
        "parent_step_id": side.step_id,
    }
    return type(side.write(START_CHILD, Start(**values), workflows.judge_start)).__name__


def write_stream(side: Side, token: str) -> Any:
    """Write a stream's next value."""
    at = side.database.read(lambda session: streams.next_offset(session, "w", "s"))
    while at is not None:
        value = {"stream_key": "s", "value": side.name, "value_serialization": "plain", "at": at}
        at = side.write(WRITE_STREAM, Writing(**side.step(token), **value), streams.judge_writing)


def set_event(side: Side, token: str) -> Any:
    """Set an event."""
    value = {"event_key": "e", "value": side.name, "value_serialization": "plain"}
    return side.write(SET_EVENT, Setting(**side.step(token), **value), steps.judge_step)


def receive(side: Side, token: str) -> Any:
    """Consume the oldest message, or record that there was none."""
    while found := side.database.read(lambda session: messages.oldest(session, "w", "t", 1)):
        receipt = Receipt(**side.step(token), deadline=None, message_id=found[0].message_id)
        if side.write(RECEIVE, receipt, steps.judge_act) is not False:
            return found[0].message
    return step(side, token)


def send_as_workflow(side: Side, _token: str) -> Any:
    """Send to `w` from its child, as a step of that."""
    message = Message(f"id-{side.name}", "w", "t", side.name, "plain", None)
    columns = {**side.step(f"{LIVE}-1-0-c"), "workflow_id": "c", "messages": messages.encoded([message])}
    return side.write(SEND, Sending(**columns), steps.judge_act)


def send_to_forks(side: Side, _token: str) -> Any:
    """Send to `w`, to its child, and to all forks of both."""
    side.client.send_bulk([SendMessage(one, side.name, "t", f"{side.name}-{one}") for one in "cw"], send_to_forks=True)


def time_out(side: Side, _token: str) -> Any:
    """Cancel what is overdue."""
    return sorted(side.database.claim(lambda session: cancelling.cancel_overdue(session, SCOPE, 10), alone=True))


def release(side: Side, _token: str) -> Any:
    """Let what was delayed onto its queue."""
    return side.database.claim(lambda session: delays.release_due(session, SCOPE, 10, 10), alone=True)


def dead_letter(side: Side, _token: str) -> Any:
    """Give up what was started too often."""
    return side.database.transact(lambda session: workflows.dead_letter(session, "w", 1))


def upgrade(side: Side, _token: str) -> Any:
    """Move what is older to the latest version."""
    one = Upgrade(["f"], "app", "v2", 1, ["v1"])
    for status in ("ENQUEUED", "DELAYED"):
        side.database.claim(lambda session, status=status: upgrades.move_waiting(session, one, status, 10))
    side.database.claim(lambda session: upgrades.move_running(session, one, INTERNAL_QUEUE, 0, 10))


def fork(side: Side, _token: str) -> Any:
    """Fork from the second step."""
    with SetWorkflowID(f"fork-{side.name}"):
        return side.client.fork_workflow("w", 2).workflow_id


def enqueue(side: Side, _token: str) -> Any:
    """Enqueue under the deduplication id."""
    return side.client.enqueue(
        {
            "workflow_name": "f",
            "queue_name": QUEUE,
            "workflow_id": f"e-{side.name}",
            "deduplication_id": DEDUPLICATION_ID,
        }
    ).workflow_id


OPERATIONS: dict[str, Callable[[Side, str], Any]] = {
    "claim": claim,
    "claim shared": claim_shared,
    "recover": recover,
    "adopt": adopt,
    "renew": renew,
    "complete": complete,
    "step": step,
    "start child": start_child,
    "cancel": lambda side, _: side.client.cancel_workflow("w"),
    "cancel tree": lambda side, _: side.client.cancel_workflow("w", cancel_children=True),
    "resume": lambda side, _: side.client.resume_workflow("w").workflow_id,
    "fork": fork,
    "rewind": lambda side, _: side.client.rewind_workflow("w", start_step=1).workflow_id,
    "delete": lambda side, _: side.client.delete_workflow("w"),
    "delete tree": lambda side, _: side.client.delete_workflow("w", delete_children=True),
    "retention": lambda side, _: side.client.garbage_collect(10),
    "enqueue": enqueue,
    "send": lambda side, _: side.client.send("w", side.name, "t", side.name),
    "send as workflow": send_as_workflow,
    "send to forks": send_to_forks,
    "recv": receive,
    "write stream": write_stream,
    "set event": set_event,
    "merge attributes": lambda side, _: side.client.update_workflow_attributes("w", {side.name: 1}, merge=True),
    "timeout": time_out,
    "release": release,
    "set delay": lambda side, _: side.client.set_workflow_delay("w", delay_seconds=3600),
    "dead letter": dead_letter,
    "upgrade": upgrade,
    "global timeout": lambda side, _: side.client.global_timeout(10),
    "debounce": lambda side, _: side.debouncer.debounce("k", 3600, side.name).workflow_id,
}
# These are a transaction for each level of a tree (ST-22) or each status: between two others may have their turn.
PIECEWISE = frozenset({"cancel tree", "upgrade", "global timeout"})
# What the services do over and over: passing over what others hold, they come again.
RECURRING = frozenset({"claim", "claim shared", "adopt", "timeout", "release", "upgrade"})
