"""Add to the documentation site what is not in docs/: the reference, the examples, the pages at the root of the tree.

A hook of MkDocs, named in mkdocs.yml. Knows where each file of the tree stands on the site, so that pages link to files
as they do in the tree, and the strict build finds links that lead nowhere.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "src")]

import reference  # noqa: E402  # found by the line above, in every environment

# Pages of the tree outside docs/, and where the site has them.
PAGES = [
    "README.md",
    "RELIABILITY.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "benchmarks/README.md",
]
LINK = re.compile(r"(?P<text>\]\()(?P<target>[^)#:\s]+)(?P<anchor>#[^)\s]*)?\)")
# Code is not searched for links.
CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made or taken from elsewhere."""
    for uri, write in reference.pages().items():
        files.append(File.generated(config, uri, content=write()))
    for name in PAGES:
        files.append(File.generated(config, site_uri(name), content=(ROOT / name).read_text(encoding="utf-8")))
    for path in examples():
        text = path.read_text(encoding="utf-8")
        page = f"# {path.stem.replace('_', ' ').capitalize()}\n\n`examples/{path.name}`\n\n```python\n{text}```\n"
        files.append(File.generated(config, site_uri(f"examples/{path.name}"), content=page))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Make links between files of the tree links between pages of the site."""
    uri = page.file.src_uri
    here = in_tree(uri)
    parts = CODE.split(markdown)
    for index in range(0, len(parts), 2):
        parts[index] = LINK.sub(lambda match: relink(match, here, uri), parts[index])
    return "".join(parts)


def relink(match: re.Match[str], here: str, uri: str) -> str:
    """Turn one link of the file `here`, which is the page `uri`."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(here), match["target"]))
    if (ROOT / target).is_dir():
        target += "/README.md"
    there = posixpath.relpath(site_uri(target), posixpath.dirname(uri) or ".")
    return f"{match['text']}{there}{match['anchor'] or ''})"


def examples() -> list[Path]:
    """List the example programs."""
    return sorted((ROOT / "examples").glob("*.py"))


def site_uri(name: str) -> str:
    """Say which page of the site shows a file of the tree."""
    if name.startswith("docs/"):
        return name.removeprefix("docs/")
    path = Path(name)
    if name == "LICENSE" or path.suffix == ".py":
        path = path.with_suffix(".md")
    return f"project/{path.as_posix()}"


def in_tree(uri: str) -> str:
    """Say which file of the tree a page of the site shows."""
    if uri.startswith("project/"):
        return uri.removeprefix("project/")
    return f"docs/{uri}"
