"""Threat 1, looked at from git's side: what it is asked to do on the runner, and what of the token can be seen then."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import pytest

from accel_ci.adapters.git_source import GitSources
from accel_ci.domain.workload import CommitSource
from tests.end_to_end import runner as runners

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
