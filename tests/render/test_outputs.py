"""Outputs: what later steps are told."""

from __future__ import annotations

import json
import re

import pytest

from accel_ci.domain import context
from accel_ci.render import outputs
from tests.render import samples

ENVIRON = {"GITHUB_REPOSITORY": "org/hello", "GITHUB_RUN_ID": "77", "GITHUB_JOB": "tpu", "GITHUB_EVENT_NAME": "push"}


def _artifact(instance: str, *, slot: str = "", name: str = "accel-hello-77-1-0a1b2c3d") -> str:
    record = samples.passed()
    record.identity = record.identity.model_copy(
        update={"instance": instance, "slot": slot, "job": "tpu", "name": name}
    )
    return outputs.artifact(record)


def test_an_artifact_says_whose_it_is() -> None:
    """The name of the run, then job, matrix values and slot for people."""
    assert _artifact("") == "accel-hello-77-1-0a1b2c3d-tpu"
    matrix = json.dumps([{"accelerator": "v6e-1", "python": "3.12"}, 1])
    assert _artifact(matrix, slot="b") == "accel-hello-77-1-0a1b2c3d-tpu-v6e-1-3.12-b"


def test_matrix_siblings_have_artifacts_of_their_own() -> None:
    """Two instances that read alike still differ, for the run's own name does."""
    names = []
    for index in range(2):
        strategy = {"ACCEL_CI_MATRIX": '{"index": 1}', "ACCEL_CI_STRATEGY": json.dumps({"job-index": index})}
        here = context.of_github(ENVIRON | strategy, {})
        names.append(_artifact(here.instance, name=here.key().name))
    assert len(set(names)) == 2


@pytest.mark.parametrize("instance", ['[{"a": "x/y:z*?\\"<>|\\n"}, 0]', "not json", "[1, 2]", "[{}]", "x" * 500])
def test_an_artifact_name_is_one_that_github_takes(instance: str) -> None:
    """Whatever the matrix holds, the name is short and of harmless characters."""
    assert re.fullmatch("[A-Za-z0-9._-]{1,120}", _artifact(instance))
