"""The `dbos` logger: its console handler, its levels, and what every record carries (chapter 1, 3.6)."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import Settings

logger = logging.getLogger("dbos")

_FORMAT = "%(asctime)s [%(levelname)8s] (%(name)s:%(filename)s:%(lineno)s) %(message)s"
# Up to the last @: a password may hold one, and hiding too much does no harm.
_USERINFO = re.compile(r"(\w+://[^:/@\s]*):\S*@")
_KEYWORD = re.compile(r"(password=)('(?:[^'\\]|\\.)*'|[^\s&'\"]+)", re.IGNORECASE)
# What a record already says about itself, which an attribute must not overwrite.
_OWN_ATTRIBUTES = frozenset({*logging.makeLogRecord({}).__dict__, "message", "asctime"})


def mask_passwords(text: str) -> str:
    """Return text with the passwords of URLs and of connection keywords replaced by `***` (LOG-8)."""
    return _KEYWORD.sub(r"\1***", _USERINFO.sub(r"\1:***@", text))


if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[Any]
else:  # which takes no type parameter on Python 3.10
    _StreamHandler = logging.StreamHandler


class Console(_StreamHandler):
    """Writes to what standard error is at the time of writing."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter(_FORMAT, datefmt="%H:%M:%S"))

    @property
    def stream(self) -> IO[str]:
        """Return standard error."""
        return sys.stderr


class Identity(logging.Filter):
    """Adds the application, version, executor, workflow and trace to every record of the logger (LOG-3)."""

    def __init__(
        self, workflow_id: Callable[[], str | None], trace_id: Callable[[], str | None], attributes: dict[str, str]
    ) -> None:
        super().__init__()
        self._workflow_id = workflow_id
        self._trace_id = trace_id
        self._attributes: dict[str, str] = {}
        self.add(attributes)

    def add(self, attributes: dict[str, str]) -> None:
        """Let later records carry these as well."""
        self._attributes.update((k, v) for k, v in attributes.items() if k not in _OWN_ATTRIBUTES)

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attributes; keep the record."""
        record.__dict__.update(self._attributes)
        workflow_id = self._workflow_id()
        if workflow_id is not None:
            record.operationUUID = workflow_id
        trace_id = self._trace_id()
        if trace_id is not None:
            record.traceId = trace_id
        return True


_identity: list[Identity] = []


def configure(
    settings: Settings, workflow_id: Callable[[], str | None], trace_id: Callable[[], str | None] = lambda: None
) -> None:
    """Set up the logger for a new instance (LOG-2, LOG-5); the callables say what is running here."""
    logger.setLevel(settings.log_level)
    if not logger.handlers:
        logger.addHandler(Console())
        logger.propagate = False
    for handler in logger.handlers:
        if isinstance(handler, Console):
            handler.setLevel(settings.console_log_level)
    detach()
    identity = Identity(workflow_id, trace_id, settings.otlp_attributes)
    logger.addFilter(identity)
    _identity.append(identity)
    identify(settings.application_id, settings.application_version or "", settings.executor_id)


def identify(application_id: str, version: str, executor_id: str) -> None:
    """Say which application, version and executor later records belong to."""
    for identity in _identity:
        identity.add({"applicationID": application_id, "applicationVersion": version, "executorID": executor_id})


def filters() -> list[Identity]:
    """Return what adds the attributes, for other loggers and handlers."""
    return list(_identity)


def detach() -> None:
    """Take the filter off again, so that instances do not pile them up (LIF-36)."""
    for identity in _identity:
        logger.removeFilter(identity)
    _identity.clear()
