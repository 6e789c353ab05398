"""The simulator's idea of the API's messages against the protocol buffers in Google's own library."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud import tpu_v2

from accel_ci_sim.wire import tpu_schema

SCALARS = {"TYPE_STRING": "string", "TYPE_BOOL": "bool", "TYPE_INT32": "int32", "TYPE_INT64": "int64"}
WELL_KNOWN = {
    "google.protobuf.Timestamp": "timestamp",
    "google.protobuf.Duration": "duration",
    "google.type.Interval": "Interval",
}
OURS = {"Interval"}


def descriptor(name: str) -> Any:
    """Google's descriptor of the message."""
    outer, *inner = name.split(".")
    found = getattr(tpu_v2, outer).pb().DESCRIPTOR
    for part in inner:
        found = found.nested_types_by_name[part]
    return found


def declared(field: Any) -> str:
    """What our table should say about the field, apart from the mark for output only."""
    kinds = {number: kind for kind, number in vars(type(field)).items() if kind.startswith("TYPE_")}
    scalar = SCALARS.get(kinds[field.type])
    if scalar:
        kind = scalar
    elif field.enum_type is not None:
        kind = short(field.enum_type.full_name)
    elif field.message_type.GetOptions().map_entry:
        return "map"
    else:
        kind = WELL_KNOWN.get(field.message_type.full_name) or short(field.message_type.full_name)
    return kind + ("*" if field.is_repeated else "")


def short(name: str) -> str:
    """The name without the package."""
    return name.removeprefix(f"{tpu_schema.PACKAGE}.")


@pytest.mark.parametrize("name", sorted(set(tpu_schema.MESSAGES) - OURS))
def test_every_field_is_there_with_its_type(name: str) -> None:
    """A message has the same fields of the same types as in Google's library, none more and none less."""
    ours = {field: kind.rstrip("!") for field, kind in tpu_schema.MESSAGES[name].items()}
    assert ours == {field.name.rstrip("_"): declared(field) for field in descriptor(name).fields}


@pytest.mark.parametrize("name", sorted(tpu_schema.ENUMS))
def test_every_enum_value_is_there_with_its_number(name: str) -> None:
    """An enum has the same values with the same numbers."""
    outer, inner = name.split(".")
    values = getattr(tpu_v2, outer).pb().DESCRIPTOR.enum_types_by_name[inner].values
    assert tpu_schema.ENUMS[name] == {value.name: value.number for value in values}


@pytest.mark.parametrize("name", sorted(tpu_schema.ONEOFS))
def test_every_oneof_is_there(name: str) -> None:
    """A oneof has the same members; one of a single member cannot be set twice and is left out."""
    oneofs = {one.name: tuple(field.name for field in one.fields) for one in descriptor(name).oneofs}
    assert tpu_schema.ONEOFS[name] == {one: members for one, members in oneofs.items() if len(members) > 1}


def test_every_message_that_clients_send_is_known() -> None:
    """All request bodies of the API, and whatever they contain, are in the table, so that nothing passes unread."""
    known = {
        kind.rstrip("!*")
        for fields in tpu_schema.MESSAGES.values()
        for kind in fields.values()
        if not kind.endswith("!")
    }
    missing = (
        {kind for kind in known if "." in kind or kind[0].isupper()} - set(tpu_schema.MESSAGES) - set(tpu_schema.ENUMS)
    )
    assert not missing, missing
