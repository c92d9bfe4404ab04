"""How a campaign ends."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

# Where the series that a campaign is part of wants to be told, in JSON, what was done.
TOLD_IN = "DBOS_TORTURE_VERDICT"


def conclude(seed: int, done: Counter[str], what: str, began: float, broken: list[str], void: str = "") -> None:
    """Say what was done and broken, and end with 1 when a promise was broken, with 2 when too little was done (`void`).

    `began` is on the monotonic clock.
    """
    for line in broken:
        print("BROKEN", line)
    print(f"seed {seed}: {done.total()} {what} in {time.monotonic() - began:.0f} s: {dict(done)}")
    print(f"{len(broken)} promises broken")
    if told_in := os.environ.get(TOLD_IN):
        Path(told_in).write_text(json.dumps({"seed": seed, "done": done, "broken": len(broken)}))
    if broken:
        sys.exit(1)
    if void:
        print(f"VOID: {void}")
        sys.exit(2)


def fewer(done: int, floor: int, what: str) -> str:
    """Say that a campaign did less than its floor, if it did."""
    return f"fewer than {floor} {what}" if done < floor else ""
