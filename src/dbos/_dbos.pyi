"""Type stubs of `DBOS`. Written by `make stubs` from the running class: do not edit."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal, ParamSpec, TypeVar, overload

from dbos._decorators import IsolationLevel
from dbos._engine.context import StepStatus
from dbos._engine.handles import WorkflowHandle, WorkflowHandleAsync
from dbos._lifecycle import AlertHandler
from dbos._model.records import (
    EnqueueOptions,
    ExecutorInfo,
    QueueRateLimit,
    ScheduleInput,
    SendMessage,
    StepInfo,
    StepOptions,
    StrandedVersion,
    VersionInfo,
    WorkflowSchedule,
    WorkflowStatus,
)
from dbos._model.serialize import WorkflowSerializationFormat
from dbos._model.validate import ValidateArgs
from dbos._ops.enqueue import Call
from dbos._ops.queues import Conflict
from dbos._ops.schedules import Filter
from dbos._ops.search import Texts
from dbos._ops.steps import StepReservation

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

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

    @staticmethod
    def workflow(
        *,
        name: str | None = None,
        max_recovery_attempts: int | None = 100,
        serialization_type: WorkflowSerializationFormat | None = None,
        validate_args: ValidateArgs | None = None,
        auto_upgrade: bool | None = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Make a function, plain or async, a workflow: it survives crashes and resumes from its last completed step.

        `name` is what is stored and matched on recovery (default: the qualified name). `max_recovery_attempts` bounds how
        often it is recovered (None: no bound). `validate_args` checks arguments that come from the database. `auto_upgrade`
        says whether unfinished runs of older application versions move to the latest one (None: as configured).

            @DBOS.workflow()
            def checkout(order: Order) -> Receipt:
                return charge(order)
        """

    @staticmethod
    def step(
        *,
        name: str | None = None,
        retries_allowed: bool = False,
        interval_seconds: float = 1.0,
        max_attempts: int = 3,
        backoff_rate: float = 2.0,
        should_retry: Callable[[BaseException], Any] | None = None,
        preemptible: bool = False,
        timeout_seconds: float | None = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Make a function, plain or async, a step: once it has completed in a workflow it is never run again for it.

        With `retries_allowed` it is attempted up to `max_attempts` times, `interval_seconds * backoff_rate ** k` seconds
        apart (at most an hour), while `should_retry(error)`, if given, agrees. Async steps may have `timeout_seconds` and
        may be `preemptible`: cancelled with their workflow while they run. Outside workflows a step is a plain function.

        Raises `DBOSException` for options that an ordinary function cannot have.

            @DBOS.step(retries_allowed=True)
            def charge(order: Order) -> Receipt: ...
        """

    @staticmethod
    def transaction(
        isolation_level: IsolationLevel = "SERIALIZABLE", *, name: str | None = None
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Make a function one exactly-once transaction on the application database, with the session `DBOS.sql_session`.

        Its writes and its checkpoint are one commit. Serialization failures, deadlocks and lost connections run it again.
        Outside workflows it is the single step of a workflow of its own. New code has `SQLAlchemyDatasource`.

        Raises `DBOSException` for a coroutine function; AssertionError, when called, without `application_database_url`.

            @DBOS.transaction("READ COMMITTED")
            def order(item: str) -> None:
                DBOS.sql_session.execute(text("insert into orders (item) values (:item)"), {"item": item})
        """

    @staticmethod
    def scheduled(cron: str) -> Callable[[F], F]:
        """Run a workflow or step at the times of a cron expression, in UTC, once however many processes there are.

        Goes above `@DBOS.workflow()`. The function gets the scheduled time and the time it was enqueued at. What passes
        while no process runs is lost. `DBOS.create_schedule` can more.

        Raises ValueError for an invalid expression, `DBOSWorkflowFunctionNotFoundError` for a function not registered.

            @DBOS.scheduled("0 * * * *")
            @DBOS.workflow()
            def hourly(scheduled: datetime, actual: datetime) -> None: ...
        """

    @staticmethod
    def kafka_consumer(
        config: dict[str, Any],
        topics: list[str],
        in_order: bool = False,
        *,
        ordering: Literal["none", "partition", "topic"] | None = None,
        batch_size: int = 250,
        queue_name: str | None = None,
    ) -> Callable[[F], F]:
        """Start a workflow, or step, for each message of Kafka topics: exactly once, whatever crashes. Goes above
        `@DBOS.workflow()`, whose function gets a `KafkaMessage`.

        `config` is for `confluent_kafka.Consumer`; `topics` may hold `^regular expressions`. Workflows run in parallel, or
        with `ordering` "partition" or "topic" one after another within each. Without ordering they may go on a queue of
        yours. Up to `batch_size` messages are taken at a time. `in_order=True` is the older word for "topic".

        Raises `DBOSException` without confluent-kafka, `DBOSInitializationError` for options that contradict one another.

            @DBOS.kafka_consumer({"bootstrap.servers": "localhost:9092", "group.id": "shop"}, ["orders"])
            @DBOS.workflow()
            def take_order(message: KafkaMessage) -> None: ...
        """

    @staticmethod
    def dbos_class(class_name: str | None = None) -> Callable[[type[T]], type[T]]:
        """Register a class whose methods are workflows, under its qualified name or `class_name`.

        Raises `Exception` when another class has the name.

            @DBOS.dbos_class()
            class Shop(DBOSConfiguredInstance): ...
        """

    @staticmethod
    def required_roles(roles: list[str]) -> Callable[[F], F]:
        """Require one of these roles to run a function; its own list replaces its class's default. An empty one asks
        nothing.

        Raises `DBOSNotAuthorizedError` at the call, or as the outcome of a started workflow.

            @DBOS.required_roles(["admin"])
            @DBOS.workflow()
            def close_account(account_id: int) -> None: ...
        """

    @staticmethod
    def default_required_roles(roles: list[str]) -> Callable[[type[T]], type[T]]:
        """Register a class, and require one of these roles for each of its functions without a list of its own.

        @DBOS.default_required_roles(["user"])
        class Account: ...
        """

    @staticmethod
    def launch() -> None:
        """Connect to the system database, start the background services and recover interrupted workflows.

        Raises `DBOSException` when nothing was constructed, and whatever opening the database raises.

            DBOS(config={"name": "shop"})
            DBOS.launch()
        """

    @staticmethod
    def destroy(*, destroy_registry: bool = False, workflow_completion_timeout_sec: int = 0) -> None:
        """Stop everything; workflows still running stay PENDING and are recovered at the next launch.

        Waits up to `workflow_completion_timeout_sec` seconds for running workflows. With `destroy_registry`, decorated
        functions are forgotten too.

            DBOS.destroy(workflow_completion_timeout_sec=30)
        """

    @staticmethod
    def listen_queues(queues: Sequence[Any]) -> None:
        """Serve only these queues in this process. Call it once, between construction and launch.

        Raises `DBOSException` otherwise.

            DBOS.listen_queues(["reports"])
        """

    @staticmethod
    def alert_handler(func: AlertHandler) -> AlertHandler:
        """Make a function the handler of alerts: it gets a name, a message and metadata. One, before launch.

        Raises `DBOSException` otherwise.

            DBOS(config={"name": "shop"})

            @DBOS.alert_handler
            def on_alert(name: str, message: str, metadata: dict[str, str]) -> None: ...

            DBOS.launch()
        """

    @staticmethod
    def register_instance(instance: object) -> None:
        """Register an object that has a `config_name`, so that its workflows can be recovered.

        Raises `Exception` when another object of the class has the name.

            DBOS.register_instance(shop)
        """

    @staticmethod
    def reset_system_database(
        *, system_database_url: str | None = None, schema: str | None = None, truncate: bool = False
    ) -> None:
        """Drop the system database, or with `truncate` empty its tables. Never call it in production.

        Without arguments it resets the configured database. Raises AssertionError after launch.

            DBOS.reset_system_database()
        """

    @staticmethod
    def migrate(
        system_database_url: str, *, schema: str = "dbos", application_role: str | None = None, sharding: bool = False
    ) -> None:
        """Create or migrate a system database; with `application_role`, also grant that role access. Needs no instance.

        Raises `DBOSException` for a role with SQLite, and the driver's error when the database cannot be reached.

            DBOS.migrate("sqlite:///shop.sqlite")
        """

    @overload
    @staticmethod
    def start_workflow(
        func: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> WorkflowHandle[R]:
        """Start a workflow in the background and return a handle to it.

        A plain function runs on the thread pool, a coroutine function on the event loop. Its row is durable when this
        returns: the workflow will finish even if the process dies. Starting an id that exists returns a handle to that
        workflow.

        Raises `DBOSWorkflowFunctionNotFoundError` for a function that is no workflow or step, `DBOSException` for options
        that need a queue, and whatever serializing the arguments raises.

            handle = DBOS.start_workflow(checkout, order)
            receipt = handle.get_result()
        """

    @overload
    @staticmethod
    def start_workflow(func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> WorkflowHandle[R]:
        """Start a workflow in the background and return a handle to it.

        A plain function runs on the thread pool, a coroutine function on the event loop. Its row is durable when this
        returns: the workflow will finish even if the process dies. Starting an id that exists returns a handle to that
        workflow.

        Raises `DBOSWorkflowFunctionNotFoundError` for a function that is no workflow or step, `DBOSException` for options
        that need a queue, and whatever serializing the arguments raises.

            handle = DBOS.start_workflow(checkout, order)
            receipt = handle.get_result()
        """

    @overload
    @staticmethod
    async def start_workflow_async(
        func: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> WorkflowHandleAsync[R]:
        """Start a workflow in the background and return a handle to it.

        A plain function runs on the thread pool, a coroutine function on the event loop. Its row is durable when this
        returns: the workflow will finish even if the process dies. Starting an id that exists returns a handle to that
        workflow.

        Raises `DBOSWorkflowFunctionNotFoundError` for a function that is no workflow or step, `DBOSException` for options
        that need a queue, and whatever serializing the arguments raises.

            handle = DBOS.start_workflow(checkout, order)
            receipt = handle.get_result()
        """

    @overload
    @staticmethod
    async def start_workflow_async(
        func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> WorkflowHandleAsync[R]:
        """Start a workflow in the background and return a handle to it.

        A plain function runs on the thread pool, a coroutine function on the event loop. Its row is durable when this
        returns: the workflow will finish even if the process dies. Starting an id that exists returns a handle to that
        workflow.

        Raises `DBOSWorkflowFunctionNotFoundError` for a function that is no workflow or step, `DBOSException` for options
        that need a queue, and whatever serializing the arguments raises.

            handle = DBOS.start_workflow(checkout, order)
            receipt = handle.get_result()
        """

    @overload
    @staticmethod
    def enqueue_workflow(
        queue_name: str, func: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> WorkflowHandle[R]:
        """Put a workflow on a queue and return a handle to it. Any process that serves the queue may run it.

        Its row is durable when this returns. `SetEnqueueOptions` says how it is queued. The queue need not exist yet.

        Raises `DBOSWorkflowFunctionNotFoundError` for a function that is no workflow or step, `DBOSQueueDeduplicatedError`
        when its deduplication id is held, and whatever serializing the arguments raises.

            handle = DBOS.enqueue_workflow("reports", build_report, "monthly")
        """

    @overload
    @staticmethod
    def enqueue_workflow(
        queue_name: str, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> WorkflowHandle[R]:
        """Put a workflow on a queue and return a handle to it. Any process that serves the queue may run it.

        Its row is durable when this returns. `SetEnqueueOptions` says how it is queued. The queue need not exist yet.

        Raises `DBOSWorkflowFunctionNotFoundError` for a function that is no workflow or step, `DBOSQueueDeduplicatedError`
        when its deduplication id is held, and whatever serializing the arguments raises.

            handle = DBOS.enqueue_workflow("reports", build_report, "monthly")
        """

    @overload
    @staticmethod
    async def enqueue_workflow_async(
        queue_name: str, func: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> WorkflowHandleAsync[R]:
        """Put a workflow on a queue and return a handle to it. Any process that serves the queue may run it.

        Its row is durable when this returns. `SetEnqueueOptions` says how it is queued. The queue need not exist yet.

        Raises `DBOSWorkflowFunctionNotFoundError` for a function that is no workflow or step, `DBOSQueueDeduplicatedError`
        when its deduplication id is held, and whatever serializing the arguments raises.

            handle = DBOS.enqueue_workflow("reports", build_report, "monthly")
        """

    @overload
    @staticmethod
    async def enqueue_workflow_async(
        queue_name: str, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> WorkflowHandleAsync[R]:
        """Put a workflow on a queue and return a handle to it. Any process that serves the queue may run it.

        Its row is durable when this returns. `SetEnqueueOptions` says how it is queued. The queue need not exist yet.

        Raises `DBOSWorkflowFunctionNotFoundError` for a function that is no workflow or step, `DBOSQueueDeduplicatedError`
        when its deduplication id is held, and whatever serializing the arguments raises.

            handle = DBOS.enqueue_workflow("reports", build_report, "monthly")
        """

    @staticmethod
    def enqueue_workflow_with_options(options: EnqueueOptions, /, *args: Any, **kwargs: Any) -> WorkflowHandle[Any]:
        """Put a workflow on a queue by the names of both, and return a handle to it. Nothing need be registered here.

        What `options` leave unset is taken from the enclosing `with` blocks. Without `app_version`, the processes of the
        application's latest version run it.

        Raises `DBOSException` for invalid options, `DBOSQueueDeduplicatedError` when its deduplication id is held.

            DBOS.enqueue_workflow_with_options({"workflow_name": "build_report", "queue_name": "reports"}, "monthly")
        """

    @staticmethod
    async def enqueue_workflow_with_options_async(
        options: EnqueueOptions, /, *args: Any, **kwargs: Any
    ) -> WorkflowHandleAsync[Any]:
        """Put a workflow on a queue by the names of both, and return a handle to it. Nothing need be registered here.

        What `options` leave unset is taken from the enclosing `with` blocks. Without `app_version`, the processes of the
        application's latest version run it.

        Raises `DBOSException` for invalid options, `DBOSQueueDeduplicatedError` when its deduplication id is held.

            DBOS.enqueue_workflow_with_options({"workflow_name": "build_report", "queue_name": "reports"}, "monthly")
        """

    @staticmethod
    def enqueue_workflows(
        queue_name: str, calls: Sequence[Call], *, options: Mapping[str, Any] | None = None
    ) -> list[WorkflowHandle[Any]]:
        """Put many workflows on a queue at once, and return their handles in order.

        Each call is a function, its arguments and its keyword arguments (both may be left out), and a dict of
        `EnqueueOptions` of its own if need be. `options` are for all of them; the enclosing `with` blocks too. All rows are
        durable when this returns; they run in the order given, by priority.

        When some are refused, the others are enqueued nevertheless, and the first refusal is raised.

            DBOS.enqueue_workflows("mail", [(send_mail, (address,), {"subject": "Hello"}) for address in addresses])
        """

    @staticmethod
    async def enqueue_workflows_async(
        queue_name: str, calls: Sequence[Call], *, options: Mapping[str, Any] | None = None
    ) -> list[WorkflowHandleAsync[Any]]:
        """Put many workflows on a queue at once, and return their handles in order.

        Each call is a function, its arguments and its keyword arguments (both may be left out), and a dict of
        `EnqueueOptions` of its own if need be. `options` are for all of them; the enclosing `with` blocks too. All rows are
        durable when this returns; they run in the order given, by priority.

        When some are refused, the others are enqueued nevertheless, and the first refusal is raised.

            DBOS.enqueue_workflows("mail", [(send_mail, (address,), {"subject": "Hello"}) for address in addresses])
        """

    @staticmethod
    def retrieve_workflow(
        workflow_id: str, existing_workflow: bool = True, *, shard_key: str | None = None
    ) -> WorkflowHandle[Any]:
        """Return a handle to a workflow by its id.

        Raises `DBOSNonExistentWorkflowError` when it has no row, unless `existing_workflow` is False.

            DBOS.retrieve_workflow("order-17").get_result()
        """

    @staticmethod
    async def retrieve_workflow_async(
        workflow_id: str, existing_workflow: bool = True, *, shard_key: str | None = None
    ) -> WorkflowHandleAsync[Any]:
        """Return a handle to a workflow by its id.

        Raises `DBOSNonExistentWorkflowError` when it has no row, unless `existing_workflow` is False.

            DBOS.retrieve_workflow("order-17").get_result()
        """

    @staticmethod
    def get_result(workflow_id: str, *, shard_key: str | None = None) -> Any:
        """Wait for a workflow, which may not exist yet, and return its result or raise its error.

        Raises `DBOSAwaitedWorkflowCancelledError` or `DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded` when it ended so.

            DBOS.get_result("order-17")
        """

    @staticmethod
    async def get_result_async(workflow_id: str, *, shard_key: str | None = None) -> Any:
        """Wait for a workflow, which may not exist yet, and return its result or raise its error.

        Raises `DBOSAwaitedWorkflowCancelledError` or `DBOSAwaitedWorkflowMaxRecoveryAttemptsExceeded` when it ended so.

            DBOS.get_result("order-17")
        """

    @staticmethod
    def get_workflow_status(workflow_id: str, *, shard_key: str | None = None) -> WorkflowStatus | None:
        """Return a workflow's status, with its input and outcome, or None if there is no such workflow.

        DBOS.get_workflow_status("order-17").status
        """

    @staticmethod
    async def get_workflow_status_async(workflow_id: str, *, shard_key: str | None = None) -> WorkflowStatus | None:
        """Return a workflow's status, with its input and outcome, or None if there is no such workflow.

        DBOS.get_workflow_status("order-17").status
        """

    @staticmethod
    def list_workflows(
        *,
        workflow_ids: list[str] | None = None,
        status: str | list[str] | None = None,
        start_time: str | None = None,
        end_time: str | None = None,
        completed_after: str | None = None,
        completed_before: str | None = None,
        dequeued_after: str | None = None,
        dequeued_before: str | None = None,
        name: str | list[str] | None = None,
        app_version: str | list[str] | None = None,
        forked_from: str | list[str] | None = None,
        parent_workflow_id: str | list[str] | None = None,
        user: str | list[str] | None = None,
        queue_name: str | list[str] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        sort_desc: bool = False,
        workflow_id_prefix: str | list[str] | None = None,
        load_input: bool = True,
        load_output: bool = True,
        executor_id: str | list[str] | None = None,
        queues_only: bool = False,
        was_forked_from: bool | None = None,
        is_fork: bool | None = None,
        has_parent: bool | None = None,
        attributes: dict[str, Any] | None = None,
        schedule_name: str | list[str] | None = None,
        application_name: str | list[str] | None = None,
        shard_key: str | list[str] | None = None,
        parent_shard_key: str | list[str] | None = None,
    ) -> list[WorkflowStatus]:
        """List workflows that meet all the given conditions, oldest first.

        Times are ISO 8601 text, local without an offset, inclusive. `limit=0` means no limit. Without `application_name`
        and `workflow_ids`, workflows of this application and unclaimed ones are listed.

        Raises `ValueError` for a malformed time, `DBOSException` for `attributes` on SQLite and for shard keys,
        `DBOSQueryTimeoutError` when Postgres takes longer than `observability_query_timeout_sec`.

            DBOS.list_workflows(status="ERROR", limit=10, sort_desc=True)
        """

    @staticmethod
    async def list_workflows_async(
        *,
        workflow_ids: list[str] | None = None,
        status: str | list[str] | None = None,
        start_time: str | None = None,
        end_time: str | None = None,
        completed_after: str | None = None,
        completed_before: str | None = None,
        dequeued_after: str | None = None,
        dequeued_before: str | None = None,
        name: str | list[str] | None = None,
        app_version: str | list[str] | None = None,
        forked_from: str | list[str] | None = None,
        parent_workflow_id: str | list[str] | None = None,
        user: str | list[str] | None = None,
        queue_name: str | list[str] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        sort_desc: bool = False,
        workflow_id_prefix: str | list[str] | None = None,
        load_input: bool = True,
        load_output: bool = True,
        executor_id: str | list[str] | None = None,
        queues_only: bool = False,
        was_forked_from: bool | None = None,
        is_fork: bool | None = None,
        has_parent: bool | None = None,
        attributes: dict[str, Any] | None = None,
        schedule_name: str | list[str] | None = None,
        application_name: str | list[str] | None = None,
        shard_key: str | list[str] | None = None,
        parent_shard_key: str | list[str] | None = None,
    ) -> list[WorkflowStatus]:
        """List workflows that meet all the given conditions, oldest first.

        Times are ISO 8601 text, local without an offset, inclusive. `limit=0` means no limit. Without `application_name`
        and `workflow_ids`, workflows of this application and unclaimed ones are listed.

        Raises `ValueError` for a malformed time, `DBOSException` for `attributes` on SQLite and for shard keys,
        `DBOSQueryTimeoutError` when Postgres takes longer than `observability_query_timeout_sec`.

            DBOS.list_workflows(status="ERROR", limit=10, sort_desc=True)
        """

    @staticmethod
    def list_queued_workflows(
        *,
        workflow_ids: list[str] | None = None,
        status: str | list[str] | None = None,
        start_time: str | None = None,
        end_time: str | None = None,
        completed_after: str | None = None,
        completed_before: str | None = None,
        dequeued_after: str | None = None,
        dequeued_before: str | None = None,
        name: str | list[str] | None = None,
        app_version: str | list[str] | None = None,
        forked_from: str | list[str] | None = None,
        parent_workflow_id: str | list[str] | None = None,
        user: str | list[str] | None = None,
        queue_name: str | list[str] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        sort_desc: bool = False,
        workflow_id_prefix: str | list[str] | None = None,
        load_input: bool = True,
        load_output: bool = True,
        executor_id: str | list[str] | None = None,
        is_fork: bool | None = None,
        has_parent: bool | None = None,
        attributes: dict[str, Any] | None = None,
        application_name: str | list[str] | None = None,
        shard_key: str | list[str] | None = None,
        parent_shard_key: str | list[str] | None = None,
    ) -> list[WorkflowStatus]:
        """List workflows that are on a queue, waiting, delayed or running, oldest first; else as `list_workflows`.

        An explicit `status` replaces that set.

            DBOS.list_queued_workflows(queue_name="reports", load_input=False)
        """

    @staticmethod
    async def list_queued_workflows_async(
        *,
        workflow_ids: list[str] | None = None,
        status: str | list[str] | None = None,
        start_time: str | None = None,
        end_time: str | None = None,
        completed_after: str | None = None,
        completed_before: str | None = None,
        dequeued_after: str | None = None,
        dequeued_before: str | None = None,
        name: str | list[str] | None = None,
        app_version: str | list[str] | None = None,
        forked_from: str | list[str] | None = None,
        parent_workflow_id: str | list[str] | None = None,
        user: str | list[str] | None = None,
        queue_name: str | list[str] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        sort_desc: bool = False,
        workflow_id_prefix: str | list[str] | None = None,
        load_input: bool = True,
        load_output: bool = True,
        executor_id: str | list[str] | None = None,
        is_fork: bool | None = None,
        has_parent: bool | None = None,
        attributes: dict[str, Any] | None = None,
        application_name: str | list[str] | None = None,
        shard_key: str | list[str] | None = None,
        parent_shard_key: str | list[str] | None = None,
    ) -> list[WorkflowStatus]:
        """List workflows that are on a queue, waiting, delayed or running, oldest first; else as `list_workflows`.

        An explicit `status` replaces that set.

            DBOS.list_queued_workflows(queue_name="reports", load_input=False)
        """

    @staticmethod
    def list_workflow_steps(
        workflow_id: str,
        *,
        load_output: bool = True,
        limit: int | None = None,
        offset: int | None = None,
        shard_key: str | None = None,
    ) -> list[StepInfo]:
        """Return what a workflow's steps recorded, in order; those still running have no record yet.

        [step["function_name"] for step in DBOS.list_workflow_steps("order-17")]
        """

    @staticmethod
    async def list_workflow_steps_async(
        workflow_id: str,
        *,
        load_output: bool = True,
        limit: int | None = None,
        offset: int | None = None,
        shard_key: str | None = None,
    ) -> list[StepInfo]:
        """Return what a workflow's steps recorded, in order; those still running have no record yet.

        [step["function_name"] for step in DBOS.list_workflow_steps("order-17")]
        """

    @staticmethod
    def wait_first(handles: list[WorkflowHandle[Any]], *, polling_interval_sec: float = 1.0) -> WorkflowHandle[Any]:
        """Wait for the first of several workflows to end, however it ends, and return its handle.

        Raises `ValueError` for an empty list or one that names a workflow twice, `DBOSNonExistentWorkflowError` when one is
        deleted meanwhile.

            first = DBOS.wait_first([DBOS.retrieve_workflow(order) for order in ("order-17", "order-18")])
        """

    @staticmethod
    async def wait_first_async(
        handles: list[WorkflowHandleAsync[Any]], *, polling_interval_sec: float = 1.0
    ) -> WorkflowHandleAsync[Any]:
        """Wait for the first of several workflows to end, however it ends, and return its handle.

        Raises `ValueError` for an empty list or one that names a workflow twice, `DBOSNonExistentWorkflowError` when one is
        deleted meanwhile.

            first = DBOS.wait_first([DBOS.retrieve_workflow(order) for order in ("order-17", "order-18")])
        """

    @staticmethod
    def cancel_workflow(workflow_id: str, *, cancel_children: bool = False, shard_key: str | None = None) -> None:
        """Cancel a workflow: it stops at its next operation. One that has succeeded or failed is left alone.

        DBOS.cancel_workflow("order-17", cancel_children=True)
        """

    @staticmethod
    async def cancel_workflow_async(
        workflow_id: str, *, cancel_children: bool = False, shard_key: str | None = None
    ) -> None:
        """Cancel a workflow: it stops at its next operation. One that has succeeded or failed is left alone.

        DBOS.cancel_workflow("order-17", cancel_children=True)
        """

    @staticmethod
    def cancel_workflows(
        workflow_ids: list[str], *, cancel_children: bool = False, shard_key: str | None = None
    ) -> None:
        """Cancel workflows: each stops at its next operation. Those that have succeeded or failed are left alone.

        With `cancel_children`, the workflows they started are cancelled too, and so on down. Unknown ids are ignored.

            DBOS.cancel_workflows(["order-17", "order-18"])
        """

    @staticmethod
    async def cancel_workflows_async(
        workflow_ids: list[str], *, cancel_children: bool = False, shard_key: str | None = None
    ) -> None:
        """Cancel workflows: each stops at its next operation. Those that have succeeded or failed are left alone.

        With `cancel_children`, the workflows they started are cancelled too, and so on down. Unknown ids are ignored.

            DBOS.cancel_workflows(["order-17", "order-18"])
        """

    @staticmethod
    def resume_workflow(
        workflow_id: str, *, queue_name: str | None = None, shard_key: str | None = None
    ) -> WorkflowHandle[Any]:
        """Put a workflow back to work from its last completed step, and return its handle.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow.

            DBOS.resume_workflow("order-17").get_result()
        """

    @staticmethod
    async def resume_workflow_async(
        workflow_id: str, *, queue_name: str | None = None, shard_key: str | None = None
    ) -> WorkflowHandleAsync[Any]:
        """Put a workflow back to work from its last completed step, and return its handle.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow.

            DBOS.resume_workflow("order-17").get_result()
        """

    @staticmethod
    def resume_workflows(
        workflow_ids: list[str], *, queue_name: str | None = None, shard_key: str | None = None
    ) -> list[WorkflowHandle[Any]]:
        """Put workflows back to work from their last completed step, and return their handles in order.

        They go on `queue_name`, or on the internal queue. Those that have succeeded or failed are left alone.

        Raises `DBOSNonExistentWorkflowError` naming every unknown id; then nothing is resumed.

            DBOS.resume_workflows(["order-17"])
        """

    @staticmethod
    async def resume_workflows_async(
        workflow_ids: list[str], *, queue_name: str | None = None, shard_key: str | None = None
    ) -> list[WorkflowHandleAsync[Any]]:
        """Put workflows back to work from their last completed step, and return their handles in order.

        They go on `queue_name`, or on the internal queue. Those that have succeeded or failed are left alone.

        Raises `DBOSNonExistentWorkflowError` naming every unknown id; then nothing is resumed.

            DBOS.resume_workflows(["order-17"])
        """

    @staticmethod
    def update_workflow_attributes(
        workflow_id: str, attributes: dict[str, Any] | None, *, merge: bool = False, shard_key: str | None = None
    ) -> None:
        """Replace a workflow's attributes, in any status; None clears them. An unknown id is ignored.

        With `merge`, the given top-level keys are added to those it has, over those of the same name, whoever else merges
        at the same time.

        Raises `DBOSException` for attributes that are no dict or not JSON-serializable, and for merging None.

            DBOS.update_workflow_attributes("order-17", {"customer": "alice"}, merge=True)
        """

    @staticmethod
    async def update_workflow_attributes_async(
        workflow_id: str, attributes: dict[str, Any] | None, *, merge: bool = False, shard_key: str | None = None
    ) -> None:
        """Replace a workflow's attributes, in any status; None clears them. An unknown id is ignored.

        With `merge`, the given top-level keys are added to those it has, over those of the same name, whoever else merges
        at the same time.

        Raises `DBOSException` for attributes that are no dict or not JSON-serializable, and for merging None.

            DBOS.update_workflow_attributes("order-17", {"customer": "alice"}, merge=True)
        """

    @staticmethod
    def delete_workflow(workflow_id: str, *, delete_children: bool = False, shard_key: str | None = None) -> None:
        """Delete a workflow, in any status, with its steps, messages, events and streams. This cannot be undone.

        With `delete_children`, the workflows it started are deleted too, and so on down. An unknown id is ignored.

            DBOS.delete_workflow("order-17", delete_children=True)
        """

    @staticmethod
    async def delete_workflow_async(
        workflow_id: str, *, delete_children: bool = False, shard_key: str | None = None
    ) -> None:
        """Delete a workflow, in any status, with its steps, messages, events and streams. This cannot be undone.

        With `delete_children`, the workflows it started are deleted too, and so on down. An unknown id is ignored.

            DBOS.delete_workflow("order-17", delete_children=True)
        """

    @staticmethod
    def delete_workflows(
        workflow_ids: list[str], *, delete_children: bool = False, shard_key: str | None = None
    ) -> None:
        """Delete workflows, in any status, with their steps, messages, events and streams. This cannot be undone.

        With `delete_children`, the workflows they started are deleted too, and so on down. Forks never are. Unknown ids
        are ignored. One that is running fails at its next operation, and whoever waits for it gets
        `DBOSNonExistentWorkflowError`. Its id may be used again.

            DBOS.delete_workflows(["order-17", "order-18"])
        """

    @staticmethod
    async def delete_workflows_async(
        workflow_ids: list[str], *, delete_children: bool = False, shard_key: str | None = None
    ) -> None:
        """Delete workflows, in any status, with their steps, messages, events and streams. This cannot be undone.

        With `delete_children`, the workflows they started are deleted too, and so on down. Forks never are. Unknown ids
        are ignored. One that is running fails at its next operation, and whoever waits for it gets
        `DBOSNonExistentWorkflowError`. Its id may be used again.

            DBOS.delete_workflows(["order-17", "order-18"])
        """

    @staticmethod
    def fork_workflow(
        workflow_id: str,
        start_step: int,
        *,
        application_version: str | None = None,
        queue_name: str | None = None,
        queue_partition_key: str | None = None,
        replacement_children: dict[str, str] | None = None,
        timeout_seconds: float | None = None,
        shard_key: str | None = None,
    ) -> WorkflowHandle[Any]:
        """Start a new workflow from a step of another one, whatever became of that, and return a handle to it.

        It begins with what the other recorded before `start_step`: steps, events and streams, not messages; 1 starts from
        the beginning. Its id comes from an enclosing `SetWorkflowID`, or is new. It waits on `queue_name`, or on the
        internal queue, for any version of the application unless `application_version` is given. `replacement_children`
        says which workflows take the place of children that were started before the step: old ids to new ones.
        `timeout_seconds` counts from when it is dequeued; the other's timeout is not taken over.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow, SQLAlchemy's `IntegrityError` if the new id is
        in use, `Exception` for a timeout that is not positive.

            fork = DBOS.fork_workflow("order-17", 3, application_version="v2")
            fork.get_result()
        """

    @staticmethod
    async def fork_workflow_async(
        workflow_id: str,
        start_step: int,
        *,
        application_version: str | None = None,
        queue_name: str | None = None,
        queue_partition_key: str | None = None,
        replacement_children: dict[str, str] | None = None,
        timeout_seconds: float | None = None,
        shard_key: str | None = None,
    ) -> WorkflowHandleAsync[Any]:
        """Start a new workflow from a step of another one, whatever became of that, and return a handle to it.

        It begins with what the other recorded before `start_step`: steps, events and streams, not messages; 1 starts from
        the beginning. Its id comes from an enclosing `SetWorkflowID`, or is new. It waits on `queue_name`, or on the
        internal queue, for any version of the application unless `application_version` is given. `replacement_children`
        says which workflows take the place of children that were started before the step: old ids to new ones.
        `timeout_seconds` counts from when it is dequeued; the other's timeout is not taken over.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow, SQLAlchemy's `IntegrityError` if the new id is
        in use, `Exception` for a timeout that is not positive.

            fork = DBOS.fork_workflow("order-17", 3, application_version="v2")
            fork.get_result()
        """

    @staticmethod
    def fork_from_failure(
        workflow_ids: list[str],
        *,
        application_version: str | None = None,
        queue_name: str | None = None,
        queue_partition_key: str | None = None,
        from_last_failure: bool = False,
        from_last_step: bool = False,
        from_step: int | None = None,
        from_step_name: str | None = None,
    ) -> list[str]:
        """Fork many workflows at once, each from its own step, and return the new ids in order: all of them or none.

        Say from where in one way: `from_last_failure`, the last step that failed, else the last step; `from_last_step`;
        `from_step`, the same number for all; `from_step_name`, the last step of that name. A workflow without steps starts
        from the beginning.

        Raises `ValueError` unless exactly one way is given, `DBOSNonExistentWorkflowError` naming every unknown id,
        `Exception` for a workflow without a step of the name.

            failed = [one.workflow_id for one in DBOS.list_workflows(status="ERROR")]
            DBOS.fork_from_failure(failed, from_last_failure=True)
        """

    @staticmethod
    async def fork_from_failure_async(
        workflow_ids: list[str],
        *,
        application_version: str | None = None,
        queue_name: str | None = None,
        queue_partition_key: str | None = None,
        from_last_failure: bool = False,
        from_last_step: bool = False,
        from_step: int | None = None,
        from_step_name: str | None = None,
    ) -> list[str]:
        """Fork many workflows at once, each from its own step, and return the new ids in order: all of them or none.

        Say from where in one way: `from_last_failure`, the last step that failed, else the last step; `from_last_step`;
        `from_step`, the same number for all; `from_step_name`, the last step of that name. A workflow without steps starts
        from the beginning.

        Raises `ValueError` unless exactly one way is given, `DBOSNonExistentWorkflowError` naming every unknown id,
        `Exception` for a workflow without a step of the name.

            failed = [one.workflow_id for one in DBOS.list_workflows(status="ERROR")]
            DBOS.fork_from_failure(failed, from_last_failure=True)
        """

    @staticmethod
    def rewind_workflow(
        workflow_id: str,
        *,
        start_step: int | None = None,
        application_version: str | None = None,
        queue_name: str | None = None,
        queue_partition_key: str | None = None,
        shard_key: str | None = None,
    ) -> WorkflowHandle[Any]:
        """Run a finished workflow again from a step on, under its own id, and return a handle to it.

        What it recorded from `start_step` on (default: 1, the beginning) is dropped: steps, the outcome, messages it
        received and those it did not; events go back to their values before the step; values written to streams stay.
        From an application, its datasources' checkpoints are dropped too; a client leaves those alone. It waits on
        `queue_name`, or on the internal queue, for the version it had unless `application_version` is given. Its children
        are not touched.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow, `DBOSException` unless it has ended,
        `ValueError` for a `start_step` below 1.

            DBOS.rewind_workflow("order-17", start_step=3).get_result()
        """

    @staticmethod
    async def rewind_workflow_async(
        workflow_id: str,
        *,
        start_step: int | None = None,
        application_version: str | None = None,
        queue_name: str | None = None,
        queue_partition_key: str | None = None,
        shard_key: str | None = None,
    ) -> WorkflowHandleAsync[Any]:
        """Run a finished workflow again from a step on, under its own id, and return a handle to it.

        What it recorded from `start_step` on (default: 1, the beginning) is dropped: steps, the outcome, messages it
        received and those it did not; events go back to their values before the step; values written to streams stay.
        From an application, its datasources' checkpoints are dropped too; a client leaves those alone. It waits on
        `queue_name`, or on the internal queue, for the version it had unless `application_version` is given. Its children
        are not touched.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow, `DBOSException` unless it has ended,
        `ValueError` for a `start_step` below 1.

            DBOS.rewind_workflow("order-17", start_step=3).get_result()
        """

    @staticmethod
    def export_workflow(workflow_id: str, export_children: bool = False) -> list[dict[str, Any]]:
        """Return everything stored of a workflow, and of its descendants if asked, for `import_workflow`.

        The workflow comes first. Each is a dict of plain values: its columns under `workflow_status`, its steps, events and
        streams as lists of rows; inputs and results stay encoded. Messages are not exported. JSON can carry it.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow.

            exported = DBOS.export_workflow("order-17", export_children=True)
        """

    @staticmethod
    async def export_workflow_async(workflow_id: str, export_children: bool = False) -> list[dict[str, Any]]:
        """Return everything stored of a workflow, and of its descendants if asked, for `import_workflow`.

        The workflow comes first. Each is a dict of plain values: its columns under `workflow_status`, its steps, events and
        streams as lists of rows; inputs and results stay encoded. Messages are not exported. JSON can carry it.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow.

            exported = DBOS.export_workflow("order-17", export_children=True)
        """

    @staticmethod
    def import_workflow(workflows: list[dict[str, Any]]) -> None:
        """Create workflows as they were exported: all of them or none.

        They are what they were: finished ones can be read and forked, those that wait on a queue run here, and those that
        were running are recovered as any other.

        Raises SQLAlchemy's `IntegrityError` when one of the ids is in use, `DBOSException` for what is no export.

            DBOS.import_workflow(exported)
        """

    @staticmethod
    async def import_workflow_async(workflows: list[dict[str, Any]]) -> None:
        """Create workflows as they were exported: all of them or none.

        They are what they were: finished ones can be read and forked, those that wait on a queue run here, and those that
        were running are recovered as any other.

        Raises SQLAlchemy's `IntegrityError` when one of the ids is in use, `DBOSException` for what is no export.

            DBOS.import_workflow(exported)
        """

    @staticmethod
    def garbage_collect(
        cutoff_epoch_timestamp_ms: int | None = None,
        rows_threshold: int | None = None,
        *,
        batch_size: int | None = 10000,
    ) -> int:
        """Delete finished workflows that were created before a time, or are not among the newest, and return how many.

        The cutoff is in epoch milliseconds; `rows_threshold` is how many of the newest workflows stay; with both, the later
        cutoff counts, with neither nothing is deleted. Only workflows of this application and unclaimed ones go. A finished
        child stays as long as its parent, or a fork of that, is not finished and may still read its result.

        What goes goes for good, at most `batch_size` workflows in a transaction, or all in one with None. An interrupted
        run has deleted what it has deleted: repeat it.

        Raises `ValueError` for a `batch_size` or `rows_threshold` below 1.

            week_ago = datetime.now(timezone.utc) - timedelta(days=7)
            DBOS.garbage_collect(int(week_ago.timestamp() * 1000), rows_threshold=100_000)
        """

    @staticmethod
    async def garbage_collect_async(
        cutoff_epoch_timestamp_ms: int | None = None,
        rows_threshold: int | None = None,
        *,
        batch_size: int | None = 10000,
    ) -> int:
        """Delete finished workflows that were created before a time, or are not among the newest, and return how many.

        The cutoff is in epoch milliseconds; `rows_threshold` is how many of the newest workflows stay; with both, the later
        cutoff counts, with neither nothing is deleted. Only workflows of this application and unclaimed ones go. A finished
        child stays as long as its parent, or a fork of that, is not finished and may still read its result.

        What goes goes for good, at most `batch_size` workflows in a transaction, or all in one with None. An interrupted
        run has deleted what it has deleted: repeat it.

        Raises `ValueError` for a `batch_size` or `rows_threshold` below 1.

            week_ago = datetime.now(timezone.utc) - timedelta(days=7)
            DBOS.garbage_collect(int(week_ago.timestamp() * 1000), rows_threshold=100_000)
        """

    @staticmethod
    def global_timeout(cutoff_epoch_timestamp_ms: int) -> int:
        """Cancel every workflow that is not finished and was created at a time or before; return how many.

        The cutoff is in epoch milliseconds. Only workflows of this application and unclaimed ones are cancelled.

            day_ago = datetime.now(timezone.utc) - timedelta(days=1)
            DBOS.global_timeout(int(day_ago.timestamp() * 1000))
        """

    @staticmethod
    async def global_timeout_async(cutoff_epoch_timestamp_ms: int) -> int:
        """Cancel every workflow that is not finished and was created at a time or before; return how many.

        The cutoff is in epoch milliseconds. Only workflows of this application and unclaimed ones are cancelled.

            day_ago = datetime.now(timezone.utc) - timedelta(days=1)
            DBOS.global_timeout(int(day_ago.timestamp() * 1000))
        """

    @staticmethod
    def get_workflow_aggregates(
        *,
        group_by_status: bool = False,
        group_by_name: bool = False,
        group_by_queue_name: bool = False,
        group_by_executor_id: bool = False,
        group_by_application_version: bool = False,
        group_by_application_name: bool = False,
        time_bucket_size_ms: int | None = None,
        select_count: bool = False,
        select_min_created_at: bool = False,
        select_max_queue_wait_ms: bool = False,
        select_max_total_latency_ms: bool = False,
        status: str | list[str] | None = None,
        start_time: str | None = None,
        end_time: str | None = None,
        completed_after: str | None = None,
        completed_before: str | None = None,
        dequeued_after: str | None = None,
        dequeued_before: str | None = None,
        name: str | list[str] | None = None,
        app_version: str | list[str] | None = None,
        executor_id: str | list[str] | None = None,
        queue_name: str | list[str] | None = None,
        workflow_id_prefix: str | list[str] | None = None,
        workflow_ids: list[str] | None = None,
        forked_from: str | list[str] | None = None,
        parent_workflow_id: str | list[str] | None = None,
        user: str | list[str] | None = None,
        schedule_name: str | list[str] | None = None,
        application_name: str | list[str] | None = None,
        was_forked_from: bool | None = None,
        has_parent: bool | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Count and measure workflows by group; times and durations are milliseconds, buckets those of creation.

        The filters are those of `list_workflows`; without `application_name`, those of this application and unclaimed ones.

        Raises `ValueError` when nothing is grouped by or selected, or a bucket is not positive.

            DBOS.get_workflow_aggregates(group_by_status=True, select_count=True)
        """

    @staticmethod
    async def get_workflow_aggregates_async(
        *,
        group_by_status: bool = False,
        group_by_name: bool = False,
        group_by_queue_name: bool = False,
        group_by_executor_id: bool = False,
        group_by_application_version: bool = False,
        group_by_application_name: bool = False,
        time_bucket_size_ms: int | None = None,
        select_count: bool = False,
        select_min_created_at: bool = False,
        select_max_queue_wait_ms: bool = False,
        select_max_total_latency_ms: bool = False,
        status: str | list[str] | None = None,
        start_time: str | None = None,
        end_time: str | None = None,
        completed_after: str | None = None,
        completed_before: str | None = None,
        dequeued_after: str | None = None,
        dequeued_before: str | None = None,
        name: str | list[str] | None = None,
        app_version: str | list[str] | None = None,
        executor_id: str | list[str] | None = None,
        queue_name: str | list[str] | None = None,
        workflow_id_prefix: str | list[str] | None = None,
        workflow_ids: list[str] | None = None,
        forked_from: str | list[str] | None = None,
        parent_workflow_id: str | list[str] | None = None,
        user: str | list[str] | None = None,
        schedule_name: str | list[str] | None = None,
        application_name: str | list[str] | None = None,
        was_forked_from: bool | None = None,
        has_parent: bool | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Count and measure workflows by group; times and durations are milliseconds, buckets those of creation.

        The filters are those of `list_workflows`; without `application_name`, those of this application and unclaimed ones.

        Raises `ValueError` when nothing is grouped by or selected, or a bucket is not positive.

            DBOS.get_workflow_aggregates(group_by_status=True, select_count=True)
        """

    @staticmethod
    def get_step_aggregates(
        *,
        group_by_function_name: bool = False,
        group_by_status: bool = False,
        time_bucket_size_ms: int | None = None,
        select_count: bool = False,
        select_max_duration_ms: bool = False,
        status: str | list[str] | None = None,
        function_name: str | list[str] | None = None,
        workflow_id_prefix: str | list[str] | None = None,
        completed_after: str | None = None,
        completed_before: str | None = None,
        application_name: str | list[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Count and measure recorded steps by group, built-in ones too; buckets are those of completion.

        `status` is `SUCCESS` or `ERROR`.

        Raises `ValueError` when nothing is grouped by or selected, or a bucket is not positive.

            DBOS.get_step_aggregates(group_by_function_name=True, select_max_duration_ms=True)
        """

    @staticmethod
    async def get_step_aggregates_async(
        *,
        group_by_function_name: bool = False,
        group_by_status: bool = False,
        time_bucket_size_ms: int | None = None,
        select_count: bool = False,
        select_max_duration_ms: bool = False,
        status: str | list[str] | None = None,
        function_name: str | list[str] | None = None,
        workflow_id_prefix: str | list[str] | None = None,
        completed_after: str | None = None,
        completed_before: str | None = None,
        application_name: str | list[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Count and measure recorded steps by group, built-in ones too; buckets are those of completion.

        `status` is `SUCCESS` or `ERROR`.

        Raises `ValueError` when nothing is grouped by or selected, or a bucket is not positive.

            DBOS.get_step_aggregates(group_by_function_name=True, select_max_duration_ms=True)
        """

    @staticmethod
    def get_metrics(start_time: str, end_time: str, application_name: Texts = None) -> list[dict[str, Any]]:
        """Count the workflows created and the steps completed from `start_time` until before `end_time`, by name.

        Raises `ValueError` for a missing or malformed time.

            DBOS.get_metrics("2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00")
        """

    @staticmethod
    async def get_metrics_async(start_time: str, end_time: str, application_name: Texts = None) -> list[dict[str, Any]]:
        """Count the workflows created and the steps completed from `start_time` until before `end_time`, by name.

        Raises `ValueError` for a missing or malformed time.

            DBOS.get_metrics("2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00")
        """

    @staticmethod
    def list_application_versions() -> list[VersionInfo]:
        """Return the versions of this application and unclaimed ones, the latest first.

        Raises `DBOSQueryTimeoutError` when Postgres takes longer than `observability_query_timeout_sec`.

            [version["version_name"] for version in DBOS.list_application_versions()]
        """

    @staticmethod
    async def list_application_versions_async() -> list[VersionInfo]:
        """Return the versions of this application and unclaimed ones, the latest first.

        Raises `DBOSQueryTimeoutError` when Postgres takes longer than `observability_query_timeout_sec`.

            [version["version_name"] for version in DBOS.list_application_versions()]
        """

    @staticmethod
    def get_latest_application_version() -> VersionInfo:
        """Return the latest version of this application; it runs the workflows that carry no version.

        Raises `DBOSException` when none is registered.

            DBOS.get_latest_application_version()["version_name"]
        """

    @staticmethod
    async def get_latest_application_version_async() -> VersionInfo:
        """Return the latest version of this application; it runs the workflows that carry no version.

        Raises `DBOSException` when none is registered.

            DBOS.get_latest_application_version()["version_name"]
        """

    @staticmethod
    def set_latest_application_version(version_name: str, *, application_name: str | None = None) -> None:
        """Make a registered version the latest one; an unknown name changes nothing.

        Raises `DBOSException` when another application owns the version.

            DBOS.set_latest_application_version("v2")
        """

    @staticmethod
    async def set_latest_application_version_async(version_name: str, *, application_name: str | None = None) -> None:
        """Make a registered version the latest one; an unknown name changes nothing.

        Raises `DBOSException` when another application owns the version.

            DBOS.set_latest_application_version("v2")
        """

    @staticmethod
    def patch(patch_name: str) -> bool:
        """Tell whether this execution takes the new branch: true unless it had already passed this place.

        Raises `DBOSException` outside workflow code, `DBOSPatchNondeterminismError` when called concurrently with other
        operations of the workflow.

            if DBOS.patch("charge-first"):
                charge(order)
        """

    @staticmethod
    async def patch_async(patch_name: str) -> bool:
        """Tell whether this execution takes the new branch: true unless it had already passed this place.

        Raises `DBOSException` outside workflow code, `DBOSPatchNondeterminismError` when called concurrently with other
        operations of the workflow.

            if DBOS.patch("charge-first"):
                charge(order)
        """

    @staticmethod
    def deprecate_patch(patch_name: str) -> bool:
        """Pass over the marker that `patch` left, if there is one; always true. For when no old execution is left.

        Raises `DBOSException` outside workflow code.

            DBOS.deprecate_patch("charge-first")
            charge(order)
        """

    @staticmethod
    async def deprecate_patch_async(patch_name: str) -> bool:
        """Pass over the marker that `patch` left, if there is one; always true. For when no old execution is left.

        Raises `DBOSException` outside workflow code.

            DBOS.deprecate_patch("charge-first")
            charge(order)
        """

    @staticmethod
    def register_queue(
        name: str,
        *,
        worker_concurrency: int | None = None,
        global_concurrency: int | None = None,
        partition_concurrency: int | None = None,
        partition_worker_concurrency: int | None = None,
        partition_limiter: QueueRateLimit | None = None,
        limiter: QueueRateLimit | None = None,
        polling_interval_sec: float = 1.0,
        on_conflict: Conflict = "update_if_latest_version",
        concurrency: int | None = None,
        priority_enabled: bool = False,
        partition_queue: bool = False,
    ) -> Any:
        """Register a queue in the database, or change one, and return it. Every process of the application serves it.

        `worker_concurrency` limits what runs at once in each process, `global_concurrency` in all together; `limiter` what
        starts in any period of so many seconds; the `partition_*` limits do the same for each partition key. A limit of 0
        pauses. `on_conflict` says what becomes of a queue that exists: it is changed if this process runs the latest
        application version, always, or never. An option left out reverts to its default.

        Raises `ValueError` for limits that contradict one another, `DBOSException` when another application has a queue of
        that name.

            DBOS.register_queue("reports", worker_concurrency=4, limiter={"limit": 100, "period": 60})
        """

    @staticmethod
    async def register_queue_async(
        name: str,
        *,
        worker_concurrency: int | None = None,
        global_concurrency: int | None = None,
        partition_concurrency: int | None = None,
        partition_worker_concurrency: int | None = None,
        partition_limiter: QueueRateLimit | None = None,
        limiter: QueueRateLimit | None = None,
        polling_interval_sec: float = 1.0,
        on_conflict: Conflict = "update_if_latest_version",
        concurrency: int | None = None,
        priority_enabled: bool = False,
        partition_queue: bool = False,
    ) -> Any:
        """Register a queue in the database, or change one, and return it. Every process of the application serves it.

        `worker_concurrency` limits what runs at once in each process, `global_concurrency` in all together; `limiter` what
        starts in any period of so many seconds; the `partition_*` limits do the same for each partition key. A limit of 0
        pauses. `on_conflict` says what becomes of a queue that exists: it is changed if this process runs the latest
        application version, always, or never. An option left out reverts to its default.

        Raises `ValueError` for limits that contradict one another, `DBOSException` when another application has a queue of
        that name.

            DBOS.register_queue("reports", worker_concurrency=4, limiter={"limit": 100, "period": 60})
        """

    @staticmethod
    def retrieve_queue(name: str) -> Any:
        """Return a registered queue, whoever owns it, or None.

        DBOS.retrieve_queue("reports").worker_concurrency
        """

    @staticmethod
    async def retrieve_queue_async(name: str) -> Any:
        """Return a registered queue, whoever owns it, or None.

        DBOS.retrieve_queue("reports").worker_concurrency
        """

    @staticmethod
    def list_queues(*, application_name: str | list[str] | None = None) -> list[Any]:
        """Return the registered queues of this application, or of the named ones, and those that nobody owns.

        [queue.name for queue in DBOS.list_queues()]
        """

    @staticmethod
    async def list_queues_async(*, application_name: str | list[str] | None = None) -> list[Any]:
        """Return the registered queues of this application, or of the named ones, and those that nobody owns.

        [queue.name for queue in DBOS.list_queues()]
        """

    @staticmethod
    def delete_queue(name: str) -> None:
        """Delete a queue's registration. What it runs goes on, what waits on it waits until it is registered again.

        DBOS.delete_queue("reports")
        """

    @staticmethod
    async def delete_queue_async(name: str) -> None:
        """Delete a queue's registration. What it runs goes on, what waits on it waits until it is registered again.

        DBOS.delete_queue("reports")
        """

    @staticmethod
    def set_workflow_delay(
        workflow_id: str,
        *,
        delay_seconds: float | None = None,
        delay_until_epoch_ms: int | None = None,
        shard_key: str | None = None,
    ) -> None:
        """Change when a delayed workflow goes on its queue: in so many seconds, or at a time in epoch milliseconds.

        A workflow that is not delayed is left alone. Raises `DBOSException` unless exactly one is given, not negative.

            DBOS.set_workflow_delay("order-17", delay_seconds=60)
        """

    @staticmethod
    async def set_workflow_delay_async(
        workflow_id: str,
        *,
        delay_seconds: float | None = None,
        delay_until_epoch_ms: int | None = None,
        shard_key: str | None = None,
    ) -> None:
        """Change when a delayed workflow goes on its queue: in so many seconds, or at a time in epoch milliseconds.

        A workflow that is not delayed is left alone. Raises `DBOSException` unless exactly one is given, not negative.

            DBOS.set_workflow_delay("order-17", delay_seconds=60)
        """

    @staticmethod
    def list_executors(*, application_name: str | list[str] | None = None) -> list[ExecutorInfo]:
        """Return the processes of this application, or of the named ones, that hold a lease, the longest running first.

        One that died is listed, with `is_alive` False, until another process has taken over everything it ran. Processes
        launched with `executor_lease_sec` 0 are not listed.

            [(executor.host, executor.pid, executor.running_workflows) for executor in DBOS.list_executors()]
        """

    @staticmethod
    async def list_executors_async(*, application_name: str | list[str] | None = None) -> list[ExecutorInfo]:
        """Return the processes of this application, or of the named ones, that hold a lease, the longest running first.

        One that died is listed, with `is_alive` False, until another process has taken over everything it ran. Processes
        launched with `executor_lease_sec` 0 are not listed.

            [(executor.host, executor.pid, executor.running_workflows) for executor in DBOS.list_executors()]
        """

    @staticmethod
    def list_stranded_versions() -> list[StrandedVersion]:
        """Return the application versions of waiting workflows that no live process can run, the longest waiting first.

        Start a process of that version, or cancel or fork its workflows. Processes without a lease are not known here.

            [(version.application_version, version.workflows) for version in DBOS.list_stranded_versions()]
        """

    @staticmethod
    async def list_stranded_versions_async() -> list[StrandedVersion]:
        """Return the application versions of waiting workflows that no live process can run, the longest waiting first.

        Start a process of that version, or cancel or fork its workflows. Processes without a lease are not known here.

            [(version.application_version, version.workflows) for version in DBOS.list_stranded_versions()]
        """

    @staticmethod
    def send(
        destination_id: str,
        message: Any,
        topic: str | None = None,
        *,
        idempotency_key: str | None = None,
        serialization_type: WorkflowSerializationFormat | None = ...,
        send_to_forks: bool = False,
        shard_key: str | None = None,
    ) -> None:
        """Send a message to a workflow, which takes it with `recv` of the same topic, now or later.

        From a workflow it is sent once. From elsewhere, give an `idempotency_key`: a second message with one key to one
        workflow is ignored. With `send_to_forks`, the workflow's forks and theirs get it too.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow, and whatever serializing the message raises.

            DBOS.send("order-17", "paid", topic="payment")
        """

    @staticmethod
    async def send_async(
        destination_id: str,
        message: Any,
        topic: str | None = None,
        *,
        idempotency_key: str | None = None,
        serialization_type: WorkflowSerializationFormat | None = ...,
        send_to_forks: bool = False,
        shard_key: str | None = None,
    ) -> None:
        """Send a message to a workflow, which takes it with `recv` of the same topic, now or later.

        From a workflow it is sent once. From elsewhere, give an `idempotency_key`: a second message with one key to one
        workflow is ignored. With `send_to_forks`, the workflow's forks and theirs get it too.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow, and whatever serializing the message raises.

            DBOS.send("order-17", "paid", topic="payment")
        """

    @staticmethod
    def send_bulk(
        messages: list[SendMessage],
        *,
        serialization_type: WorkflowSerializationFormat | None = ...,
        send_to_forks: bool = False,
    ) -> None:
        """Send many messages, all or none.

        Raises what `send` raises, and `DBOSException` when two of them have one idempotency key.

            DBOS.send_bulk([SendMessage("order-17", "paid"), SendMessage("order-18", "paid")])
        """

    @staticmethod
    async def send_bulk_async(
        messages: list[SendMessage],
        *,
        serialization_type: WorkflowSerializationFormat | None = ...,
        send_to_forks: bool = False,
    ) -> None:
        """Send many messages, all or none.

        Raises what `send` raises, and `DBOSException` when two of them have one idempotency key.

            DBOS.send_bulk([SendMessage("order-17", "paid"), SendMessage("order-18", "paid")])
        """

    @staticmethod
    def get_all_messages(workflow_id: str, *, shard_key: str | None = None) -> list[dict[str, Any]]:
        """Return every message to a workflow, received or not, in the order of creation; [] if there are none.

        Each is a dict with the keys `topic` (None for the default one), `message` (as it is stored, if it cannot be decoded
        here), `created_at_epoch_ms` (int), `consumed` (bool).

            DBOS.get_all_messages("order-17")
        """

    @staticmethod
    async def get_all_messages_async(workflow_id: str, *, shard_key: str | None = None) -> list[dict[str, Any]]:
        """Return every message to a workflow, received or not, in the order of creation; [] if there are none.

        Each is a dict with the keys `topic` (None for the default one), `message` (as it is stored, if it cannot be decoded
        here), `created_at_epoch_ms` (int), `consumed` (bool).

            DBOS.get_all_messages("order-17")
        """

    @staticmethod
    def recv(topic: str | None = None, timeout_seconds: float = 60) -> Any:
        """Receive the oldest message of a topic; wait up to `timeout_seconds` for one, then return None.

        Each message is received once. After a crash the wait goes on until the same moment.

        Raises `DBOSException` outside workflow code.

            payment = DBOS.recv("payment", timeout_seconds=3600)
        """

    @staticmethod
    async def recv_async(topic: str | None = None, timeout_seconds: float = 60) -> Any:
        """Receive the oldest message of a topic; wait up to `timeout_seconds` for one, then return None.

        Each message is received once. After a crash the wait goes on until the same moment.

        Raises `DBOSException` outside workflow code.

            payment = DBOS.recv("payment", timeout_seconds=3600)
        """

    @staticmethod
    def set_event(key: str, value: Any, *, serialization_type: WorkflowSerializationFormat | None = ...) -> None:
        """Show a value under a key of the running workflow, for `get_event` anywhere; the latest value counts.

        From a workflow it is set once; from a step, once per attempt.

        Raises `DBOSException` outside workflows, and whatever serializing the value raises.

            DBOS.set_event("progress", 40)
        """

    @staticmethod
    async def set_event_async(
        key: str, value: Any, *, serialization_type: WorkflowSerializationFormat | None = ...
    ) -> None:
        """Show a value under a key of the running workflow, for `get_event` anywhere; the latest value counts.

        From a workflow it is set once; from a step, once per attempt.

        Raises `DBOSException` outside workflows, and whatever serializing the value raises.

            DBOS.set_event("progress", 40)
        """

    @staticmethod
    def get_event(workflow_id: str, key: str, timeout_seconds: float = 60, *, shard_key: str | None = None) -> Any:
        """Return the current value of a workflow's event; wait up to `timeout_seconds` until it is set, then return None.

        The workflow may run anywhere, have ended, or not exist yet.

            DBOS.get_event("order-17", "progress", timeout_seconds=5)
        """

    @staticmethod
    async def get_event_async(
        workflow_id: str, key: str, timeout_seconds: float = 60, *, shard_key: str | None = None
    ) -> Any:
        """Return the current value of a workflow's event; wait up to `timeout_seconds` until it is set, then return None.

        The workflow may run anywhere, have ended, or not exist yet.

            DBOS.get_event("order-17", "progress", timeout_seconds=5)
        """

    @staticmethod
    def get_all_events(workflow_id: str, *, shard_key: str | None = None) -> dict[str, Any]:
        """Return the current value of every event of a workflow, by key; {} if there are none.

        Raises what decoding one of them raises.

            DBOS.get_all_events("order-17")
        """

    @staticmethod
    async def get_all_events_async(workflow_id: str, *, shard_key: str | None = None) -> dict[str, Any]:
        """Return the current value of every event of a workflow, by key; {} if there are none.

        Raises what decoding one of them raises.

            DBOS.get_all_events("order-17")
        """

    @staticmethod
    def write_stream(key: str, value: Any, *, serialization_type: WorkflowSerializationFormat | None = ...) -> None:
        """Append a value to a stream of the running workflow. It is durable and visible to readers on return.

        From a workflow it is appended once; from a step, once per attempt.

        Raises `DBOSException` outside workflows, whatever serializing the value raises, and SQLAlchemy's `IntegrityError`
        if the workflow has been deleted.

            DBOS.write_stream("progress", {"done": 40})
        """

    @staticmethod
    async def write_stream_async(
        key: str, value: Any, *, serialization_type: WorkflowSerializationFormat | None = ...
    ) -> None:
        """Append a value to a stream of the running workflow. It is durable and visible to readers on return.

        From a workflow it is appended once; from a step, once per attempt.

        Raises `DBOSException` outside workflows, whatever serializing the value raises, and SQLAlchemy's `IntegrityError`
        if the workflow has been deleted.

            DBOS.write_stream("progress", {"done": 40})
        """

    @staticmethod
    def close_stream(key: str) -> None:
        """End a stream of the running workflow: readers stop here. A stream also ends with its workflow.

        Raises `DBOSException` outside workflows.

            DBOS.close_stream("progress")
        """

    @staticmethod
    async def close_stream_async(key: str) -> None:
        """End a stream of the running workflow: readers stop here. A stream also ends with its workflow.

        Raises `DBOSException` outside workflows.

            DBOS.close_stream("progress")
        """

    @staticmethod
    def read_stream(
        workflow_id: str,
        key: str,
        *,
        offset: int = 0,
        polling_interval_sec: float | None = None,
        timeout_seconds: float | None = None,
        shard_key: str | None = None,
    ) -> Generator[Any]:
        """Yield the values of a workflow's stream from `offset` on, and wait for more until it or its workflow ends.

        `timeout_seconds` limits the wait for each value; `polling_interval_sec` says how often to look where nobody tells.
        In a workflow each value is recorded: a replay reads the same ones.

        Raises, at the first value, `DBOSNonExistentWorkflowError` if there is no such workflow and `ValueError` for
        invalid times; `DBOSStreamTimeoutError` when the time for a value is up; `DBOSStreamNondeterminismError` when a
        workflow reads concurrently.

            for value in DBOS.read_stream("order-17", "progress", timeout_seconds=60):
                print(value)
        """

    @staticmethod
    def read_stream_async(
        workflow_id: str,
        key: str,
        *,
        offset: int = 0,
        polling_interval_sec: float | None = None,
        timeout_seconds: float | None = None,
        shard_key: str | None = None,
    ) -> AsyncGenerator[Any]:
        """Yield the values of a workflow's stream from `offset` on, and wait for more until it or its workflow ends.

        `timeout_seconds` limits the wait for each value; `polling_interval_sec` says how often to look where nobody tells.
        In a workflow each value is recorded: a replay reads the same ones.

        Raises, at the first value, `DBOSNonExistentWorkflowError` if there is no such workflow and `ValueError` for
        invalid times; `DBOSStreamTimeoutError` when the time for a value is up; `DBOSStreamNondeterminismError` when a
        workflow reads concurrently.

            for value in DBOS.read_stream("order-17", "progress", timeout_seconds=60):
                print(value)
        """

    @staticmethod
    def read_stream_offset(
        workflow_id: str,
        key: str,
        offset: int,
        *,
        polling_interval_sec: float | None = None,
        timeout_seconds: float | None = None,
        shard_key: str | None = None,
    ) -> Any:
        """Return the value at an offset of a workflow's stream; wait for it while the workflow may still write it.

        Raises `DBOSStreamTimeoutError` when `timeout_seconds` have passed, and at once when the stream ends before the
        offset (then its `timeout_seconds` is None); else as `read_stream`.

            DBOS.read_stream_offset("order-17", "progress", 0, timeout_seconds=60)
        """

    @staticmethod
    async def read_stream_offset_async(
        workflow_id: str,
        key: str,
        offset: int,
        *,
        polling_interval_sec: float | None = None,
        timeout_seconds: float | None = None,
        shard_key: str | None = None,
    ) -> Any:
        """Return the value at an offset of a workflow's stream; wait for it while the workflow may still write it.

        Raises `DBOSStreamTimeoutError` when `timeout_seconds` have passed, and at once when the stream ends before the
        offset (then its `timeout_seconds` is None); else as `read_stream`.

            DBOS.read_stream_offset("order-17", "progress", 0, timeout_seconds=60)
        """

    @staticmethod
    def get_all_streams(workflow_id: str, *, shard_key: str | None = None) -> dict[str, list[Any]]:
        """Return what every stream of a workflow holds now, by key, up to where a reader would end; {} if there are none.

        A value that cannot be decoded here is shown as it is stored.

            DBOS.get_all_streams("order-17")
        """

    @staticmethod
    async def get_all_streams_async(workflow_id: str, *, shard_key: str | None = None) -> dict[str, list[Any]]:
        """Return what every stream of a workflow holds now, by key, up to where a reader would end; {} if there are none.

        A value that cannot be decoded here is shown as it is stored.

            DBOS.get_all_streams("order-17")
        """

    @staticmethod
    def create_schedule(
        *,
        schedule_name: str,
        workflow_fn: Callable[..., Any],
        schedule: str,
        context: Any = None,
        automatic_backfill: bool = False,
        cron_timezone: str | None = None,
        queue_name: str | None = None,
        shard_key: str | None = None,
    ) -> None:
        """Run a workflow by the clock: at every time of a cron expression, once, however many processes there are.

        The workflow gets the scheduled time and `context`. `schedule` has five fields, or six with the seconds first, read
        in `cron_timezone` (an IANA name; UTC unless given). Runs go on `queue_name`, or an internal queue. With
        `automatic_backfill`, what was missed while no process ran is made up for.

        Raises `DBOSException` for an invalid expression, time zone, function or queue, and for a name that is taken.

            DBOS.create_schedule(schedule_name="nightly", workflow_fn=close_books, schedule="0 0 * * *")
        """

    @staticmethod
    async def create_schedule_async(
        *,
        schedule_name: str,
        workflow_fn: Callable[..., Any],
        schedule: str,
        context: Any = None,
        automatic_backfill: bool = False,
        cron_timezone: str | None = None,
        queue_name: str | None = None,
        shard_key: str | None = None,
    ) -> None:
        """Run a workflow by the clock: at every time of a cron expression, once, however many processes there are.

        The workflow gets the scheduled time and `context`. `schedule` has five fields, or six with the seconds first, read
        in `cron_timezone` (an IANA name; UTC unless given). Runs go on `queue_name`, or an internal queue. With
        `automatic_backfill`, what was missed while no process ran is made up for.

        Raises `DBOSException` for an invalid expression, time zone, function or queue, and for a name that is taken.

            DBOS.create_schedule(schedule_name="nightly", workflow_fn=close_books, schedule="0 0 * * *")
        """

    @staticmethod
    def list_schedules(
        *,
        status: Filter = None,
        workflow_name: Filter = None,
        schedule_name_prefix: Filter = None,
        application_name: Filter = None,
    ) -> list[WorkflowSchedule]:
        """Return the schedules of this application, or of the named ones, and those that nobody owns, by name.

        Every filter is one value or a list of them; all must pass.

            DBOS.list_schedules(status="ACTIVE", schedule_name_prefix="report-")
        """

    @staticmethod
    async def list_schedules_async(
        *,
        status: Filter = None,
        workflow_name: Filter = None,
        schedule_name_prefix: Filter = None,
        application_name: Filter = None,
    ) -> list[WorkflowSchedule]:
        """Return the schedules of this application, or of the named ones, and those that nobody owns, by name.

        Every filter is one value or a list of them; all must pass.

            DBOS.list_schedules(status="ACTIVE", schedule_name_prefix="report-")
        """

    @staticmethod
    def get_schedule(name: str) -> WorkflowSchedule | None:
        """Return a schedule, whoever owns it, or None.

        DBOS.get_schedule("nightly")["last_fired_at"]
        """

    @staticmethod
    async def get_schedule_async(name: str) -> WorkflowSchedule | None:
        """Return a schedule, whoever owns it, or None.

        DBOS.get_schedule("nightly")["last_fired_at"]
        """

    @staticmethod
    def delete_schedule(name: str) -> None:
        """Delete a schedule, if there is one of that name. What it has enqueued still runs.

        DBOS.delete_schedule("nightly")
        """

    @staticmethod
    async def delete_schedule_async(name: str) -> None:
        """Delete a schedule, if there is one of that name. What it has enqueued still runs.

        DBOS.delete_schedule("nightly")
        """

    @staticmethod
    def apply_schedules(schedules: list[ScheduleInput]) -> None:
        """Create schedules, or replace the definitions of those that exist: all of them, or none if one is refused.

        A schedule that exists keeps its status and when it last fired; what an entry leaves out reverts to its default.
        Schedules not in the list are left alone.

        Raises `DBOSException` as `create_schedule` does, for a missing field, and inside a workflow.

            DBOS.apply_schedules([{"schedule_name": "nightly", "workflow_fn": close_books, "schedule": "0 0 * * *"}])
        """

    @staticmethod
    async def apply_schedules_async(schedules: list[ScheduleInput]) -> None:
        """Create schedules, or replace the definitions of those that exist: all of them, or none if one is refused.

        A schedule that exists keeps its status and when it last fired; what an entry leaves out reverts to its default.
        Schedules not in the list are left alone.

        Raises `DBOSException` as `create_schedule` does, for a missing field, and inside a workflow.

            DBOS.apply_schedules([{"schedule_name": "nightly", "workflow_fn": close_books, "schedule": "0 0 * * *"}])
        """

    @staticmethod
    def pause_schedule(name: str) -> None:
        """Keep a schedule from firing until it is resumed. What it would have fired for meanwhile is skipped.

        DBOS.pause_schedule("nightly")
        """

    @staticmethod
    async def pause_schedule_async(name: str) -> None:
        """Keep a schedule from firing until it is resumed. What it would have fired for meanwhile is skipped.

        DBOS.pause_schedule("nightly")
        """

    @staticmethod
    def resume_schedule(name: str) -> None:
        """Let a paused schedule fire again.

        DBOS.resume_schedule("nightly")
        """

    @staticmethod
    async def resume_schedule_async(name: str) -> None:
        """Let a paused schedule fire again.

        DBOS.resume_schedule("nightly")
        """

    @staticmethod
    def backfill_schedule(schedule_name: str, start: datetime, end: datetime) -> list[WorkflowHandle[None]]:
        """Enqueue the runs of every time strictly between two moments, and return their handles in order of time.

        A time that was fired already is not run again: repeating this does no harm. Datetimes without a zone are UTC.

        Raises `DBOSException` for an unknown schedule and inside a workflow, ValueError when it can never fire.

            DBOS.backfill_schedule("nightly", datetime(2025, 1, 1), datetime(2025, 2, 1))
        """

    @staticmethod
    async def backfill_schedule_async(
        schedule_name: str, start: datetime, end: datetime
    ) -> list[WorkflowHandleAsync[None]]:
        """Enqueue the runs of every time strictly between two moments, and return their handles in order of time.

        A time that was fired already is not run again: repeating this does no harm. Datetimes without a zone are UTC.

        Raises `DBOSException` for an unknown schedule and inside a workflow, ValueError when it can never fire.

            DBOS.backfill_schedule("nightly", datetime(2025, 1, 1), datetime(2025, 2, 1))
        """

    @staticmethod
    def trigger_schedule(schedule_name: str) -> WorkflowHandle[None]:
        """Enqueue a run of a schedule now, whatever its times and status, and return its handle.

        Raises `DBOSException` for an unknown schedule and inside a workflow.

            DBOS.trigger_schedule("nightly").get_result()
        """

    @staticmethod
    async def trigger_schedule_async(schedule_name: str) -> WorkflowHandleAsync[None]:
        """Enqueue a run of a schedule now, whatever its times and status, and return its handle.

        Raises `DBOSException` for an unknown schedule and inside a workflow.

            DBOS.trigger_schedule("nightly").get_result()
        """

    @staticmethod
    def preview_schedule(name_or_cron: str, n: int = 5, *, cron_timezone: str | None = None) -> list[datetime]:
        """Return the next `n` times of a schedule, or of a cron expression in `cron_timezone` (UTC unless given).

        There are fewer when it fires no more. Nothing is changed.

        Raises `DBOSException` when it is neither the name of a schedule nor a valid expression.

            DBOS.preview_schedule("0 9 * * mon-fri", 3, cron_timezone="Europe/Berlin")
        """

    @staticmethod
    async def preview_schedule_async(
        name_or_cron: str, n: int = 5, *, cron_timezone: str | None = None
    ) -> list[datetime]:
        """Return the next `n` times of a schedule, or of a cron expression in `cron_timezone` (UTC unless given).

        There are fewer when it fires no more. Nothing is changed.

        Raises `DBOSException` when it is neither the name of a schedule nor a valid expression.

            DBOS.preview_schedule("0 9 * * mon-fri", 3, cron_timezone="Europe/Berlin")
        """

    @overload
    @staticmethod
    def run_step(
        dbos_step_options: StepOptions | None,
        func: Callable[P, Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run any function, plain or async, as a step of the current workflow; outside workflows just call it.

        Its name is `options["name"]`, else the function's qualified name.

        Raises what the function raises, or `DBOSMaxStepRetriesExceeded` when its retries are used up.

            DBOS.run_step({"retries_allowed": True}, fetch, "https://example.org")
        """

    @overload
    @staticmethod
    def run_step(
        dbos_step_options: StepOptions | None, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run any function, plain or async, as a step of the current workflow; outside workflows just call it.

        Its name is `options["name"]`, else the function's qualified name.

        Raises what the function raises, or `DBOSMaxStepRetriesExceeded` when its retries are used up.

            DBOS.run_step({"retries_allowed": True}, fetch, "https://example.org")
        """

    @overload
    @staticmethod
    async def run_step_async(
        dbos_step_options: StepOptions | None,
        func: Callable[P, Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run any function, plain or async, as a step of the current workflow; outside workflows just call it.

        Its name is `options["name"]`, else the function's qualified name.

        Raises what the function raises, or `DBOSMaxStepRetriesExceeded` when its retries are used up.

            DBOS.run_step({"retries_allowed": True}, fetch, "https://example.org")
        """

    @overload
    @staticmethod
    async def run_step_async(
        dbos_step_options: StepOptions | None, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run any function, plain or async, as a step of the current workflow; outside workflows just call it.

        Its name is `options["name"]`, else the function's qualified name.

        Raises what the function raises, or `DBOSMaxStepRetriesExceeded` when its retries are used up.

            DBOS.run_step({"retries_allowed": True}, fetch, "https://example.org")
        """

    @staticmethod
    def reserve_step() -> StepReservation:
        """Draw the next step id of the current workflow now, for a step that will run later.

        Raises `DBOSException` outside workflow code.

            reservation = DBOS.reserve_step()
        """

    @staticmethod
    def sleep(seconds: float) -> None:
        """Sleep durably: after a crash, only what is left of the time is slept.

        The wake-up time is recorded before the sleep begins. 0 and less return at once.

        Raises `DBOSException` outside workflows, AssertionError inside a step.

            DBOS.sleep(3600)
        """

    @staticmethod
    async def sleep_async(seconds: float) -> None:
        """Sleep durably: after a crash, only what is left of the time is slept.

        The wake-up time is recorded before the sleep begins. 0 and less return at once.

        Raises `DBOSException` outside workflows, AssertionError inside a step.

            DBOS.sleep(3600)
        """

    @staticmethod
    async def asyncio_wait(
        fs: list[Awaitable[Any]], *, timeout: float | None = None, return_when: str = "ALL_COMPLETED"
    ) -> tuple[set[asyncio.Task[Any]], set[asyncio.Task[Any]]]:
        """Wait as `asyncio.wait` does and record which awaitables were done, so that a replay sees the same partition.

        `timeout` is in seconds. Returns the sets of done and pending tasks.

            done, pending = await DBOS.asyncio_wait([fetch(a), fetch(b)], timeout=5)
        """

    workflow_id: ClassVar[str | None]
    """The id of the running workflow, also inside its steps; None outside workflows."""

    step_id: ClassVar[int | None]
    """The id of the running step; None outside steps."""

    step_status: ClassVar[StepStatus | None]
    """The running step's id and, if it is retried, its current attempt (from 0) and maximum; None outside steps."""

    shard_key: ClassVar[str | None]
    """Always None: this system database is not sharded."""

    sql_session: ClassVar[Any]
    """The SQLAlchemy `Session` of the running `@DBOS.transaction`; AssertionError elsewhere."""

    authenticated_user: ClassVar[str | None]
    """The authenticated user; AssertionError where there is no DBOS context."""

    authenticated_roles: ClassVar[list[str] | None]
    """The authenticated roles; AssertionError where there is no DBOS context."""

    assumed_role: ClassVar[str | None]
    """The required role the running function was given; AssertionError where there is no DBOS context."""

    application_version: ClassVar[str]
    """The application version: configured, from the environment, or computed at launch ("" before)."""

    executor_id: ClassVar[str]
    """The executor id: configured, from the environment, or "local"."""

    logger: ClassVar[logging.Logger]
    """The `dbos` logger of the standard library."""

    span: ClassVar[Any]
    """The active OpenTelemetry span, ours or not; None if there is none. AssertionError without a DBOS context."""

    tracer: ClassVar[Any]
    """What begins and ends spans of the user's own: `start_span`, `end_span`, `get_current_span`, `set_provider`."""

    @staticmethod
    def set_authentication(authenticated_user: str | None, authenticated_roles: list[str] | None) -> None:
        """Set the user and roles of the innermost scope: the enclosing `DBOSContextSetAuth` block, else the context.

        AssertionError where there is no DBOS context.

        DBOS.set_authentication("alice", ["user"])
        """
