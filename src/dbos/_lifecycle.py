"""Construct, launch, destroy: the life of the one application in this process.

`launch` is the composition root: a visible list of parts, stopped in reverse. Leaves what the parts do to them.
"""

from __future__ import annotations

import inspect
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ._engine import datasources
from ._engine.context import running_workflow_id
from ._engine.process import this_process
from ._engine.recovery import requeue
from ._engine.registry import REGISTRY, class_name_of
from ._engine.runtime import Runtime, install, installed
from ._engine.tracing import Tracer
from ._error import DBOSException, DBOSInitializationError, by_rule
from ._model import logs
from ._model.config import Settings, environment_version, resolve
from ._model.config import executor_id as resolved_executor_id
from ._model.serialize import Codec
from ._model.version import VERSION
from ._queue import queue_of
from ._service.dispatcher import Dispatcher
from ._service.lease import Lease
from ._service.receiving import Receiving, refuse_unfit
from ._service.scheduler import Scheduler
from ._service.service import Service
from ._service.sweeper import Sweeper
from ._service.upgrader import Upgrader, participants
from ._store import leases, versions, workflows
from ._store.opening import migrate_url, open_database, opening_of
from ._store.pulse import Fresh
from ._store.queues import INTERNAL_QUEUE

T = TypeVar("T")
AlertHandler = Callable[[str, str, dict[str, str]], None]

logger = logging.getLogger("dbos")

JOIN_SEC = 10.0


class Application:
    """The singleton's state between construction and destruction."""

    def __init__(self, facade: Any, settings: Settings) -> None:
        self.facade = facade
        self.settings = settings
        self.launched = False
        self.version = settings.application_version or ""
        self.executor_id = settings.executor_id
        self.listened: list[str] | None = None
        self.alert_handler: AlertHandler | None = None
        self.runtime: Runtime | None = None
        self.services: list[Service] = []
        self.receiving: Receiving | None = None
        self.shared: dict[type, Any] = {}  # datasources on this application's database
        self.closers: list[Callable[[], None]] = []  # of what others opened for this application
        self.lease: Lease | None = None
        self.tracer: Tracer | None = None


_lock = threading.RLock()
_application: Application | None = None


def instance(cls: type[T], config: Mapping[str, Any], others: Mapping[str, Any]) -> T:
    """Return the one instance; build it from `config` if there is none (LIF-1, CFG-14)."""
    global _application
    with _lock:
        if _application is None:
            settings = resolve({**_settings_among(others), **config})
            application = _constructed_from(object.__new__(cls), settings)
            _attach(application, **{name: app for name, app in others.items() if name in ("fastapi", "flask")})
            _application = application
            logger.info("Initializing DBOS (%s)", VERSION)
        facade: T = _application.facade
        return facade


def _settings_among(others: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in others.items() if value is not None and name not in ("fastapi", "flask")}


def _constructed_from(facade: Any, settings: Settings) -> Application:
    """Set up logging and, if it is wanted, tracing: ImportError without OpenTelemetry (OTEL-2)."""
    application = Application(facade, settings)
    if not settings.enable_otlp:
        logs.configure(settings, running_workflow_id)
        return application
    from .integrations.telemetry import Telemetry, trace_id

    logs.configure(settings, running_workflow_id, trace_id)
    application.tracer = Telemetry(settings)
    return application


def _attach(application: Application, fastapi: Any = None, flask: Any = None) -> None:
    """Let web applications live with DBOS (WEB-1, WEB-5)."""
    if fastapi is not None:
        from .integrations import fastapi as glue

        life = glue.Life(
            start=lambda: _serve(application),
            stop=lambda: destroy() if _application is application else None,
            telemetry=tracer,
        )
        glue.attach(fastapi, life)
    if flask is not None:
        from .integrations import flask as wsgi_glue

        wsgi_glue.attach(flask, tracer)


def _serve(application: Application) -> None:
    """Launch for a server that starts, if that was not done; its loop is the main loop either way (LOOP-2)."""
    if _application is not application:
        return
    if not application.launched:
        launch()
    elif application.runtime is not None:
        application.runtime.threads.adopt_main_loop()


def tracer() -> Tracer | None:
    """Return what makes the application's spans, None when tracing is off."""
    return _application.tracer if _application is not None else None


def _forked() -> None:
    """In a process forked from one that had launched: forget its threads and connections, which are not ours."""
    global _application, _lock
    if _application is not None and _application.launched:
        _parents.append(_application)  # kept, for closing its connections here would end the parent's
        install(None)
        _application = None
        REGISTRY.launched = False
    _lock = threading.RLock()


_parents: list[Application] = []
if hasattr(os, "register_at_fork"):  # where there are forks
    os.register_at_fork(after_in_child=_forked)


def too_early(function_name: str | None = None) -> DBOSException:
    """Return the error of an operation that comes before construction or launch (LIF-5, LIF-6)."""
    if _application is None and _parents:
        return DBOSException(
            f"{function_name or 'This operation'} needs a DBOS of this process, which was forked from one that had "
            "launched: construct and launch DBOS after the fork"
        )
    if _application is None:
        if function_name is not None:
            return DBOSException(f"Function {function_name} invoked before DBOS initialized")
        return DBOSException("No DBOS was created yet: construct DBOS(config=...) first")
    return DBOSException(f"{function_name or 'This operation'} needs a launched DBOS: call DBOS.launch() first")


def application_version() -> str:
    """Return the application version in force (CFG-40)."""
    return _application.version if _application is not None else environment_version()


def executor_id() -> str:
    """Return the executor id in force (CFG-45)."""
    return _application.executor_id if _application is not None else resolved_executor_id(None)


def launch() -> None:
    """Connect to the system database, start the background services and recover interrupted workflows.

    Raises `DBOSException` when nothing was constructed, and whatever opening the database raises.

        DBOS(config={"name": "shop"})
        DBOS.launch()
    """
    application = _application
    if application is None:
        message = "No DBOS was created yet: construct DBOS(config=...) before DBOS.launch()"
        raise DBOSException(by_rule("lifecycle-config", message))
    if application.launched:
        logger.warning("DBOS was already launched")
        return
    application.launched = REGISTRY.launched = True
    try:
        _launch(application)
    except BaseException:
        logger.exception("DBOS failed to launch")
        raise


def relaunch() -> None:
    """End DBOS where it is and launch it again with the same settings, as a process does that is started again."""
    global _application
    ended = launched()
    destroy()
    application = _constructed_from(ended.facade, ended.settings)
    application.listened, application.alert_handler = ended.listened, ended.alert_handler
    with _lock:
        _application = application
    launch()


def _launch(application: Application) -> None:
    settings = application.settings
    application.version = application.version or computed_version(settings.name)
    logs.identify(settings.application_id, application.version, application.executor_id)
    logger.info("Application name: %s", settings.name)
    logger.info("Application version: %s", application.version)
    logger.info("Executor ID: %s", application.executor_id)
    _warn_of_keys_without_effect(settings)

    database = open_database(opening_of(settings), migrate=settings.run_migrations)
    node = Runtime(
        settings, database, Codec(settings.serializer), REGISTRY, application.version, application.executor_id
    )
    application.runtime = node
    node.tracer = application.tracer
    if node.tracer is not None:
        node.tracer.identify(application.version, application.executor_id)
    if settings.application_database_url is not None:
        from .integrations.transactions import ApplicationDatabase

        node.application_database = ApplicationDatabase(settings, node.codec)
        application.closers.append(node.application_database.close)
    refuse_unfit(node)
    node.threads.adopt_main_loop()
    _register_version(node)
    application.lease = lease = _take_lease(node)
    ended = None if lease is None else lease.ended_here()
    pending = [] if settings.cloud else _pending(node, ended)

    dispatcher = Dispatcher(node, application.listened)
    sweeper = Sweeper(node, dispatcher, lease)
    node.wake_dispatcher, node.wake_sweeper, node.slots.freed = dispatcher.enqueued, sweeper.wake, dispatcher.freed
    node.listened, node.queue_of = application.listened, queue_of
    node.queue_changed = dispatcher.changed
    node.signals.subscribe("queue", dispatcher.heard, Fresh().look)
    node.signals.subscribe("cancelled", node.cancelled_elsewhere)
    dispatcher.look(sweeper.look())
    dispatcher.log_served()
    scheduler = Scheduler(node, settings.scheduler_polling_sec)
    node.schedules_changed = scheduler.changed
    application.services = [dispatcher, sweeper, scheduler, *_optional(node, lease)]
    node.journal.start()
    node.signals.listen()
    install(node)
    for service in application.services:
        service.start()
    application.receiving = Receiving(node, dispatcher)
    application.receiving.start()
    if pending:
        node.threads.pool.submit(requeue, node, pending, [node.executor_id], INTERNAL_QUEUE, ended)
    logger.info("DBOS launched!")


def _optional(node: Runtime, lease: Lease | None) -> list[Service]:
    """Return the services that not every application needs."""
    upgrades = node.settings.auto_upgrade or participants(REGISTRY, by_default=False)
    return [*([lease] if lease is not None else []), *([Upgrader(node)] if upgrades else [])]


def _register_version(node: Runtime) -> None:
    node.database.transact(lambda session: versions.register(session, node.version, node.application_name))
    latest = node.database.read(lambda session: versions.latest(session, node.application_name))
    if latest is not None and latest != node.version:
        logger.warning("Application version %s is not the latest registered one, which is %s", node.version, latest)


def _take_lease(node: Runtime) -> Lease | None:
    """Take this process's lease, unless leases are off or the database has no place for them."""
    if node.settings.executor_lease_sec == 0:
        return None
    if not node.database.read(lambda session: leases.are_there(session, node.database.dialect)):
        logger.warning(
            "The system database has no table of leases: unfinished workflows are recovered only when an executor of "
            "the same id launches. Run `dbos migrate` once, or set executor_lease_sec to 0 to silence this."
        )
        return None
    lease = Lease(node, this_process())
    lease.take()
    return lease


def _pending(node: Runtime, ended: list[str] | None) -> list[str]:
    """Read what was interrupted, before this process can start or claim anything (RV-10)."""
    pending = node.database.read(lambda session: workflows.pending_of(session, node.scope, [node.executor_id], ended))
    if pending:
        logger.info("Recovering %d workflows from application version %s", len(pending), node.version)
    else:
        logger.info("No workflows to recover from application version %s", node.version)
    return pending


def _warn_of_keys_without_effect(settings: Settings) -> None:
    if settings.enable_patching:
        logger.warning("enable_patching is deprecated: it only pins the application version to PATCHING_ENABLED")
    if settings.has_conductor_key:
        logger.warning(
            "conductor_key has no effect: this implementation needs no control plane; executors recover by themselves"
        )
    if settings.run_admin_server:
        logger.warning(
            "run_admin_server has no effect: this implementation has no admin server; use the `dbos` command line"
        )


def destroy(*, destroy_registry: bool = False, workflow_completion_timeout_sec: int = 0) -> None:
    """Stop everything; workflows still running stay PENDING and are recovered at the next launch.

    Waits up to `workflow_completion_timeout_sec` seconds for running workflows. With `destroy_registry`, decorated
    functions are forgotten too.

        DBOS.destroy(workflow_completion_timeout_sec=30)
    """
    global _application
    application = _application
    if application is not None:
        _stop(application, workflow_completion_timeout_sec)
        logger.info("DBOS successfully shut down")
        if application.tracer is not None:
            application.tracer.close()
    logs.detach()
    with _lock:
        if _application is application:
            _application = None
    REGISTRY.launched = False
    if destroy_registry:
        REGISTRY.clear()
        datasources.clear()


def _stop(application: Application, completion_timeout_sec: float) -> None:
    """Stop the parts in reverse: claiming, runs, sweeping, users' loops and threads, waiters, journal, database
    (LIF-31).
    """
    node = application.runtime
    if node is None:
        return
    if application.receiving is not None:
        application.receiving.stop(JOIN_SEC)
    claiming, others = application.services[:1], application.services[1:]  # none when the launch failed early
    for service in claiming:
        service.ask_to_stop()
        service.join(JOIN_SEC)
    if application.lease is not None:
        application.lease.drain()
    if completion_timeout_sec > 0:
        node.wait_until_idle(completion_timeout_sec)
    node.stopping = True
    node.database.give_up()
    node.cancel_tasks()
    if installed() is node:
        install(None)
    for service in others:
        service.ask_to_stop()
    deadline = time.monotonic() + JOIN_SEC
    for service in others:
        service.join(max(0.0, deadline - time.monotonic()))
    node.threads.close()
    for close in application.closers:
        close()
    node.abandon_runs()
    node.journal.stop(JOIN_SEC)
    if application.lease is not None:
        application.lease.drop()
    node.signals.stop()
    node.database.close()


def listen_queues(queues: Sequence[Any]) -> None:
    """Serve only these queues in this process. Call it once, between construction and launch.

    Raises `DBOSException` otherwise.

        DBOS.listen_queues(["reports"])
    """
    application = constructed()
    if application.launched:
        raise DBOSException(by_rule("queue-listening", "listen_queues called after DBOS is launched"))
    if application.listened is not None:
        raise DBOSException("listen_queues called more than once")
    application.listened = [queue if isinstance(queue, str) else queue.name for queue in queues]


def alert_handler(func: AlertHandler) -> AlertHandler:
    """Make a function the handler of alerts: it gets a name, a message and metadata. One, before launch.

    Raises `DBOSException` otherwise.

        DBOS(config={"name": "shop"})

        @DBOS.alert_handler
        def on_alert(name: str, message: str, metadata: dict[str, str]) -> None: ...

        DBOS.launch()
    """
    application = constructed()
    if application.launched:
        raise DBOSException("The alert handler must be defined before DBOS is launched")
    if application.alert_handler is not None:
        raise DBOSException("An alert handler is already defined")
    application.alert_handler = func
    return func


def register_instance(instance: object) -> None:
    """Register an object that has a `config_name`, so that its workflows can be recovered.

    Raises `Exception` when another object of the class has the name.

        DBOS.register_instance(shop)
    """
    config_name = getattr(instance, "config_name", None)
    if config_name is None:
        message = f"{type(instance).__qualname__} instance has no config_name: set it before registering"
        raise DBOSException(by_rule("pattern-classes", message))
    REGISTRY.add_instance(instance, class_name_of(type(instance)), config_name)


def reset_system_database(
    *, system_database_url: str | None = None, schema: str | None = None, truncate: bool = False
) -> None:
    """Drop the system database, or with `truncate` empty its tables. Never call it in production.

    Without arguments it resets the configured database. Raises AssertionError after launch.

        DBOS.reset_system_database()
    """
    from ._store.address import parse
    from ._store.admin import reset

    application = _application
    assert application is None or not application.launched, (
        "reset_system_database must not be called after DBOS.launch()"
    )
    settings = application.settings if application is not None else None
    url = system_database_url or (settings.system_database_url if settings is not None else None)
    if url is None:
        logger.warning("reset_system_database: no DBOS instance and no system_database_url, nothing to reset")
        return
    reset(parse(url), schema or (settings.system_schema if settings is not None else "dbos"), truncate=truncate)


def migrate(
    system_database_url: str, *, schema: str = "dbos", application_role: str | None = None, sharding: bool = False
) -> None:
    """Create or migrate a system database; with `application_role`, also grant that role access. Needs no instance.

    Raises `DBOSException` for a role with SQLite, and the driver's error when the database cannot be reached.

        DBOS.migrate("sqlite:///shop.sqlite")
    """
    if sharding:
        raise DBOSInitializationError("sharding is not available in this implementation")
    migrate_url(system_database_url, schema, application_role)


def launched() -> Application:
    """Return the launched application, or raise what is missing."""
    if _application is None or _application.runtime is None:
        raise too_early()
    return _application


def constructed() -> Application:
    """Return the application, launched or not; DBOSException when there is none."""
    if _application is None:
        raise DBOSException("No DBOS was created yet: construct DBOS(config=...) first")
    return _application


def computed_version(application_name: str) -> str:
    """Return the version computed from the sources of all registered workflows (CFG-41, CFG-42)."""
    import hashlib  # two milliseconds, and only here

    digest = hashlib.md5(usedforsecurity=False)
    try:
        sources = sorted(
            inspect.getsource(inspect.unwrap(workflow.function))
            for workflow in REGISTRY.workflows.values()
            if not workflow.is_temporary
        )
    except (OSError, TypeError) as error:
        version = f"DEFAULT_VERSION-{application_name}"
        logger.warning("Sources cannot be read (%s): the application version is %s", error, version)
        return version
    for text in (*sources, VERSION, application_name):
        digest.update(text.encode())
    return digest.hexdigest()
