import logging
import threading
from datetime import date

from dbos import DBOS, SetWorkflowID

from . import bill_all
from .settings import BILLING_QUEUE, STARTED, config


def start() -> None:
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(BILLING_QUEUE, partition_concurrency=1, worker_concurrency=10)


def run_once(month: str) -> int:
    with SetWorkflowID(f"bill-{month}"):
        return bill_all(month)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    start()
    logging.info("started at %s", STARTED)
    run_once(date.today().strftime("%Y-%m"))
    threading.Event().wait()
