"""Threat 1, looked at from git's side: what it is asked to do on the runner, and what of the token can be seen then."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import pytest

from accel_ci import plans, wiring
from accel_ci.adapters.git_source import GitSources
from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.workload import CommitSource
from accel_ci.inputs import parsing
from accel_ci.inputs.models import ProvisionInputs
from tests.end_to_end import runner as runners
from tests.usecases import worlds

TOKEN = "ghs_a-token-of-the-job"
# What would make files of a commit, or run what it names.
MAKERS = {
    "checkout",
    "clone",
    "worktree",
    "reset",
    "restore",
    "switch",
    "archive",
    "submodule",
    "lfs",
    "read-tree",
    "stash",
}


def test_threat_01_git_makes_no_file_of_the_commit(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The commit goes from one bare repository into one package; no argument and no line of a log tells the token."""
    origin, tools, log = tmp_path / "origin", tmp_path / "bin", tmp_path / "asked"
    origin.mkdir()
    tools.mkdir()
    (origin / "conftest.py").write_text("raise SystemExit('run on the runner')\n")
    runners.git(origin, "init", "-q")
    runners.git(origin, "add", ".")
    runners.git(origin, "commit", "-qm", "one")
    real = shutil.which("git")
    (tools / "git").write_text(f'#!/bin/sh\necho "$@" >>{log}\nexec {real} "$@"\n')
    (tools / "git").chmod(0o755)
    header = f"Authorization: Basic {base64.b64encode(TOKEN.encode()).decode()}"
    sources = GitSources({"PATH": f"{tools}:/usr/bin:/bin"}, extra_header=header)
    package = sources.pack(
        CommitSource(repository=str(origin), sha=runners.git(origin, "rev-parse", "HEAD")), into=str(tmp_path / "sent")
    )
    asked = [line.split() for line in log.read_text().splitlines()]
    assert package.size_bytes and "--bare" in asked[0]
    assert {word for words in asked for word in words} & MAKERS == set()
    seen = log.read_text() + "".join(capfd.readouterr())
    assert TOKEN not in seen and base64.b64encode(TOKEN.encode()).decode() not in seen
    assert [path for path in tmp_path.rglob("conftest.py") if origin not in path.parents] == []


@pytest.mark.parametrize("given", [{"accelerator": "local"}, {"accelerator": "local-4", "backend": "local"}])
def test_threat_01_a_fork_is_not_run_beside_the_token(given: dict[str, str]) -> None:
    """On this computer its tests could read our environment: a fork's commit is refused there, unless somebody says so."""
    inputs, record = parsing.parse(ProvisionInputs, given), worlds.record()
    record.identity.trust = "fork"
    with pytest.raises(ConfigurationError, match="not run on the runner itself"):
        plans.order(inputs, record)
    for words, allowed in (
        ({}, False),
        ({"ACCEL_CI_LOCAL_FORKS": "1"}, False),
        ({"ACCEL_CI_LOCAL_FORKS": "true"}, True),
    ):
        assert wiring.forks_here(words) is allowed
    record.identity.trust = "trusted"
    assert plans.order(inputs, record).spec.backend == "local"
