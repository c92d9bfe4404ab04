"""What a workflow comes to whose process is shutting down while it runs: nothing, until it is recovered."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from face import drive
from programs import SpareGate, status_of

from dbos import DBOS, SetWorkflowID
from dbos._engine.runtime import Runtime
from dbos.error import DBOSException


@pytest.mark.rules("LIF-32", "LIF-35", "RV-60")
@pytest.mark.parametrize("goes_on_with", ["a step", "a child", "nothing"])
def test_what_goes_on_while_dbos_is_destroyed_records_no_outcome(launch, db, monkeypatch, goes_on_with):
    """It was refused a child, or ran a step that nobody recorded, and that became its outcome."""
    ran: list[str] = []
    ended = threading.Event()

    @DBOS.step()
    def step() -> str:
        ran.append("step")
        return "done"

    @DBOS.workflow()
    def child() -> str:
        return "done"

    with SpareGate() as gate:

        @DBOS.workflow()
        def program() -> str:
            try:
                gate.hold()
                return {"a step": step, "a child": child, "nothing": lambda: "done"}[goes_on_with]()
            finally:
                ended.set()

        abandon = Runtime.abandon_runs

        def let_it_go_on(node: Runtime) -> None:
            """Open the gate when DBOS takes no calls any more, and still writes."""
            gate.open()
            assert ended.wait(30)
            abandon(node)

        monkeypatch.setattr(Runtime, "abandon_runs", let_it_go_on)
        launch()
        with SetWorkflowID("w"):
            handle: Any = DBOS.start_workflow(program)
        drive(gate.reached())
        DBOS.destroy()
        with pytest.raises(DBOSException):
            handle.get_result()
        assert (status_of(db, "w"), ran) == ("PENDING", [])
    launch()
    assert DBOS.retrieve_workflow("w").get_result() == "done"
    assert ran == (["step"] if goes_on_with == "a step" else [])
