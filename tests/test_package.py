"""What the package exports, and what importing and running it imports."""

from __future__ import annotations

import importlib
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import dbos
from dbos import DBOS, DBOSConfig, StepOptions, WorkflowStatusString

EXPORTED = {
    "DBOS",
    "DBOSConfig",
    "DBOSConfiguredInstance",
    "DBOSContextEnsure",
    "DBOSContextSetAuth",
    "DBOSPortableJSONSerializer",
    "DuplicationPolicy",
    "PortableWorkflowError",
    "Serializer",
    "SetEnqueueOptions",
    "SetShardKey",
    "SetWorkflowAttributes",
    "SetWorkflowID",
    "SetWorkflowTimeout",
    "StepInfo",
    "StepOptions",
    "StepReservation",
    "WorkflowHandle",
    "WorkflowHandleAsync",
    "WorkflowIDReusePolicy",
    "WorkflowSerializationFormat",
    "WorkflowStatus",
    "WorkflowStatusString",
    "error",
    "make_pydantic_args_validator",
    "pydantic_args_validator",
    "run_dbos_database_migrations",
}
HEAVY = [
    "sqlalchemy",
    "psycopg",
    "opentelemetry",
    "pydantic",
    "fastapi",
    "flask",
    "click",
    "rich",
    "yaml",
    "croniter",
    "confluent_kafka",
    "aiosqlite",
]
OPTIONAL = ["opentelemetry", "pydantic", "fastapi", "flask", "confluent_kafka", "aiosqlite"]

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(f"the test blocks {{name}}")

sys.meta_path.insert(0, Blocked())
"""

PROGRAM = """
from dbos import DBOS, SetWorkflowID

@DBOS.step()
def double(number: int) -> int:
    return number * 2

@DBOS.workflow()
def program(number: int) -> int:
    return double(number)

@DBOS.workflow()
async def program_async(number: int) -> int:
    return double(number)

DBOS(config={{"name": "testapp", "system_database_url": "sqlite:///{path}", "application_version": "v1"}})
DBOS.launch()
with SetWorkflowID("direct"):
    assert program(2) == 4
assert DBOS.start_workflow(program, 3).get_result() == 6
assert DBOS.start_workflow(program_async, 4).get_result() == 8
assert DBOS.resume_workflow("direct").get_result() == 4
DBOS.destroy()
print("done")
"""

# A workflow that carries the trace context of a traced process, left pending by a process that died.
RECOVERED_PROGRAM = """
import json, sqlite3
from dbos import DBOS, SetWorkflowID

@DBOS.workflow(name="program")
def program(number: int) -> int:
    return number * 2

def launch():
    DBOS(config={{"name": "testapp", "system_database_url": "sqlite:///{path}", "application_version": "v1"}})
    DBOS.launch()

launch()
with SetWorkflowID("w"):
    program(2)
DBOS.destroy()
trace = {{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
database = sqlite3.connect({path!r}, isolation_level=None)
database.execute("delete from workflow_output")
database.execute(
    "update workflow_status set status = 'PENDING', completed_at = null, attributes = ?",
    [json.dumps({{"dbos.otelContext": trace}})],
)
database.close()
launch()
assert DBOS.get_result("w") == 4
DBOS.destroy()
print("done")
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter that finds the `dbos` under test."""
    home = str(Path(dbos.__file__).parent.parent)
    code = f"import sys; sys.path.insert(0, {home!r})\n{code}"
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)


@pytest.mark.rules("PK-3")
def test_the_exported_names():
    assert set(dbos.__all__) >= EXPORTED
    assert all(hasattr(dbos, name) for name in dbos.__all__)
    assert len(set(dbos.__all__)) == len(dbos.__all__)


@pytest.mark.rules("PK-1")
def test_the_package_is_typed():
    assert (Path(dbos.__file__).parent / "py.typed").exists()


@pytest.mark.rules("PK-3")
def test_the_kinds_of_the_exported_names():
    assert get_args(dbos.WorkflowIDReusePolicy) == ("return-existing", "reject")
    assert set(get_args(dbos.DuplicationPolicy)) == {"reject", "return-existing"}
    for typed_dict in (DBOSConfig, StepOptions, dbos.StepInfo):
        assert issubclass(typed_dict, dict)
        assert get_type_hints(typed_dict)


@pytest.mark.rules("PK-3", "ST-1")
def test_the_status_strings():
    names = ["PENDING", "SUCCESS", "ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "CANCELLED", "ENQUEUED", "DELAYED"]
    assert issubclass(WorkflowStatusString, Enum)
    assert {status.name: status.value for status in WorkflowStatusString} == {name: name for name in names}


@pytest.mark.rules("PK-4")
def test_the_error_module_can_be_imported():
    """Hold for `import dbos.error` too (3.4.0 has the attribute alone)."""
    module = importlib.import_module("dbos.error")
    assert module is dbos.error
    assert issubclass(module.DBOSErrorCode, Enum)


@pytest.mark.rules("PK-5", "LIF-1")
@pytest.mark.parametrize(
    "name",
    [
        *("workflow", "step", "dbos_class", "default_required_roles", "required_roles", "alert_handler"),
        *("launch", "destroy", "reset_system_database", "migrate", "listen_queues", "register_instance"),
        *("start_workflow", "start_workflow_async", "enqueue_workflow", "enqueue_workflow_async"),
        *("run_step", "run_step_async", "reserve_step", "asyncio_wait", "wait_first", "wait_first_async"),
        *("get_result", "get_result_async", "get_workflow_status", "get_workflow_status_async"),
        *("retrieve_workflow", "retrieve_workflow_async", "sleep", "sleep_async", "set_authentication"),
    ],
)
def test_the_members_of_dbos(name):
    """Find each one, documented (ours: `register_instance` is 2.x's)."""
    assert callable(getattr(DBOS, name))
    assert getattr(DBOS, name).__doc__


@pytest.mark.rules("PK-1", "PK-2")
def test_importing_imports_nothing_heavy():
    """Stay light (ours; 3.4.0 imports its base dependencies)."""
    done = python(f"import dbos\nprint(sorted(set({HEAVY!r}) & sys.modules.keys()))")
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("[]", "", 0)


@pytest.mark.rules("PK-1", "PK-2", "OT-1")
def test_workflows_run_without_the_optional_packages(tmp_path):
    done = python(BLOCKED.format(blocked=OPTIONAL) + PROGRAM.format(path=tmp_path / "a.sqlite"))
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


@pytest.mark.rules("PK-2")
def test_a_recovered_workflow_with_a_trace_context_runs_without_opentelemetry(tmp_path):
    code = RECOVERED_PROGRAM.format(path=str(tmp_path / "a.sqlite"))
    done = python(BLOCKED.format(blocked=["opentelemetry"]) + code)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


@pytest.mark.rules("PK-1", "PK-2", "SER-41")
def test_a_validator_without_pydantic_is_an_error_at_decoration():
    done = python(
        BLOCKED.format(blocked=["pydantic"])
        + """
from dbos import DBOS, pydantic_args_validator
try:
    @DBOS.workflow(validate_args=pydantic_args_validator)
    def program(number: int) -> None: ...
except ImportError:
    print("refused")
"""
    )
    assert (done.stdout, done.returncode) == ("refused\n", 0), done.stderr


@pytest.mark.rules("LIF-8")
@pytest.mark.parametrize("constructed", [False, True])
def test_a_process_that_never_launches_exits_cleanly(tmp_path, constructed):
    config: dict[str, Any] = {"name": "testapp", "system_database_url": f"sqlite:///{tmp_path}/a.sqlite"}
    done = python(
        f"""
from dbos import DBOS

@DBOS.step()
def step(): ...

@DBOS.workflow()
def program():
    step()

if {constructed}:
    DBOS(config={config!r})
step()
"""
    )
    assert (done.stdout, done.returncode) == ("", 0)
    assert all(" INFO] " in line for line in done.stderr.splitlines())
    assert not (tmp_path / "a.sqlite").exists()


@pytest.mark.rules("LIF-8", "LIF-14")
@pytest.mark.parametrize("destroyed", [False, True])
def test_a_process_that_launched_exits_cleanly(tmp_path, destroyed):
    config: dict[str, Any] = {"name": "testapp", "system_database_url": f"sqlite:///{tmp_path}/a.sqlite"}
    done = python(
        f"""
from dbos import DBOS

@DBOS.workflow()
def program():
    return 1

DBOS(config={config!r})
DBOS.launch()
program()
if {destroyed}:
    DBOS.destroy()
"""
    )
    assert (done.stdout, done.returncode) == ("", 0), done.stderr
