"""Who can be seen to have ended: a process of this machine that does not exist any more, nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from dbos._engine.process import this_process
from dbos._service.lease import ended_here
from dbos._store.leases import Other


def of_this_process() -> Other:
    """Return the lease this process would hold."""
    here = this_process()
    return Other("incarnation", "local", here.host, here.boot_id, here.pid, here.started)


@pytest.mark.rules("RV-11")
def test_only_a_process_of_this_machine_can_be_seen_to_have_ended() -> None:
    here, mine = this_process(), of_this_process()
    parent = replace(mine, pid=os.getppid(), process_started="")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone = replace(mine, pid=ended.pid)
    assert not ended_here(parent, here)
    assert ended_here(gone, here)
    assert not ended_here(replace(gone, host="elsewhere"), here)
    assert not ended_here(replace(gone, boot_id="an earlier life of the machine"), here)


SAYS_WHEN = os.path.exists("/proc/self/stat")


@pytest.mark.rules("RV-60")
@pytest.mark.skipif(not SAYS_WHEN, reason="the system does not say when a process started")
def test_another_lease_of_this_process_is_of_what_it_has_destroyed() -> None:
    assert ended_here(of_this_process(), this_process())


@pytest.mark.rules("RV-11")
@pytest.mark.skipif(not SAYS_WHEN, reason="the system does not say when a process started")
def test_a_pid_that_is_used_again_is_not_the_process_that_had_it() -> None:
    assert ended_here(replace(of_this_process(), process_started="1"), this_process())
