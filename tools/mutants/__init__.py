"""What correctness stands on, and how each of it may be broken: the list that `mutations.py` works through.

A mutant replaces a text that its file has exactly once, and names the tests that must notice. Nothing here is
generated: each entry is a guard that somebody could remove one day, believing it superfluous.
"""

from __future__ import annotations

from .mutant import Mutant as Mutant
from .runs import DEATH, JOURNAL, OWNERSHIP, REPLAY
from .verbs import QUEUES, STATUSES, TALKING, TRANSACTIONS

MUTANTS = (*OWNERSHIP, *REPLAY, *JOURNAL, *DEATH, *STATUSES, *QUEUES, *TALKING, *TRANSACTIONS)
