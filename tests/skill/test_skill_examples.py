"""Every rule of the skill has its file in its form; what the files call correct runs and prints what they say, and the
linter tells it from what they call incorrect."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dbos.lint import RULES, lint

LINTED = {rule.code for rule in RULES}
ROOT = Path(__file__).resolve().parents[2]
SKILL = ROOT / "skills" / "dbos-python"
REFERENCES = sorted((SKILL / "references").glob("*.md"))
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A `print` says behind it what it prints.
PRINTED = re.compile(r"^ *print\(.*\)  # (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+)\)")
ROW = re.compile(r"^\| `([a-z]+-[a-z-]+)\.md` \| .* \| ([A-Z-]+) \| ", re.MULTILINE)
CATEGORIES = {
    "lifecycle": "CRITICAL",
    "workflow": "CRITICAL",
    "step": "HIGH",
    "queue": "HIGH",
    "comm": "MEDIUM",
    "pattern": "MEDIUM",
    "test": "LOW-MEDIUM",
    "client": "MEDIUM",
    "advanced": "LOW",
}
# For a program that never ends: it is imported, then DBOS is launched with what it registers.
LAUNCHED = """
import runpy
from dbos import DBOS

runpy.run_path("program.py", run_name="program")
DBOS(config={"name": "skill", "log_level": "ERROR"})
DBOS.launch()
DBOS.destroy()
"""
# How programs run that are not simply run.
HOW = {"lifecycle-keep-alive": ("-c", LAUNCHED), "test-fixtures": ("-m", "pytest", "-q", "program.py")}


def front_matter(page: Path) -> dict[str, str]:
    """Return what stands between the first two lines of dashes."""
    _, front, _ = page.read_text(encoding="utf-8").split("---\n", 2)
    return dict(yaml.safe_load(front))


def section(page: Path, title: str) -> str:
    """Return the text below a heading of the second level."""
    _, _, rest = page.read_text(encoding="utf-8").partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def example(page: Path, title: str) -> str:
    """Return the one program of a section."""
    (found,) = FENCE.findall(section(page, title))
    return str(found)


def run(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a directory, with a database there."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=directory,
        env={**os.environ, "DBOS_SYSTEM_DATABASE_URL": "sqlite:///shop.sqlite"},
        capture_output=True,
        text=True,
        timeout=60,
    )


by_name = pytest.mark.parametrize("page", REFERENCES, ids=lambda page: page.stem)


@pytest.mark.rules("SKL-2", "SKL-3")
def test_every_rule_of_the_table_has_its_file_and_priority():
    contract = (ROOT / "docs/contract/05-client-cli-integrations.md").read_text(encoding="utf-8")
    table = dict(ROW.findall(contract.partition("# Part 10.")[2]))
    assert len(table) == 45
    assert {page.stem: front_matter(page)["impact"] for page in REFERENCES} == table


@pytest.mark.rules("SKL-1")
def test_the_skill_says_when_to_use_it_and_lists_every_rule():
    front = front_matter(SKILL / "SKILL.md")
    assert front["name"] == "dbos-python"
    assert all(word in front["description"] for word in ("dbos", "queue", "schedule", "messag", "test"))
    text = (SKILL / "SKILL.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d \| .+? \| ([A-Z-]+) \| .+ \| `([a-z]+)-` \|$", text, re.MULTILINE)
    assert {prefix: impact for impact, prefix in rows} == CATEGORIES
    assert {Path(link).stem for link in LINK.findall(text)} == {page.stem for page in REFERENCES}


@pytest.mark.rules("SKL-2")
@by_name
def test_a_reference_has_front_matter_a_reason_examples_and_links(page):
    front = front_matter(page)
    assert list(front) == ["title", "impact", "impactDescription", "tags"]
    assert all(isinstance(value, str) and value for value in front.values())
    headings = re.findall(r"^##? (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    assert headings == [front["title"], "Incorrect", "Correct", "Links"]
    assert page.stem.partition("-")[0] in CATEGORIES
    links = LINK.findall(section(page, "Links"))
    assert links and all((page.parent / link).exists() for link in links)
    assert "dbos" in example(page, "Incorrect") and "dbos" in example(page, "Correct")


@pytest.mark.rules("SKL-5")
@by_name
def test_the_incorrect_example_is_a_program(page):
    compile(example(page, "Incorrect"), page.name, "exec")


@pytest.mark.rules("SKL-3", "SKL-5")
@by_name
def test_the_linter_finds_the_rule_in_the_incorrect_example_and_nothing_in_the_correct_one(page, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(example(page, "Incorrect"), encoding="utf-8")
    assert page.stem not in LINTED or page.stem in {finding.rule for finding in lint([program])}
    program.write_text(example(page, "Correct"), encoding="utf-8")
    assert lint([program]) == []


@pytest.mark.rules("SKL-2", "SKL-5")
@by_name
def test_the_correct_example_runs_and_prints_what_it_says(page, tmp_path):
    program = example(page, "Correct")
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    ran = run(*HOW.get(page.stem, ("program.py",)), directory=tmp_path)
    assert ran.returncode == 0, ran.stderr or ran.stdout
    if page.stem != "test-fixtures":
        assert ran.stdout.splitlines() == PRINTED.findall(program), ran.stderr


@pytest.mark.rules("SKL-5")
@pytest.mark.parametrize("program", FENCE.findall((SKILL / "SKILL.md").read_text(encoding="utf-8")))
def test_a_program_of_the_skill_runs(program, tmp_path):
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    ran = run("program.py", directory=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == PRINTED.findall(program)
