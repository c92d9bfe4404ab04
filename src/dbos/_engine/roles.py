"""Required roles: who may run a function, and which role it then runs as (AUTH-3, AUTH-4)."""

from __future__ import annotations

from .._error import DBOSNotAuthorizedError
from .context import Auth
from .registry import FunctionInfo


def required_of(info: FunctionInfo) -> list[str] | None:
    """Return a function's own required roles, else its class's default ones."""
    if info.required_roles is not None:
        return info.required_roles
    return info.class_info.default_roles if info.class_info is not None else None


def assume_role(info: FunctionInfo, name: str, auth: Auth | None) -> str | None:
    """Return the role a function runs as, None if it needs none; DBOSNotAuthorizedError if the user has none."""
    required = required_of(info)
    if not required:
        return None
    if auth is None or auth.roles is None:
        raise DBOSNotAuthorizedError(
            f"Function {name} requires a role, but was called in a context without authentication information"
        )
    for role in required:
        if role in auth.roles:
            return role
    raise DBOSNotAuthorizedError(f"Function {name} has required roles, but user is not authenticated for any of them")
