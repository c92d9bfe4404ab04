"""The cases of the benchmark, by name. Each module has a subject; importing it registers its cases."""

from __future__ import annotations

from . import listing, memory, messaging, queues, recovery, serial, startup, statements, throughput
from .bench import CASES, Bench, Options, Unsupported

__all__ = [
    "CASES",
    "Bench",
    "Options",
    "Unsupported",
    "listing",
    "memory",
    "messaging",
    "queues",
    "recovery",
    "serial",
    "startup",
    "statements",
    "throughput",
]
