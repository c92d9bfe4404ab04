"""Consume payments from Kafka: a workflow for each message, with the ledger in a transaction of its own."""

import json
import logging
import os
import time
from decimal import Decimal

from sqlalchemy import Column, MetaData, Numeric, String, Table, insert, select

from dbos import DBOS, KafkaMessage, SQLAlchemyDatasource

log = logging.getLogger("payments")
metadata = MetaData()
ledger_table = Table("ledger", metadata, Column("payment", String, primary_key=True), Column("amount", Numeric(12, 2)))
ledger = SQLAlchemyDatasource.create(os.environ.get("LEDGER_URL", "sqlite:///ledger.sqlite"))
KAFKA = {
    "bootstrap.servers": os.environ.get("KAFKA", "localhost:9092"),
    "group.id": "payments",
    "auto.offset.reset": "earliest",
}


class Malformed(ValueError):
    pass


def parse(raw: bytes | None) -> dict:
    try:
        found = json.loads(raw or b"")
        return {"id": str(found["id"]), "amount": str(Decimal(found["amount"])), "country": found.get("country", "??")}
    except (ValueError, KeyError, ArithmeticError) as error:
        raise Malformed(str(error)) from error


@ledger.transaction()
def book(payment: dict) -> bool:
    session = ledger.sql_session()
    if session.execute(select(ledger_table).where(ledger_table.c.payment == payment["id"])).first():
        return False
    session.execute(insert(ledger_table).values(payment=payment["id"], amount=Decimal(payment["amount"])))
    return True


@DBOS.step(retries_allowed=True, max_attempts=10)
def publish(topic: str, payment: dict) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": KAFKA["bootstrap.servers"]})
    producer.produce(topic, json.dumps(payment).encode(), key=payment["id"])
    producer.flush(10)


@DBOS.kafka_consumer(KAFKA, ["payments"], ordering="partition")
@DBOS.workflow()
def on_payment(message: KafkaMessage) -> str:
    try:
        payment = parse(message.value)
    except Malformed as error:
        publish("payments-dead", {"id": f"{message.topic}-{message.offset}", "error": str(error)})
        return "malformed"
    if not book(payment):
        return "duplicate"
    publish("payments-booked", payment)
    if Decimal(payment["amount"]) > 10_000:
        DBOS.start_workflow(review, payment)
    return "booked"


@DBOS.workflow()
def review(payment: dict) -> str:
    DBOS.set_event("payment", payment)
    for day in range(1, 4):
        verdict = DBOS.recv("verdict", timeout_seconds=86_400)
        if verdict:
            return str(verdict)
        publish("reminders", {**payment, "day": day})
    return "expired"


def wait_for_kafka(attempts: int = 30) -> None:
    import socket

    host, _, port = KAFKA["bootstrap.servers"].partition(":")
    for _ in range(attempts):
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(1)
    raise SystemExit("no broker")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    wait_for_kafka()
    DBOS(config={"name": "payments"})
    DBOS.launch()
    log.info("consuming")
    while True:
        time.sleep(60)
