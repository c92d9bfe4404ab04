"""Leases: which processes are alive, as far as the database knows.

Owns `executors`, a row a process, and every time in it is the database's. Leaves telling whether a process of this
machine exists to `_engine.process`, and what becomes of the dead's runs to `adoption.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._model.records import ExecutorInfo
from .database import Session
from .sql import Dialect

# How many characters of an ownership token name the process: what `new_incarnation` returns.
INCARNATION_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease."""

    incarnation: str
    executor_id: str
    application_name: str | None
    application_version: str
    host: str
    boot_id: str
    pid: int
    process_started: str


@dataclass(frozen=True, slots=True)
class Other:
    """Who holds another lease."""

    incarnation: str
    executor_id: str
    host: str
    boot_id: str
    pid: int
    process_started: str


# Of a workflow row: no live lease but those of `ended` processes is its owner's. A value of the row, not `not exists`:
# Postgres makes a join of that, and decides it once; who owns a row it has waited for must be looked up again.
UNOWNED = f"""
   and (select 1
          from {{executors}} e
         where e.incarnation = substr(workflow_status.owner_xid, 1, {INCARNATION_LENGTH})
           and e.expires_at_epoch_ms > {{now_ms}} and not (e.incarnation {{in:ended}})
         limit 1) is null
"""
_OTHER = "select e.incarnation, e.executor_id, e.host, e.boot_id, e.pid, e.process_started from {executors} e"


def other(session: Session, incarnation: str) -> Other | None:
    """Read who holds a lease."""
    row = session.one(_OTHER + " where e.incarnation = :incarnation", incarnation=incarnation)
    return None if row is None else Other(*row)


def of_machine(session: Session, host: str, boot_id: str) -> list[Other]:
    """Read who holds leases as a process of this machine."""
    rows = session.rows(_OTHER + " where e.host = :host and e.boot_id = :boot", host=host, boot=boot_id)
    return [Other(*row) for row in rows]


def are_there(session: Session, dialect: Dialect) -> bool:
    """Tell whether this database has the table of leases."""
    row = session.one("select {is_table:name}", name=dialect.table("executors"))
    return row is not None and bool(row[0])


def take(session: Session, holder: Holder, lease_ms: int) -> None:
    """Take a lease, or take it again after it was lost."""
    session.run(
        """
        insert into {executors}
               (incarnation, executor_id, application_name, application_version, host, boot_id, pid, process_started,
                started_at_epoch_ms, heartbeat_at_epoch_ms, expires_at_epoch_ms, draining)
        values (:incarnation, :executor, :application, :version, :host, :boot, :pid, :process_started,
                {now_ms}, {now_ms}, {now_ms} + :lease_ms, false)
            on conflict (incarnation) do update
           set heartbeat_at_epoch_ms = excluded.heartbeat_at_epoch_ms,
               expires_at_epoch_ms = excluded.expires_at_epoch_ms
        """,
        incarnation=holder.incarnation,
        executor=holder.executor_id,
        application=holder.application_name,
        version=holder.application_version,
        host=holder.host,
        boot=holder.boot_id,
        pid=holder.pid,
        process_started=holder.process_started,
        lease_ms=lease_ms,
    )


def renew(session: Session, incarnation: str, lease_ms: int) -> bool:
    """Prolong a lease; False when it was lost: it had run out, and another process took over all its runs."""
    renewed = session.run(
        """
        update {executors}
           set heartbeat_at_epoch_ms = {now_ms}, expires_at_epoch_ms = {now_ms} + :lease_ms
         where incarnation = :incarnation
        """,
        incarnation=incarnation,
        lease_ms=lease_ms,
    )
    return renewed == 1


def drain(session: Session, incarnation: str) -> None:
    """Note that the holder is shutting down."""
    session.run("update {executors} set draining = true where incarnation = :incarnation", incarnation=incarnation)


def drop(session: Session, incarnation: str) -> None:
    """Give a lease up; what runs under it is everybody's to adopt, and who adopts it removes the row."""
    session.run(
        "update {executors} set expires_at_epoch_ms = 0, draining = true where incarnation = :incarnation",
        incarnation=incarnation,
    )


def remove_idle(session: Session, incarnation: str) -> None:
    """Remove a lease that was given up, if nothing runs under it."""
    session.run(
        f"""
        delete from {{executors}}
         where incarnation = :incarnation
           and not exists (select 1 from {{workflow_status}} w
                            where w.status = 'PENDING'
                              and substr(w.owner_xid, 1, {INCARNATION_LENGTH}) = :incarnation)
        """,
        incarnation=incarnation,
    )


def alive(session: Session, dialect: Dialect, application_name: str) -> int:
    """Count the leases of an application that have not run out."""
    if not are_there(session, dialect):
        return 0
    row = session.one(
        "select count(*) from {executors} where application_name = :application and expires_at_epoch_ms > {now_ms}",
        application=application_name,
    )
    return 0 if row is None else int(row[0])


def rename(session: Session, dialect: Dialect, old: str | None, new: str) -> None:
    """Give the leases of an application another name, so that processes of that name take over what is left."""
    if are_there(session, dialect):
        session.run(
            "update {executors} set application_name = :new where application_name = :old",
            old=old,
            new=new,
        )


def listed(session: Session, application_names: list[str] | None) -> list[ExecutorInfo]:
    """Read all leases of the named applications, None: of all, the oldest first, each with how much it runs."""
    rows = session.rows(
        f"""
        select e.executor_id, e.incarnation, e.application_name, e.application_version, e.host, e.pid,
               e.started_at_epoch_ms, e.heartbeat_at_epoch_ms, e.expires_at_epoch_ms,
               e.expires_at_epoch_ms > {{now_ms}}, e.draining, coalesce(r.runs, 0)
          from {{executors}} e
          left join (select substr(w.owner_xid, 1, {INCARNATION_LENGTH}) as incarnation, count(*) as runs
                       from {{workflow_status}} w
                      where w.status = 'PENDING'
                      group by 1) r
            on r.incarnation = e.incarnation
         order by e.started_at_epoch_ms, e.incarnation
        """
    )
    return [
        ExecutorInfo(
            executor_id=row[0],
            incarnation=row[1],
            application_name=row[2],
            application_version=row[3],
            host=row[4],
            pid=row[5],
            started_at=row[6],
            heartbeat_at=row[7],
            lease_expires_at=row[8],
            is_alive=bool(row[9]),
            is_draining=bool(row[10]),
            running_workflows=row[11],
        )
        for row in rows
        if application_names is None or row[2] in application_names or row[2] is None
    ]
