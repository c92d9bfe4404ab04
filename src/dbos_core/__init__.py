"""Workflows as classes, over the public API of `dbos`.

from dbos_core import Workflow, WorkflowContext, dbos_workflow, transactional_function
"""

from __future__ import annotations

from .context import WorkflowContext
from .transactions import transactional_function
from .workflow import Workflow, dbos_workflow

__all__ = ["Workflow", "WorkflowContext", "dbos_workflow", "transactional_function"]
