"""`resolve`: what the environment, and a managed platform, decide."""

from __future__ import annotations

from typing import Any

import pytest

from dbos._model.config import Settings, resolve
from dbos.error import DBOSInitializationError

NAME = "testapp"
CLOUD = {
    "DBOS__CLOUD": "true",
    "DBOS_SYSTEM_DATABASE_URL": "postgresql://platform/system",
    "DBOS_APP_NAME": "platform-app",
}


def settings(environ: dict[str, str] | None = None, **config: Any) -> Settings:
    return resolve({"name": NAME, **config}, environ or {})


# --- version and executor


@pytest.mark.rules("CFG-40", "CFG-43", "CFG-50")
@pytest.mark.parametrize(
    ("config", "environ", "version"),
    [
        ({}, {}, None),
        ({}, {"DBOS__APPVERSION": ""}, None),
        ({}, {"DBOS__APPVERSION": "env"}, "env"),
        ({"enable_patching": True}, {"DBOS__APPVERSION": "env"}, "PATCHING_ENABLED"),
        ({"enable_patching": False}, {"DBOS__APPVERSION": "env"}, "env"),
        ({"enable_patching": True, "application_version": "mine"}, {"DBOS__APPVERSION": "env"}, "mine"),
        ({"application_version": "mine"}, {}, "mine"),
    ],
)
def test_where_the_version_comes_from(config, environ, version):
    assert settings(environ, **config).application_version == version


@pytest.mark.rules("CFG-45", "CFG-50")
@pytest.mark.parametrize(
    ("configured", "environ", "executor"),
    [
        (None, {}, "local"),
        (None, {"DBOS__VMID": ""}, "local"),
        (None, {"DBOS__VMID": "vm"}, "vm"),
        ("mine", {"DBOS__VMID": "vm"}, "mine"),
    ],
)
def test_where_the_executor_id_comes_from(configured, environ, executor):
    assert settings(environ, executor_id=configured).executor_id == executor


@pytest.mark.rules("CFG-50")
def test_the_application_id_comes_from_the_environment():
    assert settings({"DBOS__APPID": "app-7"}).application_id == "app-7"


@pytest.mark.rules("CFG-50")
def test_the_platforms_url_is_not_read_outside_the_platform():
    environ = {**CLOUD, "DBOS__CLOUD": "false"}
    resolved = settings(environ)
    assert (resolved.system_database_url, resolved.name) == ("sqlite:///testapp.sqlite", NAME)


# --- managed platform


@pytest.mark.rules("CFG-51")
def test_a_managed_platform_decides():
    environ = {**CLOUD, "DBOS__VMID": "vm", "DBOS__APPVERSION": "env"}
    resolved = settings(
        environ,
        application_version="mine",
        executor_id="mine",
        system_database_url="sqlite:///mine",
        dbos_system_schema="mine",
        enable_patching=True,
        run_admin_server=True,
        admin_port=1,
    )
    assert resolved.cloud
    assert resolved.enable_otlp
    assert resolved.name == "platform-app"
    assert resolved.system_database_url == "postgresql://platform/system"
    assert resolved.system_schema == "dbos"
    assert (resolved.application_version, resolved.executor_id) == ("env", "vm")
    assert not resolved.run_admin_server


@pytest.mark.rules("CFG-51")
@pytest.mark.parametrize("variable", ["DBOS_SYSTEM_DATABASE_URL", "DBOS_APP_NAME"])
def test_a_managed_platform_must_say_where_and_who(variable):
    environ = {key: value for key, value in CLOUD.items() if key != variable}
    with pytest.raises(DBOSInitializationError, match=variable):
        settings(environ)


@pytest.mark.rules("CFG-51")
def test_a_managed_platforms_endpoints_are_appended():
    environ = {**CLOUD, "DBOS__OTLP_TRACES_ENDPOINT": "http://t", "DBOS__OTLP_LOGS_ENDPOINT": "http://l"}
    resolved = settings(environ, otlp_traces_endpoints=["http://mine"])
    assert resolved.otlp_traces_endpoints == ["http://mine", "http://t"]
    assert resolved.otlp_logs_endpoints == ["http://l"]


@pytest.mark.rules("CFG-60")
def test_a_configuration_file_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "dbos-config.yaml").write_text("name: other-app\nsystem_database_url: sqlite:///other\n")
    monkeypatch.chdir(tmp_path)
    assert settings().system_database_url == "sqlite:///testapp.sqlite"
