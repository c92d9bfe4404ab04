"""What launch does, in which threads, and what happens when it fails."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from programs import logged, looping, redispatch, says, workflow_row

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error


@pytest.fixture(autouse=True)
def nothing_left():
    """Destroy what a test without `launch` constructs and registers."""
    yield
    DBOS.destroy(destroy_registry=True)


def construct(path: Any, **config: Any) -> DBOS:
    return DBOS(config={"name": "testapp", "system_database_url": f"sqlite:///{path}", **config})


@pytest.mark.rules("LIF-12")
def test_launch_says_who_it_is(launch):
    launch()
    DBOS.destroy()
    with logged() as records:
        launch(application_version="v7", executor_id="e7")
    for text in ("testapp", "v7", "e7", "DBOS launched!"):
        assert says(records, text, logging.INFO), text


@pytest.mark.rules("LIF-12", "CFG-29")
def test_launch_creates_the_database(tmp_path):
    construct(tmp_path / "new.sqlite")
    assert not (tmp_path / "new.sqlite").exists()
    DBOS.launch()
    assert (tmp_path / "new.sqlite").exists()
    assert DBOS.list_workflows() == []


@pytest.mark.rules("CFG-29")
def test_sqlite_is_said_to_be_for_development(tmp_path):
    construct(tmp_path / "a.sqlite")
    with logged() as records:
        DBOS.launch()
    assert says(records, "sqlite", logging.INFO)


@pytest.mark.rules("LIF-13", "CFG-37")
def test_a_failed_launch_is_logged_and_raised_and_counts(tmp_path):
    construct(tmp_path / "absent.sqlite", run_migrations=False)
    with logged() as records, pytest.raises(dbos_error.DBOSInitializationError):
        DBOS.launch()
    errors = [record for record in records if record.levelno == logging.ERROR]
    assert any(record.exc_info for record in errors)
    assert not (tmp_path / "absent.sqlite").exists()
    with logged() as records:
        DBOS.launch()
    assert says(records, "already launched", logging.WARNING)
    DBOS.destroy()
    construct(tmp_path / "absent.sqlite")
    DBOS.launch()
    assert DBOS.list_workflows() == []


@pytest.mark.rules("LIF-13", "LIF-17")
def test_an_unreachable_database_fails_the_launch_with_the_drivers_error():
    DBOS(
        config={
            "name": "testapp",
            # Nobody listens on the discard port.
            "system_database_url": "postgresql://postgres@127.0.0.1:9/nowhere?connect_timeout=1",
        }
    )
    with pytest.raises(Exception, match="(?i)connection") as caught:
        DBOS.launch()
    assert type(caught.value).__name__ == "OperationalError"


@pytest.mark.rules("LIF-14")
def test_background_threads_are_daemons(launch, db):
    """Hold for the pool too (3.4.0's pool threads are none)."""
    before = set(threading.enumerate())
    names: list[str] = []

    @DBOS.workflow()
    def program() -> None:
        names.append(threading.current_thread().name)

    launch()
    DBOS.start_workflow(program).get_result()
    with SetWorkflowID("w"):
        program()
    redispatch(db, "w")
    DBOS.get_result("w")
    assert all(thread.daemon for thread in threading.enumerate() if thread not in before)
    started, called, dispatched = names
    assert started.startswith("dbos-executor-")
    assert dispatched.startswith("dbos-executor-")
    assert called == threading.current_thread().name


@pytest.mark.rules("LIF-14", "CFG-2")
def test_the_pool_may_be_bounded(launch):
    """Two blocked workflows fill a pool of two; a third waits for a thread."""
    release = threading.Event()
    running: list[str] = []
    both = threading.Barrier(3)

    @DBOS.workflow()
    def blocked(name: str) -> str:
        running.append(name)
        if name != "third":
            both.wait(30)
            assert release.wait(30)
        return name

    launch(max_executor_threads=2)
    handles = [DBOS.start_workflow(blocked, name) for name in ("first", "second")]
    both.wait(30)
    third = DBOS.start_workflow(blocked, "third")
    assert sorted(running) == ["first", "second"]
    release.set()
    assert [handle.get_result() for handle in [*handles, third]] == ["first", "second", "third"]


@pytest.mark.rules("LIF-15")
async def test_a_running_loop_is_adopted_as_the_main_loop(launch, db):
    loops: list[Any] = []

    @DBOS.workflow()
    async def program() -> None:
        loops.append(asyncio.get_running_loop())

    launch()
    with SetWorkflowID("w"):
        await program()
    redispatch(db, "w")
    await DBOS.get_result_async("w")
    await (await DBOS.start_workflow_async(program)).get_result()
    here = asyncio.get_running_loop()
    assert [loop is here for loop in loops] == [True] * 3


@pytest.mark.rules("LIF-15")
def test_without_a_loop_coroutines_run_on_a_background_one(launch):
    threads: list[threading.Thread] = []

    @DBOS.workflow()
    async def program() -> bool:
        threads.append(threading.current_thread())
        return looping()

    launch()
    assert DBOS.start_workflow(program).get_result()
    assert DBOS.start_workflow(program).get_result()
    assert threads[0] is threads[1]
    assert threads[0] is not threading.current_thread()
    assert threads[0].daemon


@pytest.mark.rules("LIF-15")
def test_a_loop_that_ended_is_replaced_by_the_background_one(launch):
    @DBOS.workflow()
    async def program() -> str:
        return threading.current_thread().name

    async def main() -> str:
        launch()
        return await program()

    assert asyncio.run(main()) == threading.current_thread().name
    assert DBOS.start_workflow(program).get_result() != threading.current_thread().name


@pytest.mark.rules("LIF-18", "RV-10")
def test_a_workflow_that_cannot_be_recovered_does_not_stop_the_others(launch, db):
    ran: list[str] = []

    @DBOS.workflow(name="program")
    def program(name: str) -> str:
        ran.append(name)
        return name

    launch()
    for workflow_id in ("a", "b", "c"):
        with SetWorkflowID(workflow_id):
            program(workflow_id)
    DBOS.destroy()
    ran.clear()
    db.execute("delete from {workflow_output}")
    db.execute("update {workflow_status} set status = 'PENDING', completed_at = null")
    db.execute("update {workflow_status} set name = 'unknown' where workflow_uuid = 'b'")
    launch()
    assert DBOS.get_result("a") == "a"
    assert DBOS.get_result("c") == "c"
    assert sorted(ran) == ["a", "c"]
    assert workflow_row(db, "b")["status"] in ("PENDING", "ENQUEUED")


@pytest.mark.rules("LIF-20")
async def test_workflows_and_steps_may_be_registered_after_launch(launch, db, face):
    launch()

    @face.step()
    async def step() -> int:
        return 1

    @face.workflow()
    async def program() -> int:
        return await step()

    with SetWorkflowID("w"):
        assert await program() == 1
    redispatch(db, "w")
    assert await face.dbos.get_result("w") == 1


@pytest.mark.rules("CFG-43")
def test_patching_is_said_to_be_deprecated(tmp_path):
    construct(tmp_path / "a.sqlite", enable_patching=True)
    with logged() as records:
        DBOS.launch()
    assert says(records, "enable_patching is deprecated", logging.WARNING)
