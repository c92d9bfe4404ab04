"""The system database as packages built on `dbos` reach for it: `instance._sys_db`, `client._sys_db`.

Knows the shape that the contract fixes (CMP-0), and a SQLAlchemy engine of its own for those who ask. Nothing in this
library uses either.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from sqlalchemy import Engine, create_engine

from .._engine.color import run_now
from .._engine.runtime import Node
from .._engine.waiting import outcome_of
from .._model.outcome import unwrap
from .._model.serialize import Codec, Serializer
from .._ops import metrics
from .engines import prepare, url_of

POOL_TIMEOUT_SEC = 30


class SystemDatabase:
    """An engine on the system database, its schema, and the few operations that others call on it."""

    def __init__(
        self, node: Callable[[], Node], url: str | None, engine: Any, *, schema: str, pool_size: int, client: str | None
    ) -> None:
        self.schema = schema
        self._node = node
        self._url = url
        self._given = engine
        self._pool_size = pool_size
        self._client = client

    @cached_property
    def engine(self) -> Engine:
        """A SQLAlchemy engine on the system database: the user's own if one was given, else one made on first use."""
        if self._given is not None:
            given: Engine = self._given
            return given
        assert self._url is not None
        url = url_of(self._url, looping=False)
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url)
            prepare(engine)
            return engine
        return create_engine(
            url,
            pool_size=self._pool_size,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_SEC,
            pool_pre_ping=True,
            connect_args={} if self._client is None else {"application_name": self._client},
        )

    @property
    def serializer(self) -> Serializer:
        """What encodes and decodes values; it may be replaced."""
        return self._node().codec.configured

    @serializer.setter
    def serializer(self, serializer: Serializer) -> None:
        self._node().codec = Codec(serializer)

    def get_workflow_aggregates(self, **wanted: Any) -> list[dict[str, Any]]:
        """Count and measure workflows, as `get_workflow_aggregates` of a client does."""
        node = self._node()
        return run_now(metrics.get_workflow_aggregates(node, node.blocking, **wanted))

    async def await_workflow_result_async(self, workflow_id: str, polling_interval_sec: float = 1.0) -> Any:
        """Wait for a workflow and return its result or raise its error. It is no step of the workflow that waits."""
        node = self._node()
        return unwrap(await outcome_of(node, node.looping, workflow_id, polling_interval_sec))

    def close(self) -> None:
        """Dispose of the engine, if one was made here."""
        if self._given is None and "engine" in self.__dict__:
            self.engine.dispose()
