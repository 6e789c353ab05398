"""The simulator's idea of the Compute Engine API against Google's own library."""

from __future__ import annotations

import json

from google.cloud import compute_v1

from accel_ci_sim.wire import compute_schema
from accel_ci_sim.world import compute_instance
from tools import slice_compute_api


def test_the_slice_is_what_the_library_says() -> None:
    """Messages, fields, types, enums and what only the API sets: `tools/slice_compute_api.py` would write the same."""
    assert json.loads(slice_compute_api.FILE.read_text()) == slice_compute_api.sliced()


def test_every_message_is_there() -> None:
    """What a field refers to is in the slice as well."""
    schema = compute_schema.schema()
    kinds = {kind.rstrip("*!") for fields in schema.messages.values() for kind in fields.values()}
    assert {kind for kind in kinds if kind[0].isupper()} <= set(schema.messages) | set(schema.enums)


def test_a_field_with_its_default_counts_as_sent() -> None:
    """automaticRestart: false means something, as does a disk that is not deleted with its instance."""
    sent = {"scheduling": {"automaticRestart": False}, "disks": [{"autoDelete": False}], "description": ""}
    assert compute_schema.parsed(json.dumps(sent).encode(), "Instance") == sent


def test_names_that_google_spells_in_capitals_are_read() -> None:
    """networkIP and natIP."""
    sent = {"networkInterfaces": [{"networkIP": "10.0.0.2", "accessConfigs": [{"natIP": "1.2.3.4"}]}]}
    assert compute_schema.parsed(json.dumps(sent).encode(), "Instance") == sent


def test_every_status_is_one_of_googles() -> None:
    """The model knows no status that the API lacks."""
    assert set(compute_instance.InstanceStatus) <= set(compute_v1.Instance.Status.__members__)
