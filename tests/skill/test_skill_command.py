"""`dbos skill` puts the skill where agents look, and prints its rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from dbos.cli.cli import app

SKILL = Path(__file__).resolve().parents[2] / "skills" / "dbos-python"


def dbos(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["skill", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def files(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_text(encoding="utf-8")
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.rules("SKL-1")
@pytest.mark.parametrize("place", [".claude/skills", ".cursor/skills"])
def test_install_copies_the_whole_skill(tmp_path, place):
    dbos("install", str(tmp_path))
    assert files(tmp_path / place / "dbos-python") == files(SKILL)


@pytest.mark.rules("SKL-1")
def test_install_points_to_the_skill_once_and_keeps_what_agents_md_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    agents = Path("AGENTS.md")
    agents.write_text("# House rules\n\nBe kind.\n", encoding="utf-8")
    dbos("install")
    once = agents.read_text(encoding="utf-8")
    agents.write_text(once.replace("read `", "skim `") + "\nBe brief.\n", encoding="utf-8")
    dbos("install")
    assert once.startswith("# House rules\n\nBe kind.\n\n") and ".claude/skills/dbos-python/SKILL.md" in once
    assert agents.read_text(encoding="utf-8") == once + "\nBe brief.\n"


@pytest.mark.rules("SKL-1")
def test_install_brings_an_earlier_copy_up_to_date(tmp_path):
    dbos("install", str(tmp_path))
    skill = tmp_path / ".claude/skills/dbos-python/SKILL.md"
    skill.write_text("old", encoding="utf-8")
    dbos("install", str(tmp_path))
    assert skill.read_text(encoding="utf-8") == (SKILL / "SKILL.md").read_text(encoding="utf-8")


def test_install_refuses_a_directory_that_is_not_there(tmp_path):
    assert "does not exist" in dbos("install", str(tmp_path / "nowhere"), code=2)


@pytest.mark.rules("SKL-2")
def test_show_prints_a_rule_or_the_skill():
    rule = "workflow-determinism"
    assert dbos("show", rule) == (SKILL / "references" / f"{rule}.md").read_text(encoding="utf-8")
    assert dbos("show") == (SKILL / "SKILL.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", ["nosuch", "../SKILL"])
def test_show_refuses_what_is_no_rule(rule):
    assert "There is no rule" in dbos("show", rule, code=1)
