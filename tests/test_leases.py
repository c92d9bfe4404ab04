"""Leases: how a process says that it is alive, and what it says of itself."""

from __future__ import annotations

import os
from typing import Any

import pytest
from programs import Gate, logged, says, until

from dbos import DBOS
from dbos.error import DBOSInitializationError


async def test_a_launched_process_is_listed_with_what_it_runs(launch, db, face):
    gate = Gate()

    @face.workflow()
    async def program() -> None:
        await gate.wait()

    launch(executor_id="e")
    handle = await face.start(program)
    await gate.reached()
    (executor,) = await face.dbos.list_executors()
    assert (executor.executor_id, executor.application_name, executor.application_version) == ("e", "testapp", "v1")
    assert (executor.pid, executor.is_alive, executor.is_draining) == (os.getpid(), True, False)
    assert executor.lease_expires_at - executor.heartbeat_at == 30_000
    assert executor.running_workflows == 1
    gate.open()
    await handle.get_result()


async def test_the_lease_is_renewed_every_third_of_it(launch, db):
    def lease() -> dict[str, Any]:
        (row,) = db.rows("select * from {executors}")
        return row

    launch(executor_lease_sec=0.6)
    first = lease()
    await until(lambda: lease()["heartbeat_at_epoch_ms"] > first["heartbeat_at_epoch_ms"])
    later = lease()
    assert later["started_at_epoch_ms"] == first["started_at_epoch_ms"]
    assert later["expires_at_epoch_ms"] - later["heartbeat_at_epoch_ms"] == 600


def test_destroy_leaves_no_lease_behind(launch, db):
    launch()
    assert len(db.rows("select * from {executors}")) == 1
    DBOS.destroy()
    assert db.rows("select * from {executors}") == []


def test_without_leases_nothing_is_created_or_written(launch, db):
    db.execute("drop table {executors}")
    db.execute("drop table {dbos_indie_migrations}")
    launch(executor_lease_sec=0)
    assert DBOS.list_executors() == []
    with pytest.raises(Exception, match="executors"):
        db.rows("select * from {executors}")


def test_a_database_without_our_tables_gets_them_at_launch(launch, db):
    db.execute("drop table {executors}")
    db.execute("drop table {dbos_indie_migrations}")
    versions = db.rows("select * from {dbos_migrations}")
    launch()
    assert len(DBOS.list_executors()) == 1
    assert db.rows("select * from {dbos_migrations}") == versions
    assert db.rows("select version from {dbos_indie_migrations}") == [{"version": 2}]


def test_a_launch_that_only_verifies_goes_on_without_our_tables(launch, db):
    db.execute("drop table {executors}")
    db.execute("drop table {dbos_indie_migrations}")
    launch(run_migrations=False)
    assert DBOS.list_executors() == []


@pytest.mark.parametrize("seconds", [-1, 0.1, float("nan"), float("inf"), "30"])
def test_a_lease_that_cannot_be_is_refused(seconds):
    with pytest.raises(DBOSInitializationError, match="executor_lease_sec"):
        DBOS(config={"name": "refused", "executor_lease_sec": seconds})


async def test_what_no_live_process_can_run_is_counted_and_logged(launch, db):
    @DBOS.workflow()
    def program() -> None: ...

    launch(executor_lease_sec=0.5)
    await DBOS.register_queue_async("old")
    with logged() as records:
        options = {"queue_name": "old", "workflow_name": program.__qualname__, "app_version": "v0"}
        await DBOS.enqueue_workflow_with_options_async(options)
        (stranded,) = await DBOS.list_stranded_versions_async()
        await until(lambda: says(records, "version v0 wait"))
    assert (stranded.application_version, stranded.workflows) == ("v0", 1)


def test_what_a_live_process_can_run_is_not_stranded(launch, db):
    launch()
    DBOS.register_queue("paused", worker_concurrency=0)

    @DBOS.workflow()
    def program() -> None: ...

    DBOS.enqueue_workflow("paused", program)
    assert DBOS.list_stranded_versions() == []


async def test_a_lease_that_ran_out_is_taken_again(launch, db):
    def lease() -> list[dict[str, Any]]:
        return db.rows("select incarnation from {executors}")

    launch(executor_lease_sec=0.6)
    before = lease()
    with logged() as records:
        db.execute("delete from {executors}")
        await until(lambda: says(records, "ran out"))
        await until(lease)
    assert lease() == before
