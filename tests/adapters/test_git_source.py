"""Commits as bundles: exactly the commit, nothing of this computer's configuration, nothing of a hostile repository."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import time
from pathlib import Path

import pytest

from accel_ci.adapters.git_source import BRANCH, GitSources
from accel_ci.domain.errors import CloudError, ConfigurationError, TransientError
from accel_ci.domain.workload import CommitSource, Package
from tests.adapters import git_repository
from tests.adapters.git_repository import Repository

PROGRAMS = (
    "core.fsmonitor",
    "core.gitProxy",
    "core.pager",
    "core.sshCommand",
    "credential.helper",
    "diff.evil.textconv",
    "filter.evil.clean",
    "filter.evil.process",
    "filter.evil.smudge",
    "gpg.program",
    "uploadpack.packObjectsHook",
)
HEADER = "Authorization: Basic c2VjcmV0"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository."""
    return Repository(tmp_path / "repository")


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that leaves `sprung` beside itself when anything runs it."""
    return git_repository.trap(tmp_path)


def _pack(repository: Repository | str, sha: str, into: Path, environment: dict[str, str] | None = None) -> Package:
    address = repository if isinstance(repository, str) else str(repository.path)
    sources = GitSources(os.environ | (environment or {}), limit_s=60)
    return sources.pack(CommitSource(repository=address, sha=sha), into=str(into))


def _unpacked(bundle: Path, into: Path) -> Repository:
    subprocess.run(["git", "clone", "--quiet", str(bundle), str(into)], check=True, capture_output=True)
    return Repository(into)


def _heads(bundle: Path) -> dict[str, str]:
    done = subprocess.run(["git", "bundle", "list-heads", str(bundle)], check=True, capture_output=True, text=True)
    return {name: sha for sha, name in (line.split(" ") for line in done.stdout.splitlines())}


def test_exactly_this_commit(repository: Repository, tmp_path: Path) -> None:
    """The bundle leads to the commit that was asked for, though the branch has moved on."""
    wanted = repository.commit(a="1")
    later = repository.commit(a="2")
    _pack(repository, wanted, tmp_path / "bundle")
    clone = _unpacked(tmp_path / "bundle", tmp_path / "clone")
    assert clone.git("rev-parse", "HEAD") == wanted
    assert (clone.path / "a.txt").read_text() == "1"
    assert later not in clone.git("rev-list", "--all")


def test_history_and_tags(repository: Repository, tmp_path: Path) -> None:
    """`git describe` works over there: the commit's history and the tags in it come along, other tags do not."""
    repository.commit(a="1")
    repository.git("tag", "--annotate", "v1.0", "--message", "first")
    repository.git("tag", "light")
    wanted = repository.commit(a="2")
    repository.commit(a="3")
    repository.git("tag", "--annotate", "v2.0", "--message", "later")
    _pack(repository, wanted, tmp_path / "bundle")
    assert set(_heads(tmp_path / "bundle")) == {BRANCH, "HEAD", "refs/tags/v1.0", "refs/tags/light"}
    described = _unpacked(tmp_path / "bundle", tmp_path / "clone").git("describe")
    assert described.startswith("v1.0-1-g")


def test_merge_commit(repository: Repository, tmp_path: Path) -> None:
    """A merge keeps both of its parents."""
    base = repository.commit(a="1")
    main = repository.commit(b="1")
    repository.git("checkout", "--quiet", "-b", "topic", base)
    topic = repository.commit(c="1")
    repository.git("merge", "--quiet", "--no-edit", main)
    _pack(repository, repository.git("rev-parse", "HEAD"), tmp_path / "bundle")
    parents = _unpacked(tmp_path / "bundle", tmp_path / "clone").git("rev-parse", "HEAD^1", "HEAD^2").split()
    assert parents == [topic, main]


def test_commit_on_no_branch(repository: Repository, tmp_path: Path) -> None:
    """A commit that only a pull request's ref leads to is fetched by its SHA."""
    base = repository.commit(a="1")
    wanted = repository.commit(a="2")
    repository.git("update-ref", "refs/pull/7/head", wanted)
    repository.git("reset", "--quiet", "--hard", base)
    _pack(repository, wanted, tmp_path / "bundle")
    assert _heads(tmp_path / "bundle") == {BRANCH: wanted, "HEAD": wanted}


def test_sha256_repository(tmp_path: Path) -> None:
    """A repository with 64-digit SHAs works as well."""
    repository = Repository(tmp_path / "new", object_format="sha256")
    wanted = repository.commit(a="1")
    assert len(wanted) == 64
    _pack(repository, wanted, tmp_path / "bundle")
    assert _heads(tmp_path / "bundle")[BRANCH] == wanted


def test_nothing_else_is_left(repository: Repository, tmp_path: Path) -> None:
    """Beside the bundle, which only we may read, no file stays."""
    wanted = repository.commit(a="1")
    place = tmp_path / "packages"
    place.mkdir()
    package = _pack(repository, wanted, place / "bundle")
    assert os.listdir(place) == ["bundle"]
    assert stat.S_IMODE((place / "bundle").stat().st_mode) == 0o600
    assert package.size_bytes == (place / "bundle").stat().st_size


def test_nothing_is_left_after_a_refusal(repository: Repository, tmp_path: Path) -> None:
    """A fetch that failed leaves neither a package nor a half-made repository."""
    place = tmp_path / "packages"
    place.mkdir()
    with pytest.raises(ConfigurationError):
        _pack(repository, "ab" * 20, place / "bundle")
    assert os.listdir(place) == []


@pytest.mark.parametrize("kind", ["tag", "tree", "blob"])
def test_objects_that_are_no_commit(repository: Repository, tmp_path: Path, kind: str) -> None:
    """The SHA of a tag, a tree or a file is refused: only a commit can be checked out and proven."""
    repository.commit(a="1")
    repository.git("tag", "--annotate", "v1", "--message", "x")
    sha = repository.git("rev-parse", {"tag": "v1", "tree": "HEAD^{tree}", "blob": "HEAD:a.txt"}[kind])
    with pytest.raises(ConfigurationError, match=sha):
        _pack(repository, sha, tmp_path / "bundle")


def test_shallow_clone(repository: Repository, tmp_path: Path) -> None:
    """A clone without its history cannot give it: the advice is how to fetch it."""
    repository.commit(a="1")
    wanted = repository.commit(a="2")
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{repository.path}", str(shallow)], check=True)
    with pytest.raises(ConfigurationError) as refused:
        _pack(str(shallow), wanted, tmp_path / "bundle")
    assert "fetch-depth: 0" in refused.value.what_to_do


def test_hooks_and_filters_do_not_run(repository: Repository, trap: Path, tmp_path: Path) -> None:
    """A repository full of hooks, filters, monitors and helpers runs none of them."""
    (repository.path / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    wanted = repository.commit(a="1")
    for hook in ("post-checkout", "reference-transaction", "post-merge", "pre-auto-gc", "update", "post-receive"):
        (repository.path / ".git" / "hooks" / hook).symlink_to(trap)
    for name in PROGRAMS:
        repository.git("config", name, str(trap))
    _pack(repository, wanted, tmp_path / "bundle")
    assert not (tmp_path / "sprung").exists()


def test_submodules_are_not_followed(repository: Repository, trap: Path, tmp_path: Path) -> None:
    """A submodule whose address runs a command is neither fetched nor run; its entry stays data."""
    other = Repository(tmp_path / "other").commit(a="1")
    (repository.path / ".gitmodules").write_text(f'[submodule "s"]\n\tpath = s\n\turl = ext::{trap}\n')
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{other},s")
    repository.git("add", ".gitmodules")
    repository.git("commit", "--quiet", "--message", "a submodule")
    _pack(repository, repository.git("rev-parse", "HEAD"), tmp_path / "bundle")
    assert not (tmp_path / "sprung").exists()


def test_hostile_submodule_address(repository: Repository, tmp_path: Path) -> None:
    """A submodule address that looks like an option is refused by the check of objects."""
    (repository.path / ".gitmodules").write_text('[submodule "s"]\n\tpath = s\n\turl = --upload-pack=evil\n')
    wanted = repository.commit()
    with pytest.raises(ConfigurationError, match=r"gitmodules"):
        _pack(repository, wanted, tmp_path / "bundle")


@pytest.mark.parametrize("entry", ["100644 .git", "100644 ..", "100644 a/b", "120000 .gitmodules"])
def test_hostile_trees(repository: Repository, tmp_path: Path, entry: str) -> None:
    """A tree that would write outside of the checkout or into .git, or read elsewhere, is refused by the check."""
    blob = repository.raw("blob", b"/etc/passwd")
    tree = repository.raw("tree", entry.encode() + b"\0" + bytes.fromhex(blob))
    wanted = repository.git("commit-tree", tree, "-m", "evil")
    repository.git("update-ref", "refs/heads/evil", wanted)
    with pytest.raises(ConfigurationError) as refused:
        _pack(repository, wanted, tmp_path / "bundle")
    assert "git fsck" in refused.value.what_to_do


def test_symlinked_paths_stay_data(repository: Repository, tmp_path: Path) -> None:
    """Links that lead out of the checkout travel as they are: nothing is checked out here."""
    (repository.path / "out").symlink_to("/etc")
    wanted = repository.commit(a="1")
    _pack(repository, wanted, tmp_path / "bundle")
    clone = _unpacked(tmp_path / "bundle", tmp_path / "clone")
    assert os.readlink(clone.path / "out") == "/etc"


def test_damaged_object(repository: Repository, tmp_path: Path) -> None:
    """A damaged file of the repository does not travel."""
    wanted = repository.commit(a="1")
    blob = repository.git("rev-parse", "HEAD:a.txt")
    damaged = repository.path / ".git" / "objects" / blob[:2] / blob[2:]
    damaged.chmod(0o644)
    damaged.write_bytes(b"x\x9c" + damaged.read_bytes()[2:-4] + b"evil")
    with pytest.raises(ConfigurationError) as refused:
        _pack(repository, wanted, tmp_path / "bundle")
    assert "git fsck" in refused.value.what_to_do


def test_blemishes_of_old_tools_pass(repository: Repository, tmp_path: Path) -> None:
    """A history with an impossible time zone, as well-known projects have, is not refused."""
    tree = repository.git("rev-parse", f"{repository.commit(a='1')}^{{tree}}")
    person = "Ann <ann@example.org> 1313584730 +051800"
    wanted = repository.raw("commit", f"tree {tree}\nauthor {person}\ncommitter {person}\n\nold\n".encode())
    repository.git("update-ref", "refs/heads/old", wanted)
    _pack(repository, wanted, tmp_path / "bundle")
    assert _heads(tmp_path / "bundle")[BRANCH] == wanted


def test_huge_number_of_refs(repository: Repository, tmp_path: Path) -> None:
    """Twenty thousand branches and tags elsewhere cost nothing: only what leads into the commit's history comes."""
    wanted = repository.commit(a="1")
    elsewhere = repository.commit(a="2")
    packed = repository.path / ".git" / "packed-refs"
    kinds = ("refs/heads/b", "refs/tags/t")
    lines = sorted(f"{elsewhere} {kind}{number:05}" for kind in kinds for number in range(10_000))
    packed.write_text("\n".join(["# pack-refs with: peeled fully-peeled sorted", *lines, ""]))
    _pack(repository, wanted, tmp_path / "bundle")
    assert _heads(tmp_path / "bundle") == {BRANCH: wanted, "HEAD": wanted}


def test_configuration_of_this_computer_has_no_say(repository: Repository, trap: Path, tmp_path: Path) -> None:
    """Neither ~/.gitconfig nor git's own variables can redirect the fetch or name programs."""
    wanted = repository.commit(a="1")
    home = tmp_path / "home"
    home.mkdir()
    redirect = f'[url "ext::{trap} "]\n\tinsteadOf = {repository.path}\n[protocol "ext"]\n\tallow = always\n'
    (home / ".gitconfig").write_text(redirect)
    hostile = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor={trap}'",
        "GIT_SSH_COMMAND": str(trap),
        "GIT_TEMPLATE_DIR": str(home),
        "GIT_DIR": str(home),
        "GIT_EXEC_PATH": str(home),
        "GIT_ALLOW_PROTOCOL": "ext",
    }
    _pack(repository, wanted, tmp_path / "bundle", hostile)
    assert _heads(tmp_path / "bundle")[BRANCH] == wanted
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "address",
    [
        "ext::{trap}",
        "ext::{trap} https://example.org/x",
        "fd::7",
        "git://127.0.0.1/x",
        "http://127.0.0.1:1/x",
        "file:///etc",
        "--upload-pack={trap}",
        "-oProxyCommand={trap}:x",
        "https://",
        "https://[::1",
        "https://exa mple.org/x",
        "/nowhere/at/all",
        "",
    ],
)
def test_addresses_that_are_never_dialled(trap: Path, tmp_path: Path, address: str) -> None:
    """Only https, ssh and directories are fetched from; anything else is refused before git hears of it."""
    with pytest.raises(ConfigurationError, match="no address of a repository"):
        _pack(address.format(trap=trap), "ab" * 20, tmp_path / "bundle", {"PATH": "/nowhere"})
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "address",
    [
        "https://ann:hunter2@example.org/r",
        "https://hunter2@example.org/r",
        "http://a:hunter2@x/r",
        "ssh://a:hunter2@x/r",
    ],
)
def test_credentials_in_addresses(tmp_path: Path, address: str) -> None:
    """A credential in the address, which process lists would show, is refused and not repeated."""
    with pytest.raises(ConfigurationError) as refused:
        _pack(address, "ab" * 20, tmp_path / "bundle")
    assert "hunter2" not in f"{refused.value} {refused.value.what_to_do}"


@pytest.fixture
def recorder(tmp_path: Path) -> Path:
    """A directory with a `git` that writes down its arguments and environment, and fails to fetch."""
    directory = tmp_path / "bin"
    directory.mkdir()
    script = f'#!/bin/sh\necho "$@" >> {tmp_path}/argv\nenv >> {tmp_path}/env\ntest "$1" != fetch || exit 128\n'
    (directory / "git").write_text(script)
    (directory / "git").chmod(0o755)
    return directory


@pytest.mark.parametrize(
    ("address", "sent"),
    [("https://example.org/org/repo", True), ("ssh://git@example.org/r", False), ("git@example.org:r", False)],
)
def test_extra_header(recorder: Path, tmp_path: Path, address: str, sent: bool) -> None:
    """The header goes to the repository's own https host only, by the environment, and is in no argument."""
    sources = GitSources({"PATH": f"{recorder}:{os.environ['PATH']}"}, extra_header=HEADER)
    with pytest.raises(ConfigurationError) as refused:
        sources.pack(CommitSource(repository=address, sha="ab" * 20), into=str(tmp_path / "bundle"))
    assert HEADER not in (tmp_path / "argv").read_text()
    assert HEADER not in str(refused.value)
    environment = (tmp_path / "env").read_text()
    assert (HEADER in environment) is sent
    assert ("=http.https://example.org/.extraHeader\n" in environment) is sent


def test_secrets_of_the_job_do_not_reach_git(recorder: Path, tmp_path: Path) -> None:
    """Of the environment git gets what it needs, and nothing else."""
    environment = {"PATH": f"{recorder}:{os.environ['PATH']}", "ACCEL_CI_SECRET_KEY": "hunter2", "HTTPS_PROXY": "proxy"}
    with pytest.raises(ConfigurationError):
        GitSources(environment).pack(
            CommitSource(repository="https://example.org/r", sha="ab" * 20), into=str(tmp_path / "bundle")
        )
    seen = (tmp_path / "env").read_text()
    assert "hunter2" not in seen
    assert "HTTPS_PROXY=proxy\n" in seen


def test_network_failure(tmp_path: Path) -> None:
    """A host that does not answer is the network's fault, and worth another try."""
    with pytest.raises(TransientError):
        _pack("https://127.0.0.1:1/org/repo", "ab" * 20, tmp_path / "bundle")


def test_time_limit(tmp_path: Path) -> None:
    """A git that hangs is ended with all it started, and said to be slow."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "git").write_text(f"#!/bin/sh\nsleep 60 & echo $! > {tmp_path}/pid\nsleep 60\n")
    (directory / "git").chmod(0o755)
    sources = GitSources({"PATH": f"{directory}:{os.environ['PATH']}"}, limit_s=0.5)
    with pytest.raises(CloudError, match="longer than"):
        sources.pack(CommitSource(repository=str(tmp_path), sha="ab" * 20), into=str(tmp_path / "bundle"))
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 60
    while _runs(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_git_is_missing(repository: Repository, tmp_path: Path) -> None:
    """Without git on this computer the advice is to install it."""
    with pytest.raises(ConfigurationError) as refused:
        GitSources({"PATH": "/nowhere"}).pack(
            CommitSource(repository=str(repository.path), sha="ab" * 20), into=str(tmp_path / "bundle")
        )
    assert "install git" in refused.value.what_to_do


def test_what_git_says_is_hostile(tmp_path: Path) -> None:
    """Words of a server are cut to one printable line of bounded length before they reach a message."""
    directory = tmp_path / "bin"
    directory.mkdir()
    evil = r"remote: \033[31m::error::evil\r\n##[error]evil \303\244 " + "x" * 2000
    (directory / "git").write_text(f'#!/bin/sh\ntest "$1" = init && exit 0\nprintf "{evil}" >&2\nexit 128\n')
    (directory / "git").chmod(0o755)
    sources = GitSources({"PATH": f"{directory}:{os.environ['PATH']}"})
    with pytest.raises(ConfigurationError) as refused:
        sources.pack(CommitSource(repository=str(tmp_path), sha="ab" * 20), into=str(tmp_path / "bundle"))
    assert re.fullmatch(r"[ -~]+", str(refused.value))
    assert len(str(refused.value)) < 1000


def test_one_file_of_a_commit(repository: Repository) -> None:
    """As it was in that very commit, whatever lies in the work tree or came later; names in directories work."""
    wanted = repository.commit(a="first")
    repository.commit(a="later")
    (repository.path / "a.txt").write_text("not committed")
    sources = GitSources(os.environ, limit_s=60)
    assert sources.text(str(repository.path), wanted, "a.txt") == "first"


@pytest.mark.parametrize("path", ["absent.txt", "folder", "../a.txt", "large.txt", "-a.txt", ""])
def test_what_is_no_small_file_of_the_commit(repository: Repository, path: str) -> None:
    """Nothing, a directory, a way out, more than a mebibyte: an error names the file."""
    (repository.path / "folder").mkdir()
    (repository.path / "folder" / "file").write_text("x")
    wanted = repository.commit(a="1", large="x" * (1 << 20) + "x")
    with pytest.raises(ConfigurationError, match="there is no file"):
        GitSources(os.environ, limit_s=60).text(str(repository.path), wanted, path)


def test_a_file_of_no_commit(repository: Repository) -> None:
    """A commit that is not there, or no commit's name at all, is told as when it is to be tested."""
    repository.commit(a="1")
    for sha, told in (("5" * 40, "could not fetch"), ("main", "not a commit")):
        with pytest.raises(ConfigurationError, match=told):
            GitSources(os.environ, limit_s=60).text(str(repository.path), sha, "a.txt")
