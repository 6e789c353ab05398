"""Sending: what the patterns name, as it was at one moment, in caps; never what lies behind a link."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests import background
from tests.on_machine import worker_root
from tests.on_machine.worker_root import WorkerRoot

CAPS = {"file_bytes": 1_000_000, "total_bytes": 3_000_000, "files": 100}
SECRET = b"secret outside of source"


@dataclass
class Got:
    """What came: content by name, reason by refused name, and the last word."""

    files: dict[str, bytes] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)

    def take(self, stream: io.BytesIO) -> bool:
        """Read one frame, check its form; False after the last one."""
        kind, text = stream.readline().split(b" ", 1)
        assert text.isascii()
        told = json.loads(text)
        if kind == b"Z":
            self.summary = told
            return False
        assert (kind, told.keys()) == (b"F", {"name", "size", "sha256", "refused"})
        told["name"].encode()  # no lone surrogates
        if told["refused"]:
            assert told["size"] == 0
            self.refused[told["name"]] = told["refused"]
        else:
            self.files[told["name"]] = stream.read(told["size"])
            assert len(self.files[told["name"]]) == told["size"]
            assert hashlib.sha256(self.files[told["name"]]).hexdigest() == told["sha256"]
        return True


def send(root: WorkerRoot, *patterns: str, base: str = "source", options: Any = None, **caps: int) -> Got:
    """Ask for files; the frames, whose counts must agree with the summary."""
    request = {"patterns": patterns, "base": base, "caps": {**CAPS, **caps}}
    done = root.call("courier.py", "send", data=json.dumps(request).encode(), **(options or {}))
    assert (done.returncode, done.stderr) == (0, b""), done
    got, stream = Got(), io.BytesIO(done.stdout)
    while got.take(stream):
        pass
    assert stream.read() == b""
    assert (got.summary["sent"], got.summary["bytes"]) == (len(got.files), sum(map(len, got.files.values())))
    return got


def make(root: WorkerRoot, *names: str, base: str = "source") -> None:
    """Files of these names, each with its name as content."""
    for name in names:
        path = root.path / base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_named_files_come_back(any_root: WorkerRoot) -> None:
    """On every Python: content, size and digest of what the pattern names, in order, and nothing else."""
    make(any_root, "results/b.xml", "results/a.xml", "results/a.txt", "other/a.xml")
    got = send(any_root, "results/*.xml")
    assert got.files == {"results/a.xml": b"results/a.xml", "results/b.xml": b"results/b.xml"}
    assert list(got.files) == ["results/a.xml", "results/b.xml"]
    assert got.summary == {"sent": 2, "refused": 0, "bytes": 26, "unmatched": [], "incomplete": ""}


def test_results_are_a_base_of_their_own(root: WorkerRoot) -> None:
    """What the test plugin wrote is found below results/, beside the source."""
    make(root, "pytest-1.jsonl", base="results")
    make(root, "pytest-2.jsonl")
    assert list(send(root, "*.jsonl", base="results").files) == ["pytest-1.jsonl"]


TREE = ("top", ".hidden", "a/x.py", "a/b/x.py", "a/b/c/x.py", "a/.git/x.py", "a/[1]", "a/b/y", "ä/x")
MATCHES: dict[str, set[str]] = {
    "top": {"top"},
    "./a//x.py": {"a/x.py"},
    "*": {"top"},
    ".*": {".hidden"},
    "**": {"top", "a/x.py", "a/b/x.py", "a/b/c/x.py", "a/[1]", "a/b/y", "ä/x"},
    "**/x.py": {"a/x.py", "a/b/x.py", "a/b/c/x.py"},
    "a/**": {"a/x.py", "a/b/x.py", "a/b/c/x.py", "a/[1]", "a/b/y"},
    "a/**/**/x.py": {"a/x.py", "a/b/x.py", "a/b/c/x.py"},
    "a/**/c/*": {"a/b/c/x.py"},
    "**/b/**": {"a/b/x.py", "a/b/c/x.py", "a/b/y"},
    "a/*/x.py": {"a/b/x.py"},
    "a/.git/*": {"a/.git/x.py"},
    "a/[[]1]": {"a/[1]"},
    "a/?/[xy]": {"a/b/y"},
    "?/x": {"ä/x"},
    "ä/*": {"ä/x"},
    "a": set(),
    "A/x.py": set(),
    "top/x": set(),
    "missing/**": set(),
}


@pytest.mark.parametrize("pattern", MATCHES)
def test_patterns_are_globs(root: WorkerRoot, pattern: str) -> None:
    """`*`, `?` and [..] stay in one name, `**` crosses directories, wild parts mean no hidden name, case counts."""
    make(root, *TREE)
    got = send(root, pattern)
    assert got.files.keys() == MATCHES[pattern]
    assert got.summary["unmatched"] == ([] if MATCHES[pattern] else [pattern])


def test_a_file_of_several_patterns_comes_once(root: WorkerRoot) -> None:
    """Patterns are one question together; only those that name nothing are told."""
    make(root, *TREE)
    got = send(root, "top", "to*", "**/x.py", "no*", "a/x.py")
    assert got.files.keys() == {"top", "a/x.py", "a/b/x.py", "a/b/c/x.py"}
    assert got.summary["unmatched"] == ["no*"]


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"[]",
        b"nonsense",
        *(
            json.dumps({"patterns": ["*"], "base": "source", "caps": CAPS, **changes}).encode()
            for changes in (
                {"patterns": ["/etc/passwd"]},
                {"patterns": ["../supervisor.py"]},
                {"patterns": ["a/../../x"]},
                {"patterns": [""]},
                {"patterns": ["a\0b"]},
                {"patterns": ["\ud800"]},
                {"patterns": [3]},
                {"base": "phases"},
                {"base": ".."},
                {"caps": {"files": 1}},
            )
        ),
    ],
)
def test_a_request_that_leads_elsewhere_is_refused(root: WorkerRoot, request_: bytes) -> None:
    """Absolute patterns, `..`, other bases and what is no request are refused as a whole: exit 1, and not a byte."""
    done = root.call("courier.py", "send", data=request_)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"cannot be read" in done.stderr


def test_links_are_never_followed(root: WorkerRoot) -> None:
    """A link to a file is refused by name, one to a directory is not entered, wherever it leads."""
    make(root, "real/inside")
    (root.path / "secret").write_bytes(SECRET)
    for name, target in {"out": "../secret", "in": "real/inside", "gone": "nowhere", "loop": "loop"}.items():
        (root.path / "source" / name).symlink_to(target)
    for name, target in {"dir": "..", "dir in": "real", "top": "/"}.items():
        (root.path / "source" / name).symlink_to(target)
    got = send(root, "**", "dir/secret", "dir in/inside", "top/etc/passwd", "out")
    assert got.files == {"real/inside": b"real/inside"}
    assert got.refused == dict.fromkeys(("out", "in", "gone", "loop", "dir", "dir in", "top"), "a symbolic link")
    assert got.summary["unmatched"] == ["dir/secret", "dir in/inside", "top/etc/passwd"]


def test_a_base_that_became_a_link_is_not_entered(root: WorkerRoot) -> None:
    """When the command replaces source/ by a link, nothing behind it is sent."""
    (root.path / "source").rmdir()
    (root.path / "source").symlink_to("/etc")
    got = send(root, "passwd")
    assert (got.files, got.refused) == ({}, {})
    assert got.summary["incomplete"].startswith("source cannot be read")


def test_special_files_are_refused(root: WorkerRoot) -> None:
    """A pipe without writer does not hang us; pipes, sockets and devices are refused without being opened."""
    source = root.path / "source"
    os.mkfifo(source / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.open(source, os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{here}/socket")  # the path itself may be too long for a socket
        os.close(here)
    got = send(root, "*")
    assert got.refused == {"fifo": "not a regular file", "socket": "not a regular file"}


def change(root: WorkerRoot, **constants: str) -> None:
    """Give constants of the courier other values."""
    path = root.path / "courier.py"
    text = path.read_text()
    for name, value in constants.items():
        text, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert count == 1
    path.write_text(text)


def test_devices_are_refused(root: WorkerRoot) -> None:
    """With /dev as the base, nothing of it is opened or sent."""
    change(root, ROOT="'/'", BASES="('dev',)")
    got = send(root, "zero", "null", base="dev")
    assert got.refused == {"null": "not a regular file", "zero": "not a regular file"}


def test_unreadable_files_and_directories_are_told(root: WorkerRoot) -> None:
    """Without permission a file is refused by name, a directory makes the answer incomplete, the rest comes."""
    make(root, "closed file", "closed/x", "open")
    for name in ("closed file", "closed"):
        (root.path / "source" / name).chmod(0)
    got = send(root, "**", options={"preexec_fn": worker_root.without_privileges})
    (root.path / "source" / "closed").chmod(0o700)
    assert got.files.keys() == {"open"}
    assert got.refused == {"closed file": "Permission denied"}
    assert got.summary["incomplete"] == "closed/ cannot be read: Permission denied"


def test_odd_names_are_told_in_plain_ascii(root: WorkerRoot) -> None:
    """Newlines, right-to-left marks, quotes, frames, and bytes that are no UTF-8 arrive as one JSON line each."""
    names = ["a\nF {}\n", "\u202egnp.exe", '"quoted\\', "Z {}", " ", "-rf", "\x1b[31m", "tab\t", "😀"]
    make(root, *names)
    with open(os.fsencode(root.path) + b"/source/\xff\xfe.bin", "wb") as file:
        file.write(b"raw")
    got = send(root, "**")
    assert got.files == {**{name: name.encode() for name in names}, "\\xff\\xfe.bin": b"raw"}


def test_a_name_that_is_too_long_is_refused_in_short(root: WorkerRoot) -> None:
    """A path beyond 1,024 characters is named by its beginning."""
    make(root, "/".join(["d" * 200] * 6))
    got = send(root, "**")
    assert got.files == {}
    assert [len(name) for name in got.refused] == [1024]


def test_files_beyond_the_caps_are_refused(root: WorkerRoot) -> None:
    """One too large for itself, one that would be too much in all: refused by name, and smaller ones still come."""
    for name, size in {"a": 900, "b": 1001, "c": 1000, "d": 200, "e": 100}.items():
        (root.path / "source" / name).write_bytes(b"x" * size)
    got = send(root, "*", file_bytes=1000, total_bytes=2000)
    assert {name: len(content) for name, content in got.files.items()} == {"a": 900, "c": 1000, "e": 100}
    assert got.refused == {
        "b": "1001 bytes are more than 1000",
        "d": "all files together would have more than 2000 bytes",
    }


def test_a_file_at_the_caps_comes(root: WorkerRoot) -> None:
    """The caps are what may come, not what may not; an empty file needs no room."""
    (root.path / "source" / "a").write_bytes(b"x" * 1000)
    (root.path / "source" / "b").write_bytes(b"")
    assert send(root, "*", file_bytes=1000, total_bytes=1000, files=2).files == {"a": b"x" * 1000, "b": b""}


def test_more_files_than_the_cap_are_left_out(root: WorkerRoot) -> None:
    """The first ones by name come, and the summary says that there are more."""
    make(root, *(f"{number:03}" for number in range(50)))
    got = send(root, "*", files=20)
    assert list(got.files) == [f"{number:03}" for number in range(20)]
    assert got.summary["incomplete"] == "more than 20 files"


def test_refusals_are_bounded(root: WorkerRoot) -> None:
    """Of a thousand links five hundred are named; all are counted."""
    for number in range(1000):
        (root.path / "source" / str(number)).symlink_to("x")
    got = send(root, "*")
    assert (len(got.refused), got.summary["refused"]) == (500, 1000)


def test_a_huge_sparse_file_is_refused_by_its_size(root: WorkerRoot) -> None:
    """8 TB that take no room on the disk are neither read nor sent."""
    with open(root.path / "source" / "sparse", "wb") as file:
        file.truncate(8 * 10**12)
    assert send(root, "*").refused == {"sparse": "8000000000000 bytes are more than 1000000"}


def test_a_large_file_comes_through(root: WorkerRoot) -> None:
    """40 MB, more than is kept in memory, arrive byte for byte, and no copy is left behind."""
    data = os.urandom(40_000_000)
    (root.path / "source" / "big").write_bytes(data)
    root.call("courier.py", "--help")  # Python keeps what it compiled
    before = sorted(os.listdir(root.path))
    assert send(root, "big", file_bytes=10**9, total_bytes=10**9).files == {"big": data}
    assert sorted(os.listdir(root.path)) == before


@contextmanager
def busy(work: Any) -> Iterator[None]:
    """Do `work(number)` again and again in the background."""

    def go_on(over: threading.Event) -> None:
        for number in itertools.takewhile(lambda _: not over.is_set(), itertools.count()):
            work(number)

    with background.running(go_on):
        yield


def test_a_file_that_grows_is_refused(root: WorkerRoot) -> None:
    """A log that is being written is not cut anywhere: it is refused, and the frames stay in step."""
    make(root, "after")
    path = root.path / "source" / "a growing log"
    path.write_bytes(b"x" * 30_000_000)
    with open(path, "ab", buffering=0) as file, busy(lambda _: file.write(b"more")):
        got = send(root, "*", file_bytes=10**9, total_bytes=10**9)
    assert got.refused == {"a growing log": "it changed while it was read"}
    assert got.files == {"after": b"after"}


def test_a_file_that_shrinks_keeps_the_frames_in_step(root: WorkerRoot) -> None:
    """A file that is cut while we read is refused or whole, never filled up."""
    make(root, "after")
    path = root.path / "source" / "a shrinking file"
    path.write_bytes(b"x" * 5)
    with busy(lambda number: os.truncate(path, 20_000_000 if number % 2 else 5)):
        outcomes = [send(root, "*", file_bytes=10**9, total_bytes=10**9) for _ in range(5)]
    for got in outcomes:
        assert got.files["after"] == b"after"
        assert len(got.files.get("a shrinking file", b"")) in (0, 5, 20_000_000)
        assert set(got.refused.values()) <= {"it changed while it was read"}


def test_a_directory_that_turns_into_a_link_leads_nowhere(root: WorkerRoot) -> None:
    """However often source/d is swapped for a link to a directory with a secret, the secret never comes."""
    outside, inside, spare = root.path / "outside", root.path / "source" / "d", root.path / "spare"
    outside.mkdir()
    (outside / "file").write_bytes(SECRET)
    make(root, *(f"d/{number}" for number in range(200)), "d/file")

    def swap(number: int) -> None:
        inside.rename(spare)
        inside.symlink_to(outside)
        inside.unlink()
        spare.rename(inside)

    with busy(swap):
        outcomes = [send(root, "d/*", files=1000) for _ in range(15)]
    assert all(got.files.get("d/file", b"d/file") == b"d/file" for got in outcomes)


def test_a_file_that_turns_into_a_link_or_pipe_leads_nowhere(root: WorkerRoot) -> None:
    """The same for a single file, which also may become a pipe that nobody writes to."""
    (root.path / "secret").write_bytes(SECRET)
    path, other = root.path / "source" / "file", root.path / "other"

    def swap(number: int) -> None:
        other.unlink(missing_ok=True)
        kinds = (
            lambda: other.symlink_to(root.path / "secret"),
            lambda: os.mkfifo(other),
            lambda: other.write_bytes(b"fine"),
        )
        kinds[number % 3]()
        other.rename(path)

    with busy(swap):
        outcomes = [send(root, "*") for _ in range(15)]
    assert {got.files.get("file", b"fine") for got in outcomes} == {b"fine"}


def test_deep_nesting_is_bounded(root: WorkerRoot) -> None:
    """10,000 directories in one another neither crash us nor hide what lies beside them."""
    make(root, "beside")
    here = os.open(root.path / "source", os.O_RDONLY)
    for _ in range(10_000):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    got = send(root, "**")
    subprocess.run(["rm", "-rf", root.path / "source" / "d"], check=True)
    assert got.files == {"beside": b"beside"}
    assert got.summary["incomplete"] == "directories below 64 others were left out"


def test_a_spelled_out_name_is_found_among_many(root: WorkerRoot) -> None:
    """A pattern without wild parts looks for its names only, so that no crowd can hide the file."""
    make(root, *(str(number) for number in range(3000)), "wanted/file")
    change(root, MAX_VISITED="1000")
    assert send(root, "wanted/file").files == {"wanted/file": b"wanted/file"}
    got = send(root, "*", files=5000)
    assert got.summary["incomplete"] == "more than 1000 names were there"
    assert 999 <= len(got.files) <= 1000


def test_a_client_that_goes_away_is_no_crash(root: WorkerRoot) -> None:
    """When nobody reads on, the courier ends with exit 1 and without a traceback."""
    (root.path / "source" / "big").write_bytes(b"x" * 5_000_000)
    request = {"patterns": ["*"], "base": "source", "caps": {**CAPS, "file_bytes": 10**9, "total_bytes": 10**9}}
    with subprocess.Popen(
        root.command("courier.py", "send"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as courier:
        assert courier.stdin and courier.stdout and courier.stderr
        courier.stdin.write(json.dumps(request).encode())
        courier.stdin.close()
        courier.stdout.readline()
        courier.stdout.close()
        assert (courier.wait(worker_root.PATIENCE_S), courier.stderr.read()) == (1, b"")


def test_paths_are_taken_from_where_the_program_lies(root: WorkerRoot, tmp_path: pathlib.Path) -> None:
    """The directory in which the courier is called makes no difference."""
    make(root, "here")
    assert send(root, "here", options={"cwd": str(tmp_path)}).files == {"here": b"here"}
