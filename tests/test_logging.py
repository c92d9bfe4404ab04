"""What is logged, at which level, and what it looks like."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from programs import logged, redispatch, rerun, says

import dbos
from dbos import DBOS, SetWorkflowID

SHAPE = re.compile(r"\d\d:\d\d:\d\d \[ {0,4}[A-Z]+\] \(dbos:[^:]+:\d+\) .+")

PROGRAM = """
import sys
sys.path.insert(0, {home!r})
import logging
from dbos import DBOS

DBOS(config={{"name": "testapp", "system_database_url": "sqlite:///{path}", **{config!r}}})
DBOS.logger.debug("a debug line")
DBOS.logger.info("an info line")
DBOS.logger.warning("a warning line")
logging.getLogger("other").info("another logger's line")
DBOS.launch()
DBOS.destroy()
"""


def lines_of(tmp_path: Path, **config: object) -> list[str]:
    """Return what a process of its own writes to standard error."""
    home = str(Path(dbos.__file__).parent.parent)
    code = PROGRAM.format(home=home, path=tmp_path / "a.sqlite", config=config)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    return done.stderr.splitlines()


@pytest.mark.rules("LOG-2", "LOG-5", "LIF-12", "OLOG-1")
def test_lines_on_the_console(tmp_path):
    lines = lines_of(tmp_path)
    assert all(SHAPE.fullmatch(line) for line in lines), lines
    levels = {re.search(r"\[(.{8})\]", line).group(1) for line in lines if "line" in line}  # type: ignore[union-attr]
    assert levels == {"    INFO", " WARNING"}
    assert sum("an info line" in line for line in lines) == 1
    assert not any("another logger" in line for line in lines)


@pytest.mark.rules("LOG-5", "CFG-2")
@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"log_level": "DEBUG"}, ["a debug line", "an info line", "a warning line"]),
        ({"log_level": "WARNING"}, ["a warning line"]),
        ({"log_level": "DEBUG", "console_log_level": "INFO"}, ["an info line", "a warning line"]),
        ({"console_log_level": "ERROR"}, []),
    ],
)
def test_the_levels(tmp_path, config, shown):
    lines = lines_of(tmp_path, **config)
    assert [line.rpartition(") ")[2] for line in lines if line.endswith(" line")] == shown


@pytest.mark.rules("LOG-6")
async def test_steps_say_that_they_run_or_are_replayed(launch, db, face):
    @face.step(name="charge")
    async def charge() -> int:
        return 1

    @face.workflow()
    async def program() -> int:
        await face.dbos.sleep(0.001)
        return await charge()

    launch()
    with logged(logging.DEBUG) as records, SetWorkflowID("w"):
        await program()
    running = [record.getMessage() for record in records if "running step" in record.getMessage().lower()]
    assert any("charge" in message and "2" in message for message in running)
    assert says(records, "Running sleep", logging.DEBUG)
    assert not says(records, "Replaying step")
    with logged(logging.DEBUG) as records:
        await rerun(face, db, "w")
    assert any(
        "replaying step" in record.getMessage().lower() and "charge" in record.getMessage() for record in records
    )


@pytest.mark.rules("LOG-6")
async def test_an_id_that_is_called_again_says_so(launch, face):
    @face.workflow()
    async def program() -> int:
        return 1

    launch()
    with SetWorkflowID("w"):
        await program()
    with logged(logging.DEBUG) as records, SetWorkflowID("w"):
        await program()
    assert says(records, "already run with status SUCCESS", logging.DEBUG)


@pytest.mark.rules("LOG-7")
async def test_a_failure_in_the_background_is_logged_with_its_traceback(launch, db, face):
    @face.workflow()
    async def program() -> None:
        raise ValueError("in the background")

    launch()
    with logged() as records:
        handle = await face.start(program)
        with pytest.raises(ValueError, match="in the background"):
            await handle.get_result()
        redispatch(db, handle.workflow_id)
        with pytest.raises(ValueError, match="in the background"):
            await face.dbos.get_result(handle.workflow_id)
        # The record of the second run may come a moment after its outcome.
        with pytest.raises(ValueError, match="in the background"):
            await program()
    errors = [record for record in records if record.levelno == logging.ERROR and record.exc_info]
    assert any(isinstance(record.exc_info[1], ValueError) for record in errors if record.exc_info)


@pytest.mark.rules("LOG-7")
def test_asyncio_does_not_report_a_failure_again(launch, db):
    reported: list[logging.LogRecord] = []

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reported.append(record)

    @DBOS.workflow()
    async def program() -> None:
        raise ValueError("once")

    handler = Notes()
    logging.getLogger("asyncio").addHandler(handler)
    try:
        launch()
        with SetWorkflowID("w"):
            handle = DBOS.start_workflow(program)
        with pytest.raises(ValueError, match="once"):
            handle.get_result()
        redispatch(db, "w")
        with pytest.raises(ValueError, match="once"):
            DBOS.get_result("w")
        DBOS.destroy()
    finally:
        logging.getLogger("asyncio").removeHandler(handler)
    assert [record for record in reported if "never retrieved" in record.getMessage()] == []
