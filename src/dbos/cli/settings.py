"""Which system database a command means: flags, a managed platform's environment, `dbos-config.yaml` (CLI-7..13)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from .._error import DBOSInitializationError
from .._model.config import default_url, derived_url

CONFIG = "dbos-config.yaml"


class Missing(Exception):
    """No database URL can be found."""


def load(path: str = CONFIG) -> dict[str, Any]:
    """Read a configuration file, environment variables and secrets substituted (YML-2, YML-3)."""
    import yaml

    text = Path(path).read_text(encoding="utf-8")
    text = re.sub(r"\$\{DOCKER_SECRET:([^}]+)\}", lambda match: _secret(match[1]), text)
    text = re.sub(r"\$\{([A-Za-z_]\w*)\}", lambda match: os.environ.get(match[1], ""), text)
    found = yaml.safe_load(text)
    if not isinstance(found, dict):
        raise DBOSInitializationError(f"{path} must contain a dictionary")
    return found


def _secret(name: str) -> str:
    path = Path("/run/secrets") / name
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def system_url(given: str | None, application: str | None) -> str:
    """Return the URL of the system database, the first that is set."""
    if os.environ.get("DBOS__CLOUD") == "true":
        hosted = os.environ.get("DBOS_SYSTEM_DATABASE_URL")
        if not hosted:
            raise Missing("DBOS__CLOUD is set, but DBOS_SYSTEM_DATABASE_URL is not")
        return hosted
    if given or application:
        return given or derived_url(application or "")
    if not Path(CONFIG).exists():
        raise Missing("Missing database URL: please set it using CLI flags or your dbos-config.yaml file.")
    config = load()
    if config.get("system_database_url"):
        return str(config["system_database_url"])
    if config.get("database_url"):
        return derived_url(str(config["database_url"]))
    return default_url(str(config.get("name") or "dbos"))


def is_sqlite(given: str | None, application: str | None) -> bool:
    """Tell whether flags, environment or file mean SQLite; no URL at all does not (CLI-31, CLI-34)."""
    try:
        return system_url(given, application).startswith("sqlite")
    except Missing:
        return False
