"""What must be true of a system database at every moment, whoever was killed or raced: each law is a query for the rows
that break it.

Knows the contract's laws as SQL over all tables. Leaves opening a database, and what to do about a violation, to
`dbos.testing`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from .._model.queue import INTERNAL_QUEUE, QueueSettings, Rate
from .._model.status import ACTIVE, TERMINAL, WorkflowStatusString
from . import leases, queues, workflows
from .database import Session
from .deletion import BELONGINGS
from .leases import INCARNATION_LENGTH
from .sql import Dialect

MOST_FINDINGS = 100  # of one query: a law that is broken everywhere is told by some rows


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that does not hold: its name, the workflow (or queue) it does not hold for, and what was found there."""

    law: str
    workflow_id: str
    found: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.law}: {self.workflow_id}: {self.found}"


def _words(statuses: frozenset[str]) -> str:
    return "(" + ", ".join(f"'{status}'" for status in sorted(statuses)) + ")"


_ACTIVE, _TERMINAL = _words(ACTIVE), _words(TERMINAL)
_KNOWN = _words(frozenset(status.value for status in WorkflowStatusString))
# Steps that draw two numbers, the second for a deadline that is recorded only where somebody waits for it (MSG-27).
_WAITS = "('DBOS.recv', 'DBOS.getEvent')"


def _rows(condition: str, found: str) -> str:
    """Return the query for rows of workflows that meet a condition."""
    return f"select w.workflow_uuid, {found} from {{workflow_status}} w where {condition}"


# Each query returns ids and what was found.
LAWS: dict[str, tuple[str, ...]] = {
    # ST-14, 4.7
    "a row has an id and a known status": (
        _rows(f"coalesce(w.status, '') not in {_KNOWN}", "'its status is ' || coalesce(w.status, 'null')"),
        _rows("w.workflow_uuid = ''", "'a row without id'"),
    ),
    # ST-1, ST-16, ST-20: a writer is let through by the token in the row, and found dead by its first characters.
    "whoever runs has a token, nobody else": (
        _rows("w.status = 'PENDING' and coalesce(w.owner_xid, '') = ''", "'PENDING, and nobody owns it'"),
        _rows("w.status = 'PENDING' and w.executor_id is null", "'PENDING, and no executor is named'"),
        _rows("w.status = 'PENDING' and coalesce(w.recovery_attempts, 0) < 1", "'PENDING, and was never started'"),
        # Rows of others may keep a token that means nothing (ST-33); those have no creator.
        _rows(
            "w.status <> 'PENDING' and w.owner_xid is not null and w.creator_xid is not null",
            "w.status || ', and owned by ' || w.owner_xid",
        ),
    ),
    # ST-2, ST-3, ST-23, ST-24
    "what waits is on a queue": (
        _rows("w.status in ('ENQUEUED', 'DELAYED') and w.queue_name is null", "w.status || ' on no queue'"),
        _rows("w.status = 'DELAYED' and w.delay_until_epoch_ms is null", "'DELAYED without end'"),
        _rows("w.status = 'ENQUEUED' and w.started_at_epoch_ms is not null", "'ENQUEUED, and says when it started'"),
    ),
    # SCH-3
    "what is to run has its inputs": (
        f"""
        select w.workflow_uuid, w.status || ' without inputs'
          from {{workflow_status}} w
          left join {{workflow_input}} i on i.workflow_uuid = w.workflow_uuid
         where w.status in {_ACTIVE} and coalesce(i.inputs, w.inputs) is null
        """,
    ),
    # ST-17 to ST-19, ST-23, ST-25, ST-28
    "what has ended says when": (
        _rows(f"w.status in {_TERMINAL} and w.completed_at is null", "w.status || ' without a time'"),
        _rows(f"w.status in {_ACTIVE} and w.completed_at is not null", "w.status || ', and completed'"),
    ),
    # ST-17, ST-21
    "an outcome is of the kind its status says": (
        """
        select w.workflow_uuid, w.status || ' with '
               || case when coalesce(o.error, w.error) is not null then 'an error'
                       when coalesce(o.output, w.output) is not null then 'an output' else 'an empty outcome' end
          from {workflow_status} w
          left join {workflow_output} o on o.workflow_uuid = w.workflow_uuid
         where (w.status not in ('SUCCESS', 'ERROR') and coalesce(o.workflow_uuid, w.output, w.error) is not null)
            or (w.status = 'SUCCESS' and coalesce(o.error, w.error) is not null)
            or (w.status = 'ERROR' and coalesce(o.output, w.output) is not null)
        """,
        """
        select w.workflow_uuid, w.status || ' without an outcome'
          from {workflow_status} w
          left join {workflow_output} o on o.workflow_uuid = w.workflow_uuid
         where (w.status = 'SUCCESS' and o.workflow_uuid is null and w.output is null)
            or (w.status = 'ERROR' and coalesce(o.error, w.error) is null)
        """,
    ),
    # ST-12, ST-15, ST-34
    "a deduplication id has one live holder": (
        """
        select min(w.workflow_uuid), 'one of ' || count(*) || ' that hold ' || w.deduplication_id
          from {workflow_status} w
         where w.deduplication_id is not null
         group by w.queue_name, w.deduplication_id
        having count(*) > 1
        """,
        _rows(
            f"w.deduplication_id is not null and w.status in {_TERMINAL}", "w.status || ' holds ' || w.deduplication_id"
        ),
        _rows(
            "w.deduplication_id is not null and w.is_debounced and w.status <> 'DELAYED'",
            "'debounced and ' || w.status || ', holds ' || w.deduplication_id",
        ),
    ),
    # DEL-1, DEL-5
    "what belongs to a workflow goes with it": tuple(
        f"""
        select b.{column}, 'has rows in {table}, and is gone'
          from {{{table}}} b
         where not exists (select 1 from {{workflow_status}} w where w.workflow_uuid = b.{column})
         group by b.{column}
        """
        for table, column in BELONGINGS.items()
    ),
    # OP-1, OP-2
    "a step has a number and one outcome": (
        """
        select s.workflow_uuid, 'step ' || s.function_id || ' is numbered below 0'
          from {operation_outputs} s
         where s.function_id < 0
        """,
        """
        select s.workflow_uuid, 'step ' || s.function_id || ' has an output and an error'
          from {operation_outputs} s
         where s.output is not null and s.error is not null
        """,
        # Only its deadline may have the second number of a wait, whatever runs beside it.
        f"""
        select s.workflow_uuid, s.function_name || ' has steps ' || s.function_id || ' and ' || n.function_id
               || ', and that is ' || n.function_name
          from {{operation_outputs}} s
          join {{operation_outputs}} n on n.workflow_uuid = s.workflow_uuid and n.function_id = s.function_id + 1
         where s.function_name in {_WAITS} and n.function_name <> 'DBOS.sleep'
        """,
    ),
    # SD-24, SD-30, SD-43
    "a run of a schedule is named for it": (
        _rows(
            "w.schedule_name is not null and w.forked_from is null"
            " and substr(w.workflow_uuid, 1, length(w.schedule_name) + 7) <> 'sched-' || w.schedule_name || '-'",
            "'is of schedule ' || w.schedule_name",
        ),
    ),
    # MSG-24: the mark and the step commit together. Rewinding deletes what was consumed by the steps it deletes.
    "a message is consumed once, by a step that says so": (
        """
        select n.destination_uuid, 'step ' || n.consumed_by_function_id || ' has consumed ' || count(*) || ' messages'
          from {notifications} n
         where n.consumed_by_function_id is not null
         group by n.destination_uuid, n.consumed_by_function_id
        having count(*) > 1
        """,
        """
        select n.destination_uuid, n.message_uuid || ' was consumed by step ' || n.consumed_by_function_id
               || ', which has not recorded it'
          from {notifications} n
          left join {operation_outputs} s
            on s.workflow_uuid = n.destination_uuid and s.function_id = n.consumed_by_function_id
         where n.consumed_by_function_id is not null and (s.output is null or s.output <> n.message)
        """,
        """
        select n.destination_uuid, n.message_uuid || ' was consumed by a step, and is not marked'
          from {notifications} n
         where n.consumed_by_function_id is not null and not n.consumed
        """,
    ),
    # EVT-3, ST-28, ST-29. Of values set at once the last to commit stays, whatever its step.
    "an event has a value of its history": (
        """
        select h.workflow_uuid, 'event ' || h.key || ' was set, and is gone'
          from {workflow_events_history} h
         where not exists (select 1 from {workflow_events} e where e.workflow_uuid = h.workflow_uuid and e.key = h.key)
         group by h.workflow_uuid, h.key
        """,
        """
        select e.workflow_uuid, 'event ' || e.key || ' has a value that no step has set'
          from {workflow_events} e
         where exists (select 1 from {workflow_events_history} h
                        where h.workflow_uuid = e.workflow_uuid and h.key = e.key)
           and not exists (select 1 from {workflow_events_history} h
                            where h.workflow_uuid = e.workflow_uuid and h.key = e.key and h.value = e.value)
        """,
    ),
    # STR-3, SDS-1. A fork takes over the values below its start, which may be any when tasks have written them.
    "a stream has no gap": (
        """
        select s.workflow_uuid, 'stream ' || s.key || ' has ' || count(*) || ' values between offsets '
               || min(s."offset") || ' and ' || max(s."offset")
          from {streams} s
          join {workflow_status} w on w.workflow_uuid = s.workflow_uuid
         where w.forked_from is null
         group by s.workflow_uuid, s.key
        having min(s."offset") <> 0 or max(s."offset") <> count(*) - 1
        """,
    ),
    # ST-29
    "whatever was forked says so": (
        """
        select w.workflow_uuid, 'is the source of ' || f.workflow_uuid || ', and does not say so'
          from {workflow_status} f
          join {workflow_status} w on w.workflow_uuid = f.forked_from
         where not w.was_forked_from and w.created_at <= f.created_at
        """,
    ),
}

LIMITS = "a registered queue keeps its limits"
LIVE_OWNER = "at rest, whoever runs is alive"
_LIVE_OWNER = f"""
select w.workflow_uuid, 'PENDING, and no live process has the token ' || coalesce(w.owner_xid, 'null')
  from {{workflow_status}} w
 where w.status = 'PENDING'
   and not exists (select 1
                     from {{executors}} e
                    where e.incarnation = substr(w.owner_xid, 1, {INCARNATION_LENGTH})
                      and e.expires_at_epoch_ms > {{now_ms}})
"""
# Every process serves the internal queue; which others one serves, the database does not know.
PICKED_UP = "at rest, nothing waits that a live process may run"
WAITS_MS = 10_000
_LEFT_WAITING = f"""
select w.workflow_uuid, 'ENQUEUED since ' || w.updated_at || ', and a process of its version is alive'
  from {{workflow_status}} w
 where w.status = 'ENQUEUED' and w.queue_name = :queue and w.updated_at < {{now_ms}} - {WAITS_MS}
   and exists (select 1
                 from {{executors}} e
                where e.application_version = w.application_version and not e.draining
                  and (e.application_name = w.application_name or w.application_name is null)
                  and e.expires_at_epoch_ms > {{now_ms}})
"""
# OP-1. Only who wrote the program knows that every number it drew was used: a cancelled task, a step reserved and not
# run, a value that is refused leave a gap that is nobody's fault. A call of a child that fails, and in a task a fork,
# had drawn the number of what would have followed.
DENSE = "steps are numbered without a gap"
_GAPS = f"""
select s.workflow_uuid, 'step ' || s.function_id || ' follows ' || coalesce('step ' || s.before, 'none')
  from (select o.workflow_uuid, o.function_id,
               lag(o.function_id) over w as before, lag(o.function_name) over w as name, lag(o.error) over w as error
          from {{operation_outputs}} o
        window w as (partition by o.workflow_uuid order by o.function_id)) s
  join {{workflow_status}} w on w.workflow_uuid = s.workflow_uuid
 where w.status = 'SUCCESS'
   and s.function_id - coalesce(s.before, 0) > case when s.name in {_WAITS} or s.error is not null then 2 else 1 end
"""
# SD-24. One id a time keeps it from running twice, as long as everybody writes the time alike. The same moment under
# another offset is another run: the schedule's time zone was changed. What `last_fired_at` says proves nothing: its
# run may be deleted, and a later time be backfilled.
ONCE = "a time of a schedule has one run"
LASTING = "an outcome stays"
Outcomes = dict[str, tuple[str, str | None, str | None]]


def outcomes(session: Session) -> Outcomes:
    """Read what workflows have ended with, as it is stored: status, output and error by id."""
    rows = session.rows(
        """
        select w.workflow_uuid, w.status, coalesce(o.output, w.output), coalesce(o.error, w.error)
          from {workflow_status} w
          left join {workflow_output} o on o.workflow_uuid = w.workflow_uuid
         where w.status in ('SUCCESS', 'ERROR')
        """
    )
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def changed(session: Session, since: Outcomes) -> list[Violation]:
    """Return which outcomes are others than they were; what was deleted has none."""
    now = outcomes(session)
    gone = set(since) - workflows.existing(session, list(since))
    return [
        Violation(
            LASTING, workflow_id, f"was {before[0]} and is {now[workflow_id][0] if workflow_id in now else 'none'}"
        )
        for workflow_id, before in since.items()
        if workflow_id not in gone and now.get(workflow_id) != before
    ]


def check(
    session: Session, dialect: Dialect, *, at_rest: bool, dense: bool, served: Collection[str] = ()
) -> list[Violation]:
    """Return what breaks a law; to be run on one state of the database."""
    known = {settings.name: settings.effective for settings in queues.listed(session, None)}
    found = [
        Violation(law, *row) for law, queries in LAWS.items() for query in queries for row in _some(session, query)
    ]
    for settings in known.values():
        found += [Violation(LIMITS, settings.name, what) for what in _over(session, settings)]
    found += islice(_repeated(session), MOST_FINDINGS)
    if dense:
        found += [Violation(DENSE, *row) for row in _some(session, _GAPS)]
    if at_rest and leases.are_there(session, dialect):
        found += [Violation(LIVE_OWNER, *row) for row in _some(session, _LIVE_OWNER)]
        for name in (INTERNAL_QUEUE, *served):
            if name not in known or _has_room(session, known[name]):
                found += [Violation(PICKED_UP, *row) for row in _some(session, _LEFT_WAITING, queue=name)]
    return found


def _some(session: Session, query: str, **parameters: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in session.rows(f"{query} limit :most", most=MOST_FINDINGS, **parameters)]


def _repeated(session: Session) -> Iterator[Violation]:
    """Find runs of a schedule for a time that has another run."""
    seen: dict[tuple[str, datetime, timedelta | None], str] = {}
    for schedule_name, workflow_id in session.rows(
        """
        select w.schedule_name, w.workflow_uuid
          from {workflow_status} w
         where w.schedule_name is not null and w.forked_from is null
         order by w.created_at, w.workflow_uuid
        """
    ):
        try:
            moment = datetime.fromisoformat(workflow_id[len(f"sched-{schedule_name}-") :])
        except ValueError:
            continue  # triggered, not fired
        first = seen.setdefault((schedule_name, moment, moment.utcoffset()), workflow_id)
        if first != workflow_id:
            yield Violation(ONCE, workflow_id, f"its time is that of {first}")


def _over(session: Session, settings: QueueSettings) -> Iterator[str]:
    """Say which limits of a queue are exceeded: how much of it runs (DQ-30 to DQ-32), how much was started (DQ-40)."""
    partition, worker = "w.queue_partition_key", f"substr(w.owner_xid, 1, {INCARNATION_LENGTH})"
    # An application counts its own rows.
    for limit, of in (
        (settings.concurrency, "w.application_name"),
        (settings.worker_concurrency, worker),
        (settings.partition_concurrency, f"w.application_name, {partition}"),
        (settings.partition_worker_concurrency, f"{worker}, {partition}"),
    ):
        if limit is not None:
            yield from _running(session, settings.name, limit, of)
    for rate, of in ((settings.limiter, "w.application_name"), (settings.partition_limiter, partition)):
        if rate is not None:
            yield from _started(session, settings.name, rate, of)


def _has_room(session: Session, settings: QueueSettings) -> bool:
    """Tell whether no limit of a queue can be reached, whatever it counts: not if one process had all of it, in one
    partition.
    """
    limits = (
        settings.concurrency,
        settings.worker_concurrency,
        settings.partition_concurrency,
        settings.partition_worker_concurrency,
    )
    rates = [rate for rate in (settings.limiter, settings.partition_limiter) if rate is not None]
    ((running, started),) = session.rows(
        """
        select coalesce(sum(case when w.status = 'PENDING' then 1 else 0 end), 0),
               coalesce(sum(case when w.started_at_epoch_ms > {now_ms} - :period then 1 else 0 end), 0)
          from {workflow_status} w
         where w.queue_name = :queue
        """,
        queue=settings.name,
        period=max((rate.period_ms for rate in rates), default=0),
    )
    return all(running < limit for limit in limits if limit is not None) and all(started < rate.limit for rate in rates)


def _running(session: Session, queue_name: str, limit: int, of: str) -> Iterator[str]:
    for (many,) in session.rows(
        f"""
        select count(*)
          from {{workflow_status}} w
         where w.queue_name = :queue and w.status = 'PENDING'
         group by {of}
        having count(*) > :limit
        """,
        queue=queue_name,
        limit=limit,
    ):
        yield f"{many} workflows run where at most {limit} may"


def _started(session: Session, queue_name: str, rate: Rate, of: str) -> Iterator[str]:
    """Find starts that came within a period of the one `limit` places before them."""
    for (count,) in session.rows(
        f"""
        with starts as (
            select {of} as who, w.started_at_epoch_ms as at,
                   row_number() over (partition by {of} order by w.started_at_epoch_ms) as place
              from {{workflow_status}} w
             where w.queue_name = :queue and w.rate_limited and w.started_at_epoch_ms is not null)
        select count(*)
          from starts s
          join starts l on l.place = s.place + :limit and coalesce(l.who, '') = coalesce(s.who, '')
         where l.at - s.at < :period
        having count(*) > 0
        """,
        queue=queue_name,
        limit=rate.limit,
        period=rate.period_ms,
    ):
        yield f"{count} times more than {rate.limit} workflows were started within {rate.period_ms} ms"
