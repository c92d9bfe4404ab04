"""Break what correctness stands on, one guard after another, and see that the tests named for it notice.

    python tools/mutations.py [--only TEXT] [--first NUMBER] [--trusting]

Each mutant of `mutants/` is applied to a scratch copy of `src`, and the tests it names run against that. A mutant is
*killed* when they fail, and has *survived* when they pass: then a guard could be removed and nobody would notice.
Before the first mutant the same tests must pass without one, unless they are trusted to. Postgres is as for the tests:
`DBOS_TEST_POSTGRES_URL`, else a throw-away server. Ends with 1 when a mutant survived.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
# A mutant may hang what it breaks: that is noticed, too.
TEST_SEC = 60
FAILED = 1  # pytest's exit code


def applied(mutant: Mutant, text: str) -> str:
    """Return a file's text as the mutant has it; ValueError when the text it replaces is not there exactly once."""
    found = text.count(mutant.old)
    if found != 1:
        raise ValueError(f"Mutant {mutant.name!r}: {mutant.file} has its text {found} times, not once")
    return text.replace(mutant.old, mutant.new)


def run_tests(source: Path, tests: Iterable[str]) -> int:
    """Run tests against a copy of the source until one fails; return pytest's exit code."""
    # Bytecode is not kept: a file may be written twice in one second at one length.
    env = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-o", f"timeout={TEST_SEC}"]
    ran = subprocess.run(
        [*command, *(str(TESTS / test) for test in tests)], cwd=ROOT, env=env, capture_output=True, text=True
    )
    if ran.returncode > FAILED:
        print(ran.stdout[-3000:], ran.stderr[-3000:])
    return ran.returncode


def survivors(mutants: list[Mutant], *, trusting: bool) -> list[Mutant]:
    """Return the mutants that their tests do not notice, and say of each what became of it."""
    found: list[Mutant] = []
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        tests = sorted({test for mutant in mutants for test in mutant.tests})
        if not trusting and run_tests(source, tests) != 0:
            raise SystemExit("The tests fail without a mutant: nothing can be learned from them")
        for number, mutant in enumerate(mutants, 1):
            path = source / "dbos" / mutant.file
            text = path.read_text(encoding="utf-8")
            path.write_text(applied(mutant, text), encoding="utf-8")
            began = time.monotonic()
            code = run_tests(source, mutant.tests)
            path.write_text(text, encoding="utf-8")
            if code > FAILED:
                raise SystemExit(f"{mutant.name}: pytest could not run its tests (exit code {code})")
            fate = "killed" if code == FAILED else "SURVIVED"
            print(f"{number}/{len(mutants)} {fate} in {time.monotonic() - began:.1f} s: {mutant.name}", flush=True)
            if fate == "SURVIVED":
                found.append(mutant)
    return found


def main() -> None:
    """Work through all mutants, or those whose name or file contains a text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--first", type=int, default=1, help="the number of the mutant to begin with")
    parser.add_argument("--trusting", action="store_true", help="do not run the tests without a mutant first")
    given = parser.parse_args()
    mutants = [
        mutant for mutant in MUTANTS[given.first - 1 :] if given.only in mutant.name or given.only in mutant.file
    ]
    survived = survivors(mutants, trusting=given.trusting)
    print(f"{len(mutants) - len(survived)} of {len(mutants)} mutants killed")
    sys.exit(1 if survived else 0)


if __name__ == "__main__":
    main()
