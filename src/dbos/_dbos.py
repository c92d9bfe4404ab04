"""`DBOS`: configures, launches and destroys the runtime, and lists the operations, two lines each."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from . import _decorators as decorators
from . import _lifecycle as lifecycle
from ._engine import color
from ._engine.context import (
    StepStatus,
    application_session,
    current,
    require,
    running_workflow_id,
)
from ._engine.options import authenticated
from ._engine.runtime import Runtime, installed
from ._model.logs import logger as dbos_logger
from ._ops import (
    attributes,
    deletion,
    enqueue,
    events,
    executors,
    forking,
    messages,
    metrics,
    patches,
    queues,
    retention,
    schedules,
    search,
    steps,
    streams,
    timers,
    transfer,
    versions,
    waiting,
    workflows,
)

T = TypeVar("T")

decorators.not_running[0] = lifecycle.too_early


def _node() -> Runtime:
    """Return the launched runtime, or say what is missing (LIF-5, LIF-6)."""
    node = installed()
    if node is None:
        raise lifecycle.too_early()
    return node


def verb(op: Any, twin: str = "", *, check: bool = True) -> Any:
    """Publish an operation as a static method."""
    return staticmethod(color.verb(_node, op, twin=twin, check=check))


def verb_async(op: Any) -> Any:
    """Publish an operation's coroutine form as a static method."""
    return staticmethod(color.verb_async(_node, op))


class Variable(Generic[T]):
    """A value read through the class as well as through the instance."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self.__doc__ = read.__doc__

    def __get__(self, instance: object, owner: type | None = None) -> T:
        """Read the value."""
        return self._read()


def _workflow_id() -> str | None:
    """The id of the running workflow, also inside its steps; None outside workflows."""
    return running_workflow_id()


def _step_id() -> int | None:
    """The id of the running step; None outside steps."""
    here = current()
    return here.step.step_id if here is not None and here.step is not None else None


def _step_status() -> StepStatus | None:
    """The running step's id and, if it is retried, its current attempt (from 0) and maximum; None outside steps."""
    here = current()
    return here.step if here is not None else None


def _shard_key() -> str | None:
    """Always None: this system database is not sharded."""
    return None


def _sql_session() -> Any:
    """The SQLAlchemy `Session` of the running `@DBOS.transaction`; AssertionError elsewhere."""
    session = application_session.get()
    assert session is not None, "sql_session is available only inside functions decorated with @DBOS.transaction()"
    return session


def _authenticated_user() -> str | None:
    """The authenticated user; AssertionError where there is no DBOS context."""
    return require("authenticated_user").auth.user


def _authenticated_roles() -> list[str] | None:
    """The authenticated roles; AssertionError where there is no DBOS context."""
    return require("authenticated_roles").auth.roles


def _assumed_role() -> str | None:
    """The required role the running function was given; AssertionError where there is no DBOS context."""
    return require("assumed_role").auth.assumed_role


def _application_version() -> str:
    """The application version: configured, from the environment, or computed at launch ("" before)."""
    return lifecycle.application_version()


def _executor_id() -> str:
    """The executor id: configured, from the environment, or "local"."""
    return lifecycle.executor_id()


def _span() -> Any:
    """The active OpenTelemetry span, ours or not; None if there is none. AssertionError without a DBOS context."""
    require("span")
    opentelemetry = sys.modules.get("opentelemetry.trace")  # whoever has a span has imported it (OTEL-16)
    span = None if opentelemetry is None else opentelemetry.get_current_span()
    return span if span is not None and span.get_span_context().is_valid else None


def _tracer() -> Any:
    """What begins and ends spans of the user's own: `start_span`, `end_span`, `get_current_span`, `set_provider`."""
    from .integrations.tracer import DBOSTracer

    return DBOSTracer(lambda: cast(Any, lifecycle.tracer()))


def _logger() -> logging.Logger:
    """The `dbos` logger of the standard library."""
    return dbos_logger


class DBOS:
    """Durable execution in a library: workflows that survive crashes, their steps run once.

    Construct it once with a configuration, decorate functions, launch, call:

        DBOS(config={"name": "shop"})

        @DBOS.workflow()
        def checkout(order: str) -> str:
            return charge(order)

        DBOS.launch()
        checkout("book")

    A second construction returns the same object and ignores its arguments, until `DBOS.destroy()`.
    """

    def __new__(cls, *, config: Mapping[str, Any], **ignored: Any) -> DBOS:
        """Return the one instance, creating it if there is none."""
        return lifecycle.instance(cls, config, ignored)

    def __init__(
        self,
        *,
        config: Mapping[str, Any],
        fastapi: Any = None,
        flask: Any = None,
        conductor_url: str | None = None,
        conductor_key: str | None = None,
    ) -> None:
        """Configure DBOS with a `DBOSConfig`.

        With `fastapi` it is launched and destroyed with that app's server, and each request has a DBOS context; with
        `flask` each request has. `conductor_url` and `conductor_key` are accepted and have no effect.

        Raises `DBOSInitializationError` naming the key that is wrong, and then leaves no instance behind.
        """

    # --- decorators
    workflow = staticmethod(decorators.workflow)
    step = staticmethod(decorators.step)
    transaction = staticmethod(decorators.transaction)
    scheduled = staticmethod(decorators.scheduled)
    kafka_consumer = staticmethod(decorators.kafka_consumer)
    dbos_class = staticmethod(decorators.dbos_class)
    required_roles = staticmethod(decorators.required_roles)
    default_required_roles = staticmethod(decorators.default_required_roles)

    # --- life
    launch = staticmethod(lifecycle.launch)
    destroy = staticmethod(lifecycle.destroy)
    listen_queues = staticmethod(lifecycle.listen_queues)
    alert_handler = staticmethod(lifecycle.alert_handler)
    register_instance = staticmethod(lifecycle.register_instance)
    reset_system_database = staticmethod(lifecycle.reset_system_database)
    migrate = staticmethod(lifecycle.migrate)

    # --- workflows
    start_workflow = verb(workflows.start_workflow, check=False)
    start_workflow_async = verb_async(workflows.start_workflow)
    enqueue_workflow = verb(enqueue.enqueue_workflow, check=False)
    enqueue_workflow_async = verb_async(enqueue.enqueue_workflow)
    enqueue_workflow_with_options = verb(enqueue.enqueue_workflow_with_options, check=False)
    enqueue_workflow_with_options_async = verb_async(enqueue.enqueue_workflow_with_options)
    enqueue_workflows = verb(enqueue.enqueue_workflows, check=False)
    enqueue_workflows_async = verb_async(enqueue.enqueue_workflows)
    retrieve_workflow = verb(workflows.retrieve_workflow)
    retrieve_workflow_async = verb_async(workflows.retrieve_workflow)
    get_result = verb(workflows.get_result)
    get_result_async = verb_async(workflows.get_result)
    get_workflow_status = verb(workflows.get_workflow_status)
    get_workflow_status_async = verb_async(workflows.get_workflow_status)
    list_workflows = verb(search.list_workflows)
    list_workflows_async = verb_async(search.list_workflows)
    list_queued_workflows = verb(search.list_queued_workflows)
    list_queued_workflows_async = verb_async(search.list_queued_workflows)
    list_workflow_steps = verb(workflows.list_workflow_steps)
    list_workflow_steps_async = verb_async(workflows.list_workflow_steps)
    wait_first = verb(workflows.wait_first)
    wait_first_async = verb_async(workflows.wait_first)
    cancel_workflow = verb(workflows.cancel_workflow, "cancel_workflows_async")
    cancel_workflow_async = verb_async(workflows.cancel_workflow)
    cancel_workflows = verb(workflows.cancel_workflows)
    cancel_workflows_async = verb_async(workflows.cancel_workflows)
    resume_workflow = verb(workflows.resume_workflow)
    resume_workflow_async = verb_async(workflows.resume_workflow)
    resume_workflows = verb(workflows.resume_workflows)
    resume_workflows_async = verb_async(workflows.resume_workflows)
    update_workflow_attributes = verb(attributes.update_workflow_attributes)
    update_workflow_attributes_async = verb_async(attributes.update_workflow_attributes)
    delete_workflow = verb(deletion.delete_workflow, "delete_workflows_async")
    delete_workflow_async = verb_async(deletion.delete_workflow)
    delete_workflows = verb(deletion.delete_workflows)
    delete_workflows_async = verb_async(deletion.delete_workflows)
    fork_workflow = verb(forking.fork_workflow)
    fork_workflow_async = verb_async(forking.fork_workflow)
    fork_from_failure = verb(forking.fork_from_failure)
    fork_from_failure_async = verb_async(forking.fork_from_failure)
    rewind_workflow = verb(forking.rewind_workflow)
    rewind_workflow_async = verb_async(forking.rewind_workflow)
    export_workflow = verb(transfer.export_workflow)
    export_workflow_async = verb_async(transfer.export_workflow)
    import_workflow = verb(transfer.import_workflow)
    import_workflow_async = verb_async(transfer.import_workflow)
    garbage_collect = verb(retention.garbage_collect)
    garbage_collect_async = verb_async(retention.garbage_collect)
    global_timeout = verb(retention.global_timeout)
    global_timeout_async = verb_async(retention.global_timeout)

    # --- counting
    get_workflow_aggregates = verb(metrics.get_workflow_aggregates)
    get_workflow_aggregates_async = verb_async(metrics.get_workflow_aggregates)
    get_step_aggregates = verb(metrics.get_step_aggregates)
    get_step_aggregates_async = verb_async(metrics.get_step_aggregates)
    get_metrics = verb(metrics.get_metrics)
    get_metrics_async = verb_async(metrics.get_metrics)

    # --- versions and patches
    list_application_versions = verb(versions.list_application_versions, check=False)
    list_application_versions_async = verb_async(versions.list_application_versions)
    get_latest_application_version = verb(versions.get_latest_application_version, check=False)
    get_latest_application_version_async = verb_async(versions.get_latest_application_version)
    set_latest_application_version = verb(versions.set_latest_application_version, check=False)
    set_latest_application_version_async = verb_async(versions.set_latest_application_version)
    patch = verb(patches.patch)
    patch_async = verb_async(patches.patch)
    deprecate_patch = verb(patches.deprecate_patch)
    deprecate_patch_async = verb_async(patches.deprecate_patch)

    # --- queues
    register_queue = verb(queues.register_queue)
    register_queue_async = verb_async(queues.register_queue)
    retrieve_queue = verb(queues.retrieve_queue)
    retrieve_queue_async = verb_async(queues.retrieve_queue)
    list_queues = verb(queues.list_queues)
    list_queues_async = verb_async(queues.list_queues)
    delete_queue = verb(queues.delete_queue)
    delete_queue_async = verb_async(queues.delete_queue)
    set_workflow_delay = verb(queues.set_workflow_delay)
    set_workflow_delay_async = verb_async(queues.set_workflow_delay)

    # --- executors
    list_executors = verb(executors.list_executors)
    list_executors_async = verb_async(executors.list_executors)
    list_stranded_versions = verb(executors.list_stranded_versions)
    list_stranded_versions_async = verb_async(executors.list_stranded_versions)

    # --- messages
    send = verb(messages.send)
    send_async = verb_async(messages.send)
    send_bulk = verb(messages.send_bulk)
    send_bulk_async = verb_async(messages.send_bulk)
    get_all_messages = verb(messages.get_all_messages)
    get_all_messages_async = verb_async(messages.get_all_messages)
    recv = verb(messages.recv)
    recv_async = verb_async(messages.recv)

    # --- events
    set_event = verb(events.set_event)
    set_event_async = verb_async(events.set_event)
    get_event = verb(events.get_event)
    get_event_async = verb_async(events.get_event)
    get_all_events = verb(events.get_all_events)
    get_all_events_async = verb_async(events.get_all_events)

    # --- streams
    write_stream = verb(streams.write_stream)
    write_stream_async = verb_async(streams.write_stream)
    close_stream = verb(streams.close_stream)
    close_stream_async = verb_async(streams.close_stream)
    read_stream = staticmethod(color.verb_yielding(_node, streams.read_stream))
    read_stream_async = staticmethod(color.verb_yielding_async(_node, streams.read_stream))
    read_stream_offset = verb(streams.read_stream_offset)
    read_stream_offset_async = verb_async(streams.read_stream_offset)
    get_all_streams = verb(streams.get_all_streams)
    get_all_streams_async = verb_async(streams.get_all_streams)

    # --- schedules
    create_schedule = verb(schedules.create_schedule, check=False)
    create_schedule_async = verb_async(schedules.create_schedule)
    list_schedules = verb(schedules.list_schedules, check=False)
    list_schedules_async = verb_async(schedules.list_schedules)
    get_schedule = verb(schedules.get_schedule, check=False)
    get_schedule_async = verb_async(schedules.get_schedule)
    delete_schedule = verb(schedules.delete_schedule, check=False)
    delete_schedule_async = verb_async(schedules.delete_schedule)
    apply_schedules = verb(schedules.apply_schedules, check=False)
    apply_schedules_async = verb_async(schedules.apply_schedules)
    pause_schedule = verb(schedules.pause_schedule, check=False)
    pause_schedule_async = verb_async(schedules.pause_schedule)
    resume_schedule = verb(schedules.resume_schedule, check=False)
    resume_schedule_async = verb_async(schedules.resume_schedule)
    backfill_schedule = verb(schedules.backfill_schedule, check=False)
    backfill_schedule_async = verb_async(schedules.backfill_schedule)
    trigger_schedule = verb(schedules.trigger_schedule, check=False)
    trigger_schedule_async = verb_async(schedules.trigger_schedule)
    preview_schedule = verb(schedules.preview_schedule, check=False)
    preview_schedule_async = verb_async(schedules.preview_schedule)

    # --- steps and time
    run_step = verb(steps.run_step)
    run_step_async = verb_async(steps.run_step)
    reserve_step = staticmethod(steps.reserve_step)
    sleep = verb(timers.sleep)
    sleep_async = verb_async(timers.sleep)
    asyncio_wait = verb_async(waiting.asyncio_wait)

    # --- where we are
    workflow_id = Variable(_workflow_id)
    step_id = Variable(_step_id)
    step_status = Variable(_step_status)
    shard_key = Variable(_shard_key)
    sql_session = Variable(_sql_session)
    authenticated_user = Variable(_authenticated_user)
    authenticated_roles = Variable(_authenticated_roles)
    assumed_role = Variable(_assumed_role)
    application_version = Variable(_application_version)
    executor_id = Variable(_executor_id)
    logger = Variable(_logger)
    span = Variable(_span)
    tracer = Variable(_tracer)

    @staticmethod
    def set_authentication(authenticated_user: str | None, authenticated_roles: list[str] | None) -> None:
        """Set the user and roles of the innermost scope: the enclosing `DBOSContextSetAuth` block, else the context.

        AssertionError where there is no DBOS context.

        DBOS.set_authentication("alice", ["user"])
        """
        here = require("set_authentication")
        here.auth.user, here.auth.roles = authenticated_user, authenticated_roles
        authenticated(here.auth)

    # --- what packages built on dbos reach for, and nothing else may (CMP-0)
    @property
    def _config(self) -> dict[str, Any]:
        """The configuration as far as it is asked for: the application's name and its system database."""
        settings = lifecycle.constructed().settings
        return {"name": settings.name, "system_database_url": settings.system_database_url}

    @property
    def _app_db(self) -> Any:
        """The application database, with its `engine`; None when none is configured or before launch."""
        runtime = lifecycle.constructed().runtime
        return None if runtime is None else runtime.application_database

    @property
    def _sys_db(self) -> Any:
        """The system database: see `integrations.system_database`."""
        from .integrations.system_database import SystemDatabase

        application = lifecycle.constructed()
        if SystemDatabase not in application.shared:
            settings = application.settings
            made = SystemDatabase(
                _node,
                settings.system_database_url,
                settings.system_database_engine,
                schema=settings.system_schema,
                pool_size=settings.pool_size,
                client=None,
            )
            application.shared[SystemDatabase] = made
            application.closers.append(made.close)
        return application.shared[SystemDatabase]


def _get_dbos_instance() -> DBOS:
    """Return the one instance; `DBOSException` when there is none (CMP-0)."""
    return cast(DBOS, lifecycle.constructed().facade)
