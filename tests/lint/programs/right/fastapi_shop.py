"""A shop behind FastAPI: checkout waits for the payment provider's webhook, dispatch ticks along in the background."""

import logging
import os
import uuid
from contextlib import asynccontextmanager
from datetime import datetime, timezone

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

from dbos import DBOS, DBOSConfig, SetWorkflowID
from dbos.error import DBOSException

logger = logging.getLogger(__name__)
PAYMENT_TIMEOUT = 15 * 60
PAYMENT_TOPIC = "payment-status"


class Item(BaseModel):
    sku: str
    quantity: int = 1


class Basket(BaseModel):
    items: list[Item]
    email: str


def load_config() -> DBOSConfig:
    return {
        "name": "shop",
        "system_database_url": os.environ.get("DBOS_SYSTEM_DATABASE_URL"),
        "application_version": os.environ.get("GIT_SHA", "dev"),
        "executor_id": os.environ.get("HOSTNAME", "local"),
    }


@asynccontextmanager
async def lifespan(app: FastAPI):
    DBOS(fastapi=app, config=load_config())
    DBOS.launch()
    app.state.started_at = datetime.now(timezone.utc)
    yield
    DBOS.destroy()


app = FastAPI(lifespan=lifespan)


def provider() -> httpx.Client:
    return httpx.Client(base_url=os.environ["PAYMENT_URL"], timeout=10)


def total_of(items: list[dict]) -> int:
    return sum(item["quantity"] * price_of(item["sku"]) for item in items)


def price_of(sku: str) -> int:
    prices = {"book": 1200, "pen": 300}
    return prices.get(sku, 100)


@DBOS.step()
def reserve(items: list[dict]) -> bool:
    with httpx.Client(base_url=os.environ["INVENTORY_URL"]) as client:
        return client.post("/reservations", json={"items": items, "key": DBOS.workflow_id}).status_code == 201


@DBOS.step(retries_allowed=True, max_attempts=4, interval_seconds=0.5)
def create_payment(order_id: str, cents: int) -> str:
    with provider() as client:
        answer = client.post("/sessions", json={"amount": cents}, headers={"Idempotency-Key": order_id})
        answer.raise_for_status()
        return answer.json()["url"]


@DBOS.step()
def undo_reservation(items: list[dict]) -> None:
    logger.info("giving back %d items at %s", len(items), datetime.now(timezone.utc))


@DBOS.step()
def confirm(email: str, order_id: str) -> None:
    logger.info("mailing %s about %s", email, order_id)


@DBOS.workflow()
def checkout(basket: dict) -> str:
    order_id = DBOS.workflow_id
    assert order_id is not None
    if not reserve(basket["items"]):
        DBOS.set_event("payment_url", None)
        return "out of stock"
    DBOS.set_event("payment_url", create_payment(order_id, total_of(basket["items"])))
    status = DBOS.recv(PAYMENT_TOPIC, timeout_seconds=PAYMENT_TIMEOUT)
    if status != "paid":
        DBOS.logger.warning(f"order {order_id} was not paid: {status}")
        undo_reservation(basket["items"])
        return "cancelled"
    confirm(basket["email"], order_id)
    DBOS.start_workflow(dispatch, order_id)
    return "paid"


@DBOS.workflow()
def dispatch(order_id: str) -> None:
    for progress in range(10):
        DBOS.sleep(1)
        DBOS.set_event("progress", progress + 1)
    DBOS.write_stream("log", {"order": order_id, "state": "dispatched"})
    DBOS.close_stream("log")


def idempotency_key(request: Request) -> str:
    return request.headers.get("Idempotency-Key") or str(uuid.uuid4())


@app.post("/checkout")
def post_checkout(basket: Basket, key: str = Depends(idempotency_key)):
    with SetWorkflowID(key):
        handle = DBOS.start_workflow(checkout, basket.model_dump())
    url = DBOS.get_event(handle.workflow_id, "payment_url", timeout_seconds=30)
    if url is None:
        raise HTTPException(409, "out of stock")
    return {"order": handle.workflow_id, "url": url}


@app.post("/payments/{order_id}/{status}")
async def webhook(order_id: str, status: str):
    await DBOS.send_async(order_id, status, topic=PAYMENT_TOPIC)
    return {"ok": True}


@app.get("/orders/{order_id}/log")
async def log(order_id: str):
    return StreamingResponse(str(line) for line in DBOS.read_stream(order_id, "log"))


@app.exception_handler(DBOSException)
def failed(request: Request, error: DBOSException):
    return JSONResponse({"error": str(error)}, 500)


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", "8000")))
