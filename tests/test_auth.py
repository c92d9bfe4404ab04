"""Users, roles, and who may run what."""

from __future__ import annotations

import json
from typing import Any

import pytest
from face import REGISTERED
from programs import redispatch, status_of, workflow_row, workflow_rows

from dbos import DBOS, DBOSConfiguredInstance, DBOSContextEnsure, DBOSContextSetAuth, SetWorkflowID
from dbos import error as dbos_error

NO_AUTH = "requires a role, but was called in a context without authentication information"
NO_ROLE = "has required roles, but user is not authenticated for any of them"


def who() -> Any:
    return DBOS.authenticated_user, DBOS.authenticated_roles, DBOS.assumed_role


def stacked(face: Any, *decorators: Any) -> Any:
    """Apply decorators to an `async def` body, the first one on top; calling the result gives an awaitable."""

    def decorate(body: Any) -> Any:
        function = face.plain(body)
        for decorator in reversed(decorators):
            function = decorator(function)

        async def call(*args: Any) -> Any:
            returned = function(*args)
            return await returned if face.looping else returned

        setattr(call, REGISTERED, function)
        return call

    return decorate


@pytest.mark.rules("AUTH-1", "ATH-9")
@pytest.mark.parametrize("roles", [["user", "admin"], [], None])
async def test_user_and_roles_are_captured_and_restored(launch, db, face, roles):
    @face.workflow()
    async def program() -> Any:
        return DBOS.authenticated_user, DBOS.authenticated_roles or None

    launch()
    with DBOSContextSetAuth("alice", roles):
        with SetWorkflowID("called"):
            assert await program() == ("alice", roles or None)
        with SetWorkflowID("started"):
            assert await (await face.start(program)).get_result() == ("alice", roles or None)
    for workflow_id in ("called", "started"):
        row = workflow_row(db, workflow_id)
        assert row["authenticated_user"] == "alice"
        assert row["authenticated_roles"] == (json.dumps(roles) if roles else None)
        redispatch(db, workflow_id)
    for workflow_id in ("called", "started"):
        assert await face.dbos.get_result(workflow_id) == ("alice", roles or None)


@pytest.mark.rules("AUTH-1")
async def test_the_status_shows_user_and_roles(launch, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with DBOSContextSetAuth("alice", ["user"]), SetWorkflowID("w"):
        await program()
    status = await face.dbos.get_workflow_status("w")
    assert (status.authenticated_user, status.authenticated_roles, status.assumed_role) == ("alice", ["user"], None)


@pytest.mark.rules("AUTH-2", "ATH-12")
async def test_children_and_steps_inherit(launch, db, face):
    @face.step()
    async def step() -> Any:
        return DBOS.authenticated_user, DBOS.authenticated_roles

    @face.workflow()
    async def child() -> Any:
        return DBOS.authenticated_user, DBOS.authenticated_roles

    @face.workflow()
    async def parent() -> list[Any]:
        return [await step(), await child(), await (await face.start(child)).get_result()]

    launch()
    with DBOSContextSetAuth("alice", ["user"]), SetWorkflowID("w"):
        assert await parent() == [("alice", ["user"])] * 3
    assert {row["authenticated_user"] for row in workflow_rows(db)} == {"alice"}


@pytest.mark.rules("AUTH-3", "AUTH-4", "AUTH-5", "DEC-21", "ATH-6", "ATH-7", "ATH-11")
@pytest.mark.parametrize("above", [True, False])
async def test_a_call_without_authentication_is_refused_before_anything_is_written(launch, db, face, above):
    async def body() -> None:
        raise AssertionError("must not run")

    plain = face.plain(body)
    roles, workflow = DBOS.required_roles(["admin"]), DBOS.workflow(name="program")
    registered = roles(workflow(plain)) if above else workflow(roles(plain))

    async def call() -> None:
        returned = registered()
        if face.looping:
            await returned

    launch()
    with pytest.raises(dbos_error.DBOSNotAuthorizedError, match=NO_AUTH):
        await call()
    with pytest.raises(dbos_error.DBOSNotAuthorizedError, match=NO_AUTH), DBOSContextEnsure():
        await call()
    with pytest.raises(dbos_error.DBOSNotAuthorizedError, match=NO_ROLE), DBOSContextSetAuth("bob", ["user"]):
        await call()
    with pytest.raises(dbos_error.DBOSNotAuthorizedError), DBOSContextSetAuth("bob", []):
        await call()
    assert workflow_rows(db) == []


@pytest.mark.rules("AUTH-4", "ERR-3", "ATH-7")
async def test_the_refusal_names_the_function(launch, face):
    @face.workflow(name="close_account")
    async def program() -> None: ...

    DBOS.required_roles(["admin"])(face.fn(program))
    launch()
    with pytest.raises(dbos_error.DBOSNotAuthorizedError, match="close_account") as caught:
        await program()
    assert caught.value.dbos_error_code == 8


@pytest.mark.rules("AUTH-4", "AUTH-5", "DEC-21", "ATH-6", "ATH-7", "ATH-8")
@pytest.mark.parametrize("above", [True, False])
async def test_the_first_required_role_the_user_has_is_assumed(launch, db, face, above):
    """Hold in both orders and colours (3.4.0 fails when an async function has the roles below the workflow)."""

    async def body() -> Any:
        return who()

    plain = face.plain(body)
    roles, workflow = DBOS.required_roles(["owner", "admin", "user"]), DBOS.workflow(name="program")
    registered = roles(workflow(plain)) if above else workflow(roles(plain))
    launch()
    with DBOSContextSetAuth("alice", ["user", "admin"]):
        with SetWorkflowID("called"):
            returned = registered()
            assert (await returned if face.looping else returned) == ("alice", ["user", "admin"], "admin")
        with SetWorkflowID("started"):
            handle = await face.start(registered)
            assert await handle.get_result() == ("alice", ["user", "admin"], "admin")
        assert DBOS.assumed_role is None
    assert workflow_row(db, "called")["assumed_role"] == "admin"
    for workflow_id in ("called", "started"):
        redispatch(db, workflow_id)
    for workflow_id in ("called", "started"):
        assert await face.dbos.get_result(workflow_id) == ("alice", ["user", "admin"], "admin")


@pytest.mark.rules("AUTH-3", "DEC-20", "ATH-6")
@pytest.mark.parametrize("above", [True, False])
async def test_an_empty_list_asks_nothing(launch, face, above):
    """Ask nothing without a context too (3.4.0 fails there when the list stands above the workflow)."""
    decorators = [DBOS.required_roles([]), DBOS.workflow(name="program")]

    @stacked(face, *(decorators if above else reversed(decorators)))
    async def program() -> int:
        return 1

    launch()
    assert await program() == 1
    with DBOSContextSetAuth("alice", None):
        assert await program() == 1
        assert await (await face.start(program)).get_result() == 1


@pytest.mark.rules("AUTH-3", "DEC-20", "ATH-6")
def test_a_class_default_holds_unless_a_function_has_its_own(launch):
    @DBOS.default_required_roles(["user"])
    class Account(DBOSConfiguredInstance):
        @DBOS.workflow(name="look")
        def look(self) -> str | None:
            return DBOS.assumed_role

        @DBOS.required_roles(["admin"])
        @DBOS.workflow(name="close")
        def close(self) -> str | None:
            return DBOS.assumed_role

        @DBOS.required_roles([])
        @DBOS.workflow(name="greet")
        def greet(self) -> str | None:
            return DBOS.assumed_role

        @classmethod
        @DBOS.workflow(name="count")
        def count(cls) -> str | None:
            return DBOS.assumed_role

    account = Account("first")
    launch()
    with DBOSContextSetAuth("alice", ["user"]):
        assert account.look() == "user"
        assert Account.count() == "user"
        assert account.greet() is None
        with pytest.raises(dbos_error.DBOSNotAuthorizedError, match=NO_ROLE):
            account.close()
    with DBOSContextSetAuth("root", ["admin"]):
        assert account.close() == "admin"
        with pytest.raises(dbos_error.DBOSNotAuthorizedError, match=NO_ROLE):
            account.look()


@pytest.mark.rules("DEC-20", "DEC-32")
def test_default_roles_register_the_class(launch):
    @DBOS.default_required_roles(["user"])
    class Registered(DBOSConfiguredInstance):
        @DBOS.workflow(name="look")
        def look(self) -> str:
            return self.config_name

    registered = Registered("one")
    launch()
    with DBOSContextSetAuth("alice", ["user"]):
        assert DBOS.start_workflow(registered.look).get_result() == "one"


@pytest.mark.rules("AUTH-6", "ATH-10", "ATH-11")
async def test_a_denied_start_ends_as_an_error(launch, db, face):
    ran: list[int] = []

    @face.workflow()
    async def program() -> None:
        ran.append(1)

    DBOS.required_roles(["admin"])(face.fn(program))
    launch()
    with DBOSContextSetAuth("bob", ["user"]), SetWorkflowID("w"):
        handle = await face.start(program)
        with pytest.raises(dbos_error.DBOSNotAuthorizedError):
            await handle.get_result()
    assert status_of(db, "w") == "ERROR"
    with SetWorkflowID("nobody"):
        handle = await face.start(program)
        with pytest.raises(dbos_error.DBOSNotAuthorizedError):
            await handle.get_result()
    assert ran == []


@pytest.mark.rules("AUTH-6", "ST-35", "ATH-10")
async def test_a_denied_dispatch_ends_as_an_error(launch, db, face):
    ran: list[int] = []

    @face.workflow()
    async def program() -> None:
        ran.append(1)

    DBOS.required_roles(["admin"])(face.fn(program))
    launch()
    with DBOSContextSetAuth("root", ["admin"]), SetWorkflowID("w"):
        await program()
    db.execute("update {workflow_status} set authenticated_roles = ? where workflow_uuid = 'w'", '["user"]')
    db.execute("delete from {workflow_output}")
    redispatch(db, "w")
    with pytest.raises(dbos_error.DBOSNotAuthorizedError):
        await face.dbos.get_result("w")
    assert status_of(db, "w") == "ERROR"
    assert ran == [1]


@pytest.mark.rules("AUTH-7", "AUTH-4")
async def test_steps_are_checked_each_time_they_run_in_a_workflow(launch, face):
    @face.step()
    async def step() -> str | None:
        return DBOS.assumed_role

    DBOS.required_roles(["admin"])(face.fn(step))

    @face.workflow()
    async def program() -> Any:
        return await step(), DBOS.assumed_role

    launch()
    with DBOSContextSetAuth("root", ["admin"]):
        assert (await program())[1] is None
    with DBOSContextSetAuth("bob", ["user"]), pytest.raises(dbos_error.DBOSNotAuthorizedError, match=NO_ROLE):
        await program()


@pytest.mark.rules("AUTH-7")
async def test_a_plain_call_of_a_step_is_checked_by_its_own_roles(launch, face):
    @stacked(face, DBOS.required_roles(["admin"]), DBOS.step(name="step"))
    async def step() -> int:
        return 1

    launch()
    with pytest.raises(dbos_error.DBOSNotAuthorizedError, match=NO_AUTH):
        await step()
    with pytest.raises(dbos_error.DBOSNotAuthorizedError), DBOSContextSetAuth("bob", ["user"]):
        await step()
    with DBOSContextSetAuth("root", ["admin"]):
        assert await step() == 1


@pytest.mark.rules("AUTH-7")
def test_a_plain_call_of_a_step_is_not_checked_by_its_classs_roles(launch):
    @DBOS.default_required_roles(["admin"])
    class Account:
        @DBOS.step(name="look")
        def look(self) -> int:
            return 1

    launch()
    assert Account().look() == 1
    with DBOSContextSetAuth("bob", ["user"]):
        assert Account().look() == 1


@pytest.mark.rules("ATH-13")
async def test_workflows_are_listed_by_user(launch, face):
    @face.workflow()
    async def program() -> None:
        pass

    launch()
    for user in ("alice", "bob"):
        with DBOSContextSetAuth(user, ["user"]), SetWorkflowID(f"of-{user}"):
            await program()
    assert [row.workflow_id for row in await face.dbos.list_workflows(user="bob")] == ["of-bob"]
