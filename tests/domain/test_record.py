"""The run record and its schema."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from accel_ci.domain import record
from accel_ci.domain.record import RunRecord
from tests.render import samples

SCHEMA = Path(__file__).parents[2] / "docs/run-record.schema.json"


def test_the_committed_schema_is_fresh() -> None:
    """docs/run-record.schema.json is what the models say now."""
    assert SCHEMA.read_text() == record.schema()


@pytest.mark.parametrize("sample", [samples.passed(), samples.failed(), samples.no_capacity()])
def test_records_fit_the_schema_and_survive_being_written(sample: RunRecord) -> None:
    """The JSON text is valid by the schema, and reading it gives the same record."""
    text = sample.model_dump_json()
    jsonschema.validate(json.loads(text), json.loads(record.schema()))
    assert RunRecord.model_validate_json(text) == sample


def test_unknown_fields_are_refused() -> None:
    """A record of a later version is not half understood."""
    with pytest.raises(ValueError, match="surprise"):
        RunRecord.model_validate({**samples.passed().model_dump(), "surprise": 1})
