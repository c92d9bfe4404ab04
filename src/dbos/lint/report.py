"""Findings as text, as JSON and as SARIF 2.1.0; a rule's explanation."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import PurePath
from urllib.parse import quote

from .findings import Finding, Rule

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
SARIF_LEVELS = {"E": "error", "W": "warning"}


def as_text(findings: Sequence[Finding]) -> str:
    """Show each finding with its line and carets below what it is about, then how many there are."""
    shown = [_shown(one) for one in findings]
    levels = Counter(one.level for one in findings)
    totals = [_counted(levels["E"], "error"), _counted(levels["W"], "warning")]
    return "\n\n".join([*shown, f"Found {', '.join(totals)}." if findings else "No findings."])


def _shown(one: Finding) -> str:
    indent = len(one.source) - len(one.source.lstrip())
    below = "".join(_space(letter) for letter in one.source[indent : one.column - 1])
    carets = "^" * max(1, sum(len(_space(letter)) for letter in one.source[one.column - 1 : one.end_column - 1]))
    return (
        f"{one.path}:{one.line}:{one.column}: {one.level} [{one.rule}] {one.message}\n"
        f"    {one.source.strip()}\n    {below}{carets}"
    )


def _space(letter: str) -> str:
    """Return a blank as wide as a letter: a tab is one, and East Asian letters take two columns."""
    if letter == "\t":
        return "\t"
    return "  " if unicodedata.east_asian_width(letter) in "WF" else " "


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def as_json(findings: Iterable[Finding]) -> str:
    """Return the findings as a JSON array of objects."""
    return json.dumps([asdict(one) for one in findings])


def as_sarif(findings: Iterable[Finding], rules: Iterable[Rule], version: str) -> str:
    """Return a SARIF log, which code hosts show beside the code."""
    described = [
        {
            "id": one.code,
            "shortDescription": {"text": one.summary},
            "fullDescription": {"text": one.why},
            "defaultConfiguration": {"level": SARIF_LEVELS[one.level]},
        }
        for one in rules
    ]
    results = [
        {
            "ruleId": one.rule,
            "level": SARIF_LEVELS[one.level],
            "message": {"text": one.message},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": quote(PurePath(one.path).as_posix())},
                        "region": {
                            "startLine": one.line,
                            "startColumn": one.column,
                            "endColumn": one.end_column,
                        },
                    }
                }
            ],
        }
        for one in findings
    ]
    driver = {"name": "dbos lint", "version": version, "rules": described}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def explanation(rule: Rule) -> str:
    """Say why a rule is, with a program that breaks it and one that keeps it."""
    level = {"E": "error", "W": "warning"}[rule.level]
    return "\n\n".join(
        [
            f"{rule.code} ({level}): {rule.summary}",
            rule.why,
            "Incorrect:\n\n" + _indented(rule.incorrect),
            "Correct:\n\n" + _indented(rule.correct),
            f"Ignore it on a line with  # dbos: ignore[{rule.code}]",
        ]
    )


def _indented(code: str) -> str:
    return "\n".join("    " + line if line else "" for line in code.splitlines())
