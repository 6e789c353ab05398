"""Nightly runs of the root action in a real runner against the simulated GitHub."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts import github_worlds
from tests.contracts.github_worlds import Wired
from tests.end_to_end import runner as runners
from tests.end_to_end.runner import Runner

pytestmark = pytest.mark.judge("node")  # the post step is an action in JavaScript


COMMAND = "python -m pytest -q -p no:cacheprovider"


@pytest.fixture
def github() -> Iterator[Wired]:
    """The simulated GitHub; whatever goes over the wire is held against GitHub's description at the end."""
    with github_worlds.wired() as opened:
        opened.state.collaborators["Codertocat"] = "write"
        yield opened


def test_nights(runner: Runner, github: Wired) -> None:
    """A failing night opens one issue, the second comments in it, a green one closes it; the root action does it all."""
    for night, choice in enumerate(("pass or fail", "fail", "pass"), 1):
        step = {"uses": "org/accel-ci@v1", "with": {"accelerator": "local", "run": f"{COMMAND} -k '{choice}'"}}
        jobs = {"tpu": {"runs-on": "ubuntu-latest", "steps": [step]}}
        here = {"GITHUB_RUN_ID": str(100 + night), "GITHUB_REF": "refs/heads/main"}
        done = runner.run(jobs, event="schedule", payload={}, GITHUB_API_URL=github.address, **here)
        assert runners.results(done)["tpu"] == ("success" if choice == "pass" else "failure"), done.stdout[-6000:]
        (issue,) = github.state.issues.values()
        assert (issue.state, len(github.comments(issue.number))) == ("closed" if night == 3 else "open", night - 1)
    assert [check.conclusion for check in github.state.checks.values()] == ["failure", "failure", "success"]
