"""The end of an instance: what waits, what is abandoned, what is undone."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time

import pytest
from face import drive
from programs import Gate, SpareGate, logged, reaches, says, status_of

from dbos import DBOS, SetWorkflowID, SetWorkflowTimeout
from dbos import error as dbos_error


@pytest.mark.rules("LIF-30")
def test_the_signature():
    parameters = inspect.signature(DBOS.destroy).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        "destroy_registry": False,
        "workflow_completion_timeout_sec": 0,
    }
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters.values())


@pytest.mark.rules("LIF-30")
def test_without_an_instance_it_is_harmless():
    DBOS.destroy()
    DBOS.destroy(workflow_completion_timeout_sec=1)


@pytest.mark.rules("LIF-30", "LIF-1")
def test_a_constructed_instance_can_be_destroyed(tmp_path):
    DBOS(config={"name": "testapp", "system_database_url": f"sqlite:///{tmp_path}/a.sqlite"})
    DBOS.destroy()
    assert not (tmp_path / "a.sqlite").exists()


@pytest.mark.rules("LIF-31")
def test_it_says_that_it_is_done(launch):
    launch()
    with logged() as records:
        DBOS.destroy()
    assert says(records, "DBOS successfully shut down", logging.INFO)


@pytest.mark.rules("LIF-32")
def test_with_nothing_active_a_long_wait_ends_at_once(launch):
    @DBOS.workflow()
    def program() -> int:
        return 1

    launch()
    assert DBOS.start_workflow(program).get_result() == 1
    before = time.monotonic()
    DBOS.destroy(workflow_completion_timeout_sec=600)
    assert time.monotonic() - before < 10


@pytest.mark.rules("LIF-31", "LIF-32")
def test_it_waits_for_active_workflows(launch, db):
    gate = Gate()

    @DBOS.workflow()
    def program() -> int:
        gate.hold()
        return 1

    launch()
    with SetWorkflowID("w"):
        DBOS.start_workflow(program)
    drive(gate.reached())
    opener = threading.Timer(0.3, gate.open)
    opener.start()
    DBOS.destroy(workflow_completion_timeout_sec=30)
    opener.join()
    assert status_of(db, "w") == "SUCCESS"


@pytest.mark.rules("LIF-31", "LIF-32")
def test_a_blocked_workflow_is_abandoned_after_the_wait(launch, db):
    with SpareGate() as gate:

        @DBOS.workflow()
        def program() -> int:
            gate.hold()
            return 1

        launch()
        with SetWorkflowID("held-up"):
            handle = DBOS.start_workflow(program)
        drive(gate.reached())
        before = time.monotonic()
        with logged() as records:
            DBOS.destroy(workflow_completion_timeout_sec=1)
        assert 1 <= time.monotonic() - before < 10
        assert says(records, "held-up")
        assert status_of(db, "held-up") == "PENDING"
    with pytest.raises(dbos_error.DBOSException):
        handle.get_result()


@pytest.mark.rules("LIF-32")
def test_the_later_calls_of_an_abandoned_thread_raise(launch, db):
    raised: list[BaseException] = []
    ended = threading.Event()

    with SpareGate() as gate:

        @DBOS.workflow()
        def program() -> None:
            try:
                gate.hold()
                DBOS.sleep(0.001)
            except BaseException as error:
                raised.append(error)
                raise
            finally:
                ended.set()

        launch()
        with SetWorkflowID("w"):
            DBOS.start_workflow(program)
        # What has not begun would be dropped, not abandoned (LIF-31).
        drive(gate.reached())
        DBOS.destroy()
    assert ended.wait(30)
    [error] = raised
    assert isinstance(error, (dbos_error.DBOSException, dbos_error.DBOSBaseException))
    assert status_of(db, "w") == "PENDING"


@pytest.mark.rules("LIF-31")
def test_timeouts_still_fire_during_the_wait(launch, db):
    @DBOS.workflow()
    async def program() -> None:
        for _ in range(3000):
            await DBOS.sleep_async(0.01)

    launch()
    with SetWorkflowID("w"), SetWorkflowTimeout(0.3):
        DBOS.start_workflow(program)
    DBOS.destroy(workflow_completion_timeout_sec=30)
    assert status_of(db, "w") == "CANCELLED"


@pytest.mark.rules("LIF-33")
async def test_it_may_be_called_from_the_main_loop(launch, db):
    @DBOS.workflow()
    async def program() -> None:
        await asyncio.sleep(3600)

    launch()
    with SetWorkflowID("w"), SetWorkflowTimeout(3600):
        handle = await DBOS.start_workflow_async(program)
    assert handle.workflow_id == "w"
    before = time.monotonic()
    DBOS.destroy()
    assert time.monotonic() - before < 10
    # The cancelled tasks end on this loop.
    await asyncio.sleep(0)
    assert status_of(db, "w") == "PENDING"


@pytest.mark.rules("LIF-33")
def test_a_wait_on_sqlite_or_postgres_does_not_hang_it(launch):
    """Destroy while a thread waits for a result that never comes (3.4.0 leaves the thread waiting)."""
    ended = threading.Event()

    def wait() -> None:
        try:
            DBOS.get_result("never")
        except dbos_error.DBOSException:
            ended.set()

    launch()
    waiter = threading.Thread(target=wait)
    waiter.start()
    waiter.join(0.2)
    before = time.monotonic()
    DBOS.destroy()
    assert time.monotonic() - before < 10
    assert ended.wait(30)


@pytest.mark.rules("LIF-35")
def test_an_async_workflow_cancelled_by_the_shutdown_records_nothing(launch, db):
    """Leave the row as it was (3.4.0 records an error for one that a plain thread started)."""
    entered, left = threading.Event(), threading.Event()

    @DBOS.workflow()
    async def program(waiting: bool) -> int:
        entered.set()
        try:
            if waiting:
                await asyncio.sleep(3600)
        finally:
            left.set()
        return 1

    launch()
    with SetWorkflowID("w"):
        DBOS.start_workflow(program, True)
    assert entered.wait(30)
    DBOS.destroy()
    assert left.wait(30)
    assert status_of(db, "w") == "PENDING"
    rows = db.rows("select * from {workflow_output} where workflow_uuid = 'w'")
    assert all(row["output"] is None and row["error"] is None for row in rows)


@pytest.mark.rules("LIF-35", "LIF-3", "RV-10")
async def test_what_was_cut_off_is_recovered_by_the_next_launch(launch, db):
    gate = Gate()

    @DBOS.workflow()
    async def program() -> str:
        await gate.wait()
        return "recovered"

    launch()
    with SetWorkflowID("w"):
        await DBOS.start_workflow_async(program)
    await gate.reached()
    DBOS.destroy()
    gate.open()
    launch()
    assert await DBOS.get_result_async("w") == "recovered"
    await reaches(db, "w", "SUCCESS")


@pytest.mark.rules("LIF-36", "LOG-2")
def test_handlers_and_filters_do_not_pile_up(launch):
    launch()
    DBOS.destroy()
    logger = logging.getLogger("dbos")
    before = len(logger.handlers), len(logger.filters)
    for _ in range(3):
        launch()
        DBOS.destroy()
    assert (len(logger.handlers), len(logger.filters)) == before


@pytest.mark.rules("LIF-31", "LIF-34")
def test_no_session_is_left_open(launch, db):
    @DBOS.workflow()
    def program() -> int:
        DBOS.sleep(0.001)
        return 1

    launch()
    assert DBOS.start_workflow(program).get_result() == 1
    DBOS.destroy()
    if db.dialect == "postgres":
        sql = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        deadline = time.monotonic() + 10
        while db.rows(sql) and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        assert db.rows(sql) == []
    else:
        # Nobody holds a lock.
        db.execute("pragma journal_mode = delete")


@pytest.mark.rules("LIF-31")
def test_no_thread_is_left(launch):
    before = set(threading.enumerate())

    @DBOS.workflow()
    def plain() -> int:
        return 1

    @DBOS.workflow()
    async def looping() -> int:
        return 1

    launch()
    assert DBOS.start_workflow(plain).get_result() == DBOS.start_workflow(looping).get_result() == 1
    DBOS.destroy()
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(10)
    assert not any(thread.is_alive() for thread in left)


@pytest.mark.rules("LIF-1", "CFG-47")
def test_version_and_executor_are_reset(launch, monkeypatch):
    """Reset at the destroy, as 2.x does (3.4.0 resets at the next construction only)."""
    monkeypatch.delenv("DBOS__APPVERSION", raising=False)
    monkeypatch.delenv("DBOS__VMID", raising=False)
    launch(application_version="v7", executor_id="e7")
    assert (DBOS.application_version, DBOS.executor_id) == ("v7", "e7")
    DBOS.destroy()
    assert (DBOS.application_version, DBOS.executor_id) == ("", "local")
    launch()
    assert (DBOS.application_version, DBOS.executor_id) == ("v1", "local")
