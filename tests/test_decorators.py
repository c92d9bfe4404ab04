"""Names, signatures, duplicate registrations, other decorators around ours."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from programs import logged, redispatch, rerun, says, step_names, workflow_row

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error


@pytest.fixture(autouse=True)
def forget_registrations():
    """Forget what tests without `launch` register."""
    yield
    DBOS.destroy(destroy_registry=True)


@pytest.mark.rules("DEC-1")
async def test_the_default_name_is_the_qualified_name(launch, db, face):
    @face.workflow()
    async def program() -> None: ...

    @face.workflow(name="given")
    async def named() -> None: ...

    launch()
    with SetWorkflowID("a"):
        await program()
    with SetWorkflowID("b"):
        await named()
    prefix = "test_the_default_name_is_the_qualified_name.<locals>."
    assert workflow_row(db, "a")["name"] == f"{prefix}program"
    assert workflow_row(db, "b")["name"] == "given"


@pytest.mark.rules("DEC-2")
@pytest.mark.parametrize("decorator", [DBOS.workflow, DBOS.step])
def test_decorated_functions_keep_what_they_are(decorator):
    @decorator()
    def program(first: int, *, second: str = "x") -> str:
        """Do it."""
        return second * first

    @decorator(name="other")
    async def program_async(first: int) -> int:
        return first

    assert (program.__name__, program.__doc__) == ("program", "Do it.")
    assert str(inspect.signature(program)).startswith("(first: 'int', *, second: 'str' = 'x')")
    assert inspect.iscoroutinefunction(program_async)
    assert not inspect.iscoroutinefunction(program)


@pytest.mark.rules("DEC-3")
@pytest.mark.parametrize("decorator", [DBOS.workflow, DBOS.step])
def test_a_second_registration_replaces_the_first_with_a_warning(launch, decorator):
    launch()

    def define(result: int) -> Any:
        @decorator(name="twice")
        def program() -> int:
            return result

        return program

    define(1)
    with logged() as records:
        second = define(2)
    warnings = [record.getMessage() for record in records if record.levelno == logging.WARNING]
    assert any("Duplicate registration of function 'twice'" in warning for warning in warnings)
    assert not any("<temp>" in warning for warning in warnings)
    assert DBOS.start_workflow(second).get_result() == 2


@pytest.mark.rules("DEC-3")
def test_a_recovered_workflow_runs_the_second_registration(launch, db):
    def define(result: int) -> Any:
        @DBOS.workflow(name="twice")
        def program() -> int:
            return result

        return program

    first = define(1)
    launch()
    with SetWorkflowID("w"):
        assert first() == 1
    define(2)
    redispatch(db, "w")
    assert DBOS.get_result("w") == 2


@pytest.mark.rules("DEC-4")
def test_one_name_from_two_modules_is_refused(tmp_path):
    def module(name: str) -> Any:
        path = tmp_path / f"{name}.py"
        path.write_text("from dbos import DBOS\n\n@DBOS.workflow()\ndef shared():\n    pass\n")
        made = types.ModuleType(name)
        made.__file__ = str(path)
        sys.modules[name] = made
        exec(compile(path.read_text(), str(path), "exec"), made.__dict__)
        return made

    try:
        module("first_module")
        with pytest.raises(dbos_error.DBOSException, match="first_module.*second_module|second_module.*first_module"):
            module("second_module")
    finally:
        for name in ("first_module", "second_module"):
            sys.modules.pop(name, None)


@pytest.mark.rules("DEC-4", "DEC-3")
def test_one_file_loaded_twice_is_only_warned_of(launch, tmp_path):
    launch()
    path = Path(tmp_path / "program_file.py")
    path.write_text("from dbos import DBOS\n\n@DBOS.workflow()\ndef shared():\n    pass\n")
    with logged() as records:
        for name in ("__main_of_test__", "program_file"):
            made = types.ModuleType(name)
            made.__file__ = str(path)
            exec(compile(path.read_text(), str(path), "exec"), made.__dict__)
    assert says(records, "Duplicate registration of function 'shared'", logging.WARNING)


def noted(calls: list[str]) -> Any:
    """Return a decorator that notes each call, in either colour."""

    def decorate(function: Any) -> Any:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call(*args: Any, **kwargs: Any) -> Any:
                calls.append("noted")
                return await function(*args, **kwargs)
        else:

            @functools.wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                calls.append("noted")
                return function(*args, **kwargs)

        return call

    return decorate


@pytest.mark.rules("DEC-6")
async def test_a_decorator_under_ours_is_part_of_the_body(launch, db, face):
    calls: list[str] = []

    async def body(number: int) -> int:
        return number

    registered = DBOS.workflow(name="program")(noted(calls)(face.plain(body)))
    launch()
    with SetWorkflowID("w"):
        returned = registered(1)
        assert (await returned if face.looping else returned) == 1
    assert calls == ["noted"]
    with SetWorkflowID("w"):
        returned = registered(1)
        assert (await returned if face.looping else returned) == 1
    assert calls == ["noted"]
    assert await rerun(face, db, "w") == 1
    assert calls == ["noted"] * 2


@pytest.mark.rules("DEC-6")
async def test_a_decorator_over_ours_is_not_part_of_the_body(launch, db, face):
    calls: list[str] = []

    async def body() -> int:
        return 1

    registered = noted(calls)(DBOS.workflow(name="program")(face.plain(body)))
    launch()
    with SetWorkflowID("w"):
        returned = registered()
        assert (await returned if face.looping else returned) == 1
    assert await rerun(face, db, "w") == 1
    assert calls == ["noted"]
    assert await (await face.start(registered)).get_result() == 1


@pytest.mark.rules("DEC-6", "STEP-1")
async def test_a_decorator_around_a_step(launch, db, face):
    calls: list[str] = []

    async def body() -> int:
        return 1

    step = noted(calls)(DBOS.step(name="step")(noted(calls)(face.plain(body))))

    @face.workflow()
    async def program() -> int:
        returned = step()
        return await returned if face.looping else returned

    launch()
    with SetWorkflowID("w"):
        assert await program() == 1
    assert calls == ["noted"] * 2
    assert step_names(db, "w") == [(1, "step")]


@pytest.mark.rules("DEC-7")
async def test_no_parameter_name_is_reserved(launch, db, face):
    @face.workflow()
    async def program(status: int, *, name: str, workflow_id: str, args: int, kwargs: int, self_: int = 0) -> Any:
        return [status, name, workflow_id, args, kwargs]

    @face.step()
    async def step(name: str, func: str, attempts: int, timeout_seconds: int) -> Any:
        return [name, func, attempts, timeout_seconds]

    @face.workflow()
    async def caller() -> Any:
        return await step(name="n", func="f", attempts=1, timeout_seconds=2)

    launch()
    given = {"status": 1, "name": "n", "workflow_id": "i", "args": 2, "kwargs": 3}
    expected = [1, "n", "i", 2, 3]
    with SetWorkflowID("w"):
        assert await program(**given) == expected
    assert await (await face.start(program, **given)).get_result() == expected
    assert await rerun(face, db, "w") == expected
    assert await caller() == ["n", "f", 1, 2]


@pytest.mark.rules("DEC-7")
async def test_a_direct_call_may_name_a_parameter_func(launch, face):
    @face.workflow()
    async def program(func: str, queue_name: str, options: int) -> Any:
        return [func, queue_name, options]

    launch()
    assert await program(func="f", queue_name="q", options=1) == ["f", "q", 1]
    assert await (await face.start(program, "f", queue_name="q", options=1)).get_result() == ["f", "q", 1]


@pytest.mark.rules("DEC-8")
async def test_programs_may_be_defined_anywhere(launch, db, face):
    class Service:
        def __init__(self, factor: int) -> None:
            @face.step(name=f"multiply-{factor}")
            async def multiply(number: int) -> int:
                return number * factor

            @face.workflow(name=f"service-{factor}")
            async def program(number: int) -> int:
                return await multiply(number)

            self.program = program

    two, three = Service(2), Service(3)
    launch()
    assert await two.program(5) == 10
    assert await three.program(5) == 15
    assert await (await face.start(two.program, 7)).get_result() == 14


@pytest.mark.rules("DEC-10", "DEC-15")
def test_parentheses_are_required():
    for decorator in (DBOS.workflow, DBOS.step):
        with pytest.raises(TypeError):
            decorator(lambda: None)


@pytest.mark.rules("DEC-10", "DEC-15", "DEC-32")
def test_the_signatures_of_the_decorators():
    def defaults(decorator: Any) -> dict[str, Any]:
        return {parameter.name: parameter.default for parameter in inspect.signature(decorator).parameters.values()}

    assert defaults(DBOS.workflow) == {
        "name": None,
        "max_recovery_attempts": 100,
        "serialization_type": None,
        "validate_args": None,
        "auto_upgrade": None,
    }
    assert defaults(DBOS.step) == {
        "name": None,
        "retries_allowed": False,
        "interval_seconds": 1.0,
        "max_attempts": 3,
        "backoff_rate": 2.0,
        "should_retry": None,
        "preemptible": False,
        "timeout_seconds": None,
    }
    assert defaults(DBOS.dbos_class) == {"class_name": None}


@pytest.mark.rules("DEC-11")
def test_both_colours_of_workflow(launch):
    @DBOS.workflow(name="plain")
    def plain() -> int:
        return 1

    @DBOS.workflow(name="looping")
    async def looping() -> int:
        return 2

    launch()
    assert (plain(), DBOS.start_workflow(looping).get_result()) == (1, 2)


@pytest.mark.rules("DEC-16")
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"preemptible": True}, "sync but preemptible=True"),
        ({"timeout_seconds": 1}, "only supported for async steps"),
    ],
)
def test_options_that_only_async_steps_have(options, match):
    with pytest.raises(dbos_error.DBOSException, match=match):
        DBOS.step(**options)(lambda: None)


@pytest.mark.rules("DEC-16")
@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_steps_timeout_must_be_positive_and_finite(seconds):
    async def step() -> None: ...

    with pytest.raises(dbos_error.DBOSException, match="positive and finite"):
        DBOS.step(timeout_seconds=seconds)(step)


@pytest.mark.rules("DEC-5")
@pytest.mark.parametrize("kinds", [(DBOS.step, DBOS.transaction), (DBOS.transaction, DBOS.step)])
def test_a_step_and_a_transaction_do_not_share_a_name(launch, kinds):
    first, second = (kind(name="twice") for kind in kinds)
    launch()
    first(lambda: None)
    with pytest.raises(dbos_error.DBOSConflictingRegistrationError, match="already registered with a conflicting"):
        second(lambda: None)
