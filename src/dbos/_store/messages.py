"""Messages: how they are sent, found and consumed.

Owns `notifications`. Leaves waiting to the signals, and what a message means to the engine. Sending is one statement
that also sees that every destination exists; consuming is one that records the receiving step too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from .._error import DBOSNonExistentWorkflowError
from .database import Kind, Session
from .signals import Key
from .steps import INSERT_DEADLINE, STEP_KEY, Step, TimedStep, insert_step
from .workflows import OWNED, judge_owner

NULL_TOPIC = "__null__topic__"  # how the topic None is stored (MSG-11)

_COLUMNS = "(message_uuid, destination_uuid, topic, message, serialization)"
_SHIFTED = "(message_uuid, destination_uuid, topic, message, serialization, created_at_epoch_ms)"
_OF_RECORDS = "{rows} cross join {elements:r.messages}"
_OF_PARAMETER = "{elements::messages}"


def _there(destination: str) -> str:
    """Return the condition that a workflow exists, and goes on to until the message is committed.

    Its foreign key wants that too, but would have the database refuse the statement, where this finds nobody there.
    """
    return f"exists (select 1 from {{workflow_status}} d where d.workflow_uuid = {destination} {{stay:d}})"


# Found by the statement that sends; nothing is sent if one is missing (MSG-4).
_MISSING = f"""
select {{element:destination}}
  from {{elements:r.messages}}
 where not {_there("{element:destination}")}
"""


def _insert(source: str, only: str) -> str:
    """Return the statement that stores messages as they are addressed."""
    return f"""
insert into {{notifications}} {_SHIFTED}
select coalesce({{element:key}} || '::' || {{element:destination}}, {{element:id}}), {{element:destination}},
       {{element:topic}}, {{element:message}}, {{element:serialization}},
       {{now_ms}} + cast({{element:shift_ms}} as bigint)
  from {source}
 where {only}
    on conflict (message_uuid) do nothing
"""


def _insert_with_forks(source: str, only: str) -> str:
    """Return the statement that stores messages for their destinations and all forks of those, each once (MSG-16)."""
    return f"""
insert into {{notifications}} {_SHIFTED}
select coalesce(f.key || '::' || f.recipient, case when f.recipient = f.destination then f.id else {{uuid}} end),
       f.recipient, f.topic, f.message, f.serialization, {{now_ms}} + f.shift_ms
  from (with recursive forks(id, recipient) as (
            select {{element:id}}, {{element:destination}}
              from {source}
             union
            select forks.id, w.workflow_uuid
              from forks
              join {{workflow_status}} w on w.forked_from = forks.recipient
        )
        select {{element:id}} as id, {{element:key}} as key, {{element:destination}} as destination,
               {{element:topic}} as topic, {{element:message}} as message, {{element:serialization}} as serialization,
               cast({{element:shift_ms}} as bigint) as shift_ms, forks.recipient as recipient
          from {source}
          join forks on forks.id = {{element:id}}
         where {only}) f
 where {_there("f.recipient")}
 order by f.id
    on conflict (message_uuid) do nothing
"""


@dataclass(frozen=True, slots=True)
class Message:
    """A message to send; with a `key` its id is made of that (MSG-12), else it is `id`."""

    id: str
    destination: str
    topic: str
    message: str
    serialization: str
    key: str | None
    shift_ms: int = 0  # how much younger than the first one of its transaction it counts as

    @property
    def message_id(self) -> str:
        """What it is stored under at its destination."""
        return self.id if self.key is None else f"{self.key}::{self.destination}"

    @property
    def signal(self) -> Key:
        """What to fire once it is sent."""
        return message_key(self.destination, self.topic)


@dataclass(frozen=True, slots=True)
class Sending(Step):
    """Messages, as a JSON array, and the step that sends them: delivered once with it (MSG-2)."""

    messages: str

    def size(self) -> int:
        """Return about how many bytes the record's payload has."""
        return len(self.messages)


_CLAIM = insert_step(only=f"and not exists ({_MISSING})")
SEND = Kind("send", Sending, STEP_KEY, _CLAIM, (_insert(_OF_RECORDS, "{took}"),))
SEND_TO_FORKS = Kind("send_to_forks", Sending, STEP_KEY, _CLAIM, (_insert_with_forks(_OF_RECORDS, "{took}"),))


@dataclass(frozen=True, slots=True)
class SendingOne(Step):
    """A message to one destination and the step that sends it: what most sends are."""

    message_id: str
    destination: str
    topic: str
    message: str
    message_serialization: str

    def size(self) -> int:
        """Return about how many bytes the record's payload has."""
        return len(self.message)


_EXISTS = _there("r.destination")
SEND_ONE = Kind(
    "send_one",
    SendingOne,
    STEP_KEY,
    insert_step(only=f"and {_EXISTS}"),
    (
        f"""
insert into {{notifications}} {_COLUMNS}
select r.message_id, r.destination, r.topic, r.message, r.message_serialization
  from {{rows}}
 where {{took}}
    on conflict (message_uuid) do nothing
""",
    ),
)


@dataclass(frozen=True, slots=True)
class Posted:
    """One message from outside workflow code; from a step, only while its run is still ours (MSG-3)."""

    message_id: str
    destination: str
    topic: str
    message: str
    serialization: str
    workflow_id: str | None
    owner: str | None

    def size(self) -> int:
        """Return about how many bytes the record's payload has."""
        return len(self.message)


_POST = f"""
insert into {{notifications}} {_COLUMNS}
select r.message_id, r.destination, r.topic, r.message, r.serialization
  from {{rows}}
"""
_POST_KEY = {"message_id": "message_uuid"}
# It locks no run: any order will do.
POST = Kind(
    "post", Posted, _POST_KEY, f"{_POST} where {_EXISTS} on conflict (message_uuid) do nothing", locks="message_id"
)
POST_FROM_STEP = Kind(
    "post_from_step",
    Posted,
    _POST_KEY,
    f"{_POST} where {OWNED} and {_EXISTS} on conflict (message_uuid) do nothing",
)


def judge_posted(session: Session, posted: Posted) -> bool:
    """Tell whether a message that did not take is there anyway: its key was used, or the reply was lost."""
    if posted.workflow_id is not None and posted.owner is not None:
        judge_owner(session, posted.workflow_id, posted.owner)
    return session.one("select 1 from {notifications} where message_uuid = :id", id=posted.message_id) is not None


def post_all(
    session: Session, messages: Sequence[Message], *, to_forks: bool, held: tuple[str, str] | None
) -> list[Key]:
    """Store messages, all or none, and return their signals; `held`: a run that must still be ours, and its token."""
    if held is not None:
        session.rows("select 1 from {workflow_status} w where w.workflow_uuid = :id {lock:w}", id=held[0])
        judge_owner(session, *held)
    array = encoded(messages)
    if session.rows(_MISSING.replace("r.messages", ":messages"), messages=array):
        raise homeless(messages)
    insert = (_insert_with_forks if to_forks else _insert)(_OF_PARAMETER, "true")
    rows = session.rows(insert + " returning destination_uuid, topic", messages=array)
    return [message_key(*row) for row in rows]


def homeless(messages: Sequence[Message]) -> DBOSNonExistentWorkflowError:
    """Return the error of messages to a workflow that does not exist: it names all destinations (MSG-4)."""
    return DBOSNonExistentWorkflowError("`send` destination", ", ".join(sorted({m.destination for m in messages})))


def encoded(messages: Sequence[Message]) -> str:
    """Return messages as the JSON array that the statements read."""
    return json.dumps([asdict(message) for message in messages], ensure_ascii=False)


def in_order(messages: Sequence[Message], after: Message | None = None) -> list[Message]:
    """Keep messages of one transaction in the order they are sent in, after an earlier one of it (MSG-21).

    The database creates them at one time. Our ids then order messages without a key, their places those with one:
    where the two alternate, the later counts as a millisecond younger.
    """
    ordered: list[Message] = []
    for message in messages:
        if after is not None:
            alternates = (after.key is None) != (message.key is None)
            message = replace(message, shift_ms=after.shift_ms + alternates)
        ordered.append(message)
        after = message
    return ordered


def forks_of(session: Session, workflow_ids: Sequence[str]) -> list[str]:
    """Read the workflows forked from the given ones, their forks, and so on."""
    rows = session.rows(
        """
        with recursive forks(id) as (
            select workflow_uuid from {workflow_status} where forked_from {in:ids}
             union
            select w.workflow_uuid from forks join {workflow_status} w on w.forked_from = forks.id
        )
        select id from forks
        """,
        ids=list(workflow_ids),
    )
    return [row[0] for row in rows]


@dataclass(frozen=True, slots=True)
class Stored:
    """A message that waits to be received."""

    message_id: str
    message: str
    serialization: str | None


def oldest(session: Session, workflow_id: str, topic: str, limit: int) -> list[Stored]:
    """Read the messages to receive next, in order (MSG-21)."""
    rows = session.rows(
        """
        select n.message_uuid, n.message, n.serialization
          from {notifications} n
         where n.destination_uuid = :id and n.topic = :topic and not n.consumed
         order by n.created_at_epoch_ms, {sent:n}
         limit :limit
        """,
        id=workflow_id,
        topic=topic,
        limit=limit,
    )
    return [Stored(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Listed:
    """A message as the list of a mailbox shows it."""

    topic: str | None
    message: str
    serialization: str | None
    created_at_ms: int
    consumed: bool


def all_messages(session: Session, workflow_id: str) -> list[Listed]:
    """Read every message to a workflow, in order (MSG-33)."""
    rows = session.rows(
        """
        select n.topic, n.message, n.serialization, n.created_at_epoch_ms, n.consumed
          from {notifications} n
         where n.destination_uuid = :id
         order by n.created_at_epoch_ms, {sent:n}
        """,
        id=workflow_id,
    )
    return [Listed(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Receipt(TimedStep):
    """The consumption of a message and the step that receives it, which records the message as it was sent."""

    message_id: str


RECEIVE = Kind(
    "receive",
    Receipt,
    STEP_KEY,
    insert_step(
        "(select m.message from {notifications} m where m.message_uuid = r.message_id)",
        "(select m.serialization from {notifications} m where m.message_uuid = r.message_id)",
        only="""and exists (select 1 from {notifications} m
                where m.message_uuid = r.message_id and not m.consumed {lock:m})""",
    ),
    (
        # An insert that always conflicts, as for outcomes: the message is there and locked.
        """
insert into {notifications} (message_uuid, destination_uuid, message, consumed_by_function_id)
select r.message_id, r.workflow_id, '', r.step_id
  from {rows}
 where {took}
    on conflict (message_uuid) do update
   set consumed = true, consumed_by_function_id = excluded.consumed_by_function_id
""",
        INSERT_DEADLINE,
    ),
)


def message_key(workflow_id: str, topic: str) -> Key:
    """Return the key that is fired when a message was sent."""
    return ("message", workflow_id, topic)


def arrived(session: Session, keys: list[Key]) -> list[Key]:
    """Tell for which of the awaited (workflow, topic) a message is there: the probe behind ("message", id, topic)."""
    rows = session.rows(
        """
        select distinct n.destination_uuid, n.topic
          from {notifications} n
         where n.destination_uuid {in:ids} and n.topic {in:topics} and not n.consumed
        """,
        ids=list({key[1] for key in keys}),
        topics=list({key[2] for key in keys}),
    )
    return [message_key(*row) for row in rows]
