"""`DBOSClient` within a caller's own transaction: rows and messages that exist if and when the caller commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from programs import status_of, workflow_row, workflow_rows
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from dbos import DBOS, DBOSClient, SendMessage, run_dbos_database_migrations
from dbos import error as dbos_error

OPTIONS: dict[str, Any] = {"workflow_name": "listen", "queue_name": "orders"}


@pytest.fixture
def engine(db) -> Iterator[Any]:
    """A SQLAlchemy engine of the caller's own."""
    engine = create_engine(db.url.replace("postgresql://", "postgresql+psycopg://"))
    yield engine
    engine.dispose()


@pytest.fixture
def app(launch) -> None:
    """An application that runs `listen` from the queue `orders`: it returns so many messages."""

    @DBOS.workflow(name="listen")
    def listen(count: int) -> list[Any]:
        return [DBOS.recv("topic", timeout_seconds=30) for _ in range(count)]

    launch()
    DBOS.register_queue("orders", polling_interval_sec=0.01)


def messages(db: Any) -> list[Any]:
    return [row["message"] for row in db.rows("select message from {notifications} order by message_uuid")]


@pytest.mark.rules("CLT-42", "CLT-47", "IOP-10", "FT-6")
def test_a_workflow_and_its_messages_are_enqueued_together(db, app, client, engine):
    with engine.connect() as connection:
        connection.execute(text("create table shops (id integer)"))
        handle = client.enqueue_in_transaction(connection, {**OPTIONS, "workflow_id": "a"}, 3)
        client.send_in_transaction(connection, "a", 1, "topic", "key")
        client.send_in_transaction(connection, "a", 2, "topic", "key")
        client.send_bulk_in_transaction(connection, [SendMessage("a", n, "topic", f"key-{n}") for n in (3, 4)])
        assert (status_of(db, "a"), messages(db)) == (None, [])
        connection.commit()
    assert handle.get_result() == [1, 3, 4]


@pytest.mark.rules("MSG-21", "CLT-48")
def test_messages_of_one_transaction_arrive_in_order(app, client, engine):
    keys = ["k1", None, None, "k2", "k3", None]
    with engine.begin() as connection:
        handle = client.enqueue_in_transaction(connection, OPTIONS, 13)
        there = handle.workflow_id
        for number, key in enumerate(keys):
            client.send_in_transaction(connection, there, number, "topic", key)
        bulk = [SendMessage(there, 6 + n, "topic", key and f"bulk-{key}") for n, key in enumerate(keys)]
        client.send_bulk_in_transaction(connection, bulk)
        client.send_in_transaction(connection, there, 12, "topic", send_to_forks=True)
    assert handle.get_result() == list(range(13))
    other = client.enqueue(OPTIONS, 6)
    client.send_bulk([SendMessage(other.workflow_id, n, "topic", key) for n, key in enumerate(keys)])
    assert other.get_result() == list(range(6))


@pytest.mark.rules("MSG-21", "CLT-48")
@pytest.mark.parametrize("key", ["key", None])
def test_messages_of_savepoints_arrive_in_order(app, client, engine, key):
    with engine.begin() as connection:
        there = client.enqueue_in_transaction(connection, OPTIONS, 5)
        for number in range(5):
            with connection.begin_nested() if number % 3 else nullcontext():
                client.send_in_transaction(connection, there.workflow_id, number, "topic", key and f"{key}-{number}")
    assert there.get_result() == list(range(5))


@pytest.mark.rules("CLT-39", "CLT-42", "CLT-47", "FT-6")
def test_what_is_rolled_back_was_not_sent(db, client, engine):
    client.enqueue({**OPTIONS, "workflow_id": "a"}, 1)
    with Session(engine) as session:
        client.send_in_transaction(session, "a", 1)
        client.send_bulk_in_transaction(session, [SendMessage("a", 2)])
        session.rollback()
    assert messages(db) == []
    factory = scoped_session(sessionmaker(engine))
    client.send_in_transaction(factory, "a", 3)
    factory.commit()
    factory.remove()
    assert len(messages(db)) == 1


@pytest.mark.rules("CLT-41", "CLT-47", "CLT-48")
def test_a_refused_message_leaves_the_transaction_usable(db, client, engine):
    client.enqueue({**OPTIONS, "workflow_id": "a"}, 1)
    with engine.begin() as connection:
        with pytest.raises(dbos_error.DBOSNonExistentWorkflowError, match="absent"):
            client.send_in_transaction(connection, "absent", 1)
        with pytest.raises(dbos_error.DBOSNonExistentWorkflowError, match="absent"):
            client.send_bulk_in_transaction(connection, [SendMessage("a", 1), SendMessage("absent", 1)])
        with pytest.raises(dbos_error.DBOSException, match="key-1"):
            client.send_bulk_in_transaction(connection, [SendMessage("a", n, None, "key-1") for n in (1, 2)])
        with pytest.raises(dbos_error.DBOSException, match="not sharded"):
            client.send_in_transaction(connection, "a", 1, shard_key="eu")
        with pytest.raises(dbos_error.DBOSException, match="NUL"):
            client.send_in_transaction(connection, "a", 1, "a\0b")
        client.send_in_transaction(connection, "a", 2)
    assert len(messages(db)) == 1


@pytest.mark.rules("CLT-49")
def test_forks_get_the_message_too(db, client, engine):
    for workflow_id in ("a", "fork", "fork-of-fork", "other"):
        client.enqueue({**OPTIONS, "workflow_id": workflow_id}, 1)
    db.execute("update {workflow_status} set forked_from = 'a' where workflow_uuid = 'fork'")
    db.execute("update {workflow_status} set forked_from = 'fork' where workflow_uuid = 'fork-of-fork'")
    with engine.begin() as connection:
        client.send_in_transaction(connection, "a", 1, send_to_forks=True)
        client.send_bulk_in_transaction(connection, [SendMessage("a", 2)], send_to_forks=True)
    client.send("a", 3, send_to_forks=True)
    client.send_bulk([SendMessage("a", 4)], send_to_forks=True)
    rows = db.rows("select destination_uuid as id, count(*) as count from {notifications} group by 1 order by 1")
    assert [tuple(row.values()) for row in rows] == [("a", 4), ("fork", 4), ("fork-of-fork", 4)]


@pytest.mark.rules("CLT-42")
async def test_a_coroutine_uses_its_connection_by_run_sync(db, client):
    asyncio_engines = pytest.importorskip("sqlalchemy.ext.asyncio")
    if db.dialect == "sqlite":
        pytest.importorskip("aiosqlite")
        url = db.url.replace("sqlite://", "sqlite+aiosqlite://")
    else:
        url = db.url.replace("postgresql://", "postgresql+psycopg://")
    engine = asyncio_engines.create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(lambda c: client.enqueue_in_transaction(c, {**OPTIONS, "workflow_id": "a"}, 1))
        await connection.run_sync(lambda c: client.send_in_transaction(c, "a", 1))
        with pytest.raises(dbos_error.DBOSException, match="run_sync"):
            client.send_in_transaction(connection, "a", 1)
    await engine.dispose()
    assert (status_of(db, "a"), len(messages(db))) == ("ENQUEUED", 1)


@pytest.mark.rules("CLT-39", "IOP-10")
def test_the_row_is_the_one_of_the_plain_way(db, client, engine):
    described = {**OPTIONS, "priority": 3, "attributes": {"a": 1}, "authenticated_roles": ["r"], "app_version": "v"}
    client.enqueue({**described, "workflow_id": "plain"}, 1)
    with engine.begin() as connection:
        client.enqueue_in_transaction(connection, {**described, "workflow_id": "within"}, 1)
    plain, within = (dict(workflow_row(db, workflow_id)) for workflow_id in ("plain", "within"))
    for column in ("workflow_uuid", "created_at", "updated_at", "creator_xid", "started_at_epoch_ms"):
        plain.pop(column, None), within.pop(column, None)
    assert plain == within
    inputs = db.rows("select inputs from {workflow_input}")
    assert inputs[0] == inputs[1]


@pytest.mark.rules("CLT-40", "IOP-10")
@pytest.mark.parametrize("db", ["postgres"], indirect=True)
def test_the_client_s_schema_leads(db):
    schema = 'we:ird "schema"'
    run_dbos_database_migrations(db.url, schema=schema)
    engine = create_engine(db.url.replace("postgresql://", "postgresql+psycopg://"))
    with DBOSClient(system_database_url=db.url, dbos_system_schema=schema) as client, engine.connect() as connection:
        translated = connection.execution_options(schema_translate_map={"dbos": "elsewhere"})
        translated.execute(text("select 1"))
        client.enqueue_in_transaction(translated, {**OPTIONS, "workflow_id": "a"}, 1)
        client.send_in_transaction(translated, "a", 1)
        assert translated.get_execution_options()["schema_translate_map"] == {"dbos": "elsewhere"}
        translated.commit()
        assert client.retrieve_workflow("a").get_status().status == "ENQUEUED"
        quoted = '"we:ird ""schema"""'.replace(":", "\\:")
        assert connection.execute(text(f"select count(*) from {quoted}.notifications")).scalar() == 1
    engine.dispose()
    assert workflow_rows(db) == []
