"""Cuts the messages that clients send to Compute Engine out of google-cloud-compute, Google's own reading of its API.

python tools/slice_compute_api.py [--check]: writes src/accel_ci_sim/wire/compute_schema.json, or says that it is stale.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent.parent / "src/accel_ci_sim/wire/compute_schema.json"
PACKAGE = "google.cloud.compute.v1"
SENT = (
    "Disk",
    "Instance",
    "InstancesSetLabelsRequest",
    "InstancesSetMachineTypeRequest",
    "Metadata",
    "Scheduling",
    "Tags",
)
SCALARS = {
    "TYPE_BOOL": "bool",
    "TYPE_DOUBLE": "double",
    "TYPE_FLOAT": "float",
    "TYPE_INT32": "int32",
    "TYPE_INT64": "int64",
    "TYPE_STRING": "string",
    "TYPE_UINT32": "uint32",
    "TYPE_UINT64": "uint64",
}
FIELD = re.compile(r"^ {8}(\w+) \([^\n]*\):\n((?: {12}[^\n]*\n|\s*\n)*)", re.MULTILINE)


def main() -> None:
    """Write the slice, or with --check exit with 1 when it is another one."""
    text = json.dumps(sliced(), indent=1, sort_keys=True) + "\n"
    if "--check" not in sys.argv:
        FILE.write_text(text)
    elif FILE.read_text() != text:
        sys.exit(f"{FILE.name} is not what this google-cloud-compute says: python tools/slice_compute_api.py")


def sliced() -> dict[str, Any]:
    """{"messages": {name: {field: type}}, "enums": {name: [value]}}: all that the messages in SENT can hold."""
    messages: dict[str, dict[str, str]] = {}
    enums: dict[str, list[str]] = {}
    wanted = list(SENT)
    while wanted:
        name = wanted.pop()
        if name not in messages:
            messages[name] = fields(name, enums)
            wanted += [kind for kind in (each.rstrip("!*") for each in messages[name].values()) if kind[0].isupper()]
            wanted = [kind for kind in wanted if kind not in enums]
    return {"enums": enums, "messages": messages}


def fields(name: str, enums: dict[str, list[str]]) -> dict[str, str]:
    """The fields of a message with their types as tpu_schema.py writes them; `enums` learns about theirs."""
    from google.cloud import compute_v1

    message = getattr(compute_v1, name)
    told = {match[1].rstrip("_"): match[2] for match in FIELD.finditer(f"{message.__doc__}\n")}
    found = {}
    for field in message.pb().DESCRIPTOR.fields:
        key = field.name.rstrip("_")
        kind = declared(field)
        values = getattr(message, "".join(map(str.capitalize, key.split("_"))), None)
        if kind.rstrip("*") == "string" and values is not None:
            kind = kind.replace("string", f"{name}.{values.__name__}")
            enums[f"{name}.{values.__name__}"] = [
                each for each in values.__members__ if not each.startswith("UNDEFINED_")
            ]
        found[key] = kind + "!" * ("[Output Only]" in " ".join(told.get(key, "").split()))
    return found


def declared(field: Any) -> str:
    """The type of one field; maps to anything but text are `any`."""
    kinds = {number: kind for kind, number in vars(type(field)).items() if kind.startswith("TYPE_")}
    many = "*" if field.is_repeated else ""
    if field.message_type is None:
        return SCALARS[kinds[field.type]] + many
    if field.message_type.GetOptions().map_entry:
        return "map" if declared(field.message_type.fields_by_name["value"]) == "string" else "any"
    return f"{field.message_type.full_name.removeprefix(f'{PACKAGE}.')}{many}"


if __name__ == "__main__":
    main()
