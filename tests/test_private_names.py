"""The private names that packages built on `dbos` reach for, called the way those packages call them."""

from __future__ import annotations

import asyncio
import base64
import importlib
import pickletools
import weakref
from datetime import datetime, timezone
from typing import Any
from unittest import mock

import pytest
from programs import step_names, workflow_row
from sqlalchemy import text

from dbos import DBOS, DBOSClient, Serializer, StepReservation
from dbos import error as dbos_error


def private(module: str, name: str) -> Any:
    """Return a name as another package would import it."""
    return getattr(importlib.import_module(f"dbos.{module}"), name)


@pytest.mark.rules("CMP-0")
@pytest.mark.parametrize(
    "name", ["DBOSWorkflowCancelledError", "DBOSWorkflowConflictIDError", "DBOSNonExistentWorkflowError"]
)
def test_errors_are_the_public_ones(name):
    assert private("_error", name) is getattr(dbos_error, name)
    if name != "DBOSNonExistentWorkflowError":
        assert not issubclass(private("_error", name), Exception)


@pytest.mark.rules("CMP-0")
def test_cron_and_command():
    croniter = private("_croniter", "croniter")
    assert croniter.is_valid("0 * * * * *", second_at_beginning=True)
    start = datetime(2024, 1, 1, 0, 0, 30, tzinfo=timezone.utc)
    found = croniter("0 * * * * *", start, second_at_beginning=True).get_next(datetime)
    assert found == datetime(2024, 1, 1, 0, 1, tzinfo=timezone.utc)
    click = pytest.importorskip("click")
    app = private("cli.cli", "app")
    assert isinstance(app, click.Group) and "workflow" in app.list_commands(click.Context(app))


@pytest.mark.rules("CMP-0")
def test_there_is_no_context_outside_workflows():
    assert private("_context", "get_local_dbos_context")() is None
    with pytest.raises(dbos_error.DBOSException):
        private("_dbos", "_get_dbos_instance")()


@pytest.mark.rules("CMP-0")
async def test_the_context_is_one_object_for_a_whole_body(launch, face):
    context = private("_context", "get_local_dbos_context")

    @face.step()
    async def look() -> tuple[int, int]:
        return id(context()), context().function_id

    @face.workflow()
    async def body() -> dict[str, Any]:
        here = context()
        before = here.function_id
        seen = await look()
        assert isinstance(here, private("_context", "DBOSContext")) and here is context()
        assert weakref.ref(here)() is here and {here: 1}[here] == 1
        same = seen[0] == id(here)
        return {"id": here.workflow_id, "before": before, "after": here.function_id, "same": same, "in": seen[1]}

    launch()
    handle = await face.start(body)
    shown = await handle.get_result()
    assert shown == {"id": handle.workflow_id, "before": 0, "after": 1, "same": True, "in": 1}


@pytest.mark.rules("CMP-0")
async def test_rewinding_the_cursor_replays_what_was_recorded(launch, db, face):
    context = private("_context", "get_local_dbos_context")
    ran: list[str] = []

    @face.step()
    async def first() -> int:
        ran.append("first")
        return len(ran)

    @face.step()
    async def second() -> int:
        ran.append("second")
        return len(ran)

    @face.workflow()
    async def body() -> list[int]:
        start = context().function_id
        once = [await first()]
        context().function_id = start
        return [*once, await first(), await second()]

    launch()
    handle = await face.start(body)
    assert await handle.get_result() == [1, 1, 2]
    assert ran == ["first", "second"]
    assert [step_id for step_id, _ in step_names(db, handle.workflow_id)] == [1, 2]


@pytest.mark.rules("CMP-0", "CMP-7")
async def test_a_step_runs_under_a_number_drawn_before(launch, db):
    @DBOS.step()
    async def plain() -> str:
        return "plain"

    async def later(value: int, *, by: int) -> int:
        return value + by

    @DBOS.workflow()
    async def body() -> list[Any]:
        reserved = private("_context", "snapshot_step_context")()
        assert isinstance(reserved, StepReservation)
        private("_context", "snapshot_step_context")()  # never run: a gap
        first = await plain()
        run = private("_core", "run_step_async")
        return [
            first,
            await run(private("_dbos", "_get_dbos_instance")(), reserved, later, {"name": "l"}, (1,), {"by": 2}),
        ]

    launch()
    handle = await DBOS.start_workflow_async(body)
    assert await handle.get_result() == ["plain", 3]
    steps = await DBOS.list_workflow_steps_async(handle.workflow_id)
    assert [step["function_id"] for step in steps] == [1, 3]


@pytest.mark.rules("CMP-0")
def test_the_instance_shows_its_databases(launch, db):
    DBOS(config={"name": "testapp", "system_database_url": db.url})
    instance = private("_dbos", "_get_dbos_instance")()
    config = dict(instance._config)
    assert config.get("system_database_url") == db.url
    assert DBOS(config={**config, "unknown": 1}) is instance  # type: ignore[typeddict-unknown-key]
    assert instance._app_db is None
    DBOS.launch()

    @DBOS.workflow()
    async def answer(good: bool) -> int:
        if not good:
            raise KeyError("bad")
        return 42

    @DBOS.workflow()
    async def outer() -> int:
        handle = await DBOS.start_workflow_async(answer, True)
        return int(await instance._sys_db.await_workflow_result_async(handle.workflow_id, 0.01))

    async def main() -> None:
        handle = await DBOS.start_workflow_async(outer)
        assert await handle.get_result() == 42
        assert len(await DBOS.list_workflow_steps_async(handle.workflow_id)) == 1
        failed = await DBOS.start_workflow_async(answer, False)
        with pytest.raises(KeyError, match="bad"):
            await instance._sys_db.await_workflow_result_async(failed.workflow_id, 0.01)

    asyncio.run(main())
    with instance._sys_db.engine.begin() as connection:
        assert connection.execute(text("select 1")).scalar() == 1


class Marked(Serializer):
    """Keep texts as they are, marked."""

    def name(self) -> str:
        return "marked"

    def serialize(self, data: Any) -> str:
        return f"marked:{data!r}"

    def deserialize(self, serialized_data: str) -> Any:
        return eval(serialized_data.removeprefix("marked:"))


@pytest.mark.rules("CMP-0", "CLT-17")
def test_the_client_shows_its_database(db, client):
    options: Any = {"workflow_name": "w", "queue_name": "q"}
    with client._sys_db.engine.begin() as connection:
        client.enqueue_in_transaction(connection, options, 1)
    assert client._sys_db.schema == "dbos"
    counted = client._sys_db.get_workflow_aggregates(select_count=True, group_by_name=True, status=["ENQUEUED"])
    assert [(row["group"]["name"], row["count"]) for row in counted] == [("w", 1)]
    client._serializer = Marked()
    assert client._sys_db.serializer.name() == client._serializer.name() == "marked"
    handle = client.enqueue(options, 7)
    inputs = db.rows("select inputs from {workflow_input} where workflow_uuid = ?", handle.workflow_id)
    assert inputs[0]["inputs"].startswith("marked:")
    client._sys_db.serializer = client._serializer
    assert handle.get_status().input == {"args": (7,), "kwargs": {}}


@pytest.mark.rules("CLT-7")
def test_the_engine_of_a_client(db, client):
    with client._sys_db.engine.connect() as connection:
        pool = client._sys_db.engine.pool
        if db.dialect == "sqlite":
            assert connection.execute(text("select 1")).scalar() == 1
            return
        name = "select current_setting('application_name')"
        assert connection.execute(text(name)).scalar() == "dbos_transact_client"
        assert (pool.size(), pool._max_overflow, pool._timeout, pool._pre_ping) == (5, 0, 30, True)
    with DBOSClient(system_database_url=db.url, system_database_pool_size=2) as small:
        assert small._sys_db.engine.pool.size() == 2
    names = "select count(*) as n from pg_stat_activity where application_name = 'dbos_transact_client'"
    assert db.rows(names + " and datname = current_database()")[0]["n"] >= 1


@pytest.mark.rules("CMP-1", "CMP-2")
def test_the_tables_have_the_columns_that_others_read(db):
    assert db.rows("select max(version) as version from {dbos_migrations}")[0]["version"] >= 109
    columns = {
        "workflow_status": "workflow_uuid, status, name, output, error, executor_id, created_at, updated_at, "
        "recovery_attempts, queue_name, workflow_timeout_ms, started_at_epoch_ms, priority, parent_workflow_id, "
        "serialization, completed_at, attributes, schedule_name",
        "workflow_output": "workflow_uuid, output, error",
        "operation_outputs": "workflow_uuid, function_id, function_name, output, error, child_workflow_id, "
        "started_at_epoch_ms, completed_at_epoch_ms, serialization",
        "notifications": "message_uuid, destination_uuid, topic, message, created_at_epoch_ms, serialization, consumed",
        "workflow_events": "workflow_uuid, key, value, serialization",
        "workflow_events_history": "workflow_uuid, function_id, key, value, serialization",
        "workflow_schedules": "schedule_id, schedule_name, workflow_name, workflow_class_name, schedule, status, "
        "last_fired_at, automatic_backfill, cron_timezone, queue_name",
        "queues": "queue_id, name, concurrency, worker_concurrency, rate_limit_max, rate_limit_period_sec, "
        "priority_enabled, partition_queue, polling_interval_sec, created_at, updated_at",
    }
    for table, names in columns.items():
        assert db.rows(f"select {names} from {{{table}}}") == []


@pytest.mark.rules("CMP-3", "CMP-10")
def test_values_are_plain_pickles_and_inputs_of_steps_are_not_stored(launch, db):
    @DBOS.step()
    def step(unpicklable: Any) -> dict[str, Any]:
        return {"a": [1, 2.5, None, True, b"x", ("t",)]}

    @DBOS.workflow()
    def body() -> dict[str, Any]:
        return step(lambda: None)

    launch()
    handle = DBOS.start_workflow(body)
    handle.get_result()
    stored = [
        db.rows("select output as text from {workflow_output}")[0]["text"],
        db.rows("select output as text from {operation_outputs}")[0]["text"],
    ]
    for encoded in stored:
        names = {operation.name for operation, _, _ in pickletools.genops(base64.b64decode(encoded))}
        assert not names & {"GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "INST", "NEWOBJ", "NEWOBJ_EX"}


@pytest.mark.rules("CMP-11")
def test_steps_may_share_a_name(launch):
    def agent(value: int) -> Any:
        @DBOS.step(name="agent__model.request")
        def request() -> int:
            return value

        return request

    one, two = agent(1), agent(2)

    @DBOS.workflow()
    def body() -> list[int]:
        return [one(), two()]

    launch()
    assert body() == [1, 2]


@pytest.mark.rules("CMP-12", "TST-6")
def test_methods_can_be_mocked(launch, db):
    @DBOS.workflow()
    def body() -> Any:
        return DBOS.recv("topic")

    launch()
    with mock.patch.object(DBOS, "recv", return_value="mocked"):
        assert body() == "mocked"
    with mock.patch.object(DBOS, "start_workflow") as start:
        DBOS.start_workflow(body)
    start.assert_called_once_with(body)
    methods = [name for name, value in vars(DBOS).items() if isinstance(value, staticmethod)]
    assert len(methods) > 100
    for name in methods:
        with mock.patch.object(DBOS, name) as mocked:
            assert getattr(DBOS, name) is mocked
    DBOS.send(DBOS.start_workflow(body).workflow_id, "real", "topic")
    assert workflow_row(db, DBOS.list_workflows()[0].workflow_id)["name"].endswith("body")


@pytest.mark.rules("CMP-13")
def test_none_in_a_configuration_is_absent(launch):
    names = ("application_version", "executor_id", "system_database_engine", "serializer", "conductor_key")
    launch(**dict.fromkeys(names))
    assert DBOS.application_version and DBOS.executor_id == "local"
