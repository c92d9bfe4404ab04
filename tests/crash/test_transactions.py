"""SIGKILL before and after the commit of a transaction: the user's row is there if and only if its checkpoint is.

`DBOS_CRASH_ROUNDS=100` repeats each case so often, in one database.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mortal
import pytest

PROGRAM = Path(__file__).with_name("transacting.py")
ROUNDS = int(os.environ.get("DBOS_CRASH_ROUNDS", "1"))
KEPT_IN = {"transaction": ("transaction_outputs", "workflow_uuid")}
FORMS = ["datasource", "async_datasource", "transaction", "class", "async_class"]


@pytest.mark.timeout(3600)
@pytest.mark.rules("FT-11", "DS-24", "DS-25", "TX-5", "TXN-5", "TXN-6")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("form", FORMS)
def test_row_and_checkpoint_survive_together_or_not_at_all(db: Any, form: str, when: str) -> None:
    if form.startswith("async") and db.dialect == "sqlite":
        pytest.importorskip("aiosqlite")
    key = "integer primary key" if db.dialect == "sqlite" else "bigint generated always as identity primary key"
    db.execute(f"create table orders (id {key}, item text not null)")
    table, column = KEPT_IN.get(form, ("datasource_outputs", "workflow_id"))
    for number in range(ROUNDS):
        workflow_id = f"visit-{number}"
        killed = mortal.run(PROGRAM, db.url, form, workflow_id, when)
        assert killed.returncode == -9, killed.stdout + killed.stderr
        rows = len(db.rows("select 1 as one from orders where item = ?", workflow_id))
        recorded = len(db.rows(f"select 1 as one from {{{table}}} where {column} = ?", workflow_id))
        assert rows == recorded == (when == "after")
        again = mortal.run(PROGRAM, db.url, form, workflow_id)
        assert (again.returncode, again.stdout.strip()) == (0, "bought"), again.stderr
        assert len(db.rows("select 1 as one from orders where item = ?", workflow_id)) == 1
