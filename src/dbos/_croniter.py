"""The cron library, under the private name by which packages built on `dbos` import it. Stable (CMP-0)."""

from __future__ import annotations

from croniter import croniter

__all__ = ["croniter"]
