"""The verbs on messages: send to a workflow, receive in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .._engine.color import Io
from .._engine.context import Run, current, workflow_run
from .._engine.inbox import Inbox
from .._engine.options import check_shard_key
from .._engine.patience import Patience
from .._engine.runtime import Node, Runtime
from .._engine.step import act, confirm, note, operation, record_own_error, recorded_value, replayed
from .._engine.tracing import traced
from .._error import DBOSException, DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError, by_rule
from .._model.names import new_message_id
from .._model.outcome import Value
from .._model.records import SendMessage
from .._model.serialize import PORTABLE, WorkflowSerializationFormat
from .._store import messages as store
from .._store import steps
from .._store.database import Kind
from .._store.journal import Entry
from .._store.messages import NULL_TOPIC, Message, Stored
from .._store.steps import TIMED_STEP, judge_act, judge_step

RECV = "DBOS.recv"


@traced("send")
async def send(
    node: Node,
    io: Io,
    destination_id: str,
    message: Any,
    topic: str | None = None,
    *,
    idempotency_key: str | None = None,
    serialization_type: WorkflowSerializationFormat | None = WorkflowSerializationFormat.DEFAULT,
    send_to_forks: bool = False,
    shard_key: str | None = None,
) -> None:
    """Send a message to a workflow, which takes it with `recv` of the same topic, now or later.

    From a workflow it is sent once. From elsewhere, give an `idempotency_key`: a second message with one key to one
    workflow is ignored. With `send_to_forks`, the workflow's forks and theirs get it too.

    Raises `DBOSNonExistentWorkflowError` if there is no such workflow, and whatever serializing the message raises.

        DBOS.send("order-17", "paid", topic="payment")
    """
    check_shard_key(shard_key)
    one = SendMessage(destination_id, message, topic, idempotency_key)
    await _send(node, io, "DBOS.send", [one], serialization_type, send_to_forks)


@traced("send_bulk")
async def send_bulk(
    node: Node,
    io: Io,
    messages: list[SendMessage],
    *,
    serialization_type: WorkflowSerializationFormat | None = WorkflowSerializationFormat.DEFAULT,
    send_to_forks: bool = False,
) -> None:
    """Send many messages, all or none.

    Raises what `send` raises, and `DBOSException` when two of them have one idempotency key.

        DBOS.send_bulk([SendMessage("order-17", "paid"), SendMessage("order-18", "paid")])
    """
    await _send(node, io, "DBOS.send_bulk", messages, serialization_type, send_to_forks)


async def _send(
    node: Node,
    io: Io,
    name: str,
    messages: Sequence[SendMessage],
    serialization_type: WorkflowSerializationFormat | None,
    to_forks: bool,
) -> None:
    here = current()
    run = here.run if here is not None and isinstance(node, Runtime) else None
    if run is None or here is None or here.step is not None or not isinstance(node, Runtime):
        await _post(node, io, run, encode(node, run, messages, serialization_type), to_forks)
        return
    step_id = run.draw()
    recorded = replayed(run, step_id, name)
    if recorded is not None:
        if recorded.error is not None:
            recorded_value(node, recorded)
        return
    await confirm(node, io, run)
    started_at_ms = node.clock.now_ms()
    try:
        prepared = encode(node, run, messages, serialization_type)
        kind, fields = _sending(prepared, to_forks)
        sent = await act(node, io, run, step_id, name, started_at_ms, kind, judge_act, **fields)
        if sent is False:
            raise store.homeless(prepared)
    except Exception as error:
        await record_own_error(node, io, run, step_id, name, error, started_at_ms)
        raise
    await _tell(node, io, prepared, to_forks)


def _sending(messages: list[Message], to_forks: bool) -> tuple[Kind, dict[str, Any]]:
    """Return the kind of record that sends messages from workflow code, and what it has besides the step."""
    if to_forks or len(messages) != 1:
        return store.SEND_TO_FORKS if to_forks else store.SEND, {"messages": store.encoded(messages)}
    [one] = messages
    return store.SEND_ONE, {
        "message_id": one.message_id,
        "destination": one.destination,
        "topic": one.topic,
        "message": one.message,
        "message_serialization": one.serialization,
    }


def encode(
    node: Node,
    run: Run | None,
    messages: Sequence[SendMessage],
    serialization_type: WorkflowSerializationFormat | None,
    after: Message | None = None,
) -> list[Message]:
    """Encode messages, to be sent after an earlier one of the same transaction; raise before anything is sent."""
    keys = [message.idempotency_key for message in messages if message.idempotency_key is not None]
    if len(keys) > len(set(keys)):
        repeated = sorted(key for key, count in Counter(keys).items() if count > 1)
        raise DBOSException(f"send_bulk received duplicate idempotency keys: {', '.join(repeated)}")
    name = format_of(node, run, serialization_type)
    prepared = []
    for message in messages:
        check_shard_key(message.shard_key)
        topic = NULL_TOPIC if message.topic is None else message.topic
        text = node.codec.dumps(message.message, name)
        if "\0" in text or "\0" in topic:
            raise DBOSException(f"The message to {message.destination_id} contains a NUL character")
        prepared.append(Message(new_message_id(), message.destination_id, topic, text, name, message.idempotency_key))
    return store.in_order(prepared, after)


def format_of(node: Node, run: Run | None, serialization_type: WorkflowSerializationFormat | None) -> str:
    """Return the serializer's name for a message or event: as asked, else as the workflow's (MSG-17, SER-13)."""
    if serialization_type in (None, WorkflowSerializationFormat.DEFAULT) and run is not None and run.portable:
        return PORTABLE
    return node.codec.name_for(serialization_type)


async def _post(node: Node, io: Io, run: Run | None, messages: list[Message], to_forks: bool) -> None:
    """Send from a step, from plain code or from a client."""
    if len(messages) != 1 or to_forks:
        held = None if run is None else (run.workflow_id, run.owner)
        told = await io.query(
            node.database.transact,
            lambda session: store.post_all(session, messages, to_forks=to_forks, held=held),
        )
        node.signals.tell(told)
        return
    [one] = messages
    posted = store.Posted(
        one.message_id,
        one.destination,
        one.topic,
        one.message,
        one.serialization,
        None if run is None else run.workflow_id,
        None if run is None else run.owner,
    )
    kind = store.POST if run is None else store.POST_FROM_STEP
    if (await node.write(io, kind, posted, store.judge_posted)).value is False:
        raise store.homeless(messages)
    node.signals.tell([one.signal])


async def _tell(node: Node, io: Io, messages: list[Message], to_forks: bool) -> None:
    keys = {message.signal for message in messages}
    if to_forks:
        for message in messages:
            forks = await io.query(
                node.database.read, lambda session, m=message: store.forks_of(session, [m.destination])
            )
            keys.update(store.message_key(fork, message.topic) for fork in forks)
    node.signals.tell(keys)


@traced("recv")
async def recv(node: Runtime, io: Io, topic: str | None = None, timeout_seconds: float = 60) -> Any:
    """Receive the oldest message of a topic; wait up to `timeout_seconds` for one, then return None.

    Each message is received once. After a crash the wait goes on until the same moment.

    Raises `DBOSException` outside workflow code.

        payment = DBOS.recv("payment", timeout_seconds=3600)
    """
    run = workflow_run()
    if run is None:
        raise DBOSException(by_rule("comm-messages", "recv() must be called from within a workflow"))
    step_id = run.draw(2)
    recorded = replayed(run, step_id, RECV)
    if recorded is not None:
        return recorded_value(node, recorded)
    patience = Patience(node, io, timeout_seconds, run, step_id + 1)
    await confirm(node, io, run)
    started_at_ms = node.clock.now_ms()
    stored_topic = NULL_TOPIC if topic is None else topic
    received = await patience.wait(
        store.message_key(run.workflow_id, stored_topic),
        lambda: _receive(node, io, run, step_id, stored_topic, started_at_ms, patience),
    )
    if received is not None:
        return received.value
    name = node.codec.name_for(None)
    await act(
        node,
        io,
        run,
        step_id,
        RECV,
        started_at_ms,
        TIMED_STEP,
        judge_step,
        output=node.codec.dumps(None, name),
        serialization=name,
        deadline=patience.unregistered,
    )
    return None


async def _receive(
    node: Runtime, io: Io, run: Run, step_id: int, topic: str, started_at_ms: int, patience: Patience
) -> Value[Any] | None:
    """Consume the oldest message that nobody else gets first, and record that in the same transaction (MSG-24)."""
    with run.lock:
        inbox = run.inboxes.setdefault(topic, Inbox())
    value: list[Any] = []

    def append(stored: Stored) -> Entry[bool | None]:
        value[:] = [node.codec.loads(stored.message, stored.serialization)]  # what cannot be read is not consumed
        receipt = store.Receipt(
            run.workflow_id,
            step_id,
            run.owner,
            RECV,
            None,
            None,
            None,
            None,
            started_at_ms,
            node.clock.now_ms(),
            node.application_name,
            patience.unregistered,
            stored.message_id,
        )
        entry: Entry[bool | None] = node.journal.append(store.RECEIVE, receipt, judge_act)
        return entry

    looked = False
    while True:
        await node.room(io)
        owner = run.owner
        taken = inbox.take(node.clock.monotonic_sec(), append)
        if taken is None:
            if looked:
                return None
            began = node.clock.monotonic_sec()
            found = await io.query(
                node.database.read, lambda session: store.oldest(session, run.workflow_id, topic, inbox.ahead)
            )
            inbox.fill(found, began, node.clock.monotonic_sec())
            looked = True
            continue
        entry = taken[1]
        try:
            await io.wait(entry)
        except (DBOSWorkflowCancelledError, DBOSWorkflowConflictIDError) as verdict:
            inbox.forget()
            looked = False
            if run.owner == owner:
                note(run, verdict)
                raise
            # The run was dispatched again and its new token handed to us (RV-44). What was lost may be the reply alone.
            recorded = await io.query(
                node.database.read, lambda session: steps.recorded(session, run.workflow_id, step_id)
            )
            if recorded is not None:
                run.recorded_to = max(run.recorded_to, step_id)
                return Value(recorded_value(node, recorded))
            continue
        if entry.value is not False:
            run.checked_at = entry.durable_at
            run.recorded_to = max(run.recorded_to, step_id)
            return Value(value[0])


async def get_all_messages(
    node: Node, io: Io, workflow_id: str, *, shard_key: str | None = None
) -> list[dict[str, Any]]:
    """Return every message to a workflow, received or not, in the order of creation; [] if there are none.

    Each is a dict with the keys `topic` (None for the default one), `message` (as it is stored, if it cannot be decoded
    here), `created_at_epoch_ms` (int), `consumed` (bool).

        DBOS.get_all_messages("order-17")
    """
    check_shard_key(shard_key)

    async def work() -> list[dict[str, Any]]:
        found = await io.query(node.database.observe, lambda session: store.all_messages(session, workflow_id))
        return [
            {
                "topic": None if one.topic == NULL_TOPIC else one.topic,
                "message": node.codec.peek(one.message, one.serialization),
                "created_at_epoch_ms": one.created_at_ms,
                "consumed": bool(one.consumed),
            }
            for one in found
        ]

    return await operation(node, io, "DBOS.getMessages", work)
