"""Programs as users write them: the linter is silent on those that are right, and finds the marked lines of the others.

`programs/right` holds files, and directories of projects. `programs/wrong` holds the same in Markdown, so that linting
this project finds nothing there: `# file: NAME` begins a file, `# expect: RULE ...` marks a line. What the
documentation shows is right, too.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from dbos.lint import RULES, lint

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
MARK = re.compile(r"  # expect: (.+)$")
BLOCK = re.compile(r"^```python[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = [page for page in ROOT.glob("docs/**/*.md") if "contract" not in page.parts]


def files_of(page: Path) -> dict[str, str]:
    """Return the files of a program in Markdown: names and sources."""
    (program,) = BLOCK.findall(page.read_text())
    _, *parts = re.split(r"^# file: (\S+)\n", program, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def marks(files: dict[str, str]) -> set[tuple[str, int, str]]:
    """Return what a program's marks say: file, line, rule."""
    return {
        (name, number, rule)
        for name, source in files.items()
        for number, line in enumerate(source.splitlines(), 1)
        if (match := MARK.search(line))
        for rule in match[1].split()
    }


@pytest.mark.rules("SKL-4")
@pytest.mark.parametrize("program", sorted((PROGRAMS / "right").iterdir()), ids=lambda path: path.stem)
def test_is_silent_on_a_right_program(program, tmp_path):
    # Elsewhere, for what lies below `tests` is taken for tests.
    copy = tmp_path / program.name
    (shutil.copytree if program.is_dir() else shutil.copy)(program, copy)
    assert lint([copy]) == []


@pytest.mark.rules("SKL-4")
@pytest.mark.parametrize("page", sorted((PROGRAMS / "wrong").iterdir()), ids=lambda path: path.stem)
def test_finds_the_marked_lines_of_a_wrong_program(page, tmp_path):
    files = files_of(page)
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    found = {(Path(one.path).relative_to(tmp_path).as_posix(), one.line, one.rule) for one in lint([tmp_path])}
    assert found == marks(files)


@pytest.mark.rules("SKL-3")
def test_the_wrong_programs_break_every_rule():
    broken = {rule for page in (PROGRAMS / "wrong").iterdir() for _, _, rule in marks(files_of(page))}
    assert broken == {rule.code for rule in RULES}


@pytest.mark.rules("SKL-5")
def test_is_silent_on_what_the_documentation_shows(tmp_path):
    for page in [*PAGES, ROOT / "README.md", ROOT / "skills/dbos-python/SKILL.md"]:
        for number, block in enumerate(BLOCK.findall(page.read_text())):
            (tmp_path / f"{page.stem}-{number}.py").write_text(block)
    assert [(Path(one.path).name, one.rule) for one in lint([tmp_path])] == [
        ("transactions-2.py", "step-transactions")  # the legacy decorator, in a section that says so
    ]
