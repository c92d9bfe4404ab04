"""Whole workflows as plain values: read out of a database, and written into one, column by column.

Knows which columns travel (EXP-1) and that payloads stay as they are encoded. Messages do not travel. Leaves what a
list of exported workflows is good for to the operations.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from .._error import DBOSException, DBOSNonExistentWorkflowError
from .database import Session, in_use
from .deletion import clear
from .sql import refuse_unstorable

T = TypeVar("T")
Exported = dict[str, Any]

CHUNK_ROWS = 1000
CHUNK_CHARACTERS = 4_000_000

# Every column but `request` and the tokens of whoever wrote it.
_STATUS = {
    "workflow_uuid": "text",
    "status": "text",
    "name": "text",
    "authenticated_user": "text",
    "assumed_role": "text",
    "authenticated_roles": "text",
    "executor_id": "text",
    "created_at": "bigint",
    "updated_at": "bigint",
    "application_version": "text",
    "application_id": "text",
    "class_name": "text",
    "config_name": "text",
    "recovery_attempts": "bigint",
    "queue_name": "text",
    "workflow_timeout_ms": "bigint",
    "workflow_deadline_epoch_ms": "bigint",
    "started_at_epoch_ms": "bigint",
    "deduplication_id": "text",
    "priority": "integer",
    "queue_partition_key": "text",
    "forked_from": "text",
    "parent_workflow_id": "text",
    "serialization": "text",
    "delay_until_epoch_ms": "bigint",
    "was_forked_from": "boolean",
    "rate_limited": "boolean",
    "completed_at": "bigint",
    "schedule_name": "text",
    "debounce_deadline_epoch_ms": "bigint",
    "is_debounced": "boolean",
    "application_name": "text",
}
_PAYLOADS = ("inputs", "output", "error")
_SINCE = {  # what exports of older versions lack (MGT-61)
    "parent_workflow_id": None,
    "serialization": None,
    "delay_until_epoch_ms": None,
    "was_forked_from": False,
    "rate_limited": False,
    "completed_at": None,
    "attributes": None,
    "schedule_name": None,
    "debounce_deadline_epoch_ms": None,
    "is_debounced": False,
    "application_name": None,
}
_PARTS: dict[str, dict[str, str]] = {
    "operation_outputs": {
        "workflow_uuid": "text",
        "function_id": "integer",
        "function_name": "text",
        "output": "text",
        "error": "text",
        "child_workflow_id": "text",
        "started_at_epoch_ms": "bigint",
        "completed_at_epoch_ms": "bigint",
        "serialization": "text",
        "application_name": "text",
    },
    "workflow_events": {"workflow_uuid": "text", "key": "text", "value": "text", "serialization": "text"},
    "workflow_events_history": {
        "workflow_uuid": "text",
        "function_id": "integer",
        "key": "text",
        "value": "text",
        "serialization": "text",
    },
    "streams": {
        "workflow_uuid": "text",
        "key": "text",
        "value": "text",
        "offset": "integer",
        "function_id": "integer",
        "serialization": "text",
    },
}
_ORDER = {
    "operation_outputs": "function_id",
    "workflow_events": "key",
    "workflow_events_history": "function_id, key",
    "streams": 'key, "offset"',
}


def export(session: Session, workflow_id: str, *, with_children: bool) -> list[Exported]:
    """Read a workflow, then its descendants if asked, level by level; to be run on one state of the database."""
    exported = _read(session, "w.workflow_uuid {in:ids}", [workflow_id])
    if not exported:
        raise DBOSNonExistentWorkflowError("export", workflow_id)
    level, seen = [workflow_id] if with_children else [], {workflow_id}
    while level:
        children = _read(session, "w.parent_workflow_id {in:ids}", level)
        fresh = {one["workflow_status"]["workflow_uuid"]: one for one in children}
        level = [child_id for child_id in fresh if child_id not in seen]
        exported += [fresh[child_id] for child_id in level]
        seen.update(level)
    return exported


def _read(session: Session, condition: str, ids: Sequence[str]) -> list[Exported]:
    names = [*_STATUS, "attributes", *_PAYLOADS]
    columns = ", ".join(f"w.{name}" for name in _STATUS)
    found: dict[str, Exported] = {}
    for some in chunks(ids):
        rows = session.rows(
            f"""
            select {columns}, {{json:w.attributes}}, coalesce(i.inputs, w.inputs), coalesce(o.output, w.output),
                   coalesce(o.error, w.error)
              from {{workflow_status}} w
              left join {{workflow_input}} i on i.workflow_uuid = w.workflow_uuid
              left join {{workflow_output}} o on o.workflow_uuid = w.workflow_uuid
             where {condition}
             order by w.created_at, w.workflow_uuid
            """,
            ids=list(some),
        )
        for row in rows:
            status = dict(zip(names, row, strict=True))
            status |= {name: bool(status[name]) for name, kind in _STATUS.items() if kind == "boolean"}
            status["attributes"] = None if status["attributes"] is None else json.loads(status["attributes"])
            found[row[0]] = {"workflow_status": status, **{part: [] for part in _PARTS}}
    for part, kinds in _PARTS.items():
        for some in chunks(list(found)):
            for row in session.rows(_part(part, kinds), ids=list(some)):
                found[row[0]][part].append(dict(zip(kinds, row, strict=True)))
    return list(found.values())


def _part(part: str, kinds: Mapping[str, str]) -> str:
    return (
        f"select {_listed(kinds)} from {{{part}}} where workflow_uuid {{in:ids}} order by workflow_uuid, {_ORDER[part]}"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return '"offset"' if name == "offset" else name  # a word of SQL


def checked(exported: Sequence[Any]) -> list[Exported]:
    """Return exported workflows with every column, or raise `DBOSException` saying what is no export."""
    whole = []
    for one in exported:
        if not isinstance(one, Mapping) or not isinstance(one.get("workflow_status"), Mapping):
            raise DBOSException("An exported workflow is a dict with the key 'workflow_status': see export_workflow")
        status = {**_SINCE, **one["workflow_status"]}
        workflow_id = status.get("workflow_uuid")
        missing = [name for name in (*_STATUS, *_PAYLOADS) if name not in status]
        if missing or not isinstance(workflow_id, str):
            raise DBOSException(f"The exported workflow {workflow_id!r} lacks {', '.join(missing) or 'a text as id'}")
        parts = {part: [dict(row) for row in one.get(part) or ()] for part in _PARTS}
        for part, rows in parts.items():
            if any(row.get("workflow_uuid") != workflow_id for row in rows):
                raise DBOSException(f"The exported workflow {workflow_id} has {part} of another workflow")
        whole.append({"workflow_status": status, **parts})
    return whole


def write(session: Session, exported: Sequence[Exported], *, again: bool) -> None:
    """Write checked workflows, all of them as they are (EXP-2); `again`: an earlier try may have committed.

    Raises SQLAlchemy's `IntegrityError` when an id, or a deduplication id of a queue, is in use.
    """
    statuses = [one["workflow_status"] for one in exported]
    ids = [status["workflow_uuid"] for status in statuses]
    texts = [{**status, "attributes": _json(status["attributes"])} for status in statuses]
    if _insert(session, "workflow_status", {**_STATUS, "attributes": "json"}, texts) < len(texts):
        if again and _stand(session, statuses):
            return
        raise in_use(ids)
    for some in chunks(ids):
        clear(session, some)  # what lay about under these ids must not become part of them (DEL-5)
    inputs = {"workflow_uuid": "text", "inputs": "text"}
    _insert(session, "workflow_input", inputs, [one for one in statuses if one["inputs"] is not None])
    outcome = {"workflow_uuid": "text", "output": "text", "error": "text"}
    ended = [one for one in statuses if one["output"] is not None or one["error"] is not None]
    _insert(session, "workflow_output", outcome, ended)
    for part, kinds in _PARTS.items():
        rows = [row for one in exported for row in one[part]]
        if _insert(session, part, kinds, rows) < len(rows):
            raise in_use(ids)


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def _insert(session: Session, table: str, kinds: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows given by column, and return how many were not there yet."""
    values = [
        f"{{as_json:r.{name}}}" if kind == "json" else f"cast(r.{_quoted(name)} as {kind})"
        for name, kind in kinds.items()
    ]
    statement = f"""
        insert into {{{table}}} ({_listed(kinds)})
        select {", ".join(values)}
          from (select {", ".join(f"{{element:{name}}} as {_quoted(name)}" for name in kinds)}
                  from {{elements::rows}}) r
         where true
            on conflict do nothing
        """
    return sum(session.run(statement, rows=text) for text in _arrays(table, kinds, rows))


def _arrays(table: str, kinds: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield rows as JSON arrays of bounded size."""
    some: list[str] = []
    size = 0
    for row in rows:
        text = json.dumps({name: row.get(name) for name in kinds}, ensure_ascii=False)
        try:
            refuse_unstorable(text)
        except ValueError as error:
            raise DBOSException(f"{table} of workflow {row['workflow_uuid']} cannot be imported: {error}") from error
        some.append(text)
        size += len(text)
        if len(some) == CHUNK_ROWS or size > CHUNK_CHARACTERS:
            yield f"[{','.join(some)}]"
            some, size = [], 0
    if some:
        yield f"[{','.join(some)}]"


def _stand(session: Session, statuses: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether these very workflows are there: the reply to their import was lost."""
    wanted = {(one["workflow_uuid"], one["name"], one["created_at"]) for one in statuses}
    found: set[Any] = set()
    for some in chunks([one["workflow_uuid"] for one in statuses]):
        found.update(
            session.rows(
                "select workflow_uuid, name, created_at from {workflow_status} where workflow_uuid {in:ids}",
                ids=list(some),
            )
        )
    return found == wanted


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield `values` in pieces that make statements of bounded size."""
    for start in range(0, len(values), CHUNK_ROWS):
        yield values[start : start + CHUNK_ROWS]
