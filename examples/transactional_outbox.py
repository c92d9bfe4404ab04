"""An order and the work it causes are one commit: a transactional outbox, without an outbox.

    python examples/transactional_outbox.py

An application writes its order and enqueues the workflow that ships it in one transaction of its own. What is rolled
back was never enqueued; what is committed will be shipped, though the process dies the moment after.
"""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text

from dbos import DBOS, DBOSClient, DBOSConfig, SQLAlchemyDatasource

URL = os.environ.get("DBOS_SYSTEM_DATABASE_URL") or "sqlite:///transactional_outbox.sqlite"
ENGINE_URL = URL.replace("postgresql://", "postgresql+psycopg://")
shop = SQLAlchemyDatasource.create(ENGINE_URL)


@shop.transaction()
def mark_shipped(order: str) -> str:
    """Note in the shop's table that an order is on its way: exactly once, with the step's record."""
    shop.sql_session().execute(text("update orders set state = 'shipped' where id = :id"), {"id": order})
    return f"{order} shipped"


@DBOS.workflow(name="ship")
def ship(order: str) -> str:
    """Ship an order."""
    return mark_shipped(order)


def place(client: DBOSClient, order: str, *, paid: bool) -> None:
    """Write an order and enqueue its shipping, in one transaction."""
    with engine.begin() as connection:
        connection.execute(text("insert into orders (id, state) values (:id, 'placed')"), {"id": order})
        client.enqueue_in_transaction(
            connection, {"workflow_name": "ship", "queue_name": "shipping", "workflow_id": f"ship-{order}"}, order
        )
        if not paid:
            raise ValueError(f"{order} is not paid")


if __name__ == "__main__":
    config: DBOSConfig = {"name": "outbox", "system_database_url": URL, "log_level": "ERROR"}
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue("shipping")
    engine = create_engine(ENGINE_URL)
    with engine.begin() as connection:
        connection.execute(text("create table if not exists orders (id text primary key, state text)"))
        connection.execute(text("delete from orders"))
    client = DBOSClient(system_database_url=URL, application_name="outbox")
    place(client, "book", paid=True)
    try:
        place(client, "yacht", paid=False)
    except ValueError as refusal:
        print(f"refused: {refusal}")
    print(DBOS.get_result("ship-book"))
    print(f"shipping of the yacht: {DBOS.get_workflow_status('ship-yacht')}")
    with engine.connect() as connection:
        print(f"orders: {[tuple(row) for row in connection.execute(text('select id, state from orders'))]}")
    client.destroy()
    DBOS.destroy()
    engine.dispose()
    shop.engine.dispose()
