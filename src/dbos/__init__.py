"""Durable execution for Python: workflows that survive crashes, on SQLite or Postgres, without a server.

An independent implementation of DBOS's public API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import error
from ._dbos import DBOS
from ._debouncer import Debouncer, DebouncerClient
from ._decorators import DBOSConfiguredInstance
from ._engine.handles import WorkflowHandle, WorkflowHandleAsync
from ._engine.options import (
    DBOSContextEnsure,
    DBOSContextSetAuth,
    SetEnqueueOptions,
    SetShardKey,
    SetWorkflowAttributes,
    SetWorkflowID,
    SetWorkflowTimeout,
)
from ._error import PortableWorkflowError
from ._migrations import run_dbos_database_migrations
from ._model.config import DBOSConfig
from ._model.records import (
    ClientScheduleInput,
    DuplicationPolicy,
    EnqueueOptions,
    ExecutorInfo,
    KafkaMessage,
    QueueRateLimit,
    ScheduleInput,
    SendMessage,
    StepInfo,
    StepOptions,
    StrandedVersion,
    VersionInfo,
    WorkflowIDReusePolicy,
    WorkflowSchedule,
    WorkflowStatus,
)
from ._model.serialize import DBOSPortableJSONSerializer, Serializer, WorkflowSerializationFormat
from ._model.status import WorkflowStatusString
from ._model.validate import make_pydantic_args_validator, pydantic_args_validator
from ._model.version import VERSION
from ._ops.steps import StepReservation
from ._queue import Queue

if TYPE_CHECKING:
    from ._client import DBOSClient
    from .integrations.async_datasource import AsyncSQLAlchemyDatasource
    from .integrations.datasource import SQLAlchemyDatasource
    from .integrations.propagation import PropagateOtelContext

__version__ = VERSION

# What needs a heavy package, or what an application seldom needs, is imported when it is first asked for.
_ON_FIRST_USE = {
    "AsyncSQLAlchemyDatasource": "integrations.async_datasource",
    "DBOSClient": "_client",
    "PropagateOtelContext": "integrations.propagation",
    "SQLAlchemyDatasource": "integrations.datasource",
}


def __getattr__(name: str) -> Any:
    """Import such a public name on its first use."""
    module = _ON_FIRST_USE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".{module}", __name__), name)
    return value


__all__ = [
    "AsyncSQLAlchemyDatasource",
    "ClientScheduleInput",
    "DBOS",
    "DBOSClient",
    "DBOSConfig",
    "DBOSConfiguredInstance",
    "DBOSContextEnsure",
    "DBOSContextSetAuth",
    "DBOSPortableJSONSerializer",
    "Debouncer",
    "DebouncerClient",
    "DuplicationPolicy",
    "EnqueueOptions",
    "ExecutorInfo",
    "KafkaMessage",
    "PortableWorkflowError",
    "PropagateOtelContext",
    "Queue",
    "QueueRateLimit",
    "SQLAlchemyDatasource",
    "ScheduleInput",
    "SendMessage",
    "Serializer",
    "SetEnqueueOptions",
    "SetShardKey",
    "SetWorkflowAttributes",
    "SetWorkflowID",
    "SetWorkflowTimeout",
    "StepInfo",
    "StepOptions",
    "StepReservation",
    "StrandedVersion",
    "VersionInfo",
    "WorkflowHandle",
    "WorkflowHandleAsync",
    "WorkflowIDReusePolicy",
    "WorkflowSchedule",
    "WorkflowSerializationFormat",
    "WorkflowStatus",
    "WorkflowStatusString",
    "error",
    "make_pydantic_args_validator",
    "pydantic_args_validator",
    "run_dbos_database_migrations",
]
