"""`DBOSClient`: the same operations from outside an application, two lines each.

Knows how a client opens its database and that nothing around a call reaches it (CLT-81, CLT-83). Leaves the operations
to `_ops`, which know no difference.
"""

from __future__ import annotations

import functools
import inspect
import logging
import threading
from typing import Any

from ._engine.color import generate, returned, run_now, settled
from ._engine.context import Context, Options, current, enter, leave
from ._engine.outside import Outside
from ._engine.threads import loop_is_running
from ._error import DBOSException, DBOSInitializationError
from ._model.config import derived_url, limit_ms
from ._model.serialize import Codec, PickleSerializer, Serializer
from ._ops import (
    attributes,
    deletion,
    events,
    executors,
    forking,
    messages,
    metrics,
    outside,
    queues,
    retention,
    schedules,
    search,
    sharing,
    streams,
    transfer,
    versions,
    workflows,
)
from ._queue import queue_of
from ._store.opening import Opening, open_database

logger = logging.getLogger("dbos")

POLL_SEC = 1.0  # how stale an old wait may be (CLT-13)
POOL_SIZE = 5


def _around(here: Context | None, takes_id: bool) -> Context | None:
    """Return what of the context around a call reaches it: nothing (CLT-83), or the next id a fork takes (CLT-58)."""
    if here is None or not takes_id or here.options.next_id is None:
        return None
    return Context(options=Options(next_id=here.options.next_id))


def verb(op: Any, *, name: str = "", warn: bool = False, takes_id: bool = False) -> Any:
    """Publish an operation as a method; with `warn`, it warns where it blocks a running event loop (CLT-25)."""

    def face(client: DBOSClient, /, *args: Any, **kwargs: Any) -> Any:
        if warn and loop_is_running():
            logger.warning(
                "DBOSClient.%s blocks the running event loop: use await %s_async(...)", op.__name__, op.__name__
            )
        return client._run(op, args, kwargs, takes_id=takes_id)

    return _published(face, op, name or op.__name__)


def verb_async(op: Any, *, name: str = "", takes_id: bool = False) -> Any:
    """Publish an operation's coroutine form as a method."""

    async def face(client: DBOSClient, /, *args: Any, **kwargs: Any) -> Any:
        return await client._run_async(op, args, kwargs, takes_id=takes_id)

    return _published(face, op, f"{name or op.__name__}_async")


def verb_yielding(op: Any) -> Any:
    """Publish an operation that yields as a generator method. Nothing around an iteration reaches it (CLT-83)."""

    def face(client: DBOSClient, /, *args: Any, **kwargs: Any) -> Any:
        node = client._connected()
        yield from generate(op(node, node.blocking, *args, **kwargs))

    return _published(face, op, op.__name__)


def verb_yielding_async(op: Any) -> Any:
    """Publish an operation that yields as an async generator method."""

    async def face(client: DBOSClient, /, *args: Any, **kwargs: Any) -> Any:
        node = client._node if client._started else await client._node.looping.query(client._connected)
        core = op(node, node.looping, *args, **kwargs)
        try:
            async for value in core:
                yield value
        finally:
            await core.aclose()

    return _published(face, op, f"{op.__name__}_async")


def _published(face: Any, op: Any, name: str) -> Any:
    """Give a method the documentation and signature of its operation, spoken from a client."""
    functools.update_wrapper(face, op)
    del face.__wrapped__
    face.__name__ = name
    face.__qualname__ = f"DBOSClient.{name}"
    face.__doc__ = (op.__doc__ or "").replace(" DBOS.", " client.").replace("[DBOS.", "[client.")
    signature = inspect.signature(op)
    parameters = list(signature.parameters.values())[2:]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    if parameters and parameters[0].kind is inspect.Parameter.POSITIONAL_ONLY:
        kind = inspect.Parameter.POSITIONAL_ONLY
    face.__signature__ = signature.replace(
        parameters=[inspect.Parameter("self", kind), *parameters], return_annotation=returned(face, signature)
    )
    return face


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
        serializer: Serializer = PickleSerializer(),  # noqa: B008  # it has no state
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
        if sharding:
            raise DBOSInitializationError("sharded system database not supported: leave sharding out")
        if lazy and use_listen_notify:
            raise DBOSException("A lazy client cannot use_listen_notify: listening needs a connection at once")
        if hasattr(system_database_engine, "sync_engine"):
            raise DBOSException("system_database_engine is an AsyncEngine: give a plain Engine")
        opening = Opening(
            url=_url(system_database_url, database_url or application_database_url, system_database_engine),
            engine=system_database_engine,
            schema=dbos_system_schema or "dbos",
            pool_size=system_database_pool_size or POOL_SIZE,
            pool_timeout_sec=30.0,
            connect_timeout=10,
            application_name="dbos_transact_client",
            idle_transaction_timeout_ms=limit_ms(
                "sys_db_idle_transaction_timeout_sec", sys_db_idle_transaction_timeout_sec, 60.0
            ),
            observe_timeout_ms=limit_ms("observability_query_timeout_sec", observability_query_timeout_sec, 30.0),
            listen_notify=use_listen_notify,
        )
        database = open_database(opening, migrate=False, verify=False, retry=retry_connection_errors)
        self._node = Outside(
            database,
            Codec(serializer),
            application_name=application_name,
            poll_sec=POLL_SEC,
            listens=use_listen_notify,
        )
        self._node.queue_of = queue_of
        self._opening = opening
        self._system_database: Any = None
        self._started = self._destroyed = False
        self._starting = threading.Lock()
        if not lazy:
            try:
                self._connected()
            except BaseException:
                self.destroy()
                raise

    def _connected(self) -> Outside:
        """Return the node of a client that has been connected, now or before (CLT-10)."""
        node = self._node
        if not self._started and not self._destroyed:
            try:
                node.database.check()
            except Exception as error:
                logger.error("The client cannot connect to the system database: %s", error)
                raise
            with self._starting:
                if not self._started:
                    node.journal.start()
                    node.signals.listen()
                    self._started = True
        return node

    def _run(self, op: Any, args: Any, kwargs: Any, *, takes_id: bool = False) -> Any:
        """Run an operation to its end; nothing around the call reaches it (CLT-83)."""
        node = self._connected()
        here = current()
        token = enter(_around(here, takes_id))
        try:
            return settled(run_now(op(node, node.blocking, *args, **kwargs)))
        finally:
            leave(token, here)

    async def _run_async(self, op: Any, args: Any, kwargs: Any, *, takes_id: bool = False) -> Any:
        """Do what `_run` does, from async code."""
        node = self._node if self._started else await self._node.looping.query(self._connected)
        here = current()
        token = enter(_around(here, takes_id))
        try:
            return settled(await op(node, node.looping, *args, **kwargs))
        finally:
            leave(token, here)

    # --- life
    check_connection = verb(outside.check_connection, warn=True)
    check_connection_async = verb_async(outside.check_connection)

    def destroy(self) -> None:
        """Stop waiting and close every connection. Calling it again does nothing.

        It may block: async code leaves an `async with` block, or calls it in a thread.

            client.destroy()
        """
        if not self._destroyed:
            self._destroyed = True
            if self._system_database is not None:
                self._system_database.close()
            self._node.stop()

    # --- what packages built on dbos reach for, and nothing else may (CMP-0)
    @property
    def _sys_db(self) -> Any:
        """The system database: see `integrations.system_database`."""
        if self._system_database is None:
            from .integrations.system_database import SystemDatabase

            opening = self._opening
            self._system_database = SystemDatabase(
                self._connected,
                opening.url,
                opening.engine,
                schema=opening.schema,
                pool_size=opening.pool_size,
                client=opening.application_name,
            )
        return self._system_database

    @property
    def _serializer(self) -> Serializer:
        """What encodes and decodes values; it may be replaced."""
        return self._node.codec.configured

    @_serializer.setter
    def _serializer(self, serializer: Serializer) -> None:
        self._node.codec = Codec(serializer)

    def __enter__(self) -> DBOSClient:
        """Return the client."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Destroy the client."""
        self.destroy()

    async def __aenter__(self) -> DBOSClient:
        """Return the client."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Destroy the client, in a thread."""
        import asyncio

        await asyncio.get_running_loop().run_in_executor(None, self.destroy)

    # --- workflows
    enqueue = verb(outside.enqueue)
    enqueue_async = verb_async(outside.enqueue)
    enqueue_in_transaction = verb(outside.enqueue_in_transaction)
    retrieve_workflow = verb(outside.retrieve_workflow)
    retrieve_workflow_async = verb_async(outside.retrieve_workflow)
    list_workflows = verb(search.list_workflows)
    list_workflows_async = verb_async(search.list_workflows)
    list_queued_workflows = verb(search.list_queued_workflows)
    list_queued_workflows_async = verb_async(search.list_queued_workflows)
    list_workflow_steps = verb(workflows.list_workflow_steps)
    list_workflow_steps_async = verb_async(workflows.list_workflow_steps)
    wait_first = verb(workflows.wait_first)
    wait_first_async = verb_async(workflows.wait_first)
    cancel_workflow = verb(workflows.cancel_workflow)
    cancel_workflow_async = verb_async(workflows.cancel_workflow)
    cancel_workflows = verb(workflows.cancel_workflows)
    cancel_workflows_async = verb_async(workflows.cancel_workflows)
    resume_workflow = verb(workflows.resume_workflow)
    resume_workflow_async = verb_async(workflows.resume_workflow)
    resume_workflows = verb(workflows.resume_workflows)
    resume_workflows_async = verb_async(workflows.resume_workflows)
    update_workflow_attributes = verb(attributes.update_workflow_attributes)
    update_workflow_attributes_async = verb_async(attributes.update_workflow_attributes)
    delete_workflow = verb(deletion.delete_workflow)
    delete_workflow_async = verb_async(deletion.delete_workflow)
    delete_workflows = verb(deletion.delete_workflows)
    delete_workflows_async = verb_async(deletion.delete_workflows)
    fork_workflow = verb(forking.fork_workflow, takes_id=True)
    fork_workflow_async = verb_async(forking.fork_workflow, takes_id=True)
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

    # --- queues
    register_queue = verb(outside.register_queue, warn=True)
    register_queue_async = verb_async(outside.register_queue)
    retrieve_queue = verb(queues.retrieve_queue, warn=True)
    retrieve_queue_async = verb_async(queues.retrieve_queue)
    list_queues = verb(queues.list_queues, warn=True)
    list_queues_async = verb_async(queues.list_queues)
    delete_queue = verb(queues.delete_queue, warn=True)
    delete_queue_async = verb_async(queues.delete_queue)
    set_workflow_delay = verb(queues.set_workflow_delay)
    set_workflow_delay_async = verb_async(queues.set_workflow_delay)

    # --- messages and events
    send = verb(outside.send)
    send_async = verb_async(outside.send)
    send_bulk = verb(messages.send_bulk)
    send_bulk_async = verb_async(messages.send_bulk)
    get_all_messages = verb(messages.get_all_messages)
    get_all_messages_async = verb_async(messages.get_all_messages)
    send_in_transaction = verb(outside.send_in_transaction)
    send_bulk_in_transaction = verb(outside.send_bulk_in_transaction)
    get_event = verb(events.get_event)
    get_event_async = verb_async(events.get_event)
    get_all_events = verb(events.get_all_events)
    get_all_events_async = verb_async(events.get_all_events)

    # --- streams
    read_stream = verb_yielding(streams.read_stream)
    read_stream_async = verb_yielding_async(streams.read_stream)
    read_stream_offset = verb(streams.read_stream_offset)
    read_stream_offset_async = verb_async(streams.read_stream_offset)
    get_all_streams = verb(streams.get_all_streams)
    get_all_streams_async = verb_async(streams.get_all_streams)

    # --- schedules
    create_schedule = verb(schedules.create_schedule_by_name, name="create_schedule")
    create_schedule_async = verb_async(schedules.create_schedule_by_name, name="create_schedule")
    apply_schedules = verb(schedules.apply_schedules_by_name, name="apply_schedules")
    apply_schedules_async = verb_async(schedules.apply_schedules_by_name, name="apply_schedules")
    list_schedules = verb(schedules.list_schedules)
    list_schedules_async = verb_async(schedules.list_schedules)
    get_schedule = verb(schedules.get_schedule)
    get_schedule_async = verb_async(schedules.get_schedule)
    delete_schedule = verb(schedules.delete_schedule)
    delete_schedule_async = verb_async(schedules.delete_schedule)
    pause_schedule = verb(schedules.pause_schedule)
    pause_schedule_async = verb_async(schedules.pause_schedule)
    resume_schedule = verb(schedules.resume_schedule)
    resume_schedule_async = verb_async(schedules.resume_schedule)
    backfill_schedule = verb(schedules.backfill_schedule)
    backfill_schedule_async = verb_async(schedules.backfill_schedule)
    trigger_schedule = verb(schedules.trigger_schedule)
    trigger_schedule_async = verb_async(schedules.trigger_schedule)
    preview_schedule = verb(schedules.preview_schedule)
    preview_schedule_async = verb_async(schedules.preview_schedule)

    # --- versions, executors, counting
    list_application_versions = verb(versions.list_application_versions)
    list_application_versions_async = verb_async(versions.list_application_versions)
    get_latest_application_version = verb(versions.get_latest_application_version)
    get_latest_application_version_async = verb_async(versions.get_latest_application_version)
    set_latest_application_version = verb(versions.set_latest_application_version)
    set_latest_application_version_async = verb_async(versions.set_latest_application_version)
    list_executors = verb(executors.list_executors)
    list_executors_async = verb_async(executors.list_executors)
    list_stranded_versions = verb(executors.list_stranded_versions)
    list_stranded_versions_async = verb_async(executors.list_stranded_versions)
    get_workflow_aggregates = verb(metrics.get_workflow_aggregates)
    get_workflow_aggregates_async = verb_async(metrics.get_workflow_aggregates)
    get_step_aggregates = verb(metrics.get_step_aggregates)
    get_step_aggregates_async = verb_async(metrics.get_step_aggregates)
    get_metrics = verb(metrics.get_metrics)
    get_metrics_async = verb_async(metrics.get_metrics)

    # --- sharing a system database
    rename_application = verb(sharing.rename_application, warn=True)
    rename_application_async = verb_async(sharing.rename_application)


def _url(system: str | None, application: str | None, engine: Any) -> str | None:
    """Return the URL of the system database (CLT-2..4)."""
    url = system or (derived_url(application) if application else None)
    if url is None and engine is None:
        raise DBOSException("A system database URL or engine is required: give DBOSClient(system_database_url=...)")
    return url
