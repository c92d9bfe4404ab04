"""The services of event receivers: those declared before the launch, and those declared later.

Leaves what each receives to the receiver.
"""

from __future__ import annotations

from .._engine.receivers import Receiver
from .._engine.runtime import Runtime
from .._error import DBOSInitializationError
from .dispatcher import Dispatcher
from .service import Service


class Receiving:
    """What receives during one launch."""

    def __init__(self, node: Runtime, dispatcher: Dispatcher) -> None:
        self._node = node
        self._dispatcher = dispatcher
        self._services: list[Service] = []

    def start(self) -> None:
        """Begin to receive, for the receivers there are and those to come (EV-19)."""
        for receiver in self._node.registry.receivers:
            self._begin(receiver)
        self._node.receive = self._begin

    def _begin(self, receiver: Receiver) -> None:
        queue = receiver.own_queue(self._node.settings.kafka_polling_sec)
        if queue is not None:
            self._dispatcher.changed(queue)
        service: Service = receiver.service(self._node)
        self._services.append(service)
        service.start()

    def stop(self, timeout_sec: float) -> None:
        """Stop receiving, and wait until that is so."""
        self._node.receive = lambda receiver: None
        for service in self._services:
            service.ask_to_stop()
        for service in self._services:
            service.join(timeout_sec)


def refuse_unfit(node: Runtime) -> None:
    """Drop the receivers that cannot work here, and raise the first one's reason (EV-4)."""
    refusals: list[DBOSInitializationError] = []
    for receiver in list(node.registry.receivers):
        try:
            receiver.check(node)
        except DBOSInitializationError as refusal:
            node.registry.receivers.remove(receiver)
            refusals.append(refusal)
    if refusals:
        raise refusals[0]
