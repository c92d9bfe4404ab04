"""`DebouncerClient`: many calls under one key, from outside the application, become one run."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from programs import workflow_row, workflow_rows

from dbos import DBOS, DBOSClient, DebouncerClient, SetEnqueueOptions, SetWorkflowID
from dbos import error as dbos_error

HOUR = 3600.0
OPTIONS: dict[str, Any] = {"workflow_name": "echo", "queue_name": "drafts"}


async def debounce(face: Any, debouncer: DebouncerClient, *args: Any) -> str:
    """Debounce a call in the face's colour and return the id of its workflow."""
    if face.looping:
        return (await debouncer.debounce_async(*args)).workflow_id
    return debouncer.debounce(*args).workflow_id


@pytest.mark.rules("DCL-1", "DCL-2", "DCL-3")
async def test_calls_under_one_key_become_one_run_with_the_newest_arguments(launch, db, face, client):
    @face.workflow(name="echo")
    async def echo(value: int) -> int:
        return value

    launch()
    await face.dbos.register_queue("drafts", polling_interval_sec=0.01)
    debouncer = DebouncerClient(client, OPTIONS)
    first = await debounce(face, debouncer, "k", HOUR, 1)
    row = workflow_row(db, first)
    assert (row["status"], row["queue_name"], row["deduplication_id"]) == ("DELAYED", "drafts", "echo-k")
    assert row["is_debounced"] and row["executor_id"] is None
    assert await debounce(face, debouncer, "k", 0.05, 2) == first
    assert await debounce(face, debouncer, "other", HOUR, 3) != first
    assert await face.dbos.get_result(first) == 2
    assert await debounce(face, debouncer, "k", HOUR, 4) != first


@pytest.mark.rules("DCL-1", "DCL-2", "DCL-6")
async def test_queue_owner_and_timeout_of_the_debouncer_lead(db, face, client):
    shop = DBOSClient(system_database_url=db.url, application_name="shop")
    with shop:
        mine = DebouncerClient(shop, OPTIONS, queue="other", debounce_timeout_sec=60)
        row = workflow_row(db, await debounce(face, mine, "a", HOUR, 1))
        assert (row["queue_name"], row["application_name"]) == ("other", "shop")
        assert row["delay_until_epoch_ms"] == row["debounce_deadline_epoch_ms"] <= row["created_at"] + 61_000
        option: Any = {**OPTIONS, "application_name": "bank"}
        optioned = await debounce(face, DebouncerClient(shop, option), "b", HOUR, 1)
        assert workflow_row(db, optioned)["application_name"] == "bank"
        argument = await debounce(face, DebouncerClient(shop, option, application_name="post"), "c", HOUR, 1)
        assert workflow_row(db, argument)["application_name"] == "post"
    unowned = await debounce(face, DebouncerClient(client, OPTIONS), "d", HOUR, 1)
    assert workflow_row(db, unowned)["application_name"] is None


@pytest.mark.rules("DCL-4")
@pytest.mark.parametrize(
    "option",
    [
        {"deduplication_id": "d"},
        {"delay_seconds": 1},
        {"priority": 1},
        {"queue_partition_key": "p"},
        {"duplication_policy": "return-existing"},
    ],
    ids=lambda option: next(iter(option)),
)
async def test_options_that_debouncing_sets_itself_are_refused(db, face, client, option):
    debouncer = DebouncerClient(client, {**OPTIONS, **option})
    with pytest.raises(dbos_error.DBOSException, match="Cannot debounce"):
        await debounce(face, debouncer, "k", HOUR, 1)
    assert workflow_rows(db) == []


@pytest.mark.rules("DCL-5")
@pytest.mark.parametrize("change", ["is_debounced = false", "name = 'echo-k'", "application_name = 'another'"])
async def test_a_key_that_something_else_holds_is_refused(db, face, client, change):
    with DBOSClient(system_database_url=db.url, application_name="shop") as shop:
        debouncer = DebouncerClient(shop, OPTIONS)
        holder = await debounce(face, debouncer, "k", HOUR, 1)
        db.execute("update {workflow_status} set " + change)
        before = workflow_rows(db)
        with pytest.raises(dbos_error.DBOSQueueDeduplicatedError) as caught:
            await debounce(face, debouncer, "k", HOUR, 2)
    assert (caught.value.workflow_id, caught.value.deduplication_id) == (holder, "echo-k")
    assert workflow_rows(db) == before


@pytest.mark.rules("DCL-7")
def test_concurrent_calls_come_to_one_row(db, client):
    debouncer = DebouncerClient(client, OPTIONS)
    with ThreadPoolExecutor(8) as threads:
        handles = list(threads.map(lambda n: debouncer.debounce("k", HOUR, n), range(24)))
    assert {handle.workflow_id for handle in handles} == {row["workflow_uuid"] for row in workflow_rows(db)}
    assert len(workflow_rows(db)) == 1


@pytest.mark.rules("DCL-7")
async def test_concurrent_tasks_come_to_one_row(db, client):
    debouncer = DebouncerClient(client, OPTIONS)
    handles = await asyncio.gather(*(debouncer.debounce_async("k", HOUR, n) for n in range(24)))
    assert [row["workflow_uuid"] for row in workflow_rows(db)] == list({handle.workflow_id for handle in handles})


@pytest.mark.rules("DCL-2", "CLT-83")
async def test_nothing_around_a_call_reaches_it(db, face, client):
    described: Any = {**OPTIONS, "workflow_id": "pinned", "workflow_timeout": 5}
    with SetWorkflowID("ambient"), SetEnqueueOptions(priority=3):
        assert await debounce(face, DebouncerClient(client, described), "k", HOUR, 1) == "pinned"
    row = workflow_row(db, "pinned")
    assert (row["priority"], row["workflow_timeout_ms"], row["workflow_deadline_epoch_ms"]) == (0, 5000, None)
    assert described == {**OPTIONS, "workflow_id": "pinned", "workflow_timeout": 5}


@pytest.mark.rules("DCL-2", "CLT-81")
def test_it_is_no_step_of_a_workflow(launch, db, client):
    @DBOS.workflow()
    def outer() -> str:
        return DebouncerClient(client, OPTIONS).debounce("k", HOUR, 1).workflow_id

    launch()
    handle = DBOS.start_workflow(outer)
    assert workflow_row(db, handle.get_result())["parent_workflow_id"] is None
    assert DBOS.list_workflow_steps(handle.workflow_id) == []


@pytest.mark.rules("DEB-16b", "DCL-6")
@pytest.mark.parametrize("owner", ["shop", None])
async def test_a_client_without_a_name_bounces_any_run_and_leaves_its_owner(db, face, client, owner):
    with DBOSClient(system_database_url=db.url, application_name=owner) as named:
        first = await debounce(face, DebouncerClient(named, OPTIONS), "k", HOUR, 1)
    before = workflow_row(db, first)
    assert await debounce(face, DebouncerClient(client, OPTIONS), "k", 2 * HOUR, 2) == first
    after = workflow_row(db, first)
    assert after["application_name"] == owner
    assert after["delay_until_epoch_ms"] > before["delay_until_epoch_ms"]


@pytest.mark.rules("DEB-17", "DEB-11")
async def test_the_options_are_read_at_each_call(db, face, client):
    options = dict(OPTIONS)
    debouncer = DebouncerClient(client, options)
    options["workflow_id"] = "pinned"
    assert await debounce(face, debouncer, "k", HOUR, 1) == "pinned"
    options["workflow_id"] = "ignored by a bounce"
    assert await debounce(face, debouncer, "k", HOUR, 2) == "pinned"
    options["app_version"] = "v7"
    assert await debounce(face, debouncer, "other", HOUR, 3) == "ignored by a bounce"
    assert workflow_row(db, "ignored by a bounce")["application_version"] == "v7"
