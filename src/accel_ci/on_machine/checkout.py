"""The repository of a git bundle on this machine: one commit proven, or two of them merged. Part of courier.py."""

from __future__ import annotations

import functools
import io
import os
import re
import shutil
import stat
import subprocess
import tempfile
import threading
from contextlib import contextmanager, suppress
from typing import IO, Any, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple

CHUNK = 1024 * 1024
SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
BUNDLE_REF = re.compile(rb"([0-9a-f]{40,64}) (\S+)\n")
# Old commits of honest projects break these three rules without harm; Gitaly lets the same ones pass.
OBJECT_CHECKS = "--strict=badTimezone=ignore,missingSpaceBeforeDate=ignore,zeroPaddedFilemode=ignore"
# A few objects can name each other so often that their files would fill any disk.
MAX_FILES = 1_000_000
MERGE_S = 300.0
NAMED = 5
NAME_CHARACTERS = 200
# The files of neither side choose how they are merged (`merge=union` would hide every conflict): this file outranks theirs.
OVERRULED = "* !merge !conflict-marker-size\n"
SUBMODULE, ATTRIBUTES = b"160000", (b"\t.gitattributes", b"/.gitattributes")
POINTER = b"version https://git-lfs.github.com/spec/"
POINTERS = 1000


class RefusedError(Exception):
    """What came cannot be taken, or what was asked for cannot be given; the text tells the client why."""


class Wanted(NamedTuple):
    """The commit `sha`, or its merge into `base` when that is not ""; `origin` is the address that they came from."""

    sha: str
    base: str = ""
    origin: str = ""


def unpack_bundle(package: IO[bytes], repository: str, wanted: Wanted) -> Dict[str, Any]:
    """Make the repository of the bundle's objects and tags, and check out what is wanted; RefusedError when it is not there.

    The answer has `sha`, `submodules` and `lfs` (how many are not there); of a merge also `base`, `merge`, `tree`, and
    `obstacle`: why they cannot be merged ("" when they were). index-pack gets the pack from us, for git before 2.46
    checks no object that it fetches from a bundle.
    """
    for sha in filter(None, (wanted.sha, wanted.base)):
        if not SHA.fullmatch(sha):
            raise RefusedError("a commit is named by 40 or 64 hexadecimal digits")
    tags = read_bundle_header(package)
    object_format = ["--object-format=sha256"] if len(wanted.sha) == 64 else []  # unknown to git before 2.29
    git(repository, "init", "--quiet", "--template=", *object_format)
    git(repository, "index-pack", OBJECT_CHECKS, "--stdin", feed=package)
    git(repository, "update-ref", "--stdin", feed=io.BytesIO(b"".join(b"create %s %s\n" % tag for tag in tags.items())))
    found, told = proven(repository, wanted.sha), {"sha": wanted.sha}
    if wanted.base:
        proven(repository, wanted.base)
        told.update(merged(repository, wanted))
        if told["obstacle"]:
            return told
        found = listed(repository, told["merge"])
    git(repository, "checkout", "--quiet", "--force", "--detach", told.get("merge", wanted.sha))
    if wanted.origin:  # relative addresses of submodules, and git-lfs, go by that
        git(repository, "remote", "add", "origin", wanted.origin)
    return {**told, "submodules": found.submodules, "lfs": pointers(repository) if found.attributes else 0}


def read_bundle_header(package: IO[bytes]) -> Dict[bytes, bytes]:
    """Tag -> object of a git bundle (format: gitformat-bundle, version 2 or 3). The pack comes next in `package`."""
    if package.readline(100) not in (b"# v2 git bundle\n", b"# v3 git bundle\n"):
        raise RefusedError("this is no git bundle")
    tags = {}
    for line in iter(lambda: package.readline(CHUNK), b"\n"):
        reference = BUNDLE_REF.fullmatch(line)
        if reference is not None:
            if reference[2].startswith(b"refs/tags/"):
                tags[reference[2]] = reference[1]
        elif not line.startswith(b"@object-format="):
            raise RefusedError("the bundle is cut short, or needs objects that are not in it")
    return tags


class Listing(NamedTuple):
    """What is among a commit's files: how many submodules, and whether one of them gives files attributes."""

    submodules: int
    attributes: bool


def proven(repository: str, sha: str) -> Listing:
    """What is in the commit; RefusedError when SHA is none that is here."""
    # The object's own name, not one that leads to it: a tag or a tree is no commit.
    if said(repository, "rev-parse", "--verify", "%s^{commit}" % sha) != sha:
        raise RefusedError("%s is no commit" % sha)
    return listed(repository, sha)


def listed(repository: str, commit: str) -> Listing:
    """What is in the commit; RefusedError when that is more than can be checked out."""
    count, submodules, attributes, rest = 0, 0, False, b""
    with running(repository, "ls-tree", "-r", "-z", "--full-tree", commit) as (process, _):
        assert process.stdout is not None
        for chunk in iter(functools.partial(process.stdout.read, CHUNK), b""):
            *entries, rest = (rest + chunk).split(b"\0")
            count += len(entries)
            if count > MAX_FILES:
                raise RefusedError("%s has more than %d files" % (commit, MAX_FILES))
            submodules += sum(entry.startswith(SUBMODULE) for entry in entries)
            attributes = attributes or any(entry.endswith(ATTRIBUTES) for entry in entries)
    return Listing(submodules, attributes)


def merged(repository: str, wanted: Wanted) -> Dict[str, Any]:
    """Merge SHA into BASE without a say of anybody's configuration or files: the same two commits give the same merge."""
    told = {"base": wanted.base, "merge": "", "tree": "", "obstacle": ""}
    if run(repository, "merge-base", wanted.base, wanted.sha)[0]:
        return {**told, "obstacle": "they have no common history"}
    overrule = os.path.join(repository, ".git", "info", "attributes")
    os.makedirs(os.path.dirname(overrule), exist_ok=True)
    with open(overrule, "w") as file:
        file.write(OVERRULED)
    git(repository, "update-ref", "--no-deref", "HEAD", wanted.base)
    git(repository, "read-tree", wanted.base)
    told["obstacle"] = merge_in(repository, wanted)
    os.unlink(overrule)
    if told["obstacle"]:
        return told
    told["merge"], *parents = said(repository, "rev-list", "--parents", "--max-count=1", "HEAD").split()
    # Nothing to merge: the commit is in the base already.
    if parents != [wanted.base, wanted.sha] and told["merge"] != wanted.base:
        raise RefusedError("git merged something else: %s" % " ".join(parents))
    return {**told, "tree": said(repository, "rev-parse", "HEAD^{tree}")}


def merge_in(repository: str, wanted: Wanted) -> str:
    """Make HEAD the merge; what stands in the way, "" when nothing does. No file of it is written where it will be used.

    git takes files that are missing for untouched ones. In a work tree line endings and filters could make them dirty.
    """
    moment = said(repository, "show", "--no-patch", "--format=%ct", wanted.sha)
    fixed = {"NAME": "accel-ci", "EMAIL": "accel-ci@invalid", "DATE": "@%s +0000" % moment}
    who = {"GIT_%s_%s" % (role, name): value for role in ("AUTHOR", "COMMITTER") for name, value in fixed.items()}
    message = "Merge %s into %s" % (wanted.sha, wanted.base)
    with tempfile.TemporaryDirectory(prefix="merge-", dir=os.path.dirname(repository)) as apart:
        code, _, words = run(
            repository,
            *("--work-tree=" + apart, "-c", "gc.auto=0", "-c", "maintenance.auto=false"),  # nothing goes on behind us
            *("merge", "--quiet", "--no-ff", "--no-edit", "--no-stat", "-m", message, wanted.sha),
            environment=who,
            limit_s=MERGE_S,
        )
    if code == 0:
        return ""
    if code < 0:  # our own limit, or the system's for memory
        raise RefusedError("git merge was killed: it needs more than %d s, or too much memory" % MERGE_S)
    listed = run(repository, "ls-files", "--unmerged", "-z")[1].split(b"\0")
    names = sorted({line.partition(b"\t")[2] for line in listed if line})
    if code != 1 or not names:
        raise RefusedError("git merge failed: %s" % words)
    more = " and %d more" % (len(names) - NAMED) if len(names) > NAMED else ""
    return (
        "conflicts in " + ", ".join(name.decode("utf-8", "replace")[:NAME_CHARACTERS] for name in names[:NAMED]) + more
    )


def pointers(repository: str) -> int:
    """How many files are only pointers of Git LFS: 1000 are looked at."""
    names = git(repository, "ls-files", "-z", "--", ":(attr:filter=lfs)").split(b"\0")
    return sum(is_pointer(os.path.join(os.fsencode(repository), name)) for name in names[:POINTERS] if name)


def is_pointer(path: bytes) -> bool:
    """True for a small file that stands for a large one. Never through a link, and never a device."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with open(number, "rb") as file:
        return stat.S_ISREG(os.fstat(number).st_mode) and file.read(len(POINTER)) == POINTER


def git(repository: str, *arguments: str, feed: Optional[IO[bytes]] = None) -> bytes:
    """What git prints; RefusedError with its last words when it fails."""
    code, output, words = run(repository, *arguments, feed=feed)
    if code:
        raise RefusedError("git %s failed: %s" % (arguments[0], words))
    return output


def said(repository: str, *arguments: str) -> str:
    """What git prints, as one line."""
    return git(repository, *arguments).decode("utf-8", "replace").strip()


def run(
    repository: str,
    *arguments: str,
    feed: Optional[IO[bytes]] = None,
    environment: Optional[Mapping[str, str]] = None,
    limit_s: float = 0.0,
) -> Tuple[int, bytes, str]:
    """git's exit code, what it prints, and its last words; with `limit_s` it is killed after so many seconds."""
    with running(repository, *arguments, environment=environment) as (process, words):
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(limit_s, process.kill)
        if limit_s:
            timer.start()
        with suppress(BrokenPipeError), process.stdin as stdin:  # git says itself why it wants no more
            shutil.copyfileobj(feed or io.BytesIO(), stdin, CHUNK)
        output = process.stdout.read()
        code = process.wait()
        timer.cancel()
        words.seek(0)
        return code, output, words.read()[-1000:].decode("utf-8", "replace").strip()


@contextmanager
def running(
    repository: str, *arguments: str, environment: Optional[Mapping[str, str]] = None
) -> Iterator[Tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """git at work, unmoved by the machine's and the user's configuration, and what it says; it ends with the block."""
    settings = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": os.path.dirname(repository),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    with tempfile.TemporaryFile() as words, subprocess.Popen(
        ["git", *arguments],
        cwd=repository,
        env={**settings, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=words,
    ) as process:
        try:
            yield process, words
        finally:
            process.kill()
