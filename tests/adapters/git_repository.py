"""A real git repository to fetch from, good or hostile."""

from __future__ import annotations

import subprocess
from pathlib import Path

IDENTITY = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")


class Repository:
    """The repository at `path`; a new one has a work tree and no commit yet."""

    def __init__(self, path: Path, *, object_format: str = "sha1") -> None:
        self.path = path
        if path.exists():
            return
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main", f"--object-format={object_format}")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """What git prints; it must succeed."""
        command = ("git", *IDENTITY, *arguments)
        done = subprocess.run(command, cwd=self.path, input=stdin, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def commit(self, **files: str) -> str:
        """The SHA of a new commit with these files (name without its .txt) and whatever else lies there."""
        for name, content in files.items():
            (self.path / f"{name}.txt").write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a change")
        return self.git("rev-parse", "HEAD")

    def raw(self, kind: str, content: bytes) -> str:
        """The SHA of an object of that kind made of exactly these bytes, however wrong they are."""
        return self.git("hash-object", "-t", kind, "--literally", "-w", "--stdin", stdin=content)


def trap(place: Path) -> Path:
    """A program that leaves `sprung` beside itself when anything runs it."""
    program = place / "trap"
    program.write_text(f"#!/bin/sh\ntouch {place}/sprung\ncat\n")
    program.chmod(0o755)
    return program
