"""Kafka for tests: librdkafka's mock cluster, or a client that does as it is told."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import Producer
from obedient import Fake

# How soon a member of a group that has died is noticed.
SESSION = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500}


class Cluster:
    """A mock cluster: it lives in a producer, and speaks Kafka's protocol on a local port."""

    def __init__(self) -> None:
        """Start it."""
        self._producer = Producer({"bootstrap.servers": "none:1", "test.mock.num.brokers": 1, "log_level": 0})
        (broker,) = self._producer.list_topics(timeout=10).brokers.values()
        self.address = f"{broker.host}:{broker.port}"

    def topic(self) -> str:
        """Make a topic of four partitions."""
        name = f"topic-{uuid.uuid4().hex[:8]}"
        self._producer.list_topics(name, timeout=10)
        return name

    def send(self, topic: str, *values: str, partition: int = 0, **more: Any) -> None:
        """Append messages to a partition."""
        for value in values:
            self._producer.produce(topic, value=value.encode(), partition=partition, **more)
        assert self._producer.flush(10) == 0

    def config(self, group: str | None = None) -> dict[str, Any]:
        """Return a configuration for a group of its own, or the group given."""
        group = group or f"group-{uuid.uuid4().hex[:8]}"
        return {"bootstrap.servers": self.address, "group.id": group, "auto.commit.interval.ms": 100, **SESSION}


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster of this worker."""
    return Cluster()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Let DBOS have these clients."""
    made = Fake()
    monkeypatch.setattr(confluent_kafka, "Consumer", made)
    yield made
