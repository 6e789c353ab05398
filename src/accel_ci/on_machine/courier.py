"""Brings the code under test to this machine, and named files back.

Usage: courier.py unpack --kind bundle --sha SHA [--base SHA] < BUNDLE | unpack --kind tar < TAR | send < REQUEST

Sent to the machine as it is, with checkout.py: standard library only, Python >= 3.8. Its own directory is the worker root.
`unpack` makes source/ anew and answers one line of JSON: {"ok": true, "sha": SHA, ...}, or {"ok": false, "error": text}
and exit 1. A bundle's objects are checked by git as if they came from the network; SHA is what is checked out afterwards,
or its merge into the base: checkout.py says what is told of that.
`send` reads {"patterns": [glob, ...], "base": "source" or "results", "caps": {"file_bytes", "total_bytes", "files"}}.
It writes "F <json>\\n" with name, size, sha256 and refused for each file that a pattern names, and then exactly `size`
bytes: none when `refused` says why not. At last comes "Z <json>\\n" with the counts sent, refused and bytes, with
unmatched (the patterns that named no file), and incomplete: why there may be more files ("" when there are not).
"""

from __future__ import annotations

import argparse
import fcntl
import fnmatch
import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # `python3 -I` does not look there
if TYPE_CHECKING:
    from accel_ci.on_machine import checkout
    from accel_ci.on_machine.checkout import RefusedError, Wanted
else:
    import checkout
    from checkout import RefusedError, Wanted

ROOT = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(ROOT, "source")
DONE = os.path.join(ROOT, "source.json")
CHUNK = 1024 * 1024

TAR_MEMBERS = 1_000_000
TAR_BYTES = 64 * 1024**3

BASES = ("source", "results")
WILD = re.compile(r"[*?[]")
MAX_DEPTH = 64
MAX_VISITED = 1_000_000
MAX_REFUSALS = 500
MAX_NAME = 1024
IN_MEMORY = 16 * 1024 * 1024  # smaller files come back even from a machine whose disk is full
OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

State = Tuple[int, int]  # pattern, and the part of it that comes next


def main() -> int:
    """Run the verb: 0 when it worked, 1 when the answer says why it did not, or nobody was there to hear it."""
    parser = argparse.ArgumentParser(description="Moves files to and from this machine.")
    parser.add_argument("verb", choices=("unpack", "send"))
    parser.add_argument("--kind", choices=("bundle", "tar"), default="bundle")
    for name in Wanted._fields:
        parser.add_argument("--" + name, default="")
    asked = parser.parse_args()
    try:
        return send() if asked.verb == "send" else unpack(asked.kind, Wanted(asked.sha, asked.base, asked.origin))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def unpack(kind: str, wanted: Wanted) -> int:
    """Make source/ of the package on stdin, and answer. What is there already stays as it is."""
    package = sys.stdin.buffer
    try:
        answer = {"ok": True, **(already_there(wanted) or unpacked(package, kind, wanted))}
    except (RefusedError, OSError, ValueError, tarfile.TarError) as error:
        answer = {"ok": False, "error": str(error)}
    while package.read(CHUNK):  # the sender finishes in peace, and then reads the answer
        pass
    print(json.dumps(answer))
    return 0 if answer["ok"] else 1


def unpacked(package: IO[bytes], kind: str, wanted: Wanted) -> Dict[str, Any]:
    """What became source/, or what kept two commits from being merged: then it stays as it was."""
    with scratch() as space:
        new = os.path.join(space, "new")
        os.mkdir(new)
        if kind == "bundle":
            told = checkout.unpack_bundle(package, new, wanted)
        else:
            unpack_tar(package, new)
            told = {"sha": wanted.sha}
        # What cannot be merged replaces nothing.
        return told if told.get("obstacle") else put_in_place(space, wanted, told=told)


@contextmanager
def scratch() -> Iterator[str]:
    """A new directory in the worker root, which goes afterwards with all that was moved into it."""
    space = tempfile.mkdtemp(prefix=".unpack-", dir=ROOT)
    try:
        yield space
    finally:
        # rmtree fails on trees as deep as a command can make them
        subprocess.call(["rm", "-rf", space], env={"PATH": os.defpath}, stderr=subprocess.DEVNULL)


def already_there(wanted: Wanted) -> Optional[Dict[str, Any]]:
    """What was told when this very commit, or merge, was unpacked as a whole before; None when it was not."""
    with suppress(OSError, ValueError, AttributeError), open(DONE, "rb") as file:
        told: Dict[str, Any] = json.loads(file.read(CHUNK))
        same = (told.get("sha"), told.get("base", "")) == (wanted.sha, wanted.base)
        return told if wanted.sha and same and os.path.isdir(SOURCE) else None
    return None


def put_in_place(space: str, wanted: Wanted, told: Dict[str, Any]) -> Dict[str, Any]:
    """Make <space>/new the source, unless somebody was faster. The marker never vouches for less than a whole."""
    marker = os.path.join(space, "marker")
    with open(marker, "w") as file:
        json.dump(told, file)
    with open(os.path.join(ROOT, ".unpack-lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        theirs = already_there(wanted)
        if theirs is not None:
            return theirs
        for path in (DONE, SOURCE):
            if os.path.lexists(path):
                os.rename(path, os.path.join(space, "old-" + os.path.basename(path)))
        os.rename(os.path.join(space, "new"), SOURCE)
        os.rename(marker, DONE)
    return told


class Counted(io.RawIOBase):
    """A stream that counts what was read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self.stream = stream
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self.stream.read(size)
        self.count += len(data)
        return data


def unpack_tar(package: IO[bytes], folder: str) -> None:
    """Extract directories, files with their executable bit, and links that stay inside; RefusedError for the rest."""
    counted = Counted(package)
    links: List[Tuple[str, str]] = []
    total = number = 0
    with tarfile.open(fileobj=counted, mode="r|") as archive:
        while True:
            member = archive.next()
            if member is None:
                break
            archive.members = []  # type: ignore[attr-defined]  # else it keeps them all
            total, number = total + member.size, number + 1
            if total > TAR_BYTES or number > TAR_MEMBERS:
                raise RefusedError("the archive is too large")
            extract(archive, member, folder=folder, links=links)
        if counted.count < archive.offset + tarfile.BLOCKSIZE:  # tarfile takes a missing end for an end
            raise RefusedError("the archive is cut short")
    make_links(os.path.realpath(folder), links)


def extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: str, links: List[Tuple[str, str]]) -> None:
    """Make one member. Symbolic links are only noted: as long as there are none, no path can lead outside."""
    path = os.path.join(folder, inside(member.name))
    if member.isdir():
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    content = archive.extractfile(member) if member.isreg() else None
    if content is not None:
        mode = 0o755 if member.mode & 0o100 else 0o644
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            shutil.copyfileobj(content, file, CHUNK)
    elif member.islnk():
        os.link(os.path.join(folder, inside(member.linkname)), path)
    elif member.issym():
        links.append((inside(member.name), member.linkname))
    else:
        raise RefusedError("%r is neither file, directory nor link" % member.name)


def inside(name: str) -> str:
    """The relative path that a member's name stands for; RefusedError when it leads outside."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise RefusedError("%r leads out of the archive" % name)
    return "/".join(parts)


def make_links(folder: str, links: List[Tuple[str, str]]) -> None:
    """Make the symbolic links, then see that none of them leads out of the folder, be it through others."""
    for name, target in links:
        path = os.path.join(folder, name)
        if os.path.isabs(target) or os.path.realpath(os.path.dirname(path)) != os.path.dirname(path):
            raise RefusedError("the link %r does not stay inside" % name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)
    for name, _ in links:
        if not (os.path.realpath(os.path.join(folder, name)) + "/").startswith(folder + "/"):
            raise RefusedError("the link %r leads outside" % name)


class Caps(NamedTuple):
    """The most that is sent: bytes per file, bytes in total, number of files."""

    file_bytes: int
    total_bytes: int
    files: int


class FullError(Exception):
    """All files that may be sent were sent."""


def send() -> int:
    """Send the files that the request on stdin names."""
    try:
        sender = read_request(sys.stdin.buffer.read(), sys.stdout.buffer)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        print("the request cannot be read: %s" % error, file=sys.stderr)
        return 1
    sender.run()
    return 0


def read_request(data: bytes, out: IO[bytes]) -> Sender:
    """The sender that the request asks for; ValueError, KeyError, TypeError or AttributeError when it is none."""
    request = json.loads(data)
    if request["base"] not in BASES:
        raise ValueError("no such base")
    return Sender(request["patterns"], request["base"], caps=Caps(**request["caps"]), out=out)


def pattern_parts(pattern: str) -> List[str]:
    """The parts between slashes; a last `**` means all files below. ValueError when it is not relative or leads up."""
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if not parts or pattern.startswith("/") or ".." in parts or b"\0" in pattern.encode():
        raise ValueError("not a relative pattern: %r" % pattern)
    parts = [part for number, part in enumerate(parts) if part != "**" or parts[number - 1 : number] != ["**"]]
    return [*parts, "*"] if parts[-1] == "**" else parts


def matches(part: str, name: str) -> bool:
    """True when the part of a pattern means this name; a wild beginning means no hidden file, as in a shell."""
    return part == name or (fnmatch.fnmatchcase(name, part) and not (name[0] == "." != part[0]))


class Sender:
    """Walks below the base, follows no link, and sends what the patterns name, as long as the caps allow."""

    def __init__(self, patterns: List[str], base: str, caps: Caps, out: IO[bytes]) -> None:
        self.patterns = patterns
        self.parts = [pattern_parts(pattern) for pattern in patterns]
        self.base = base
        self.caps = caps
        self.out = out
        self.counts = {"sent": 0, "refused": 0, "bytes": 0}
        self.named: Set[int] = set()
        self.visited = 0
        self.incomplete = ""

    def run(self) -> None:
        """Send what is there, and the summary."""
        root = os.open(ROOT, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.enter(root, self.base, path="", states={(number, 0) for number in range(len(self.parts))})
        except FullError:
            self.incomplete = "more than %d files" % self.caps.files
        unmatched = [pattern for number, pattern in enumerate(self.patterns) if number not in self.named]
        self.announce("Z", {**self.counts, "unmatched": unmatched, "incomplete": self.incomplete})
        self.out.flush()

    def announce(self, kind: str, document: Dict[str, Any]) -> None:
        """Write a header line; JSON keeps it one line of ASCII, whatever the names are."""
        self.out.write(b"%s %s\n" % (kind.encode(), json.dumps(document).encode()))

    def enter(self, directory: int, name: str, path: str, states: Set[State]) -> None:
        """Walk the directory of this name, unless it is a link by now, cannot be read, or lies too deep."""
        if path.count("/") > MAX_DEPTH:
            self.incomplete = "directories below %d others were left out" % MAX_DEPTH
            return
        try:
            inner = os.open(name, OPEN_DIRECTORY, dir_fd=directory)
        except OSError as error:
            self.incomplete = "%s cannot be read: %s" % (path[:MAX_NAME] or name, error.strerror)
            return
        try:
            self.walk(inner, path, states)
        finally:
            os.close(inner)

    def walk(self, directory: int, path: str, states: Set[State]) -> None:
        """Look at everything in the directory that may be named, or may hold what is."""
        states = states | {(number, part + 1) for number, part in states if self.parts[number][part] == "**"}
        for name in self.candidates(directory, states):
            shown = os.fsencode(name).decode("utf-8", "backslashreplace")
            after = self.after(states, shown)
            if after:
                self.look(directory, name, path=path + shown, states=after)

    def after(self, states: Set[State], name: str) -> Set[State]:
        """The states behind this name; a state at the end of its pattern says that the pattern names it."""
        going = {state for state in states if matches(self.parts[state[0]][state[1]], name)}
        return {(number, part + (self.parts[number][part] != "**")) for number, part in going}

    def candidates(self, directory: int, states: Set[State]) -> List[str]:
        """The names worth a look, sorted: those that the patterns spell out, or when one is wild all that are there."""
        parts = {self.parts[number][part] for number, part in states}
        if not any(map(WILD.search, parts)):
            return sorted(os.fsdecode(part.encode()) for part in parts)
        names = []
        with os.scandir(directory) as entries:
            for entry in entries:
                if self.visited >= MAX_VISITED:
                    self.incomplete = "more than %d names were there" % MAX_VISITED
                    break
                self.visited += 1
                names.append(entry.name)
        return sorted(names)

    def look(self, directory: int, name: str, path: str, states: Set[State]) -> None:
        """Enter a directory that a pattern leads through; offer anything else that one names."""
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError:  # it is gone, or never was there
            return
        named = {number for number, part in states if part == len(self.parts[number])}
        deeper = {state for state in states if state[1] < len(self.parts[state[0]])}
        if stat.S_ISDIR(found.st_mode):
            if deeper:
                self.enter(directory, name, path=path + "/", states=deeper)
        elif named:
            self.named |= named
            self.offer(directory, name, path=path, found=found)

    def offer(self, directory: int, name: str, path: str, found: os.stat_result) -> None:
        """Send one file as it was at one moment, or say why not."""
        if self.counts["sent"] >= self.caps.files:
            raise FullError
        try:
            if len(path) > MAX_NAME:
                raise RefusedError("its name is too long")
            self.check(found)
            with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=ROOT) as copy:
                size, sha256 = self.take(directory, name, copy=copy)
                self.announce("F", {"name": path, "size": size, "sha256": sha256, "refused": ""})
                copy.seek(0)
                shutil.copyfileobj(copy, self.out, CHUNK)
            self.counts["sent"] += 1
            self.counts["bytes"] += size
        # One bad file must not hide the good ones.
        except RefusedError as refusal:
            self.counts["refused"] += 1
            if self.counts["refused"] <= MAX_REFUSALS:
                self.announce("F", {"name": path[:MAX_NAME], "size": 0, "sha256": "", "refused": str(refusal)})

    def check(self, found: os.stat_result) -> None:
        """RefusedError for what is no regular file, or is too large."""
        if stat.S_ISLNK(found.st_mode):
            raise RefusedError("a symbolic link")
        if not stat.S_ISREG(found.st_mode):
            raise RefusedError("not a regular file")
        if found.st_size > self.caps.file_bytes:
            raise RefusedError("%d bytes are more than %d" % (found.st_size, self.caps.file_bytes))
        if found.st_size > self.caps.total_bytes - self.counts["bytes"]:
            raise RefusedError("all files together would have more than %d bytes" % self.caps.total_bytes)

    def take(self, directory: int, name: str, copy: IO[bytes]) -> Tuple[int, str]:
        """Copy the file: its size and sha256 in hexadecimal. RefusedError when it changes meanwhile."""
        digest, copied = hashlib.sha256(), 0
        try:
            with open(os.open(name, OPEN_FILE, dir_fd=directory), "rb", buffering=0) as file:
                before = os.fstat(file.fileno())
                self.check(before)
                while copied <= before.st_size:
                    data = file.read(CHUNK)
                    if not data:
                        break
                    digest.update(data)
                    copied += copy.write(data)
                after = os.fstat(file.fileno())
        except OSError as error:
            raise RefusedError(error.strerror or "unreadable") from None
        if not copied == before.st_size == after.st_size or before.st_mtime_ns != after.st_mtime_ns:
            raise RefusedError("it changed while it was read")
        return copied, digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
