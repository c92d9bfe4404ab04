"""Which failures of a user's database are worth another try, and when (TX-7, DS-27)."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, OperationalError

FIRST_SEC = 0.001
GROWTH = 1.5
LONGEST_SEC = 2.0

# Serialization failure, deadlock; a server that shuts down, crashed, or starts.
_TRANSIENT_STATES = frozenset({"40001", "40P01", "57P01", "57P02", "57P03"})
_CONNECTION_STATES = "08"
# What passes as well, but is for who wrote the transaction to know (TX-7): a server out of resources, cancelled,
# waiting for locks, or read-only.
_PASSING_STATES = ("53", "57", "55P03", "25P03", "25006")


def waits() -> Iterator[float]:
    """Yield the seconds to wait before each further try, without end."""
    seconds = FIRST_SEC
    while True:
        yield seconds
        seconds = min(LONGEST_SEC, seconds * GROWTH)


class Patience:
    """How long concurrent schema work in the way is waited for; a database that cannot be reached is not."""

    def __init__(self, bound_sec: float) -> None:
        self._over = time.monotonic() + bound_sec
        self._waits = waits()

    def after(self, error: Exception) -> float:
        """Return the seconds to wait before another try; raise the error when none is worth while."""
        unreachable = getattr(error, "statement", None) is None and not getattr(error, "connection_invalidated", False)
        if unreachable or time.monotonic() > self._over or not is_transient(error):
            raise error
        return next(self._waits)


def is_transient(error: BaseException) -> bool:
    """Tell whether the same transaction may well succeed when it is run again."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state in _TRANSIENT_STATES or state.startswith(_CONNECTION_STATES)
    code = getattr(error.orig, "sqlite_errorname", "")
    if code or _is_sqlite(error):
        return code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or "is locked" in str(error.orig)
    return isinstance(error, OperationalError)  # a driver without a word from the server: the connection was lost


def is_passing(error: BaseException) -> bool:
    """Tell whether a transaction of ours alone may well succeed when it is run again, as the store's would (EX-42)."""
    if is_transient(error):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if _is_sqlite(error):
        return any(word in str(error.orig) for word in ("busy", "full", "disk I/O error"))
    return (getattr(error.orig, "sqlstate", None) or "").startswith(_PASSING_STATES)


def _is_sqlite(error: DBAPIError) -> bool:
    return type(error.orig).__module__.partition(".")[0] in ("sqlite3", "aiosqlite", "_sqlite3")
