"""The program whose runs are kept in `fixtures/`: some finished, some died halfway.

Runs under any `dbos` of the 2.x and 3.x lines. `write_fixtures` ran it under 2.31.0 and 3.4.0; a test registers it
again and finds its unfinished runs in the loaded database.

What the databases hold, all of application `testapp`, version `v1`, executor `local`:

| workflow id | workflow | state | recorded |
|---|---|---|---|
| finished-pickled | survivor("book", 3) | SUCCESS "shipped book for 30" | both steps |
| finished-portable | portable_survivor("book", 3) | SUCCESS "shipped book for 30" | both steps |
| failed-pickled | survivor("void", 0) | ERROR ValueError("void: nothing to ship") | step 1 |
| failed-portable | portable_survivor("void", 0) | ERROR ValueError("void: nothing to ship") | step 1 |
| unfinished-pickled | survivor("lamp", 2) | PENDING, must give "shipped lamp for 20" | step 1 |
| unfinished-portable | portable_survivor("lamp", 2) | PENDING, must give "shipped lamp for 20" | step 1 |
| unfinished-queued | survivor("desk", 4) | PENDING from queue `survivors`, must give "shipped desk for 40" | step 1 |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbos import DBOS, WorkflowSerializationFormat

QUEUE = "survivors"

FINISHED = {"finished-pickled": "shipped book for 30", "finished-portable": "shipped book for 30"}
FAILED = {"failed-pickled": "void: nothing to ship", "failed-portable": "void: nothing to ship"}
UNFINISHED = {
    "unfinished-pickled": "shipped lamp for 20",
    "unfinished-portable": "shipped lamp for 20",
    "unfinished-queued": "shipped desk for 40",
}


@dataclass(frozen=True)
class Program:
    """Hold the registered workflows."""

    survivor: Any
    portable_survivor: Any


def register(charged: Callable[[str], None], shipping: Callable[[str], None]) -> Program:
    """Register the workflows; `charged` is called when step 1 runs and `shipping` when step 2 does, with the order."""

    @DBOS.step(name="charge")
    def charge(order: str, items: int) -> dict[str, Any]:
        charged(order)
        return {"order": order, "amount": items * 10}

    @DBOS.step(name="ship")
    def ship(order: str, amount: int) -> str:
        shipping(order)
        return f"shipped {order} for {amount}"

    def body(order: str, items: int) -> str:
        bill = charge(order, items)
        if not items:
            raise ValueError(f"{order}: nothing to ship")
        return ship(order, bill["amount"])

    @DBOS.workflow(name="survivor")
    def survivor(order: str, items: int) -> str:
        return body(order, items)

    @DBOS.workflow(name="portable_survivor", serialization_type=WorkflowSerializationFormat.PORTABLE)
    def portable_survivor(order: str, items: int) -> str:
        return body(order, items)

    return Program(survivor, portable_survivor)
