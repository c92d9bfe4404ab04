"""The `dbos` logger: its console handler, its levels, and what every record carries (chapter 1, 3.6)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import Settings

logger = logging.getLogger("dbos")

_FORMAT = "%(asctime)s [%(levelname)8s] (%(name)s:%(filename)s:%(lineno)s) %(message)s"
_PASSWORD = re.compile(r"(\w+://[^:/@\s]*):[^@\s]*@")


def mask_passwords(text: str) -> str:
    """Return text with the passwords of URLs replaced by `***` (LOG-8)."""
    return _PASSWORD.sub(r"\1:***@", text)


class Identity(logging.Filter):
    """Adds the application, version, executor and workflow to every record of the logger (LOG-3)."""

    def __init__(self, workflow_id: Callable[[], str | None]) -> None:
        super().__init__()
        self._workflow_id = workflow_id
        self.attributes: dict[str, str] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attributes; keep the record."""
        record.__dict__.update(self.attributes)
        workflow_id = self._workflow_id()
        if workflow_id is not None:
            record.operationUUID = workflow_id
        return True


_identity: list[Identity] = []


def configure(settings: Settings, workflow_id: Callable[[], str | None]) -> None:
    """Set up the logger for a new instance (LOG-2, LOG-5)."""
    logger.setLevel(settings.log_level)
    if not logger.handlers:
        console = logging.StreamHandler()
        console.setFormatter(logging.Formatter(_FORMAT, datefmt="%H:%M:%S"))
        console.set_name("dbos-console")
        logger.addHandler(console)
        logger.propagate = False
    for handler in logger.handlers:
        if handler.get_name() == "dbos-console":
            handler.setLevel(settings.console_log_level)
    detach()
    identity = Identity(workflow_id)
    identity.attributes.update(settings.otlp_attributes)
    logger.addFilter(identity)
    _identity.append(identity)


def identify(application_id: str, version: str, executor_id: str) -> None:
    """Say which application, version and executor later records belong to."""
    for identity in _identity:
        identity.attributes.update(applicationID=application_id, applicationVersion=version, executorID=executor_id)


def detach() -> None:
    """Take the filter off again, so that instances do not pile them up (LIF-36)."""
    for identity in _identity:
        logger.removeFilter(identity)
    _identity.clear()
