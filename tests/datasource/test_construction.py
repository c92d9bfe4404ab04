"""How datasources are made, and the tables they make: fresh ones, adopted ones, and those of others."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from shops import order, outcomes
from sqlalchemy import create_engine, event, make_url
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import sessionmaker

from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID, SQLAlchemyDatasource
from dbos.error import DBOSException, DBOSInitializationError

OLD_TABLE = (
    "create table {datasource_outputs} (workflow_id text not null, step_id integer not null, output text, error text, "
    "serialization text, created_at bigint not null default 0, primary key (workflow_id, step_id))"
)


def version(db: Any) -> list[int]:
    return [row["version"] for row in db.rows("select version from {dbos_datasource_migrations}")]


@pytest.mark.rules("DS-1", "DS-2", "DS-3", "TXN-1", "TXN-2")
def test_a_fresh_database_gets_the_tables_once(db: Any, create: Any) -> None:
    first, second = create(), create()
    assert version(db) == [1]
    db.execute("insert into {datasource_outputs} (workflow_id, step_id) values ('w', 1)")
    [row] = outcomes(db)
    assert row["created_at"] > 1_600_000_000_000
    assert first.created_engine and second.created_engine
    assert first.schema == (None if db.dialect == "sqlite" else "dbos")
    assert first.serializer.name() == "py_pickle"
    assert first.engine.url.drivername in ("sqlite", "postgresql+psycopg")


@pytest.mark.rules("DS-3", "TXN-2")
def test_a_table_of_2_x_is_adopted(db: Any, create: Any) -> None:
    db.execute(OLD_TABLE)
    db.execute("insert into {datasource_outputs} (workflow_id, step_id, output) values ('w', 1, 'kept')")
    create()
    assert version(db) == [1]
    assert [row["output"] for row in outcomes(db)] == ["kept"]


@pytest.mark.rules("DS-4", "TXN-3")
def test_without_migrations_the_tables_must_be_there_and_may_be_newer(db: Any, create: Any) -> None:
    with pytest.raises(DBOSInitializationError, match="is at datasource schema version 0, but .* requires 1"):
        create(run_migrations=False)
    create()
    create(run_migrations=False)
    db.execute("update {dbos_datasource_migrations} set version = 7")
    create(run_migrations=False)
    create()
    assert version(db) == [7]


@pytest.mark.rules("DS-2", "DS-8")
def test_a_callers_engine_is_used_as_it_is(db: Any, create: Any) -> None:
    url = make_url(db.url)
    engine = create_engine(url if db.dialect == "sqlite" else url.set(drivername="postgresql+psycopg"))
    moved = engine.execution_options(schema_translate_map={None: "elsewhere", "dbos": "elsewhere"})
    shop = create(engine=moved, engine_kwargs={"nonsense": True})
    assert shop.engine is moved
    assert not shop.created_engine
    assert outcomes(db) == []
    shop.run_tx_step(None, lambda: order(shop.sql_session(), "book"))
    engine.dispose()


@pytest.mark.rules("DS-6")
def test_concurrent_creators_all_succeed(db: Any, create: Any) -> None:
    failures: list[BaseException] = []

    def make() -> None:
        try:
            create()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert version(db) == [1]


@pytest.mark.rules("DS-7")
def test_sessionmakers(db: Any, create: Any) -> None:
    with pytest.raises(DBOSException, match="sessionmaker"):
        create(sessionmaker=async_sessionmaker())
    with pytest.raises(DBOSException, match="binds="):
        create(sessionmaker=sessionmaker(binds={object: create_engine("sqlite://")}))
    own = sessionmaker(info={"mine": True})
    shop = create(sessionmaker=own)
    assert shop.sessionmaker is own
    assert shop.run_tx_step({"name": "look"}, lambda: shop.sql_session().info["mine"]) is True
    bound = shop.run_tx_step({"name": "look"}, lambda: shop.sql_session().get_bind())
    assert bound is shop.engine


@pytest.mark.rules("DS-30", "DS-1")
def test_a_serializer_is_named_in_the_table(db: Any, create: Any, launch: Any) -> None:
    shop = create(serializer=DBOSPortableJSONSerializer())
    seen: list[Any] = []

    @DBOS.workflow()
    def visit() -> None:
        shop.run_tx_step({"name": "buy"}, lambda: {"a": 1})
        seen.extend((row["output"], row["serialization"]) for row in outcomes(db))

    launch()
    visit()
    assert seen == [('{"a":1}', "portable_json")]


@pytest.mark.rules("DS-5", "TXN-4", "TXN-2")
def test_migrating_for_a_role(db: Any) -> None:
    if db.dialect == "sqlite":
        with pytest.raises(DBOSException, match="SQLite"):
            SQLAlchemyDatasource.migrate(db.url, application_role="clerk")
        return
    role = 'cle"rk%'
    db.execute('create role "cle""rk%"')
    try:
        SQLAlchemyDatasource.migrate(db.url, schema="shop", application_role=role)
        privileges = {
            (row["table_name"], row["privilege_type"])
            for row in db.rows(
                "select table_name, privilege_type from information_schema.role_table_grants where grantee = ?", role
            )
        }
        assert privileges == {
            ("datasource_outputs", "SELECT"),
            ("datasource_outputs", "INSERT"),
            ("datasource_outputs", "DELETE"),
            ("dbos_datasource_migrations", "SELECT"),
        }
    finally:
        db.execute('drop owned by "cle""rk%"')
        db.execute('drop role "cle""rk%"')


@pytest.mark.rules("DS-9")
def test_a_datasource_may_be_made_after_launch(db: Any, create: Any, launch: Any) -> None:
    launch()
    shop = create()
    assert shop.run_tx_step({"name": "one"}, lambda: 1) == 1


@pytest.mark.rules("DS-11")
def test_our_sqlite_engines(db: Any, create: Any) -> None:
    if db.dialect != "sqlite":
        pytest.skip("about SQLite")
    shop = create(engine_kwargs={"connect_args": {"application_name": "shop", "connect_timeout": 3}})
    statements: list[str] = []
    event.listen(shop.engine, "before_cursor_execute", lambda c, cursor, sql, *rest: statements.append(sql))

    def pragmas() -> list[Any]:
        connection = shop.sql_session().connection()
        return [connection.exec_driver_sql(f"pragma {name}").scalar_one() for name in ("busy_timeout", "foreign_keys")]

    assert shop.run_tx_step(None, pragmas) == [30000, 1]
    assert statements[0] == "begin immediate"


@pytest.mark.rules("TXN-10")
def test_a_table_of_other_sdks_is_left_alone(db: Any, create: Any, launch: Any) -> None:
    db.execute("create table {transaction_completion} (workflow_id text, function_num integer)")
    db.execute("insert into {transaction_completion} values ('visit', 1)")
    shop = create()

    @DBOS.workflow()
    def visit() -> int:
        return shop.run_tx_step({"name": "one"}, lambda: 1)

    launch()
    with SetWorkflowID("visit"):
        assert visit() == 1
    assert db.rows("select * from {transaction_completion}") == [{"workflow_id": "visit", "function_num": 1}]
