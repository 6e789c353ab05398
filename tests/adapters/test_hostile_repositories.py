"""Repositories made to hurt: what the runner's git fetches and bundles, and what the machine's git makes of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci.adapters import git_command
from accel_ci.adapters.git_command import Git
from accel_ci.adapters.git_source import GitSources
from accel_ci.domain.errors import AccelError, ConfigurationError
from accel_ci.domain.workload import CommitSource, Package
from tests.adapters import git_repository
from tests.adapters.git_repository import Repository
from tests.on_machine.worker_root import WorkerRoot
from tests.servers import git_https

PERSON = "Ann <ann@example.org> 1700000000 +0000"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with one commit."""
    made = Repository(tmp_path / "repository")
    made.commit(a="1")
    return made


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that leaves `sprung` beside itself when anything runs it."""
    return git_repository.trap(tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[WorkerRoot]:
    """A worker root, as on a machine."""
    made = WorkerRoot(tmp_path / "worker root")
    yield made
    made.clean_up()


def _pack(repository: Repository, sha: str, into: Path) -> Package:
    source = CommitSource(repository=str(repository.path), sha=sha)
    return GitSources(os.environ, limit_s=60).pack(source, into=str(into))


def _heads(bundle: Path) -> dict[str, str]:
    done = subprocess.run(["git", "bundle", "list-heads", str(bundle)], check=True, capture_output=True, text=True)
    return {name: sha for sha, name in (line.split(" ") for line in done.stdout.splitlines())}


def _commit(repository: Repository, *, committer: str = PERSON, author: str = PERSON, more: str = "") -> str:
    tree = repository.git("rev-parse", "HEAD^{tree}")
    text = f"tree {tree}\nauthor {author}\ncommitter {committer}\n{more}\nevil\n"
    sha = repository.raw("commit", text.encode())
    repository.git("update-ref", "refs/heads/evil", sha)
    return sha


@pytest.mark.parametrize(
    "written",
    [
        {"committer": "Ann <ann@example.org> 99999999999999999999 +0000"},
        {"author": "Ann <ann@example.org> -1 +0000"},
        {"committer": "Ann <ann@example.org 1700000000 +0000"},
        {"author": "Ann ann@example.org"},
        {"committer": "Ann\0Eve <ann@example.org> 1700000000 +0000"},
    ],
    ids=["date-overflow", "negative-date", "open-bracket", "no-date", "nul"],
)
def test_malformed_commits(repository: Repository, tmp_path: Path, written: dict[str, str]) -> None:
    """Dates beyond time, broken people, a NUL: refused by the check of objects."""
    sha = _commit(repository, **written)
    with pytest.raises(ConfigurationError) as refused:
        _pack(repository, sha, tmp_path / "bundle")
    assert "git fsck" in refused.value.what_to_do


@pytest.mark.parametrize(
    "name", ["refs/replace/", "refs/heads/", "refs/tags/", "refs/notes/", "refs/stash/", "refs/accel-ci/"]
)
def test_refs_beside_the_commit_do_not_travel(repository: Repository, tmp_path: Path, name: str) -> None:
    """Replacements, notes, stashes and branches stay where they are: only tags that lead into the history come along."""
    wanted = repository.git("rev-parse", "HEAD")
    other = repository.commit(b="evil")
    repository.git("update-ref", f"{name}{wanted}", other)
    _pack(repository, wanted, tmp_path / "bundle")
    assert set(_heads(tmp_path / "bundle").values()) == {wanted}


def test_a_replaced_commit_is_sent_as_it_is(repository: Repository, tmp_path: Path, root: WorkerRoot) -> None:
    """`git replace` shows another content under the same name; the true one is bundled and checked out."""
    wanted = repository.git("rev-parse", "HEAD")
    other = repository.commit(a="evil")
    repository.git("replace", wanted, other)
    package = _pack(repository, wanted, tmp_path / "bundle")
    root.call("courier.py", "unpack", "--sha", wanted, data=Path(package.path).read_bytes())
    assert (root.path / "source/a.txt").read_text() == "1"


def test_grafts_do_not_bend_the_history(repository: Repository, tmp_path: Path) -> None:
    """`info/grafts` gives a commit other parents; the bundle has the true history, or none is made."""
    first = repository.git("rev-parse", "HEAD")
    wanted = repository.commit(b="1")
    (repository.path / ".git/info").mkdir(exist_ok=True)
    (repository.path / ".git/info/grafts").write_text(f"{wanted}\n")
    try:
        _pack(repository, wanted, tmp_path / "bundle")
    except AccelError:
        assert not (tmp_path / "bundle").exists()
    else:
        clone = tmp_path / "clone"
        subprocess.run(["git", "clone", "-q", str(tmp_path / "bundle"), str(clone)], check=True, capture_output=True)
        assert Repository(clone).git("rev-list", "HEAD").split() == [wanted, first]


def test_alternates_bring_nothing_but_the_commit(repository: Repository, tmp_path: Path) -> None:
    """A directory that borrows objects of another repository gives the commit, and of the other one what it needs of it."""
    secret = Repository(tmp_path / "secret")
    hidden = secret.commit(secret="hidden")
    (repository.path / ".git/objects/info").mkdir(exist_ok=True)
    (repository.path / ".git/objects/info/alternates").write_text(f"{secret.path}/.git/objects\n")
    wanted = repository.git("rev-parse", "HEAD")
    _pack(repository, wanted, tmp_path / "bundle")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(tmp_path / "bundle"), str(clone)], check=True, capture_output=True)
    known = subprocess.run(["git", "cat-file", "-e", hidden], cwd=clone, check=False, capture_output=True)
    assert known.returncode != 0


@pytest.mark.parametrize("place", ["config", "config.worktree"])
def test_configuration_of_the_repository_names_no_program(
    repository: Repository, trap: Path, tmp_path: Path, place: str
) -> None:
    """Hooks, monitors, helpers, remotes, includes and templates in a repository's own files: none of them runs."""
    wanted = repository.git("rev-parse", "HEAD")
    (repository.path / "included").write_text(f"[core]\n\tfsmonitor = {trap}\n\tsshCommand = {trap}\n")
    lines = f"""
[core]
\tfsmonitor = {trap}
\thooksPath = {trap.parent}
\talternateRefsCommand = {trap}
\tgitProxy = {trap}
\taskPass = {trap}
[include]
\tpath = {repository.path}/included
[init]
\ttemplateDir = {trap.parent}
[uploadpack]
\tpackObjectsHook = {trap}
\tallowFilter = true
[remote "origin"]
\turl = ext::{trap}
\tuploadpack = {trap}
\tpromisor = true
[url "ext::{trap} "]
\tinsteadOf = {repository.path}
[credential]
\thelper = !{trap}
[extensions]
\tworktreeConfig = true
"""
    with open(repository.path / ".git" / place, "a") as file:
        file.write(lines)
    if place == "config.worktree":
        repository.git("config", "extensions.worktreeConfig", "true")
    _pack(repository, wanted, tmp_path / "bundle")
    git = Git(str(repository.path), os.environ, limit_s=30)
    assert git("ls-files", "-z", "--cached", "--others", "--exclude-standard").returncode == 0
    assert not (tmp_path / "sprung").exists()


def test_a_partial_clone_is_not_completed_over_the_network(repository: Repository, trap: Path, tmp_path: Path) -> None:
    """A directory that lacks objects and promises to fetch them by a command of its own runs nothing, and is refused."""
    repository.git("config", "uploadpack.allowFilter", "true")
    wanted = repository.git("rev-parse", "HEAD")
    partial = tmp_path / "partial"
    command = ["git", "clone", "-q", "--bare", "--filter=blob:none", f"file://{repository.path}", str(partial)]
    subprocess.run(command, check=True, capture_output=True)
    made = Repository(partial)
    made.git("config", "remote.origin.url", f"ext::{trap}")
    made.git("config", "protocol.ext.allow", "always")
    with pytest.raises(AccelError):
        _pack(made, wanted, tmp_path / "bundle")
    assert not (tmp_path / "sprung").exists() and not (tmp_path / "bundle").exists()


def test_a_repository_of_somebody_else_is_read(repository: Repository, tmp_path: Path) -> None:
    """In containers the directory often belongs to another user: that is no danger, for nothing of it is run."""
    if os.geteuid() == 0:
        for path in (repository.path, *repository.path.rglob("*")):
            os.chown(path, 65534, 65534)
    wanted = (repository.path / ".git/refs/heads/main").read_text().strip()
    _pack(repository, wanted, tmp_path / "bundle")
    assert (tmp_path / "bundle").stat().st_size > 0


@pytest.mark.parametrize(
    "name", ["../../escape", ".git/config", ".git/hooks/post-checkout", "a/../../b", ".GIT/x", "git~1"]
)
def test_paths_that_lead_elsewhere(repository: Repository, tmp_path: Path, root: WorkerRoot, name: str) -> None:
    """Trees whose entries lead out of the checkout or into .git are refused before they travel, and again over there."""
    entry = repository.raw("blob", b"evil")
    for part in reversed(name.split("/")):
        mode = "100644" if part == name.rsplit("/", 1)[-1] else "40000"
        entry = repository.raw("tree", f"{mode} {part}\0".encode() + bytes.fromhex(entry))
    sha = repository.git("commit-tree", entry, "-m", "evil")
    repository.git("update-ref", "refs/heads/evil", sha)
    with pytest.raises(ConfigurationError, match=r"fsck|hasDot"):
        _pack(repository, sha, tmp_path / "bundle")
    repository.git("bundle", "create", "-q", str(tmp_path / "by-hand"), "evil")
    done = root.call("courier.py", "unpack", "--sha", sha, data=(tmp_path / "by-hand").read_bytes())
    assert not json.loads(done.stdout)["ok"]
    assert list((root.path / "source").iterdir()) == []


def test_links_lead_no_checkout_astray(repository: Repository, root: WorkerRoot, tmp_path: Path) -> None:
    """A link and a file below the same name cannot both be in a tree; a link alone is made, and nobody writes through it."""
    link = repository.raw("blob", str(tmp_path).encode())
    evil = repository.raw("blob", b"evil")
    inner = repository.raw("tree", b"100644 escaped\0" + bytes.fromhex(evil))
    both = b"40000 a\0" + bytes.fromhex(inner) + b"120000 a\0" + bytes.fromhex(link)
    sha = repository.git("commit-tree", repository.raw("tree", both), "-m", "evil")
    repository.git("update-ref", "refs/heads/evil", sha)
    with pytest.raises(ConfigurationError):
        _pack(repository, sha, tmp_path / "bundle")
    alone = repository.git("commit-tree", repository.raw("tree", b"120000 a\0" + bytes.fromhex(link)), "-m", "link")
    repository.git("update-ref", "refs/heads/alone", alone)
    package = _pack(repository, alone, tmp_path / "bundle")
    done = root.call("courier.py", "unpack", "--sha", alone, data=Path(package.path).read_bytes())
    assert json.loads(done.stdout)["ok"] and not (tmp_path / "escaped").exists()


def test_a_bomb_of_trees_costs_the_runner_nothing(repository: Repository, tmp_path: Path) -> None:
    """Ten billion files in a dozen objects are a bundle of a few kilobytes here; over there they are counted and refused."""
    tree = b"".join(b"100644 %d\0" % n + bytes.fromhex(repository.raw("blob", b"boom")) for n in range(10))
    for _ in range(9):
        sha = repository.raw("tree", tree)
        tree = b"".join(b"40000 %d\0" % n + bytes.fromhex(sha) for n in range(10))
    wanted = repository.git("commit-tree", repository.raw("tree", tree), "-m", "boom")
    repository.git("update-ref", "refs/heads/bomb", wanted)
    assert _pack(repository, wanted, tmp_path / "bundle").size_bytes < 10_000


def test_a_server_that_sends_elsewhere(tmp_path: Path) -> None:
    """A redirection is not followed: neither our token nor the fetch goes where a server, or whoever is on the way, says."""
    repository = Repository(tmp_path / "served" / "private")
    sha = repository.commit(a="1")
    asked: list[str] = []
    with (
        git_https.serving(tmp_path / "served", tmp_path / "certificate", asked=asked) as target,
        git_https.redirecting(target, tmp_path / "certificate") as address,
    ):
        sources = GitSources(
            {"PATH": os.environ["PATH"], "GIT_SSL_CAINFO": str(tmp_path / "certificate")},
            extra_header=git_https.HEADER,
            limit_s=60,
        )
        with pytest.raises(AccelError):
            sources.pack(CommitSource(repository=f"{address}/private/.git", sha=sha), into=str(tmp_path / "bundle"))
    assert asked == []


def test_names_of_settings_that_git_would_run_are_all_closed() -> None:
    """What the runner's git is told outranks every file: hooks, monitors, helpers, protocols, redirections."""
    closed = {"core.hooksPath", "core.fsmonitor", "credential.helper", "protocol.allow", "http.followRedirects"}
    assert closed <= git_command.SETTINGS.keys()
    assert git_command.SETTINGS["protocol.allow"] == "never"
    environment = git_command.as_environment(git_command.SETTINGS)
    assert environment["GIT_CONFIG_COUNT"] == str(len(git_command.SETTINGS))
