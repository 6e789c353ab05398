"""Unpacking: git proves the commit of a bundle, a tar archive is taken apart safely, and half a package is none."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pathlib
import subprocess
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

from tests.on_machine.worker_root import WorkerRoot, eventually

GIT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}

WHOLE = {"submodules": 0, "lfs": 0}


class Repository:
    """A git repository with two commits, a tag on the first, and a file that is executable."""

    def __init__(self, path: pathlib.Path, object_format: str = "sha1") -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main", f"--object-format={object_format}")
        (path / "tool.sh").write_text("#!/bin/sh\necho tool\n")
        (path / "tool.sh").chmod(0o755)
        (path / "link").symlink_to("tool.sh")
        self.git("add", ".")
        self.git("commit", "--quiet", "-m", "one")
        self.git("tag", "-a", "v1.2", "-m", "one")
        self.sha = self.commit("two")

    def git(self, *arguments: str, data: bytes = b"") -> str:
        """What git prints."""
        done = subprocess.run(["git", *arguments], cwd=self.path, env=GIT, input=data, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def commit(self, text: str) -> str:
        """A new commit with this text in a file; its SHA."""
        (self.path / "file").write_text(text)
        self.git("add", "file")
        self.git("commit", "--quiet", "-m", text)
        return self.git("rev-parse", "HEAD")

    def bundle(self, *revisions: str) -> bytes:
        """A bundle of these revisions."""
        self.git("bundle", "create", "--quiet", "../bundle", *(revisions or ("--all", "HEAD")))
        return (self.path.parent / "bundle").read_bytes()

    def object(self, kind: str, content: bytes) -> str:
        """Store an object that git itself would not make."""
        return self.git("hash-object", "-w", "-t", kind, "--literally", "--stdin", data=content)


@pytest.fixture
def repository(tmp_path: pathlib.Path) -> Repository:
    """A repository to bundle."""
    return Repository(tmp_path / "repository")


def unpack(
    root: WorkerRoot, package: bytes, sha: str = "", kind: str = "bundle", base: str = "", **options: Any
) -> dict[str, Any]:
    """The courier's answer, which agrees with its exit code; it leaves no scratch space behind."""
    before = set(root.path.glob(".unpack-*/"))
    arguments = ["--kind", kind, *(["--sha", sha] if sha else []), *(["--base", base] if base else [])]
    done = root.call("courier.py", "unpack", *arguments, data=package, **options)
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if answer["ok"] else 1), done
    assert {path for path in root.path.glob(".unpack-*/") if path.is_dir()} <= before
    return answer


def source(root: WorkerRoot, name: str) -> pathlib.Path:
    """A file of the source directory."""
    return root.path / "source" / name


def in_source(root: WorkerRoot, *arguments: str) -> str:
    """What git says in the source directory."""
    done = subprocess.run(["git", *arguments], cwd=root.path / "source", env=GIT, capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_a_bundle_becomes_the_checked_out_commit(any_root: WorkerRoot, repository: Repository) -> None:
    """On every Python: the SHA is checked out, clean, with its history, tags, executable bits and links."""
    assert unpack(any_root, repository.bundle(), repository.sha) == {"ok": True, "sha": repository.sha, **WHOLE}
    assert in_source(any_root, "rev-parse", "HEAD") == repository.sha
    assert in_source(any_root, "describe") == f"v1.2-1-g{repository.sha[:7]}"
    assert in_source(any_root, "log", "--format=%s") == "two\none"
    assert in_source(any_root, "status", "--porcelain") == ""
    assert os.access(source(any_root, "tool.sh"), os.X_OK)
    assert os.readlink(source(any_root, "link")) == "tool.sh"


def test_a_repository_of_sha256_works(root: WorkerRoot, tmp_path: pathlib.Path) -> None:
    """A commit of 64 digits is unpacked like one of 40."""
    repository = Repository(tmp_path / "repository", object_format="sha256")
    assert unpack(root, repository.bundle(), repository.sha)["ok"]
    assert in_source(root, "rev-parse", "HEAD") == repository.sha


def test_any_commit_of_the_bundle_can_be_asked_for(root: WorkerRoot, repository: Repository) -> None:
    """Not the bundle's head but the SHA decides what is checked out."""
    first = repository.git("rev-parse", "HEAD~1")
    assert unpack(root, repository.bundle(), first)["ok"]
    assert in_source(root, "rev-parse", "HEAD") == first


def test_a_bundle_may_come_again(root: WorkerRoot, repository: Repository) -> None:
    """The same commit again is a quick yes that leaves the work in the source directory alone."""
    package = repository.bundle()
    assert unpack(root, package, repository.sha)["ok"]
    source(root, "built").write_text("by setup")
    assert unpack(root, package, repository.sha) == {"ok": True, "sha": repository.sha, **WHOLE}
    assert source(root, "built").read_text() == "by setup"


def test_another_commit_replaces_the_source_as_a_whole(root: WorkerRoot, repository: Repository) -> None:
    """Nothing of the earlier source is left, however deep or closed the command made it."""
    assert unpack(root, repository.bundle(), repository.sha)["ok"]
    deep = "import os\nfor n in range(2000):\n    os.mkdir('d' * 50)\n    os.chdir('d' * 50)\nos.chmod('.', 0)"
    subprocess.run([root.python, "-c", deep], cwd=root.path / "source", check=True)
    third = repository.commit("three")
    assert unpack(root, repository.bundle(), third)["ok"]
    assert sorted(os.listdir(root.path / "source")) == [".git", "file", "link", "tool.sh"]
    assert source(root, "file").read_text() == "three"


@pytest.mark.parametrize("sha", ["0" * 40, "1" * 39, "HEAD", "v1.2", "", "A" * 40])
def test_a_wrong_sha_is_refused(root: WorkerRoot, repository: Repository, sha: str) -> None:
    """A SHA that is not in the bundle, or is none, leaves the source as it was."""
    assert not unpack(root, repository.bundle(), sha)["ok"]
    assert os.listdir(root.path / "source") == []


def test_a_tag_or_tree_is_no_commit(root: WorkerRoot, repository: Repository) -> None:
    """The SHA must be the commit's own, not that of an object that leads to it."""
    for name in ("v1.2", "HEAD^{tree}", "HEAD:file"):
        assert not unpack(root, repository.bundle(), repository.git("rev-parse", name))["ok"]


@pytest.mark.parametrize("keep", [0, 1, 15, 16, 60, -200, -20, -1])
def test_a_bundle_that_was_cut_short_is_refused(root: WorkerRoot, repository: Repository, keep: int) -> None:
    """Wherever the stream breaks off, in the header, in the pack or one byte before its end."""
    answer = unpack(root, repository.bundle()[:keep], repository.sha)
    assert not answer["ok"] and answer["error"]
    assert os.listdir(root.path / "source") == []


def test_a_changed_byte_is_refused(root: WorkerRoot, repository: Repository) -> None:
    """A pack that is not what its checksum says is refused."""
    package = bytearray(repository.bundle())
    package[-40] ^= 1
    assert not unpack(root, bytes(package), repository.sha)["ok"]


@pytest.mark.parametrize("package", [b"no bundle at all\n" * 100, b"\0" * 5000, b"# v9 git bundle\n\nPACK"])
def test_what_is_no_bundle_is_refused(root: WorkerRoot, package: bytes) -> None:
    """Other bytes are refused by name."""
    assert "no git bundle" in unpack(root, package, "0" * 40)["error"]


def test_a_bundle_that_needs_more_is_refused(root: WorkerRoot, repository: Repository) -> None:
    """A bundle of only the newest commit cannot be used without the others."""
    assert "not in it" in unpack(root, repository.bundle("HEAD~1..main"), repository.sha)["error"]


def test_bad_objects_are_refused(root: WorkerRoot, repository: Repository) -> None:
    """A tree with an entry named .git is found by git's object checks, though the SHA is right."""
    blob = repository.git("rev-parse", "HEAD:file")
    tree = repository.object("tree", b"100644 .git\0" + bytes.fromhex(blob))
    sha = repository.git("commit-tree", "-p", "HEAD", "-m", "bad", tree)
    repository.git("update-ref", "refs/heads/main", sha)
    assert "hasDotgit" in unpack(root, repository.bundle(), sha)["error"]


def test_harmless_old_flaws_pass(root: WorkerRoot, repository: Repository) -> None:
    """A time zone that git would not write today, as in the history of well-known projects, is no obstacle."""
    tree = repository.git("rev-parse", "HEAD^{tree}")
    old = f"tree {tree}\nauthor a <a@example.org> 1 +051800\ncommitter a <a@example.org> 1 +051800\n\nold\n"
    sha = repository.object("commit", old.encode())
    repository.git("update-ref", "refs/heads/main", sha)
    assert unpack(root, repository.bundle(), sha)["ok"]


def test_no_hook_and_no_filter_runs(root: WorkerRoot, repository: Repository, tmp_path: pathlib.Path) -> None:
    """What the user's git configuration would run at a checkout does not run, and asks for nothing."""
    (repository.path / ".gitattributes").write_text("* filter=mine\n")
    repository.git("add", ".gitattributes")
    sha = repository.commit("filtered")
    home, mark = tmp_path / "home", tmp_path / "ran"
    (home / "hooks").mkdir(parents=True)
    (home / "hooks" / "post-checkout").write_text(f"#!/bin/sh\necho hook >> '{mark}'\n")
    (home / "hooks" / "post-checkout").chmod(0o755)
    (home / ".gitconfig").write_text(
        f'[core]\nhooksPath = {home}/hooks\n[filter "mine"]\nsmudge = "echo filter >> \'{mark}\'; cat"\nrequired = true\n'
    )
    environment = {
        **os.environ,
        "HOME": str(home),
        "GIT_DIR": "/nonexistent",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
    }
    assert unpack(root, repository.bundle(), sha, env=environment)["ok"]
    assert not mark.exists()
    assert source(root, "file").read_text() == "filtered"


def test_a_machine_without_git_is_told(root: WorkerRoot, repository: Repository) -> None:
    """Where git is missing the answer says so; the package is read to its end all the same."""
    answer = unpack(root, repository.bundle() + b"x" * 3_000_000, repository.sha, env={"PATH": "/nonexistent"})
    assert "git" in answer["error"]


Member = tuple[str, bytes, int, bytes | str]  # name, type, mode, content or link


def tar(*members: Member) -> bytes:
    """An archive of these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, mode, content in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = kind, mode
            if isinstance(content, str):
                entry.linkname = content
            else:
                entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


FILE, DIRECTORY, LINK, HARD_LINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
GOOD: tuple[Member, ...] = (
    ("deep/er", DIRECTORY, 0o755, b""),
    ("deep/er/data", FILE, 0o644, bytes(range(256)) * 100),
    ("./run.sh", FILE, 0o4777, b"#!/bin/sh\n"),
    ("no/entry/for/these", FILE, 0o600, b""),
    ("links/up", LINK, 0o777, "../deep/er/data"),
    ("same", HARD_LINK, 0o644, "deep/er/data"),
    ("dangling", LINK, 0o777, "not/there"),
    ("ümlaut\n\u202e.txt", FILE, 0o644, b"x"),
)


def test_a_tar_is_extracted(any_root: WorkerRoot) -> None:
    """On every Python: files, directories, links inside, odd names, executable bits without setuid."""
    assert unpack(any_root, tar(*GOOD), kind="tar")["ok"]
    data = bytes(range(256)) * 100
    assert source(any_root, "deep/er/data").read_bytes() == source(any_root, "links/up").read_bytes() == data
    assert source(any_root, "same").read_bytes() == data
    assert os.readlink(source(any_root, "dangling")) == "not/there"
    assert source(any_root, "ümlaut\n\u202e.txt").read_bytes() == b"x"
    modes = {
        name: source(any_root, name).stat().st_mode & 0o7700
        for name in ("run.sh", "deep/er/data", "no/entry/for/these")
    }
    assert modes == {"run.sh": 0o700, "deep/er/data": 0o600, "no/entry/for/these": 0o600}


def test_a_tar_replaces_the_source(root: WorkerRoot) -> None:
    """Sent again, the archive's files are there again, and only they."""
    for text in (b"one", b"two"):
        source(root, "left over").write_text("x")
        assert unpack(root, tar(("file", FILE, 0o644, text)), kind="tar") == {"ok": True, "sha": ""}
        assert os.listdir(root.path / "source") == ["file"]
        assert source(root, "file").read_bytes() == text


def test_a_tar_after_a_bundle_takes_its_commit_back(root: WorkerRoot, repository: Repository) -> None:
    """When an archive has replaced the commit, the commit is not said to be there."""
    package = repository.bundle()
    assert unpack(root, package, repository.sha)["ok"]
    assert unpack(root, tar(("other", FILE, 0o644, b"x")), kind="tar")["ok"]
    assert unpack(root, package, repository.sha)["ok"]
    assert in_source(root, "rev-parse", "HEAD") == repository.sha


EVIL: dict[str, tuple[Member, ...]] = {
    "absolute": (("/tmp/accel-ci-evil", FILE, 0o644, b"x"),),
    "upwards": (("../evil", FILE, 0o644, b"x"),),
    "upwards inside": (("a/../../evil", FILE, 0o644, b"x"),),
    "absolute link": (("link", LINK, 0o777, "/etc"),),
    "link up": (("link", LINK, 0o777, "../.."),),
    "file through a link": (("link", LINK, 0o777, ".."), ("link/evil", FILE, 0o644, b"x")),
    "link through a link": (("link", LINK, 0o777, ".."), ("link/evil", LINK, 0o777, "x")),
    "links that lead out together": (("x/y/l", LINK, 0o777, "../.."), ("m", LINK, 0o777, "x/y/l/../../..")),
    "link over a file": (("a", FILE, 0o644, b"x"), ("a", LINK, 0o777, "b")),
    "file twice": (("a", FILE, 0o644, b"x"), ("a", FILE, 0o644, b"y")),
    "hard link out": (("same", HARD_LINK, 0o644, "/etc/passwd"),),
    "hard link up": (("same", HARD_LINK, 0o644, "../supervisor.py"),),
    "device": (("dev", tarfile.CHRTYPE, 0o644, b""),),
    "pipe": (("fifo", tarfile.FIFOTYPE, 0o644, b""),),
}


@pytest.mark.parametrize("case", EVIL)
def test_an_archive_that_leads_outside_is_refused(root: WorkerRoot, case: str) -> None:
    """Not one file of it is kept, inside or outside; what was there before stays."""
    source(root, "before").write_text("x")
    root.call("courier.py", "--help")  # Python keeps what it compiled
    before = sorted(root.path.parent.rglob("*"))
    answer = unpack(root, tar(("good", FILE, 0o644, b"x"), *EVIL[case]), kind="tar")
    assert not answer["ok"] and answer["error"]
    assert [path for path in sorted(root.path.parent.rglob("*")) if path.name != ".unpack-lock"] == before
    assert not os.path.exists("/tmp/accel-ci-evil")


@pytest.mark.parametrize(
    "cut", [lambda t: t[:1000], lambda t: t[:512], lambda t: t[:1024], lambda t: b"", lambda t: t[:700]]
)
def test_a_tar_that_was_cut_short_is_refused(root: WorkerRoot, cut: Callable[[bytes], bytes]) -> None:
    """In the middle of a file, and also exactly between two members, where the archive module sees no error."""
    archive = tar(("a", FILE, 0o644, b"x" * 512), ("b", FILE, 0o644, b"y" * 512))
    assert not unpack(root, cut(archive), kind="tar")["ok"]
    assert os.listdir(root.path / "source") == []


@pytest.mark.parametrize("package", [b"no archive " * 1000, b"\x1f\x8b" + b"x" * 2000, b"\0" * 100])
def test_what_is_no_tar_is_refused(root: WorkerRoot, package: bytes) -> None:
    """Other bytes, and compressed ones, are refused."""
    assert not unpack(root, package, kind="tar")["ok"]


def test_an_empty_archive_is_an_empty_source(root: WorkerRoot) -> None:
    """A directory without files can be sent, too."""
    assert unpack(root, tar(), kind="tar")["ok"]
    assert os.listdir(root.path / "source") == []


def test_an_interrupted_unpacking_leaves_the_source_alone(root: WorkerRoot, repository: Repository) -> None:
    """Killed in the middle, the courier leaves the source as it was; asked again, it makes a whole one."""
    (root.path / "source").rmdir()
    package = repository.bundle()
    command = root.command("courier.py", "unpack", "--kind", "bundle", "--sha", repository.sha)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as courier:
        assert courier.stdin is not None
        courier.stdin.write(package[:-100])
        courier.stdin.flush()
        eventually(lambda: list(root.path.glob(".unpack-*/new/.git")))
        courier.kill()
    assert not (root.path / "source").exists()
    assert unpack(root, package, repository.sha)["ok"]
    assert in_source(root, "status", "--porcelain") == ""


def test_unpacking_twice_at_once_is_fine(root: WorkerRoot, repository: Repository) -> None:
    """Three couriers with the same bundle all say yes, and the source is whole."""
    command = root.command("courier.py", "unpack", "--kind", "bundle", "--sha", repository.sha)
    (root.path.parent / "package").write_bytes(repository.bundle())
    couriers = []
    for _ in range(3):
        with open(root.path.parent / "package", "rb") as package:
            couriers.append(subprocess.Popen(command, stdin=package, stdout=subprocess.PIPE))
    assert [json.loads(courier.communicate()[0])["ok"] for courier in couriers] == [True] * 3
    assert in_source(root, "status", "--porcelain") == ""


def test_a_large_file_comes_through(root: WorkerRoot) -> None:
    """30 MB arrive byte for byte."""
    data = os.urandom(30_000_000)
    assert unpack(root, tar(("big", FILE, 0o644, data)), kind="tar")["ok"]
    assert hashlib.sha256(source(root, "big").read_bytes()).digest() == hashlib.sha256(data).digest()
