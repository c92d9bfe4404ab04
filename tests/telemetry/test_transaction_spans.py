"""Spans of transactions on users' databases, and what they note of attempts that failed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from dbos import DBOS, SQLAlchemyDatasource


@pytest.fixture
def shop(db: Any) -> Iterator[SQLAlchemyDatasource]:
    """A datasource on the test's database."""
    url = db.url.replace("postgresql://", "postgresql+psycopg://")
    datasource = SQLAlchemyDatasource.create(url, engine_kwargs={"poolclass": NullPool})
    yield datasource
    datasource.engine.dispose()
    DBOS.destroy(destroy_registry=True)


class Flaky:
    """Fail once as a database that is busy does."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == 1:
            raise OperationalError("update", {}, sqlite3.OperationalError("database is locked"))


@pytest.mark.rules("OT-12", "OTEL-10", "TX-7", "OT-6")
def test_a_transaction_of_a_datasource(launch, shop, spans):
    flaky = Flaky()

    @shop.transaction()
    def order() -> None:
        flaky()

    @DBOS.workflow()
    def visit() -> None:
        order()

    launch(enable_otlp=True)
    visit()
    span = spans.named(order.__qualname__)
    assert span.attributes["operationType"] == "transaction"
    assert [(event.name, dict(event.attributes)) for event in span.events] == [
        ("Transaction Failure", {"retry_wait_seconds": 0.001})
    ]
    assert spans.tree() == [(order.__qualname__, visit.__qualname__), (visit.__qualname__, None)]


@pytest.mark.rules("OT-12", "OTEL-10", "TX-7")
def test_a_transaction_of_the_application_database(launch, db, spans):
    flaky = Flaky()

    @DBOS.transaction()
    def order() -> None:
        flaky()

    @DBOS.workflow()
    def visit() -> None:
        order()

    launch(enable_otlp=True, application_database_url=db.url)
    visit()
    span = spans.named(order.__qualname__)
    assert (span.attributes["operationType"], [event.name for event in span.events]) == (
        "transaction",
        ["Transaction Failure"],
    )
