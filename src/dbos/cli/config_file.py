"""`dbos-config.yaml`: read, with environment variables and Docker's secrets put in (YML-2..5).

Knows the file only. The library never reads it (YML-1); which database a command means is said in `settings`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._error import DBOSInitializationError

CONFIG = "dbos-config.yaml"
SECRETS = Path("/run/secrets")

_SECRET = re.compile(r"\$\{DOCKER_SECRET:([^}]+)\}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")

logger = logging.getLogger("dbos")


def load(path: str | Path = CONFIG, *, silent: bool = True, secrets: Path | None = None) -> dict[str, Any]:
    """Read a configuration file; unless `silent`, warn of variables and secrets that are not there.

    Raises `FileNotFoundError` without the file, `OSError` when it cannot be read, `DBOSInitializationError` when it is
    no YAML or no mapping. Unknown keys do no harm (YML-5).
    """
    import yaml

    text = substituted(Path(path).read_text(encoding="utf-8"), silent=silent, secrets=secrets)
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # Not the error's own text: it quotes the lines around, with the passwords put in.
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}"
        raise DBOSInitializationError(f"{path}{where} is not valid YAML") from None
    if not isinstance(found, dict):
        raise DBOSInitializationError(f"{path} must contain a dictionary")
    _listed_endpoints(found)
    return found


def substituted(text: str, *, silent: bool = True, secrets: Path | None = None) -> str:
    """Put Docker's secrets, then environment variables in place of `${...}`; a missing one is empty (YML-2)."""

    def secret(match: re.Match[str]) -> str:
        try:
            return ((secrets or SECRETS) / match[1]).read_text(encoding="utf-8").strip()
        except OSError:
            return missing("Docker secret", match[1])

    def variable(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        return missing("environment variable", match[1]) if value is None else value

    def missing(what: str, name: str) -> str:
        if not silent:
            logger.warning("The %s %s is not set: an empty text takes its place in the configuration", what, name)
        return ""

    return _VARIABLE.sub(variable, _SECRET.sub(secret, text))


def commands(config: Mapping[str, Any], section: str, key: str) -> list[str]:
    """Return a list of shell commands of a section, empty when there is none."""
    found = config.get(section)
    listed = found.get(key) if isinstance(found, Mapping) else None
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise DBOSInitializationError(f"{section}.{key} must be a list of commands")
    return listed


def _listed_endpoints(config: dict[str, Any]) -> None:
    """Make a list of an endpoint that stands alone (YML-4)."""
    telemetry = config.get("telemetry")
    exporter = telemetry.get("OTLPExporter") if isinstance(telemetry, dict) else None
    if not isinstance(exporter, dict):
        return
    for key in ("logsEndpoint", "tracesEndpoint"):
        if isinstance(exporter.get(key), str):
            exporter[key] = [exporter[key]]
