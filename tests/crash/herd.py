"""Processes that serve the gauge's queues, and what becomes of them: killed, suspended, replaced."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from gauge import Log

WORKER = Path(__file__).with_name("gauged.py")


class Herd:
    """A number of processes on one database, and the log they write."""

    def __init__(self, url: str, directory: Path, lease_sec: float) -> None:
        self.path = directory / "gauge.log"
        self._log = Log(self.path)
        self._common = [url, lease_sec]
        self._workers: list[subprocess.Popen[str]] = []
        self._born = 0

    def fill(self, count: int, *, seed: int, most_sec: float) -> None:
        """Enqueue so many workflows, which take up to `most_sec` each."""
        filler = self._process("filler", str(count), str(seed), str(most_sec))
        self._end(filler)
        assert filler.returncode == 0

    def grow(self, size: int) -> None:
        """See that there are so many processes."""
        while len(self._workers) < size:
            self._workers.append(self._process(f"w{self._born}"))

    def kill_one(self, chance: random.Random) -> None:
        """SIGKILL one process, once it stands still and the gauge knows."""
        victim = self._workers.pop(chance.randrange(len(self._workers)))
        self._stop(victim)
        victim.kill()
        victim.wait()
        self._close(victim)

    def suspend_one(self, chance: random.Random, seconds: float) -> None:
        """SIGSTOP one process for so long that others take it for dead."""
        victim = chance.choice(self._workers)
        self._stop(victim)
        threading.Event().wait(seconds)
        victim.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Let every process end."""
        for worker in self._workers:
            worker.kill()
            worker.wait()
            self._close(worker)

    def are_alive(self) -> bool:
        """Tell whether every process still runs."""
        return all(worker.poll() is None for worker in self._workers)

    def _process(self, executor_id: str, *filling: str) -> subprocess.Popen[str]:
        url, lease_sec = self._common
        command = [sys.executable, str(WORKER), str(url), executor_id, str(lease_sec), str(self.path), *filling]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._born += 1
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def _stop(self, victim: subprocess.Popen[str]) -> None:
        """Suspend a process, and tell the gauge that what it runs does not count any more."""
        victim.send_signal(signal.SIGSTOP)
        while _state(victim.pid) != "T":
            os.sched_yield()
        self._log.write("gone", victim.pid, time.time_ns() // 1_000_000)

    def _end(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)
        self._close(process)

    @staticmethod
    def _close(process: subprocess.Popen[str]) -> None:
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def _state(pid: int) -> str:
    """Return the state of a process, as the system has it: T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
