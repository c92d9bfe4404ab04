"""A depot that has been changed while orders were under way: patches, version, guarded spans, several queues."""

import enum
import os
import random
import threading
from typing import NamedTuple, Protocol

from dbos import DBOS, DBOSClient, DBOSConfig, SetEnqueueOptions

CONFIG: DBOSConfig = {"name": "depot", "enable_patching": True, "enable_otlp": True}


class State(enum.Enum):
    PACKED = "packed"
    SENT = "sent"


class Parcel(NamedTuple):
    order: str
    weight: float

    def postage(self) -> float:
        return round(2.5 + 0.7 * self.weight, 2)


class Clock(Protocol):
    def time(self) -> float: ...


def tag(key: str, value: object) -> None:
    span = DBOS.span
    if span is not None:
        span.set_attribute(key, str(value))


@DBOS.step()
def weigh(order: str) -> float:
    tag("order", order)
    return random.random() * 10


@DBOS.step()
def insure(order: str) -> None:
    if DBOS.span:
        DBOS.span.add_event("insured")


@DBOS.step(preemptible=False)
def stamp(parcel: Parcel, state: State) -> str:
    return f"{parcel.order}: {state.value}"


@DBOS.workflow()
def ship(order: str, time: float, choices: list[str]) -> str:
    parcel = Parcel(order, weigh(order))
    if DBOS.patch("insure-heavy"):
        if parcel.weight > 5:
            insure(order)
    elif parcel.postage() > 5:
        insure(order)
    DBOS.deprecate_patch("stamp-twice")
    random = choices[0] if choices else "none"
    return f"{stamp(parcel, State.SENT)} at {time} by {random}"


def throttle(tenant: str, order: str, clock: Clock) -> str:
    with SetEnqueueOptions(queue_partition_key=tenant, delay_seconds=1.5):
        return DBOS.enqueue_workflow("tenants", ship, order, clock.time(), []).workflow_id


def sync(client: DBOSClient, tenants: dict[str, list[str]]) -> None:
    for tenant, orders in tenants.items():
        for order in orders:
            client.enqueue(
                {
                    "workflow_name": "ship",
                    "queue_name": "tenants",
                    "queue_partition_key": tenant,
                    "workflow_id": f"{tenant}/{order}",
                },
                order,
                0.0,
                [],
            )


class Worker:
    def __init__(self) -> None:
        self.stopped = threading.Event()

    def start(self) -> "Worker":
        DBOS(config=CONFIG)
        DBOS.listen_queues(["tenants"])
        DBOS.launch()
        DBOS.register_queue("tenants", partition_concurrency=2, partition_limiter={"limit": 10, "period": 1.0})
        return self

    def serve(self) -> None:
        self.stopped.wait(float(os.environ.get("LIFETIME", "inf")))
        DBOS.destroy()


if __name__ == "__main__":
    Worker().start().serve()
