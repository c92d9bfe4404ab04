"""Claims: taking queued rows to run, and never more than a queue's limits allow.

Owns the step from ENQUEUED to PENDING (ST-16) and from DELAYED to ENQUEUED (ST-15). Leaves what limits are to
`_model.queue`, which queue is due to the dispatcher.

A queue whose limits count across processes is claimed by one process at a time: it holds a lock of the queue's name
until commit, and reads what is running only after it has that lock, in a statement of its own. So no two processes
ever spend one budget, whatever rows arrive meanwhile. Other implementations are met by `nowait`, as DQ-63 says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .database import Contended, Row, Session
from .workflows import Scope


@dataclass(frozen=True, slots=True)
class Claimed:
    """Everything needed to run a row that this process has just claimed."""

    workflow_id: str
    owner: str
    name: str
    class_name: str | None
    config_name: str | None
    inputs: str | None
    serialization: str | None
    authenticated_user: str | None
    authenticated_roles: str | None
    attributes: str | None
    recovery_attempts: int
    deadline_ms: int | None
    queue_name: str | None
    parent_id: str | None
    has_history: bool
    partition_key: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Who claims: the rows of which application and version, under which fresh token (RV-40).

    Each row's token is `token` followed by its attempt and id, unique to this claim.
    """

    scope: Scope
    token: str


ELIGIBLE = """x.status = 'ENQUEUED' and (x.application_name = :application or x.application_name is null)
                   and (x.application_version = :version
                        or (x.application_version is null
                            and :version = coalesce((select case when n.application_name is null then n.version_name
                                                                 else n.version_name end
                                                       from newest n), :version)))"""
