"""Make the environments of `make test-ecosystem`: packages built on `dbos`, from the index and unmodified, over ours.

Each package has one of its own, with what was released until a day that was tried, or until today with
`DBOS_ECOSYSTEM_NEWEST`. Exits with 75 when the package index does not deliver, which says nothing of the product; that
a package does not fit ours is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = Path(os.environ.get("DBOS_ECOSYSTEM_DIRECTORY", ROOT / ".ecosystem"))
PACKAGES = ["pydantic-ai-slim", "dbos-openai-agents", "dbos-google-adk", "llama-agents-dbos", "dbosify"]
# A release of theirs is not to fail a change of ours.
TRIED = "2026-11-30"
# Of uv: requirements without a solution are 1, an index that cannot be reached is 2.
NO_ANSWER = 2
TRY_LATER = 75


def python_of(package: str) -> Path:
    """Say where the Python of a package's environment is."""
    return ENVIRONMENTS / package / "bin" / "python"


def make(package: str) -> int:
    """Make a package's environment, or bring it up to date; return how that ended."""
    python = python_of(package)
    # A link into the caches of uv for each file: five environments take seconds.
    uv = [sys.executable, "-m", "uv", "--quiet"]
    if not python.exists():
        subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, ENVIRONMENTS / package], check=True)
    until = [] if os.environ.get("DBOS_ECOSYSTEM_NEWEST") else ["--exclude-newer", TRIED]
    install = [*uv, "pip", "install", "--upgrade", *until, "--python", python, "--editable", ROOT, package]
    return subprocess.run(install).returncode


def main() -> None:
    """Make all of them."""
    for package in PACKAGES:
        ended = make(package)
        if ended == NO_ANSWER:
            print(
                f"The package index did not deliver {package}: nothing is known of it over this dbos.", file=sys.stderr
            )
            sys.exit(TRY_LATER)
        if ended:
            sys.exit(f"{package} cannot be installed beside this dbos.")


if __name__ == "__main__":
    main()
