"""From a function somebody wants to run to what is stored of it: the workflow, the class or instance, the arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._error import DBOSWorkflowFunctionNotFoundError, by_rule
from .registry import REGISTRY, FunctionInfo, Registry, Workflow, class_name_of
from .workflow import Target


def target_of(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Target:
    """Return what calling `func` means (DEC-35); DBOSWorkflowFunctionNotFoundError if it is no workflow or step."""
    info: FunctionInfo | None = getattr(func, "dbos_info", None)
    if info is None or info.workflow is None or not is_registered(REGISTRY, info):
        name = getattr(func, "__qualname__", repr(func))
        raise DBOSWorkflowFunctionNotFoundError(
            "<NONE>", f"{name} is not a registered workflow function: decorate it with @DBOS.workflow()"
        )
    receiver = getattr(func, "__self__", None)
    return method_target(info, args if receiver is None else (receiver, *args), kwargs)


def is_registered(registry: Registry, info: FunctionInfo) -> bool:
    """Tell whether a function is still known: destroying the registry forgets it (LIF-4)."""
    workflow = info.workflow
    return workflow is not None and workflow.generation == registry.generation


def method_target(info: FunctionInfo, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Target:
    """Split the arguments of a call into receiver and stored arguments (DEC-33, DEC-36)."""
    workflow = info.workflow
    assert workflow is not None
    first = args[0] if args else None
    if info.class_info is None:
        _refuse_unregistered(workflow, args)
        return Target(info, workflow, None, None, (), args, kwargs)
    if isinstance(first, type):
        return Target(info, workflow, info.class_info.name, None, (first,), args[1:], kwargs)
    config_name = getattr(first, "config_name", None)
    if config_name is None:
        message = (
            f"Function {workflow.name} is called on an instance that does not have `config_name` set: "
            f"derive the class from DBOSConfiguredInstance"
        )
        raise Exception(by_rule("pattern-classes", message))
    return Target(info, workflow, class_name_of(type(first)), config_name, (first,), args[1:], kwargs)


def _refuse_unregistered(workflow: Workflow, args: tuple[Any, ...]) -> None:
    """Refuse a method whose class is not registered (DEC-36)."""
    if args and isinstance(args[0], type):
        what = f"{args[0].__qualname__}, which appears to be a class"
    elif args and workflow.takes_self:
        what = f"{type(args[0]).__qualname__}, which appears to be a class instance"
    else:
        return
    message = (
        f"Function {workflow.name} was called with {what}, but is not properly registered: "
        f"decorate the class with @DBOS.dbos_class()"
    )
    raise Exception(by_rule("pattern-classes", message))
