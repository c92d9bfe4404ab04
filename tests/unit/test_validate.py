"""Arguments that come from the database: dates in portable text, and validation by pydantic."""

from __future__ import annotations

import logging
import sys
import threading
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from dbos import make_pydantic_args_validator, pydantic_args_validator
from dbos._model.validate import coerce_portable_dates

if TYPE_CHECKING:
    from nowhere import Unknown


# --- dates in portable text


def dated(day: date, at: datetime, maybe: datetime | None = None, text: str = "") -> None: ...


ISO_DAY, ISO_MOMENT = "2024-02-29", "2024-02-29T10:00:00.000Z"


@pytest.mark.rules("ENC-24", "SER-29")
def test_dates_are_parsed_where_the_parameter_says_exactly_so():
    day, at = date(2024, 2, 29), datetime(2024, 2, 29, 10, tzinfo=timezone.utc)
    args, kwargs = coerce_portable_dates(dated, (ISO_DAY, ISO_MOMENT, ISO_MOMENT, ISO_DAY), {}, skip_first=False)
    assert args == (day, at, ISO_MOMENT, ISO_DAY)
    args, kwargs = coerce_portable_dates(dated, (), {"day": ISO_DAY, "at": ISO_MOMENT, "x": ISO_DAY}, skip_first=False)
    assert kwargs == {"day": day, "at": at, "x": ISO_DAY}


@pytest.mark.rules("ENC-24", "SER-29")
@pytest.mark.parametrize("value", ["soon", "", 17, None, ["2024-02-29"]])
def test_what_is_no_date_is_passed_as_it_is(value):
    assert coerce_portable_dates(dated, (value, value), {}, skip_first=False) == ((value, value), {})


@pytest.mark.rules("ENC-24")
def test_the_receiver_is_skipped():
    class Shop:
        def sell(self, day: date) -> None: ...

    assert coerce_portable_dates(Shop.sell, (ISO_DAY,), {}, skip_first=True)[0] == (date(2024, 2, 29),)


def moment(text: str) -> Any:
    return coerce_portable_dates(dated, (), {"at": text}, skip_first=False)[1]["at"]


EAST = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.rules("SER-29", "ENC-24")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29T10:00:00Z", datetime(2024, 2, 29, 10, tzinfo=timezone.utc)),
        ("2024-02-29t10:00:00.123z", datetime(2024, 2, 29, 10, 0, 0, 123000, timezone.utc)),
        ("2024-02-29T10:00:00.123456789Z", datetime(2024, 2, 29, 10, 0, 0, 123456, timezone.utc)),
        ("2024-02-29T10:00:00+05:30", datetime(2024, 2, 29, 10, tzinfo=EAST)),
        ("2024-02-29T10:00:00-0530", datetime(2024, 2, 29, 10, tzinfo=timezone(-timedelta(hours=5, minutes=30)))),
        ("2024-02-29 10:00", datetime(2024, 2, 29, 10)),
        ("20240229T100000", datetime(2024, 2, 29, 10)),
        ("2024-02-29", datetime(2024, 2, 29)),
        ("2023-02-29T10:00:00Z", "2023-02-29T10:00:00Z"),
        ("2024-02-29T25:00:00Z", "2024-02-29T25:00:00Z"),
        ("2024-02-29T10:00:00+25:00", "2024-02-29T10:00:00+25:00"),
        ("2024-02-29T10:00:00Z tomorrow", "2024-02-29T10:00:00Z tomorrow"),
    ],
)
def test_which_text_is_a_moment(text, expected):
    assert moment(text) == expected


@pytest.mark.rules("SER-29")
def test_a_date_is_also_read_from_a_moment():
    assert coerce_portable_dates(dated, (ISO_MOMENT,), {}, skip_first=False)[0] == (date(2024, 2, 29),)


@pytest.mark.rules("SER-29")
def test_what_stars_collect_is_parsed_by_their_annotation():
    def collecting(first: str, *days: date, **moments: datetime) -> None: ...

    args, kwargs = coerce_portable_dates(
        collecting, (ISO_DAY, ISO_DAY, ISO_DAY), {"a": ISO_DAY, "days": ISO_DAY}, skip_first=False
    )
    assert args == (ISO_DAY, date(2024, 2, 29), date(2024, 2, 29))
    assert kwargs == {"a": datetime(2024, 2, 29), "days": datetime(2024, 2, 29)}


@pytest.mark.rules("SER-29")
def test_a_hint_that_cannot_be_resolved_does_not_spoil_the_others():
    def partly(day: date, other: Unknown) -> None: ...

    assert coerce_portable_dates(partly, (ISO_DAY, ISO_DAY), {}, skip_first=False)[0] == (date(2024, 2, 29), ISO_DAY)


@pytest.mark.rules("SER-29")
def test_without_dates_the_arguments_are_handed_on_as_they_are():
    def plain(text: str, anything) -> None: ...

    args: tuple[Any, ...] = (ISO_DAY, ISO_DAY)
    assert coerce_portable_dates(plain, args, {}, skip_first=False)[0] is args


# --- pydantic


def problems(validate: Any, *args: Any, **kwargs: Any) -> list[str]:
    with pytest.raises(ValueError) as caught:
        validate(args, kwargs)
    head, *lines = str(caught.value).splitlines()
    assert head == "Argument validation failed for workflow:"
    return lines


class Line(BaseModel):
    product: str
    amount: int


@dataclass
class Address:
    street: str


class Opaque:
    """Be a class that pydantic knows nothing about."""


@pytest.mark.rules("SER-42")
def test_arguments_are_converted_by_their_annotations():
    def order(
        at: datetime, day: date, amount: int, line: Line, address: Address, anything, note: str | None = None
    ): ...

    validate = make_pydantic_args_validator(order)
    args, kwargs = validate(
        (1700000000, ISO_DAY, "4", {"product": "tea", "amount": "2"}, {"street": "High St"}, object), {"note": None}
    )
    assert args == (
        datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc),
        date(2024, 2, 29),
        4,
        Line(product="tea", amount=2),
        Address("High St"),
        object,
    )
    assert kwargs == {"note": None}


@pytest.mark.rules("SER-42")
def test_all_problems_are_listed_by_argument():
    def order(at: datetime, amount: int, line: Line, *, note: str, key: int) -> None: ...

    lines = problems(make_pydantic_args_validator(order), True, "x", {"amount": 1}, key="y")
    assert [line.split(": ")[0] for line in lines] == [
        "Argument 'at' (position 0)",
        "Argument 'amount' (position 1)",
        "Argument 'line' (position 2)",
        "Argument 'key'",
        "Missing required argument",
    ]
    assert lines[2].startswith("Argument 'line' (position 2): product: ")
    assert lines[4] == "Missing required argument: 'note'"


@pytest.mark.rules("SER-42")
def test_extra_arguments_follow_the_annotations_of_the_stars():
    def order(first: int, *more: int, **named: int) -> None: ...

    validate = make_pydantic_args_validator(order)
    assert validate(("1", "2", "3"), {"a": "4"}) == ((1, 2, 3), {"a": 4})
    assert [line.split(":")[0] for line in problems(validate, 1, "x", a="y")] == [
        "Argument 'more' (position 1)",
        "Argument 'a'",
    ]


@pytest.mark.rules("SER-42")
def test_extra_arguments_without_stars_are_left_to_the_call():
    def order(first: int) -> None: ...

    assert make_pydantic_args_validator(order)((1, "2"), {"a": "3"}) == ((1, "2"), {"a": "3"})


@pytest.mark.rules("SER-42")
def test_positional_only_parameters_cannot_be_given_by_name():
    def order(first: int, /, second: int) -> None: ...

    validate = make_pydantic_args_validator(order)
    assert problems(validate, first=1, second=2) == ["Missing required argument: 'first'"]
    assert validate(("1",), {"second": "2"}) == ((1,), {"second": 2})


@pytest.mark.rules("SER-42")
def test_a_default_is_not_missing():
    def order(first: int = 1, *, second: int = 2) -> None: ...

    assert make_pydantic_args_validator(order)((), {}) == ((), {})


@pytest.mark.rules("SER-40", "SER-42")
def test_the_receiver_is_not_among_the_arguments():
    class Shop:
        def sell(self, amount: int) -> None: ...

        @classmethod
        def close(cls, day: date) -> None: ...

        @staticmethod
        def price(amount: int) -> None: ...

    for method in (Shop.sell, Shop().sell, Shop.price):
        assert make_pydantic_args_validator(method)(("4",), {}) == ((4,), {})
    assert make_pydantic_args_validator(Shop.close)((ISO_DAY,), {}) == ((date(2024, 2, 29),), {})


@pytest.mark.rules("SER-42")
def test_a_class_that_pydantic_does_not_know_is_checked_by_its_instances():
    def order(one: Opaque, many: list[Opaque]) -> None: ...

    validate = make_pydantic_args_validator(order)
    opaque = Opaque()
    assert validate((opaque, [opaque]), {}) == ((opaque, [opaque]), {})
    assert len(problems(validate, 1, [2])) == 2


@pytest.mark.rules("SER-42")
def test_a_hint_that_cannot_be_resolved_is_left_alone_with_a_warning(caplog, monkeypatch):
    def order(amount: int, other: Unknown) -> None: ...

    monkeypatch.setattr(logging.getLogger("dbos"), "propagate", True)
    validate = make_pydantic_args_validator(order)
    assert validate(("4", "x"), {}) == ((4, "x"), {})
    assert len(problems(validate, "x", "x")) == 1
    assert {"'other'" in record.getMessage() for record in caplog.records} == {True}


@pytest.mark.rules("SER-42")
def test_concurrent_first_uses_agree():
    def order(line: Line, amount: int) -> None: ...

    validate = make_pydantic_args_validator(order)
    start = threading.Barrier(8)
    results: list[Any] = []

    def use() -> None:
        start.wait()
        results.append(validate(({"product": "tea", "amount": 1}, "2"), {}))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [((Line(product="tea", amount=1), 2), {})] * 8


@pytest.mark.rules("SER-41")
def test_the_sentinel_is_never_called():
    with pytest.raises(NotImplementedError, match="make_pydantic_args_validator"):
        pydantic_args_validator((), {})


@pytest.mark.rules("SER-41")
def test_without_pydantic_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydantic", None)
    monkeypatch.delitem(sys.modules, "dbos.integrations.pydantic", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'dbos\[validation\]'"):
        make_pydantic_args_validator(lambda: None)
