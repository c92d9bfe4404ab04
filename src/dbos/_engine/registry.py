"""What decorators have registered: workflows and steps by name, classes, configured instances.

One registry per process; it outlives `DBOS.destroy()`. Leaves the decorators themselves to `_decorators.py`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from .._error import DBOSConflictingRegistrationError, DBOSException, DBOSWorkflowFunctionNotFoundError
from .._model.queue import QueueSettings
from .._model.serialize import WorkflowSerializationFormat
from .receivers import Receiver

logger = logging.getLogger("dbos")

TEMPORARY_PREFIX = "<temp>."


@dataclass(slots=True)
class StepRetry:
    """How a step is attempted: `StepOptions` with every default filled in."""

    retries_allowed: bool = False
    interval_seconds: float = 1.0
    max_attempts: int = 3
    backoff_rate: float = 2.0
    should_retry: Callable[[BaseException], Any] | None = None
    preemptible: bool = False
    timeout_seconds: float | None = None


@dataclass(slots=True)
class Workflow:
    """A registered workflow: its function and how it is to be run."""

    name: str
    function: Callable[..., Any]
    info: FunctionInfo
    is_coroutine: bool
    max_recovery_attempts: int | None = 100
    serialization: WorkflowSerializationFormat | None = None
    validate: Callable[..., Any] | None = None
    auto_upgrade: bool | None = None  # None: as configured
    is_temporary: bool = False
    takes_self: bool = False  # its first parameter is called `self`
    generation: int = 0  # of the registry it was added to: destroying the registry forgets it


@dataclass(slots=True)
class FunctionInfo:
    """What decorators say about one function, whatever their order: attached to it as `dbos_info`."""

    required_roles: list[str] | None = None
    class_info: ClassInfo | None = None
    workflow: Workflow | None = None
    kind: Literal["workflow", "step", "transaction"] | None = None
    step_name: str | None = None
    function: Callable[..., Any] | None = None


@dataclass(slots=True)
class ClassInfo:
    """A class registered with `dbos_class`: its name, default roles."""

    name: str
    cls: type
    default_roles: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Decorated:
    """That a workflow runs at the times of a cron expression, as `@DBOS.scheduled` said."""

    name: str
    cron: str


class Registry:
    """Names to functions, classes and instances."""

    def __init__(self) -> None:
        self.workflows: dict[str, Workflow] = {}
        self.steps: dict[str, Literal["step", "transaction"]] = {}
        self.classes: dict[str, ClassInfo] = {}
        self.instances: dict[tuple[str, str], object] = {}
        self.queues: dict[str, QueueSettings] = {}  # declared in this process (QU-3)
        self.scheduled: dict[str, Decorated] = {}
        self.receivers: list[Receiver] = []
        self.launched = False
        self.generation = 0

    def clear(self) -> None:
        """Forget everything registered."""
        self.workflows.clear()
        self.steps.clear()
        self.classes.clear()
        self.instances.clear()
        self.queues.clear()
        self.scheduled.clear()
        self.receivers.clear()
        self.generation += 1

    def add_workflow(self, workflow: Workflow) -> None:
        """Register a workflow, replacing one of the same name with a warning (DEC-3, DEC-4)."""
        known = self.workflows.get(workflow.name)
        if known is not None:
            _refuse_namesake(known.function, workflow.function, workflow.name)
            if not workflow.is_temporary:
                _warn_duplicate(workflow.name)
        workflow.generation = self.generation
        workflow.takes_self = next(iter(inspect.signature(workflow.function).parameters), None) == "self"
        self.workflows[workflow.name] = workflow

    def add_step(self, name: str, kind: Literal["step", "transaction"]) -> None:
        """Register a step or transaction name (DEC-3, DEC-5)."""
        known = self.steps.get(name)
        if known is not None:
            if known != kind:
                raise DBOSConflictingRegistrationError(name)
            _warn_duplicate(name)
        self.steps[name] = kind

    def add_class(self, cls: type, name: str) -> ClassInfo:
        """Register a class under a name of its own (DEC-32)."""
        known = self.classes.get(name)
        if known is not None:
            if known.cls is not cls:
                raise Exception(f"Duplicate type registration for class '{name}'")
            return known
        info = self.classes[name] = ClassInfo(name, cls)
        return info

    def add_instance(self, instance: object, class_name: str, config_name: str) -> None:
        """Register a configured instance (DEC-30, DEC-31)."""
        if self.launched:
            logger.warning(
                "Configured instance '%s' of class '%s' was registered after DBOS.launch(): recovery of its workflows "
                "may fail. Construct instances before launching.",
                config_name,
                class_name,
            )
        known = self.instances.setdefault((class_name, config_name), instance)
        if known is not instance:
            raise Exception(f"Duplicate instance registration for class '{class_name}' instance '{config_name}'")

    def find_workflow(self, name: str, workflow_id: str) -> Workflow:
        """Return a registered workflow by name."""
        workflow = self.workflows.get(name)
        if workflow is None:
            raise DBOSWorkflowFunctionNotFoundError(
                workflow_id, f"Workflow function '{name}' is not registered: import the module that defines it first"
            )
        return workflow

    def find_receiver(self, class_name: str | None, config_name: str | None, workflow_id: str) -> object | None:
        """Return the class or instance whose method a stored run calls, None for plain functions (DEC-38)."""
        if class_name is None:
            return None
        if config_name is not None:
            instance = self.instances.get((class_name, config_name))
            if instance is None:
                raise DBOSWorkflowFunctionNotFoundError(
                    workflow_id, f"Configured instance '{class_name}/{config_name}' is not registered"
                )
            return instance
        info = self.classes.get(class_name)
        if info is None:
            raise DBOSWorkflowFunctionNotFoundError(workflow_id, f"Class '{class_name}' is not registered")
        return info.cls


REGISTRY = Registry()


def info_of(function: Callable[..., Any]) -> FunctionInfo:
    """Return what decorators said about a function, creating the place for it."""
    plain: Any = getattr(function, "__func__", function)
    info: FunctionInfo | None = getattr(plain, "dbos_info", None)
    if info is None:
        info = plain.dbos_info = FunctionInfo()
    return info


def class_info_of(cls: type) -> ClassInfo | None:
    """Return how a class, or the nearest base of it, is registered (DEC-39)."""
    return getattr(cls, "dbos_class_info", None)


def class_name_of(cls: type) -> str:
    """Return the name a class's instances are registered under."""
    info = class_info_of(cls)
    return info.name if info is not None else cls.__qualname__


def _warn_duplicate(name: str) -> None:
    logger.warning("Duplicate registration of function '%s'", name)


def _refuse_namesake(known: Callable[..., Any], new: Callable[..., Any], name: str) -> None:
    """Refuse two workflows of one name from two modules, unless they are one file loaded twice (DEC-4)."""
    if known.__module__ == new.__module__:
        return
    known_file, new_file = _source_file(known), _source_file(new)
    if known_file and new_file and known_file != new_file:
        raise DBOSException(
            f"Workflow name '{name}' is used by two functions: "
            f"{known.__module__}.{known.__qualname__} ({known_file}) and "
            f"{new.__module__}.{new.__qualname__} ({new_file}). Give one of them "
            f"another name with @DBOS.workflow(name=...)."
        )


def _source_file(function: Callable[..., Any]) -> str | None:
    try:
        return inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        return None
