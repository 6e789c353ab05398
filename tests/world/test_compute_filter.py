"""The two languages of `filter`, on resources as lists hold them."""

from __future__ import annotations

import pytest

from accel_ci_sim.world import compute_filter
from accel_ci_sim.world.tpu_status import RefusedError

VM = {
    "name": "tpu-1",
    "status": "RUNNING",
    "labels": {"owner": "me", "run-id": "77"},
    "scheduling": {"preemptible": True},
    "disks": [{"diskSizeGb": "10"}, {"diskSizeGb": "200"}],
    "machineType": "https://www.googleapis.com/compute/v1/projects/p/zones/z/machineTypes/g2-standard-4",
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name=tpu-1",
        'name = "tpu-1"',
        "name = 'tpu-1'",
        "name:tpu",
        "name=tpu-*",
        "name != other",
        "labels.owner=me",
        "labels.owner = me AND labels.run-id = 77",
        "(labels.owner=me) (labels.run-id=77)",
        "(labels.owner=me)AND(labels.run-id=77)",
        "labels.owner=you OR labels.owner=me",
        "labels.owner:*",
        "NOT labels.nothing:*",
        "labels.nothing != x",
        "-name=other",
        "scheduling.preemptible=true",
        "disks.diskSizeGb>100",
        "disks.diskSizeGb<=10",
        "name eq tpu-.*",
        'name eq ".*(^tpu).*"',
        r'machineType eq ".*\bg2\-standard\-4\b.*"',
        "name ne other",
        "(status eq RUNNING) (name eq .*1)",
        "labels.owner eq me",
        "labels.run-id<78",
    ],
)
def test_what_is_meant_is_found(text: str) -> None:
    """Comparisons, globs, presence, ranges, regular expressions over the whole, and how they are put together."""
    assert compute_filter.compiled(text)(VM), text


@pytest.mark.parametrize(
    "text",
    [
        "name=tpu",
        "name=TPU-1",
        "name eq tpu",
        "name eq pu-1",
        "labels.owner=you",
        "labels.nothing:*",
        "labels.nothing=x",
        "NOT name=tpu-1",
        "name=tpu-1 AND status=TERMINATED",
        "name=a OR status=b",
        "disks.diskSizeGb>200",
        "name ne tpu-.*",
    ],
)
def test_what_is_not_meant_is_left_out(text: str) -> None:
    """A missing field equals nothing; equality is of the whole and knows capitals."""
    assert not compute_filter.compiled(text)(VM), text


@pytest.mark.parametrize("text", ["(", "name", "name=", "=x", "name=a AND", "name eq '('", "name=a)", "a" * 6000])
def test_what_is_no_filter_is_refused(text: str) -> None:
    """400 rather than a list that means something else."""
    with pytest.raises(RefusedError, match="filter"):
        compute_filter.compiled(text)
