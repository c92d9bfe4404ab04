"""Application versions: which is the latest, and who owns one."""

from __future__ import annotations

import uuid

import pytest
from programs import step_names

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error


def versions(db):
    """Read the table of versions by name."""
    return {row["version_name"]: row for row in db.rows("select * from {application_versions}")}


def add(db, name, timestamp, application=None):
    """Register a version behind the library's back."""
    db.execute(
        "insert into {application_versions} (version_id, version_name, version_timestamp, created_at, application_name)"
        " values (?, ?, ?, ?, ?)",
        f"id-{name}",
        name,
        timestamp,
        5,
        application,
    )


@pytest.mark.rules("VER-1", "RV-2")
def test_the_version_is_configured_pinned_or_from_the_environment(launch, monkeypatch):
    monkeypatch.setenv("DBOS__APPVERSION", "from-environment")
    assert launch(application_version="given", enable_patching=True).application_version == "given"
    DBOS.destroy()
    assert launch(application_version=None, enable_patching=True).application_version == "PATCHING_ENABLED"
    DBOS.destroy()
    assert launch(application_version=None).application_version == "from-environment"


@pytest.mark.rules("VER-1", "VER-2", "RV-2")
def test_the_computed_version_belongs_to_one_application(launch, monkeypatch):
    monkeypatch.delenv("DBOS__APPVERSION", raising=False)
    first = launch(application_version=None).application_version
    DBOS.destroy()
    assert launch(application_version=None).application_version == first
    DBOS.destroy()
    assert launch(application_version=None, name="another").application_version != first
    assert len(first) == 32


@pytest.mark.rules("VER-5", "VER-6", "VER-7", "RV-3")
async def test_launching_registers_a_version_once_and_the_latest_comes_first(launch, db, face):
    launch(application_version="v1")
    before = versions(db)["v1"]
    DBOS.destroy()
    add(db, "newer", before["version_timestamp"] + 60_000)
    add(db, "foreign", before["version_timestamp"] + 90_000, "another")
    launch(application_version="v1")
    assert versions(db)["v1"] == before
    assert [one["version_name"] for one in await face.dbos.list_application_versions()] == ["newer", "v1"]
    latest = await face.dbos.get_latest_application_version()
    assert latest == {
        "version_id": "id-newer",
        "version_name": "newer",
        "version_timestamp": before["version_timestamp"] + 60_000,
        "created_at": 5,
        "application_name": None,
    }


@pytest.mark.rules("SDV-1", "VER-5")
def test_launching_claims_a_version_that_nobody_owns_and_else_adds_one_of_its_own(launch, db):
    add(db, "v1", 7)
    launch(application_version="v1")
    DBOS.destroy()
    launch(application_version="v2")
    found = versions(db)
    claimed, added = found["v1"], found["v2"]
    assert (claimed["version_id"], claimed["version_timestamp"], claimed["created_at"]) == ("id-v1", 7, 5)
    assert claimed["application_name"] == added["application_name"] == "testapp"
    assert str(uuid.UUID(added["version_id"])) == added["version_id"]
    assert added["version_timestamp"] == added["created_at"] > 1_700_000_000_000


@pytest.mark.rules("VER-5")
def test_launching_a_version_that_is_not_the_latest_warns(launch, db, caplog):
    add(db, "newer", 2**50)
    launch()
    assert "is not the latest" in caplog.text


@pytest.mark.rules("VER-6", "SDV-2")
async def test_without_any_version_there_is_no_latest(launch, db, face):
    launch()
    db.execute("delete from {application_versions}")
    with pytest.raises(dbos_error.DBOSException, match="No application versions found"):
        await face.dbos.get_latest_application_version()
    assert await face.dbos.list_application_versions() == []


@pytest.mark.rules("VER-8", "VER-10", "VER-3b")
async def test_promoting_a_version_makes_it_the_latest_and_claims_it(launch, db, face):
    add(db, "old", 1)
    launch()
    await face.dbos.set_latest_application_version("unknown")
    await face.dbos.set_latest_application_version("old")
    row = versions(db)["old"]
    assert (await face.dbos.get_latest_application_version())["version_name"] == "old"
    assert (row["created_at"], row["application_name"], row["version_id"]) == (5, "testapp", "id-old")
    assert "unknown" not in versions(db)


@pytest.mark.rules("VER-9", "VER-10", "APP-10", "OWN-6")
async def test_a_version_of_another_application_can_neither_be_promoted_nor_launched(launch, db, face):
    add(db, "theirs", 1, "another")
    add(db, "nobodys", 1)
    launch(application_version="nobodys")
    assert versions(db)["nobodys"]["application_name"] == "testapp"
    assert (versions(db)["nobodys"]["version_id"], versions(db)["nobodys"]["version_timestamp"]) == ("id-nobodys", 1)
    message = r"Application version 'theirs' is already registered by application 'another'.*rename-application"
    with pytest.raises(dbos_error.DBOSException, match=message):
        await face.dbos.set_latest_application_version("theirs")
    assert versions(db)["theirs"]["version_timestamp"] == 1
    DBOS.destroy()
    with pytest.raises(dbos_error.DBOSException, match=message):
        launch(application_version="theirs")


@pytest.mark.rules("VER-11", "COM-2")
async def test_asking_for_versions_in_a_workflow_records_nothing(launch, db, face):
    @face.workflow()
    async def program() -> str:
        await face.dbos.set_latest_application_version("v1")
        await face.dbos.list_application_versions()
        return str((await face.dbos.get_latest_application_version())["version_name"])

    launch()
    with SetWorkflowID("w"):
        assert await program() == "v1"
    assert step_names(db, "w") == []


@pytest.mark.rules("VER-3", "VER-3a", "VER-3b")
async def test_rows_carry_the_version_unless_another_process_is_to_choose(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    await face.dbos.register_queue("q")
    await (await face.dbos.enqueue_workflow("q", face.fn(program))).get_result()
    await face.dbos.register_queue("idle", worker_concurrency=0)
    options = {"workflow_name": face.fn(program).__qualname__, "queue_name": "idle"}
    with SetWorkflowID("named"):
        await face.dbos.enqueue_workflow_with_options(options)
    with SetWorkflowID("foreign"):
        await face.dbos.enqueue_workflow_with_options({**options, "application_name": "another"})
    found = {row["workflow_uuid"]: row["application_version"] for row in db.rows("select * from {workflow_status}")}
    assert (found.pop("named"), found.pop("foreign")) == (None, None)
    assert list(found.values()) == ["v1"]
