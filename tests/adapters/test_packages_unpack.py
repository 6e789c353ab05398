"""Both ends of the way: what is packed here is what the courier unpacks over there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from accel_ci.adapters.git_source import GitSources
from accel_ci.domain.workload import CommitSource, Source, WorkspaceSource
from tests.adapters.git_repository import Repository

ON_MACHINE = Path(__file__).parents[2] / "src" / "accel_ci" / "on_machine"


def _sent(source: Source, tmp_path: Path) -> Path:
    """The source directory of a worker that got the package."""
    root = tmp_path / "worker"
    root.mkdir()
    for program in ("courier.py", "checkout.py"):
        (root / program).write_bytes((ON_MACHINE / program).read_bytes())
    package = GitSources(os.environ).pack(source, into=str(tmp_path / "package"))
    proof = ["--sha", package.sha] if package.sha else []
    proof += ["--base", package.base] if package.base else []
    with open(package.path, "rb") as sent:
        command = [sys.executable, str(root / "courier.py"), "unpack", "--kind", package.kind, *proof]
        done = subprocess.run(command, stdin=sent, capture_output=True, check=False, timeout=60)
    told = json.loads(done.stdout)
    assert (told["ok"], told["sha"], told.get("base", "")) == (True, package.sha or "", package.base), done
    return root / "source"


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_commit(tmp_path: Path, object_format: str) -> None:
    """The commit is checked out, proves its SHA, and knows its version by the tags in its history."""
    repository = Repository(tmp_path / "repository", object_format=object_format)
    repository.commit(a="1")
    repository.git("tag", "--annotate", "v1.0", "--message", "first")
    sha = repository.commit(a="2")
    repository.commit(a="3")
    source = Repository(_sent(CommitSource(repository=str(repository.path), sha=sha), tmp_path))
    assert source.git("rev-parse", "HEAD") == sha
    assert source.git("describe").startswith("v1.0-1-g")
    assert source.git("status", "--porcelain") == ""
    assert (source.path / "a.txt").read_text() == "2"


def test_merge(tmp_path: Path) -> None:
    """Base and commit travel together, though no branch leads to both, and are merged over there."""
    repository = Repository(tmp_path / "repository")
    repository.commit(a="1")
    repository.git("checkout", "--quiet", "-b", "topic")
    head = repository.commit(topic="1")
    repository.git("checkout", "--quiet", "main")
    base = repository.commit(base="1")
    repository.commit(later="1")
    source = Repository(_sent(CommitSource(repository=str(repository.path), sha=head, base=base), tmp_path))
    assert source.git("rev-parse", "HEAD^1", "HEAD^2").split() == [base, head]
    assert {path.name for path in source.path.glob("*.txt")} == {"a.txt", "base.txt", "topic.txt"}


def test_old_history(tmp_path: Path) -> None:
    """The harmless marks of old tools pass at both ends."""
    repository = Repository(tmp_path / "repository")
    tree = repository.git("rev-parse", f"{repository.commit(a='1')}^{{tree}}")
    person = "Ann <ann@example.org> 1313584730 +051800"
    sha = repository.raw("commit", f"tree {tree}\nauthor {person}\ncommitter {person}\n\nold\n".encode())
    repository.git("update-ref", "refs/heads/old", sha)
    source = Repository(_sent(CommitSource(repository=str(repository.path), sha=sha), tmp_path))
    assert source.git("rev-parse", "HEAD") == sha


def test_workspace(tmp_path: Path) -> None:
    """Every file arrives with its content, its mode and its odd name, and links lead where they led."""
    workspace = tmp_path / "workspace"
    (workspace / "pkg" / "empty").mkdir(parents=True)
    (workspace / "pkg" / "two\nlines ä").write_bytes(b"\0\xff")
    (workspace / "run.sh").write_text("#!/bin/sh\n")
    (workspace / "run.sh").chmod(0o755)
    (workspace / "link").symlink_to("pkg/empty")
    source = _sent(WorkspaceSource(directory=str(workspace)), tmp_path)
    assert (source / "pkg" / "two\nlines ä").read_bytes() == b"\0\xff"
    assert (source / "run.sh").stat().st_mode & 0o111
    assert os.readlink(source / "link") == "pkg/empty"
    assert (source / "pkg" / "empty").is_dir()
