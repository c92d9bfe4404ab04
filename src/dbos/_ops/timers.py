"""The verbs on time: durable sleep."""

from __future__ import annotations

import logging

from .._engine.color import Io
from .._engine.context import current
from .._engine.runtime import Runtime
from .._engine.step import confirm, record, recorded_value, replayed
from .._engine.tracing import traced
from .._error import DBOSException, by_rule

logger = logging.getLogger("dbos")


@traced("sleep")
async def sleep(node: Runtime, io: Io, seconds: float) -> None:
    """Sleep durably: after a crash, only what is left of the time is slept.

    The wake-up time is recorded before the sleep begins. 0 and less return at once.

    Raises `DBOSException` outside workflows, AssertionError inside a step.

        DBOS.sleep(3600)
    """
    if seconds <= 0:
        return
    here = current()
    message = "sleep() must be called from within a workflow"
    if here is None:
        raise DBOSException(by_rule("workflow-sleep", message))
    assert here.in_workflow_code and here.run is not None, by_rule("step-no-workflow-calls", message)
    run = here.run
    step_id = run.draw()
    logger.debug("Running sleep, id: %d, seconds: %s", step_id, seconds)
    recorded = replayed(run, step_id, "DBOS.sleep")
    if recorded is not None:
        wake_at_sec = float(recorded_value(node, recorded))
    else:
        await confirm(node, io, run)
        started_at_ms = node.clock.now_ms()
        wake_at_sec = node.clock.now_sec() + seconds
        await record(
            node,
            io,
            run,
            step_id,
            "DBOS.sleep",
            started_at_ms,
            output=node.codec.dumps(wake_at_sec, "portable_json"),
            serialization="portable_json",
            completed_at_ms=int(wake_at_sec * 1000),
        )
    await io.sleep(max(0.0, wake_at_sec - node.clock.now_sec()))
