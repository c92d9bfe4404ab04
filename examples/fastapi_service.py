"""A web service whose orders survive it.

    pip install fastapi uvicorn
    python examples/fastapi_service.py

    curl -X POST localhost:8000/orders/book -H 'dbos-idempotency-key: order-1'
    curl localhost:8000/orders/order-1

Kill the server while an order is on its way, start it again, and look at the order: it goes on where it was. Post with
the same key twice, and there is one order.
"""

from __future__ import annotations

import os

import uvicorn
from fastapi import FastAPI, HTTPException

from dbos import DBOS, DBOSConfig

app = FastAPI()
# Read here: a workflow reads no environment, which may differ where it is recovered.
PACKING_SEC = float(os.environ.get("PACKING_SEC", "5"))
config: DBOSConfig = {"name": "fastapi-service"}
if url := os.environ.get("DBOS_SYSTEM_DATABASE_URL"):
    config["system_database_url"] = url
DBOS(fastapi=app, config=config)  # launches with the server, and ends with it


@DBOS.step()
def charge(item: str) -> str:
    """Take the money."""
    return f"receipt for one {item}"


@DBOS.step()
def ship(item: str) -> None:
    """Send it."""
    print(f"shipped one {item}", flush=True)


@DBOS.workflow()
async def order(item: str) -> str:
    """Charge, wait for the warehouse, ship; tell how far it is."""
    await DBOS.set_event_async("progress", "charging")
    receipt = charge(item)
    await DBOS.set_event_async("progress", "packing")
    await DBOS.sleep_async(PACKING_SEC)
    ship(item)
    await DBOS.set_event_async("progress", "shipped")
    return receipt


@app.post("/orders/{item}")
async def post_order(item: str) -> dict[str, str]:
    """Start an order; a header `dbos-idempotency-key` becomes its id."""
    handle = await DBOS.start_workflow_async(order, item)
    return {"order": handle.workflow_id}


@app.get("/orders/{order_id}")
async def get_order(order_id: str) -> dict[str, str | None]:
    """Tell how far an order is."""
    status = await DBOS.get_workflow_status_async(order_id)
    if status is None:
        raise HTTPException(404, f"There is no order {order_id}")
    progress = await DBOS.get_event_async(order_id, "progress", timeout_seconds=0)
    return {"order": order_id, "status": status.status, "progress": progress}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), log_level="warning")
