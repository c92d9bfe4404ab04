"""`dbos-config.yaml`: what may stand in it, and which database it means."""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from dbos import DBOS, DBOSClient
from dbos.cli.config_file import load, substituted
from dbos.error import DBOSInitializationError


def configure(text: str) -> None:
    Path("dbos-config.yaml").write_text(text)


# --- which database


@pytest.mark.rules("CLI-9", "CLI-10", "CLI-12")
@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("name: shop\nsystem_database_url: sqlite:///one.sqlite\n", "one.sqlite"),
        ("name: shop\nsystem_database_url: ${TEST_URL}\n", "env.sqlite"),
        ("name: shop\nsystem_database_url: sqlite:///one.sqlite\ndatabase_url: sqlite:///two.sqlite\n", "one.sqlite"),
        ("name: shop\ndatabase_url: sqlite:///two.sqlite\n", "two.sqlite"),
        ("name: My-odd shop\n", "my_odd_shop.sqlite"),
        ("name: 7-up\n", "_7_up.sqlite"),
        ('name: shop\nsystem_database_url: "${TEST_UNSET}"\ndatabase_url: "${TEST_UNSET}"\n', "shop.sqlite"),
    ],
)
def test_the_file_says_which_database(bare, monkeypatch, text, file):
    monkeypatch.setenv("TEST_URL", "sqlite:///env.sqlite")
    monkeypatch.delenv("TEST_UNSET", raising=False)
    configure(text)
    bare("migrate")
    assert system_databases() == [file]
    assert bare.json("workflow", "list") == []


def system_databases() -> list[str]:
    """Return the files here that hold the tables of workflows."""
    found = []
    for file in Path().glob("*.sqlite"):
        with closing(sqlite3.connect(file)) as connection:
            if connection.execute("select 1 from sqlite_master where name = 'workflow_status'").fetchone():
                found.append(file.name)
    return found


@pytest.mark.rules("CLI-9")
def test_the_application_database_of_the_file_gives_the_system_database(bare):
    configure("name: shop\ndatabase_url: postgresql://u:s3cret@127.0.0.1:1/shop\n")
    assert "postgresql://u:***@127.0.0.1:1/shop_dbos_sys" in bare.refusal("workflow", "list")


@pytest.mark.rules("CLI-8", "CLI-12")
def test_flags_come_before_the_file_and_the_environment_says_nothing(bare, monkeypatch):
    monkeypatch.setenv("DBOS_SYSTEM_DATABASE_URL", "sqlite:///env.sqlite")
    configure("name: shop\n")
    for flag in ("--sys-db-url", "--db-url"):
        bare("migrate", flag, "sqlite:///flag.sqlite")
        assert [one.name for one in Path().glob("*.sqlite")] == ["flag.sqlite"]


@pytest.mark.rules("CLI-7")
def test_a_managed_platform_comes_first(bare):
    cloud = {"DBOS__CLOUD": "true", "DBOS_SYSTEM_DATABASE_URL": "sqlite:///cloud.sqlite"}
    bare("migrate", "-s", "sqlite:///flag.sqlite", **cloud)
    assert [one.name for one in Path().glob("*.sqlite")] == ["cloud.sqlite"]
    refusal = bare.refusal("workflow", "list", "-s", "sqlite:///cloud.sqlite", DBOS__CLOUD="true")
    assert "DBOS_SYSTEM_DATABASE_URL is not" in refusal


@pytest.mark.rules("CLI-13", "YML-3")
def test_a_file_that_is_no_mapping(bare):
    for text in ("- a\n", "just text", ""):
        configure(text)
        assert "dbos-config.yaml must contain a dictionary" in bare.refusal("workflow", "list")
    configure("name: shop\npassword: *s3cret\n")
    refusal = bare.refusal("workflow", "list")
    assert "is not valid YAML" in refusal and "s3cret" not in refusal and refusal.count("\n") == 1


# --- reading it


@pytest.mark.rules("YML-1")
def test_the_library_does_not_read_the_file(bare):
    configure("name: other\nsystem_database_url: sqlite:///other.sqlite\n")
    DBOS(config={"name": "shop"})
    DBOS.launch()
    DBOS.destroy()
    assert [one.name for one in Path().glob("*.sqlite")] == ["shop.sqlite"]


@pytest.mark.rules("YML-2", "CFG-61")
def test_variables_and_secrets_are_put_in(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("ONE", "1")
    monkeypatch.setenv("QUOTED", "${DOCKER_SECRET:key}")
    monkeypatch.delenv("NONE", raising=False)
    (tmp_path / "key").write_text("  hush ${ONE}\n")
    text = "a: [x${ONE}y${ONE}, ${DOCKER_SECRET:key}, ${QUOTED}, '${NONE}', '${DOCKER_SECRET:nosuch}', $ONE, ${1}]"
    expected = "a: [x1y1, hush 1, ${DOCKER_SECRET:key}, '', '', $ONE, ${1}]"
    with caplog.at_level(logging.WARNING, "dbos"):
        assert substituted(text, secrets=tmp_path) == expected
        assert caplog.text == ""
        assert substituted(text, secrets=tmp_path, silent=False) == expected
    assert "environment variable NONE is not set" in caplog.text and "Docker secret nosuch" in caplog.text


@pytest.mark.rules("YML-3", "CFG-62")
def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nosuch.yaml")
    with pytest.raises(OSError):
        load(tmp_path)
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(DBOSInitializationError, match="must contain a dictionary"):
        load(tmp_path / "list.yaml")


@pytest.mark.rules("YML-4", "YML-5", "CFG-63")
def test_endpoints_become_lists_and_unknown_keys_do_no_harm(tmp_path):
    file = tmp_path / "dbos-config.yaml"
    file.write_text(
        "name: shop\nodd: {a: 1}\nenv: {B: c}\n"
        "telemetry:\n  logs: {logLevel: DEBUG}\n  OTLPExporter:\n    logsEndpoint: http://a\n    tracesEndpoint: [http://b]\n"
    )
    found = load(file)
    assert found["odd"] == {"a": 1}
    assert found["telemetry"] == {
        "logs": {"logLevel": "DEBUG"},
        "OTLPExporter": {"logsEndpoint": ["http://a"], "tracesEndpoint": ["http://b"]},
    }


@pytest.mark.rules("YML-6")
def test_the_schema_that_editors_use():
    schema = json.loads(files("dbos").joinpath("dbos-config.schema.json").read_text())
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    properties = schema["properties"]
    assert set(properties) == {
        "name", "language", "system_database_url", "database_url", "database", "runtimeConfig", "env",
    }  # fmt: skip
    assert properties["language"]["enum"] == ["python"]
    assert properties["system_database_url"]["type"] == properties["database_url"]["type"] == ["string", "null"]
    database, runtime = properties["database"], properties["runtimeConfig"]
    assert database["additionalProperties"] is runtime["additionalProperties"] is False
    assert set(database["properties"]) == {"app_db_name", "migrate"}
    assert {key: value["type"] for key, value in runtime["properties"].items()} == {"start": "array", "setup": "array"}
    assert runtime["properties"]["setup"]["items"] == {"type": "string"}


@pytest.mark.rules("YML-7")
@pytest.mark.parametrize("missing", ["DBOS_SYSTEM_DATABASE_URL", "DBOS_APP_NAME"])
def test_a_managed_platform_that_leaves_something_out(monkeypatch, missing):
    monkeypatch.setenv("DBOS__CLOUD", "true")
    for name, value in (("DBOS_SYSTEM_DATABASE_URL", "sqlite:///x.sqlite"), ("DBOS_APP_NAME", "shop")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(missing)
    with pytest.raises(DBOSInitializationError, match=missing):
        DBOS(config={"name": "mine"})
    DBOS.destroy()


@pytest.mark.rules("YML-7")
def test_a_managed_platform_forces_name_and_database(bare, monkeypatch):
    pytest.importorskip("opentelemetry.sdk", reason="a managed platform traces: pip install 'dbos[otel]'")
    monkeypatch.setenv("DBOS__CLOUD", "true")
    monkeypatch.setenv("DBOS_APP_NAME", "cloudy")
    monkeypatch.setenv("DBOS_SYSTEM_DATABASE_URL", "sqlite:///cloud.sqlite")
    monkeypatch.setenv("DBOS__APPVERSION", "1")
    DBOS(config={"name": "mine", "system_database_url": "sqlite:///mine.sqlite"})

    @DBOS.workflow()
    def one() -> int:
        return 1

    DBOS.launch()
    one()
    DBOS.destroy()
    with DBOSClient(system_database_url="sqlite:///cloud.sqlite") as client:
        assert [found.application_name for found in client.list_workflows()] == ["cloudy"]


@pytest.mark.rules("YML-8")
@pytest.mark.parametrize("name", ["abc", "a-b_9", "x" * 256])
def test_names_of_applications(bare, name):
    bare("init", name, "--config")
    assert load()["name"] == name
