"""The real TypeScript SDK, installed once per session into a scratch directory, and processes that use it.

It is a black box: the tests see its public API and what it writes to the database.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "@dbos-inc/dbos-sdk@5.3.0"
NODE_NEEDED = 20
PEER = Path(__file__).with_name("peer.cjs")


def node() -> str:
    """Return the command of Node; skip the test where there is none that can run the SDK."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        pytest.skip("Node.js is not installed: `node` 20 or newer and `npm` run the TypeScript side of these tests")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < NODE_NEEDED:
        pytest.skip(f"Node.js {version} is too old: the TypeScript side of these tests needs {NODE_NEEDED} or newer")
    return found


def install() -> Path:
    """Install the SDK once for all workers of the session; return the directory."""
    shared = Path(os.environ["DBOS_TEST_SHARED_DIRECTORY"])
    modules = shared / "typescript"
    with open(shared / "typescript.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not modules.exists():
            fresh = shared / "typescript.fresh"
            fresh.mkdir(exist_ok=True)
            (fresh / "package.json").write_text('{"private": true}')
            command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", PACKAGE]
            installed = subprocess.run(command, cwd=fresh, capture_output=True, text=True, timeout=300)
            assert installed.returncode == 0, f"npm could not install {PACKAGE}: {installed.stderr}"
            fresh.rename(modules)
    return modules


class TypeScriptError(Exception):
    """What a call on the TypeScript side threw."""


class Peer:
    """A process of the TypeScript SDK that obeys."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Wait until the process is ready."""
        self._process = process
        assert self._answer() == "ready"

    def __call__(self, verb: str, *arguments: Any) -> Any:
        """Have a call made, and return what it gave.

        Raises `TypeScriptError` with the name and message of what it threw.
        """
        self.ask(verb, *arguments)
        return self._answer()

    def ask(self, verb: str, *arguments: Any) -> None:
        """Have a call made; `answer` waits for what it gives."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([verb, *arguments]) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):  # its logs go to standard output too
                answer = json.loads(line)
                if isinstance(answer, dict) and "error" in answer:
                    raise TypeScriptError(f"{answer['error']['name']}: {answer['error']['message']}")
                if isinstance(answer, dict) and "value" in answer:
                    return answer["value"]
        raise AssertionError(f"the TypeScript process ended with {self._process.wait()}")
