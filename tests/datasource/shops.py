"""Users' databases for the tests of exactly-once transactions: the test's own database, seen through SQLAlchemy."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

INSERT = "insert into orders (item) values (:item)"


def engine_url(db: Any, *, looping: bool = False) -> str:
    """Return the URL that a datasource takes for the test's database."""
    return db.url.replace("sqlite:", "sqlite+aiosqlite:") if looping and db.dialect == "sqlite" else str(db.url)


def create_orders(db: Any) -> None:
    """Create the table that the tests' transactions write to."""
    key = "integer primary key" if db.dialect == "sqlite" else "bigint generated always as identity primary key"
    db.execute(f"create table orders (id {key}, item text not null)")


def items(db: Any) -> list[str]:
    """Return what was ordered, in order."""
    return [row["item"] for row in db.rows("select item from orders order by id")]


def outcomes(db: Any) -> list[dict[str, Any]]:
    """Return the recorded outcomes of the datasource."""
    return list(db.rows("select * from {datasource_outputs} order by workflow_id, step_id"))


def order(session: Any, item: str) -> None:
    """Order an item in a session's transaction."""
    session.execute(text(INSERT), {"item": item})
