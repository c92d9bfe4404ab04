"""Postgres processes telling one another what changed, with LISTEN and NOTIFY on a connection of their own.

Knows the channels and their payloads (COM-21, NTF-1..8), how payloads are coalesced, and how a lost connection is
replaced. Leaves who is woken to the signals. Nothing here is durable or counted on: what is lost is found by polling.

Messages are told by the schema's trigger. Events and streams travel on the channels that DBOS's other SDKs listen to
and send on; everything else on a channel of our own, as JSON: nouns, and the names that have news or null for "any".
"""

from __future__ import annotations

import json
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import psycopg
from psycopg import pq

from .signals import Key

logger = logging.getLogger("dbos")

SHARED_CHANNELS = {
    "message": "dbos_notifications_channel",
    "event": "dbos_workflow_events_channel",
    "stream": "dbos_streams_channel",
}
OWN_CHANNEL = "dbos_signals_channel"
CHANNELS = (*SHARED_CHANNELS.values(), OWN_CHANNEL)

COALESCE_SEC = 0.010
RECONNECT_SEC = 1.0
MOST_BYTES = 7999
MOST_NAMES = 2000  # of one noun at once; of more, listeners learn only that there are some
STOP_SEC = 5.0

# A lost notification is found by polling: it needs no durable commit.
_SETTINGS = b"set synchronous_commit = off"
_LISTEN = "; ".join(f"listen {channel}" for channel in CHANNELS).encode()
_NOTIFY = b"select pg_notify(x.channel, x.payload) from json_to_recordset($1::json) as x(channel text, payload text)"

Notice = tuple[str, str]  # channel, payload


class Line(Protocol):
    """An open connection and how it is given back."""

    raw: psycopg.Connection[Any]

    def close(self) -> None:
        """Give it back."""


class Unsupported(Exception):
    """The database knows no LISTEN: there is no use in trying again."""


class PostgresWire:
    """One thread and one connection that hear other processes and tell them.

    `hear` gets the keys that have news; a key that is only a noun stands for all of that noun, and no keys at all for
    everything: something may have been missed.
    """

    def __init__(self, connect: Callable[[], Line], hear: Callable[[list[Key]], None], *, listens: bool) -> None:
        self._connect = connect
        self._hear = hear
        self._listens = listens
        self._lock = threading.Lock()
        self._pending: dict[Key, None] = {}
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._waking_end, self._woken_end = -1, -1
        self.hears = False

    def start(self) -> None:
        """Start the thread, if it was not."""
        with self._lock:
            if self._thread is not None or self._stopping:
                return
            self._woken_end, self._waking_end = os.pipe()
            os.set_blocking(self._waking_end, False)
            self._thread = threading.Thread(target=self._run, name="dbos-listener", daemon=True)
        self._thread.start()

    def tell(self, keys: Iterable[Key]) -> None:
        """Let other processes know, within some milliseconds."""
        if self._thread is None:
            self.start()
        with self._lock:
            was_empty = not self._pending
            self._pending.update(dict.fromkeys(keys))
            if was_empty and self._pending and not self._stopping:
                self._wake()

    def stop(self) -> None:
        """Tell what is pending, for the last time, and close the connection."""
        with self._lock:
            thread, self._stopping = self._thread, True
            if thread is None:
                return
            self._wake()
        thread.join(STOP_SEC)

    def _wake(self) -> None:
        os.write(self._waking_end, b"!")

    def _run(self) -> None:
        """Serve connection after connection until stopped; the pipe is this thread's to close."""
        try:
            while not self._stopping:
                self._serve_guarded()
        finally:
            with self._lock:
                self._stopping = True
                os.close(self._woken_end)
                os.close(self._waking_end)

    def _serve_guarded(self) -> None:
        try:
            self._serve()
        except Unsupported as error:
            logger.info("This database has no LISTEN and NOTIFY (%s): changes are found by polling", error)
            self._stopping = True
        except Exception as error:
            if not self._stopping:
                logger.warning("The listener's connection failed (%s), connecting again in %g s", error, RECONNECT_SEC)
                self._deafen()
                self._wait(RECONNECT_SEC, [self._woken_end])
        finally:
            self._deafen()

    def _deafen(self) -> None:
        if self.hears:
            self.hears = False
            self._hear([])

    def _serve(self) -> None:
        held = self._connect()
        try:
            pgconn = held.raw.pgconn
            _execute(pgconn, _SETTINGS)
            if self._listens:
                _execute(pgconn, _LISTEN)
                self.hears = True
                self._hear([])  # what was told before this moment went unheard
            told_at = 0.0
            while not self._stopping:
                due_sec = told_at + COALESCE_SEC - time.monotonic() if self._pending else None
                if due_sec is not None and due_sec <= 0:
                    self._flush(pgconn)
                    told_at = time.monotonic()
                    continue
                readable = self._wait(due_sec, [pgconn.socket, *([] if self._pending else [self._woken_end])])
                if pgconn.socket in readable:
                    pgconn.consume_input()
                    if pgconn.status != pq.ConnStatus.OK:
                        raise psycopg.OperationalError("the server closed the connection")
                self._take_in(pgconn)
            self._flush(pgconn)
        finally:
            held.close()

    def _wait(self, seconds: float | None, descriptors: list[int]) -> set[int]:
        poll = select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        ready = {found for found, _ in poll.poll(None if seconds is None else 1 + max(0.0, seconds) * 1000)}
        if self._woken_end in ready:
            os.read(self._woken_end, 4096)
        return ready

    def _take_in(self, pgconn: pq.abc.PGconn) -> None:
        """Pass on what the server has notified us of, but for our own words: those were heard here already."""
        heard: list[Key] = []
        while (notice := pgconn.notifies()) is not None:
            if notice.be_pid != pgconn.backend_pid:
                heard += keys_of(notice.relname.decode(), notice.extra.decode(errors="replace"))
        if heard:
            self._hear(heard)

    def _flush(self, pgconn: pq.abc.PGconn) -> None:
        with self._lock:
            keys, self._pending = list(self._pending), {}
        notices = list(notices_of(keys))
        try:
            _notify(pgconn, notices)
        except _Refused:
            # One bad payload must not cost the others (COM-21).
            for notice in notices:
                try:
                    _notify(pgconn, [notice])
                except _Refused as error:
                    logger.warning("A notification on %s is dropped: %s", notice[0], error)


class _Refused(Exception):
    """The server refuses a statement and keeps the connection."""


def _notify(pgconn: pq.abc.PGconn, notices: list[Notice]) -> None:
    if notices:
        rows = json.dumps([{"channel": channel, "payload": payload} for channel, payload in notices])
        _check(pgconn, pgconn.exec_params(_NOTIFY, [rows.encode()]))


def _execute(pgconn: pq.abc.PGconn, statement: bytes) -> None:
    try:
        _check(pgconn, pgconn.exec_(statement))
    except _Refused as error:
        raise Unsupported(str(error)) from error


def _check(pgconn: pq.abc.PGconn, result: Any) -> None:
    if result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
        return
    message = result.error_message.decode(errors="replace").strip()
    if pgconn.status != pq.ConnStatus.OK:
        raise psycopg.OperationalError(message)
    raise _Refused(message)


def notices_of(keys: list[Key]) -> Iterator[Notice]:
    """Return what to send for keys: as few payloads as possible, none longer than Postgres takes."""
    own: dict[str, list[Any]] = {}
    for noun, *names in keys:
        channel = SHARED_CHANNELS.get(noun)
        if channel is None:
            own.setdefault(noun, []).append(names[0] if len(names) == 1 else names)
        elif noun != "message":  # the trigger of the schema has told it (NTF-3)
            payload = "::".join(names)
            if len(payload.encode(errors="surrogatepass")) > MOST_BYTES:
                logger.warning("A notification on %s is dropped: its payload is longer than 8000 bytes", channel)
            else:
                yield channel, payload
    for noun, some in own.items():
        yield from _own_notices(noun, some)


def _own_notices(noun: str, names: list[Any]) -> Iterator[Notice]:
    if len(names) > MOST_NAMES:
        yield OWN_CHANNEL, json.dumps({noun: None})
        return
    payload = json.dumps({noun: names})
    if len(payload) <= MOST_BYTES:
        yield OWN_CHANNEL, payload
    elif len(names) == 1:
        yield OWN_CHANNEL, json.dumps({noun: None})
    else:
        middle = len(names) // 2
        yield from _own_notices(noun, names[:middle])
        yield from _own_notices(noun, names[middle:])


def keys_of(channel: str, payload: str) -> list[Key]:
    """Return which keys a notification may be about; of one that makes no sense, none (NTF-6)."""
    if channel != OWN_CHANNEL:
        noun = next(noun for noun, name in SHARED_CHANNELS.items() if name == channel)
        # Either part may itself contain the separator: every reading of it is worth a look.
        parts = payload.split("::")
        return [(noun, "::".join(parts[:cut]), "::".join(parts[cut:])) for cut in range(1, len(parts))]
    try:
        told = json.loads(payload)
        return [key for noun, names in told.items() for key in _own_keys(noun, names)]
    except (ValueError, AttributeError, TypeError):
        logger.debug("A notification on %s makes no sense", channel)
        return []


def _own_keys(noun: str, names: list[Any] | None) -> list[Key]:
    if names is None:
        return [(noun,)]
    return [(noun, name) if isinstance(name, str) else (noun, *map(str, name)) for name in names]
