"""Orders and their workflows in one transaction, from a Starlette service that runs no workflows itself."""

import os
from contextlib import asynccontextmanager

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from dbos import DBOSClient

URL = os.environ.get("DATABASE_URL", "sqlite:///shop.sqlite")
engine = create_engine(URL)
sessions = sessionmaker(engine)


class Orders:
    def __init__(self, client: DBOSClient) -> None:
        self.client = client

    def place(self, item: str) -> str:
        with sessions.begin() as session:
            number = self.insert(session, item)
            handle = self.client.enqueue_in_transaction(
                session,
                {"workflow_name": "fulfil", "queue_name": "orders", "workflow_id": f"order-{number}"},
                number,
            )
        return handle.workflow_id

    def insert(self, session: Session, item: str) -> int:
        return session.execute(
            text("insert into orders (item) values (:item) returning id"), {"item": item}
        ).scalar_one()

    def state(self, workflow_id: str) -> str:
        return self.client.retrieve_workflow(workflow_id).get_status().status


@asynccontextmanager
async def lifespan(app: Starlette):
    with DBOSClient(system_database_url=URL, application_name="shop") as client:
        app.state.orders = Orders(client)
        yield


async def place(request: Request) -> JSONResponse:
    orders: Orders = request.app.state.orders
    body = await request.json()
    workflow_id = await run_in_threadpool(orders.place, body["item"])
    return JSONResponse({"order": workflow_id}, 202)


async def state(request: Request) -> JSONResponse:
    orders: Orders = request.app.state.orders
    return JSONResponse({"state": await run_in_threadpool(orders.state, request.path_params["id"])})


app = Starlette(routes=[Route("/orders", place, methods=["POST"]), Route("/orders/{id}", state)], lifespan=lifespan)
