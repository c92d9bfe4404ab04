"""A datasource on the test's database, in the colour of the face, its engine disposed after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import shops

from dbos import DBOS, SQLAlchemyDatasource


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Let DBOS forget the datasources of each test, whose databases go with it."""
    yield
    DBOS.destroy(destroy_registry=True)


@pytest.fixture
def create(db: Any) -> Iterator[Callable[..., SQLAlchemyDatasource]]:
    """Create blocking datasources on the test's database, which gets a table of orders."""
    shops.create_orders(db)
    made: list[SQLAlchemyDatasource] = []

    def create(url: str | None = None, **options: Any) -> SQLAlchemyDatasource:
        made.append(SQLAlchemyDatasource.create(url or shops.engine_url(db), **options))
        return made[-1]

    yield create
    for datasource in made:
        datasource.engine.dispose()
