"""The smallest program: launch and run one workflow of one step. A script of its own, so that nothing else is timed.

python hello.py URL [memory | destroy]
"""

import os
import sys

from dbos import DBOS

DBOS(config={"name": "bench", "system_database_url": sys.argv[1], "log_level": "CRITICAL", "application_version": "v1"})


@DBOS.step()
def step(value: int) -> int:
    return value


@DBOS.workflow()
def workflow(value: int) -> int:
    return step(value)


DBOS.launch()
result = workflow(1)

print("OK" if result == 1 else "WRONG", flush=True)
if sys.argv[2:] == ["memory"]:
    from resident import memory_bytes

    print(memory_bytes())
if sys.argv[2:] == ["destroy"]:
    DBOS.destroy()
else:
    sys.stdout.flush()
    os._exit(0)
