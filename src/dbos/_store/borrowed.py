"""A session inside a transaction that the caller began and will end.

Knows SQLAlchemy's `Connection` and ORM `Session`, whatever driver is below them. It never begins, commits, rolls back
or retries (CLT-39). Leaves what is written to the kinds of each noun.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from .._error import DBOSException
from .database import BadRecord, Kind, Row
from .messages import Message
from .sql import Dialect, column_types, field_values, rows_json

# By SQLAlchemy's transactions: the message sent last, and the transaction or savepoint it was sent in.
_last_sent: WeakKeyDictionary[Any, tuple[Message, ReferenceType[Any]]] = WeakKeyDictionary()


class BorrowedSession:
    """Named statements in a transaction of the caller's own, on the tables of the system schema (CLT-40)."""

    def __init__(self, conn_or_session: Any, dialect: Dialect) -> None:
        self._dialect = dialect
        self._connection = _connection_of(conn_or_session)
        theirs = "sqlite" if self._connection.dialect.name == "sqlite" else "postgres"
        if theirs != dialect.name:
            raise DBOSException(
                f"The transaction is on a {theirs} database, but the system database is on {dialect.name}: "
                f"give a connection or session to the system database"
            )

    def rows(self, statement: str, **parameters: Any) -> list[Row]:
        """Run a statement and return its rows."""
        return [tuple(row) for row in self._execute(self._dialect.expand(statement), parameters)]

    def run(self, statement: str, **parameters: Any) -> int:
        """Run a statement and return how many rows it changed."""
        changed: int = self._execute(self._dialect.expand(statement), parameters).rowcount
        return changed

    def one(self, statement: str, **parameters: Any) -> Row | None:
        """Run a statement and return its first row, if any."""
        return next(iter(self.rows(statement, **parameters)), None)

    @property
    def last_sent(self) -> Message | None:
        """The message that this transaction sent last, whoever borrowed it then.

        Postgres numbers savepoints as it does transactions, and messages go by that: what does not follow in the same
        one counts as a millisecond younger.
        """
        transaction = self._connection.get_transaction()
        sent = None if transaction is None else _last_sent.get(transaction)
        if sent is None:
            return None
        message, place = sent
        return replace(message, shift_ms=message.shift_ms + (place() is not self._innermost))

    @last_sent.setter
    def last_sent(self, message: Message) -> None:
        _last_sent[self._connection.get_transaction()] = message, ref(self._innermost)

    @property
    def _innermost(self) -> Any:
        return self._connection.get_nested_transaction() or self._connection.get_transaction()

    def try_lock(self, name: str) -> bool:
        """Refuse: nothing in a caller's transaction takes such a lock."""
        raise NotImplementedError

    def write(self, kind: Kind, record: Any) -> bool:
        """Write a journal record; False when it did not take, and then its judge says why."""
        try:
            if self._dialect.name == "sqlite":
                return self._write_each(kind, record)
            records = rows_json(kind.record, [record]).decode()
        except ValueError as error:
            raise BadRecord(str(error)) from error
        from .postgres import fused

        statement = fused(kind, self._dialect, tuple(column_types(kind.record))).replace(
            "$1::json", "cast(:records as json)"
        )
        return bool(self._execute(statement, {"records": records}).fetchall())

    def _write_each(self, kind: Kind, record: Any) -> bool:
        from .sqlite import of_one

        fields = dict(zip(column_types(kind.record), field_values(kind.record, record), strict=True))
        for number, (text, names) in enumerate(of_one(kind, self._dialect)):
            done = self._execute(text, {name: fields[name] for name in names})
            if number == 0 and done.rowcount != 1:
                return False
        return True

    def _execute(self, text: str, parameters: dict[str, Any]) -> Any:
        from sqlalchemy import text as sql

        named = {name: self._adapted(value) for name, value in parameters.items()}
        return self._connection.execute(sql(_escaped(text)), named)

    def _adapted(self, value: Any) -> Any:
        return json.dumps(value) if self._dialect.name == "sqlite" and isinstance(value, (list, tuple)) else value


def _connection_of(conn_or_session: Any) -> Any:
    """Return the connection of a session, or the connection itself (CLT-39, CLT-42)."""
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session, scoped_session

    if isinstance(conn_or_session, (Session, scoped_session)):
        return conn_or_session.connection()
    if isinstance(conn_or_session, Connection):
        return conn_or_session
    raise DBOSException(
        f"A SQLAlchemy Connection or Session is needed, not {type(conn_or_session).__name__}. From async code: "
        f"await async_connection.run_sync(lambda connection: client.enqueue_in_transaction(connection, ...))"
    )


def _escaped(text: str) -> str:
    """Keep a colon inside a quoted name or literal, and those of a cast, from being taken for a parameter."""
    pieces = re.split(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')""", text)
    pieces[::2] = [piece.replace("::", "\\:\\:") for piece in pieces[::2]]
    pieces[1::2] = [piece.replace(":", "\\:") for piece in pieces[1::2]]
    return "".join(pieces)
