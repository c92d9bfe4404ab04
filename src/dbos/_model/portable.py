"""The portable format: JSON that every language's SDK reads and writes (chapter 4, 4.10.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .._error import PortableWorkflowError

NAME = "portable_json"
_CODES = ("code", "error_code", "errno", "status", "status_code")
_DATA = ("data", "details", "payload", "extra", "meta", "metadata")
_ABSENT = object()


def dumps(value: Any) -> str:
    """Encode a value; TypeError for what the format cannot carry (ENC-16)."""
    text = json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)
    if text.isascii() or not _has_surrogate(text):
        return text
    # A lone surrogate has no UTF-8 form; JSON can carry it escaped.
    return json.dumps(_plain(value), separators=(",", ":"))


def loads(text: str) -> Any:
    """Decode a value: plain JSON (SER-22)."""
    return json.loads(text)


def dump_inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Encode the arguments of a workflow (ENC-13)."""
    return dumps({"namedArgs": kwargs, "positionalArgs": args})


def load_inputs(text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Decode the arguments of a workflow; a missing or null part is empty (ENC-14)."""
    inputs = loads(text)
    if not isinstance(inputs, dict):
        raise TypeError(
            f"Portable workflow inputs must be an object with positionalArgs and namedArgs, not {type(inputs).__name__}"
        )
    return tuple(inputs.get("positionalArgs") or ()), dict(inputs.get("namedArgs") or {})


def dump_error(error: BaseException) -> str:
    """Encode an exception; never fails (ENC-18, ENC-20, ENC-22)."""
    if isinstance(error, PortableWorkflowError):
        described = {"name": describe(error.name), "message": describe(error)}
        return dumps({**described, "code": _carried(error.code), "data": _carried(error.data)})
    described = {"name": type(error).__name__, "message": describe(error), "code": _carried(_code(error))}
    for name in _DATA:
        data = _attribute(error, name)
        if data is not _ABSENT and not callable(data):
            described["data"] = _carried(data)
            break
    return dumps(described)


def load_error(text: str) -> PortableWorkflowError:
    """Decode an exception (ENC-19)."""
    described = loads(text)
    return PortableWorkflowError(described["message"], described["name"], described.get("code"), described.get("data"))


def describe(value: Any) -> str:
    """Return the text of an exception, or of what it carries, whatever its `__str__` does."""
    for text_of in (str, repr):
        try:
            return text_of(value)
        except Exception:  # a broken __str__ must not defeat recording the error (EX-38)
            continue
    return "<unprintable>"


def _plain(value: Any) -> Any:
    """Return a value as what the json module writes."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple, set)):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {_key(key): _plain(one) for key, one in value.items()}
    return _scalar(value)


def _scalar(value: Any) -> str:
    import datetime
    import decimal

    if isinstance(value, datetime.datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=datetime.timezone.utc)
        moment = moment.astimezone(datetime.timezone.utc)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z".rjust(24, "0")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    raise TypeError(f"Object of type {type(value).__name__} is not portable JSON serializable")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError("Attempt to do portable JSON serialization of a map with non-string keys")
    return key


def _code(error: BaseException) -> Any:
    """Return the first code an exception has that other languages can read."""
    for name in _CODES:
        code = _attribute(error, name)
        if code is None or isinstance(code, (int, str)):
            return code
    return None


def _attribute(error: BaseException, name: str) -> Any:
    try:
        return getattr(error, name, _ABSENT)
    except Exception:  # a property of a user's exception may raise anything
        return _ABSENT


def _carried(data: Any) -> Any:
    """Return what an error carries in a form that can be written, as text if need be."""
    try:
        dumps(data)
        return data
    except Exception:  # whatever is wrong with it, the error itself must be recorded
        return describe(data)


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
