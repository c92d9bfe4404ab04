"""Compare two lists of public names, as `tools/public_api.py` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Member:
    """One public name: its kind and the words of its parameters."""

    name: str
    kind: str
    words: tuple[str, ...]

    @property
    def positional(self) -> list[str]:
        """The parameters that may be given by position, in order, without the marks of defaults."""
        ends = [index for index, word in enumerate(self.words) if word.startswith("*")]
        before = self.words[: ends[0]] if ends else self.words
        return [word.rstrip("?") for word in before if word != "/"]

    @property
    def required(self) -> set[str]:
        """The parameters that must be given."""
        return {word for word in self.words if not word.endswith("?") and not word.startswith("*") and word != "/"}

    @property
    def all(self) -> set[str]:
        """All parameters by name."""
        return {word.rstrip("?") for word in self.words if word not in ("*", "/")}


def read(text: str) -> dict[str, Member]:
    """Read a list."""
    lines = (line.split() for line in text.splitlines() if line.strip())
    return {name: Member(name, kind, tuple(words)) for name, kind, *words in lines}


def read_reasons(path: Path) -> dict[str, str]:
    """Read a file of names, each under a heading line `# ...` that says why it is there."""
    reasons: dict[str, str] = {}
    heading = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.strip():
            reasons[line.strip()] = heading
    return reasons


def difference(theirs: Member, ours: Member) -> str | None:
    """Say what a call that theirs accepts meets in ours; None when nothing."""
    if theirs.kind != ours.kind:
        return f"is a {ours.kind}, was a {theirs.kind}"
    if gone := theirs.all - ours.all:
        return f"lacks {sorted(gone)}"
    if new := ours.required - theirs.required:
        return f"must be given {sorted(new)}"
    if theirs.positional != ours.positional[: len(theirs.positional)]:
        return f"takes {ours.positional} by position, took {theirs.positional}"
    return None
