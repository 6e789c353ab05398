"""The commands that the page and an error give to whoever looks for images, with the real gcloud on the simulated cloud."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from accel_ci.adapters import gce_options
from accel_ci.adapters.gce import GceMachines
from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.machine import Candidate
from tests.adapters.gce_world import LEASE, spec
from tests.servers.simulator import SimulatorProcess
from tests.wire.gcloud import Gcloud

pytestmark = [pytest.mark.judge("gcloud")]
PAGE = Path(__file__).parents[2] / "docs/google-cloud.md"


@pytest.fixture
def gcloud(simulator: SimulatorProcess) -> Gcloud:
    """gcloud compute, pointed to the simulator."""
    return Gcloud(simulator)


def _commands() -> list[str]:
    judged = PAGE.read_text().partition("judged by tests/wire/test_images.py")[2]
    block = re.search(r"```bash\n(.*?)```", judged, re.DOTALL)
    assert block is not None
    return block[1].splitlines()


def _said(gcloud: Gcloud, command: str) -> str:
    program, group, *words = shlex.split(command)
    assert (program, group) == ("gcloud", "compute")
    return gcloud.said(*words)


def test_the_page_says_how_to_look_families_up(gcloud: Gcloud) -> None:
    """One command shows a family's newest image, the other all families of the project."""
    one, every = _commands()
    usual = gce_options.IMAGES["deep-learning"].partition("/")[2]
    assert f"family: {usual}" in _said(gcloud, one)
    assert usual in _said(gcloud, every).split()


def test_every_choice_is_in_the_pages_table() -> None:
    """The words for images, and the families behind them, are those of the page."""
    table = PAGE.read_text().partition("### Images and disks")[2].partition("```")[0]
    for word, family in gce_options.IMAGES.items():
        assert f"`{word}`" in table and f"`{family}`" in table


def test_a_family_that_is_gone(gcloud: Gcloud, simulator: SimulatorProcess) -> None:
    """The error names the option, and a command of gcloud's that lists what there is instead; no machine was made."""
    project = "deeplearning-platform-release"
    machines, wanted = GceMachines(simulator.exports), spec("l4-1", image=f"{project}/common-cu110")
    lease = replace(LEASE, key=replace(LEASE.key, job="images"))
    place = Candidate(zone="us-central1-a", spot=True)
    with pytest.raises(ConfigurationError) as error:
        machines.begin_create(wanted, lease, place, public_key="ssh-ed25519 AAAA")
    assert "common-cu110" in error.value.what_happened and "`image`" in error.value.what_to_do
    listed = _said(gcloud, error.value.what_to_do.partition("which there are: ")[2])
    assert gce_options.IMAGES["deep-learning"].removeprefix(f"{project}/") in listed.split()
    assert list(machines.find(lease.key, ("us-central1-a",))) == []
