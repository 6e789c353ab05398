"""Submodules, as docs/workflows.md says: nothing of them on the runner, all of them on the machine, private ones by token."""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from accel_ci.adapters.git_source import GitSources
from accel_ci.domain.workload import CommitSource, Package
from tests.adapters.git_repository import Repository
from tests.house.source_tree import REPOSITORY
from tests.on_machine.worker_root import WorkerRoot
from tests.servers import git_https

PAGE = (REPOSITORY / "docs/workflows.md").read_text()
PUBLIC = "git submodule update --init --recursive"
(PRIVATE,) = re.findall(r"^  (git -c http\.extraHeader=.* submodule update.*)$", PAGE, re.MULTILINE)
TOKEN = "c3ViLXRva2Vu"
OPENED_BY = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


@dataclass
class Host:
    """A git host with `main`, whose submodule `lib` has the submodule `deep`; `asked` are the paths that were asked for."""

    address: str
    sha: str
    certificate: Path
    asked: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """What trusts the host."""
        return {"PATH": os.environ["PATH"], "GIT_SSL_CAINFO": str(self.certificate)}

    def pack(self, into: Path, **environment: str) -> Package:
        """What the runner makes of the commit."""
        sources = GitSources(self.environment() | environment, extra_header=git_https.HEADER, limit_s=60)
        return sources.pack(CommitSource(repository=f"{self.address}/main", sha=self.sha), into=str(into))


def _host(directory: Path) -> tuple[Path, str]:
    made = {name: Repository(directory / "made" / name) for name in ("deep", "lib", "main")}
    sha = made["deep"].commit(deep="deep")
    for name, inner in (("lib", "deep"), ("main", "lib")):
        (made[name].path / ".gitmodules").write_text(f'[submodule "{inner}"]\n\tpath = {inner}\n\turl = ../{inner}\n')
        made[name].git("update-index", "--add", "--cacheinfo", f"160000,{sha},{inner}")
        made[name].git("add", ".gitmodules")
        made[name].git("commit", "--quiet", "--message", f"{inner} as a submodule")
        sha = made[name].git("rev-parse", "HEAD")
    for name, repository in made.items():
        repository.git("clone", "--quiet", "--bare", str(repository.path), str(directory / "served" / name))
    return directory / "served", sha


@pytest.fixture
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Host]:
    """The host; its submodules are public, or private to whoever has the token."""
    root, sha = _host(tmp_path)
    asked: list[str] = []
    public = ("lib", "deep") if request.param == "public" else ()
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "private":
            patch.setattr(git_https, "HEADER", f"Authorization: Basic {OPENED_BY}")
        with git_https.serving(root, tmp_path / "certificate", public=public, asked=asked) as address:
            yield Host(address, sha, tmp_path / "certificate", asked)


def _unpacked(root: WorkerRoot, package: Package) -> None:
    wanted = ("--sha", str(package.sha), "--origin", package.origin)
    done = root.call("courier.py", "unpack", *wanted, data=Path(package.path).read_bytes())
    assert done.returncode == 0 and b'"submodules": 1' in done.stdout, done


public = pytest.mark.parametrize("host", ["public"], indirect=True)
private = pytest.mark.parametrize("host", ["private"], indirect=True)


@public
def test_the_runner_asks_for_the_repository_alone(host: Host, tmp_path: Path) -> None:
    """Of the submodules not one byte is asked for, and no program of git's other than the fetch of the repository runs."""
    trap = tmp_path / "bin"
    trap.mkdir()
    # Whatever git runs by name finds this first, and leaves its name here.
    for name in ("git-submodule", "git-lfs", "ssh", "git-credential-store", "git-remote-ext"):
        (trap / name).write_text(f"#!/bin/sh\necho {name} >>{tmp_path}/sprung\n")
        (trap / name).chmod(0o755)
    host.pack(tmp_path / "bundle", PATH=f"{trap}:{os.environ['PATH']}")
    assert host.asked and all(path.startswith("/main/") for path in host.asked)
    assert not (tmp_path / "sprung").exists()


@public
def test_public_submodules_come_with_one_command(host: Host, root: WorkerRoot, tmp_path: Path) -> None:
    """The documented command fetches them, nested ones too, by relative addresses, and without any credential."""
    assert PUBLIC in PAGE
    _unpacked(root, host.pack(tmp_path / "bundle"))
    assert not (root.path / "source/lib/.gitmodules").exists()
    ended = root.run(PUBLIC, environment=host.environment(), lease_expires_at=time.time() + 600)
    assert ended.end.exit_code == 0, ended.output
    assert (root.path / "source/lib/deep/deep.txt").read_text() == "deep"
    config = (root.path / "source/.git/config").read_text()
    assert "Authorization" not in config and git_https.HEADER not in config


@private
def test_private_submodules_come_with_a_token(host: Host, root: WorkerRoot, tmp_path: Path) -> None:
    """With the secret the documented command fetches them, and leaves the token in no file; without it there is an error."""
    _unpacked(root, host.pack(tmp_path / "bundle"))
    without = root.run(PUBLIC, phase="without", environment=host.environment())
    assert without.end.exit_code != 0
    ended = root.run(PRIVATE, environment=host.environment(), secrets={"SUBMODULES": TOKEN})
    assert ended.end.exit_code == 0, ended.output
    assert (root.path / "source/lib/deep/deep.txt").read_text() == "deep"
    for config in (root.path / "source/.git").rglob("config"):
        assert TOKEN not in config.read_text() and OPENED_BY not in config.read_text()


@pytest.fixture
def root(tmp_path: Path) -> Iterator[WorkerRoot]:
    """A worker root, as on a machine."""
    made = WorkerRoot(tmp_path / "worker root")
    yield made
    made.clean_up()
