"""Starting: import, first result, memory after both."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from .bench import Bench, case

HERE = str(Path(__file__).resolve().parent)
HELLO = f"{HERE}/hello.py"
IMPORT_MEMORY = f"import sys, dbos; sys.path.append({HERE!r}); from resident import memory_bytes; print(memory_bytes())"


@case()
def startup(bench: Bench) -> None:
    """Time processes from their start; the time of bare Python is taken off the import's."""
    times = bench.count(7, least=2)
    _run(HELLO, bench.url)  # creates the database
    bare, imported, first = [], [], []
    for _ in range(times):
        bare.append(_run("-c", "pass")[0])
        imported.append(_run("-c", "import dbos")[0])
        first.append(_run(HELLO, bench.url)[0])
    new = [_run(HELLO, bench.fresh_url())[0] for _ in range(min(3, times))]
    bench.report("import_net", (median(imported) - median(bare)) * 1e3, "ms", times)
    bench.report("start_to_first_result", median(first) * 1e3, "ms", times)
    bench.report("start_to_first_result_new_database", median(new) * 1e3, "ms", len(new))
    bench.report("start_to_exit_with_destroy", _run(HELLO, bench.url, "destroy")[0] * 1e3, "ms", 1)
    bench.report("rss_after_import", int(_run("-c", IMPORT_MEMORY)[1]) / 2**20, "MiB")
    bench.report("rss_after_first_workflow", int(_run(HELLO, bench.url, "memory")[1].split()[1]) / 2**20, "MiB")


def _run(*arguments: str) -> tuple[float, str]:
    begin = time.perf_counter()
    ran = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    taken = time.perf_counter() - begin
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    return taken, ran.stdout
