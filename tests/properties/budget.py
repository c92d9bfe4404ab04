"""How many examples a property gets: a few in every run of the tests, the same ones; as many as a campaign asks for.

DBOS_PROPERTY_EXAMPLES=2000 python -m pytest tests/properties --hypothesis-seed=1
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

ASKED = int(os.environ.get("DBOS_PROPERTY_EXAMPLES", "0"))


def examples(few: int, **more: Any) -> settings:
    """Return the settings of a property that gets `few` examples where nobody asks for more."""
    return settings(
        max_examples=ASKED or few,
        derandomize=not ASKED,
        database=None,
        deadline=None,
        # An application is launched once and used by all examples; a value may be large.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
        print_blob=True,
        **more,
    )
