"""Write the reference of the public API as Markdown, from the docstrings of the running package.

Knows which page shows which names; what is said of them is theirs to say. `tools/docs_site.py` puts the pages on the
site.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import dbos
import dbos.testing
import dbos_core
from dbos import DBOS, DBOSClient, _dbos

SECTION = re.compile(r"^    # --- (.+)$")
MEMBER = re.compile(r"^    (?:async )?(?:def )?(?P<name>[a-z]\w*)(?:\(| = |: )")
# Kept for packages built on dbos, and promised to nobody else.
PRIVATE_SECTION = "what packages built on dbos reach for"
# Names with pages of their own.
ELSEWHERE = {"DBOS", "DBOSClient", "error"}
# Of a signature on one line.
WIDTH = 80
ADDRESS = re.compile(r"<([\w.]+\.)?(?P<name>\w+)(\.(?P<member>\w+))?[^<>]*>")


def pages() -> dict[str, Callable[[], str]]:
    """Name each page of the reference, and how it is written."""
    return {
        "reference/dbos.md": dbos_page,
        "reference/client.md": client_page,
        "reference/names.md": names_page,
        "reference/testing.md": lambda: module_page(dbos.testing, "`dbos.testing`"),
        "reference/dbos_core.md": lambda: module_page(dbos_core, "`dbos_core`"),
    }


def dbos_page() -> str:
    """Write the page of `DBOS`, by its sections."""
    parts = ["# `DBOS`", docstring(DBOS)]
    for title, names in sections():
        parts += [f"## {title.capitalize()}", *members(DBOS, names)]
    return "\n\n".join(parts) + "\n"


def client_page() -> str:
    """Write the page of `DBOSClient`, by the alphabet."""
    names = [name for name in vars(DBOSClient) if not name.startswith("_")]
    head = ["# `DBOSClient`", code(f"DBOSClient{signature(DBOSClient)}"), docstring(DBOSClient)]
    return "\n\n".join([*head, *members(DBOSClient, sorted(names))]) + "\n"


def names_page() -> str:
    """Write the page of what `dbos` exports beside `DBOS` and its client."""
    parts = ["# Other names", "What `from dbos import ...` offers beside `DBOS` and `DBOSClient`."]
    for name in sorted(set(dbos.__all__) - ELSEWHERE, key=str.lower):
        parts += describe(name, getattr(dbos, name), "##")
    return "\n\n".join(parts) + "\n"


def module_page(module: Any, title: str) -> str:
    """Write the page of a module: its docstring and what it exports."""
    parts = [f"# {title}", docstring(module)]
    for name in module.__all__:
        parts += describe(name, getattr(module, name), "##")
    return "\n\n".join(parts) + "\n"


def sections() -> Iterable[tuple[str, list[str]]]:
    """Read from the source of `DBOS` under which heading each of its public names stands."""
    found: dict[str, list[str]] = {}
    title = ""
    for line in Path(_dbos.__file__).read_text(encoding="utf-8").splitlines():
        if heading := SECTION.match(line):
            title = heading[1]
        elif title and (member := MEMBER.match(line)):
            found.setdefault(title, []).append(member["name"])
    for title, names in found.items():
        if not title.startswith(PRIVATE_SECTION):
            yield title, list(dict.fromkeys(names))


def members(owner: type, names: list[str]) -> Iterable[str]:
    """Describe the members of a class; a verb and its `_async` form together."""
    for name in names:
        base = name.removesuffix("_async")
        if name != base and base in names:
            continue
        forms = [name, f"{name}_async"] if f"{name}_async" in names else [name]
        member = inspect.getattr_static(owner, name)
        function = member.__func__ if isinstance(member, (staticmethod, classmethod)) else member
        yield "### " + ", ".join(f"`{form}`" for form in forms)
        if inspect.isfunction(function):
            bound = getattr(owner, name) if isinstance(member, (staticmethod, classmethod)) else function
            yield code(f"{owner.__name__}.{name}{signature(bound)}")
        yield docstring(member)


def describe(name: str, thing: Any, heading: str) -> Iterable[str]:
    """Describe a class, function or alias; of a class also its public members and fields."""
    yield f"{heading} `{name}`"
    if not inspect.isclass(thing) and not inspect.isfunction(thing):
        yield code(f"{name} = {ADDRESS.sub(plain, str(thing))}")
        return
    typed = [field for field in inspect.get_annotations(thing) if not field.startswith("_")]
    is_record = hasattr(thing, "__total__") or hasattr(thing, "__members__")
    if not is_record and not inspect.isabstract(thing) and not getattr(thing, "_is_protocol", False):
        yield code(f"{name}{signature(thing)}")
    yield docstring(thing)
    if inspect.isclass(thing):
        yield from fields(thing, typed)
        yield from methods(thing)


def fields(thing: type, typed: list[str]) -> Iterable[str]:
    """List the fields of a record, or the members of an enum."""
    values = getattr(thing, "__members__", None)
    if values is not None:
        yield "\n".join(f"- `{name}`" for name in values)
    elif typed:
        hints = inspect.get_annotations(thing)
        yield "\n".join(f"- `{name}`: `{annotation(hints[name])}`" for name in typed)


def methods(thing: type) -> Iterable[str]:
    """List the public methods that a class defines itself and says something about."""
    if hasattr(thing, "__members__") or hasattr(thing, "__total__"):
        return
    for name, member in vars(thing).items():
        function = member.__func__ if isinstance(member, (staticmethod, classmethod)) else member
        if name.startswith("_") or not inspect.isfunction(function) or not inspect.getdoc(function):
            continue
        yield f"### `{thing.__name__}.{name}`"
        yield code(f"{name}{signature(function)}")
        yield docstring(function)


def annotation(hint: Any) -> str:
    """Show a type as it was written."""
    if isinstance(hint, str):
        return hint
    written = getattr(hint, "__forward_arg__", None)
    return str(written or getattr(hint, "__name__", None) or ADDRESS.sub(plain, str(hint)))


def signature(thing: Any) -> str:
    """Show how something is called, with defaults as one would write them."""
    try:
        shown = str(inspect.signature(thing))
    except (TypeError, ValueError):
        return "(...)"
    shown = re.sub(r": '([^']*)'", r": \1", shown)
    shown = re.sub(r"-> '([^']*)'", r"-> \1", shown)
    return wrapped(ADDRESS.sub(plain, shown))


def wrapped(shown: str) -> str:
    """Put each parameter of a long signature on a line of its own."""
    if len(shown) <= WIDTH:
        return shown
    parts, depth, begin = [], 0, 1
    for position, letter in enumerate(shown):
        depth += (letter in "([{") - (letter in ")]}")
        if (letter == "," and depth == 1) or (letter == ")" and depth == 0):
            parts.append(shown[begin:position].strip())
            begin = position + 1
        if depth == 0:
            break
    lines = "".join(f"    {part},\n" for part in parts)
    return f"(\n{lines}){shown[begin:]}"


def plain(match: re.Match[str]) -> str:
    """Show an enum's member by its name, another object by that of its class."""
    return f"{match['name']}.{match['member']}" if match["member"] else match["name"]


def docstring(thing: Any) -> str:
    """Turn a docstring into Markdown: indented examples become blocks of Python."""
    head, _, rest = (inspect.getdoc(thing) or "").partition("\n\n")
    if rest and is_python(rest):
        # Nothing but an example: its indentation went with that of the docstring.
        return f"{head}\n\n{code(rest)}"
    parts = [head]
    for block in re.split(r"\n\n(?=\S)", rest):
        prose, *examples = re.split(r"(?:^|\n\n)(?=    )", block, maxsplit=1)
        parts += [prose, *(code(textwrap.dedent(example)) for example in examples)]
    return "\n\n".join(part for part in parts if part)


def is_python(text: str) -> bool:
    """Tell an example from prose."""
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def code(text: str) -> str:
    """Fence Python."""
    return f"```python\n{text.strip()}\n```"
