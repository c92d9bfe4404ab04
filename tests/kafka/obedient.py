"""A Kafka client that does as it is told, for what a real broker seldom does."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError


@dataclass
class Message:
    """What `consume` returns."""

    value_: Any
    offset_: int = 0
    partition_: int = 0
    topic_: str = "orders"
    error_: Any = None

    def __getattr__(self, name: str) -> Callable[[], Any]:
        """Be read by methods, as a message of the library is."""
        known = {"headers": None, "key": None, "latency": None, "leader_epoch": None, "timestamp": (1, 0)}
        if name in known:
            return lambda: known[name]
        if f"{name}_" in self.__dict__:
            return lambda: self.__dict__[f"{name}_"]
        raise AttributeError(name)


class Trouble:
    """An error among messages."""

    def __init__(self, *, fatal: bool = False) -> None:
        """Say whether the client is of no more use."""
        self._fatal = fatal

    def fatal(self) -> bool:
        """Tell so."""
        return self._fatal

    def name(self) -> str:
        """Name it."""
        return "_TRANSPORT"

    def code(self) -> int:
        """Give its number."""
        return -195

    def str(self) -> str:
        """Describe it."""
        return "the broker is away"


@dataclass
class Fake:
    """Every client that DBOS makes of `confluent_kafka.Consumer`, and what they were asked."""

    batches: queue.Queue[Any] = field(default_factory=queue.Queue)
    configs: list[dict[str, Any]] = field(default_factory=list)
    topics: list[list[str]] = field(default_factory=list)
    stored: list[tuple[str, int, int]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    closed: int = 0
    refusing: list[BaseException] = field(default_factory=list)
    storing: threading.Event = field(default_factory=threading.Event)

    def __call__(self, config: dict[str, Any]) -> Fake:
        """Make a client, unless told to refuse."""
        if self.refusing:
            raise self.refusing.pop()
        self.configs.append(config)
        return self

    def subscribe(self, topics: list[str]) -> None:
        """Note what is subscribed to."""
        self.topics.append(topics)

    def consume(self, size: int, timeout: float) -> Any:
        """Give the next batch, or raise it."""
        self.sizes.append(size)
        try:
            batch = self.batches.get(timeout=min(timeout, 0.02))
        except queue.Empty:
            return []
        if isinstance(batch, BaseException):
            raise batch
        return batch

    def store_offsets(self, *, offsets: list[Any]) -> None:
        """Note what was stored; a negative partition is one that was taken away."""
        for offset in offsets:
            if offset.partition == 99:
                raise confluent_kafka.KafkaException(KafkaError(KafkaError._STATE))
            self.stored.append((offset.topic, offset.partition, offset.offset))
        self.storing.set()

    def close(self) -> None:
        """Note it."""
        self.closed += 1
