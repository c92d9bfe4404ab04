"""A program killed at any commit gives, once it is started again, what it gives when nobody kills it."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from budget import examples
from face import Face
from hypothesis import given
from hypothesis import strategies as some
from random_programs import IDLE, PLAIN, Interpreter, Program, expected

from dbos import DBOS, SetWorkflowID, testing

# The application's threads use `random` while values are drawn.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the .random. module")

numbers = itertools.count()

operations = some.tuples(some.sampled_from([*PLAIN, *IDLE]), some.integers(0, 9))
programs = some.recursive(
    some.lists(operations, min_size=1, max_size=4),
    lambda inner: some.lists(
        operations | some.tuples(some.sampled_from(["call", "start"]), inner), min_size=1, max_size=4
    ),
    max_leaves=4,
)


def copy(source: Path, target: Path) -> None:
    """Copy a database as it stands: what a process killed at this moment leaves to the next one."""
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(target)) as there:
        here.backup(there)
        there.execute("delete from executors")  # its lease: as dead as the process would be
        there.commit()


def steps_of(path: Path) -> set[tuple[str, int, str]]:
    """Return what every workflow has recorded."""
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("select workflow_uuid, function_id, function_name from operation_outputs"))


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.rules("FT-1", "FT-3", "FT-8", "FT-12", "EX-2", "EX-30", "EX-51", "STEP-2")
def test_a_program_killed_at_any_commit_comes_to_the_same(launch: Any, db: Any, tmp_path: Path, face: Face) -> None:
    ran: list[str] = []
    interpreter = Interpreter(face, ran.append)

    async def run(program: Program) -> Any:
        with SetWorkflowID("w"):
            return await interpreter.workflow(program)

    def relaunched(path: Path) -> None:
        DBOS.destroy()
        launch(system_database_url=f"sqlite:///{path}", log_level="CRITICAL")

    @examples(6)
    @given(programs, some.integers(1, 25), some.sampled_from(["before", "after"]))
    def holds(program: Program, number: int, when: testing.When) -> None:
        whole, left = (tmp_path / f"{next(numbers)}-{name}.sqlite" for name in ("whole", "left"))
        relaunched(whole)
        with testing.at_commit(number, lambda: copy(whole, left), when=when, services=True):
            assert face.run(run(program)) == expected(program)
        if not left.exists():
            copy(whole, left)  # it was killed when all was done
        recorded = {f"{workflow_id}/{step_id}" for workflow_id, step_id, _ in steps_of(left)}
        assert testing.check_invariants(f"sqlite:///{left}", dense=True) == []
        ran.clear()
        relaunched(left)
        assert face.run(run(program)) == expected(program)
        assert not recorded.intersection(ran), "a recorded step ran again"
        DBOS.destroy()
        assert steps_of(left) == steps_of(whole)

    holds()
