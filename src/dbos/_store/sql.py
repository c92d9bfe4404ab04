"""One SQL text for two databases: named parameters, dialect tokens, record sets.

Knows how a statement written once becomes what Postgres or SQLite runs. Leaves connections and execution to
`postgres.py` and `sqlite.py`.

A statement says `:name` for a parameter and `{token}` for what differs:

    {workflow_status}   the table, with its schema where there is one
    {now_ms}            database time in epoch milliseconds
    {lock:w}            lock the rows of `w` until commit
    {stay:w}            see that the rows of `w` are not deleted until commit
    {skip_locked:w}     lock, passing over rows that others hold
    {nowait:w}          lock, failing when others hold one
    {in:ids}            membership of the list parameter `ids`
    {starts:id}         that a text starts with the parameter `id`, by an index where the collation allows it
    {list:ids}          the list parameter `ids` as rows of `k`, column `value`
    {any_of} {end_any}  membership of the ids that the select in between finds, looked up one by one
    {each} {end_each}   join each row of `k` with the rows `w` whose ids the select in between finds for it
    {json:attributes}   a JSON column as text
    {as_json:attributes}  a text parameter or column as a JSON value
    {contains:attributes} whether a JSON column contains the parameter `attributes`
    {in_flight:w}       that `w` is queued or running: SQLite uses the index of those only when told in its own words
    {age:w}             what orders rows of `w` created in the same millisecond, as far as the database knows
    {bytewise:w.id}     a text, to be sorted as Python does: the order in which everybody locks rows of workflows
    {is_table:name}     whether there is a table whose qualified name is the parameter `name`
    {sent:n}            the same of the messages `n`: by the transactions that sent them; of one transaction, our own
                        message ids sort by age, other ones only by place
    {elements:r.list}   the JSON array `r.list` as rows of `m`, in order
    {element:name}      the text `name` of a row of `m`
    {uuid}              a fresh id, one per row
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from .address import quote

TABLES = frozenset(
    {
        "workflow_status",
        "workflow_input",
        "workflow_output",
        "operation_outputs",
        "notifications",
        "workflow_events",
        "workflow_events_history",
        "streams",
        "workflow_schedules",
        "application_versions",
        "queues",
        "dbos_migrations",
        "executors",
        "dbos_indie_migrations",
    }
)

# Tokens that the lanes replace, each in its way.
LEFT = frozenset({"rows", "took"})

_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_TOKEN = re.compile(r"\{(\w+)(?::(:?[\w.]+))?\}")
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")

_POSTGRES = {
    "now_ms": "(extract(epoch from now()) * 1000.0)::bigint",
    "lock": "for no key update of {0}",
    "stay": "for key share of {0}",
    "skip_locked": "for no key update of {0} skip locked",
    "nowait": "for no key update of {0} nowait",
    "in": "= any(:{0})",
    "starts": r"like replace(replace(replace(:{0}, '\', '\\'), '%', '\%'), '_', '\_') || '%'",
    "list": "unnest(cast(:{0} as text[])) as k(value)",
    "any_of": "= any(array(",
    "end_any": "))",
    "in_flight": "true",
    "each": "cross join lateral (",
    "end_each": ") w",
    "json": "{0}::text",
    "as_json": "{0}::jsonb",
    "contains": "{0} @> :attributes::jsonb",
    "age": '{0}.creator_xid collate "C"',  # texts sort by their bytes five times faster
    "bytewise": '{0} collate "C"',
    "is_table": "to_regclass(:{0}) is not null",
    "sent": "age({0}.xmin) desc, case when length({0}.message_uuid) = 36 and substr({0}.message_uuid, 15, 1) = '7' "
    "then {0}.message_uuid end, {0}.ctid",
    "elements": "json_array_elements({0}::json) as m(value)",
    "element": "(m.value ->> '{0}')",
    "uuid": "gen_random_uuid()::text",
}
_SQLITE = {
    "now_ms": "cast((julianday('now') - 2440587.5) * 86400000.0 + 0.5 as integer)",
    "lock": "",
    "stay": "",
    "skip_locked": "",
    "nowait": "",
    "in": "in (select value from json_each(:{0}))",
    "starts": "between :{0} and :{0} || char(1114111)",  # no character sorts after that one
    "list": "json_each(:{0}) k",
    "any_of": "in (",
    "end_any": ")",
    "in_flight": "{0}.status in ('ENQUEUED', 'PENDING')",
    "each": "cross join workflow_status w on w.workflow_uuid in (",
    "end_each": ")",
    "json": "{0}",
    "as_json": "{0}",
    "contains": "false",
    "age": "{0}.rowid",
    "bytewise": "{0}",
    "is_table": "exists (select 1 from sqlite_master where type = 'table' and name = :{0})",
    "sent": "{0}.rowid",
    "elements": "json_each({0}) m",
    "element": "json_extract(m.value, '$.{0}')",
    "uuid": "hex(randomblob(16))",
}


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement as one database runs it: its text and its parameters in order of use."""

    text: str
    parameters: tuple[str, ...]


class Dialect:
    """Compiles statements for one database and one schema, each once."""

    def __init__(self, name: Literal["postgres", "sqlite"], schema: str | None) -> None:
        self.name = name
        self.schema = schema
        self._tokens = _POSTGRES if name == "postgres" else _SQLITE
        self._cache: dict[str, Compiled] = {}

    def table(self, name: str) -> str:
        """Return the qualified, quoted name of a table."""
        return name if self.schema is None else f"{quote(self.schema)}.{quote(name)}"

    def compile(self, statement: str) -> Compiled:
        """Return `statement` as this database runs it."""
        compiled = self._cache.get(statement)
        if compiled is None:
            compiled = self._cache[statement] = self._number(self.expand(statement))
        return compiled

    def expand(self, statement: str) -> str:
        """Replace the tokens of `statement`; its parameters stay named."""
        return _TOKEN.sub(self._token, statement)

    def _token(self, match: re.Match[str]) -> str:
        name, argument = match.group(1), match.group(2)
        if name in LEFT:
            return match.group(0)
        if name in TABLES:
            return self.table(name)
        return self._tokens[name].format(argument)

    def _number(self, text: str) -> Compiled:
        names: list[str] = []

        def place(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in names:
                names.append(name)
            return f"${names.index(name) + 1}" if self.name == "postgres" else f":{name}"

        # Replaced piecewise, so that a quoted identifier or a literal holding ":x" stays as it is.
        pieces = re.split(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')""", text)
        pieces[::2] = [_PARAMETER.sub(place, piece) for piece in pieces[::2]]
        return Compiled("".join(pieces), tuple(names))


def rows_json(record: type[Any], records: Sequence[Any]) -> bytes:
    """Return records as the JSON array a set-based statement reads; a field that is missing there reads as null.

    Raises ValueError for text that the databases would store mutilated: NUL characters, lone surrogates.
    """
    names, values = _fields(record)
    rows = [
        {name: value for name, value in zip(names, values(one), strict=True) if value is not None} for one in records
    ]
    return json_bytes(rows)


def json_bytes(rows: list[Any]) -> bytes:
    """Return rows as JSON; ValueError for text that the databases would store mutilated."""
    return refuse_unstorable(json.dumps(rows, separators=(",", ":"), ensure_ascii=False))


def refuse_unstorable(json_text: str) -> bytes:
    """Return JSON as bytes; ValueError when a text in it has a NUL character or a lone surrogate."""
    if "\\u0000" in json_text and _ESCAPED_NUL.search(json_text):
        raise ValueError("a text contains a NUL character")
    return json_text.encode()  # a lone surrogate has no UTF-8 form: UnicodeEncodeError, a ValueError


class Spread:
    """Splits the records of one class into what differs from row to row and what all rows of a batch have in common.

    Most columns of a batch are the same in all its rows, and reading one from JSON costs as much as indexing it. A
    column that has ever differed counts as differing from then on, so that each lane comes to know one statement.
    """

    def __init__(self, record: type[Any]) -> None:
        self._names, self._values = _fields(record)
        self.varying: tuple[str, ...] = ()

    def split(self, records: Sequence[Any]) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
        """Return the rows, of the columns that `varying` names from now on, and the values that are common to all."""
        columns = dict(zip(self._names, zip(*map(self._values, records), strict=True), strict=True))
        many = len(records)
        self.varying = tuple(
            name for name, column in columns.items() if name in self.varying or column.count(column[0]) != many
        )
        common = {name: column[0] for name, column in columns.items() if name not in self.varying}
        check_texts(common.values())
        return list(zip(*(columns[name] for name in self.varying), strict=True)), common


def check_texts(values: Iterable[Any]) -> None:
    """Raise ValueError for a text with a NUL character."""
    for value in values:
        if type(value) is str and "\0" in value:
            raise ValueError("a text contains a NUL character")


_Fields = tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]
_known_fields: dict[type[Any], _Fields] = {}


def _fields(record: type[Any]) -> _Fields:
    known = _known_fields.get(record)
    if known is None:
        names = tuple(column_types(record))
        known = _known_fields[record] = (names, operator.attrgetter(*names))
    return known


def field_values(record: type[Any], one: Any) -> tuple[Any, ...]:
    """Return the fields of one record in order; ValueError for what `rows_json` refuses."""
    values = _fields(record)[1](one)
    check_texts(values)
    return values


_COLUMN_TYPES = {"str": "text", "int": "bigint", "bool": "boolean", "float": "double precision"}


def column_types(record: type[Any]) -> dict[str, str]:
    """Return the SQL type of every field of a record class, in field order."""
    return {field.name: _COLUMN_TYPES[str(field.type).removesuffix(" | None")] for field in fields(record)}
