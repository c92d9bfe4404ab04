"""Type stubs of `DBOSClient`. Written by `make stubs` from the running class: do not edit."""

from typing import Any

from dbos._engine.handles import WorkflowHandle, WorkflowHandleAsync
from dbos._model.records import EnqueueOptions, QueueRateLimit, StepInfo, WorkflowStatus
from dbos._model.serialize import Serializer
from dbos._ops.outside import Conflict

class DBOSClient:
    """Work with an application's workflows from any other process: enqueue, wait, look, cancel, resume.

        client = DBOSClient(system_database_url="postgresql://localhost/shop")
        handle = client.enqueue({"workflow_name": "checkout", "queue_name": "orders"}, 17)
        receipt = handle.get_result()
        client.destroy()

    It is a context manager too, plain and async. It creates and migrates nothing, and runs no workflow.
    """

    def __init__(
        self,
        database_url: str | None = None,
        *,
        system_database_url: str | None = None,
        system_database_engine: Any = None,
        application_database_url: str | None = None,
        dbos_system_schema: str | None = "dbos",
        serializer: Serializer = ...,
        system_database_pool_size: int | None = None,
        system_database_polling_concurrency: int | None = None,
        use_listen_notify: bool = False,
        application_name: str | None = None,
        lazy: bool = False,
        retry_connection_errors: bool = True,
        observability_query_timeout_sec: float | None = None,
        sys_db_idle_transaction_timeout_sec: float | None = None,
        sharding: bool = False,
    ) -> None:
        """Connect to a system database.

        `serializer` must be the application's. `application_name` says for which application rows are created and
        listed; without one, rows belong to any. With `lazy`, the first operation connects. `database_url` and
        `application_database_url` are deprecated: they name the database of an application whose system database has
        the same name and `_dbos_sys`. Timeouts are in seconds, as in `DBOSConfig`.

        Raises SQLAlchemy's `DBAPIError` when the database cannot be reached, `DBOSException` without one to connect
        to, `DBOSInitializationError` for a URL without a database name.
        """

    def check_connection(self) -> None:
        """Ask the database for a sign of life.

        Raises SQLAlchemy's `DBAPIError` when it gives none.

            client.check_connection()
        """

    async def check_connection_async(self) -> None:
        """Ask the database for a sign of life.

        Raises SQLAlchemy's `DBAPIError` when it gives none.

            client.check_connection()
        """

    def destroy(self) -> None:
        """Stop waiting and close every connection. Calling it again does nothing.

        It may block: async code leaves an `async with` block, or calls it in a thread.

            client.destroy()
        """

    def __enter__(self) -> DBOSClient:
        """Return the client."""

    def __exit__(self, *exc_info: object) -> None:
        """Destroy the client."""

    async def __aenter__(self) -> DBOSClient:
        """Return the client."""

    async def __aexit__(self, *exc_info: object) -> None:
        """Destroy the client, in a thread."""

    def enqueue(self, options: EnqueueOptions, /, *args: Any, **kwargs: Any) -> WorkflowHandle[Any]:
        """Put a workflow on a queue by the names of both, and return a handle to it. Its row is durable when this returns.

        Everything comes from `options`: enclosing `with` blocks say nothing here. Neither name is looked up; the row waits
        until a process of the application can run it. Enqueueing a `workflow_id` that exists returns a handle to that
        workflow.

        Raises `DBOSException` for invalid options, `DBOSQueueDeduplicatedError` when its deduplication id is held,
        `DBOSWorkflowIDInUseError` when its id is, under `workflow_id_reuse_policy="reject"`.

            handle = client.enqueue({"workflow_name": "build_report", "queue_name": "reports"}, "monthly")
            report = handle.get_result()
        """

    async def enqueue_async(self, options: EnqueueOptions, /, *args: Any, **kwargs: Any) -> WorkflowHandleAsync[Any]:
        """Put a workflow on a queue by the names of both, and return a handle to it. Its row is durable when this returns.

        Everything comes from `options`: enclosing `with` blocks say nothing here. Neither name is looked up; the row waits
        until a process of the application can run it. Enqueueing a `workflow_id` that exists returns a handle to that
        workflow.

        Raises `DBOSException` for invalid options, `DBOSQueueDeduplicatedError` when its deduplication id is held,
        `DBOSWorkflowIDInUseError` when its id is, under `workflow_id_reuse_policy="reject"`.

            handle = client.enqueue({"workflow_name": "build_report", "queue_name": "reports"}, "monthly")
            report = handle.get_result()
        """

    def enqueue_in_transaction(
        self, conn_or_session: Any, options: EnqueueOptions, /, *args: Any, **kwargs: Any
    ) -> WorkflowHandle[Any]:
        """Put a workflow on a queue within a transaction of yours: it exists if and when you commit.

        `conn_or_session` is a SQLAlchemy `Connection` or ORM `Session` to the system database; nothing of its transaction
        is begun, committed, rolled back or retried here.

        Raises what `enqueue` raises; `DBOSException` for `duplication_policy="return-existing"`.

            with engine.begin() as connection:
                connection.execute(insert(orders).values(id=17))
                client.enqueue_in_transaction(connection, {"workflow_name": "ship", "queue_name": "orders"}, 17)
        """

    def retrieve_workflow(
        self, workflow_id: str, existing_workflow: bool = True, *, shard_key: str | None = None
    ) -> WorkflowHandle[Any]:
        """Return a handle to a workflow by its id.

        Raises `DBOSNonExistentWorkflowError` when it has no row, unless `existing_workflow` is False.

            client.retrieve_workflow("order-17").get_result()
        """

    async def retrieve_workflow_async(
        self, workflow_id: str, existing_workflow: bool = True, *, shard_key: str | None = None
    ) -> WorkflowHandleAsync[Any]:
        """Return a handle to a workflow by its id.

        Raises `DBOSNonExistentWorkflowError` when it has no row, unless `existing_workflow` is False.

            client.retrieve_workflow("order-17").get_result()
        """

    def list_workflows(
        self,
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

            client.list_workflows(status="ERROR", limit=10, sort_desc=True)
        """

    async def list_workflows_async(
        self,
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

            client.list_workflows(status="ERROR", limit=10, sort_desc=True)
        """

    def list_workflow_steps(
        self,
        workflow_id: str,
        *,
        load_output: bool = True,
        limit: int | None = None,
        offset: int | None = None,
        shard_key: str | None = None,
    ) -> list[StepInfo]:
        """Return what a workflow's steps recorded, in order; those still running have no record yet.

        [step["function_name"] for step in client.list_workflow_steps("order-17")]
        """

    async def list_workflow_steps_async(
        self,
        workflow_id: str,
        *,
        load_output: bool = True,
        limit: int | None = None,
        offset: int | None = None,
        shard_key: str | None = None,
    ) -> list[StepInfo]:
        """Return what a workflow's steps recorded, in order; those still running have no record yet.

        [step["function_name"] for step in client.list_workflow_steps("order-17")]
        """

    def wait_first(
        self, handles: list[WorkflowHandle[Any]], *, polling_interval_sec: float = 1.0
    ) -> WorkflowHandle[Any]:
        """Wait for the first of several workflows to end, however it ends, and return its handle.

        Raises `ValueError` for an empty list or one that names a workflow twice.

            first = client.wait_first([client.start_workflow(fetch, url) for url in mirrors])
        """

    async def wait_first_async(
        self, handles: list[WorkflowHandleAsync[Any]], *, polling_interval_sec: float = 1.0
    ) -> WorkflowHandleAsync[Any]:
        """Wait for the first of several workflows to end, however it ends, and return its handle.

        Raises `ValueError` for an empty list or one that names a workflow twice.

            first = client.wait_first([client.start_workflow(fetch, url) for url in mirrors])
        """

    def cancel_workflow(self, workflow_id: str, *, cancel_children: bool = False, shard_key: str | None = None) -> None:
        """Cancel a workflow: it stops at its next operation. One that has succeeded or failed is left alone.

        client.cancel_workflow("order-17", cancel_children=True)
        """

    async def cancel_workflow_async(
        self, workflow_id: str, *, cancel_children: bool = False, shard_key: str | None = None
    ) -> None:
        """Cancel a workflow: it stops at its next operation. One that has succeeded or failed is left alone.

        client.cancel_workflow("order-17", cancel_children=True)
        """

    def cancel_workflows(
        self, workflow_ids: list[str], *, cancel_children: bool = False, shard_key: str | None = None
    ) -> None:
        """Cancel workflows: each stops at its next operation. Those that have succeeded or failed are left alone.

        With `cancel_children`, the workflows they started are cancelled too, and so on down. Unknown ids are ignored.

            client.cancel_workflows(["order-17", "order-18"])
        """

    async def cancel_workflows_async(
        self, workflow_ids: list[str], *, cancel_children: bool = False, shard_key: str | None = None
    ) -> None:
        """Cancel workflows: each stops at its next operation. Those that have succeeded or failed are left alone.

        With `cancel_children`, the workflows they started are cancelled too, and so on down. Unknown ids are ignored.

            client.cancel_workflows(["order-17", "order-18"])
        """

    def resume_workflow(
        self, workflow_id: str, *, queue_name: str | None = None, shard_key: str | None = None
    ) -> WorkflowHandle[Any]:
        """Put a workflow back to work from its last completed step, and return its handle.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow.

            client.resume_workflow("order-17").get_result()
        """

    async def resume_workflow_async(
        self, workflow_id: str, *, queue_name: str | None = None, shard_key: str | None = None
    ) -> WorkflowHandleAsync[Any]:
        """Put a workflow back to work from its last completed step, and return its handle.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow.

            client.resume_workflow("order-17").get_result()
        """

    def resume_workflows(
        self, workflow_ids: list[str], *, queue_name: str | None = None, shard_key: str | None = None
    ) -> list[WorkflowHandle[Any]]:
        """Put workflows back to work from their last completed step, and return their handles in order.

        They go on `queue_name`, or on the internal queue. Those that have succeeded or failed are left alone.

        Raises `DBOSNonExistentWorkflowError` naming every unknown id; then nothing is resumed.

            client.resume_workflows(["order-17"])
        """

    async def resume_workflows_async(
        self, workflow_ids: list[str], *, queue_name: str | None = None, shard_key: str | None = None
    ) -> list[WorkflowHandleAsync[Any]]:
        """Put workflows back to work from their last completed step, and return their handles in order.

        They go on `queue_name`, or on the internal queue. Those that have succeeded or failed are left alone.

        Raises `DBOSNonExistentWorkflowError` naming every unknown id; then nothing is resumed.

            client.resume_workflows(["order-17"])
        """

    def register_queue(
        self,
        name: str,
        *,
        global_concurrency: int | None = None,
        partition_concurrency: int | None = None,
        partition_worker_concurrency: int | None = None,
        partition_limiter: QueueRateLimit | None = None,
        limiter: QueueRateLimit | None = None,
        worker_concurrency: int | None = None,
        polling_interval_sec: float = 1.0,
        on_conflict: Conflict = "always_update",
        application_name: str | None = None,
        concurrency: int | None = None,
        priority_enabled: bool = False,
        partition_queue: bool = False,
    ) -> Any:
        """Register a queue in the database, or change one, and return it. Every process of the application serves it.

        The limits are those of `DBOS.register_queue`. `on_conflict` says whether a queue that exists is changed always or
        never; a client has no application version to compare. `application_name` defaults to the client's.

        Raises `ValueError` for limits that contradict one another, `DBOSException` for another `on_conflict` and when
        another application has a queue of that name.

            client.register_queue("reports", worker_concurrency=4)
        """

    async def register_queue_async(
        self,
        name: str,
        *,
        global_concurrency: int | None = None,
        partition_concurrency: int | None = None,
        partition_worker_concurrency: int | None = None,
        partition_limiter: QueueRateLimit | None = None,
        limiter: QueueRateLimit | None = None,
        worker_concurrency: int | None = None,
        polling_interval_sec: float = 1.0,
        on_conflict: Conflict = "always_update",
        application_name: str | None = None,
        concurrency: int | None = None,
        priority_enabled: bool = False,
        partition_queue: bool = False,
    ) -> Any:
        """Register a queue in the database, or change one, and return it. Every process of the application serves it.

        The limits are those of `DBOS.register_queue`. `on_conflict` says whether a queue that exists is changed always or
        never; a client has no application version to compare. `application_name` defaults to the client's.

        Raises `ValueError` for limits that contradict one another, `DBOSException` for another `on_conflict` and when
        another application has a queue of that name.

            client.register_queue("reports", worker_concurrency=4)
        """

    def retrieve_queue(self, name: str) -> Any:
        """Return a registered queue, whoever owns it, or None.

        client.retrieve_queue("reports").worker_concurrency
        """

    async def retrieve_queue_async(self, name: str) -> Any:
        """Return a registered queue, whoever owns it, or None.

        client.retrieve_queue("reports").worker_concurrency
        """

    def list_queues(self, *, application_name: str | list[str] | None = None) -> list[Any]:
        """Return the registered queues of this application, or of the named ones, and those that nobody owns.

        [queue.name for queue in client.list_queues()]
        """

    async def list_queues_async(self, *, application_name: str | list[str] | None = None) -> list[Any]:
        """Return the registered queues of this application, or of the named ones, and those that nobody owns.

        [queue.name for queue in client.list_queues()]
        """

    def delete_queue(self, name: str) -> None:
        """Delete a queue's registration. What it runs goes on, what waits on it waits until it is registered again.

        client.delete_queue("reports")
        """

    async def delete_queue_async(self, name: str) -> None:
        """Delete a queue's registration. What it runs goes on, what waits on it waits until it is registered again.

        client.delete_queue("reports")
        """

    def set_workflow_delay(
        self,
        workflow_id: str,
        *,
        delay_seconds: float | None = None,
        delay_until_epoch_ms: int | None = None,
        shard_key: str | None = None,
    ) -> None:
        """Change when a delayed workflow goes on its queue: in so many seconds, or at a time in epoch milliseconds.

        A workflow that is not delayed is left alone. Raises `DBOSException` unless exactly one is given, not negative.

            client.set_workflow_delay("order-17", delay_seconds=60)
        """

    async def set_workflow_delay_async(
        self,
        workflow_id: str,
        *,
        delay_seconds: float | None = None,
        delay_until_epoch_ms: int | None = None,
        shard_key: str | None = None,
    ) -> None:
        """Change when a delayed workflow goes on its queue: in so many seconds, or at a time in epoch milliseconds.

        A workflow that is not delayed is left alone. Raises `DBOSException` unless exactly one is given, not negative.

            client.set_workflow_delay("order-17", delay_seconds=60)
        """
