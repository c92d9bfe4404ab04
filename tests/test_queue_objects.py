"""Queue objects: registering, looking up, reading and changing settings; queues declared in this process."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import pytest
from programs import logged, says, until

from dbos import DBOS, Queue
from dbos import error as dbos_error

LIMIT = {"limit": 5, "period": 1.5}


def declare(name: str, *args: Any, **options: Any) -> Queue:
    """Declare a queue in this process."""
    with pytest.warns(DeprecationWarning, match="register_queue"):
        return Queue(name, *args, **options)


def queue_row(db: Any, name: str) -> dict[str, Any]:
    """Return the row of a registered queue."""
    [row] = db.rows("select * from {queues} where name = ?", name)
    return dict(row)


@pytest.mark.rules("QU-8", "QU-10", "QU-45", "QS-1", "QS-3", "QU-15", "FT-24")
async def test_registering_stores_every_setting(launch, db, face):
    launch()
    queue = await face.dbos.register_queue(
        "q",
        worker_concurrency=2,
        global_concurrency=3,
        partition_concurrency=2,
        partition_worker_concurrency=1,
        partition_limiter={"limit": 1, "period": 2},
        limiter=LIMIT,
        polling_interval_sec=0.25,
        priority_enabled=True,
    )
    row = queue_row(db, "q")
    assert (row["concurrency"], row["worker_concurrency"]) == (3, 2)
    assert (row["rate_limit_max"], row["rate_limit_period_sec"]) == (5, 1.5)
    assert (row["partition_concurrency"], row["partition_worker_concurrency"]) == (2, 1)
    assert (row["partition_rate_limit_max"], row["partition_rate_limit_period_sec"]) == (1, 2.0)
    assert (row["polling_interval_sec"], row["application_name"]) == (0.25, "testapp")
    assert bool(row["priority_enabled"]) and bool(row["partition_queue"])
    assert queue.database_backed_queue and queue.name == "q" and queue.application_name == "testapp"


@pytest.mark.rules("QU-13", "QU-15", "QU-17")
async def test_what_becomes_of_an_existing_queue(launch, db, face):
    launch()
    await face.dbos.register_queue("q", worker_concurrency=2, limiter=LIMIT)
    queue_id = queue_row(db, "q")["queue_id"]
    kept = await face.dbos.register_queue("q", concurrency=9, on_conflict="never_update")
    assert await kept.get_worker_concurrency_async() == 2 if face.looping else kept.worker_concurrency == 2
    await face.dbos.register_queue("q", concurrency=20)
    row = queue_row(db, "q")
    assert (row["concurrency"], row["worker_concurrency"], row["rate_limit_max"]) == (20, None, None)
    db.execute(
        "insert into {application_versions} (version_id, version_name, version_timestamp, created_at)"
        " values ('x', 'v2', 99999999999999, 1)"
    )
    await face.dbos.register_queue("q", concurrency=30)
    assert queue_row(db, "q")["concurrency"] == 20
    await face.dbos.register_queue("q", concurrency=30, on_conflict="always_update")
    assert queue_row(db, "q")["concurrency"] == 30
    db.execute("update {queues} set application_name = null")
    await face.dbos.register_queue("q", on_conflict="never_update")
    assert (queue_row(db, "q")["application_name"], queue_row(db, "q")["queue_id"]) == ("testapp", queue_id)
    with pytest.raises(dbos_error.DBOSException, match="Invalid on_conflict"):
        await face.dbos.register_queue("q", on_conflict="sometimes")


@pytest.mark.rules("QU-16", "OWN-6")
@pytest.mark.parametrize("mode", ["update_if_latest_version", "always_update", "never_update"])
async def test_another_applications_name_is_refused(launch, db, face, mode):
    launch()
    await face.dbos.register_queue("q", concurrency=1)
    db.execute("update {queues} set application_name = 'other'")
    before = queue_row(db, "q")
    with pytest.raises(dbos_error.DBOSException) as refusal:
        await face.dbos.register_queue("q", concurrency=2, on_conflict=mode)
    for text in ("already registered by application", "give 'testapp' a different queue name"):
        assert text in str(refusal.value)
    assert "dbos rename-application" in str(refusal.value)
    assert queue_row(db, "q") == before


@pytest.mark.rules("QU-18", "QU-19", "FT-25")
async def test_looking_up_listing_and_deleting(launch, db, face):
    launch()
    for name in ("mine", "theirs", "nobodys"):
        await face.dbos.register_queue(name)
    db.execute("update {queues} set application_name = 'other' where name = 'theirs'")
    db.execute("update {queues} set application_name = null where name = 'nobodys'")

    async def names(**options: Any) -> set[str]:
        return {queue.name for queue in await face.dbos.list_queues(**options)}

    assert await names() == {"mine", "nobodys"}
    assert await names(application_name="other") == {"theirs", "nobodys"}
    assert await names(application_name=["other", "testapp"]) == {"mine", "theirs", "nobodys"}
    assert (await face.dbos.retrieve_queue("theirs")).application_name == "other"
    assert await face.dbos.retrieve_queue("unknown") is None
    await face.dbos.delete_queue("mine")
    await face.dbos.delete_queue("mine")
    assert await face.dbos.retrieve_queue("mine") is None


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"concurrency": 1, "global_concurrency": 1}, "set only one of them"),
    ({"partition_queue": True, "partition_concurrency": 1}, "set only one of them"),
    ({"partition_queue": True, "global_concurrency": 1}, "cannot be combined with global_concurrency"),
    ({"partition_concurrency": 0}, "must be at least 1"),
    ({"partition_worker_concurrency": 0}, "must be at least 1"),
    ({"limiter": {"limit": 1}}, "must specify both 'limit' and 'period'"),
    ({"partition_limiter": {"period": 1}}, "must specify both 'limit' and 'period'"),
    ({"partition_worker_concurrency": 2, "partition_concurrency": 1}, "greater than or equal"),
    ({"partition_worker_concurrency": 2, "worker_concurrency": 1}, "greater than or equal"),
    ({"worker_concurrency": 2, "concurrency": 1}, "greater than or equal"),
    ({"partition_concurrency": 2, "concurrency": 1}, "greater than or equal"),
    ({"partition_worker_concurrency": 2, "concurrency": 1}, "greater than or equal"),
    ({"polling_interval_sec": 0}, "must be positive"),
]


@pytest.mark.rules("QU-20", "QU-21", "QU-22", "QU-23", "QU-24", "QU-25", "QU-26")
def test_limits_that_contradict_are_refused(launch, db):
    launch()
    for options, message in INVALID:
        with pytest.raises(ValueError, match=message):
            DBOS.register_queue("q", **options)
        with pytest.raises(ValueError, match=message):
            Queue("q", **options)
    assert db.rows("select * from {queues}") == []
    with pytest.raises(ValueError, match="reserved"):
        DBOS.register_queue("_dbos_mine")
    with pytest.raises(ValueError, match="reserved"):
        Queue("_dbos_internal_queue")


@pytest.mark.rules("QU-28", "QU-29", "QU-22")
def test_limits_of_zero_are_legal(launch):
    launch()
    queue = DBOS.register_queue("q", concurrency=0, worker_concurrency=0, limiter={"limit": 0, "period": 0})
    assert (queue.concurrency, queue.worker_concurrency, queue.limiter) == (0, 0, {"limit": 0, "period": 0.0})
    DBOS.register_queue("legacy", partition_queue=True, concurrency=1)


PROPERTIES: list[tuple[str, Any]] = [
    ("concurrency", 7),
    ("global_concurrency", 8),
    ("worker_concurrency", 2),
    ("limiter", {"limit": 3, "period": 4.5}),
    ("partition_concurrency", 2),
    ("partition_worker_concurrency", 1),
    ("partition_limiter", {"limit": 1, "period": 9.0}),
    ("priority_enabled", True),
    ("polling_interval_sec", 0.5),
]


@pytest.mark.rules("QU-30", "QU-31", "QU-33", "QU-34", "QU-35")
async def test_properties_are_read_from_and_written_to_the_database(launch, db, face):
    launch()
    queue = await face.dbos.register_queue("q")

    async def get(name: str) -> Any:
        return await getattr(queue, f"get_{name}_async")() if face.looping else getattr(queue, name)

    async def put(name: str, value: Any) -> None:
        if face.looping:
            await getattr(queue, f"set_{name}_async")(value)
        else:
            getattr(queue, f"set_{name}")(value)

    for name, value in PROPERTIES:
        before = queue_row(db, "q")
        await put(name, value)
        assert await get(name) == value, name
        after = queue_row(db, "q")
        changed = {column for column in after if after[column] != before[column]} - {"updated_at"}
        assert changed and not changed & {"name", "queue_id", "created_at", "application_name"}, name
    assert await get("partition_queue")
    for name in ("partition_worker_concurrency", "partition_concurrency", "partition_limiter"):
        assert bool(queue_row(db, "q")["partition_queue"])
        await put(name, None)
        assert await get(name) is None
    assert not await get("partition_queue") and not bool(queue_row(db, "q")["partition_queue"])
    db.execute("update {queues} set worker_concurrency = 5, concurrency = 6")
    with pytest.raises(ValueError, match="greater than or equal"):
        await put("global_concurrency", 4)
    with pytest.raises(ValueError, match="must specify both"):
        await put("limiter", {"limit": 4})
    with pytest.raises(ValueError, match="must be positive"):
        await put("polling_interval_sec", -1)
    await put("limiter", None)
    assert await get("limiter") is None
    db.execute("delete from {queues}")
    with pytest.raises(dbos_error.DBOSException, match="not found in the database"):
        await get("limiter")
    with pytest.raises(dbos_error.DBOSException, match="not found in the database"):
        await put("limiter", None)


@pytest.mark.rules("QU-36", "QU-37", "QU-38")
def test_a_legacy_partitioned_queue(launch, db):
    launch()
    queue = DBOS.register_queue("q", partition_queue=True, concurrency=3, worker_concurrency=2, limiter=LIMIT)
    assert (queue.partition_concurrency, queue.partition_worker_concurrency, queue.partition_limiter) == (3, 2, LIMIT)
    assert (queue.global_concurrency, queue.worker_concurrency, queue.limiter) == (None, None, None)
    assert queue.concurrency == 3 and queue.partition_queue
    before = queue_row(db, "q")
    for name in ("global_concurrency", "worker_concurrency", "partition_concurrency", "partition_worker_concurrency"):
        with pytest.raises(dbos_error.DBOSException):
            getattr(queue, f"set_{name}")(1)
    for name in ("limiter", "partition_limiter"):
        with pytest.raises(dbos_error.DBOSException):
            getattr(queue, f"set_{name}")(LIMIT)
    assert queue_row(db, "q") == before
    queue.set_concurrency(4)
    queue.set_polling_interval_sec(2.0)
    assert (queue.concurrency, queue.polling_interval_sec) == (4, 2.0)
    queue.set_partition_queue(False)
    assert (queue.partition_queue, queue.global_concurrency, queue.worker_concurrency) == (False, 4, 2)
    queue.set_partition_concurrency(1)
    with pytest.raises(dbos_error.DBOSException, match="per-partition limits"):
        queue.set_partition_queue(False)


@pytest.mark.rules("QU-1", "QU-2", "QU-3", "QU-4", "QU-6", "QU-8")
def test_a_queue_declared_in_this_process(launch):
    queue = declare("declared", 4, LIMIT, worker_concurrency=2, polling_interval_sec=0.5)
    assert (queue.concurrency, queue.limiter, queue.worker_concurrency) == (4, LIMIT, 2)
    assert (queue.polling_interval_sec, queue.application_name, queue.database_backed_queue) == (0.5, None, False)
    with pytest.raises(Exception, match="declared has already been declared"), warnings.catch_warnings():
        warnings.simplefilter("error")
        Queue("declared")
    with pytest.raises(dbos_error.DBOSException, match="Cannot configure queue"):
        queue.set_worker_concurrency(3)
    launch()
    assert DBOS.retrieve_queue("declared") is None and DBOS.list_queues() == []


@pytest.mark.rules("QU-5")
def test_declared_queues_survive_until_the_registry_is_destroyed(launch):
    declare("declared")
    launch()
    DBOS.destroy()
    with pytest.raises(Exception, match="already been declared"):
        Queue("declared")
    DBOS.destroy(destroy_registry=True)
    declare("declared")


@pytest.mark.rules("QU-7")
async def test_a_declaration_wins_over_a_registration_of_its_name(launch, db, face):
    declare("both", worker_concurrency=0)

    @face.workflow()
    async def program() -> None: ...

    launch()
    with logged() as records:
        await face.dbos.register_queue("both")
        await until(lambda: says(records, "both declared in this process and registered", logging.WARNING))
    handle = await face.dbos.enqueue_workflow("both", face.fn(program))
    assert (await handle.get_status()).status == "ENQUEUED"


@pytest.mark.rules("QU-11", "QU-32")
async def test_blocking_calls_on_an_event_loop(launch, face):
    launch()
    queue = await face.dbos.register_queue("q")
    if not face.looping:
        assert queue.worker_concurrency is None
        return
    for name, arguments in (("register_queue", ("q",)), ("retrieve_queue", ("q",)), ("delete_queue", ("q",))):
        with pytest.raises(RuntimeError, match=f"{name}_async"):
            getattr(DBOS, name)(*arguments)
    with pytest.raises(RuntimeError, match="list_queues_async"):
        DBOS.list_queues()
    with logged() as records:
        queue.set_worker_concurrency(3)
        assert queue.worker_concurrency == 3
    assert says(records, "set_worker_concurrency_async", logging.WARNING)
    assert says(records, "get_worker_concurrency_async", logging.WARNING)


@pytest.mark.rules("QU-12")
def test_registering_needs_a_launched_application():
    DBOS(config={"name": "testapp"})
    try:
        with pytest.raises(dbos_error.DBOSException, match="launch"):
            DBOS.register_queue("q")
    finally:
        DBOS.destroy(destroy_registry=True)


@pytest.mark.rules("QU-50")
def test_what_launch_and_registration_log(launch, caplog):
    declare("declared", worker_concurrency=2, limiter={"limit": 5, "period": 60})
    caplog.set_level(logging.INFO, "dbos")
    launch()
    said = caplog.messages
    assert "Listening to 1 queues:" in said
    assert "Queue: declared (worker_concurrency=2, limit=5/60s)" in said
    assert not any("_dbos_internal_queue" in message for message in said)
    with logged() as records:
        DBOS.register_queue("q", concurrency=4)
        DBOS.register_queue("q", concurrency=5)
    assert [record.getMessage() for record in records if "new queue" in record.getMessage()] == [
        "Registered and listening to new queue: q (concurrency=4)"
    ]
