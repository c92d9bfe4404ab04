"""What `@DBOS.kafka_consumer` accepts, and what it makes of a configuration."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dbos
from dbos import DBOS, KafkaMessage, Queue
from dbos.error import DBOSInitializationError, DBOSWorkflowFunctionNotFoundError

CONFIG = {"bootstrap.servers": "nowhere:1", "group.id": "shop"}


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    DBOS.destroy(destroy_registry=True)


def workflow(name: str = "take") -> Any:
    """Register a workflow for messages."""

    @DBOS.workflow(name=name)
    def take(message: KafkaMessage) -> None:
        pass

    return take


@pytest.fixture
def dbos_log() -> Any:
    """What the `dbos` logger warns of."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno == logging.WARNING:
                lines.append(record.getMessage())

    keep = Keep()
    logging.getLogger("dbos").addHandler(keep)
    yield lines
    logging.getLogger("dbos").removeHandler(keep)


@pytest.mark.rules("EV-2")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"in_order": True, "ordering": "topic"}, "either in_order or ordering"),
        ({"ordering": "sideways"}, "invalid Kafka ordering"),
        ({"batch_size": 0}, "batch_size must be positive"),
        ({"queue_name": "mine", "ordering": "topic"}, "only supported with ordering"),
        ({"queue_name": "mine", "ordering": "partition"}, "only supported with ordering"),
    ],
)
def test_options_that_contradict_one_another(options, said):
    function = workflow()
    with pytest.raises(DBOSInitializationError, match=said):
        DBOS.kafka_consumer(CONFIG, ["orders"], **options)(function)
    DBOS.kafka_consumer(CONFIG, ["orders"])(function)  # nothing was registered


@pytest.mark.rules("EV-1")
def test_in_order_is_deprecated():
    with pytest.warns(DeprecationWarning, match='ordering="topic"'):
        DBOS.kafka_consumer(CONFIG, ["orders"], True)(workflow())


@pytest.mark.rules("EV-3")
def test_consumers_of_one_group_do_not_share_topics(dbos_log):
    DBOS.kafka_consumer(CONFIG, ["orders", "returns"])(workflow("one"))
    with pytest.raises(DBOSInitializationError, match="one and two share group.id shop.*returns"):
        DBOS.kafka_consumer(CONFIG, ["returns"])(workflow("two"))
    assert dbos_log == []
    DBOS.kafka_consumer(CONFIG, ["payments"])(workflow("three"))
    assert ["share group.id shop with different topics" in said for said in dbos_log] == [True]
    DBOS.kafka_consumer({**CONFIG, "group.id": "other"}, ["orders"])(workflow("four"))


@pytest.mark.rules("EV-2", "DEC-45")
def test_a_function_that_is_no_workflow():
    with pytest.raises(DBOSWorkflowFunctionNotFoundError):
        DBOS.kafka_consumer(CONFIG, ["orders"])(lambda message: None)


@pytest.mark.rules("EV-4")
@pytest.mark.parametrize("early", [True, False])
def test_a_partitioned_queue_is_refused(launch, fake, early):
    if early:
        with pytest.warns(DeprecationWarning):
            Queue("mine", partition_queue=True)
        DBOS.kafka_consumer(CONFIG, ["orders"], queue_name="mine")(workflow())
        with pytest.raises(DBOSInitializationError, match="is a partitioned queue"):
            launch()
        DBOS.destroy()
    launch()
    DBOS.register_queue("theirs", partition_queue=True)
    with pytest.raises(DBOSInitializationError, match="is a partitioned queue"):
        DBOS.kafka_consumer(CONFIG, ["orders"], queue_name="theirs")(workflow("late"))
    DBOS.kafka_consumer(CONFIG, ["orders"])(workflow("free"))  # who was refused left no trace


@pytest.mark.rules("EV-9")
def test_what_becomes_of_a_configuration(launch, fake, dbos_log):
    given = {"bootstrap.servers": "x:1", "enable.auto.offset.store": True, "enable.auto.commit": "false"}
    before = dict(given)
    DBOS.kafka_consumer(given, ["my.topic", "^re.*"])(workflow("my wf"))
    assert given == before
    said = dbos_log
    assert ["enable.auto.offset.store" in said[0], "enable.auto.commit" in said[1], "group.id" in said[2]] == [True] * 3
    launch()
    fake.batches.put([])
    (used,) = until(lambda: fake.configs)
    used.pop("error_cb")
    assert used == {
        "bootstrap.servers": "x:1",
        "auto.offset.reset": "earliest",
        "enable.auto.offset.store": False,
        "enable.auto.commit": True,
        "group.id": "dbos-kafka-group-mywf-mytopic-re",
    }
    assert fake.topics == [["my.topic", "^re.*"]]


@pytest.mark.rules("EV-9")
@pytest.mark.parametrize("value", [False, "False", 0, "0"])
def test_auto_commit_is_never_off(launch, fake, value):
    DBOS.kafka_consumer({**CONFIG, "enable.auto.commit": value, "auto.offset.reset": "latest"}, ["orders"])(workflow())
    launch()
    (used,) = until(lambda: fake.configs)
    assert (used["enable.auto.commit"], used["auto.offset.reset"]) == (True, "latest")


@pytest.mark.rules("EV-9")
def test_a_generated_group_is_cut(launch, fake):
    DBOS.kafka_consumer({"bootstrap.servers": "x:1"}, ["t" * 249, "u"])(workflow("w" * 100))
    launch()
    (used,) = until(lambda: fake.configs)
    assert used["group.id"] == f"dbos-kafka-group-{'w' * 100}-{'t' * 249}"[:255]


@pytest.mark.rules("DEC-45")
def test_without_the_library(tmp_path):
    code = """
import sys
sys.path.insert(0, {home!r})
sys.modules["confluent_kafka"] = None
from dbos import DBOS, KafkaMessage
from dbos.error import DBOSException
@DBOS.workflow()
def take(message): pass
try:
    DBOS.kafka_consumer({{}}, ["orders"])(take)
except DBOSException as error:
    print(error)
"""
    home = str(Path(dbos.__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", code.format(home=home)], capture_output=True, text=True, timeout=60)
    assert "dependency not found. Please install" in done.stdout


@pytest.mark.rules("EV-6", "CFG-11")
def test_the_interval_of_the_internal_queues(launch, fake):
    def shown(caplog_records: list[str]) -> list[str]:
        return [line for line in caplog_records if "Queue: _dbos_kafka" in line]

    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    keep = Keep()
    logging.getLogger("dbos").addHandler(keep)
    try:
        DBOS.kafka_consumer(CONFIG, ["orders"], ordering="topic")(workflow())
        launch(kafka_queue_polling_interval_sec=0.25)
        assert ["polling_interval_sec=0.25" in line for line in shown(lines)] == [True]
        DBOS.destroy()
        lines.clear()
        launch()
        assert ["polling_interval_sec" in line for line in shown(lines)] == [False]
        for wrong in (float("nan"), float("inf"), 0.0005):
            DBOS.destroy()
            with pytest.raises(DBOSInitializationError, match="kafka_queue_polling_interval_sec"):
                launch(kafka_queue_polling_interval_sec=wrong)
    finally:
        logging.getLogger("dbos").removeHandler(keep)


def until(condition: Any) -> Any:
    """Return the condition's first truthy value."""
    import threading
    import time

    deadline = time.monotonic() + 30
    while not (value := condition()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)
    return value
