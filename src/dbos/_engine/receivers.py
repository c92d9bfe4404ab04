"""Event receivers: what starts workflows for events from outside, while an application runs.

Knows what the application asks of one. Leaves hearing of events, and what a workflow gets of them, to `integrations`.
"""

from __future__ import annotations

from typing import Any, Protocol

from .._model.queue import QueueSettings


class Receiver(Protocol):
    """What a decorator declared: it outlives launches."""

    @property
    def queue_name(self) -> str:
        """The queue its workflows go on, which its process serves in any case (EV-5)."""

    def own_queue(self, polling_sec: float) -> QueueSettings | None:
        """Return that queue's settings if it is an internal one, else None: somebody registers it."""

    def check(self, node: Any) -> None:
        """Raise `DBOSInitializationError` if it cannot work in this application (EV-4)."""

    def service(self, node: Any) -> Any:
        """Return the service that receives, for one launch."""
