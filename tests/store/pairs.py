"""Every order of two operations' transactions leaves what one after the other would leave, and nothing unsound.

Knows what is compared with what. Leaves stopping operations to `interleaver.py`, and what they are to `races.py`.
"""

from __future__ import annotations

import itertools
import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from interleaver import Player, in_turns, installed, orders, with_one_held
from races import OPERATIONS, PIECEWISE, RECURRING, STATES, Stage

from dbos._store import invariants
from dbos._store.database import Deadlocked

Outcome = tuple[str, str, str]  # the rows that are left, what each operation returned
Case = tuple[str, str, str]  # a state, the operations of A and B

PATIENCE = 1000  # more boundaries than any two operations have


def cases() -> list[Case]:
    """Return every pair of operations in every state."""
    pairs = itertools.combinations_with_replacement(OPERATIONS, 2)
    return [(state, *pair) for pair in pairs for state in STATES]


def named(case: Case) -> str:
    """Name the pair of a case."""
    return f"{case[1]} / {case[2]}"


class Campaign:
    """A database on which pairs of operations are performed in every order."""

    def __init__(self, stage: Stage, players: tuple[Player, Player], waits: Callable[[], bool] | None) -> None:
        """Take a stage; `waits` tells whether an operation waits for a lock, where transactions can be held open."""
        self.stage = stage
        self.played: Counter[str] = Counter()
        self.broken: list[str] = []
        self.deadlocks: Counter[str] = Counter()
        self._players = players
        self._waits = waits
        self._sound: set[str] = set()

    def run(self, case: Case) -> None:
        """Perform a pair in every order, and with every transaction held open."""
        expected = {self._play(case, name * PATIENCE) for name in "AB"}
        alone = self._alone(case)
        if not PIECEWISE.isdisjoint(case):
            expected |= alone | self._again(case)
        for taken in orders(lambda order: self._turns(case, order)):
            self._check(case, f"in turns {taken}", self._outcome(), expected)
        if self._waits is not None:
            self._hold_all(case, expected | alone)

    def _hold_all(self, case: Case, expected: set[Outcome]) -> None:
        for holder, other in ((0, 1), (1, 0)):
            for before in itertools.count():
                for statement in itertools.count(1):
                    in_time, held = self._held(case, holder, other, before, statement)
                    if not (in_time and held):
                        break
                    name = self._players[holder].name
                    what = f"{name} held after statement {statement}, the other {before} boundaries on"
                    self._check(case, what, self._outcome(), expected)
                if not in_time:
                    break

    def _held(self, case: Case, holder: int, other: int, before: int, statement: int) -> tuple[bool, bool]:
        assert self._waits is not None
        first, second = self._begun(case)
        operations = (first, second) if holder == 0 else (second, first)
        with self._deadlocks_of(case):
            players = self._players[holder], self._players[other]
            return with_one_held(players, operations, before, statement, self._waits)

    def _turns(self, case: Case, order: str) -> str:
        return in_turns(self._players, self._begun(case), order)

    def _play(self, case: Case, order: str) -> Outcome:
        self._turns(case, order)
        return self._outcome()

    def _alone(self, case: Case) -> set[Outcome]:
        """Return what is left when one of the two passes over what the other holds: it did nothing, and comes again."""
        found = set()
        for passing, name in enumerate(case[1:]):
            if name in RECURRING:
                begun = list(self._begun(case))
                begun[passing] = list
                in_turns(self._players, (begun[0], begun[1]), "")
                found.add(self._outcome())
        return found

    def _again(self, case: Case) -> set[Outcome]:
        """Return what is left when one of the two comes back to what it had done, and the other has undone."""
        found = set()
        for again, name in enumerate(case[1:]):
            if name in PIECEWISE:
                self._turns(case, "AB"[again] * PATIENCE)
                begun: list[Any] = [list, list]
                begun[again] = self.stage.operation(name, "AB"[again], case[0])
                in_turns(self._players, (begun[0], begun[1]), "")
                found.add(self._outcome())
        return found

    def _begun(self, case: Case) -> tuple[Any, Any]:
        state, first, second = case
        self.stage.set(state)
        return self.stage.operation(first, "A", state), self.stage.operation(second, "B", state)

    def _outcome(self) -> Outcome:
        first, second = (_told(player.result) for player in self._players)
        return self.stage.left(), first, second

    def _check(self, case: Case, order: str, outcome: Outcome, allowed: set[Outcome]) -> None:
        state, first, second = case
        self.played[named(case)] += 1
        label = f"{state}: A {first}, B {second}, {order}"
        if not _is_like_one(outcome, allowed, piecewise=not PIECEWISE.isdisjoint(case)):
            said = "\n    or ".join(" | ".join(one) for one in sorted(allowed))
            self.broken.append(f"{label}:\n       {' | '.join(outcome)}\n    is {said}")
        if outcome[0] not in self._sound:
            self._sound.add(outcome[0])
            dialect = self.stage.database.dialect
            for violation in self.stage.database.snapshot(
                lambda s: invariants.check(s, dialect, at_rest=False, dense=False)
            ):
                self.broken.append(f"{label}: {violation}")

    def _deadlocks_of(self, case: Case) -> _Deadlocks:
        return _Deadlocks(self.deadlocks, named(case))


def _is_like_one(outcome: Outcome, allowed: set[Outcome], *, piecewise: bool) -> bool:
    """Tell whether an outcome is one of those allowed; `piecewise`: whether each row is one of theirs."""
    if not piecewise:
        return outcome in allowed
    return _rows(outcome) <= set[str]().union(*map(_rows, allowed))


def _rows(outcome: Outcome) -> set[str]:
    return {f"{table} {row}" for table, rows in json.loads(outcome[0]).items() for row in rows}


def _told(result: Any) -> str:
    return type(result).__name__ if isinstance(result, BaseException) else repr(result)


class _Deadlocks(logging.Handler):
    """Counts the deadlocks that the database resolves in a block."""

    def __init__(self, counter: Counter[str], label: str) -> None:
        super().__init__(logging.WARNING)
        self._counter = counter
        self._label = label

    def emit(self, record: logging.LogRecord) -> None:
        """Count one, if it tells of one."""
        if record.getMessage().startswith(Deadlocked.what):
            self._counter[self._label] += 1

    def __enter__(self) -> None:
        """Listen."""
        logging.getLogger("dbos").addHandler(self)

    def __exit__(self, *exc_info: object) -> None:
        """Stop listening."""
        logging.getLogger("dbos").removeHandler(self)


@contextmanager
def campaign(url: str) -> Iterator[Campaign]:
    """Give a campaign on a migrated database, whatever is in it."""
    with closing(_beside(url)) as beside, closing(Stage(url, beside)) as stage, installed() as players:
        yield Campaign(stage, players, beside.waits if isinstance(beside, PostgresBeside) else None)


class SqliteBeside:
    """A connection of our own to a SQLite database."""

    schema = ""

    def __init__(self, url: str) -> None:
        """Connect."""
        self._connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)

    def execute(self, script: str) -> None:
        """Run statements in one transaction."""
        self._connection.executescript(f"begin immediate; {script}; commit")

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


class PostgresBeside:
    """A connection of our own to a Postgres database."""

    schema = "dbos."

    def __init__(self, url: str) -> None:
        """Connect."""
        self._connection = psycopg.connect(url, autocommit=True)

    def execute(self, script: str) -> None:
        """Run statements in one transaction."""
        self._connection.execute(script.encode())

    def waits(self) -> bool:
        """Tell whether somebody waits for a lock in this database."""
        row = self._connection.execute(
            """
            select exists (select 1
                             from pg_locks l
                             join pg_stat_activity a on a.pid = l.pid
                            where not l.granted and a.datname = current_database())
            """
        ).fetchone()
        return row is not None and bool(row[0])

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


def _beside(url: str) -> SqliteBeside | PostgresBeside:
    return SqliteBeside(url) if url.startswith("sqlite") else PostgresBeside(url)
