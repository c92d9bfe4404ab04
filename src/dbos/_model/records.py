"""The values users receive and give: statuses, steps, versions, schedules, options.

Their annotations are real types, not text, so that `typing.get_type_hints` works on what is published as `dbos.X`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from .serialize import WorkflowInputs, WorkflowSerializationFormat

DuplicationPolicy = Literal["reject", "return-existing"]
WorkflowIDReusePolicy = Literal["return-existing", "reject"]


@dataclass(kw_only=True, eq=False)
class WorkflowStatus:
    """How a workflow stands. Times are epoch milliseconds.

    An input, output or error that cannot be deserialized is its stored text.
    """

    workflow_id: str
    status: str
    name: str
    class_name: str | None = None
    config_name: str | None = None
    authenticated_user: str | None = None
    assumed_role: str | None = None
    authenticated_roles: list[str] | None = None
    input: WorkflowInputs | None = None
    output: Any = None
    error: Exception | None = None
    created_at: int | None = None
    updated_at: int | None = None
    queue_name: str | None = None
    executor_id: str | None = None
    app_version: str | None = None
    workflow_timeout_ms: int | None = None
    workflow_deadline_epoch_ms: int | None = None
    deduplication_id: str | None = None
    priority: int | None = None
    queue_partition_key: str | None = None
    forked_from: str | None = None
    was_forked_from: bool = False
    parent_workflow_id: str | None = None
    dequeued_at: int | None = None
    delay_until_epoch_ms: int | None = None
    completed_at: int | None = None
    attributes: dict[str, Any] | None = None
    schedule_name: str | None = None
    application_name: str | None = None
    shard_key: str | None = None
    parent_shard_key: str | None = None
    app_id: str | None = None
    recovery_attempts: int | None = None

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "WorkflowStatus":
        """Return one of all its fields, by name, whose dict becomes its own."""
        status = cls.__new__(cls)
        status.__dict__ = fields
        return status


class StepInfo(TypedDict):
    """What a step recorded. Times are epoch milliseconds."""

    function_id: int
    function_name: str
    output: Any
    error: Exception | None
    child_workflow_id: str | None
    child_shard_key: str | None
    started_at_epoch_ms: int | None
    completed_at_epoch_ms: int | None


class VersionInfo(TypedDict):
    """A registered application version. Times are epoch milliseconds."""

    version_id: str
    version_name: str
    version_timestamp: int
    created_at: int
    application_name: str | None


@dataclass(frozen=True, kw_only=True)
class ExecutorInfo:
    """A process that holds a lease, or held one that still has unfinished workflows. Times are epoch milliseconds."""

    executor_id: str
    incarnation: str
    """The random name of this life of the process: ownership tokens of what it runs begin with it."""
    application_name: str | None
    application_version: str
    host: str
    pid: int
    started_at: int
    heartbeat_at: int
    lease_expires_at: int
    is_alive: bool
    """Whether its lease had not run out when it was read."""
    is_draining: bool
    """Whether it is shutting down: it claims nothing new."""
    running_workflows: int
    """How many workflows are under way there."""


@dataclass(frozen=True, kw_only=True)
class StrandedVersion:
    """An application version with workflows that wait, and no live process that can run them. Times are epoch ms."""

    application_version: str
    workflows: int
    oldest_created_at: int


class WorkflowSchedule(TypedDict):
    """A schedule as it is stored."""

    schedule_id: str
    schedule_name: str
    workflow_name: str
    workflow_class_name: str | None
    schedule: str
    status: str
    context: Any
    last_fired_at: str | None
    automatic_backfill: bool
    cron_timezone: str | None
    queue_name: str | None
    application_name: str | None
    shard_key: str | None


class _ScheduleOptions(TypedDict, total=False):
    schedule_name: str
    schedule: str
    context: Any
    automatic_backfill: bool
    cron_timezone: str | None
    queue_name: str | None
    shard_key: str | None


class ScheduleInput(_ScheduleOptions, total=False):
    """An entry of `DBOS.apply_schedules`: `schedule_name`, `workflow_fn` and `schedule` are required."""

    workflow_fn: Callable[..., Any]


class ClientScheduleInput(_ScheduleOptions, total=False):
    """An entry of `DBOSClient.apply_schedules`: `schedule_name`, `workflow_name` and `schedule` are required."""

    workflow_name: str
    workflow_class_name: str | None
    application_name: str | None


class QueueRateLimit(TypedDict):
    """At most `limit` workflows start in any `period` seconds."""

    limit: int
    period: float


class _EnqueueTarget(TypedDict):
    workflow_name: str
    queue_name: str


class EnqueueOptions(_EnqueueTarget, total=False):
    """What to enqueue by name, and how. Times are seconds; a value of None counts as absent."""

    workflow_id: str | None
    workflow_id_reuse_policy: WorkflowIDReusePolicy | None
    app_version: str | None
    workflow_timeout: float | None
    delay_seconds: float | None
    deduplication_id: str | None
    duplication_policy: DuplicationPolicy | None
    priority: int | None
    queue_partition_key: str | None
    authenticated_user: str | None
    authenticated_roles: list[str] | None
    serialization_type: WorkflowSerializationFormat | None
    class_name: str | None
    instance_name: str | None
    attributes: dict[str, Any] | None
    application_name: str | None
    max_recovery_attempts: int | None
    otel_context: Any  # an OpenTelemetry `Context`, which need not be installed
    shard_key: str | None


class StepOptions(TypedDict, total=False):
    """How `DBOS.run_step` runs a function; the parameters of `@DBOS.step`."""

    name: str | None
    retries_allowed: bool
    interval_seconds: float
    max_attempts: int
    backoff_rate: float
    should_retry: Callable[[BaseException], bool | Awaitable[bool]] | None
    preemptible: bool
    timeout_seconds: float | None


@dataclass
class SendMessage:
    """One of the messages that `DBOS.send_bulk` sends."""

    destination_id: str
    message: Any
    topic: str | None = None
    idempotency_key: str | None = None
    shard_key: str | None = None


for _class in (
    WorkflowStatus,
    StepInfo,
    VersionInfo,
    ExecutorInfo,
    StrandedVersion,
    WorkflowSchedule,
    ScheduleInput,
    ClientScheduleInput,
    QueueRateLimit,
    StepOptions,
    EnqueueOptions,
    SendMessage,
):
    _class.__module__ = "dbos"


@dataclass
class KafkaMessage:
    """A message as a workflow of `@DBOS.kafka_consumer` gets it."""

    headers: list[tuple[str, str | bytes]] | None
    key: str | bytes | None
    latency: float | None
    leader_epoch: int | None
    offset: int | None
    partition: int | None
    timestamp: tuple[int, int]
    topic: str | None
    value: str | bytes | None


# Stored inputs name it by the path that other versions of this library know.
KafkaMessage.__module__ = "dbos"
