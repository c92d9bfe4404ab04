"""A script as it grows in a notebook: everything at the top level, one cell after the other."""

# %%
import random
import time

import numpy as np

from dbos import DBOS

DBOS(config={"name": "notebook", "log_level": "WARNING"})
rng = np.random.default_rng(7)


# %%
@DBOS.step()
def sample(n: int) -> list[float]:
    return [random.gauss(0, 1) for _ in range(n)]


@DBOS.step()
def measure() -> float:
    return time.time()


@DBOS.workflow()
def estimate(rounds: int, seed: int = 0) -> float:
    order = random.Random(seed).sample(range(rounds), rounds)
    means = []
    for _ in order:
        values = sample(100)
        means.append(sum(values) / len(values))
        DBOS.sleep(0.01)
    return float(np.mean(means))


# %%
DBOS.launch()
started = time.time()
print(estimate(5), time.time() - started)

# %%
handles = [DBOS.start_workflow(estimate, rounds, seed=rounds) for rounds in (2, 4, 8)]
for handle in handles:
    print(handle.workflow_id, handle.get_result())

# %%
steps = DBOS.list_workflow_steps(handles[0].workflow_id)
print([step["function_name"] for step in steps])
time.sleep(0.1)
DBOS.destroy()
