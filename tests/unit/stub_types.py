"""Types that the operations of `stub_sample` speak of."""

from __future__ import annotations

from decimal import Decimal

Amount = Decimal | int


class WorkflowHandle:
    """Stand for a blocking handle."""


class WorkflowHandleAsync:
    """Stand for an async handle."""
