"""Orders that survive a SIGKILL.

    python examples/order_processing.py

Runs a shop in a process of its own that kills itself in the middle of its orders, starts the program again, and
shows what each process did. State is in SQLite, or in the Postgres of DBOS_SYSTEM_DATABASE_URL. What really happened
is noted in a ledger, a plain file outside the database: so you need not take the database's word for it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, TypedDict

from dbos import DBOS, DBOSConfig, SetWorkflowID

LEDGER = Path("order_processing.ledger")
DEFAULT_URL = "sqlite:///order_processing.sqlite"  # what DBOS makes of the application's name
STEPS = ["reserve_stock", "charge_card", "send_email"]
CART = {"Ada": "compass", "Grace": "clock", "Linus": "kettle", "Mary": "sextant"}
COMPLETED_BEFORE_THE_CRASH = 6


class Event(TypedDict):
    """One line of the ledger."""

    process: int
    order: str
    what: str


# --- the shop: a workflow of three steps


@DBOS.step()
def reserve_stock(order: str, item: str) -> str:
    """Put an item aside."""
    really_do("reserve_stock", order)
    return f"one {item}"


@DBOS.step()
def charge_card(order: str, customer: str) -> str:
    """Take the money: the step that nobody wants to happen twice."""
    really_do("charge_card", order)
    return f"receipt for {customer}"


@DBOS.step()
def send_email(order: str, customer: str, text: str) -> None:
    """Tell the customer."""
    really_do("send_email", order)


@DBOS.workflow()
def process_order(order: str, customer: str, item: str) -> str:
    """Process an order to its end, in however many processes that takes."""
    reserved = reserve_stock(order, item)
    DBOS.sleep(0.1)  # durable too: after a restart only the rest of it is slept
    receipt = charge_card(order, customer)
    send_email(order, customer, f"On its way: {reserved}. Attached: {receipt}.")
    return f"{reserved}, {receipt}"


def shop(orders: list[str]) -> None:
    """Process the orders. The first process and the one after the crash run exactly this."""
    config: DBOSConfig = {"name": "order-processing", "log_level": "ERROR"}
    if url := os.environ.get("DBOS_SYSTEM_DATABASE_URL"):
        config["system_database_url"] = url
    DBOS(config=config)
    DBOS.launch()  # resumes what a crash left unfinished
    handles = []
    for order, (customer, item) in zip(orders, CART.items(), strict=True):
        with SetWorkflowID(order):  # an id is an idempotency key: an order that exists is not started again
            handles.append(DBOS.start_workflow(process_order, order, customer, item))
    for order, handle in zip(orders, handles, strict=True):
        handle.get_result()
        note(order, "finished")
    DBOS.destroy()


# --- the outside world: a ledger of what really happened, and a power cut

_completed = threading.Semaphore(COMPLETED_BEFORE_THE_CRASH)


def really_do(step: str, order: str) -> None:
    """Have an effect on the world, which takes a moment; the process may be killed in the middle."""
    note(order, step)
    time.sleep(0.15)
    if os.environ.get("POWER_CUT") and not _completed.acquire(blocking=False):
        os.kill(os.getpid(), signal.SIGKILL)


def note(order: str, what: str) -> None:
    """Add a line to the ledger, at once."""
    event: Event = {"process": os.getpid(), "order": order, "what": what}
    with LEDGER.open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(event) + "\n")


# --- the demonstration


def main() -> int:
    """Run the shop, let it die, run it again, and show who did what."""
    from rich.console import Console

    console = Console(highlight=False)
    LEDGER.unlink(missing_ok=True)
    run = time.strftime("%H%M%S")
    orders = [f"{run}-{number}" for number in range(1, len(CART) + 1)]

    console.print(f"\n[bold]1.[/] A process takes {len(orders)} orders, and is killed in the middle of them.")
    first = run_shop(orders, power_cut=True)
    console.print(f"   Process {first.pid} died of signal {-first.returncode} (SIGKILL: no handler, no clean-up).")
    console.print("[bold]2.[/] The same program starts again.")
    second = run_shop(orders, power_cut=False)
    console.print(f"   Process {second.pid} ended with code {second.returncode}.")
    console.print("[bold]3.[/] What really happened, from the ledger:\n")
    events: list[Event] = [json.loads(line) for line in LEDGER.read_text(encoding="utf-8").splitlines()]
    console.print(table(orders, events, first.pid, second.pid))
    explain(console, orders[0])
    finished = {event["order"] for event in events if event["what"] == "finished"}
    return 0 if finished == set(orders) and second.returncode == 0 else 1


def run_shop(orders: list[str], *, power_cut: bool) -> subprocess.Popen[bytes]:
    """Run the shop in a process of its own, to its end."""
    environment = {**os.environ, "POWER_CUT": "1" if power_cut else ""}
    process = subprocess.Popen([sys.executable, __file__, "shop", *orders], env=environment)
    process.wait()
    return process


def table(orders: list[str], events: list[Event], first: int, second: int) -> Any:
    """Lay out, for each step of each order, how often each process ran it."""
    from rich.table import Table

    lines = Table("order", "buyer", *(step.replace("_", " ") for step in STEPS), "status")
    for order, customer in zip(orders, CART, strict=True):
        ran = [(event["what"], event["process"]) for event in events if event["order"] == order]
        cells = [cell(ran.count((step, first)), ran.count((step, second))) for step in STEPS]
        done = ("finished", second) in ran
        lines.add_row(order, customer, *cells, "[green]finished[/]" if done else "[red]unfinished[/]")
    return lines


def cell(before: int, after: int) -> str:
    """Say what became of a step that ran so often before the crash and after it."""
    runs = before + after
    if not runs:
        return "[red]never ran[/]"
    verdict = "[yellow]again[/]" if before and after else "[green]replayed[/]" if before else "[cyan]run[/]"
    return f"{verdict}, {runs}x"


def explain(console: Any, order: str) -> None:
    """Say what the words mean, and how to look further."""
    url = os.environ.get("DBOS_SYSTEM_DATABASE_URL") or ""
    on_postgres = url.startswith("postgres")
    path = Path((url or DEFAULT_URL).partition("///")[2]).resolve()
    database = "the Postgres of DBOS_SYSTEM_DATABASE_URL" if on_postgres else path
    where = '-s "$DBOS_SYSTEM_DATABASE_URL"' if url else f"-s {DEFAULT_URL}"
    beside = str(Path(sys.executable).with_name("dbos"))
    command = min(beside, os.path.relpath(beside), key=len) if os.path.exists(beside) else "dbos"
    console.print(
        f"""
[green]replayed[/]  completed before the crash: its recorded result was used, it did not run again
[yellow]again[/]     under way when the process was killed, so not recorded yet: ran again
[cyan]run[/]       reached by the second process only
1x, 2x    how often it really ran, in both processes together

[bold]Database[/]  {database}
[bold]Ledger[/]    {LEDGER.resolve()}

[bold]Look further[/]
  {command} workflow list {where}
  {command} workflow steps {order} {where}
""",
        soft_wrap=True,
        markup=True,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["shop"]:
        shop(sys.argv[2:])
    else:
        sys.exit(main())
