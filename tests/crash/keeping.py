"""The program of the retention matrix: collect or import, in a process that may die at commit n.

python keeping.py URL WHAT DIRECTORY [NUMBER WHEN]
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from dbos import DBOSClient, testing

url, what, directory, *kill = sys.argv[1:]
fault = testing.kill_at_commit(int(kill[0]), when=kill[1]) if kill else contextlib.nullcontext()  # type: ignore[arg-type]
with DBOSClient(system_database_url=url) as client, fault:
    if what == "collect":
        client.garbage_collect(1 << 60, batch_size=2)
    elif what == "collect at once":
        client.garbage_collect(1 << 60, batch_size=None)
    elif what == "delete":
        client.delete_workflow("w-0", delete_children=True)
    else:
        client.import_workflow(json.loads(Path(directory, "exported").read_text()))
