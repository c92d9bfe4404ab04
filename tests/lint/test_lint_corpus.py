"""Every rule finds what it should, where it should, and nothing in programs that look alike.

`corpus/<rule>.md` holds programs, each a block of Python. A line that ends in `# E` or `# W` is to be found with that
level; a program without such a line is a near miss. `# file: NAME` begins another file of the same program; the first
is `main.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbos.lint import RULES, Rule, lint

CORPUS = Path(__file__).parent / "corpus"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BY_CODE = {rule.code: rule for rule in RULES}


def programs(code: str) -> list[str]:
    """Return the programs of a rule's file."""
    return BLOCK.findall((CORPUS / f"{code}.md").read_text())


def write(program: str, directory: Path) -> set[tuple[str, int, str]]:
    """Write a program's files; return what is to be found: file, line, level."""
    expected = set()
    parts = re.split(r"^# file: (\S+)\n", program, flags=re.MULTILINE)
    for name, source in zip(["main.py", *parts[1::2]], parts[::2], strict=True):
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
        for number, line in enumerate(source.splitlines(), 1):
            if match := re.search(r"  # ([EW])$", line):
                expected.add((name, number, match[1]))
    return expected


CASES = [
    pytest.param(rule, program, id=f"{rule.code}-{number}")
    for rule in RULES
    for number, program in enumerate(programs(rule.code))
]


@pytest.mark.rules("SKL-3", "SKL-4")
@pytest.mark.parametrize(("rule", "program"), CASES)
def test_finds_the_marked_lines_and_no_others(tmp_path, rule, program):
    expected = write(program, tmp_path)
    found = {(Path(one.path).relative_to(tmp_path).as_posix(), one.line, one.level) for one in lint([tmp_path], [rule])}
    assert found == expected


@pytest.mark.parametrize("rule", RULES, ids=BY_CODE)
def test_the_corpus_has_three_of_each(rule, tmp_path):
    found = [bool(re.search(r"  # [EW]$", one, re.MULTILINE)) for one in programs(rule.code)]
    assert found.count(True) >= 3
    assert found.count(False) >= 3


@pytest.mark.parametrize("rule", RULES, ids=BY_CODE)
def test_what_a_rule_shows_as_incorrect_is_found_and_what_it_shows_as_correct_is_not(rule: Rule, tmp_path):
    (tmp_path / "wrong.py").write_text(rule.incorrect)
    assert [one.rule for one in lint([tmp_path / "wrong.py"], [rule])] == [rule.code]
    (tmp_path / "right.py").write_text(rule.correct)
    assert lint([tmp_path / "right.py"]) == []


@pytest.mark.rules("SKL-3")
def test_the_rules_are_of_the_table_with_its_levels():
    table = (Path(__file__).parents[2] / "docs/contract/05-client-cli-integrations.md").read_text()
    rows = dict(re.findall(r"^\| `([\w-]+)\.md` \|.*\| ([^|]+) \|$", table, re.MULTILINE))
    for rule in RULES:
        assert rows[rule.code].startswith(rule.level)


def test_the_page_lists_the_rules():
    page = (Path(__file__).parents[2] / "docs/lint.md").read_text()
    rows = re.findall(r"^\| `([\w-]+)` \| ([EW]) \| (.*) \|$", page, re.MULTILINE)
    assert rows == [(rule.code, rule.level, rule.summary) for rule in RULES]
