"""Kafka consumers: one workflow per message, in the order asked for.

Knows configurations, orderings, ids and partition keys (chapter 3, §3.7). Leaves the loop that consumes to
`kafka_service`, the client library to `confluent-kafka`, which is imported with this.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from .._engine.context import Context, EnqueueDefaults, NextId
from .._engine.registry import REGISTRY
from .._engine.runtime import Runtime, installed
from .._engine.target import target_of
from .._engine.workflow import Queued, start_of
from .._error import DBOSInitializationError
from .._model.queue import KAFKA_ORDERED_QUEUE, KAFKA_QUEUE, QueueSettings
from .._model.records import KafkaMessage
from .._store import queues
from .._store.workflows import Start

logger = logging.getLogger("dbos")

Ordering = Literal["none", "partition", "topic"]
ORDERINGS = ("none", "partition", "topic")
LONGEST_GROUP_ID = 255
_FALSE = (False, "false", "False", 0, "0")
_TRUE = (True, "true", "True", 1, "1")


@dataclass(frozen=True, slots=True, eq=False)
class Consumer:
    """A consumer as it was declared."""

    name: str
    function: Callable[..., Any]
    config: dict[str, Any]
    topics: tuple[str, ...]
    ordering: Ordering
    batch_size: int
    queue_name: str

    @property
    def group_id(self) -> str:
        """The consumer group."""
        return str(self.config["group.id"])

    def own_queue(self, polling_sec: float) -> QueueSettings | None:
        """Return the internal queue it uses, if it does (EV-5, EV-6)."""
        if self.queue_name == KAFKA_QUEUE:
            return QueueSettings(KAFKA_QUEUE, polling_interval_sec=polling_sec)
        if self.queue_name == KAFKA_ORDERED_QUEUE:
            return QueueSettings(
                KAFKA_ORDERED_QUEUE, partition_concurrency=1, partition_flag=True, polling_interval_sec=polling_sec
            )
        return None

    def check(self, node: Runtime) -> None:
        """Refuse a queue that is partitioned (EV-4)."""
        if self.own_queue(1.0) is not None:
            return
        settings = REGISTRY.queues.get(self.queue_name)
        if settings is None:
            settings = node.database.read(lambda session: queues.get(session, self.queue_name))
        if settings is not None and settings.partitioned:
            raise DBOSInitializationError(
                f"Kafka consumer {self.name} cannot use queue {self.queue_name}: it is a partitioned queue. Use "
                'another queue, or ordering="partition" or "topic" without a queue_name'
            )

    def service(self, node: Runtime) -> Any:
        """Return the service that consumes, for one launch."""
        from .kafka_service import KafkaService

        return KafkaService(node, self)

    def partition_key(self, message: KafkaMessage) -> str | None:
        """Return what a message waits behind (EV-8)."""
        if self.ordering == "none":
            return None
        of_topic = f"{self.group_id}:{message.topic}"
        return of_topic if self.ordering == "topic" else f"{of_topic}:{message.partition}"

    def start(self, node: Runtime, message: KafkaMessage, created_at_ms: int) -> Start:
        """Return the row of a message's workflow, which takes nothing from the context here (EV-7, EV-16)."""
        workflow_id = f"kafka-unique-id-{message.topic}-{message.partition}-{self.group_id}-{message.offset}"
        queued = Queued(self.queue_name, EnqueueDefaults(queue_partition_key=self.partition_key(message)))
        target = target_of(self.function, (message,), {})
        now_ms = node.clock.now_ms()
        next_id = NextId(workflow_id, None)
        return start_of(node, target, Context(), None, 0, queued, None, next_id, now_ms, created_at_ms)


def declare(
    function: Callable[..., Any],
    config: Mapping[str, Any],
    topics: Sequence[str],
    in_order: bool,
    ordering: str | None,
    batch_size: int,
    queue_name: str | None,
) -> None:
    """Register a consumer; one declared after the launch begins at once (EV-19)."""
    order = _ordering(in_order, ordering)
    if batch_size < 1:
        raise DBOSInitializationError("Kafka batch_size must be positive")
    if queue_name is not None and order != "none":
        raise DBOSInitializationError(
            'queue_name is only supported with ordering="none": ordered consumers share an internal partitioned queue'
        )
    name = target_of(getattr(function, "__func__", function), (), {}).workflow.name
    settled = _settled(name, config, topics)
    queue = queue_name or (KAFKA_QUEUE if order == "none" else KAFKA_ORDERED_QUEUE)
    consumer = Consumer(name, function, settled, tuple(topics), order, batch_size, queue)
    _refuse_sharing(consumer)
    node = installed()
    if node is not None:
        consumer.check(node)
    REGISTRY.receivers.append(consumer)
    if node is not None:
        node.receive(consumer)


def _ordering(in_order: bool, ordering: str | None) -> Ordering:
    if in_order and ordering is not None:
        raise DBOSInitializationError("Give a Kafka consumer either in_order or ordering, not both")
    if in_order:
        warnings.warn('in_order is deprecated: use ordering="topic"', DeprecationWarning, stacklevel=4)
        return "topic"
    if ordering in (None, *ORDERINGS):
        return cast(Ordering, ordering or "none")
    raise DBOSInitializationError(f'invalid Kafka ordering {ordering!r}: must be "none", "partition" or "topic"')


def _settled(name: str, config: Mapping[str, Any], topics: Sequence[str]) -> dict[str, Any]:
    """Return a copy of a configuration with what exactly-once needs (EV-9)."""
    settled = {"auto.offset.reset": "earliest", **config}
    if settled.get("enable.auto.offset.store") in _TRUE:
        logger.warning(
            "Kafka consumer %s: overriding enable.auto.offset.store=True, for an offset is stored once its workflow is "
            "durable",
            name,
        )
    settled["enable.auto.offset.store"] = False
    if "enable.auto.commit" in settled and settled["enable.auto.commit"] in _FALSE:
        logger.warning(
            "Kafka consumer %s: overriding enable.auto.commit=%r, for auto-commit publishes what is stored",
            name,
            settled["enable.auto.commit"],
        )
        settled["enable.auto.commit"] = True
    if not settled.get("group.id"):
        parts = [re.sub(r"[^A-Za-z0-9-]", "", part) for part in (name, *topics)]
        settled["group.id"] = f"dbos-kafka-group-{'-'.join(parts)}"[:LONGEST_GROUP_ID]
        logger.warning("Kafka consumer %s has no group.id: using %s", name, settled["group.id"])
    return settled


def _refuse_sharing(consumer: Consumer) -> None:
    """Refuse a second consumer of a group for a topic, for each would get part of the messages (EV-3)."""
    for other in REGISTRY.receivers:
        if not isinstance(other, Consumer) or other.group_id != consumer.group_id:
            continue
        common = sorted(set(other.topics) & set(consumer.topics))
        if common:
            raise DBOSInitializationError(
                f"Kafka consumers {other.name} and {consumer.name} share group.id {consumer.group_id} and the topics "
                f"{', '.join(common)}: each message would reach only one of them. Give them group ids of their own"
            )
        logger.warning(
            "Kafka consumers %s and %s share group.id %s with different topics, which causes rebalancing: give them "
            "group ids of their own",
            other.name,
            consumer.name,
            consumer.group_id,
        )
