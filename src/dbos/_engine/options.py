"""The `with` blocks users write around starts: id, timeout, attributes, queue options, shard key, authentication.

Each validates in its constructor (CTX-4). Leaves what a start does with them to `workflow.py`.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from typing import Any

from .._error import DBOSException, by_rule
from .._store.sql import refuse_unstorable
from .context import Auth, Block, Context, EnqueueDefaults, NextId, require, with_options
from .runtime import installed

PRIORITIES = range(1, 2**31)


class SetWorkflowID(Block):
    """Give the first workflow started, called or enqueued in the block this id.

    Starting an id that exists never runs the workflow again: the start attaches to it. With
    `workflow_id_reuse_policy="reject"` it raises `DBOSWorkflowIDInUseError` instead.

    Raises `DBOSException` for a blank id or an unknown policy.

        with SetWorkflowID("order-17"):
            checkout(order)
    """

    def __init__(self, wfid: str, *, workflow_id_reuse_policy: str | None = None) -> None:
        super().__init__()
        if not isinstance(wfid, str) or not wfid.strip():
            raise DBOSException(f"Invalid workflow ID {wfid!r}: it must be a non-blank string")
        if "\0" in wfid:
            raise DBOSException(f"Invalid workflow ID {wfid!r}: it must not contain NUL characters")
        check_reuse_policy(workflow_id_reuse_policy)
        self._workflow_id = wfid
        self._reuse_policy = workflow_id_reuse_policy

    def _changed(self, context: Context) -> Context:
        return with_options(context, next_id=NextId(self._workflow_id, self._reuse_policy))


def check_reuse_policy(policy: object) -> None:
    """Refuse an unknown `workflow_id_reuse_policy` (EX-16)."""
    if policy not in (None, "return-existing", "reject"):
        raise DBOSException(
            f"Invalid workflow_id_reuse_policy {policy!r}: it must be 'return-existing', 'reject' or None"
        )


class SetWorkflowTimeout(Block):
    """Give every workflow started, called or enqueued in the block this long, in seconds, from start to end.

    A workflow that takes longer is cancelled. A queued one's time begins when it is dequeued. `None` and 0 start
    workflows without a timeout, and children without their parent's deadline.

        with SetWorkflowTimeout(30):
            DBOS.start_workflow(report)
    """

    def __init__(self, workflow_timeout_sec: float | None) -> None:
        super().__init__()
        if workflow_timeout_sec is not None and not workflow_timeout_sec >= 0:
            raise Exception(f"Invalid workflow timeout {workflow_timeout_sec}. Timeouts must be positive.")
        if workflow_timeout_sec is not None and math.isinf(workflow_timeout_sec):
            workflow_timeout_sec = None
        self._timeout_ms = None if workflow_timeout_sec is None else int(workflow_timeout_sec * 1000) or None

    def _changed(self, context: Context) -> Context:
        return with_options(context, timeout_set=True, timeout_ms=self._timeout_ms)


def fork_timeout_ms(timeout_sec: float | None) -> int | None:
    """Return a fork's timeout as it is stored; one that is not positive is refused (MGT-27)."""
    if timeout_sec is None:
        return None
    if not timeout_sec > 0:
        raise Exception(f"Invalid workflow timeout {timeout_sec}. Timeouts must be positive.")
    return None if math.isinf(timeout_sec) else max(1, int(timeout_sec * 1000))


def attributes_json(attributes: dict[str, Any] | None) -> str | None:
    """Return attributes as they are stored; `DBOSException` for what is no JSON object (CTX-25, INS-31)."""
    if attributes is None:
        return None
    if not isinstance(attributes, dict):
        raise DBOSException(f"Workflow attributes must be a dict, not {type(attributes).__name__}")
    try:
        text = json.dumps(attributes, allow_nan=False, ensure_ascii=False)
        refuse_unstorable(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise DBOSException(f"Workflow attributes must be JSON-serializable: {error}") from error
    return json.dumps(attributes)


class SetWorkflowAttributes(Block):
    """Attach these attributes to every workflow created in the block; an inner block replaces an outer one's.

    Raises `DBOSException` when they are not a dict or not JSON-serializable.

        with SetWorkflowAttributes({"customer": "acme"}):
            DBOS.start_workflow(report)
    """

    def __init__(self, attributes: dict[str, Any] | None) -> None:
        super().__init__()
        attributes_json(attributes)
        self._attributes = attributes

    def _changed(self, context: Context) -> Context:
        copied = None if self._attributes is None else json.loads(json.dumps(self._attributes))
        return with_options(context, attributes=copied)


class SetEnqueueOptions(Block):
    """Say how workflows enqueued in the block are queued; an inner block replaces all of an outer one's options.

    `priority` runs from 1 (first) to 2147483647; `delay_seconds` counts from the construction of the block.

    Raises `DBOSException` for an invalid priority or delay.

        with SetEnqueueOptions(deduplication_id="nightly", priority=5):
            DBOS.enqueue_workflow("reports", report)
    """

    def __init__(
        self,
        *,
        deduplication_id: str | None = None,
        priority: int | None = None,
        app_version: str | None = None,
        queue_partition_key: str | None = None,
        delay_seconds: float | None = None,
        duplication_policy: str | None = None,
    ) -> None:
        super().__init__()
        if priority is not None and priority not in PRIORITIES:
            message = f"Invalid priority {priority}. Priority must be between 1~{PRIORITIES[-1]}."
            raise DBOSException(by_rule("queue-priority", message))
        if delay_seconds is not None and not math.isfinite(delay_seconds):
            raise DBOSException(f"Invalid delay_seconds {delay_seconds}: it must be a finite number")
        delay_until_ms = None if delay_seconds is None else int((time.time() + delay_seconds) * 1000)
        self._defaults = EnqueueDefaults(
            deduplication_id, priority, app_version, queue_partition_key, delay_until_ms, duplication_policy
        )

    def _changed(self, context: Context) -> Context:
        return with_options(context, enqueue=self._defaults)


def check_not_queued(options: EnqueueDefaults | None) -> None:
    """Refuse options that only a queue can honour when a workflow is started directly (CTX-30)."""
    if options is None:
        return
    given = {
        "deduplication_id": options.deduplication_id,
        "priority": options.priority,
        "queue_partition_key": options.queue_partition_key,
        "delay_seconds": options.delay_until_ms,
    }
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise DBOSException(
            f"The workflow is not being enqueued, so {', '.join(names)} cannot be honoured: enqueue it instead"
        )
    check_duplication_policy(options, queued=False)


def check_duplication_policy(options: EnqueueDefaults, *, queued: bool) -> None:
    """Refuse an unknown or unusable `duplication_policy` before anything is written (CTX-30)."""
    policy = options.duplication_policy
    if policy not in (None, "reject", "return-existing"):
        raise DBOSException(f"Invalid duplication_policy {policy!r}: it must be 'reject' or 'return-existing'")
    if policy == "return-existing" and not queued:
        raise DBOSException("duplication_policy='return-existing' requires a queue")
    if policy == "return-existing" and options.deduplication_id is None:
        raise DBOSException("duplication_policy='return-existing' requires a deduplication_id")


class SetShardKey(Block):
    """Name the shard of workflows started in the block. This system database is not sharded: starting one raises.

    with SetShardKey("eu-1"): ...
    """

    def __init__(self, shard_key: str) -> None:
        super().__init__()
        if not shard_key:
            raise ValueError("The shard key must not be empty")
        self._shard_key = shard_key

    def _changed(self, context: Context) -> Context:
        return with_options(context, shard_key=self._shard_key)


def check_shard_key(shard_key: object) -> None:
    """Refuse a shard key: this system database is not sharded (CTX-40, COM-23)."""
    if shard_key is None:
        return
    if not isinstance(shard_key, str) or not shard_key:
        raise DBOSException(f"Invalid shard key {shard_key!r}: it must be a non-empty string")
    raise DBOSException("A shard key was given, but this system database is not sharded")


def authenticated(auth: Auth) -> None:
    """Say on the span under way who acts from now on (ATH-15)."""
    node = installed()
    if node is not None and node.tracer is not None:
        node.tracer.authenticated(auth)


class DBOSContextEnsure(Block):
    """Guarantee a DBOS context for the block; what did not exist before is removed after.

    with DBOSContextEnsure():
        DBOS.set_authentication("alice", ["user"])
    """

    def _changed(self, context: Context) -> Context:
        # A context that is there already stays the very same, so that changes made in the block outlive it.
        return context

    def __enter__(self) -> Context:
        """Return the context of the block."""
        super().__enter__()
        return require("the block")


class DBOSContextSetAuth(Block):
    """Act as this user with these roles in the block.

    with DBOSContextSetAuth("alice", ["admin"]):
        close_account(17)
    """

    def __init__(self, user: str | None, roles: list[str] | None) -> None:
        super().__init__()
        self._user = user
        self._roles = roles

    def _changed(self, context: Context) -> Context:
        auth = Auth(self._user, self._roles)
        authenticated(auth)
        return replace(context, auth=auth)

    def __enter__(self) -> Context:
        """Return the context of the block."""
        super().__enter__()
        return require("the block")
