"""Findings as text, as JSON and as SARIF 2.1.0; a rule's explanation."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import PurePath

from .findings import Finding, Rule

SARIF_LEVELS = {"E": "error", "W": "warning"}


def as_text(findings: Sequence[Finding]) -> str:
    """Show each finding with its line and carets below what it is about, then how many there are."""
    shown = [_shown(one) for one in findings]
    levels = Counter(one.level for one in findings)
    totals = [_counted(levels["E"], "error"), _counted(levels["W"], "warning")]
    return "\n\n".join([*shown, f"Found {', '.join(totals)}." if findings else "No findings."])


def _shown(one: Finding) -> str:
    indent = len(one.source) - len(one.source.lstrip())
    # A tab is as wide below as above.
    below = "".join("\t" if letter == "\t" else " " for letter in one.source[indent : one.column - 1])
    carets = "^" * max(1, one.end_column - one.column)
    return (
        f"{one.path}:{one.line}:{one.column}: {one.level} [{one.rule}] {one.message}\n"
        f"    {one.source.strip()}\n    {below}{carets}"
    )


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
                        "artifactLocation": {"uri": PurePath(one.path).as_posix()},
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
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]})


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
