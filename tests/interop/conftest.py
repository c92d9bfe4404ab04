"""Processes of the TypeScript SDK on a test's database."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typescript import PEER, Peer, install, node


@pytest.fixture(scope="session")
def typescript() -> tuple[str, Path]:
    """Node, and a directory with the SDK installed."""
    return node(), install()


@pytest.fixture
def peer(db: Any, typescript: tuple[str, Path]) -> Iterator[Callable[[str], Peer]]:
    """Start processes of the TypeScript SDK on the test's database, as `client` or `application`."""
    node, modules = typescript
    started: list[subprocess.Popen[str]] = []

    def start(role: str) -> Peer:
        command = [node, str(PEER), str(modules), db.url, role]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return Peer(process)

    yield start
    for process in started:
        with process:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
