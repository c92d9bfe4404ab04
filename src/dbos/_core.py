"""Running a step whose number was drawn before, under the private name that packages built on `dbos` use (CMP-0).

`DBOS.reserve_step()` is the public way to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ._model.records import StepOptions
from ._ops.steps import StepReservation


async def run_step_async(
    dbos: object,
    step_ctx: StepReservation,
    func: Callable[..., Any],
    options: StepOptions | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    """Run a function as the step whose number `snapshot_step_context` drew."""
    return await step_ctx.run_async(cast(Any, options), func, *args, **kwargs)
