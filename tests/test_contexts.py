"""The `with` blocks around starts, and the variables that say where we are."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from programs import logged, redispatch, workflow_row, workflow_rows

from dbos import (
    DBOS,
    DBOSContextEnsure,
    DBOSContextSetAuth,
    SetEnqueueOptions,
    SetShardKey,
    SetWorkflowAttributes,
    SetWorkflowID,
    SetWorkflowTimeout,
)
from dbos import error as dbos_error

BLOCKS = [
    lambda: SetWorkflowID("w"),
    lambda: SetWorkflowTimeout(60),
    lambda: SetWorkflowAttributes({"a": 1}),
    lambda: SetEnqueueOptions(priority=1),
    lambda: SetShardKey("shard"),
    lambda: DBOSContextEnsure(),
    lambda: DBOSContextSetAuth("alice", ["user"]),
]
each_block = pytest.mark.parametrize(
    "block",
    BLOCKS,
    ids=["id", "timeout", "attributes", "enqueue", "shard", "ensure", "auth"],
)


def no_context() -> bool:
    """Say that no DBOS context exists here."""
    try:
        DBOS.authenticated_user  # noqa: B018 - reading it is what fails
    except AssertionError:
        return True
    return False


@pytest.mark.rules("CTX-1", "CTX-45")
@each_block
def test_a_block_removes_the_context_it_made(block):
    assert no_context()
    with block():
        assert not no_context()
    assert no_context()
    with pytest.raises(ValueError, match="out"), block():
        raise ValueError("out")
    assert no_context()


@pytest.mark.rules("CTX-2")
@pytest.mark.parametrize(
    "block",
    [*BLOCKS[:5], BLOCKS[6]],
    ids=["id", "timeout", "attributes", "enqueue", "shard", "auth"],
)
def test_a_block_is_used_again_only_after_it_ended(block):
    one = block()
    with one, pytest.raises(dbos_error.DBOSException, match="already in use"), one:
        pass
    with one:
        assert not no_context()
    assert no_context()


@pytest.mark.rules("CTX-1", "CTX-25")
async def test_an_inner_block_replaces_and_the_outer_one_comes_back(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    async def attributes(workflow_id: str) -> Any:
        with SetWorkflowID(workflow_id):
            await program()
        return (await face.dbos.get_workflow_status(workflow_id)).attributes

    launch()
    with SetWorkflowAttributes({"outer": 1, "both": 1}):
        with SetWorkflowAttributes({"both": 2}):
            assert await attributes("a") == {"both": 2}
        assert await attributes("b") == {"outer": 1, "both": 1}
        with SetWorkflowAttributes(None):
            assert await attributes("c") is None
        with pytest.raises(ValueError, match="out"), SetWorkflowAttributes({"x": 1}):
            raise ValueError("out")
        assert await attributes("d") == {"outer": 1, "both": 1}
    assert await attributes("e") is None


@pytest.mark.rules("CTX-25")
@pytest.mark.parametrize(
    ("attributes", "match"),
    [([1], "must be a dict"), ("text", "must be a dict"), ({"a": object()}, "must be JSON-serializable")],
)
def test_attributes_are_validated_by_the_constructor(attributes, match):
    with pytest.raises(dbos_error.DBOSException, match=match):
        SetWorkflowAttributes(attributes)


@pytest.mark.rules("CTX-25", "CTX-3")
async def test_attributes_are_copied_and_not_inherited(launch, db, face):
    @face.workflow()
    async def child() -> None: ...

    @face.workflow()
    async def parent() -> None:
        await child()

    launch()
    given = {"list": [1]}
    with SetWorkflowAttributes(given):
        handle = await face.start(parent)
        given["list"].append(2)
        await handle.get_result()
    assert (await face.dbos.get_workflow_status(handle.workflow_id)).attributes == {"list": [1]}
    assert (await face.dbos.get_workflow_status(f"{handle.workflow_id}-1")).attributes is None


@pytest.mark.rules("CTX-10", "CTX-3")
async def test_only_the_first_workflow_of_a_block_gets_the_id(launch, face):
    @face.workflow()
    async def program() -> str | None:
        return DBOS.workflow_id

    launch()
    with SetWorkflowID("w"):
        assert await program() == "w"
        with logged() as records:
            second = await program()
    assert second not in ("w", None)
    assert any(record.levelno == logging.WARNING for record in records)
    assert await program() not in ("w", second)


@pytest.mark.rules("CTX-10")
async def test_a_start_that_attaches_consumes_the_id(launch, face):
    @face.workflow()
    async def program() -> str | None:
        return DBOS.workflow_id

    launch()
    with SetWorkflowID("w"):
        await program()
    with SetWorkflowID("w"):
        assert (await face.start(program)).workflow_id == "w"
        assert (await face.start(program)).workflow_id != "w"


@pytest.mark.rules("CTX-3", "CTX-10")
async def test_an_unused_id_does_not_leak(launch, face):
    @face.workflow()
    async def program() -> str | None:
        return DBOS.workflow_id

    launch()
    with SetWorkflowID("unused"):
        pass
    assert await program() != "unused"


@pytest.mark.rules("CTX-10", "CTX-3")
async def test_in_a_workflow_the_first_child_gets_the_id_and_later_ones_derived_ids(launch, face):
    @face.workflow()
    async def child() -> str | None:
        return DBOS.workflow_id

    @face.workflow()
    async def parent() -> list[str | None]:
        with SetWorkflowID("given"):
            return [await child(), await child()]

    launch()
    with SetWorkflowID("w"):
        assert await parent() == ["given", "w-3"]


@pytest.mark.rules("CTX-3")
async def test_an_id_is_not_for_steps(launch, face):
    @face.step()
    async def step() -> str | None:
        return DBOS.workflow_id

    @face.workflow()
    async def program() -> str | None:
        return DBOS.workflow_id

    launch()
    with SetWorkflowID("w"):
        assert await step() is None
        assert await program() == "w"


@pytest.mark.rules("CTX-4", "EX-12")
@pytest.mark.parametrize("workflow_id", ["", "   ", "\t\n", None])
def test_a_blank_id_is_refused_by_the_constructor(workflow_id):
    with pytest.raises(dbos_error.DBOSException, match="Invalid workflow ID"):
        SetWorkflowID(workflow_id)


@pytest.mark.rules("CTX-4", "CTX-30")
@pytest.mark.parametrize("priority", [0, -1, 2**31])
def test_a_priority_is_validated_by_the_constructor(priority):
    with pytest.raises(Exception, match="Invalid priority"):
        SetEnqueueOptions(priority=priority)


@pytest.mark.rules("CTX-30")
@pytest.mark.parametrize("priority", [1, 2**31 - 1, None])
def test_valid_priorities(priority):
    SetEnqueueOptions(priority=priority)


@pytest.mark.rules("CTX-4", "EX-75")
@pytest.mark.parametrize("seconds", [-1, -0.001, float("nan")])
def test_a_negative_timeout_is_refused_by_the_constructor(seconds):
    with pytest.raises(Exception, match="Invalid workflow timeout .* must be positive"):
        SetWorkflowTimeout(seconds)


@pytest.mark.rules("CTX-30")
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"deduplication_id": "d"}, "deduplication_id"),
        ({"priority": 1}, "priority"),
        ({"queue_partition_key": "p"}, "queue_partition_key"),
        ({"delay_seconds": 1}, "delay_seconds"),
        ({"priority": 1, "delay_seconds": 1}, "priority.*delay_seconds"),
        ({"duplication_policy": "return-existing"}, "return-existing"),
        ({"duplication_policy": "whatever"}, "whatever"),
    ],
)
async def test_a_start_refuses_what_only_a_queue_can_do(launch, db, face, options, match):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with pytest.raises(dbos_error.DBOSException, match=match), SetEnqueueOptions(**options):
        await face.start(program)
    assert workflow_rows(db) == []


@pytest.mark.rules("CTX-30")
async def test_harmless_options_and_direct_calls_ignore_the_queues_options(launch, db, face):
    @face.workflow()
    async def program() -> int:
        return 1

    launch()
    with SetEnqueueOptions(duplication_policy="reject"):
        assert await (await face.start(program)).get_result() == 1
    with SetEnqueueOptions(priority=1, deduplication_id="d", delay_seconds=60), SetWorkflowID("w"):
        assert await program() == 1
    row = workflow_row(db, "w")
    assert (row["deduplication_id"], row["queue_name"]) == (None, None)


@pytest.mark.rules("CTX-40")
def test_a_shard_key_must_not_be_empty():
    with pytest.raises(ValueError, match="(?i)shard.key"):
        SetShardKey("")


@pytest.mark.rules("CTX-40")
async def test_nothing_can_be_started_on_a_shard(launch, db, face):
    @face.workflow()
    async def program() -> str | None:
        return DBOS.shard_key

    launch()
    with pytest.raises(dbos_error.DBOSException, match="not sharded"), SetShardKey("eu"):
        await face.start(program)
    with pytest.raises(dbos_error.DBOSException, match="not sharded"), SetShardKey("eu"):
        await program()
    assert workflow_rows(db) == []
    assert await program() is None
    assert DBOS.shard_key is None


@pytest.mark.rules("CTX-40", "COM-23")
async def test_methods_refuse_a_shard_key(launch, face):
    @face.workflow()
    async def program() -> int:
        return 1

    launch()
    with SetWorkflowID("w"):
        await program()
    with pytest.raises(dbos_error.DBOSException, match="not sharded"):
        await face.dbos.retrieve_workflow("w", shard_key="eu")
    for invalid in ("", 7):
        with pytest.raises(dbos_error.DBOSException, match="Invalid shard key"):
            await face.dbos.retrieve_workflow("w", shard_key=invalid)
    assert await (await face.dbos.retrieve_workflow("w", shard_key=None)).get_result() == 1


@pytest.mark.rules("CTX-45", "ATH-3")
def test_ensuring_a_context_keeps_the_one_there_is():
    with DBOSContextEnsure() as outer:
        assert outer is not None
        with DBOSContextEnsure() as inner:
            assert inner is outer
        assert not no_context()


@pytest.mark.rules("CTX-46", "CTX-47", "ATH-2", "ATH-4")
def test_authentication_is_set_in_the_innermost_scope():
    def now() -> Any:
        return DBOS.authenticated_user, DBOS.authenticated_roles

    with pytest.raises(AssertionError, match="No DBOS context"):
        DBOS.set_authentication("alice", ["user"])
    with DBOSContextSetAuth("alice", ["user"]) as context:
        assert context.auth.user == "alice"
        assert now() == ("alice", ["user"])
        with DBOSContextSetAuth("bob", None):
            assert now() == ("bob", None)
            DBOS.set_authentication("carol", ["admin"])
            assert now() == ("carol", ["admin"])
        assert now() == ("alice", ["user"])
        with pytest.raises(ValueError, match="out"), DBOSContextSetAuth(None, []):
            raise ValueError("out")
        assert now() == ("alice", ["user"])
    with DBOSContextEnsure():
        DBOS.set_authentication("dora", ["user"])
        assert now() == ("dora", ["user"])
    assert no_context()


@pytest.mark.rules("CTX-47")
async def test_authentication_set_in_a_workflow_ends_with_it(launch, face):
    @face.workflow()
    async def program() -> Any:
        DBOS.set_authentication("inner", ["admin"])
        return DBOS.authenticated_user, DBOS.authenticated_roles

    launch()
    with DBOSContextSetAuth("outer", ["user"]):
        assert await program() == ("inner", ["admin"])
        assert (DBOS.authenticated_user, DBOS.authenticated_roles) == ("outer", ["user"])


@pytest.mark.rules("CTX-50", "ATH-5")
async def test_variables_outside_of_everything(launch, face):
    def variables() -> Any:
        return DBOS.workflow_id, DBOS.step_id, DBOS.step_status, DBOS.shard_key

    assert variables() == (None,) * 4
    for variable in ("authenticated_user", "authenticated_roles", "assumed_role"):
        with pytest.raises(AssertionError):
            getattr(DBOS, variable)
    launch()
    assert variables() == (None,) * 4
    with DBOSContextEnsure():
        assert variables() == (None,) * 4
        assert (DBOS.authenticated_user, DBOS.authenticated_roles, DBOS.assumed_role) == (None,) * 3


@pytest.mark.rules("CTX-50")
async def test_calls_and_starts_leave_the_callers_context_as_it_was(launch, face):
    @face.workflow()
    async def child() -> str | None:
        return DBOS.workflow_id

    @face.workflow()
    async def failing() -> None:
        raise ValueError("failed")

    @face.workflow()
    async def parent() -> list[Any]:
        seen = [DBOS.workflow_id]
        seen.append(await child())
        seen.append(DBOS.workflow_id)
        handle = await face.start(child)
        seen.append(DBOS.workflow_id)
        await handle.get_result()
        try:
            await failing()
        except ValueError:
            seen.append(DBOS.workflow_id)
        return seen

    launch()
    with SetWorkflowID("w"):
        assert await parent() == ["w", "w-1", "w", "w", "w"]
    assert no_context()
    assert DBOS.workflow_id is None
    await (await face.start(child)).get_result()
    assert no_context()


@pytest.mark.rules("CTX-51", "STEP-3")
async def test_a_steps_status(launch, face):
    seen: list[Any] = []

    def note() -> None:
        status = DBOS.step_status
        assert status is not None
        seen.append((status.step_id, status.current_attempt, status.max_attempts))

    @face.step(retries_allowed=True, max_attempts=4, interval_seconds=0.001)
    async def retried() -> None:
        note()
        if len(seen) < 3:
            raise ValueError("again")

    @face.step()
    async def plain() -> None:
        note()

    @face.workflow()
    async def program() -> bool:
        await retried()
        await plain()
        return DBOS.step_status is None

    launch()
    with SetWorkflowID("w"):
        assert await program()
    assert seen == [(1, 0, 4), (1, 1, 4), (1, 2, 4), (2, None, None)]


@pytest.mark.rules("CTX-3", "CTX-20")
async def test_a_timeout_is_for_the_workflows_of_the_block(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    launch()
    with SetWorkflowTimeout(60), SetWorkflowID("in"):
        await program()
    with SetWorkflowID("after"):
        await program()
    assert workflow_row(db, "in")["workflow_timeout_ms"] == 60_000
    assert workflow_row(db, "after")["workflow_timeout_ms"] is None


@pytest.mark.rules("CTX-3", "AUTH-1")
async def test_the_starters_blocks_are_not_the_recovered_workflows(launch, db, face):
    @face.workflow()
    async def program() -> Any:
        return DBOS.workflow_id, DBOS.authenticated_user

    launch()
    with SetWorkflowID("w"):
        await program()
    redispatch(db, "w")
    with SetWorkflowID("x"), DBOSContextSetAuth("mallory", ["admin"]):
        assert await face.dbos.get_result("w") == ("w", None)
