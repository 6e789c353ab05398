"""Secrets on the whole way: from a workflow's text or a variable to the tests, and to nobody else."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accel_ci.adapters import sealed_box
from accel_ci.domain import sealed
from accel_ci.domain.sealed import Sealed
from accel_ci.domain.verdict import Verdict
from tests.contracts import github_worlds
from tests.contracts.github_worlds import Wired
from tests.end_to_end import runner as runners
from tests.end_to_end.runner import ALWAYS, Runner, uses
from tests.end_to_end.terminal import Terminal
from tests.on_machine.worker_root import eventually
from tests.wire.github import description

SECRET = "hunter2-and-much-more"
PRIVATE = sealed_box.new_private_key()
REPOSITORY_ID = 4711  # the runner's
SHOW = 'echo "token=${TOKEN:-none}; $(cat "$ACCEL_CI_SECRETS/TOKEN" 2>/dev/null | tr a-z A-Z)"'
SEEN = SECRET.upper()  # what the tests make of it: that it was there can be told without it


@pytest.fixture
def github() -> Iterator[Wired]:
    """The simulated GitHub."""
    with github_worlds.wired() as opened:
        opened.state.collaborators["Codertocat"] = "write"
        yield opened


def box(repository_id: int = REPOSITORY_ID) -> str:
    """A sealed value."""
    inside = Sealed(repository_id=repository_id, name="TOKEN", value=SECRET)
    return sealed.MARK + sealed_box.seal(inside.model_dump_json().encode(), sealed_box.public_key(PRIVATE))


def jobs(value: str, *, key: str = PRIVATE) -> dict[str, Any]:
    """The composed form, with the secret and its key in the step that runs the tests."""
    given = {"ACCEL_CI_SECRET_TOKEN": value, "ACCEL_CI_SECRETS_KEY": key}
    composed = runners.composed(SHOW)
    steps = composed["tpu"]["steps"]
    steps[1] = uses("run-remote", {"run": SHOW}, env=given)
    steps[2] = uses("collect", {"paths": "*.txt"}, **ALWAYS)
    return composed


def files_with(secret: str, *places: Path) -> list[Path]:
    """Every file below these places that holds it."""
    found = []
    for place in places:
        for folder, _, names in os.walk(place):
            found += [Path(folder, name) for name in names if holds(Path(folder, name), secret)]
    return found


def holds(path: Path, secret: str) -> bool:
    try:
        return secret.encode() in path.read_bytes()
    except OSError:
        return False


def test_a_terminal(terminal: Terminal) -> None:
    """A variable reaches the command, and neither the log, the page, the record nor any file of ours."""
    done = terminal("run", "--backend", "local", "--", SHOW, ACCEL_CI_SECRET_TOKEN=SECRET)
    log = done.stdout + done.stderr
    assert done.returncode == 0 and f"token=***; {SEEN}" in log, log
    assert terminal.record().verdict is Verdict.PASSED
    assert SECRET not in log and files_with(SECRET, terminal.home) == []


def test_who_goes_on_needs_them_too(terminal: Terminal) -> None:
    """Without them what was hidden would be shown: attach says which are lacking, and goes on when they are there."""
    started = terminal.start("run", "--backend", "local", "--", f"sleep 3; {SHOW}", ACCEL_CI_SECRET_TOKEN=SECRET)
    eventually(lambda: any((run / "main/nonce-run").exists() for run in terminal.runs()))
    started.kill()
    started.communicate()
    without = terminal("attach")
    assert without.returncode == 2 and "not given now: TOKEN" in without.stdout + without.stderr
    done = terminal("attach", ACCEL_CI_SECRET_TOKEN=SECRET)
    log = done.stdout + done.stderr
    assert done.returncode == 0 and f"token=***; {SEEN}" in log, log
    assert SECRET not in log and files_with(SECRET, terminal.home) == []


@pytest.mark.judge("node")
def test_a_box_in_a_workflow(runner: Runner) -> None:
    """A push: the box is opened, the tests have what was in it, and log, summary and files have not."""
    done = runner.run(jobs(box()))
    log = done.stdout + done.stderr
    assert runners.results(done)["tpu"] == "success", log[-6000:]
    shown = [line for line in log.splitlines() if '"command":"add-mask"' not in line]  # which no reader sees
    assert SEEN in log and SECRET not in "\n".join(shown) and SECRET not in runners.summaries(done)
    assert files_with(SECRET, runner.base / "home") == []


@pytest.mark.judge("node")
def test_boxes_in_a_file_of_the_commit(runner: Runner) -> None:
    """A file with nothing but boxes in it, read from git's store: the runner's workspace stays as it is."""
    (runner.repository / ".github").mkdir()
    (runner.repository / ".github/secrets.txt").write_text(f"TOKEN={box()}\n")
    runners.git(runner.repository, "add", "-A")
    runners.git(runner.repository, "commit", "-qm", "sealed")
    (runner.repository / ".github/secrets.txt").write_text(f"TOKEN={box(666)}\n")  # not committed: not believed
    whole = {"uses": "org/accel-ci@v1", "with": {"accelerator": "local", "run": SHOW}}
    given = {"ACCEL_CI_SECRETS_FILE": ".github/secrets.txt", "ACCEL_CI_SECRETS_KEY": PRIVATE}
    done = runner.run({"tpu": {"runs-on": "ubuntu-latest", "steps": [{**whole, "env": given}]}})
    log = done.stdout + done.stderr
    assert runners.results(done)["tpu"] == "success", log[-6000:]
    assert SEEN in log and files_with(SECRET, runner.base / "home") == []


@pytest.mark.judge("node")
def test_a_box_of_another_repository(runner: Runner) -> None:
    """Copied here, with the key that would open it: refused before anything runs, and nothing of it is shown."""
    done = runner.run(jobs(box(666)))
    log = done.stdout + done.stderr
    assert runners.results(done)["tpu"] == "failure", log[-6000:]
    assert "was sealed for another repository" in log and SECRET not in log and SEEN not in log
    assert runner.terminal.machines() == []


@pytest.mark.judge("node")
@pytest.mark.parametrize("value", ["sealed", "plain"])
def test_a_stranger_gets_none(runner: Runner, github: Wired, value: str) -> None:
    """A labelled pull request of a fork: its code runs, without the secret, whatever it prints or looks for."""
    event = copy.deepcopy(description.event("pull_request.labeled"))
    event["label"]["name"] = "run-tpu-tests"
    event["pull_request"]["head"]["sha"] = runner.sha
    github.state.add_pull(event["number"], head_sha=runner.sha, labels=["run-tpu-tests"], fork=True)
    github.state.review(event["number"], "Codertocat", runner.sha)
    wanted = jobs(box() if value == "sealed" else SECRET)
    wanted["gate"]["steps"][0]["with"] = {}
    done = runner.run(wanted, event="pull_request_target", payload=event, GITHUB_API_URL=github.address)
    log = done.stdout + done.stderr
    assert runners.results(done)["tpu"] == "success", log[-6000:]
    assert "token=none; " in log and "TOKEN: not handed over, this is a stranger" in log
    assert SEEN not in log and files_with(SECRET, runner.base / "home") == []
