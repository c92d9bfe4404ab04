"""A share of the statement campaign: whatever fails at the n-th statement or commit, nobody notices."""

from __future__ import annotations

from typing import Any

import pytest
from statements import run

# Each seed strikes at other points, so a series of runs comes to all of them.
SHARE = 0.02
SEED = 20260
TRANSACTIONS = ["datasource", "transaction"]
SLOW = ("relaunch",)  # on Postgres, whose connections are opened again each time: left to the campaign


@pytest.mark.timeout(300)
@pytest.mark.rules("EX-42")
@pytest.mark.parametrize("colour", ["blocking", "looping"])
def test_a_statement_or_commit_that_fails_is_not_noticed(db: Any, colour: str) -> None:
    without = () if db.dialect == "sqlite" else SLOW
    campaign = run(db.url, colour, seed=SEED, share=SHARE, without=without)
    assert not campaign.broken, "\n".join(campaign.broken)
    assert campaign.fired.total() > 50, "VOID: too few faults fired"


@pytest.mark.timeout(300)
@pytest.mark.rules("TX-5", "TX-7", "TXN-5", "TXN-7", "DS-27", "DS-28")
def test_a_transaction_on_a_users_database_takes_effect_once_whatever_fails(db: Any) -> None:
    colour = "looping" if db.dialect == "postgres" else "blocking"
    campaign = run(db.url, colour, seed=50, share=0.05, scenarios=TRANSACTIONS)
    assert not campaign.broken, "\n".join(campaign.broken)
    assert campaign.fired.total() > 50, "VOID: too few faults fired"


@pytest.mark.timeout(300)
@pytest.mark.rules("EX-42", "RV-20", "RV-25", "FT-10")
def test_what_a_dead_process_left_is_taken_over_whatever_fails(db: Any) -> None:
    colour = "looping" if db.dialect == "sqlite" else "blocking"
    campaign = run(db.url, colour, seed=2, share=0.05, scenarios=["adopt"])
    assert not campaign.broken, "\n".join(campaign.broken)
    assert campaign.fired.total() > 10, "VOID: too few faults fired"
