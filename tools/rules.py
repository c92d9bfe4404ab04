"""Tell which rules of the contract a test proves.

    python tools/rules.py                     a table per chapter and prefix
    python tools/rules.py --missing 1         the unproven rules of chapter 1 (or of a prefix: --missing CFG)
    python tools/rules.py --tests EX-2        the tests that prove a rule

Knows `docs/contract/*.md` by the shape of a rule's line, the tests by their `rules` markers. Rules that do not apply
are listed with the reason in `docs/contract/not-ours.txt`. A marker that names no rule is an error.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "docs" / "contract"
# `- **EX-1** text`, `| **FT-1** | text |`, `| MIG-1 | text |`, `| 5 | CLI-11 | text |` or `CLI-15: text`
RULE = re.compile(
    r"^(?:\s*[-*]\s+\*\*|\|\s*(?:\d+\s*\|\s*)?(?:\*\*)?|(?=[A-Z]+-\d+[a-z]?:))([A-Z]+-\d+[a-z]?)(?:\*\*)?[\s|:]+(.*)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its id, its chapter's number, and how its text begins."""

    id: str
    chapter: str
    text: str

    @property
    def prefix(self) -> str:
        """The letters of its id."""
        return self.id.split("-")[0]


def read_rules(directory: Path = CONTRACT) -> dict[str, Rule]:
    """Read the rules of all chapters, by id; an id that stands twice is an error."""
    rules: dict[str, Rule] = {}
    for path in sorted(directory.glob("[0-9]*.md")):
        chapter = str(int(path.name.split("-")[0]))
        for found in RULE.finditer(path.read_text(encoding="utf-8")):
            rule = Rule(found[1], chapter, found[2].strip(" |"))
            if rule.id in rules:
                raise SystemExit(f"{path.name}: rule {rule.id} stands twice")
            rules[rule.id] = rule
    return rules


def read_not_ours(directory: Path = CONTRACT) -> dict[str, str]:
    """Read the rules that do not apply, with the reasons."""
    path = directory / "not-ours.txt"
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return {rule_id: reason.strip() for rule_id, _, reason in pairs}


def read_proofs(directory: Path = ROOT / "tests") -> dict[str, list[str]]:
    """Read which tests prove a rule, from their markers."""
    proofs: dict[str, list[str]] = defaultdict(list)
    for path in sorted(directory.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        place = path.relative_to(directory.parent)
        module_wide = [
            rule_id
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
            for rule_id in _marked(node.value)
        ]
        for node, outer in _tests(tree.body, module_wide):
            own = [rule_id for decorator in node.decorator_list for rule_id in _marked(decorator)]
            for rule_id in dict.fromkeys([*outer, *own]):
                proofs[rule_id].append(f"{place}::{node.name}")
    return proofs


def _tests(body: list[ast.stmt], outer: list[str]) -> list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, list[str]]]:
    found: list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, list[str]]] = []
    for node in body:
        if isinstance(node, ast.ClassDef):
            marked = [rule_id for decorator in node.decorator_list for rule_id in _marked(decorator)]
            found += _tests(node.body, [*outer, *marked])
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            found.append((node, outer))
    return found


def _marked(expression: ast.expr) -> list[str]:
    """Return the ids that `rules` markers in an expression name."""
    return [
        argument.value
        for call in ast.walk(expression)
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("pytest.mark.rules", "mark.rules")
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]


def table(rules: dict[str, Rule], proofs: dict[str, list[str]], not_ours: dict[str, str]) -> str:
    """Write the table of proven and unproven rules."""
    kinds: dict[tuple[str, str], Counter[str]] = {}
    for rule in rules.values():
        kind = "proven" if rule.id in proofs else "not ours" if rule.id in not_ours else "unproven"
        for key in ((rule.chapter, rule.prefix), (rule.chapter, "all"), ("all", "")):
            kinds.setdefault(key, Counter())[kind] += 1
    lines = [f"{'chapter':8}{'rules':8}{'count':>7}{'proven':>8}{'not ours':>10}{'unproven':>10}"]
    for (chapter, prefix), count in sorted(
        kinds.items(), key=lambda item: (item[0][0], item[0][1] == "all", item[0][1])
    ):
        kinds_of_rules = f"{count['proven']:>8}{count['not ours']:>10}{count['unproven']:>10}"
        lines.append(f"{chapter:8}{prefix:8}{sum(count.values()):>7}{kinds_of_rules}")
        if prefix == "all":
            lines.append("")
    return "\n".join(lines)


def missing(rules: dict[str, Rule], proofs: dict[str, list[str]], not_ours: dict[str, str], scope: str) -> list[Rule]:
    """Return the unproven rules of a chapter or of a prefix."""
    return [
        rule
        for rule in rules.values()
        if scope in (rule.chapter, rule.prefix) and rule.id not in proofs and rule.id not in not_ours
    ]


def main() -> int:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description="Which rules of docs/contract/ a test proves.")
    parser.add_argument("--missing", metavar="CHAPTER", help="list the unproven rules of a chapter or a prefix")
    parser.add_argument("--tests", metavar="RULE", help="list the tests that prove a rule")
    options = parser.parse_args()
    rules, proofs, not_ours = read_rules(), read_proofs(), read_not_ours()
    if options.tests:
        print(*proofs.get(options.tests, ["no test"]), sep="\n")
    elif options.missing:
        for rule in missing(rules, proofs, not_ours, options.missing):
            print(f"{rule.id:10}{rule.text[:140]}")
    else:
        print(table(rules, proofs, not_ours))
    unknown = {
        rule_id: tests for rule_id, tests in {**proofs, **dict.fromkeys(not_ours, [])}.items() if rule_id not in rules
    }
    for rule_id, tests in sorted(unknown.items()):
        print(f"No such rule: {rule_id} ({', '.join(tests) or 'in not-ours.txt'})", file=sys.stderr)
    return int(bool(unknown))


if __name__ == "__main__":
    sys.exit(main())
