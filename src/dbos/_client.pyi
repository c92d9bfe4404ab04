"""Type stubs of `DBOSClient`. Written by `make stubs` from the running class: do not edit."""

from collections.abc import AsyncGenerator, Generator
from datetime import datetime
from typing import Any

from dbos._engine.handles import WorkflowHandle, WorkflowHandleAsync
from dbos._model.records import (
    ClientScheduleInput,
    EnqueueOptions,
    ExecutorInfo,
    QueueRateLimit,
    SendMessage,
    StepInfo,
    StrandedVersion,
    VersionInfo,
    WorkflowSchedule,
    WorkflowStatus,
)
from dbos._model.serialize import Serializer, WorkflowSerializationFormat
from dbos._ops.outside import Conflict
from dbos._ops.schedules import Filter
from dbos._ops.search import Texts

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

    def retrieve_workflow(self, workflow_id: str, *, shard_key: str | None = None) -> WorkflowHandle[Any]:
        """Return a handle to a workflow by its id. Nothing stored of the workflow is decoded.

        Raises `DBOSNonExistentWorkflowError` when it has no row.

            client.retrieve_workflow("order-17").get_result()
        """

    async def retrieve_workflow_async(
        self, workflow_id: str, *, shard_key: str | None = None
    ) -> WorkflowHandleAsync[Any]:
        """Return a handle to a workflow by its id. Nothing stored of the workflow is decoded.

        Raises `DBOSNonExistentWorkflowError` when it has no row.

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

    def list_queued_workflows(
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
        is_fork: bool | None = None,
        has_parent: bool | None = None,
        attributes: dict[str, Any] | None = None,
        application_name: str | list[str] | None = None,
        shard_key: str | list[str] | None = None,
        parent_shard_key: str | list[str] | None = None,
    ) -> list[WorkflowStatus]:
        """List workflows that are on a queue, waiting, delayed or running, oldest first; else as `list_workflows`.

        An explicit `status` replaces that set.

            client.list_queued_workflows(queue_name="reports", load_input=False)
        """

    async def list_queued_workflows_async(
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
        is_fork: bool | None = None,
        has_parent: bool | None = None,
        attributes: dict[str, Any] | None = None,
        application_name: str | list[str] | None = None,
        shard_key: str | list[str] | None = None,
        parent_shard_key: str | list[str] | None = None,
    ) -> list[WorkflowStatus]:
        """List workflows that are on a queue, waiting, delayed or running, oldest first; else as `list_workflows`.

        An explicit `status` replaces that set.

            client.list_queued_workflows(queue_name="reports", load_input=False)
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

        Raises `ValueError` for an empty list or one that names a workflow twice, `DBOSNonExistentWorkflowError` when one is
        deleted meanwhile.

            first = client.wait_first([client.retrieve_workflow(order) for order in ("order-17", "order-18")])
        """

    async def wait_first_async(
        self, handles: list[WorkflowHandleAsync[Any]], *, polling_interval_sec: float = 1.0
    ) -> WorkflowHandleAsync[Any]:
        """Wait for the first of several workflows to end, however it ends, and return its handle.

        Raises `ValueError` for an empty list or one that names a workflow twice, `DBOSNonExistentWorkflowError` when one is
        deleted meanwhile.

            first = client.wait_first([client.retrieve_workflow(order) for order in ("order-17", "order-18")])
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

    def update_workflow_attributes(
        self, workflow_id: str, attributes: dict[str, Any] | None, *, merge: bool = False, shard_key: str | None = None
    ) -> None:
        """Replace a workflow's attributes, in any status; None clears them. An unknown id is ignored.

        With `merge`, the given top-level keys are added to those it has, over those of the same name, whoever else merges
        at the same time.

        Raises `DBOSException` for attributes that are no dict or not JSON-serializable, and for merging None.

            client.update_workflow_attributes("order-17", {"customer": "alice"}, merge=True)
        """

    async def update_workflow_attributes_async(
        self, workflow_id: str, attributes: dict[str, Any] | None, *, merge: bool = False, shard_key: str | None = None
    ) -> None:
        """Replace a workflow's attributes, in any status; None clears them. An unknown id is ignored.

        With `merge`, the given top-level keys are added to those it has, over those of the same name, whoever else merges
        at the same time.

        Raises `DBOSException` for attributes that are no dict or not JSON-serializable, and for merging None.

            client.update_workflow_attributes("order-17", {"customer": "alice"}, merge=True)
        """

    def delete_workflow(self, workflow_id: str, *, delete_children: bool = False, shard_key: str | None = None) -> None:
        """Delete a workflow, in any status, with its steps, messages, events and streams. This cannot be undone.

        With `delete_children`, the workflows it started are deleted too, and so on down. An unknown id is ignored.

            client.delete_workflow("order-17", delete_children=True)
        """

    async def delete_workflow_async(
        self, workflow_id: str, *, delete_children: bool = False, shard_key: str | None = None
    ) -> None:
        """Delete a workflow, in any status, with its steps, messages, events and streams. This cannot be undone.

        With `delete_children`, the workflows it started are deleted too, and so on down. An unknown id is ignored.

            client.delete_workflow("order-17", delete_children=True)
        """

    def delete_workflows(
        self, workflow_ids: list[str], *, delete_children: bool = False, shard_key: str | None = None
    ) -> None:
        """Delete workflows, in any status, with their steps, messages, events and streams. This cannot be undone.

        With `delete_children`, the workflows they started are deleted too, and so on down. Forks never are. Unknown ids
        are ignored. One that is running fails at its next operation, and whoever waits for it gets
        `DBOSNonExistentWorkflowError`. Its id may be used again.

            client.delete_workflows(["order-17", "order-18"])
        """

    async def delete_workflows_async(
        self, workflow_ids: list[str], *, delete_children: bool = False, shard_key: str | None = None
    ) -> None:
        """Delete workflows, in any status, with their steps, messages, events and streams. This cannot be undone.

        With `delete_children`, the workflows they started are deleted too, and so on down. Forks never are. Unknown ids
        are ignored. One that is running fails at its next operation, and whoever waits for it gets
        `DBOSNonExistentWorkflowError`. Its id may be used again.

            client.delete_workflows(["order-17", "order-18"])
        """

    def fork_workflow(
        self,
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

            fork = client.fork_workflow("order-17", 3, application_version="v2")
            fork.get_result()
        """

    async def fork_workflow_async(
        self,
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

            fork = client.fork_workflow("order-17", 3, application_version="v2")
            fork.get_result()
        """

    def fork_from_failure(
        self,
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

            failed = [one.workflow_id for one in client.list_workflows(status="ERROR")]
            client.fork_from_failure(failed, from_last_failure=True)
        """

    async def fork_from_failure_async(
        self,
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

            failed = [one.workflow_id for one in client.list_workflows(status="ERROR")]
            client.fork_from_failure(failed, from_last_failure=True)
        """

    def rewind_workflow(
        self,
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

            client.rewind_workflow("order-17", start_step=3).get_result()
        """

    async def rewind_workflow_async(
        self,
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

            client.rewind_workflow("order-17", start_step=3).get_result()
        """

    def export_workflow(self, workflow_id: str, export_children: bool = False) -> list[dict[str, Any]]:
        """Return everything stored of a workflow, and of its descendants if asked, for `import_workflow`.

        The workflow comes first. Each is a dict of plain values: its columns under `workflow_status`, its steps, events and
        streams as lists of rows; inputs and results stay encoded. Messages are not exported. JSON can carry it.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow.

            exported = client.export_workflow("order-17", export_children=True)
        """

    async def export_workflow_async(self, workflow_id: str, export_children: bool = False) -> list[dict[str, Any]]:
        """Return everything stored of a workflow, and of its descendants if asked, for `import_workflow`.

        The workflow comes first. Each is a dict of plain values: its columns under `workflow_status`, its steps, events and
        streams as lists of rows; inputs and results stay encoded. Messages are not exported. JSON can carry it.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow.

            exported = client.export_workflow("order-17", export_children=True)
        """

    def import_workflow(self, workflows: list[dict[str, Any]]) -> None:
        """Create workflows as they were exported: all of them or none.

        They are what they were: finished ones can be read and forked, those that wait on a queue run here, and those that
        were running are recovered as any other.

        Raises SQLAlchemy's `IntegrityError` when one of the ids is in use, `DBOSException` for what is no export.

            client.import_workflow(exported)
        """

    async def import_workflow_async(self, workflows: list[dict[str, Any]]) -> None:
        """Create workflows as they were exported: all of them or none.

        They are what they were: finished ones can be read and forked, those that wait on a queue run here, and those that
        were running are recovered as any other.

        Raises SQLAlchemy's `IntegrityError` when one of the ids is in use, `DBOSException` for what is no export.

            client.import_workflow(exported)
        """

    def garbage_collect(
        self,
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
            client.garbage_collect(int(week_ago.timestamp() * 1000), rows_threshold=100_000)
        """

    async def garbage_collect_async(
        self,
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
            client.garbage_collect(int(week_ago.timestamp() * 1000), rows_threshold=100_000)
        """

    def global_timeout(self, cutoff_epoch_timestamp_ms: int) -> int:
        """Cancel every workflow that is not finished and was created at a time or before; return how many.

        The cutoff is in epoch milliseconds. Only workflows of this application and unclaimed ones are cancelled.

            day_ago = datetime.now(timezone.utc) - timedelta(days=1)
            client.global_timeout(int(day_ago.timestamp() * 1000))
        """

    async def global_timeout_async(self, cutoff_epoch_timestamp_ms: int) -> int:
        """Cancel every workflow that is not finished and was created at a time or before; return how many.

        The cutoff is in epoch milliseconds. Only workflows of this application and unclaimed ones are cancelled.

            day_ago = datetime.now(timezone.utc) - timedelta(days=1)
            client.global_timeout(int(day_ago.timestamp() * 1000))
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

    def send(
        self,
        destination_id: str,
        message: Any,
        topic: str | None = None,
        idempotency_key: str | None = None,
        *,
        serialization_type: WorkflowSerializationFormat | None = ...,
        send_to_forks: bool = False,
        shard_key: str | None = None,
    ) -> None:
        """Send a message to a workflow, which takes it with `recv` of the same topic, now or later.

        A second message with one `idempotency_key` to one workflow is ignored. With `send_to_forks`, the workflow's forks
        and theirs get it too.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow, and whatever serializing the message raises.

            client.send("order-17", "paid", topic="payment", idempotency_key="payment-1")
        """

    async def send_async(
        self,
        destination_id: str,
        message: Any,
        topic: str | None = None,
        idempotency_key: str | None = None,
        *,
        serialization_type: WorkflowSerializationFormat | None = ...,
        send_to_forks: bool = False,
        shard_key: str | None = None,
    ) -> None:
        """Send a message to a workflow, which takes it with `recv` of the same topic, now or later.

        A second message with one `idempotency_key` to one workflow is ignored. With `send_to_forks`, the workflow's forks
        and theirs get it too.

        Raises `DBOSNonExistentWorkflowError` if there is no such workflow, and whatever serializing the message raises.

            client.send("order-17", "paid", topic="payment", idempotency_key="payment-1")
        """

    def send_bulk(
        self,
        messages: list[SendMessage],
        *,
        serialization_type: WorkflowSerializationFormat | None = ...,
        send_to_forks: bool = False,
    ) -> None:
        """Send many messages, all or none.

        Raises what `send` raises, and `DBOSException` when two of them have one idempotency key.

            client.send_bulk([SendMessage("order-17", "paid"), SendMessage("order-18", "paid")])
        """

    async def send_bulk_async(
        self,
        messages: list[SendMessage],
        *,
        serialization_type: WorkflowSerializationFormat | None = ...,
        send_to_forks: bool = False,
    ) -> None:
        """Send many messages, all or none.

        Raises what `send` raises, and `DBOSException` when two of them have one idempotency key.

            client.send_bulk([SendMessage("order-17", "paid"), SendMessage("order-18", "paid")])
        """

    def get_all_messages(self, workflow_id: str, *, shard_key: str | None = None) -> list[dict[str, Any]]:
        """Return every message to a workflow, received or not, in the order of creation; [] if there are none.

        Each is a dict with the keys `topic` (None for the default one), `message` (as it is stored, if it cannot be decoded
        here), `created_at_epoch_ms` (int), `consumed` (bool).

            client.get_all_messages("order-17")
        """

    async def get_all_messages_async(self, workflow_id: str, *, shard_key: str | None = None) -> list[dict[str, Any]]:
        """Return every message to a workflow, received or not, in the order of creation; [] if there are none.

        Each is a dict with the keys `topic` (None for the default one), `message` (as it is stored, if it cannot be decoded
        here), `created_at_epoch_ms` (int), `consumed` (bool).

            client.get_all_messages("order-17")
        """

    def send_in_transaction(
        self,
        conn_or_session: Any,
        destination_id: str,
        message: Any,
        topic: str | None = None,
        idempotency_key: str | None = None,
        *,
        serialization_type: WorkflowSerializationFormat | None = ...,
        send_to_forks: bool = False,
        shard_key: str | None = None,
    ) -> None:
        """Send a message within a transaction of yours: it is sent if and when you commit.

        `conn_or_session` is a SQLAlchemy `Connection` or ORM `Session` to the system database; nothing of its transaction
        is begun, committed, rolled back or retried here. The workflow may have been enqueued in the same transaction.

        Raises what `send` raises.

            with engine.begin() as connection:
                connection.execute(insert(payments).values(order=17))
                client.send_in_transaction(connection, "order-17", "paid", topic="payment")
        """

    def send_bulk_in_transaction(
        self,
        conn_or_session: Any,
        messages: list[SendMessage],
        *,
        serialization_type: WorkflowSerializationFormat | None = ...,
        send_to_forks: bool = False,
    ) -> None:
        """Send many messages within a transaction of yours: they are sent if and when you commit.

        Raises what `send_in_transaction` raises, and `DBOSException` when two of them have one idempotency key.

            with engine.begin() as connection:
                client.send_bulk_in_transaction(connection, [SendMessage(order_id, "paid") for order_id in order_ids])
        """

    def get_event(
        self, workflow_id: str, key: str, timeout_seconds: float = 60, *, shard_key: str | None = None
    ) -> Any:
        """Return the current value of a workflow's event; wait up to `timeout_seconds` until it is set, then return None.

        The workflow may run anywhere, have ended, or not exist yet.

            client.get_event("order-17", "progress", timeout_seconds=5)
        """

    async def get_event_async(
        self, workflow_id: str, key: str, timeout_seconds: float = 60, *, shard_key: str | None = None
    ) -> Any:
        """Return the current value of a workflow's event; wait up to `timeout_seconds` until it is set, then return None.

        The workflow may run anywhere, have ended, or not exist yet.

            client.get_event("order-17", "progress", timeout_seconds=5)
        """

    def get_all_events(self, workflow_id: str, *, shard_key: str | None = None) -> dict[str, Any]:
        """Return the current value of every event of a workflow, by key; {} if there are none.

        Raises what decoding one of them raises.

            client.get_all_events("order-17")
        """

    async def get_all_events_async(self, workflow_id: str, *, shard_key: str | None = None) -> dict[str, Any]:
        """Return the current value of every event of a workflow, by key; {} if there are none.

        Raises what decoding one of them raises.

            client.get_all_events("order-17")
        """

    def read_stream(
        self,
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

            for value in client.read_stream("order-17", "progress", timeout_seconds=60):
                print(value)
        """

    def read_stream_async(
        self,
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

            for value in client.read_stream("order-17", "progress", timeout_seconds=60):
                print(value)
        """

    def read_stream_offset(
        self,
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

            client.read_stream_offset("order-17", "progress", 0, timeout_seconds=60)
        """

    async def read_stream_offset_async(
        self,
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

            client.read_stream_offset("order-17", "progress", 0, timeout_seconds=60)
        """

    def get_all_streams(self, workflow_id: str, *, shard_key: str | None = None) -> dict[str, list[Any]]:
        """Return what every stream of a workflow holds now, by key, up to where a reader would end; {} if there are none.

        A value that cannot be decoded here is shown as it is stored.

            client.get_all_streams("order-17")
        """

    async def get_all_streams_async(self, workflow_id: str, *, shard_key: str | None = None) -> dict[str, list[Any]]:
        """Return what every stream of a workflow holds now, by key, up to where a reader would end; {} if there are none.

        A value that cannot be decoded here is shown as it is stored.

            client.get_all_streams("order-17")
        """

    def create_schedule(
        self,
        *,
        schedule_name: str,
        workflow_name: str,
        schedule: str,
        context: Any = None,
        workflow_class_name: str | None = None,
        automatic_backfill: bool = False,
        cron_timezone: str | None = None,
        queue_name: str | None = None,
        application_name: str | None = None,
        shard_key: str | None = None,
    ) -> None:
        """Create a schedule for a workflow known by its name only; nothing of it need be registered here.

        Raises `DBOSException` for an invalid expression or time zone, and for a name that is taken.

            client.create_schedule(schedule_name="nightly", workflow_name="close_books", schedule="0 0 * * *")
        """

    async def create_schedule_async(
        self,
        *,
        schedule_name: str,
        workflow_name: str,
        schedule: str,
        context: Any = None,
        workflow_class_name: str | None = None,
        automatic_backfill: bool = False,
        cron_timezone: str | None = None,
        queue_name: str | None = None,
        application_name: str | None = None,
        shard_key: str | None = None,
    ) -> None:
        """Create a schedule for a workflow known by its name only; nothing of it need be registered here.

        Raises `DBOSException` for an invalid expression or time zone, and for a name that is taken.

            client.create_schedule(schedule_name="nightly", workflow_name="close_books", schedule="0 0 * * *")
        """

    def apply_schedules(self, schedules: list[ClientScheduleInput]) -> None:
        """Create schedules of workflows known by name, or replace their definitions: all, or none if one is refused.

        Raises `DBOSException` for an invalid entry, and inside a workflow.

            client.apply_schedules([{"schedule_name": "nightly", "workflow_name": "close_books", "schedule": "@daily"}])
        """

    async def apply_schedules_async(self, schedules: list[ClientScheduleInput]) -> None:
        """Create schedules of workflows known by name, or replace their definitions: all, or none if one is refused.

        Raises `DBOSException` for an invalid entry, and inside a workflow.

            client.apply_schedules([{"schedule_name": "nightly", "workflow_name": "close_books", "schedule": "@daily"}])
        """

    def list_schedules(
        self,
        *,
        status: Filter = None,
        workflow_name: Filter = None,
        schedule_name_prefix: Filter = None,
        application_name: Filter = None,
    ) -> list[WorkflowSchedule]:
        """Return the schedules of this application, or of the named ones, and those that nobody owns, by name.

        Every filter is one value or a list of them; all must pass.

            client.list_schedules(status="ACTIVE", schedule_name_prefix="report-")
        """

    async def list_schedules_async(
        self,
        *,
        status: Filter = None,
        workflow_name: Filter = None,
        schedule_name_prefix: Filter = None,
        application_name: Filter = None,
    ) -> list[WorkflowSchedule]:
        """Return the schedules of this application, or of the named ones, and those that nobody owns, by name.

        Every filter is one value or a list of them; all must pass.

            client.list_schedules(status="ACTIVE", schedule_name_prefix="report-")
        """

    def get_schedule(self, name: str) -> WorkflowSchedule | None:
        """Return a schedule, whoever owns it, or None.

        client.get_schedule("nightly")["last_fired_at"]
        """

    async def get_schedule_async(self, name: str) -> WorkflowSchedule | None:
        """Return a schedule, whoever owns it, or None.

        client.get_schedule("nightly")["last_fired_at"]
        """

    def delete_schedule(self, name: str) -> None:
        """Delete a schedule, if there is one of that name. What it has enqueued still runs.

        client.delete_schedule("nightly")
        """

    async def delete_schedule_async(self, name: str) -> None:
        """Delete a schedule, if there is one of that name. What it has enqueued still runs.

        client.delete_schedule("nightly")
        """

    def pause_schedule(self, name: str) -> None:
        """Keep a schedule from firing until it is resumed. What it would have fired for meanwhile is skipped.

        client.pause_schedule("nightly")
        """

    async def pause_schedule_async(self, name: str) -> None:
        """Keep a schedule from firing until it is resumed. What it would have fired for meanwhile is skipped.

        client.pause_schedule("nightly")
        """

    def resume_schedule(self, name: str) -> None:
        """Let a paused schedule fire again.

        client.resume_schedule("nightly")
        """

    async def resume_schedule_async(self, name: str) -> None:
        """Let a paused schedule fire again.

        client.resume_schedule("nightly")
        """

    def backfill_schedule(self, schedule_name: str, start: datetime, end: datetime) -> list[WorkflowHandle[None]]:
        """Enqueue the runs of every time strictly between two moments, and return their handles in order of time.

        A time that was fired already is not run again: repeating this does no harm. Datetimes without a zone are UTC.

        Raises `DBOSException` for an unknown schedule and inside a workflow, ValueError when it can never fire.

            client.backfill_schedule("nightly", datetime(2025, 1, 1), datetime(2025, 2, 1))
        """

    async def backfill_schedule_async(
        self, schedule_name: str, start: datetime, end: datetime
    ) -> list[WorkflowHandleAsync[None]]:
        """Enqueue the runs of every time strictly between two moments, and return their handles in order of time.

        A time that was fired already is not run again: repeating this does no harm. Datetimes without a zone are UTC.

        Raises `DBOSException` for an unknown schedule and inside a workflow, ValueError when it can never fire.

            client.backfill_schedule("nightly", datetime(2025, 1, 1), datetime(2025, 2, 1))
        """

    def trigger_schedule(self, schedule_name: str) -> WorkflowHandle[None]:
        """Enqueue a run of a schedule now, whatever its times and status, and return its handle.

        Raises `DBOSException` for an unknown schedule and inside a workflow.

            client.trigger_schedule("nightly").get_result()
        """

    async def trigger_schedule_async(self, schedule_name: str) -> WorkflowHandleAsync[None]:
        """Enqueue a run of a schedule now, whatever its times and status, and return its handle.

        Raises `DBOSException` for an unknown schedule and inside a workflow.

            client.trigger_schedule("nightly").get_result()
        """

    def preview_schedule(self, name_or_cron: str, n: int = 5, *, cron_timezone: str | None = None) -> list[datetime]:
        """Return the next `n` times of a schedule, or of a cron expression in `cron_timezone` (UTC unless given).

        There are fewer when it fires no more. Nothing is changed.

        Raises `DBOSException` when it is neither the name of a schedule nor a valid expression.

            client.preview_schedule("0 9 * * mon-fri", 3, cron_timezone="Europe/Berlin")
        """

    async def preview_schedule_async(
        self, name_or_cron: str, n: int = 5, *, cron_timezone: str | None = None
    ) -> list[datetime]:
        """Return the next `n` times of a schedule, or of a cron expression in `cron_timezone` (UTC unless given).

        There are fewer when it fires no more. Nothing is changed.

        Raises `DBOSException` when it is neither the name of a schedule nor a valid expression.

            client.preview_schedule("0 9 * * mon-fri", 3, cron_timezone="Europe/Berlin")
        """

    def list_application_versions(self) -> list[VersionInfo]:
        """Return the versions of this application and unclaimed ones, the latest first.

        Raises `DBOSQueryTimeoutError` when Postgres takes longer than `observability_query_timeout_sec`.

            [version["version_name"] for version in client.list_application_versions()]
        """

    async def list_application_versions_async(self) -> list[VersionInfo]:
        """Return the versions of this application and unclaimed ones, the latest first.

        Raises `DBOSQueryTimeoutError` when Postgres takes longer than `observability_query_timeout_sec`.

            [version["version_name"] for version in client.list_application_versions()]
        """

    def get_latest_application_version(self) -> VersionInfo:
        """Return the latest version of this application; it runs the workflows that carry no version.

        Raises `DBOSException` when none is registered.

            client.get_latest_application_version()["version_name"]
        """

    async def get_latest_application_version_async(self) -> VersionInfo:
        """Return the latest version of this application; it runs the workflows that carry no version.

        Raises `DBOSException` when none is registered.

            client.get_latest_application_version()["version_name"]
        """

    def set_latest_application_version(self, version_name: str, *, application_name: str | None = None) -> None:
        """Make a registered version the latest one; an unknown name changes nothing.

        Raises `DBOSException` when another application owns the version.

            client.set_latest_application_version("v2")
        """

    async def set_latest_application_version_async(
        self, version_name: str, *, application_name: str | None = None
    ) -> None:
        """Make a registered version the latest one; an unknown name changes nothing.

        Raises `DBOSException` when another application owns the version.

            client.set_latest_application_version("v2")
        """

    def list_executors(self, *, application_name: str | list[str] | None = None) -> list[ExecutorInfo]:
        """Return the processes of this application, or of the named ones, that hold a lease, the longest running first.

        One that died is listed, with `is_alive` False, until another process has taken over everything it ran. Processes
        launched with `executor_lease_sec` 0 are not listed.

            [(executor.host, executor.pid, executor.running_workflows) for executor in client.list_executors()]
        """

    async def list_executors_async(self, *, application_name: str | list[str] | None = None) -> list[ExecutorInfo]:
        """Return the processes of this application, or of the named ones, that hold a lease, the longest running first.

        One that died is listed, with `is_alive` False, until another process has taken over everything it ran. Processes
        launched with `executor_lease_sec` 0 are not listed.

            [(executor.host, executor.pid, executor.running_workflows) for executor in client.list_executors()]
        """

    def list_stranded_versions(self) -> list[StrandedVersion]:
        """Return the application versions of waiting workflows that no live process can run, the longest waiting first.

        Start a process of that version, or cancel or fork its workflows. Processes without a lease are not known here.

            [(version.application_version, version.workflows) for version in client.list_stranded_versions()]
        """

    async def list_stranded_versions_async(self) -> list[StrandedVersion]:
        """Return the application versions of waiting workflows that no live process can run, the longest waiting first.

        Start a process of that version, or cancel or fork its workflows. Processes without a lease are not known here.

            [(version.application_version, version.workflows) for version in client.list_stranded_versions()]
        """

    def get_workflow_aggregates(
        self,
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

            client.get_workflow_aggregates(group_by_status=True, select_count=True)
        """

    async def get_workflow_aggregates_async(
        self,
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

            client.get_workflow_aggregates(group_by_status=True, select_count=True)
        """

    def get_step_aggregates(
        self,
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

            client.get_step_aggregates(group_by_function_name=True, select_max_duration_ms=True)
        """

    async def get_step_aggregates_async(
        self,
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

            client.get_step_aggregates(group_by_function_name=True, select_max_duration_ms=True)
        """

    def get_metrics(self, start_time: str, end_time: str, application_name: Texts = None) -> list[dict[str, Any]]:
        """Count the workflows created and the steps completed from `start_time` until before `end_time`, by name.

        Raises `ValueError` for a missing or malformed time.

            client.get_metrics("2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00")
        """

    async def get_metrics_async(
        self, start_time: str, end_time: str, application_name: Texts = None
    ) -> list[dict[str, Any]]:
        """Count the workflows created and the steps completed from `start_time` until before `end_time`, by name.

        Raises `ValueError` for a missing or malformed time.

            client.get_metrics("2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00")
        """

    def rename_application(
        self, old_name: str | None, new_name: str, *, batch_size: int | None = 10000, adopt_unclaimed_rows: bool = False
    ) -> dict[str, int]:
        """Give everything an application owns to another name; return how many rows of each kind were given.

        The kinds are queues, schedules, versions, workflows and steps. Stop the application first. With
        `adopt_unclaimed_rows`, what belongs to nobody goes to `new_name` too, and `old_name=None` gives it only that. What
        decides which work runs where changes in one transaction; finished workflows and steps follow, `batch_size` workflow
        ids in a transaction, None: all at once. If it is interrupted, call it again.

        Raises `DBOSException` for names that are empty, invalid or equal, and when there is nothing to give; `ValueError`
        for a `batch_size` below 1.

            client.rename_application("shop", "store")
        """

    async def rename_application_async(
        self, old_name: str | None, new_name: str, *, batch_size: int | None = 10000, adopt_unclaimed_rows: bool = False
    ) -> dict[str, int]:
        """Give everything an application owns to another name; return how many rows of each kind were given.

        The kinds are queues, schedules, versions, workflows and steps. Stop the application first. With
        `adopt_unclaimed_rows`, what belongs to nobody goes to `new_name` too, and `old_name=None` gives it only that. What
        decides which work runs where changes in one transaction; finished workflows and steps follow, `batch_size` workflow
        ids in a transaction, None: all at once. If it is interrupted, call it again.

        Raises `DBOSException` for names that are empty, invalid or equal, and when there is nothing to give; `ValueError`
        for a `batch_size` below 1.

            client.rename_application("shop", "store")
        """
