"""Which process of which machine this is, and whether another one of the same machine still exists.

A process is told by its id and start time, a machine by its host name, boot and process namespace: two containers
that share a name do not take each other for dead. Where the system does not say (outside Linux), only ids are compared.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_DEAD_STATES = ("Z", "X", "x")  # a zombie has ended; its parent has not asked how


@dataclass(frozen=True, slots=True)
class Process:
    """A process among all processes of all machines."""

    host: str
    boot_id: str
    pid: int
    started: str  # in ticks since boot; "" when the system does not say


def this_process() -> Process:
    """Return the process that runs this code."""
    import socket  # a launch needs it, `import dbos` does not

    pid = os.getpid()
    started, _ = _stat(pid)
    return Process(socket.gethostname(), _boot_id(), pid, started)


def has_ended(process: Process) -> bool:
    """Tell whether a process of this machine and boot does not exist any more; False when that cannot be known."""
    if os.name != "posix":
        return False  # where a signal of 0 does not only ask
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it exists, under another user
    except (OverflowError, TypeError):
        return False  # no id of a process: somebody has spoiled the row
    started, state = _stat(process.pid)
    return state in _DEAD_STATES or (process.started != "" and started not in ("", process.started))


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, str]:
    """Return a process's start time and state, "" for what the system does not say."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The name, in parentheses, may hold anything; what follows the last one does not.
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[19], fields[0]
