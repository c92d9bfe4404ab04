"""Batches split into what differs and what is common."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from dbos._store.sql import Spread


@dataclass(frozen=True, slots=True)
class Line:
    key: str
    text: str | None
    number: int | None


def test_a_column_whose_ends_agree_still_differs():
    spread = Spread(Line)
    rows, common = spread.split([Line("a", "x", 1), Line("b", "y", 1), Line("c", "x", 1)])
    assert (spread.varying, rows, common) == (("key", "text"), [("a", "x"), ("b", "y"), ("c", "x")], {"number": 1})


def test_what_differed_once_counts_as_differing_from_then_on():
    spread = Spread(Line)
    spread.split([Line("a", None, 1), Line("b", None, 2)])
    rows, common = spread.split([Line("c", None, 3), Line("d", None, 3)])
    assert (rows, common) == ([("c", 3), ("d", 3)], {"text": None})


def test_a_common_text_with_a_nul_character_is_refused():
    with pytest.raises(ValueError, match="NUL"):
        Spread(Line).split([Line("a", "x\0", 1), Line("b", "x\0", 2)])
