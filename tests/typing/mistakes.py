"""Mistakes that type checkers must find: an ignore that is not needed fails the check."""

from __future__ import annotations

from dbos import DBOS


@DBOS.workflow()
def checkout(order: str) -> int:
    """Run a workflow."""
    return 1


def mistakes() -> None:
    """Make them."""
    checkout(17)  # type: ignore[arg-type]
    checkout()  # type: ignore[call-arg]
    DBOS.start_workflow(checkout, 17)  # type: ignore[call-overload]
    DBOS.sleep("long")  # type: ignore[arg-type]
    DBOS.workflow(nmae="checkout")  # type: ignore[call-arg]
    _text: str = DBOS.start_workflow(checkout, "order-17").get_result()  # type: ignore[assignment]
