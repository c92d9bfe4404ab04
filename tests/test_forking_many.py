"""Many forks at once: of workflows where they failed, at their last steps, from steps of a number or a name."""

from __future__ import annotations

from typing import Any

import pytest
from programs import relaunch, rerun, step_names, workflow_row, workflow_rows
from test_forking import NO_VERSION, NonExistent, finished

from dbos import DBOS, DBOSClient, SetWorkflowID


class Failing:
    """Workflows that fail at their second step until they are mended."""

    def __init__(self, face: Any) -> None:
        self.broken = True
        self.ran: list[str] = []

        @face.step(name="load")
        async def load() -> None:
            self.ran.append("load")

        @face.step(name="convert")
        async def convert() -> None:
            self.ran.append("convert")
            if self.broken:
                raise ValueError("broken")

        @face.workflow(name="failing")
        async def failing() -> str:
            await load()
            try:
                await convert()
            finally:
                await load()
            return "done"

        @face.workflow(name="stepless")
        async def stepless() -> str:
            return "nothing to do"

        self.failing, self.stepless = failing, stepless


async def broken(face: Any, launch: Any) -> Failing:
    """Run one workflow that fails and one without steps."""
    work = Failing(face)
    launch()
    with pytest.raises(ValueError, match="broken"):
        await finished(work.failing, "w")
    await finished(work.stepless, "s")
    work.ran.clear()
    work.broken = False
    return work


@pytest.mark.rules("MGT-31", "MGT-32")
@pytest.mark.parametrize(
    ("way", "start_step", "starts_stepless"),
    [
        ({"from_last_failure": True}, 2, True),
        ({"from_last_step": True}, 3, True),
        ({"from_step": 1}, 1, True),
        ({"from_step_name": "load"}, 3, False),
        ({"from_step_name": "convert"}, 2, False),
    ],
)
async def test_many_are_forked_each_from_its_own_step(launch, db, face, way, start_step, starts_stepless):
    await broken(face, launch)
    wanted = ["s", "w"] if starts_stepless else ["w"]
    forks = await face.dbos.fork_from_failure(wanted, application_version=NO_VERSION, **way)
    assert len(set(forks)) == len(wanted)
    assert [workflow_row(db, one)["forked_from"] for one in forks] == wanted
    assert [step_id for step_id, _ in step_names(db, forks[-1])] == list(range(1, start_step))
    assert {workflow_row(db, one)["application_version"] for one in forks} == {NO_VERSION}


@pytest.mark.rules("MGT-31", "MGT-32")
async def test_a_workflow_that_failed_goes_on_in_its_fork(launch, db, face):
    work = await broken(face, launch)
    (fork,) = await face.dbos.fork_from_failure(["w"], application_version=None, from_last_failure=True)
    assert await face.dbos.get_result(fork) == "done"
    assert work.ran == ["convert", "load"]


@pytest.mark.rules("MGT-32")
async def test_without_a_failure_the_last_step_is_run_again(launch, db, face):
    work = await broken(face, launch)
    await finished(work.failing, "fine")
    (fork,) = await face.dbos.fork_from_failure(["fine"], application_version=NO_VERSION, from_last_failure=True)
    assert [step_id for step_id, _ in step_names(db, fork)] == [1, 2]


@pytest.mark.rules("MGT-31")
@pytest.mark.parametrize("ways", [{}, {"from_last_failure": True, "from_step": 1}])
async def test_exactly_one_way_must_be_given(launch, db, face, ways):
    await broken(face, launch)
    with pytest.raises(ValueError, match="Exactly one of"):
        await face.dbos.fork_from_failure(["w"], application_version=None, **ways)
    assert len(workflow_rows(db)) == 2


@pytest.mark.rules("MGT-31", "MGT-32")
async def test_when_one_cannot_be_forked_none_is(launch, db, face):
    await broken(face, launch)
    with pytest.raises(Exception, match="Workflow s has no step named 'convert'"):
        await face.dbos.fork_from_failure(["w", "s"], application_version=None, from_step_name="convert")
    with pytest.raises(NonExistent, match="absent, missing"):
        await face.dbos.fork_from_failure(["w", "absent", "missing"], application_version=None, from_last_step=True)
    assert len(workflow_rows(db)) == 2
    assert not workflow_row(db, "w")["was_forked_from"]


@pytest.mark.rules("MGT-31")
async def test_many_forks_go_on_the_queue_that_is_named(launch, db, face):
    await broken(face, launch)
    forks = await face.dbos.fork_from_failure(
        ["w", "w"], application_version=None, queue_name="q", queue_partition_key="k", from_step=2
    )
    rows = [workflow_row(db, one) for one in forks]
    assert {(row["status"], row["queue_name"], row["queue_partition_key"]) for row in rows} == {("ENQUEUED", "q", "k")}
    assert await face.dbos.fork_from_failure([], application_version=None, from_step=1) == []


@pytest.mark.rules("MGT-31", "COM-11")
async def test_many_forks_in_a_workflow_are_made_once(launch, db, face):
    await broken(face, launch)

    @face.workflow()
    async def program() -> Any:
        try:
            await face.dbos.fork_from_failure(["w"], application_version=None)
        except ValueError:
            return await face.dbos.fork_from_failure(["w", "s"], application_version=NO_VERSION, from_last_step=True)

    await relaunch(launch)
    forks = await finished(program, "p")
    assert step_names(db, "p") == [(1, "DBOS.forkFromFailure"), (2, "DBOS.forkFromFailure")]
    assert await rerun(face, db, "p") == forks
    assert len(workflow_rows(db)) == 5


def test_a_client_forks_many(launch, db):
    @DBOS.workflow(name="source")
    def source() -> int:
        return 1

    launch()
    with SetWorkflowID("w"):
        source()
    with DBOSClient(system_database_url=db.url) as client:
        (fork,) = client.fork_from_failure(["w"], application_version=None, from_last_step=True)
        assert client.retrieve_workflow(fork).get_result() == 1
