"""What comes back with a recovered workflow: class, instance, user; and what ends it instead of running it."""

from __future__ import annotations

from typing import Any

import pytest
from programs import Crash, reaches, relaunch, status_of, step_names, until, workflow_row

from dbos import DBOS, DBOSConfiguredInstance, DBOSContextSetAuth, SetWorkflowID
from dbos import error as dbos_error


async def crashed(program: Any, workflow_id: str, *arguments: Any) -> None:
    """Run a program to its crash."""
    with pytest.raises(Crash), SetWorkflowID(workflow_id):
        await program(*arguments)


@pytest.mark.rules("RV-26", "DEC-33")
def test_class_and_instance_methods_get_their_class_and_instance(launch, db):
    crash = [True]

    @DBOS.dbos_class()
    class Shop(DBOSConfiguredInstance):
        def __init__(self, city: str) -> None:
            super().__init__(city)
            self.city = city

        @DBOS.workflow(name="sell")
        def sell(self, item: str) -> str:
            if crash[0]:
                raise Crash
            return f"{item} in {self.city}"

        @classmethod
        @DBOS.workflow(name="audit")
        def audit(cls, year: int) -> str:
            if crash[0]:
                raise Crash
            return f"{cls.__name__} {year}"

    shops = [Shop("Oslo"), Shop("Rome")]
    launch()
    for shop in shops:
        with pytest.raises(Crash), SetWorkflowID(shop.city):
            shop.sell("cup")
    with pytest.raises(Crash), SetWorkflowID("audit"):
        Shop.audit(2026)
    crash[0] = False
    DBOS.destroy()
    launch()
    assert DBOS.get_result("Oslo") == "cup in Oslo"
    assert DBOS.get_result("Rome") == "cup in Rome"
    assert DBOS.get_result("audit") == "Shop 2026"


@pytest.mark.rules("RV-26", "EQ-2", "DEC-17")
async def test_a_started_step_is_recovered(launch, db, face):
    crash = [True]

    @face.step(name="pay")
    async def pay(amount: int) -> int:
        if crash[0]:
            raise Crash
        return amount

    launch()
    with SetWorkflowID("payment"):
        handle = await face.start(pay, 5)
    with pytest.raises(Crash):
        await handle.get_result()
    crash[0] = False
    await relaunch(launch)
    assert await face.dbos.get_result("payment") == 5
    assert step_names(db, "payment") == [(1, "pay")]


@pytest.mark.rules("RV-26", "AUTH-1")
async def test_user_and_roles_are_restored(launch, face):
    crash = [True]

    @face.workflow()
    async def program() -> Any:
        if crash[0]:
            raise Crash
        return DBOS.authenticated_user, DBOS.authenticated_roles

    launch()
    with DBOSContextSetAuth("ann", ["admin", "user"]):
        await crashed(program, "w")
    crash[0] = False
    await relaunch(launch)
    assert await face.dbos.get_result("w") == ("ann", ["admin", "user"])


@pytest.mark.rules("RV-23", "LIF-18", "ST-35", "DEC-38")
async def test_a_workflow_nobody_registered_does_not_stop_the_others(launch, db, face):
    crash = [True]

    @face.workflow()
    async def program() -> str:
        if crash[0]:
            raise Crash
        return "recovered"

    launch()
    await crashed(program, "unknown")
    await crashed(program, "known")
    db.execute("update {workflow_status} set name = 'no such workflow', created_at = 1 where workflow_uuid = 'unknown'")
    crash[0] = False
    await relaunch(launch)
    assert await face.dbos.get_result("known") == "recovered"
    await until(lambda: workflow_row(db, "unknown")["recovery_attempts"] == 2)
    assert status_of(db, "unknown") == "PENDING"


@pytest.mark.rules("ST-35", "ENC-21")
async def test_a_workflow_whose_inputs_cannot_be_read_ends_as_an_error(launch, db, face):
    ran: list[int] = []

    @face.workflow()
    async def program() -> None:
        ran.append(1)
        raise Crash

    launch()
    await crashed(program, "w")
    db.execute("update {workflow_input} set inputs = 'no base64 of a pickle' where workflow_uuid = 'w'")
    await relaunch(launch)
    await reaches(db, "w", "ERROR")
    assert ran == [1]
    with pytest.raises(Exception):  # noqa: B017 - the decoder's own error, whichever it is
        await face.dbos.get_result("w")


@pytest.mark.rules("ST-35", "AUTH-6", "EX-41")
async def test_a_recovered_workflow_whose_user_lacks_a_role_ends_as_an_error(launch, db, face):
    @face.workflow(name="program")
    async def program() -> None:
        raise Crash

    launch()
    with DBOSContextSetAuth("ann", ["user"]):
        await crashed(program, "w")
    DBOS.required_roles(["admin"])(face.fn(program))
    await relaunch(launch)
    with pytest.raises(dbos_error.DBOSNotAuthorizedError):
        await face.dbos.get_result("w")
    assert status_of(db, "w") == "ERROR"


@pytest.mark.rules("RV-26", "ST-35", "DEC-38")
def test_a_workflow_whose_instance_is_missing_stays_pending(launch, db):
    ran: list[str] = []

    @DBOS.dbos_class()
    class Shop(DBOSConfiguredInstance):
        @DBOS.workflow(name="sell")
        def sell(self) -> str:
            ran.append(self.config_name)
            if len(ran) < 3:
                raise Crash
            return self.config_name

    shops = [Shop("Oslo"), Shop("Rome")]
    launch()
    for shop in shops:
        with pytest.raises(Crash), SetWorkflowID(shop.config_name):
            shop.sell()
    db.execute("update {workflow_status} set config_name = 'Paris', created_at = 1 where workflow_uuid = 'Oslo'")
    DBOS.destroy()
    launch()
    assert DBOS.get_result("Rome") == "Rome"
    assert (workflow_row(db, "Oslo")["status"], workflow_row(db, "Oslo")["recovery_attempts"]) == ("PENDING", 2)
    assert ran == ["Oslo", "Rome", "Rome"]


@pytest.mark.rules("ST-35", "SER-40")
async def test_a_recovered_workflow_whose_inputs_a_validator_rejects_ends_as_an_error(launch, db, face):
    ran: list[int] = []

    def reject(args: Any, kwargs: Any) -> Any:
        raise ValueError("not these")

    @face.workflow(validate_args=reject)
    async def program(number: int) -> None:
        ran.append(number)
        raise Crash

    launch()
    await crashed(program, "w", 1)
    await relaunch(launch)
    with pytest.raises(ValueError, match="not these"):
        await face.dbos.get_result("w")
    assert status_of(db, "w") == "ERROR"
    assert ran == [1]


@pytest.mark.rules("RV-28", "EX-34", "EX-37")
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_step_leaves_its_workflow_to_recovery(launch, db, kind):
    interrupt = [True]
    attempts: list[Any] = []

    @DBOS.step(retries_allowed=True, max_attempts=3, interval_seconds=0.001)
    def step() -> str:
        attempts.append(DBOS.step_status.current_attempt)
        if interrupt[0]:
            raise kind if len(attempts) == 2 else ValueError
        return "done"

    @DBOS.workflow()
    def program() -> str:
        return step()

    launch()
    with pytest.raises(kind), SetWorkflowID("w"):
        program()
    assert status_of(db, "w") == "PENDING"
    interrupt[0] = False
    DBOS.destroy()
    launch()
    assert DBOS.get_result("w") == "done"
    assert attempts == [0, 1, 0]
