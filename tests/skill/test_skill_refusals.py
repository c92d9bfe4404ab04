"""A program that breaks a rule is told when it runs, too: the error names the rule, which `dbos skill show` prints."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dbos import DBOS, SetEnqueueOptions

ROOT = Path(__file__).resolve().parents[2]
RULES = {page.stem for page in (ROOT / "skills/dbos-python/references").glob("*.md")}


@pytest.mark.rules("SKL-3")
def test_the_rules_that_errors_name_exist():
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "src/dbos").rglob("*.py")]
    named = {rule for source in sources for rule in re.findall(r'by_rule\(\s*"([\w-]+)"', source)}
    assert len(named) > 10
    assert named <= RULES


def refusal_of(refused: Callable[[], object]) -> str:
    """Return what the error says that a call raises."""
    with pytest.raises((Exception, AssertionError)) as raised:
        refused()
    return str(raised.value)


def with_priority_0() -> None:
    SetEnqueueOptions(priority=0)  # dbos: ignore[queue-priority]


OUTSIDE: dict[str, Callable[[], object]] = {
    "comm-messages": lambda: DBOS.recv("topic"),
    "comm-events": lambda: DBOS.set_event("key", 1),
    "comm-streaming": lambda: DBOS.write_stream("key", 1),
    "workflow-sleep": lambda: DBOS.sleep(1),
    "advanced-patching": lambda: DBOS.patch("name"),
    "queue-priority": with_priority_0,
    "queue-listening": lambda: DBOS.listen_queues(["late"]),
}


@pytest.mark.rules("SKL-3", "EX-90")
@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_an_error_names_the_rule_that_the_program_breaks(launch):
    @DBOS.workflow()
    def child() -> None: ...

    in_a_step: list[Callable[[], object]] = [child, lambda: DBOS.start_workflow(child), lambda: DBOS.sleep(1)]

    @DBOS.step()
    def attempt() -> list[str]:
        return [refusal_of(one) for one in in_a_step]

    @DBOS.workflow()
    def program() -> list[str]:
        return attempt()

    launch()
    for rule, refused in OUTSIDE.items():
        assert refusal_of(refused).endswith(f"[dbos skill show {rule}]")
    for said in program():
        assert said.endswith("[dbos skill show step-no-workflow-calls]")


@pytest.mark.rules("SKL-3", "AS-2")
@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
async def test_an_error_names_the_rule_that_a_coroutine_breaks(launch):
    launch()
    with pytest.raises(RuntimeError, match=r"\[dbos skill show pattern-async\]$"):
        DBOS.send("absent", "message")
