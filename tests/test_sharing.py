"""Applications that share one system database: what each sees, runs and owns, and giving it another name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from programs import status_of, until

from dbos import DBOS, DBOSClient
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
