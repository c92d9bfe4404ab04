"""The order-processing workflow as a class, whose database writes survive a SIGKILL exactly once.

    python examples/order_workflow_class.py

A process takes an order and kills itself inside a transaction, right before its commit; a second one is killed right
after it; a third one finishes. The tables then show that nothing was lost and nothing was done twice. State is in
SQLite, or in the Postgres of DBOS_SYSTEM_DATABASE_URL.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.orm import Session

from dbos import DBOS, DBOSConfig, SetWorkflowID
from dbos_core import Workflow, WorkflowContext, dbos_workflow, transactional_function

# --- the shop


@dbos_workflow()
class OrderWorkflow(Workflow):
    """An order, from the shelf to the customer."""

    def __init__(self, ctx: WorkflowContext) -> None:
        super().__init__(ctx)

    @transactional_function()
    def reserve_stock(self, order: str, item: str) -> str:
        """Put an item aside."""
        self._note(order, f"reserved one {item}")
        return f"one {item}"

    @transactional_function()
    def charge_card(self, order: str, customer: str) -> str:
        """Take the money: the step that nobody wants to happen twice."""
        self._note(order, f"charged {customer}")
        if os.environ.get("POWER_CUT"):
            event.listen(self.ctx.sql_session, f"{os.environ['POWER_CUT']}_commit", cut_the_power)
        return f"receipt for {customer}"

    @transactional_function()
    def send_email(self, order: str, words: str) -> None:
        """Put an e-mail into the outbox."""
        self._note(order, f"e-mailed: {words}")

    def run(self, order: str, customer: str, item: str) -> str:
        """Process an order to its end, in however many processes that takes."""
        self.ctx.logger.info("processing %s for %s", item, customer)
        reserved = self.reserve_stock(order, item)
        receipt = self.charge_card(order, customer)
        self.send_email(order, f"on its way: {reserved}, {receipt}")
        return f"{reserved}, {receipt}"

    def _note(self, order: str, what: str) -> None:
        insert = text("insert into order_ledger (order_id, process, what) values (:order, :process, :what)")
        self.ctx.sql_session.execute(insert, {"order": order, "process": os.getpid(), "what": what})


def cut_the_power(session: Session) -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def configured() -> DBOSConfig:
    """Return the configuration that every process of the shop has."""
    config: DBOSConfig = {"name": "order-workflow-class", "log_level": "ERROR"}
    if url := os.environ.get("DBOS_SYSTEM_DATABASE_URL"):
        config["system_database_url"] = url
    return config


def shop(order: str) -> None:
    """Process one order. Every process runs exactly this."""
    DBOS(config=configured())
    DBOS.launch()
    with SetWorkflowID(order):  # an id is an idempotency key: an order that exists is not started again
        print(f"   {OrderWorkflow(WorkflowContext()).run(order, 'Ada', 'compass')}", flush=True)
    DBOS.destroy()


# --- the demonstration


def main() -> int:
    """Run the shop three times, let it die twice, and show what is in the tables."""
    DBOS(config=configured())
    DBOS.launch()
    database = WorkflowContext().datasource()

    def create_table() -> None:
        columns = "order_id text not null, process bigint not null, what text not null"
        database.sql_session().execute(text(f"create table if not exists order_ledger ({columns})"))

    database.run_tx_step(None, create_table)
    DBOS.destroy()

    order = f"order-{uuid.uuid4().hex[:8]}"
    codes = []
    for power_cut, says in (("before", "dies before"), ("after", "dies after"), ("", "outlives")):
        print(f"A process {says} the commit of charge_card.", flush=True)
        environment = {**os.environ, "POWER_CUT": power_cut}
        codes.append(subprocess.run([sys.executable, __file__, "shop", order], env=environment).returncode)

    ledger = entries(order)
    print("\nThe ledger, written by those transactions:")
    for process, what in ledger:
        print(f"   process {process} {what}")
    happened = sorted(what.partition(" ")[0] for _, what in ledger)
    print("\nEach happened once." if happened == ["charged", "e-mailed:", "reserved"] else "\nSomething is wrong!")
    return 0 if codes == [-9, -9, 0] and happened == ["charged", "e-mailed:", "reserved"] else 1


def entries(order: str) -> list[tuple[Any, Any]]:
    """Read an order's lines of the ledger."""
    DBOS(config=configured())
    DBOS.launch()
    database = WorkflowContext().datasource()
    select = text("select process, what from order_ledger where order_id = :order")

    def read() -> list[tuple[Any, Any]]:
        return [(process, what) for process, what in database.sql_session().execute(select, {"order": order})]

    found = database.run_tx_step(None, read)
    DBOS.destroy()
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["shop"]:
        shop(*sys.argv[2:])
    else:
        sys.exit(main())
