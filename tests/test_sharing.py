"""Applications that share one system database: what each sees, runs and owns, and giving it another name."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from programs import Gate, status_of, until, workflow_row

from dbos import DBOS, DBOSClient, SetWorkflowID, WorkflowSerializationFormat
from dbos import error as dbos_error

TABLES = ("workflow_status", "operation_outputs", "queues", "workflow_schedules", "application_versions")


class Client:
    """A client whose verbs are awaitable in both colours."""

    def __init__(self, client: DBOSClient, looping: bool) -> None:
        self._client = client
        self._looping = looping

    def __getattr__(self, name: str) -> Any:
        if self._looping:
            return getattr(self._client, f"{name}_async")
        verb = getattr(self._client, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return verb(*args, **kwargs)

        return call


@pytest.fixture
def client_of(db, face) -> Iterator[Callable[..., Client]]:
    """Make clients of the test's database, each of an application or of none."""
    opened: list[DBOSClient] = []

    def client_of(application_name: str | None = None) -> Client:
        opened.append(DBOSClient(system_database_url=db.url, application_name=application_name))
        return Client(opened[-1], face.looping)

    yield client_of
    for client in opened:
        client.destroy()


def owned_by(db, owner: str | None) -> dict[str, int]:
    """Count the rows of an application, table by table."""
    condition = "application_name is null" if owner is None else "application_name = ?"
    values = () if owner is None else (owner,)
    return {
        table: db.rows(f"select count(*) as n from {{{table}}} where {condition}", *values)[0]["n"] for table in TABLES
    }


def add_workflow(db, workflow_id: str, owner: str | None, status: str = "SUCCESS", **columns: Any) -> None:
    """Write a workflow's row and its one step."""
    given = {"workflow_uuid": workflow_id, "name": "w", "status": status, "application_name": owner, **columns}
    db.execute(
        f"insert into {{workflow_status}} ({', '.join(given)}) values ({', '.join('?' * len(given))})", *given.values()
    )
    db.execute(
        "insert into {operation_outputs} (workflow_uuid, function_id, function_name, application_name)"
        " values (?, 1, 's', ?)",
        workflow_id,
        owner,
    )


def add_application(db, owner: str | None, suffix: str = "") -> None:
    """Write a queue, a schedule, a version and a workflow in every stage."""
    db.execute("insert into {queues} (name, application_name) values (?, ?)", f"q{suffix}", owner)
    db.execute(
        "insert into {workflow_schedules} (schedule_id, schedule_name, workflow_name, schedule, context,"
        " application_name) values (?, ?, 'w', '0 0 1 1 *', 'null', ?)",
        f"i{suffix}",
        f"s{suffix}",
        owner,
    )
    db.execute(
        "insert into {application_versions} (version_id, version_name, application_name) values (?, ?, ?)",
        f"i{suffix}",
        f"v{suffix}",
        owner,
    )
    for status in ("ENQUEUED", "PENDING", "DELAYED", "SUCCESS", "ERROR", "CANCELLED"):
        add_workflow(db, f"{status}{suffix}", owner, status)


WHOLE = {"workflow_status": 6, "operation_outputs": 6, "queues": 1, "workflow_schedules": 1, "application_versions": 1}
MOVED = {"queues": 1, "schedules": 1, "versions": 1, "workflows": 6, "steps": 6}


@pytest.mark.rules("APP-11", "APP-12", "OWN-7", "CLT-79")
@pytest.mark.parametrize("batch_size", [1, 4, 10000, None])
async def test_renaming_gives_everything_an_application_owns_to_the_new_name(db, client_of, batch_size):
    add_application(db, "old-app", "-old")
    add_application(db, None, "-free")
    add_application(db, "another", "-another")
    client = client_of()
    assert await client.rename_application("old-app", "new-app", batch_size=batch_size) == MOVED
    assert owned_by(db, "new-app") == WHOLE
    assert owned_by(db, "old-app") == dict.fromkeys(WHOLE, 0)
    assert owned_by(db, None) == owned_by(db, "another") == WHOLE
    assert await client.rename_application("old-app", "new-app") == dict.fromkeys(MOVED, 0)


@pytest.mark.rules("APP-11", "OWN-7", "CLT-79")
@pytest.mark.parametrize("old_name", ["old-app", None])
async def test_unclaimed_rows_are_adopted_on_request(db, client_of, old_name):
    add_application(db, "old-app", "-old")
    add_application(db, None, "-free")
    add_application(db, "another", "-another")
    times = 1 if old_name is None else 2
    moved = await client_of().rename_application(old_name, "new-app", adopt_unclaimed_rows=True)
    assert moved == {name: times * count for name, count in MOVED.items()}
    assert owned_by(db, "new-app") == {name: times * count for name, count in WHOLE.items()}
    assert owned_by(db, None) == dict.fromkeys(WHOLE, 0)
    assert owned_by(db, "another") == WHOLE


@pytest.mark.rules("APP-12", "OWN-7", "CLT-79")
async def test_an_interrupted_rename_goes_on_where_it_stopped(db, client_of):
    add_application(db, "new-app", "-moved")
    add_workflow(db, "left", "old-app")
    add_workflow(db, "moved", "new-app")
    db.execute("update {operation_outputs} set application_name = 'old-app' where workflow_uuid = 'moved'")
    moved = await client_of().rename_application("old-app", "new-app", batch_size=2)
    assert moved == {**dict.fromkeys(MOVED, 0), "workflows": 1, "steps": 2}
    assert not any(owned_by(db, "old-app").values())


@pytest.mark.rules("OWN-5", "APP-12")
async def test_steps_go_by_who_recorded_them(db, client_of):
    add_workflow(db, "theirs", "another")
    db.execute("update {operation_outputs} set application_name = 'old-app'")
    moved = await client_of().rename_application("old-app", "new-app")
    assert (moved["workflows"], moved["steps"]) == (0, 1)
    assert owned_by(db, "another")["workflow_status"] == 1


@pytest.mark.rules("APP-13", "OWN-7", "CLT-80")
@pytest.mark.parametrize(
    ("names", "options", "error", "message"),
    [
        (("", "new-app"), {}, dbos_error.DBOSException, "cannot be empty"),
        (("", "new-app"), {"adopt_unclaimed_rows": True}, dbos_error.DBOSException, "cannot be empty"),
        ((None, "new-app"), {}, dbos_error.DBOSException, "Nothing to re-own"),
        (("old-app", "New App"), {}, dbos_error.DBOSException, "Invalid application name"),
        (("old-app", "ab"), {}, dbos_error.DBOSException, "Invalid application name"),
        (("old-app", "x" * 257), {}, dbos_error.DBOSException, "Invalid application name"),
        (("old-app", "old-app"), {}, dbos_error.DBOSException, "already holds that name"),
        (("old-app", "new-app"), {"batch_size": 0}, ValueError, "batch_size"),
    ],
)
async def test_a_rename_that_makes_no_sense_changes_nothing(db, client_of, names, options, error, message):
    add_application(db, "old-app")
    with pytest.raises(error, match=message):
        await client_of().rename_application(*names, **options)
    assert owned_by(db, "old-app") == WHOLE


@pytest.mark.rules("APP-11", "APP-12", "RV-1")
async def test_a_renamed_application_goes_on_with_its_work(launch, db, face, client_of):
    @face.workflow(name="double")
    async def double(number: int) -> int:
        return 2 * number

    launch(name="old-app")
    await face.dbos.register_queue("q", worker_concurrency=0)
    handle = await face.dbos.enqueue_workflow("q", face.fn(double), 21)
    DBOS.destroy()
    db.execute("update {workflow_status} set queue_name = null, status = 'PENDING', executor_id = 'local'")
    await client_of().rename_application("old-app", "new-app")
    launch(name="new-app")
    again = await face.dbos.retrieve_workflow(handle.workflow_id)
    assert await again.get_result() == 42
    assert (await again.get_status()).application_name == "new-app"


@pytest.mark.rules("APP-12")
async def test_renaming_an_application_that_runs_warns(launch, client_of, caplog):
    launch(name="old-app")
    with caplog.at_level(logging.WARNING):
        await client_of().rename_application("old-app", "new-app")
    assert "Application 'old-app' still runs in 1 processes" in caplog.text


@pytest.mark.rules("APP-12", "RV-11")
async def test_what_a_dead_process_left_is_taken_over_under_the_new_name(launch, db, face, client_of):
    @face.workflow(name="double")
    async def double(number: int) -> int:
        return 2 * number

    launch(name="old-app", executor_id="dead")
    handle = await face.start(double, 21)
    assert await handle.get_result() == 42
    DBOS.destroy()
    db.execute("update {workflow_status} set status = 'PENDING', owner_xid = 'deadprocess00000-1-1'")
    db.execute(
        "insert into {executors} (incarnation, executor_id, application_name, application_version, host, boot_id, pid,"
        " process_started, started_at_epoch_ms, heartbeat_at_epoch_ms, expires_at_epoch_ms, draining)"
        " values ('deadprocess00000', 'dead', 'old-app', 'v1', 'elsewhere', 'b', 1, '1', 1, 1, 1, false)"
    )
    await client_of().rename_application("old-app", "new-app")
    launch(name="new-app", executor_id="live")
    await until(lambda: status_of(db, handle.workflow_id) == "SUCCESS")
    (row,) = db.rows("select * from {workflow_status}")
    assert (row["executor_id"], row["application_name"]) == ("live", "new-app")


# --- who sees and runs what


@pytest.mark.rules("APP-1", "APP-2", "APP-3", "OWN-1", "OWN-5")
async def test_all_that_an_application_writes_carries_its_name(launch, db, face):
    """The name is the launched application's, and goes with it."""

    @face.step()
    async def step() -> None: ...

    @face.workflow(name="tick")
    async def tick(when: Any = None, context: Any = None) -> None:
        await step()

    for name in ("first-app", "second-app"):
        launch(name=name, application_version=f"v-{name}")
        await face.dbos.register_queue(f"q-{name}")
        await face.dbos.create_schedule(
            schedule_name=f"s-{name}", workflow_fn=face.fn(tick), schedule="0 0 1 1 *", context=None
        )
        await tick()
        await (await face.dbos.enqueue_workflow(f"q-{name}", face.fn(tick))).get_result()
        assert owned_by(db, name) == {
            "workflow_status": 2,
            "operation_outputs": 2,
            "queues": 1,
            "workflow_schedules": 1,
            "application_versions": 1,
        }
        DBOS.destroy()
    assert not any(owned_by(db, None).values())


@pytest.mark.rules("APP-5")
async def test_a_queue_is_served_by_its_owner_and_an_unclaimed_one_by_all(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    for name, owner in {"theirs": "another", "free": None}.items():
        db.execute("insert into {queues} (name, application_name) values (?, ?)", name, owner)
    launch()
    theirs = await face.dbos.enqueue_workflow("theirs", face.fn(program))
    await (await face.dbos.enqueue_workflow("free", face.fn(program))).get_result()
    await face.dbos.register_queue("ours")
    await (await face.dbos.enqueue_workflow("ours", face.fn(program))).get_result()
    assert status_of(db, theirs.workflow_id) == "ENQUEUED"
    DBOS.destroy()
    launch(name="another", application_version="theirs")
    await (await face.dbos.enqueue_workflow("theirs", face.fn(program))).get_result()
    assert status_of(db, theirs.workflow_id) == "ENQUEUED"  # the queue is theirs, the work is not (APP-4)


@pytest.mark.rules("APP-5")
async def test_a_schedule_is_fired_by_its_owner_and_an_unclaimed_one_by_all(launch, db, face):
    @face.workflow(name="tick")
    async def tick(when: Any, context: Any) -> None: ...

    for name, owner in {"theirs": "another", "free": None, "ours": "testapp"}.items():
        db.execute(
            "insert into {workflow_schedules} (schedule_id, schedule_name, workflow_name, schedule, context,"
            " application_name) values (?, ?, 'tick', '* * * * * *', 'null', ?)",
            name,
            name,
            owner,
        )
    launch()

    def fired(name: str) -> list[dict[str, Any]]:
        return list(db.rows("select * from {workflow_status} where schedule_name = ?", name))

    await until(lambda: fired("free") and fired("ours"))
    assert {row["application_name"] for row in fired("ours")} == {"testapp"}
    assert fired("theirs") == []


@pytest.mark.rules("APP-6", "OWN-4", "INS-14")
async def test_workflows_of_other_applications_are_reached_by_id(launch, db, face):
    @face.workflow(name="talk")
    async def talk() -> Any:
        await face.dbos.set_event("ready", "yes")
        return await face.dbos.recv("topic", timeout_seconds=30)

    launch(name="another", application_version="theirs")
    with SetWorkflowID("theirs"):
        await face.start(talk)
    assert await face.dbos.get_event("theirs", "ready") == "yes"
    with SetWorkflowID("done"):
        handle = await face.start(talk)
        await face.dbos.send("done", "early", "topic")
    assert await handle.get_result() == "early"
    DBOS.destroy()
    launch()
    assert (await face.dbos.get_workflow_status("theirs")).application_name == "another"
    assert await face.dbos.get_event("theirs", "ready") == "yes"
    assert await (await face.dbos.retrieve_workflow("done")).get_result() == "early"
    assert (await face.dbos.list_workflow_steps("done"))[0]["function_name"] == "DBOS.setEvent"
    assert [row.workflow_id for row in await face.dbos.list_workflows(workflow_ids=["theirs"])] == ["theirs"]
    assert await face.dbos.list_workflows() == []
    await face.dbos.send("theirs", "hello", "topic")
    await face.dbos.cancel_workflow("theirs")
    assert status_of(db, "theirs") == "CANCELLED"
    await face.dbos.resume_workflow("theirs")
    fork = await face.dbos.fork_workflow("done", 1)
    assert workflow_row(db, fork.workflow_id)["application_name"] == "another"  # who alone runs it
    assert (status_of(db, "theirs"), status_of(db, fork.workflow_id)) == ("ENQUEUED", "ENQUEUED")
    DBOS.destroy()
    launch(name="another", application_version="theirs")
    assert await (await face.dbos.retrieve_workflow("theirs")).get_result() == "hello"


@pytest.mark.rules("APP-8", "VER-3a")
async def test_work_for_another_application_is_its_own_and_can_be_awaited(launch, db, face):
    gate = Gate()

    @face.workflow(name="order")
    async def order() -> int:
        handle = await face.dbos.enqueue_workflow_with_options(
            {"workflow_name": "double", "queue_name": "q", "application_name": "another"}, 21
        )
        await gate.wait()
        return int(await handle.get_result())

    @face.workflow(name="double")
    async def double(number: int) -> int:
        return 2 * number

    launch()
    with SetWorkflowID("order"):
        await face.start(order)
    await gate.reached()
    (row,) = db.rows("select * from {workflow_status} where name = 'double'")
    assert (row["application_name"], row["application_version"]) == ("another", None)
    assert (row["status"], row["parent_workflow_id"]) == ("ENQUEUED", "order")
    gate.open()
    DBOS.destroy()
    launch(name="another", application_version="theirs")
    await face.dbos.register_queue("q")
    assert await (await face.dbos.retrieve_workflow(row["workflow_uuid"])).get_result() == 42
    DBOS.destroy()
    launch()
    assert await (await face.dbos.retrieve_workflow("order")).get_result() == 42


@pytest.mark.rules("APP-9", "CLT-75", "VER-10")
async def test_a_client_without_a_name_claims_nothing_and_changes_no_owner(db, client_of):
    add_application(db, "another")
    client = client_of()
    handle = await client.enqueue({"workflow_name": "w", "queue_name": "q"})
    assert workflow_row(db, handle.workflow_id)["application_name"] is None
    await client.register_queue("q", concurrency=3)
    await client.register_queue("new")
    await client.set_latest_application_version("v")
    await client.create_schedule(schedule_name="n", workflow_name="w", schedule="0 0 1 1 *", context=None)
    await client.pause_schedule("s")
    owners = {row["name"]: row["application_name"] for row in db.rows("select * from {queues}")}
    assert owners == {"q": "another", "new": None}
    assert db.rows("select concurrency from {queues} where name = 'q'") == [{"concurrency": 3}]
    (version,) = db.rows("select * from {application_versions}")
    assert version["application_name"] == "another"
    schedules = {
        row["schedule_name"]: (row["application_name"], row["status"])
        for row in db.rows("select * from {workflow_schedules}")
    }
    assert schedules == {"s": ("another", "PAUSED"), "n": (None, "ACTIVE")}
    assert {queue.name for queue in await client.list_queues()} == {"q", "new"}
    assert len(await client.list_workflows()) == 7


@pytest.mark.rules("APP-14")
async def test_applications_talk_in_the_portable_format(launch, db, face):
    portable = WorkflowSerializationFormat.PORTABLE

    @face.workflow(name="talk", serialization_type=portable)
    async def talk(question: dict[str, Any]) -> dict[str, Any]:
        await face.dbos.set_event("asked", question)
        return {"answer": await face.dbos.recv(timeout_seconds=30)}

    launch(name="another", application_version="theirs")
    with SetWorkflowID("talk"):
        handle = await face.start(talk, {"n": [1, None, "x"]})
        await face.dbos.send("talk", [1.5, True], serialization_type=portable)
        await handle.get_result()
    DBOS.destroy()
    launch()
    assert await face.dbos.get_event("talk", "asked") == {"n": [1, None, "x"]}
    assert await (await face.dbos.retrieve_workflow("talk")).get_result() == {"answer": [1.5, True]}
    (event,) = db.rows("select * from {workflow_events}")
    (output,) = db.rows("select * from {workflow_output}")
    (message,) = db.rows("select * from {notifications}")
    assert json.loads(event["value"]) == {"n": [1, None, "x"]}
    assert json.loads(output["output"]) == {"answer": [1.5, True]}
    assert json.loads(message["message"]) == [1.5, True]
