"""Everything that `dbos` 3.4.0 offers by name is here, and can be called as it can be called there.

`api_3_4_0.json` was written by `make parity`, which runs 3.4.0. `not_yet.json` lists what a later issue brings, by its
letter; `differences.json` what differs on purpose, and why.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import public_api
import pytest

import dbos

HERE = Path(__file__).parent
THEIRS: dict[str, dict[str, Any]] = json.loads((HERE / "api_3_4_0.json").read_text())["names"]
NOT_YET: dict[str, list[str]] = json.loads((HERE / "not_yet.json").read_text())
DIFFERENCES: dict[str, str] = json.loads((HERE / "differences.json").read_text())
WAITED_FOR = {name for names in NOT_YET.values() for name in names}


@pytest.fixture(scope="module")
def ours() -> dict[str, dict[str, Any]]:
    """What this implementation offers, by the same measure."""
    return public_api.public_api()


def owner(name: str) -> str:
    """Return the class whose member a name is, else the name."""
    if name.startswith("error."):
        return name
    return name.split(".")[0].split("[")[0].removesuffix("()")


def is_waited_for(name: str) -> bool:
    """Tell whether a name, or the class that it belongs to, is on the list of later issues."""
    return name in WAITED_FOR or owner(name) in WAITED_FOR


def misfit(theirs: dict[str, Any], ours: dict[str, Any]) -> str | None:
    """Say what a program written for theirs could not do with ours."""
    if theirs["kind"] != ours["kind"]:
        return f"is a {ours['kind']}, there a {theirs['kind']}"
    if theirs["kind"] == "type":
        lost = sorted(set(theirs.get("bases", ())) - set(ours.get("bases", ())))
        return f"cannot be caught as {lost}" if lost else None
    if theirs["kind"] != "callable":
        return None if theirs == ours else f"is {ours}, there {theirs}"
    if theirs["async"] != ours["async"]:
        return "is of the other colour"
    return misfit_of_parameters(theirs["parameters"], ours["parameters"])


def misfit_of_parameters(theirs: list[list[Any]], ours: list[list[Any]]) -> str | None:
    """Say which call that theirs accept ours do not."""
    places = {name: (index, kind, default) for index, (name, kind, default) in enumerate(ours)}
    takes_any_keyword = any(kind == "VAR_KEYWORD" for _, kind, _ in theirs)
    for index, (name, kind, default) in enumerate(theirs):
        if name not in places:
            return f"does not take {name}"
        place, our_kind, our_default = places[name]
        if our_default != default:
            return f"{name} is {our_default} by default, there {default}"
        # Where any keyword is handed on to the user's function, a positional-only name cannot clash with his.
        accepted = {
            "KEYWORD_ONLY": {"KEYWORD_ONLY", "POSITIONAL_OR_KEYWORD"},
            "POSITIONAL_OR_KEYWORD": {"POSITIONAL_OR_KEYWORD"} | ({"POSITIONAL_ONLY"} if takes_any_keyword else set()),
        }.get(kind, {kind})
        if our_kind not in accepted:
            return f"takes {name} as {our_kind}, there {kind}"
        if kind == "POSITIONAL_OR_KEYWORD" and place != index:
            return f"takes {name} as argument {place}, there {index}"
    known = {name for name, _, _ in theirs}
    needed = [name for name, kind, default in ours if name not in known and default is None and "VAR" not in kind]
    return f"needs {needed}" if needed else None


@pytest.mark.rules("PK-3", "PK-5")
def test_every_public_name_is_here_and_fits(ours):
    misfits = []
    for name, fact in THEIRS.items():
        if is_waited_for(name) or name in DIFFERENCES:
            continue
        problem = misfit(fact, ours[name]) if name in ours else "is missing"
        if problem:
            misfits.append(f"{name} {problem}")
    assert not misfits, "\n" + "\n".join(misfits)


def test_no_name_of_a_later_issue_has_arrived(ours):
    """What has arrived leaves the list, so that from then on it is compared."""
    assert sorted(WAITED_FOR & set(ours)) == []


def test_the_lists_name_what_there_is():
    assert sorted((WAITED_FOR | set(DIFFERENCES)) - set(THEIRS)) == []
    assert sum(map(len, NOT_YET.values())) == len(WAITED_FOR)
    assert all(reason for reason in DIFFERENCES.values())


def test_every_difference_is_one(ours):
    """What fits again leaves the list."""
    fits = [name for name in DIFFERENCES if name in ours and misfit(THEIRS[name], ours[name]) is None]
    assert fits == []


@pytest.mark.rules("PK-3")
def test_every_exported_name_is_there():
    missing = [name for name in dbos.__all__ if not hasattr(dbos, name)]
    assert missing == []
