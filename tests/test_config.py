"""Configuration as users meet it: the constructor, the environment, the version, what is logged."""

from __future__ import annotations

import logging
import re
from types import MappingProxyType
from typing import Any

import pytest
from programs import logged, says, workflow_row

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path, monkeypatch):
    """Run in an empty directory without the variables that matter; leave no instance behind."""
    monkeypatch.chdir(tmp_path)
    for variable in ("DBOS__APPVERSION", "DBOS__VMID", "DBOS__APPID", "DBOS__CLOUD", "DBOS_SYSTEM_DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    yield
    DBOS.destroy(destroy_registry=True)


def construct(**config: Any) -> DBOS:
    return DBOS(config={"name": "testapp", **config})  # type: ignore[typeddict-item]


# --- the constructor


@pytest.mark.rules("CFG-1")
def test_the_configuration_is_a_required_keyword():
    with pytest.raises(TypeError):
        DBOS()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        DBOS({"name": "testapp"})  # type: ignore[misc]


@pytest.mark.rules("CFG-1")
def test_any_mapping_is_a_configuration_and_unknown_keys_are_ignored():
    assert DBOS(config=MappingProxyType({"name": "testapp", "no_such_key": 1})) is construct()  # type: ignore[arg-type]


@pytest.mark.rules("CFG-10", "CFG-11", "CFG-12", "CFG-13", "CFG-14", "CFG-21")
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"name": "No Such Name"}, "Invalid app name"),
        ({"name": "ab"}, "Invalid app name"),
        ({"notification_coalesce_sec": 0.0001}, "notification_coalesce_sec"),
        ({"kafka_queue_polling_interval_sec": float("nan")}, "kafka_queue_polling_interval_sec"),
        ({"auto_upgrade_interval_sec": 0}, "auto_upgrade_interval_sec"),
        ({"observability_query_timeout_sec": float("inf")}, "observability_query_timeout_sec"),
        ({"system_database_url": "postgresql://user@host"}, "Database name must be specified in the connection URL"),
    ],
)
def test_a_failed_constructor_says_what_is_wrong_and_leaves_nothing(tmp_path, wrong, text):
    with pytest.raises(dbos_error.DBOSInitializationError, match=text):
        construct(**wrong)
    with pytest.raises(dbos_error.DBOSException):
        DBOS.launch()
    construct(executor_id="second")
    assert DBOS.executor_id == "second"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.rules("CFG-10")
def test_a_missing_name_is_an_error():
    with pytest.raises(dbos_error.DBOSInitializationError, match="Configuration must specify an application name"):
        DBOS(config={})


@pytest.mark.rules("CFG-22", "CFG-50", "SDB-3")
def test_a_name_alone_is_enough_and_gives_a_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.setenv("DBOS_SYSTEM_DATABASE_URL", "sqlite:///not-this-one.sqlite")

    @DBOS.workflow()
    def program() -> int:
        return 7

    construct(name="1-test-app")
    DBOS.launch()
    assert program() == 7
    DBOS.destroy()
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} == {"_1_test_app"}


# --- version, executor id, name


@pytest.mark.rules("CFG-40", "CFG-45", "CFG-47", "CFG-50")
def test_version_and_executor_come_from_the_environment_unless_configured(monkeypatch):
    monkeypatch.setenv("DBOS__APPVERSION", "env-version")
    monkeypatch.setenv("DBOS__VMID", "env-executor")
    construct()
    assert (DBOS.application_version, DBOS.executor_id) == ("env-version", "env-executor")
    DBOS.destroy()
    construct(application_version="mine", executor_id="me")
    assert (DBOS.application_version, DBOS.executor_id) == ("mine", "me")
    DBOS.destroy()
    construct()
    assert (DBOS.application_version, DBOS.executor_id) == ("env-version", "env-executor")


@pytest.mark.rules("CFG-40", "CFG-43")
def test_patching_pins_the_version(monkeypatch):
    monkeypatch.setenv("DBOS__APPVERSION", "env-version")
    construct(enable_patching=True)
    assert DBOS.application_version == "PATCHING_ENABLED"
    DBOS.destroy()
    construct(enable_patching=True, application_version="mine")
    assert DBOS.application_version == "mine"


def register(*names: str) -> None:
    """Register, of these programs, each with a source of its own."""

    def one() -> int:
        return 1

    def two() -> int:
        return 2

    def step() -> int:
        return 3

    def edited_step() -> int:
        return 4

    for name in names:
        if "step" in name:
            DBOS.step(name="step")({"step": step, "edited step": edited_step}[name])
        else:
            DBOS.workflow(name=name)({"one": one, "two": two}[name])


def version_of(*programs: str, **config: Any) -> str:
    """Launch an application of these programs and return its computed version."""
    register(*programs)
    construct(**config)
    assert DBOS.application_version == ""
    DBOS.launch()
    version: str = DBOS.application_version
    DBOS.destroy(destroy_registry=True)
    return version


@pytest.mark.rules("CFG-40", "CFG-41", "CFG-47")
def test_the_computed_version_follows_the_workflows_and_the_name():
    version = version_of("one")
    assert re.fullmatch("[0-9a-f]{32}", version)
    assert version_of("one") == version
    assert version_of("one", "step") == version_of("one", "edited step")
    others = [version_of("one", "two"), version_of("two"), version_of("one", name="otherapp"), version_of()]
    assert len({version, *others}) == 5
    assert version_of("two", "one") == others[0]


@pytest.mark.rules("CFG-41")
def test_what_is_registered_after_launch_does_not_count():
    register("one")
    construct()
    DBOS.launch()
    version = DBOS.application_version
    register("two")
    assert DBOS.application_version == version
    DBOS.destroy(destroy_registry=True)
    assert version_of("one") == version


@pytest.mark.rules("CFG-42")
def test_without_sources_the_version_is_the_default_one_with_a_warning():
    names: dict[str, Any] = {}
    exec("def program(): return 1", names)
    DBOS.workflow()(names["program"])
    construct()
    with logged() as records:
        DBOS.launch()
    assert DBOS.application_version == "DEFAULT_VERSION-testapp"
    assert [record for record in records if record.levelno == logging.WARNING]


@pytest.mark.rules("CFG-44")
def test_a_version_that_is_not_the_latest_is_warned_of(launch):
    for version in ("older", "newer"):
        launch(application_version=version)
        DBOS.destroy()
    with logged() as records:
        launch(application_version="older")
    [warning] = [record.getMessage() for record in records if record.levelno == logging.WARNING]
    assert "older" in warning
    assert "newer" in warning


@pytest.mark.rules("CFG-46")
async def test_the_name_is_the_owner_of_what_the_process_writes(launch, db, face):
    @face.step(name="step")
    async def step() -> int:
        return 1

    @face.workflow()
    async def program() -> int:
        return await step()

    launch(name="one-app")
    with SetWorkflowID("w"):
        await program()
    [step_row] = db.rows("select application_name from {operation_outputs} where workflow_uuid = 'w'")
    assert workflow_row(db, "w")["application_name"] == step_row["application_name"] == "one-app"


# --- the log


@pytest.mark.rules("LOG-1")
def test_the_logger_is_the_standard_one_in_any_state():
    assert DBOS.logger is logging.getLogger("dbos")
    construct()
    assert DBOS.logger is logging.getLogger("dbos")


@pytest.mark.rules("LOG-3", "CFG-50")
async def test_records_say_where_they_come_from(launch, face, monkeypatch):
    monkeypatch.setenv("DBOS__APPID", "app-7")

    @face.step()
    async def step() -> None:
        DBOS.logger.warning("in the step")

    @face.workflow()
    async def program() -> None:
        DBOS.logger.warning("in the workflow")
        await step()

    launch(otlp_attributes={"team": "blue"})
    with logged() as records:
        DBOS.logger.warning("outside")
        with SetWorkflowID("w"):
            await program()
    said = {record.getMessage(): record for record in records}
    for record in (said["outside"], said["in the workflow"], said["in the step"]):
        facts = (record.applicationID, record.applicationVersion, record.executorID, record.team)  # type: ignore[attr-defined]
        assert facts == ("app-7", "v1", "local", "blue")
    assert not hasattr(said["outside"], "operationUUID")
    assert said["in the workflow"].operationUUID == said["in the step"].operationUUID == "w"  # type: ignore[attr-defined]


@pytest.mark.rules("LOG-5", "LIF-36")
def test_the_level_is_the_configured_one_and_destroying_detaches():
    construct(log_level="ERROR")
    assert DBOS.logger.level == logging.ERROR
    handlers = list(DBOS.logger.handlers)
    for _ in range(3):
        DBOS.destroy()
        construct(log_level="INFO")
    assert DBOS.logger.level == logging.INFO
    assert DBOS.logger.handlers == handlers
    assert len(DBOS.logger.filters) == 1
    DBOS.destroy()
    assert DBOS.logger.filters == []


@pytest.mark.rules("LOG-8", "SDB-5")
def test_a_password_is_in_no_line(launch, db):
    url = db.url if db.dialect == "sqlite" else re.sub("//[^@/]*@", "//postgres:hunter2@", db.url)
    with logged(logging.DEBUG) as records:
        launch(system_database_url=url, log_level="DEBUG")
    assert says(records, "launched")
    assert not says(records, "hunter2")


@pytest.mark.rules("LOG-8", "LIF-13", "LIF-17")
def test_a_password_is_in_no_error():
    construct(system_database_url="postgresql://user:hunter2@127.0.0.1:1/database?connect_timeout=2")
    with logged(logging.DEBUG) as records, pytest.raises(Exception, match="127.0.0.1") as caught:
        DBOS.launch()
    assert type(caught.value).__name__ == "OperationalError"
    assert [record for record in records if record.levelno == logging.ERROR and record.exc_info]
    formatted = "".join(logging.Formatter().format(record) for record in records)
    assert "hunter2" not in f"{caught.value} {formatted}"
