"""The logger's parts: masking, attributes, handlers."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from dbos._model import logs
from dbos._model.config import resolve


@pytest.fixture(autouse=True)
def untouched_logger() -> Iterator[None]:
    """Give the logger back as it was."""
    logger = logs.logger
    before = list(logger.handlers), logger.level, logger.propagate, list(logger.filters)
    # A propagating logger also keeps pytest from adding handlers of its own.
    logger.handlers, logger.filters, logger.propagate = [], [], True
    yield
    logs.detach()
    logger.handlers, logger.level, logger.propagate, logger.filters = before
    logger.setLevel(before[1])


def configure(workflow_id: str | None = None, **config: object) -> None:
    logs.configure(resolve({"name": "testapp", **config}, {}), lambda: workflow_id)


def record_of(message: str = "message") -> logging.LogRecord:
    record = logs.logger.makeRecord("dbos", logging.INFO, "/x/file.py", 7, message, (), None)
    assert all(each.filter(record) for each in logs.logger.filters)
    return record


@pytest.mark.rules("LOG-8")
@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://user:secret@host/db", "postgresql://user:***@host/db"),
        (
            "to postgresql+psycopg://user:s%40t@host:1/db?a=b failed",
            "to postgresql+psycopg://user:***@host:1/db?a=b failed",
        ),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        ("postgresql://user@host:5432/db", "postgresql://user@host:5432/db"),
        ("http://host:80/path", "http://host:80/path"),
        ("a://u:1@h and b://v:2@h", "a://u:***@h and b://v:***@h"),
        ("postgresql://user:s@cr/et@host/db", "postgresql://user:***@host/db"),
        ("host=h password=secret dbname=d", "host=h password=*** dbname=d"),
        ("host=h password='it\\'s secret' dbname=d", "host=h password=*** dbname=d"),
        (
            "postgresql://h/d?password=secret&sslpassword=secret&a=b",
            "postgresql://h/d?password=***&sslpassword=***&a=b",
        ),
    ],
)
def test_passwords_are_masked(text, masked):
    assert logs.mask_passwords(text) == masked


@pytest.mark.rules("LOG-2", "LOG-5")
def test_a_logger_without_handlers_gets_a_console():
    configure(log_level="DEBUG", console_log_level="WARNING")
    [console] = logs.logger.handlers
    assert (logs.logger.level, console.level, logs.logger.propagate) == (logging.DEBUG, logging.WARNING, False)


@pytest.mark.rules("LOG-2")
def test_a_logger_with_a_handler_keeps_it():
    mine = logging.NullHandler()
    logs.logger.addHandler(mine)
    logs.logger.propagate = True
    configure()
    assert logs.logger.handlers == [mine]
    assert logs.logger.propagate


@pytest.mark.rules("LOG-2")
def test_the_shape_of_a_line():
    configure()
    [console] = logs.logger.handlers
    line = console.format(record_of("hello"))
    time, rest = line[:8], line[8:]
    assert [part.isdigit() for part in time.split(":")] == [True] * 3
    assert rest == " [    INFO] (dbos:file.py:7) hello"


@pytest.mark.rules("LOG-3", "CFG-2")
def test_what_every_record_carries():
    configure(otlp_attributes={"team": "blue"})
    logs.identify("app", "v1", "local")
    record = record_of()
    assert (record.applicationID, record.applicationVersion, record.executorID) == ("app", "v1", "local")
    assert record.team == "blue"
    assert not hasattr(record, "operationUUID")
    configure(workflow_id="w")
    assert record_of().operationUUID == "w"


@pytest.mark.rules("LOG-3")
def test_records_name_the_configured_application_before_it_is_launched():
    configure(application_version="v2", executor_id="e2")
    record = record_of()
    assert (record.applicationID, record.applicationVersion, record.executorID) == ("", "v2", "e2")


@pytest.mark.rules("LOG-3")
def test_an_attribute_cannot_replace_what_a_record_says_itself():
    configure(otlp_attributes={"name": "mine", "message": "mine", "args": "mine", "team": "blue"})
    record = record_of("hello")
    assert (record.name, record.getMessage(), record.team) == ("dbos", "hello", "blue")
    assert not hasattr(record, "message")


@pytest.mark.rules("LOG-2")
def test_the_console_writes_to_what_standard_error_is_now(capsys):
    configure()
    logs.logger.info("hello")
    assert capsys.readouterr().err.endswith("hello\n")


@pytest.mark.rules("LIF-36")
def test_filters_and_handlers_do_not_pile_up():
    for _ in range(3):
        configure()
    assert (len(logs.logger.handlers), len(logs.logger.filters)) == (1, 1)
    logs.detach()
    assert logs.logger.filters == []
