"""What `dbos lint tests` finds in this project is meant: which files break which rules, and why.

Only these files are linted here; in any other, `dbos lint tests` finds nothing.
"""

from __future__ import annotations

from pathlib import Path

from dbos.lint import lint

TESTS = Path(__file__).parents[1]

DETERMINISM, SLEEP, ASYNC = "workflow-determinism", "workflow-sleep", "pattern-async"
LEGACY, QUEUE = "step-transactions", "queue-basics"
MEANT: dict[str, dict[str, str]] = {
    "crash/gauged.py": {DETERMINISM: "notes which process runs it, in a database beside"},
    "crash/transacting.py": {LEGACY: "the decorator is what is tested"},
    "datasource/test_application_transactions.py": {
        LEGACY: "the decorator is what is tested",
        "step-no-workflow-calls": "calls a workflow in a transaction, which is refused",
    },
    "kafka/test_declaring.py": {QUEUE: "declared queues still work"},
    "other_process.py": {DETERMINISM: "tells when and in which process it ran"},
    "programs.py": {
        DETERMINISM: "`until`, called by a workflow that is never recovered, has a bound",
        SLEEP: "`pause`, called by a workflow that is never recovered",
        ASYNC: "`streamed` asks which colour it is in",
    },
    "telemetry/test_spans.py": {"advanced-observability": "tracing is on, or the test fails"},
    "telemetry/test_transaction_spans.py": {LEGACY: "the decorator is what is tested"},
    "test_asyncio.py": {
        ASYNC: "a failed step fails the test; two sequences race",
        SLEEP: "two sequences race",
    },
    "test_client.py": {"client-setup": "the old parameters are what is tested"},
    "test_destroy.py": {SLEEP: "a destroy cancels it"},
    "test_enqueue.py": {
        QUEUE: "declared queues still work",
        "queue-partitioning": "a key beside a deduplication id is refused",
    },
    "test_event_loops.py": {SLEEP: "a destroy cancels it"},
    "test_events.py": {ASYNC: "a failed step fails the test"},
    "test_ids.py": {ASYNC: "a failed step fails the test"},
    "test_messages.py": {
        ASYNC: "a failed step fails the test",
        SLEEP: "varies when a receiver is cancelled",
    },
    "test_patches.py": {ASYNC: "a patch races with a step, which fails the workflow"},
    "test_private_names.py": {"lifecycle-register-before-launch": "nothing is recovered"},
    "test_queue_objects.py": {QUEUE: "declared queues still work"},
    "test_queues.py": {QUEUE: "declared queues still work"},
    "test_retention.py": {LEGACY: "what it wrote is deleted, too"},
    "test_rewinding.py": {ASYNC: "asks which colour it is in"},
    "test_run_step.py": {ASYNC: "blocks in a loop, which is refused; a failed step fails the test"},
    "test_signals.py": {DETERMINISM: "tells when and in which process it ran"},
    "test_stream_reads.py": {ASYNC: "asks which colour it is in"},
    "test_streams.py": {ASYNC: "a failed step fails the test"},
    "torture/talking.py": {DETERMINISM: "measures how long things take"},
    "web/test_fastapi.py": {LEGACY: "the decorator is what is tested", SLEEP: "a shutdown cancels it"},
}


def test_finds_in_these_files_what_is_meant():
    found = {(Path(one.path).relative_to(TESTS).as_posix(), one.rule) for one in lint([TESTS / name for name in MEANT])}
    assert found <= {(name, rule) for name, rules in MEANT.items() for rule in rules}
