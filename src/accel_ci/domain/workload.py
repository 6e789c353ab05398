"""What runs on a machine: source, phases with their limits, and the files that come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One command on every worker. Limits are seconds; `grace_s` lies between TERM and KILL.

    `secrets` are variables too, which live in memory only and are hidden in output.
    `nonce` is known to us and the supervisor only, so that the end record cannot be forged by the command.
    The supervisor ends the phase by itself when nobody attached for `unattended_s` or at `lease_expires_at`.
    """

    name: str
    command: str
    key: str
    nonce: str
    limit_s: float
    lease_expires_at: float
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    directory: str = "."
    grace_s: float = 20.0
    unattended_s: float = 300.0
    output_limit_bytes: int = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitSource:
    """Exactly one commit of a repository, with its history, fetched bare and sent as a git bundle.

    With a `base` both commits are sent, and what is tested is their merge, which is made on the machine.
    """

    repository: str
    sha: str
    base: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSource:
    """A directory of this computer as it is now, without what git ignores. For trusted work only."""

    directory: str


Source = CommitSource | WorkspaceSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What to do on a leased machine: a source, an optional set-up and the run itself, each with its limit in seconds.

    `report_patterns` name JUnit files to read beside our own pytest plugin's results.
    """

    source: Source
    run: str
    setup: str = ""
    limit_s: float = 1200.0
    setup_limit_s: float = 600.0
    directory: str = "."
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    report_patterns: tuple[str, ...] = ()
    allow_no_tests: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A source made ready to send: a file on this computer holding a git bundle or a tar archive.

    `sha` is what git on the machine must prove after unpacking; None for a workspace. `base` is what it is merged into
    there, "" for no merge; `origin` the address that both came from, "" where the machine could not reach it.
    """

    path: str
    kind: str
    sha: str | None
    size_bytes: int
    base: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What git on the machine says of the source directory: the commit, and of a merge its base, itself and its tree.

    `obstacle` says why the two could not be merged, and then nothing was unpacked; it holds hostile names.
    `submodules` and `lfs` count what the commit names and nobody has fetched.
    """

    sha: str = ""
    base: str = ""
    merge: str = ""
    tree: str = ""
    obstacle: str = ""
    submodules: int = 0
    lfs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most that may come back: bytes per file, bytes in total, number of files; each per worker."""

    file_bytes: int = 100 * MIB
    total_bytes: int = 1024 * MIB
    files: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A file that came back, or did not: `refused` says why ("" when `path` holds its bytes on this computer).

    `name` is the path on the machine below the source directory: written by the machine, so it is hostile text.
    """

    worker: int
    name: str
    path: str = ""
    size_bytes: int = 0
    sha256: str = ""
    refused: str = ""
