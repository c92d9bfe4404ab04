"""A share of the campaign that spoils rows: only the row itself suffers, and somebody says what is wrong with it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from rows import run

# Each seed spoils other values, so a series of runs comes to all of them.
SHARE = 0.01
SEED = 20262


@pytest.mark.timeout(300)
@pytest.mark.rules("DEC-38", "ENC-21", "SER-31")
def test_a_spoiled_row_costs_nobody_but_itself(db: Any) -> None:
    chance = random.Random(SEED)
    campaign = run(db, lambda _: chance.random() < SHARE)
    assert not campaign.broken, "\n".join(campaign.broken)
    assert campaign.spoiled.total() > 5, "VOID: too few values were spoiled"
