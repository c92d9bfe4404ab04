"""The loop of a Kafka consumer: consume, enqueue in one transaction, store the offsets; and again after any failure.

An offset is stored only once its message's row is durable, and a row is written only if its id is new. So whatever
crashes when, no message is lost and each runs once (EV-11). Leaves what a message becomes to `kafka`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from .._engine.runtime import Runtime
from .._model.records import KafkaMessage
from .._service.service import Service
from .._store import workflows
from .._store.database import BadRecord, Lane, Session
from .._store.workflows import START, Start
from .kafka import Consumer

logger = logging.getLogger("dbos")

CONSUME_SEC = 1.0
FIRST_PAUSE_SEC, LONGEST_PAUSE_SEC = 1.0, 60.0


class KafkaService(Service):
    """Consumes for one declared consumer during one launch."""

    def __init__(self, node: Runtime, declared: Consumer) -> None:
        super().__init__(f"kafka-{declared.name}", self._turn)
        self._node = node
        self._declared = declared
        self._client: Any = None
        self._lane: Lane | None = None
        self._batch: list[Any] = []  # consumed, and not yet durable
        self._pause_sec = FIRST_PAUSE_SEC

    def _run(self) -> None:
        try:
            super()._run()
        finally:
            self._close()

    def _turn(self) -> float:
        """Do one round; return how long to wait before the next: after a failure longer each time, up to a minute."""
        step, fatal = "", False
        try:
            step = "connect"
            client = self._client or self._connect()
            if not self._batch:
                step = "consume"
                self._batch, fatal = self._sorted_out(client.consume(self._declared.batch_size, CONSUME_SEC))
            step = "enqueue"
            self._enqueue(self._batch)
        except Exception as error:
            self._failed(step, error)
            pause, self._pause_sec = self._pause_sec, min(LONGEST_PAUSE_SEC, self._pause_sec * 2)
            return pause
        batch, self._batch, self._pause_sec = self._batch, [], FIRST_PAUSE_SEC
        self._store_offsets(client, batch)
        if fatal:
            self._close_client()
        return 0.0

    def _failed(self, step: str, error: Exception) -> None:
        """Log a failure. A batch that cannot be enqueued is kept (EV-12); any other takes a new client (EV-14)."""
        if self.stopping:
            return
        logger.warning(
            "Kafka consumer %s could not %s; trying again in %.0f s: %s",
            self._declared.name,
            step,
            self._pause_sec,
            error,
            exc_info=error,
        )
        self._close_lane()
        if step != "enqueue":
            self._close_client()

    # --- Kafka

    def _connect(self) -> Any:
        declared = self._declared
        client = confluent_kafka.Consumer({**declared.config, "error_cb": self._error_callback()})
        try:
            client.subscribe(list(declared.topics))
        except BaseException:
            client.close()
            raise
        self._client = client
        return client

    def _error_callback(self) -> Callable[[KafkaError], None]:
        """Return what librdkafka calls: ours logs, then calls the application's; nothing escapes (EV-10)."""
        declared, theirs = self._declared, self._declared.config.get("error_cb")

        def heard(error: KafkaError) -> None:
            logger.error(
                "Kafka error in consumer %s (group %s, topics %s): %s",
                declared.name,
                declared.group_id,
                ", ".join(declared.topics),
                described(error),
            )
            if theirs is None:
                return
            try:
                theirs(error)
            except Exception:
                logger.exception("The error_cb of Kafka consumer %s raised", declared.name)

        return heard

    def _sorted_out(self, messages: Iterable[Any]) -> tuple[list[Any], bool]:
        """Return the messages among what was consumed, and whether an error among them is fatal (EV-14)."""
        good, fatal = [], False
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
                continue
            logger.error("Kafka consumer %s got an error: %s", self._declared.name, described(error))
            fatal = fatal or error.fatal()
        return good, fatal

    def _store_offsets(self, client: Any, batch: Sequence[Any]) -> None:
        """Let auto-commit publish how far the batch got. A partition that was taken away is its new owner's (EV-14)."""
        highest: dict[tuple[str, int], int] = {}
        for message in batch:
            place = (message.topic(), message.partition())
            highest[place] = max(message.offset(), highest.get(place, -1))
        for (topic, partition), offset in highest.items():
            try:
                client.store_offsets(offsets=[TopicPartition(topic, partition, offset + 1)])
            except KafkaException as error:
                logger.warning(
                    "Kafka consumer %s could not store offset %d of %s[%d]: %s",
                    self._declared.name,
                    offset,
                    topic,
                    partition,
                    error,
                )

    # --- the database

    def _enqueue(self, batch: Sequence[Any]) -> None:
        """Make the rows of a batch durable in one transaction, skipping those that are there (EV-11)."""
        messages = [translated(message) for message in batch]
        if not messages:
            return
        starts = self._starts(messages)
        if starts:
            self._write(starts)
        queue_name = self._declared.queue_name
        for key in {start.queue_partition_key for start in starts}:
            self._node.enqueued(queue_name, key)

    def _starts(self, messages: Sequence[KafkaMessage]) -> list[Start]:
        stamps = self._stamps(messages)
        starts = []
        for message, created_at_ms in zip(messages, stamps, strict=True):
            try:
                starts.append(self._declared.start(self._node, message, created_at_ms))
            except Exception:
                self._dropped(message)
        return starts

    def _stamps(self, messages: Sequence[KafkaMessage]) -> list[int]:
        """Return creation times: under one partition key strictly increasing, above all that wait or run (EV-15)."""
        keys = [self._declared.partition_key(message) for message in messages]
        queue_name = self._declared.queue_name

        def read(session: Session) -> dict[str, int]:
            present = {key for key in keys if key is not None}
            return {key: workflows.newest_of_partition(session, queue_name, key) for key in present}

        newest = self._node.database.read(read) if any(keys) else {}
        now_ms = self._node.clock.now_ms()
        stamps = []
        for key in keys:
            stamp = now_ms if key is None else max(now_ms, newest[key] + 1)
            if key is not None:
                newest[key] = stamp
            stamps.append(stamp)
        return stamps

    def _write(self, starts: list[Start]) -> None:
        if self._lane is None:
            self._lane = self._node.database.lane()
        try:
            self._lane.write([(START, starts)])
        except BadRecord as refusal:
            if not refusal.of_value:
                raise  # of a missing table, a full disk: nothing is wrong with the message
            if len(starts) == 1:
                self._dropped(starts[0].workflow_id)
                return
            for start in starts:  # rare: the database refuses a value of one of them
                self._write([start])

    def _dropped(self, what: object) -> None:
        logger.exception("Dropping unprocessable Kafka message in consumer %s: %s", self._declared.name, what)

    # --- the end

    def _close_client(self) -> None:
        client, self._client = self._client, None
        self._batch = []
        if client is not None:
            try:
                client.close()
            except Exception:
                logger.warning("Kafka consumer %s did not close well", self._declared.name, exc_info=True)

    def _close_lane(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.close()

    def _close(self) -> None:
        self._close_client()
        self._close_lane()


def translated(message: Any) -> KafkaMessage:
    """Return a message as a workflow gets it."""
    return KafkaMessage(
        headers=message.headers(),
        key=message.key(),
        latency=message.latency(),
        leader_epoch=message.leader_epoch(),
        offset=message.offset(),
        partition=message.partition(),
        timestamp=message.timestamp(),
        topic=message.topic(),
        value=message.value(),
    )


def described(error: Any) -> str:
    """Return an error as text, whatever it is."""
    try:
        return f"{error.name()} ({error.code()}): {error.str()}"
    except Exception:
        return str(error)
