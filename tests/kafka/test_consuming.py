"""The loop: what it does with batches, errors and failures, by a client that does as it is told."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest
from obedient import Message, Trouble

from dbos import DBOS, DBOSContextSetAuth, KafkaMessage, SetWorkflowAttributes, SetWorkflowTimeout

CONFIG = {"bootstrap.servers": "nowhere:1", "group.id": "shop"}


def until(condition: Any) -> Any:
    """Return the condition's first truthy value."""
    deadline = time.monotonic() + 30
    while not (value := condition()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)
    return value


@pytest.fixture
def log() -> Any:
    """What the `dbos` logger says at WARNING and above."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    keep = Keep(logging.WARNING)
    logging.getLogger("dbos").addHandler(keep)
    yield lines
    logging.getLogger("dbos").removeHandler(keep)


@pytest.fixture
def consuming(launch: Any, fake: Any) -> Any:
    """Declare a consumer of everything and launch; return what its workflow got."""

    def consuming(config: dict[str, Any] = CONFIG, launched: dict[str, Any] | None = None, **options: Any) -> list[Any]:
        got: list[Any] = []

        @DBOS.kafka_consumer(config, ["orders"], **options)
        @DBOS.workflow(name="take")
        def take(message: KafkaMessage) -> None:
            if message.value == "poison":
                raise ValueError("poison")
            got.append(message.value)

        launch(**(launched or {}))
        return got

    return consuming


def rows(db: Any) -> list[dict[str, Any]]:
    """Return the workflows there are, in order."""
    return list(db.rows("select * from {workflow_status} order by created_at, workflow_uuid"))


@pytest.mark.rules("EV-11", "EV-7", "EV-5")
def test_offsets_are_stored_once_the_rows_are_there(consuming, fake, db):
    got = consuming(batch_size=7)
    fake.batches.put([Message("a", 4), Message("b", 5), Message("c", 9, partition_=1)])
    until(lambda: len(got) == 3)
    until(lambda: len(fake.stored) == 2)
    assert sorted(fake.stored) == [("orders", 0, 6), ("orders", 1, 10)]
    assert set(fake.sizes) == {7}
    ids = [f"kafka-unique-id-orders-{partition}-shop-{offset}" for partition, offset in ((0, 4), (0, 5), (1, 9))]
    assert sorted(row["workflow_uuid"] for row in rows(db)) == ids
    assert {row["queue_name"] for row in rows(db)} == {"_dbos_kafka_queue"}
    # Delivered again, as after a crash before the offset was stored: nothing runs twice.
    fake.batches.put([Message("a", 4), Message("d", 6)])
    until(lambda: len(fake.stored) == 3)
    until(lambda: len(got) == 4)
    assert sorted(got) == ["a", "b", "c", "d"]


@pytest.mark.rules("EV-16")
def test_rows_take_nothing_from_where_the_consumer_was_declared(launch, fake, db):
    def take(message: KafkaMessage) -> list[Any]:
        return [DBOS.authenticated_user, DBOS.authenticated_roles]

    launch()
    with DBOSContextSetAuth("alice", ["admin"]), SetWorkflowAttributes({"a": 1}), SetWorkflowTimeout(100):
        DBOS.kafka_consumer(CONFIG, ["orders"])(DBOS.workflow(name="take")(take))
        fake.batches.put([Message("a")])
        (row,) = until(lambda: rows(db))
    assert DBOS.get_result(row["workflow_uuid"]) == [None, None]
    empty = ("parent_workflow_id", "authenticated_user", "authenticated_roles", "attributes", "workflow_timeout_ms")
    assert [row[name] for name in empty] == [None] * 5
    assert (row["priority"], row["application_version"], row["application_name"]) == (0, "v1", "testapp")


@pytest.mark.rules("EV-5", "EV-4", "DQ-1")
def test_a_queue_of_ones_own_may_come_later_and_is_served_in_any_case(consuming, fake, db):
    @DBOS.workflow()
    def nothing() -> None:
        pass

    DBOS.destroy()
    got: list[Any] = []

    @DBOS.kafka_consumer(CONFIG, ["orders"], queue_name="mine")
    @DBOS.workflow(name="own")
    def own(message: KafkaMessage) -> None:
        got.append(message.value)

    DBOS(config={"name": "testapp", "system_database_url": db.url, "application_version": "v1"})
    DBOS.listen_queues(["elsewhere"])
    DBOS.launch()
    fake.batches.put([Message("a")])
    (row,) = until(lambda: rows(db))
    assert (row["status"], row["queue_name"]) == ("ENQUEUED", "mine")
    DBOS.register_queue("mine")
    until(lambda: got == ["a"])


@pytest.mark.rules("EV-12", "EV-11")
def test_a_batch_that_cannot_be_enqueued_is_tried_again(consuming, fake, db, log):
    got = consuming()
    until(lambda: fake.sizes)
    rename(db, "workflow_input", "aside")
    fake.batches.put([Message("a", 1)])
    until(lambda: any("could not enqueue; trying again in 1 s" in line for line in log))
    assert (got, fake.stored, fake.closed) == ([], [], 0)
    rename(db, "aside", "workflow_input")
    until(lambda: got == ["a"])
    assert until(lambda: fake.stored) == [("orders", 0, 2)]


def rename(db: Any, name: str, to: str) -> None:
    """Rename a table of DBOS."""
    qualified = f'"dbos".{name}' if db.dialect == "postgres" else name
    db.execute(f"alter table {qualified} rename to {to}")


@pytest.mark.rules("EV-12", "EV-19")
def test_a_shutdown_while_enqueueing_fails_stores_nothing(consuming, fake, db, log):
    consuming()
    until(lambda: fake.sizes)
    rename(db, "workflow_input", "aside")
    fake.batches.put([Message("a", 1)])
    until(lambda: any("could not enqueue" in line for line in log))
    DBOS.destroy()
    rename(db, "aside", "workflow_input")
    assert (fake.stored, fake.closed) == ([], 1)


class Unpicklable:
    def __reduce__(self) -> Any:
        raise TypeError("not to be stored")


@pytest.mark.rules("EV-13")
def test_a_message_that_cannot_be_stored_is_dropped(consuming, fake, log):
    got = consuming()
    fake.batches.put([Message("a", 1), Message(Unpicklable(), 2), Message("c", 3), Message(Unpicklable(), 4)])
    until(lambda: sorted(got) == ["a", "c"])
    assert until(lambda: fake.stored) == [("orders", 0, 5)]
    assert len([line for line in log if "Dropping unprocessable Kafka message" in line]) == 2


@pytest.mark.rules("EV-14")
def test_an_error_among_messages_is_logged(consuming, fake, log):
    got = consuming()
    fake.batches.put([Message(None, error_=Trouble()), Message("a", 1)])
    until(lambda: got == ["a"])
    assert any("_TRANSPORT (-195): the broker is away" in line for line in log)
    assert (len(fake.configs), fake.closed) == (1, 0)


@pytest.mark.rules("EV-14")
def test_a_fatal_error_takes_a_new_client(consuming, fake):
    got = consuming()
    fake.batches.put([Message("a", 1), Message(None, error_=Trouble(fatal=True))])
    fake.batches.put([Message("b", 2)])
    until(lambda: sorted(got) == ["a", "b"])
    assert (len(fake.configs), fake.closed) == (2, 1)


@pytest.mark.rules("EV-14")
def test_an_exception_takes_a_new_client_after_a_pause(consuming, fake, log):
    fake.refusing.append(RuntimeError("no client yet"))
    got = consuming()
    until(lambda: any("could not connect; trying again in 1 s" in line for line in log))
    fake.batches.put(RuntimeError("broken"))
    fake.batches.put([Message("a", 1)])
    until(lambda: got == ["a"])
    assert any("could not consume; trying again in 2 s" in line for line in log)
    assert (len(fake.configs), fake.closed) == (2, 1)


@pytest.mark.rules("EV-14")
def test_a_partition_that_was_taken_away(consuming, fake, log):
    got = consuming()
    fake.batches.put([Message("a", 1, partition_=99), Message("b", 2, partition_=0)])
    fake.batches.put([Message("c", 3)])
    until(lambda: sorted(got) == ["a", "b", "c"])
    until(lambda: ("orders", 0, 4) in fake.stored)
    assert ["could not store offset 1 of orders[99]" in line for line in log] == [True]
    assert fake.closed == 0


@pytest.mark.rules("EV-10")
def test_errors_of_the_library_are_logged_and_handed_on(consuming, fake, log):
    heard: list[Any] = []

    def theirs(error: Any) -> None:
        heard.append(error)
        raise ValueError("their own trouble")

    consuming({**CONFIG, "error_cb": theirs})
    (used,) = until(lambda: fake.configs)
    trouble = Trouble()
    used["error_cb"](trouble)
    used["error_cb"]("not an error")
    assert heard == [trouble, "not an error"]
    assert "consumer take (group shop, topics orders): _TRANSPORT (-195): the broker is away" in log[0]
    assert "error_cb" in log[1]
    assert log[2].endswith("not an error")


@pytest.mark.rules("EV-15", "EV-8", "ST-7")
@pytest.mark.parametrize("ordering", ["partition", "topic"])
def test_rows_under_a_key_are_strictly_ordered(launch, fake, db, ordering):
    """Rows created ahead of the clock, as a process whose clock is ahead leaves them, come first."""
    gate = threading.Event()
    got: list[Any] = []

    @DBOS.kafka_consumer(CONFIG, ["orders"], ordering=ordering)
    @DBOS.workflow(name="take")
    def take(message: KafkaMessage) -> None:
        gate.wait(30)
        got.append(message.value)

    launch()
    fake.batches.put([Message(n, n) for n in range(3)])
    until(lambda: len(rows(db)) == 3)
    ahead = int(time.time() * 1000) + 3_600_000
    db.execute("update {workflow_status} set created_at = ? where workflow_uuid like '%-2'", ahead)
    fake.batches.put([Message(n, n) for n in range(3, 600)] + [Message(f"p{n}", n, partition_=1) for n in range(3)])
    until(lambda: len(rows(db)) == 603)
    key = "shop:orders:0" if ordering == "partition" else "shop:orders"
    assert rows(db)[0]["queue_name"] == "_dbos_kafka_ordered_queue"
    stamps = [row["created_at"] for row in rows(db) if row["queue_partition_key"] == key][3:]
    assert all(before < after for before, after in zip(stamps, stamps[1:], strict=False))
    assert min(stamps) > ahead
    others = [row["created_at"] for row in rows(db) if row["queue_partition_key"] == "shop:orders:1"]
    assert all(stamp < ahead for stamp in others)
    assert len(others) == (3 if ordering == "partition" else 0)
    gate.set()
    until(lambda: len(got) >= 60)
    numbers = [value for value in got if isinstance(value, int)]
    assert numbers == sorted(numbers)


@pytest.mark.rules("EV-19")
def test_receivers_stop_with_dbos_and_start_again(consuming, fake, launch):
    got = consuming()
    fake.batches.put([Message("a", 1)])
    until(lambda: got == ["a"])
    DBOS.destroy()
    assert fake.closed == 1
    assert not [thread for thread in threading.enumerate() if "kafka" in thread.name]
    launch()
    fake.batches.put([Message("b", 2)])
    until(lambda: got == ["a", "b"])


@pytest.mark.rules("EV-20")
def test_five_hundred_messages_a_second_are_ingested(consuming, fake):
    """Ten times as many are usual; the workflows run meanwhile."""
    consuming()
    until(lambda: fake.sizes)
    before = time.monotonic()
    for batch in range(20):
        fake.batches.put([Message(n, n) for n in range(batch * 250, batch * 250 + 250)])
    until(lambda: ("orders", 0, 5000) in fake.stored)
    assert 5000 / (time.monotonic() - before) > 500
