"""The singleton, what works before construction and launch, and registration around launch."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from programs import logged, says, workflow_row

from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID
from dbos import error as dbos_error


@pytest.fixture(autouse=True)
def nothing_left():
    """Destroy what a test without `launch` constructs and registers."""
    yield
    DBOS.destroy(destroy_registry=True)


@pytest.fixture
def construct(tmp_path):
    """Construct DBOS on an own SQLite file, without launching."""

    def construct(**config: Any) -> DBOS:
        return DBOS(config={"name": "testapp", "system_database_url": f"sqlite:///{tmp_path}/a.sqlite", **config})

    return construct


@pytest.mark.rules("LIF-1")
def test_a_second_construction_returns_the_same_object(construct):
    first = construct(application_version="first")
    assert construct(application_version="second", name="other-app") is first
    assert DBOS.application_version == "first"
    DBOS.destroy()
    second = construct(application_version="third")
    assert second is not first
    assert DBOS.application_version == "third"


@pytest.mark.rules("LIF-1")
def test_a_second_construction_ignores_invalid_arguments(construct):
    first = construct()
    assert DBOS(config={"name": "INVALID NAME"}) is first


@pytest.mark.rules("LIF-1")
def test_everything_is_reachable_through_the_instance(construct):
    instance = construct(application_version="v7", executor_id="e7")

    @instance.workflow()
    def program() -> int:
        return 1

    instance.launch()
    assert (instance.application_version, instance.executor_id) == ("v7", "e7")
    assert instance.workflow_id is None
    assert instance.start_workflow(program).get_result() == 1
    instance.destroy()


@pytest.mark.rules("LIF-2")
@pytest.mark.parametrize("when", ["before construction", "before launch", "after launch"])
def test_decorators_work_at_any_time(construct, when):
    def define() -> Any:
        @DBOS.workflow(name="program")
        def program() -> int:
            return 1

        return program

    program = define() if when == "before construction" else None
    construct()
    program = define() if when == "before launch" else program
    DBOS.launch()
    program = define() if when == "after launch" else program
    assert program() == 1
    assert DBOS.start_workflow(program).get_result() == 1


@pytest.mark.rules("LIF-2", "LIF-3")
async def test_functions_run_under_the_next_instance(launch, db, face):
    @face.step()
    async def step() -> int:
        return 1

    @face.workflow()
    async def program() -> int:
        return await step()

    launch(application_version="v1")
    with SetWorkflowID("first"):
        assert await program() == 1
    DBOS.destroy()
    launch(application_version="v2")
    with SetWorkflowID("second"):
        assert await program() == 1
    assert await (await face.start(program)).get_result() == 1
    versions = [workflow_row(db, workflow_id)["application_version"] for workflow_id in ("first", "second")]
    assert versions == ["v1", "v2"]


@pytest.mark.rules("LIF-4", "LIF-7", "TST-8")
async def test_destroying_the_registry_forgets_workflows(launch, face):
    """Refuse both ways of running one (3.4.0 still starts it, and blames the launch for a call)."""

    @face.step()
    async def step() -> int:
        return 1

    @face.workflow()
    async def program() -> int:
        return 2

    launch()
    assert await program() == 2
    DBOS.destroy(destroy_registry=True)
    launch()
    with pytest.raises(dbos_error.DBOSException):
        await program()
    with pytest.raises(dbos_error.DBOSException):
        await face.start(program)
    assert await step() == 1


@pytest.mark.rules("LIF-5")
async def test_a_workflow_called_before_any_constructor_is_refused(face):
    @face.workflow(name="too_early")
    async def program() -> None: ...

    with pytest.raises(dbos_error.DBOSException, match="too_early invoked before DBOS initialized"):
        await program()


@pytest.mark.rules("LIF-5")
async def test_operations_before_any_constructor_are_refused(face):
    @face.workflow()
    async def program() -> None: ...

    for operation in (
        lambda: face.start(program),
        lambda: face.dbos.retrieve_workflow("w"),
        lambda: face.dbos.get_result("w"),
        lambda: face.dbos.get_workflow_status("w"),
        lambda: face.dbos.cancel_workflow("w"),
    ):
        with pytest.raises(dbos_error.DBOSException, match="No DBOS was created yet"):
            await operation()


@pytest.mark.rules("LIF-6")
async def test_operations_before_launch_are_refused(construct, face):
    @face.workflow()
    async def program() -> None: ...

    construct()
    for operation in (
        lambda: program(),
        lambda: face.start(program),
        lambda: face.dbos.retrieve_workflow("w"),
        lambda: face.dbos.get_result("w"),
        lambda: face.dbos.get_workflow_status("w"),
    ):
        with pytest.raises(dbos_error.DBOSException, match="launch"):
            await operation()


@pytest.mark.rules("LIF-7")
async def test_a_step_outside_workflows_works_in_every_state(construct, face):
    @face.step(retries_allowed=True, max_attempts=2, interval_seconds=0)
    async def step() -> Any:
        return DBOS.workflow_id, DBOS.step_id

    @DBOS.dbos_class("Shop")
    class Shop(DBOSConfiguredInstance):
        @DBOS.step(name="sell")
        def sell(self, item: str) -> str:
            return item

    shop = Shop("corner")
    for advance in (lambda: None, construct, DBOS.launch, DBOS.destroy):
        advance()
        assert await step() == (None, None)
        assert shop.sell("x") == "x"


@pytest.mark.rules("LIF-10")
def test_a_launch_without_an_instance_is_refused():
    with pytest.raises(dbos_error.DBOSException, match="DBOS"):
        DBOS.launch()


@pytest.mark.rules("LIF-11")
def test_a_second_launch_only_warns(launch):
    launch()
    with logged() as records:
        DBOS.launch()
    assert says(records, "already launched", logging.WARNING)


@pytest.mark.rules("LIF-20", "DEC-30")
def test_an_instance_registered_after_launch_is_warned_of(launch):
    @DBOS.dbos_class("Shop")
    class Shop(DBOSConfiguredInstance):
        @DBOS.workflow(name="sell")
        def sell(self) -> str:
            return self.config_name

    launch()
    with logged() as records:
        late = Shop("late")
    assert says(records, "recover", logging.WARNING)
    assert late.sell() == "late"


@pytest.mark.rules("LIF-21")
def test_when_the_served_queues_may_be_named(construct):
    with pytest.raises(dbos_error.DBOSException, match="No DBOS was created yet"):
        DBOS.listen_queues(["queue"])
    construct()
    DBOS.listen_queues(["queue"])
    with pytest.raises(dbos_error.DBOSException, match="listen_queues called more than once"):
        DBOS.listen_queues(["queue"])
    DBOS.launch()
    with pytest.raises(dbos_error.DBOSException, match="listen_queues called after DBOS is launched"):
        DBOS.listen_queues(["queue"])


@pytest.mark.rules("LIF-22")
def test_when_the_alert_handler_may_be_named(construct):
    def handler(name: str, message: str, metadata: dict[str, str]) -> None: ...

    with pytest.raises(dbos_error.DBOSException):
        DBOS.alert_handler(handler)
    construct()
    assert DBOS.alert_handler(handler) is handler
    with pytest.raises(dbos_error.DBOSException, match="already defined"):
        DBOS.alert_handler(handler)
    DBOS.launch()
    with pytest.raises(dbos_error.DBOSException, match="must be defined before DBOS is launched"):
        DBOS.alert_handler(handler)


@pytest.mark.rules("LIF-22")
def test_a_destroyed_instance_takes_its_alert_handler_with_it(construct):
    for _ in range(2):
        construct()
        DBOS.alert_handler(lambda name, message, metadata: None)
        DBOS.destroy()


@pytest.mark.rules("LIF-23", "DEC-31")
def test_any_object_with_a_config_name_can_be_registered(launch):
    """Keep what 2.x has and 3.4.0 has not."""

    @DBOS.dbos_class("Shop")
    class Shop:
        def __init__(self, config_name: str) -> None:
            self.config_name = config_name

        @DBOS.workflow(name="sell")
        def sell(self) -> str:
            return self.config_name

    shop = Shop("corner")
    DBOS.register_instance(shop)
    DBOS.register_instance(shop)
    with pytest.raises(Exception, match="Duplicate instance registration for class 'Shop' instance 'corner'"):
        DBOS.register_instance(Shop("corner"))
    launch()
    assert DBOS.start_workflow(shop.sell).get_result() == "corner"


@pytest.mark.rules("LIF-40", "TST-3")
def test_a_launched_database_is_not_reset(launch):
    launch()
    with pytest.raises(AssertionError):
        DBOS.reset_system_database()


@pytest.mark.rules("LIF-40", "LIF-41")
def test_a_reset_without_instance_and_url_only_warns():
    with logged() as records:
        DBOS.reset_system_database()
    assert any(record.levelno == logging.WARNING for record in records)


@pytest.mark.rules("LIF-40", "LIF-41", "TST-2", "TST-3")
@pytest.mark.parametrize("truncate", [False, True])
@pytest.mark.parametrize("constructed", [False, True])
def test_a_reset_empties_the_database(launch, db, constructed, truncate):
    @DBOS.workflow(name="program")
    def program() -> int:
        return 1

    launch()
    with SetWorkflowID("w"):
        program()
    DBOS.destroy()
    if constructed:
        DBOS(config={"name": "testapp", "system_database_url": db.url, "application_version": "v1"})
        DBOS.reset_system_database(truncate=truncate)
        DBOS.launch()
    else:
        DBOS.reset_system_database(system_database_url=db.url, truncate=truncate)
        launch()
    assert DBOS.list_workflows() == []
    assert DBOS.get_workflow_status("w") is None


@pytest.mark.rules("LIF-41")
@pytest.mark.parametrize("truncate", [False, True])
def test_a_reset_of_an_absent_file_is_fine(tmp_path, truncate):
    url = f"sqlite:///{tmp_path}/absent.sqlite"
    DBOS.reset_system_database(system_database_url=url, truncate=truncate)


@pytest.mark.rules("LIF-45")
def test_a_role_needs_postgres(tmp_path):
    with pytest.raises(dbos_error.DBOSException):
        DBOS.migrate(f"sqlite:///{tmp_path}/a.sqlite", application_role="reader")


@pytest.mark.rules("LIF-45", "CFG-37")
def test_a_migrated_database_needs_no_migration(tmp_path):
    url = f"sqlite:///{tmp_path}/a.sqlite"
    DBOS.migrate(url)
    DBOS(config={"name": "testapp", "system_database_url": url, "run_migrations": False})
    DBOS.launch()
    assert DBOS.list_workflows() == []
