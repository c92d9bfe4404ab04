"""From values to stored text and back, by the name of a serializer.

Knows the formats and which applies (chapter 4, 4.10). Leaves the portable one's details to `portable.py`.
"""

from __future__ import annotations

import binascii
import io
import logging
import pickle
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, TypedDict, cast

from .._error import DBOSException
from . import portable

logger = logging.getLogger("dbos")

PICKLE = "py_pickle"
PORTABLE = portable.NAME


class Serializer(ABC):
    """The base of custom serializers, given as `DBOSConfig["serializer"]`.

    class Json(Serializer):
        def serialize(self, data): return json.dumps(data)
        def deserialize(self, serialized_data): return json.loads(serialized_data)
        def name(self): return "json"
    """

    @abstractmethod
    def serialize(self, data: Any) -> str:
        """Return `data` as text."""

    @abstractmethod
    def deserialize(self, serialized_data: str) -> Any:
        """Return what `serialize` was given."""

    def name(self) -> str:
        """Return the name stored beside every value: it finds the serializer again when the value is read."""
        return "custom_serializer"


class PickleSerializer(Serializer):
    """The default: pickle, as Base64 text."""

    def serialize(self, data: Any) -> str:
        """Return `data` as text."""
        try:
            return binascii.b2a_base64(pickle.dumps(data), newline=False).decode("ascii")
        except Exception as error:
            logger.error("A value of type %s cannot be serialized: %s", type(data).__name__, portable.describe(error))
            raise

    def deserialize(self, serialized_data: str) -> Any:
        """Return what `serialize` was given."""
        pickled = binascii.a2b_base64(serialized_data)
        # Only a pickle that spells this library's name can hold classes of it; the others need no looking after.
        if b"dbos" in pickled:
            return _Unpickler(io.BytesIO(pickled)).load()
        return pickle.loads(pickled)

    def name(self) -> str:
        """Return "py_pickle"."""
        return PICKLE


class _Unpickler(pickle.Unpickler):
    """Finds classes of any version of this library by their name alone (ENC-10)."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class; one of a package named `dbos` is ours of the same name."""
        if module == "dbos" or not module.startswith("dbos."):
            return super().find_class(module, name)
        for home in ("dbos.error", "dbos"):
            found = getattr(sys.modules.get(home), name, None)
            if isinstance(found, type) and issubclass(found, BaseException):
                return partial(_rebuilt, found)
            if found is not None:
                return found
        return super().find_class(module, name)


def _rebuilt(error_class: type[BaseException], *args: Any) -> BaseException:
    """Rebuild an error of another version, from our constructor's arguments or from its message, a state to follow."""
    error = error_class.__new__(error_class, *args)
    with suppress(TypeError):
        error_class.__init__(error, *args)
    return error


class DBOSPortableJSONSerializer(Serializer):
    """JSON that DBOS programs in every language can read; dates become text, tuples and sets become lists."""

    def serialize(self, data: Any) -> str:
        """Return `data` as text; TypeError for what JSON cannot carry."""
        return portable.dumps(data)

    def deserialize(self, serialized_data: str) -> Any:
        """Return the JSON value."""
        return portable.loads(serialized_data)

    def name(self) -> str:
        """Return "portable_json"."""
        return PORTABLE


class WorkflowSerializationFormat(str, Enum):
    """In which format a workflow's inputs and outcome are stored."""

    PORTABLE = "portable"
    NATIVE = "native"
    DEFAULT = None


_NAMES = {WorkflowSerializationFormat.PORTABLE: PORTABLE, WorkflowSerializationFormat.NATIVE: PICKLE}
_PICKLE = PickleSerializer()
_PORTABLE = DBOSPortableJSONSerializer()


class WorkflowInputs(TypedDict):
    """The arguments a workflow was called with."""

    args: Any
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Codec:
    """Encodes and decodes stored values for one process or client."""

    configured: Serializer

    def name_for(self, format: WorkflowSerializationFormat | str | None) -> str:
        """Return the name of the serializer that a format means (ENC-2)."""
        if format is None or format == WorkflowSerializationFormat.DEFAULT:
            return self.configured.name()
        return _NAMES[WorkflowSerializationFormat(format)]

    def available(self, name: str | None) -> bool:
        """Tell whether values stored under `name` can be decoded here."""
        return name in (None, PICKLE, PORTABLE, self.configured.name())

    def dumps(self, value: Any, name: str | None) -> str:
        """Encode a value with the serializer called `name`; None means the configured one."""
        serializer = self._named(name)
        text = serializer.serialize(value)
        if not isinstance(text, str):
            raise DBOSException(
                f"Serializer {serializer.name()} returned {type(text).__name__}: serialize() must return a str"
            )
        return text

    def loads(self, text: str | None, name: str | None) -> Any:
        """Decode a value (ENC-1)."""
        return None if text is None else self._named(name).deserialize(text)

    def dump_inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any], name: str | None) -> str:
        """Encode the arguments of a workflow (SER-6, SER-23).

        A serializer that is meant without being named, the portable one too, is given one dict, as others write it.
        """
        if name == PORTABLE:
            return portable.dump_inputs(args, kwargs)
        return self.dumps({"args": args, "kwargs": kwargs}, name)

    def load_inputs(self, text: str, name: str | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Decode the arguments of a workflow."""
        if name == PORTABLE:
            return portable.load_inputs(text)
        inputs = self.loads(text, name)
        if self._is_portable(name) and not (isinstance(inputs, dict) and "args" in inputs):
            return portable.load_inputs(text)
        return tuple(inputs["args"]), dict(inputs["kwargs"])

    def dump_error(self, error: BaseException, name: str | None) -> str:
        """Encode an exception; raises what its serializer raises (EX-39)."""
        return portable.dump_error(error) if self._is_portable(name) else self.dumps(error, name)

    def dump_outcome_error(self, error: BaseException, name: str | None) -> str:
        """Encode an exception that must be recorded: what does not survive is described by what does (ENC-22)."""
        described = f"{type(error).__name__}: {portable.describe(error)}"
        try:
            text = self.dump_error(error, name)
            self.load_error(text, name)
            return text
        except Exception:
            logger.warning("An exception does not survive serialization and is recorded as text: %s", described)
        try:
            return self.dump_error(Exception(described), name)
        except Exception:
            return self.dumps(described, name)  # a serializer that knows no exceptions at all

    def load_error(self, text: str | None, name: str | None) -> BaseException:
        """Decode an exception."""
        if text is not None and self._is_portable(name):
            return portable.load_error(text)
        error = self.loads(text, name)
        return error if isinstance(error, BaseException) else Exception(error)

    def peek(self, text: str, name: str | None) -> Any:
        """Decode a value for a listing: what cannot be decoded is shown as it is stored (SER-31)."""
        return _or_text(self.loads, text, name)

    def peek_error(self, text: str, name: str | None) -> Any:
        """Decode an exception for a listing, or show it as it is stored."""
        return _or_text(self.load_error, text, name)

    def peek_inputs(self, text: str, name: str | None) -> Any:
        """Decode arguments for a listing, or show them as they are stored."""
        return _or_text(self._inputs, text, name)

    def _inputs(self, text: str, name: str | None) -> WorkflowInputs:
        if self._is_portable(name):
            args, kwargs = self.load_inputs(text, name)
            return {"args": args, "kwargs": kwargs}
        return cast(WorkflowInputs, self.loads(text, name))

    def _is_portable(self, name: str | None) -> bool:
        return name == PORTABLE or (name is None and self.configured.name() == PORTABLE)

    def _named(self, name: str | None) -> Serializer:
        if name == PICKLE:
            return _PICKLE
        if name == PORTABLE:
            return _PORTABLE
        if name is None or name == self.configured.name():
            return self.configured
        raise TypeError(f"Serialization {name} is not available")


def _or_text(load: Callable[[str, str | None], Any], text: str, name: str | None) -> Any:
    try:
        return load(text, name)
    except Exception as error:
        logger.warning("A stored value (serialization %s) cannot be deserialized and is shown as text: %s", name, error)
        return text


for _public in (Serializer, DBOSPortableJSONSerializer, WorkflowSerializationFormat):
    _public.__module__ = "dbos"
