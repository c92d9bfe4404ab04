"""How much of a kill matrix runs: every commit of the program, on which sides and in which colours."""

from __future__ import annotations

import os
from itertools import product

# Each side of a commit and each colour once; all pairs where there is time (`make torture`).
SIDES = (
    list(product(("blocking", "looping"), ("before", "after")))
    if "DBOS_CRASH_ROUNDS" in os.environ
    else [("blocking", "after"), ("looping", "before")]
)
