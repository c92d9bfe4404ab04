"""The examples of the public docstrings run, in an application that has what they speak of."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import reference
from sqlalchemy import create_engine

from dbos import DBOS, DBOSClient, SetWorkflowID

BLOCK = re.compile(r"^#+ `([\w.]+)`[^\n]*$|^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

# What the examples speak of.
SHOP = """
import json
from datetime import datetime, timedelta, timezone
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, insert, text
from dbos import *
from dbos import testing
from dbos.testing import *
from dbos_core import *

Order = Receipt = str
order, address, draft, url, a, b = "book", "ada@example.org", "Dear Ada", "https://example.org", "a", "b"
addresses, order_ids, events = [address], ["order-17"], []
metadata = MetaData()
orders = Table("orders", metadata, Column("id", Integer, primary_key=True))
payments = Table("payments", metadata, Column("order", Integer, primary_key=True))

@DBOS.step()
def charge(order): return f"receipt for {order}"

@DBOS.workflow()
def checkout(order):
    charge(order)
    DBOS.set_event("progress", 40)
    DBOS.write_stream("progress", {"done": 40})
    return charge(order)

@DBOS.workflow()
def build_report(kind="daily"): return kind

@DBOS.workflow()
def report(): ...

@DBOS.workflow()
def ship(order): ...

@DBOS.workflow()
def send_mail(address, *, subject): ...

@DBOS.workflow()
def close_books(at, context): ...

@DBOS.workflow()
def save_draft(draft): ...

@DBOS.workflow()
def remind(at: datetime): ...

@DBOS.workflow()
def close_account(account): ...

def fetch(url): return url

@DBOS.workflow()
def perform(name): run(name)
"""


def examples() -> dict[str, str]:
    """Return each example of the reference, by its page and the name that it explains."""
    found: dict[str, str] = {}
    for page, write in reference.pages().items():
        name = ""
        for heading, block in BLOCK.findall(write()):
            name = heading or name
            if block and reference.is_python(block) and not block.startswith(f"{name} = "):
                found[f"{Path(page).stem}: {name}"] = block
    return found


EXAMPLES = examples()
# What one of them speaks of besides.
SCENES = {
    "recv": "DBOS.send(DBOS.workflow_id, 'paid', topic='payment')",
    "create_schedule": "DBOS.delete_schedule('nightly')",
    "asyncio_wait": "async def fetch(url): return url",
    "register_instance": "class Book: config_name = 'book'\nshop = Book()",
    "dbos_workflow": "class Workflow(Workflow):\n    def run(self): ...",
    "WorkflowContext": "@dbos_workflow()\nclass OrderWorkflow(Workflow):\n    def run(self, order): ...",
    **dict.fromkeys(
        ["SQLAlchemyDatasource.transaction", "SQLAlchemyDatasource.run_tx_step"],
        "shop = SQLAlchemyDatasource.create('sqlite:///shop.sqlite')\ndef order(item): ...",
    ),
    **dict.fromkeys(
        ["AsyncSQLAlchemyDatasource.transaction", "AsyncSQLAlchemyDatasource.run_tx_step_async"],
        "shop = await AsyncSQLAlchemyDatasource.create('sqlite:///shop.sqlite')\nasync def order(item): ...",
    ),
}
# Make an application themselves.
PROGRAMS = {name for name, example in EXAMPLES.items() if "DBOS(config" in example}
# Stand between construction and launch.
EARLY = {
    *("workflow", "step", "transaction", "scheduled", "kafka_consumer", "dbos_class", "required_roles"),
    *("default_required_roles", "listen_queues", "register_instance", "reset_system_database", "migrate"),
    *("DBOSConfiguredInstance", "pydantic_args_validator", "run_dbos_database_migrations", "dbos_workflow"),
    *("transactional_function", "manual_clock"),
}
# Stand in a workflow.
INSIDE = {
    *("patch", "deprecate_patch", "recv", "set_event", "write_stream", "close_stream"),
    *("run_step", "reserve_step", "StepReservation", "asyncio_wait"),
}
# Leave the application without its name, the client or itself.
LAST = ["client: rename_application", "client: destroy", "dbos: destroy"]
# Kill the process, sleep for an hour, speak of roles, which SQLite has not, or are part of another.
ELSEWHERE = {
    *("dbos.testing", "kill_at_commit", "sleep", "ManualClock.advance"),
    *("SQLAlchemyDatasource.migrate", "AsyncSQLAlchemyDatasource.migrate"),
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names that the examples use, and `run`, which runs one; in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}

    def run(name: str) -> None:
        example = (
            EXAMPLES[name]
            .replace("postgresql://localhost/shop", "sqlite:///shop.sqlite")
            .replace("READ COMMITTED", "SERIALIZABLE")
        )
        program = f"{SCENES.get(explained(name), '')}\n{example}"
        result = eval(compile(program, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), {**names})
        if inspect.iscoroutine(result):
            asyncio.run(result)

    names["run"] = run
    yield names
    DBOS.destroy(destroy_registry=True)


def explained(name: str) -> str:
    """Return the name that an example explains."""
    return name.partition(": ")[2]


def begin_anew(shop: dict[str, Any]) -> None:
    """Register the functions of the shop, and nothing else."""
    DBOS.destroy(destroy_registry=True)
    exec(SHOP, shop)


def test_those_that_make_an_application(shop):
    for name in PROGRAMS:
        begin_anew(shop)
        shop["run"](name)


def test_those_between_construction_and_launch(shop):
    for name in EXAMPLES:
        if explained(name) in EARLY and name not in PROGRAMS:
            begin_anew(shop)
            DBOS(config={"name": "shop"})
            shop["run"](name)


@pytest.mark.filterwarnings("ignore:Queue:DeprecationWarning")
def test_those_of_a_launched_application(shop):
    begin_anew(shop)
    DBOS(config={"name": "shop", "application_version": "v2"})
    DBOS.launch()
    for queue in ("orders", "drafts"):
        DBOS.register_queue(queue)
    shop["client"] = DBOSClient(system_database_url="sqlite:///shop.sqlite")
    shop["engine"] = create_engine("sqlite:///shop.sqlite")
    shop["metadata"].create_all(shop["engine"])
    done = PROGRAMS | {name for name in EXAMPLES if explained(name) in EARLY | ELSEWHERE}
    restore(shop)
    for name in [*(name for name in EXAMPLES if name not in done | {*LAST}), *LAST]:
        shop["perform" if explained(name) in INSIDE else "run"](name)
        if "delete" in name or "import" in name:
            restore(shop)
    shop["engine"].dispose()


def restore(shop: dict[str, Any]) -> None:
    """Bring back what an example may have taken away: orders, an exported one, a queue, a schedule."""
    for order in ("order-17", "order-18", "order-19"):
        with SetWorkflowID(order):
            shop["checkout"]("book")
    shop["exported"] = DBOS.export_workflow("order-19")
    DBOS.delete_workflow("order-19")
    DBOS.register_queue("reports")
    nightly = {"schedule_name": "nightly", "workflow_fn": shop["close_books"], "schedule": "0 0 * * *"}
    DBOS.apply_schedules([nightly])
