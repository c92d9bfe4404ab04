"""How much memory this process has. On its own, so that a small program can ask without importing more."""

from __future__ import annotations

import resource
import sys


def memory_bytes(line: str = "VmRSS") -> int:
    """Return this process's resident memory, or with "VmHWM" its peak; else, always the peak."""
    try:
        with open("/proc/self/status") as status:
            return next(int(text.split()[1]) for text in status if text.startswith(line)) * 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
