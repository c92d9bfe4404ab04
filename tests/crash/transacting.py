"""One workflow with one transaction, in a process that may die before or after the transaction's commit.

    python transacting.py URL FORM WORKFLOW_ID [before|after]

FORM is datasource, async_datasource, transaction, class or async_class. Prints the result.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.orm import Session

from dbos import DBOS, AsyncSQLAlchemyDatasource, SetWorkflowID, SQLAlchemyDatasource
from dbos_core import Workflow, WorkflowContext, dbos_workflow, transactional_function

url, form, workflow_id, *when = sys.argv[1:]
INSERT = text("insert into orders (item) values (:item)")
ITEM = {"item": workflow_id}
armed = False


def arm() -> None:
    global armed
    armed = bool(when)


def die(session: Any) -> None:
    if armed:
        os.kill(os.getpid(), signal.SIGKILL)


if when:
    event.listen(Session, f"{when[0]}_commit", die)

DBOS(
    config={
        "name": "transacting",
        "system_database_url": url,
        "application_database_url": url,
        "application_version": "v1",
        "executor_id": "local",
        "log_level": "CRITICAL",
    }
)


def with_datasource() -> str:
    shop = SQLAlchemyDatasource.create(url)

    @shop.transaction(name="buy")
    def buy() -> str:
        shop.sql_session().execute(INSERT, ITEM)
        arm()
        return "bought"

    @DBOS.workflow(name="visit")
    def visit() -> str:
        return buy()

    DBOS.launch()
    return visit()


def with_async_datasource() -> str:
    async def main() -> str:
        shop = await AsyncSQLAlchemyDatasource.create(url.replace("sqlite:", "sqlite+aiosqlite:"))

        @shop.transaction(name="buy")
        async def buy() -> str:
            await shop.sql_session().execute(INSERT, ITEM)
            arm()
            return "bought"

        @DBOS.workflow(name="visit")
        async def visit() -> str:
            return await buy()

        DBOS.launch()
        result = await visit()
        await shop.engine.dispose()
        return result

    return asyncio.run(main())


def with_transaction() -> str:
    @DBOS.transaction(name="buy")
    def buy() -> str:
        DBOS.sql_session.execute(INSERT, ITEM)
        arm()
        return "bought"

    @DBOS.workflow(name="visit")
    def visit() -> str:
        return buy()

    DBOS.launch()
    return visit()


@dbos_workflow(name="visit_class")
class Visit(Workflow):
    @transactional_function(name="buy")
    def buy(self) -> str:
        self.ctx.sql_session.execute(INSERT, ITEM)
        arm()
        return "bought"

    def run(self) -> str:
        return self.buy()


@dbos_workflow(name="visit_async_class")
class AsyncVisit(Workflow):
    @transactional_function(name="buy")
    async def buy(self) -> str:
        await self.ctx.sql_session.execute(INSERT, ITEM)
        arm()
        return "bought"

    async def run(self) -> str:
        return await self.buy()


def with_class() -> str:
    DBOS.launch()
    return Visit(WorkflowContext()).run()


def with_async_class() -> str:
    async def main() -> str:
        return await AsyncVisit(WorkflowContext()).run()

    DBOS.launch()
    return asyncio.run(main())


with SetWorkflowID(workflow_id):
    print(globals()[f"with_{form}"](), flush=True)
DBOS.destroy()
