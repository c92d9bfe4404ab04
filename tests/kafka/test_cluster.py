"""Consumers of a real client library, on librdkafka's mock cluster."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import dbos
from dbos import DBOS, KafkaMessage


def until(condition: Any) -> Any:
    """Return the condition's first truthy value."""
    deadline = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    return value


@pytest.mark.rules("EV-1", "EV-7", "EV-17", "EV-18", "EV-19", "EV-11", "EV-5")
def test_every_ordering(cluster, launch, db):
    """Two groups before the launch and two consumers after it, poison among the messages; one launch for all."""
    topic = cluster.topic()
    for partition in range(4):
        cluster.send(topic, *(f"{partition}/{n}" for n in range(10)), partition=partition, headers={"n": "1"}, key="k")
    cluster.send(topic, "poison", partition=0)
    cluster.send(topic, "0/10", partition=0)
    got: dict[str, list[KafkaMessage]] = {"none": [], "partition": [], "topic": [], "regex": []}
    running: dict[str, int] = dict.fromkeys(got, 0)
    most: dict[str, int] = dict.fromkeys(got, 0)
    lock = threading.Lock()

    def declare(name: str, topics: list[str], **options: Any) -> None:
        @DBOS.kafka_consumer(cluster.config(f"{name}-{topic}"), topics, **options)
        @DBOS.workflow(name=name)
        def take(message: KafkaMessage) -> None:
            with lock:
                running[name] += 1
                most[name] = max(most[name], running[name])
                got[name].append(message)
            threading.Event().wait(0.001)
            with lock:
                running[name] -= 1
            if message.value == b"poison":
                raise ValueError("poison")

    declare("none", [topic])
    declare("partition", [topic], ordering="partition")
    launch(kafka_queue_polling_interval_sec=0.1)
    declare("topic", [topic], ordering="topic")
    declare("regex", [f"^{topic[:-1]}.$"])
    until(lambda: all(len(messages) >= 42 for messages in got.values()))
    DBOS.destroy()
    for messages in got.values():
        assert len({(message.partition, message.offset) for message in messages}) == len(messages) == 42
    for name in ("partition", "topic"):
        for partition in range(4):
            offsets = [message.offset for message in got[name] if message.partition == partition]
            assert offsets == sorted(offsets)
    assert most["topic"] == 1
    assert most["partition"] <= 4
    message = got["none"][0]
    assert (message.topic, message.key, message.headers) == (topic, b"k", [("n", b"1")])
    assert isinstance(message.timestamp[1], int)
    statuses = db.rows("select status, count(*) as n from {workflow_status} group by status order by status")
    assert [(row["status"], row["n"]) for row in statuses] == [("ERROR", 4), ("SUCCESS", 164)]
    ids = [row["workflow_uuid"] for row in db.rows("select workflow_uuid from {workflow_status}")]
    assert f"kafka-unique-id-{topic}-3-none-{topic}-9" in ids


CRASHING = """
import os, sys, threading
sys.path.insert(0, {home!r})
import confluent_kafka

class Dying(confluent_kafka.Consumer):
    def store_offsets(self, *args, **kwargs):
        if {dies}:
            os._exit(9)
        super().store_offsets(*args, **kwargs)

confluent_kafka.Consumer = Dying
from dbos import DBOS, KafkaMessage

@DBOS.kafka_consumer({config!r}, [{topic!r}], ordering="partition", batch_size=5)
@DBOS.workflow()
def take(message: KafkaMessage) -> int:
    return message.offset

DBOS(config={{"name": "shop", "system_database_url": {url!r}, "application_version": "v1", "log_level": "ERROR",
             "executor_id": "e1", "kafka_queue_polling_interval_sec": 0.1}})
DBOS.launch()
while len(DBOS.list_workflows(status="SUCCESS", load_input=False, load_output=False)) < {wanted}:
    threading.Event().wait(0.05)
DBOS.destroy()
"""


@pytest.mark.rules("EV-11", "FT-23", "EV-15")
def test_a_crash_between_enqueueing_and_storing_the_offset(cluster, db):
    topic = cluster.topic()
    cluster.send(topic, *(f"{n}" for n in range(12)))
    home = str(Path(dbos.__file__).parent.parent)
    known: dict[str, Any] = {"home": home, "config": cluster.config(), "topic": topic, "url": db.url, "wanted": 12}

    def run(dies: bool) -> int:
        code = CRASHING.format(dies=dies, **known)
        return subprocess.run([sys.executable, "-c", code], timeout=90).returncode

    assert run(True) == 9
    enqueued = len(db.rows("select 1 from {workflow_status}"))
    assert enqueued > 0
    assert run(False) == 0
    found = db.rows("select workflow_uuid, recovery_attempts from {workflow_status} order by created_at")
    assert [int(row["workflow_uuid"].rpartition("-")[2]) for row in found] == list(range(12))
    assert enqueued <= 12
