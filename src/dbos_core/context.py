"""What an instance of a workflow class works with: a logger, and the session of the running transaction."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from dbos import DBOS, AsyncSQLAlchemyDatasource, SQLAlchemyDatasource


class WorkflowContext:
    """The launched application, as workflow classes see it.

    Raises `DBOSException`, saying what to call, when no application is launched.

        DBOS(config={"name": "shop"})
        DBOS.launch()
        OrderWorkflow(WorkflowContext()).run("order-17")
    """

    def __init__(self) -> None:
        self._datasource = SQLAlchemyDatasource.for_application()
        self._looping: AsyncSQLAlchemyDatasource | None = None
        self.logger: logging.LoggerAdapter[logging.Logger] = _WorkflowLogger(DBOS.logger)

    @classmethod
    def current(cls) -> WorkflowContext:
        """Return a context of the launched application, as `WorkflowContext()` does."""
        return cls()

    @property
    def workflow_id(self) -> str | None:
        """The id of the running workflow; None outside workflows."""
        return DBOS.workflow_id

    @property
    def sql_session(self) -> Any:
        """The SQLAlchemy session of the running transactional method: a `Session`, in an async method an
        `AsyncSession`.

        AssertionError outside transactional methods.
        """
        for datasource in (self._looping, self._datasource):
            session = _session_of(datasource)
            if session is not None:
                return session
        raise AssertionError("sql_session is available only inside a method decorated with @transactional_function()")

    def datasource(self) -> SQLAlchemyDatasource:
        """Return the datasource that plain transactional methods run on."""
        return self._datasource

    def async_datasource(self) -> AsyncSQLAlchemyDatasource:
        """Return the datasource that async transactional methods run on."""
        if self._looping is None:
            self._looping = AsyncSQLAlchemyDatasource.for_application()
        return self._looping


def _session_of(datasource: SQLAlchemyDatasource | AsyncSQLAlchemyDatasource | None) -> Any:
    if datasource is None:
        return None
    try:
        return datasource.sql_session()
    except AssertionError:  # no transaction of this colour is running
        return None


class _WorkflowLogger(logging.LoggerAdapter[logging.Logger]):
    """The `dbos` logger, with the id of the workflow that logs."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger, {})

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the workflow's id before the message and on the record, as `workflow_id`."""
        workflow_id = DBOS.workflow_id
        if workflow_id is None:
            return msg, kwargs
        extra = {**(kwargs.get("extra") or {}), "workflow_id": workflow_id}
        return f"[{workflow_id}] {msg}", {**kwargs, "extra": extra}
