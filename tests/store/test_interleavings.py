"""Two operations on one workflow, in every order: as if one had come after the other. A share of the campaign."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pairs import Case, campaign, cases

SHARE, SEED = 5, 4
# They left something else before they were made to.
BROKE: list[Case] = [
    ("cancelled", "resume", "retention"),
    ("cancelled", "fork", "retention"),
    ("done", "rewind", "delete"),
    ("done", "delete", "send"),
    ("running", "delete", "send as workflow"),
    ("running", "delete", "send to forks"),
]


@pytest.mark.timeout(300)
@pytest.mark.rules("ST-16", "ST-20", "ST-23", "ST-24", "ST-28", "ST-29", "MGT-66", "MSG-4", "MSG-24", "DQ-45")
def test_two_operations_leave_what_one_after_the_other_leaves(db: Any) -> None:
    with campaign(db.url) as one:
        for case in [*BROKE, *random.Random(SEED).sample(cases(), SHARE)]:
            one.run(case)
    assert not one.broken, "\n".join(one.broken)
    assert one.played.total() > 40, "VOID: too few orders were performed"
