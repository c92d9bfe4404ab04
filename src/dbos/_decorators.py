"""From a function to a registered function of the same colour.

Knows what each decorator accepts and which face a call gets. Leaves running to the engine.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal, ParamSpec, TypeVar, cast

from ._engine import step as stepping
from ._engine import workflow as running
from ._engine.color import run_now
from ._engine.context import current
from ._engine.options import check_shard_key
from ._engine.registry import REGISTRY, TEMPORARY_PREFIX, Decorated, FunctionInfo, StepRetry, Workflow, info_of
from ._engine.roles import assume_role
from ._engine.runtime import Runtime, installed
from ._engine.target import method_target, target_of
from ._error import DBOSException
from ._model.outcome import unwrap
from ._model.serialize import WorkflowSerializationFormat
from ._model.validate import ValidateArgs, make_pydantic_args_validator, pydantic_args_validator

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
IsolationLevel = Literal["SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"]
F = TypeVar("F", bound=Callable[..., Any])

# Told by `_dbos`, which knows whether an instance was constructed: the error of a call that comes too early (LIF-5,
# LIF-6).
not_running: list[Callable[[str], Exception]] = [
    lambda name: DBOSException(f"Function {name} invoked before DBOS initialized")
]


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

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        plain = getattr(function, "__func__", function)  # a staticmethod object, when ours stands above it
        info = _fresh_info(plain)
        registered = Workflow(
            name=name or plain.__qualname__,
            function=plain,
            info=info,
            is_coroutine=inspect.iscoroutinefunction(plain),
            max_recovery_attempts=max_recovery_attempts,
            serialization=serialization_type,
            validate=make_pydantic_args_validator(plain) if validate_args is pydantic_args_validator else validate_args,
            auto_upgrade=auto_upgrade,
        )
        REGISTRY.add_workflow(registered)
        info.workflow, info.kind, info.step_name = registered, "workflow", None
        return cast("Callable[P, R]", _workflow_face(info, registered, plain))

    return decorate


def _fresh_info(plain: Callable[..., Any]) -> FunctionInfo:
    """Return the place for what decorators say of a function; one already decorated by us gets another one."""
    info = info_of(plain)
    return info if info.kind is None else FunctionInfo(required_roles=info.required_roles, class_info=info.class_info)


def _workflow_face(info: FunctionInfo, registered: Workflow, plain: Callable[..., Any]) -> Callable[..., Any]:
    if registered.is_coroutine:

        @functools.wraps(plain)
        async def face_async(*args: Any, **kwargs: Any) -> Any:
            node = _node(registered)
            _check_no_shard()
            node.threads.adopt()
            return unwrap(await running.call(node, node.looping, method_target(info, args, kwargs)))

        return _marked(face_async, info)

    @functools.wraps(plain)
    def face(*args: Any, **kwargs: Any) -> Any:
        node = _node(registered)
        _check_no_shard()
        return unwrap(run_now(running.call(node, node.blocking, method_target(info, args, kwargs))))

    return _marked(face, info)


def _launched(name: str) -> Runtime:
    node = installed()
    if node is None:
        raise not_running[0](name)
    return node


def _node(registered: Workflow) -> Runtime:
    node = _launched(registered.name)
    if registered.generation != node.registry.generation:
        raise DBOSException(f"Function {registered.name} is not registered any more: the registry was destroyed")
    return node


def _check_no_shard() -> None:
    """Refuse a call within `SetShardKey` (CTX-40)."""
    here = current()
    if here is not None:
        check_shard_key(here.options.shard_key)


def _marked(face: Callable[..., Any], info: FunctionInfo) -> Callable[..., Any]:
    cast(Any, face).dbos_info = info
    return face


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
    retry = StepRetry(
        retries_allowed, interval_seconds, max_attempts, backoff_rate, should_retry, preemptible, timeout_seconds
    )

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        plain = getattr(function, "__func__", function)
        step_name = name or plain.__qualname__
        is_coroutine = inspect.iscoroutinefunction(plain)
        stepping.check_async_only(step_name, retry, is_coroutine)
        REGISTRY.add_step(step_name, "step")
        info = _fresh_info(plain)
        info.kind, info.step_name = "step", step_name
        face = _step_face(info, step_name, retry, plain)
        # Started or enqueued by itself, a step is the single step of a workflow of its own (DEC-17).
        info.workflow = Workflow(f"{TEMPORARY_PREFIX}{step_name}", face, info, is_coroutine, is_temporary=True)
        REGISTRY.add_workflow(info.workflow)
        return cast("Callable[P, R]", face)

    return decorate


def _step_face(info: FunctionInfo, name: str, retry: StepRetry, plain: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(plain):

        @functools.wraps(plain)
        async def face_async(*args: Any, **kwargs: Any) -> Any:
            here = current()
            if not stepping.is_checkpointed(here):
                _check_plain_call(info, name)
                return await plain(*args, **kwargs)
            node = _launched(name)
            _check_roles(info, name)
            return unwrap(await stepping.step(node, node.looping, name, retry, plain, args, kwargs))

        return _marked(face_async, info)

    @functools.wraps(plain)
    def face(*args: Any, **kwargs: Any) -> Any:
        here = current()
        if not stepping.is_checkpointed(here):
            _check_plain_call(info, name)
            return plain(*args, **kwargs)
        node = _launched(name)
        _check_roles(info, name)
        return unwrap(run_now(stepping.step(node, node.blocking, name, retry, plain, args, kwargs)))

    return _marked(face, info)


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

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        plain = getattr(function, "__func__", function)
        step_name = name or plain.__qualname__
        if inspect.iscoroutinefunction(plain):
            raise DBOSException(
                f"Function {step_name} is a coroutine function: transactions are plain functions; use "
                f"AsyncSQLAlchemyDatasource"
            )
        REGISTRY.add_step(step_name, "transaction")
        info = _fresh_info(plain)
        info.kind, info.step_name = "transaction", step_name
        face = _transaction_face(info, step_name, isolation_level, plain)
        info.workflow = Workflow(f"{TEMPORARY_PREFIX}{step_name}", face, info, False, is_temporary=True)
        REGISTRY.add_workflow(info.workflow)
        return cast("Callable[P, R]", face)

    return decorate


def _transaction_face(info: FunctionInfo, name: str, level: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def face(*args: Any, **kwargs: Any) -> Any:
        node = _launched(name)
        here = current()
        assert here is None or here.step is None, f"Transaction {name} cannot be called from within a step"
        if here is None or here.run is None:
            return unwrap(run_now(running.call(node, node.blocking, method_target(info, args, kwargs))))
        _check_roles(info, name)
        from .integrations.transactions import run_transaction

        return unwrap(run_now(run_transaction(node, name, level, plain, args, kwargs)))

    return _marked(face, info)


def _check_roles(info: FunctionInfo, name: str) -> None:
    here = current()
    assume_role(info, name, here.auth if here is not None else None)


def _check_plain_call(info: FunctionInfo, name: str) -> None:
    """Check only roles written on the function itself when a step is called as a plain function (AUTH-7)."""
    if info.required_roles:
        _check_roles(info, name)


def scheduled(cron: str) -> Callable[[F], F]:
    """Run a workflow or step at the times of a cron expression, in UTC, once however many processes there are.

    Goes above `@DBOS.workflow()`. The function gets the scheduled time and the time it was enqueued at. What passes
    while no process runs is lost. `DBOS.create_schedule` can more.

    Raises ValueError for an invalid expression, `DBOSWorkflowFunctionNotFoundError` for a function not registered.

        @DBOS.scheduled("0 * * * *")
        @DBOS.workflow()
        def hourly(scheduled: datetime, actual: datetime) -> None: ...
    """

    def decorate(function: F) -> F:
        from ._model.cron import InvalidCron, parse

        target = target_of(getattr(function, "__func__", function), (), {})
        try:
            parse(cron)
        except InvalidCron as error:
            raise ValueError(f"Invalid crontab {cron!r} for {target.workflow.name}: {error}") from error
        REGISTRY.scheduled[target.workflow.name] = Decorated(target.workflow.name, cron)
        node = installed()
        if node is not None:
            node.schedules_changed()
        return function

    return decorate


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

    def decorate(function: F) -> F:
        try:
            import confluent_kafka  # noqa: F401
        except ImportError as error:
            raise DBOSException(
                "confluent-kafka dependency not found. Please install it: pip install dbos[kafka]"
            ) from error
        from .integrations.kafka import declare

        declare(function, config, topics, in_order, ordering, batch_size, queue_name)
        return function

    return decorate


def required_roles(roles: list[str]) -> Callable[[F], F]:
    """Require one of these roles to run a function; its own list replaces its class's default. An empty one asks
    nothing.

    Raises `DBOSNotAuthorizedError` at the call, or as the outcome of a started workflow.

        @DBOS.required_roles(["admin"])
        @DBOS.workflow()
        def close_account(account_id: int) -> None: ...
    """

    def decorate(function: F) -> F:
        info = info_of(function)
        info.required_roles = list(roles)
        if info.kind is not None:
            return function
        return cast(F, _guarded(function, info))

    return decorate


def _guarded(function: Callable[..., Any], info: FunctionInfo) -> Callable[..., Any]:
    """Check roles around a function that has no decorator of ours yet; once it gets one, that one checks."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def guarded_async(*args: Any, **kwargs: Any) -> Any:
            if info.kind is None:
                _check_roles(info, function.__qualname__)
            return await function(*args, **kwargs)

        return _marked(guarded_async, info)

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if info.kind is None:
            _check_roles(info, function.__qualname__)
        return function(*args, **kwargs)

    return _marked(guarded, info)


def dbos_class(class_name: str | None = None) -> Callable[[type[T]], type[T]]:
    """Register a class whose methods are workflows, under its qualified name or `class_name`.

    Raises `Exception` when another class has the name.

        @DBOS.dbos_class()
        class Shop(DBOSConfiguredInstance): ...
    """

    def decorate(cls: type[T]) -> type[T]:
        _register_class(cls, class_name)
        return cls

    return decorate


def default_required_roles(roles: list[str]) -> Callable[[type[T]], type[T]]:
    """Register a class, and require one of these roles for each of its functions without a list of its own.

    @DBOS.default_required_roles(["user"])
    class Account: ...
    """

    def decorate(cls: type[T]) -> type[T]:
        _register_class(cls, None).default_roles = list(roles)
        return cls

    return decorate


def _register_class(cls: type, class_name: str | None) -> Any:
    own = cls.__dict__.get("dbos_class_info")
    info = (
        own
        if own is not None and class_name in (None, own.name)
        else REGISTRY.add_class(cls, class_name or cls.__qualname__)
    )
    cast(Any, cls).dbos_class_info = info  # read back through inheritance (DEC-39)
    for member in cls.__dict__.values():
        if isinstance(member, staticmethod) or not hasattr(getattr(member, "__func__", member), "dbos_info"):
            continue
        if not isinstance(getattr(member, "__wrapped__", None), staticmethod):
            info_of(member).class_info = info
    return info


class DBOSConfiguredInstance:
    """The base of classes whose instance methods are workflows: it names and registers each instance.

    Construct instances before `DBOS.launch()`, so that their workflows can be recovered.

    Raises `Exception` when another instance of the class has the name.

        @DBOS.dbos_class()
        class Shop(DBOSConfiguredInstance):
            def __init__(self, name: str) -> None:
                super().__init__(name)

            @DBOS.workflow()
            def sell(self, item: str) -> None: ...
    """

    def __init__(self, config_name: str) -> None:
        from ._engine.registry import class_name_of

        self.config_name = config_name
        REGISTRY.add_instance(self, class_name_of(type(self)), config_name)
