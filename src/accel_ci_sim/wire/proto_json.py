"""JSON bodies the way Google's front end reads them: either spelling of a field, and a 400 for what it does not know."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accel_ci_sim.wire import tpu_schema
from accel_ci_sim.world.tpu_status import TYPES, Code, RefusedError, Status

DURATION = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?s")
TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})")
INTEGER = re.compile(r"-?[0-9]{1,19}")

Values = Mapping[str, int] | Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The messages of one API, as `tpu_schema` writes them; enums without numbers are given by name only.

    With `presence` a field that was sent counts even when it holds its type's default.
    """

    package: str
    messages: Mapping[str, Mapping[str, str]]
    enums: Mapping[str, Values]
    oneofs: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    presence: bool = False


TPU = Schema(package=tpu_schema.PACKAGE, messages=tpu_schema.MESSAGES, enums=tpu_schema.ENUMS, oneofs=tpu_schema.ONEOFS)


def parsed(body: bytes, kind: str, *, root: str = "", schema: Schema = TPU) -> dict[str, Any]:
    """The message `kind` that the body holds, with field names in lowerCamelCase; unset and output-only fields left out.

    `root` is how the message is called in errors. RefusedError names all mistakes.
    """
    reader = _Reader(schema)
    message = reader.message(_document(body), kind, root)
    if reader.mistakes:
        raise refused(reader.mistakes)
    return message


def refused(mistakes: list[tuple[str, str]]) -> RefusedError:
    """The 400 for (field, what is wrong with it)."""
    violations = [{"field": field, "description": text} for field, text in mistakes]
    details = {"@type": f"{TYPES}BadRequest", "fieldViolations": violations}
    return RefusedError(Status(Code.INVALID_ARGUMENT, "\n".join(text for _, text in mistakes), (details,)))


def camel(name: str) -> str:
    """accelerator_type as acceleratorType."""
    head, *rest = name.split("_")
    return head + "".join(map(str.capitalize, rest))


def snake(name: str) -> str:
    """acceleratorType as accelerator_type."""
    return re.sub(r"[A-Z]", lambda match: f"_{match.group().lower()}", name)


def _document(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError as error:
        raise refused([("", f"Invalid JSON payload received. {error}")]) from error


class _Reader:
    """Reads one body and collects its mistakes."""

    def __init__(self, schema: Schema) -> None:
        self.mistakes: list[tuple[str, str]] = []
        self._schema = schema

    def message(self, given: Any, kind: str, path: str) -> dict[str, Any]:
        if not isinstance(given, dict):
            self._wrong(given, path, self._label(kind))
            return {}
        found: dict[str, Any] = {}
        for name, value, declared in self._fields(given, kind, path):
            read = self._value(value, declared.rstrip("!"), _join(path, name))
            kept = read is not None if self._schema.presence else read or declared in self._schema.messages
            if not declared.endswith("!") and kept:
                found[camel(name)] = read
        self._oneofs(found, kind, path)
        return found

    def _fields(self, given: Mapping[str, Any], kind: str, path: str) -> Iterator[tuple[str, Any, str]]:
        declared = self._schema.messages[kind]
        for key, value in given.items():
            name = key if key in declared else snake(key)
            if name not in declared:
                where = f" at '{path}'" if path else ""
                text = f'Invalid JSON payload received. Unknown name "{key}"{where}: Cannot find field.'
                self.mistakes.append((path, text))
            elif value is not None:
                yield name, value, declared[name]

    def _value(self, given: Any, declared: str, path: str) -> Any:
        if declared.endswith("*"):
            return self._list(given, declared[:-1], path)
        if isinstance(given, list):
            name = path.rpartition(".")[2]
            text = f"Invalid JSON payload received. Unknown name \"{name}\" at '{path.rpartition('.')[0]}': "
            self.mistakes.append((path, text + "Proto field is not repeating, cannot start list."))
            return None
        if declared in self._schema.messages:
            return self.message(given, declared, path)
        if declared == "map":
            return self._map(given, path)
        return self._scalar(given, declared, path)

    def _list(self, given: Any, declared: str, path: str) -> list[Any]:
        if not isinstance(given, list):
            self._wrong(given, path, self._label(declared))
            return []
        return [self._value(item, declared, f"{path}[{index}]") for index, item in enumerate(given)]

    def _map(self, given: Any, path: str) -> dict[str, str]:
        if not isinstance(given, dict):
            self._wrong(given, path, "Map")
            return {}
        return {key: self._scalar(value, "string", f"{path}[{key}].value") or "" for key, value in given.items()}

    def _scalar(self, given: Any, declared: str, path: str) -> Any:
        if declared in self._schema.enums:
            return self._enum(given, declared, path)
        if _FITS.get(declared, _anything)(given):
            return given
        self._wrong(given, path, self._label(declared))
        return None

    def _enum(self, given: Any, declared: str, path: str) -> str | None:
        """The value's name, given by name or number; None for the one that means unset."""
        values = self._schema.enums[declared]
        # Compute Engine's enums are sent by name; the numbers in its library are hashes.
        if not isinstance(values, Mapping):
            values = {name: number for number, name in enumerate(values, 1)} if isinstance(given, str) else {}
        for name, number in values.items():
            if given == name or (given == number and not isinstance(given, bool)):
                return name if number else None
        self._wrong(given, path, self._label(declared))
        return None

    def _oneofs(self, found: Mapping[str, Any], kind: str, path: str) -> None:
        for oneof, members in self._schema.oneofs.get(kind, {}).items():
            for late in [name for name in members if camel(name) in found][1:]:
                text = f"oneof field '{oneof}' is already set. Cannot set '{camel(late)}'"
                where = f"Invalid value at '{path}' (oneof), {text}"
                self.mistakes.append((path, where))

    def _wrong(self, given: Any, path: str, label: str) -> None:
        self.mistakes.append((path, f"Invalid value at '{path}' ({label}), {json.dumps(given)}"))

    def _label(self, declared: str) -> str:
        if declared in ("timestamp", "duration"):
            return f"type.googleapis.com/google.protobuf.{declared.capitalize()}"
        if declared in self._schema.enums or declared in self._schema.messages:
            return f"type.googleapis.com/{self._schema.package}.{declared}"
        return f"TYPE_{declared.upper()}"


def _anything(value: Any) -> bool:
    """What is read and thrown away may be anything."""
    return True


def _is_integer(value: Any) -> bool:
    if isinstance(value, str):
        return bool(INTEGER.fullmatch(value))
    return isinstance(value, int) and not isinstance(value, bool)


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int32": lambda value: _is_integer(value) and abs(int(value)) < 1 << 31,
    "int64": _is_integer,
    "uint32": lambda value: _is_integer(value) and 0 <= int(value) < 1 << 32,
    "uint64": lambda value: _is_integer(value) and int(value) >= 0,
    "float": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "double": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "timestamp": lambda value: isinstance(value, str) and bool(TIMESTAMP.fullmatch(value)),
    "duration": lambda value: isinstance(value, str) and bool(DURATION.fullmatch(value)),
}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
