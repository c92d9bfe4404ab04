"""The verbs on events: what a workflow shows of itself while it runs."""

from __future__ import annotations

from typing import Any

from .._engine.color import Io
from .._engine.context import current, workflow_run
from .._engine.options import check_shard_key
from .._engine.patience import Patience
from .._engine.runtime import Node, Runtime
from .._engine.step import act, confirm, operation, recorded_value, replayed
from .._engine.tracing import traced
from .._error import DBOSException, by_rule
from .._model.serialize import WorkflowSerializationFormat
from .._store import events as store
from .._store.steps import TIMED_STEP, judge_step
from .messages import format_of

SET_EVENT = "DBOS.setEvent"
GET_EVENT = "DBOS.getEvent"


@traced("set_event")
async def set_event(
    node: Runtime,
    io: Io,
    key: str,
    value: Any,
    *,
    serialization_type: WorkflowSerializationFormat | None = WorkflowSerializationFormat.DEFAULT,
) -> None:
    """Show a value under a key of the running workflow, for `get_event` anywhere; the latest value counts.

    From a workflow it is set once; from a step, once per attempt.

    Raises `DBOSException` outside workflows, and whatever serializing the value raises.

        DBOS.set_event("progress", 40)
    """
    here = current()
    if here is None or here.run is None:
        raise DBOSException(by_rule("comm-events", "set_event() must be called from within a workflow or step"))
    run = here.run
    name = format_of(node, run, serialization_type)
    if here.step is not None:
        text = node.codec.dumps(value, name)
        setting = store.SettingInStep(run.workflow_id, here.step.step_id, run.owner, key, text, name)
        await node.write(io, store.SET_EVENT_IN_STEP, setting, store.judge_setting_in_step)
        node.signals.tell([store.event_key(run.workflow_id, key)])
        return
    step_id = run.draw()
    if replayed(run, step_id, SET_EVENT) is not None:
        return
    await confirm(node, io, run)
    started_at_ms = node.clock.now_ms()
    text = node.codec.dumps(value, name)
    await act(
        node,
        io,
        run,
        step_id,
        SET_EVENT,
        started_at_ms,
        store.SET_EVENT,
        judge_step,
        event_key=key,
        value=text,
        value_serialization=name,
    )
    # Of values set at once the last one stays: whoever waits is given ours only if nothing began after it.
    is_last = run.next_step_id == step_id + 1
    node.signals.tell([store.event_key(run.workflow_id, key)], store.Event(key, text, name) if is_last else None)


@traced("get_event")
async def get_event(
    node: Node, io: Io, workflow_id: str, key: str, timeout_seconds: float = 60, *, shard_key: str | None = None
) -> Any:
    """Return the current value of a workflow's event; wait up to `timeout_seconds` until it is set, then return None.

    The workflow may run anywhere, have ended, or not exist yet.

        DBOS.get_event("order-17", "progress", timeout_seconds=5)
    """
    check_shard_key(shard_key)
    awaited = store.event_key(workflow_id, key)

    async def attempt() -> store.Event | None:
        return await io.query(node.database.read, lambda session: store.event(session, workflow_id, key))

    run = workflow_run()
    if run is None or not isinstance(node, Runtime):
        found = await Patience(node, io, timeout_seconds).wait(awaited, attempt)
        return None if found is None else node.codec.loads(found.value, found.serialization)
    step_id = run.draw(2)
    recorded = replayed(run, step_id, GET_EVENT)
    if recorded is not None:
        return recorded_value(node, recorded)
    patience = Patience(node, io, timeout_seconds, run, step_id + 1)
    await confirm(node, io, run)
    started_at_ms = node.clock.now_ms()
    found = await patience.wait(awaited, attempt)
    name = node.codec.name_for(None) if found is None else found.serialization
    text = node.codec.dumps(None, name) if found is None else found.value
    value = node.codec.loads(text, name)
    await act(
        node,
        io,
        run,
        step_id,
        GET_EVENT,
        started_at_ms,
        TIMED_STEP,
        judge_step,
        output=text,
        serialization=name,
        deadline=patience.unregistered,
    )
    return value


async def get_all_events(node: Node, io: Io, workflow_id: str, *, shard_key: str | None = None) -> dict[str, Any]:
    """Return the current value of every event of a workflow, by key; {} if there are none.

    Raises what decoding one of them raises.

        DBOS.get_all_events("order-17")
    """
    check_shard_key(shard_key)

    async def work() -> dict[str, Any]:
        found = await io.query(node.database.read, lambda session: store.events_of(session, workflow_id))
        return {event.key: node.codec.loads(event.value, event.serialization) for event in found}

    return await operation(node, io, "DBOS.get_events", work)
