"""Faults on demand: the points around commits where a test may make something fail, or end the process.

Nothing happens here unless `dbos.testing` installed a hook.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Hook = Callable[[str], None]

hooks: list[Hook] = []


def reach(point: str) -> None:
    """Tell the hooks that the process has come to "before commit" or "after commit"."""
    for hook in hooks:
        hook(point)


def around(work: Callable[[], T]) -> T:
    """Do work that commits, between the two points."""
    reach("before commit")
    result = work()
    reach("after commit")
    return result
