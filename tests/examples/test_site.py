"""The documentation is whole: each error is explained, each page can be found, the reference has every public name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import reference

import dbos
import dbos.error

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FACTS = ["When", "Why", "What to do"]
NAVIGATION = re.compile(r"^ +- (?:[^:\n]+: )?([\w/.-]+\.md)$", re.MULTILINE)


def navigation() -> list[str]:
    return NAVIGATION.findall((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def test_the_catalogue_explains_every_error_and_no_other() -> None:
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    explained = re.findall(r"^### (\w+)$", page, re.MULTILINE)
    assert sorted(explained) == sorted(dbos.error.__all__)


def test_every_error_has_a_when_a_why_and_what_to_do() -> None:
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL))
    del entries["DBOSErrorCode"]  # an enum
    lacking = [name for name, text in entries.items() if re.findall(r"^- \*\*(.+?):", text, re.M) != FACTS]
    assert not lacking


def test_the_catalogue_has_the_codes_of_the_classes() -> None:
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    codes = {int(code) for code in re.findall(r"Code (\d+)", page)}
    assert codes == {code.value for code in dbos.error.DBOSErrorCode}


def test_every_page_is_in_the_navigation_once() -> None:
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    listed = [page for page in navigation() if not page.startswith("project/")]
    assert sorted(listed) == sorted([*pages, *reference.pages()])


def test_every_example_is_in_the_navigation() -> None:
    examples = [f"project/examples/{path.stem}.md" for path in (ROOT / "examples").glob("*.py")]
    assert set(examples) <= set(navigation())


def test_the_reference_has_every_public_name() -> None:
    text = "".join(write() for write in reference.pages().values())
    public = [name for name in dir(dbos.DBOS) if not name.startswith("_")]
    public += [name for name in dir(dbos.DBOSClient) if not name.startswith("_")]
    headings = set(re.findall(r"`([\w.]+)`", "\n".join(re.findall(r"^#+ .*$", text, re.MULTILINE))))
    assert {*public, *dbos.__all__} - headings == {"error"}, "dbos.error has its catalogue"


@pytest.mark.parametrize("page", reference.pages())
def test_the_blocks_of_the_reference_are_closed(page: str) -> None:
    fences = re.findall(r"^```(\w*)$", reference.pages()[page](), re.MULTILINE)
    assert fences == ["python", ""] * (len(fences) // 2)


def test_the_list_for_language_models_has_every_page() -> None:
    listed = re.findall(r"\]\(([^)]+)\)", (DOCS / "llms.txt").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_a_long_signature_has_a_line_for_each_parameter() -> None:
    def long(first: dict[str, tuple[int, ...]], *, second: str = "default", third: list[list[int]]) -> list[str]: ...

    assert reference.signature(long).splitlines() == [
        "(",
        "    first: dict[str, tuple[int, ...]],",
        "    *,",
        "    second: str = 'default',",
        "    third: list[list[int]],",
        ") -> list[str]",
    ]
