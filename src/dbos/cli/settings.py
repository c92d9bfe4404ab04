"""Which system database a command means: a managed platform's environment, flags, `dbos-config.yaml` (CLI-7..13)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click

from .._model.config import check_url, default_url, derived_url
from .config_file import CONFIG, load


@dataclass(frozen=True, slots=True)
class Target:
    """What the options say of the system database."""

    sys_db_url: str | None
    db_url: str | None
    schema: str

    @property
    def url(self) -> str:
        """The URL of the system database (CLI-7..11)."""
        return system_url(self.sys_db_url, self.db_url)


def system_url(given: str | None, application: str | None) -> str:
    """Return the URL of the system database, the first that is set."""
    url = _first(given, application)
    check_url("The system database URL", url)
    return url


def application_url(application: str | None) -> str | None:
    """Return the URL of the application database, None when nobody says (CLI-28)."""
    if os.environ.get("DBOS__CLOUD") == "true":
        return os.environ.get("DBOS_DATABASE_URL") or None
    if application or not Path(CONFIG).exists():
        return application
    return load().get("database_url") or None


def is_sqlite(given: str | None, application: str | None) -> bool:
    """Tell whether flags, environment or file mean SQLite; no URL at all does not (CLI-31, CLI-34)."""
    try:
        return _first(given, application).startswith("sqlite")
    except click.ClickException:
        return False


def _first(given: str | None, application: str | None) -> str:
    if os.environ.get("DBOS__CLOUD") == "true":
        hosted = os.environ.get("DBOS_SYSTEM_DATABASE_URL")
        if not hosted:
            raise click.ClickException("DBOS__CLOUD is set, but DBOS_SYSTEM_DATABASE_URL is not")
        return hosted
    if given or application:
        return given or derived_url(application or "")
    if not Path(CONFIG).exists():
        raise click.ClickException("Missing database URL: please set it using CLI flags or your dbos-config.yaml file.")
    config = load()
    if config.get("system_database_url"):
        return str(config["system_database_url"])
    if config.get("database_url"):
        return derived_url(str(config["database_url"]))
    return default_url(str(config.get("name") or "dbos"))
