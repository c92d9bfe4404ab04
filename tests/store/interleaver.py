"""Hold two operations at each boundary of their transactions, and let them go on in any order.

Knows where the store meets its databases. Before a transaction, a read or a batch of the journal begins, the operation
that runs it stops until it is told to go on; on Postgres it stops also after each statement, its transaction open.
What the operations are is the business of `races.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from dbos._model import retry
from dbos._store import postgres, sqlite

BOUND_SEC = 60.0
LOOK_SEC = 0.002  # how long an operation may take before we ask whether a lock holds it up


class Player:
    """A thread that performs one operation after another, stopping at each boundary."""

    def __init__(self, name: str) -> None:
        """Start the thread."""
        self.name = name
        self.result: Any = None
        self.at: str | None = None  # the boundary it stands at
        self.over = True
        self.inside = False  # a transaction
        self.holds = False  # whether it stops there too
        self._condition = threading.Condition()
        self._work: Callable[[], Any] | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"player-{name}", daemon=True)
        self._thread.start()

    def begin(self, work: Callable[[], Any]) -> None:
        """Start an operation; it stops at its first boundary."""
        with self._condition:
            self.over, self.at, self.result, self.holds, self._work = False, None, None, False, work
            self._condition.notify_all()
        self.settle()

    def go(self) -> None:
        """Let it go on to its next boundary, without waiting for it."""
        with self._condition:
            self.at = None
            self._condition.notify_all()

    def settle(self, stuck: Callable[[], bool] = lambda: False) -> bool:
        """Wait until it stands at a boundary or is over; False: it is `stuck` in a lock."""
        with self._condition:
            for _ in range(int(BOUND_SEC / LOOK_SEC)):
                if self._condition.wait_for(self._is_settled, LOOK_SEC):
                    return True
                if stuck():
                    return self._is_settled()
        raise TimeoutError(f"player {self.name} neither ends nor waits for a lock")

    def stop(self) -> None:
        """End the thread."""
        with self._condition:
            self._ended = True
            self._condition.notify_all()
        self._thread.join(BOUND_SEC)

    def reach(self, boundary: str) -> None:
        """Stop here until told to go on."""
        with self._condition:
            self.at = boundary
            self._condition.notify_all()
            if not self._condition.wait_for(lambda: self.at is None, BOUND_SEC):
                raise TimeoutError(f"player {self.name} was left standing at {boundary}")

    def _is_settled(self) -> bool:
        return self.over or self.at is not None

    def _run(self) -> None:
        _players[threading.get_ident()] = self
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._work is not None or self._ended)
                if self._work is None:
                    return
                work, self._work = self._work, None
            try:
                result = work()
            except BaseException as error:
                result = error
            with self._condition:
                self.result, self.over = result, True
                self._condition.notify_all()


_players: dict[int, Player] = {}


@contextmanager
def _boundary() -> Iterator[Player | None]:
    """Stop before what is about to be done by the player of this thread, if it is one's and not part of another."""
    player = _players.get(threading.get_ident())
    if player is None or player.inside:
        yield None
        return
    player.reach("begin")
    player.inside = True
    try:
        yield player
    finally:
        player.inside = False


def _stopping(original: Any) -> Any:
    """Return a method that stops before it does its work."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _boundary():
            return original(self, *args, **kwargs)

    return call


def _steering(original: Any) -> Any:
    """Return `_steer` that stops, and has a transaction for a lone statement, too, which can be held open."""

    def call(self: Any, work: Any, *, alone: bool) -> Any:
        with _boundary() as player:
            return original(self, work, alone=alone and player is None)

    return call


def _executing(original: Any) -> Any:
    """Return `_execute` that stops after a statement, its transaction still open."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        cursor = original(self, *args, **kwargs)
        player = _players.get(threading.get_ident())
        if player is not None and player.holds and self.raw.info.transaction_status:
            player.reach("statement")
        return cursor

    return call


def _writing(original: Any) -> Any:
    """Return a lane's `write` that stops, and commits by itself, so that its transaction can be held open."""

    def call(self: Any, batch: Any) -> Any:
        with _boundary() as player:
            if player is None or not player.holds:
                return original(self, batch)
            with self._held.raw.transaction():
                result = original(self, batch)
                player.reach("statement")
                return result

    return call


SEAMS: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
    (postgres.PostgresDatabase, "_transact", _stopping),
    (postgres.PostgresDatabase, "_read", _stopping),
    (postgres.PostgresDatabase, "_steer", _steering),
    (postgres.PostgresLane, "write", _writing),
    (postgres.PostgresSession, "_execute", _executing),
    (sqlite.SqliteDatabase, "write", _stopping),
    (sqlite.SqliteDatabase, "_read", _stopping),
)


@contextmanager
def installed() -> Iterator[tuple[Player, Player]]:
    """Give two players, and stop them at every boundary; retries come soon."""
    with ExitStack() as undo:

        def replace(owner: Any, name: str, value: Any) -> None:
            undo.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)

        for owner, name, stopping in SEAMS:
            replace(owner, name, stopping(getattr(owner, name)))
        replace(retry, "FIRST_SEC", 0.002)
        replace(retry, "LONGEST_SEC", 0.02)
        players = Player("A"), Player("B")
        for player in players:
            undo.callback(player.stop)
        yield players


def in_turns(players: tuple[Player, Player], operations: tuple[Any, Any], order: str) -> str:
    """Perform two operations, transaction by transaction: `order` names whose turn it is, then whose come first.

    Return the order that came about, with a letter for each boundary that was passed.
    """
    first, second = players
    first.begin(operations[0])
    second.begin(operations[1])
    taken = ""
    while not (first.over and second.over):
        wanted = order[len(taken)] if len(taken) < len(order) else "A"
        player = first if (wanted == "A" and not first.over) or second.over else second
        taken += player.name
        player.go()
        player.settle()
    return taken


def orders(play: Callable[[str], str]) -> Iterator[str]:
    """Yield every order of two operations, once it was played: each goes on as another one began."""
    prefix: str | None = ""
    while prefix is not None:
        taken = play(prefix)
        yield taken
        # The last boundary where B has not yet had its turn, but could have: there it has it now.
        last = max((at for at, name in enumerate(taken) if name == "A" and "B" in taken[at + 1 :]), default=None)
        prefix = None if last is None else taken[:last] + "B"


def with_one_held(
    players: tuple[Player, Player], operations: tuple[Any, Any], before: int, statement: int, waits: Callable[[], bool]
) -> tuple[bool, bool]:
    """Let B pass `before` boundaries; hold A's transaction open after its `statement`-th statement; let B go on as far
    as it can; let A go on, then B.

    Return whether B was not over before (then there was something to hold against), and whether A came so far.
    """
    holding, other = players
    other.begin(operations[1])
    for _ in range(before):
        if not other.over:
            other.go()
            other.settle()
    came_in_time = not other.over
    holding.begin(operations[0])
    holding.holds = True
    seen = 0
    while not holding.over and seen < statement:
        holding.go()
        holding.settle(waits)
        seen += holding.at == "statement"
    held, holding.holds = not holding.over, False
    _finish(other, waits)
    _finish(holding, waits)
    while not (holding.over and other.over):
        for player in players:
            if player.at is not None:
                player.go()
            player.settle(waits)
    return came_in_time, held


def _finish(player: Player, waits: Callable[[], bool]) -> None:
    """Let a player go on until it is over, or a lock holds it up."""
    while not player.over:
        if player.at is not None:
            player.go()
        if not player.settle(waits):
            return
