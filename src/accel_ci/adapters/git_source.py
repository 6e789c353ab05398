"""Sources: one commit as a git bundle, or a directory as a tar archive."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from accel_ci.adapters import git_command, workspace_tar
from accel_ci.adapters.git_command import Git
from accel_ci.domain.errors import AccelError, ConfigurationError, TransientError
from accel_ci.domain.workload import CommitSource, Package, Source

BRANCH, BASE = "refs/heads/accel-ci", "refs/heads/accel-ci-base"
TEXT_BYTES = 1024 * 1024
# git hands none of our settings on to the program at the other end, which in containers is often not the owner's.
OWN_SIDE = ("--upload-pack=git -c safe.directory=* upload-pack",)

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# Begins with a letter or digit: an address that begins with a dash would be an option of ssh.
_SCP = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!:)[!-~]+")
_PRINTABLE = re.compile(r"[!-~]+")
_NETWORK = re.compile(
    r"Could not resolve|Connection (timed out|refused|reset)|Failed to connect|early EOF|RPC failed|error: 5\d\d"
    r"|unexpected disconnect|Network is unreachable|SSL_ERROR_SYSCALL",
    re.IGNORECASE,
)
_DAMAGED = re.compile(r"corrupt|fsck error|error in (commit|tree|blob|tag)|missing (commit|tree|blob)")


class GitSources:
    """Fetches with git into a repository without files, and never checks anything out on this computer.

    `environment` is where PATH, proxies and an ssh agent come from. `extra_header` is the HTTP header that opens a
    private repository (Authorization: ...); no other credential is used, and none is shown in a process list.
    """

    def __init__(self, environment: Mapping[str, str], *, extra_header: str = "", limit_s: float = 600.0) -> None:
        self._environment = environment
        self._extra_header = extra_header
        self._limit_s = limit_s

    def pack(self, source: Source, *, into: str) -> Package:
        """The package in the file `into`. TransientError when the network failed, CloudError after `limit_s`."""
        if isinstance(source, CommitSource):
            self._bundle(source, into)
            # A directory of this computer means nothing over there, and an address of ssh needs a key.
            origin = source.repository if source.repository.startswith("https://") else ""
            size, base = os.path.getsize(into), source.base
            return Package(path=into, kind="bundle", sha=source.sha, size_bytes=size, base=base, origin=origin)
        if not os.path.isdir(source.directory):
            raise ConfigurationError(f"no directory {source.directory!r}", what_to_do="name an existing directory")
        git = Git(source.directory, self._environment, limit_s=self._limit_s)
        workspace_tar.write(source.directory, git, into=into)
        return Package(path=into, kind="tar", sha=None, size_bytes=os.path.getsize(into))

    def text(self, repository: str, sha: str, path: str) -> str:
        """One text file of a commit, read from git's own store; nothing is checked out. ConfigurationError without it."""
        source, (address, settings) = _commit(repository, sha), self._address(repository)
        with tempfile.TemporaryDirectory(prefix=".fetch-") as folder:
            git = Git(folder, self._environment, limit_s=self._limit_s)
            sha_format = "sha1" if len(sha) == 40 else "sha256"
            _done(git("init", "--bare", "--quiet", "--template=", f"--object-format={sha_format}", "."))
            wanted = ("--depth=1", "--no-write-fetch-head", "--", address, f"{sha}:{BRANCH}")
            fetched = git("fetch", "--quiet", *wanted, settings=settings)
            if fetched.returncode or not self._holds(git, sha, BRANCH):
                raise _refusal(source, fetched.stderr)
            size = git("cat-file", "-s", f"{BRANCH}:{path}").stdout.strip()
            found = git("cat-file", "blob", f"{BRANCH}:{path}") if size.isdigit() and int(size) <= TEXT_BYTES else None
        if found is None or found.returncode:
            raise ConfigurationError(
                f"there is no file {path!r} of at most {TEXT_BYTES >> 20} MiB in {sha[:12]}",
                what_to_do="commit it first",
            )
        return found.stdout.decode("utf-8", "replace")

    def _bundle(self, source: CommitSource, into: str) -> None:
        wanted = {BRANCH: source.sha, **({BASE: source.base} if source.base else {})}
        commits = {ref: _commit(source.repository, sha) for ref, sha in wanted.items()}
        address, settings = self._address(source.repository)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=os.path.dirname(os.path.abspath(into))) as folder:
            git = Git(folder, self._environment, limit_s=self._limit_s)
            sha_format = "sha1" if len(source.sha) == 40 else "sha256"
            _done(git("init", "--bare", "--quiet", "--template=", f"--object-format={sha_format}", "."))
            refs = [f"{sha}:{ref}" for ref, sha in wanted.items()]
            there = OWN_SIDE if os.path.isdir(source.repository) else ()
            fetched = git("fetch", "--quiet", "--no-write-fetch-head", *there, "--", address, *refs, settings=settings)
            for ref, commit in commits.items():
                if fetched.returncode or not self._holds(git, commit.sha, ref):
                    raise _refusal(commit, fetched.stderr)
            # HEAD in the bundle lets a person simply clone it to see what was sent
            _done(git("symbolic-ref", "HEAD", BRANCH))
            _done(git("bundle", "create", "--quiet", os.path.abspath(into), "--all"))
        os.chmod(into, 0o600)

    def _holds(self, git: Git, sha: str, ref: str) -> bool:
        return git("rev-parse", "--verify", f"{ref}^{{commit}}").stdout.decode("ascii", "replace").strip() == sha

    def _address(self, repository: str) -> tuple[str, dict[str, str]]:
        """What git is to dial, and the settings that allow just this; nothing else is ever dialled."""
        if os.path.isdir(repository):
            return os.path.abspath(repository), {"protocol.file.allow": "always"}
        if _SCP.fullmatch(repository) and "://" not in repository:
            return repository, {"protocol.ssh.allow": "always"}
        parts = _split(repository)
        if parts.password is not None or (parts.scheme.startswith("http") and parts.username is not None):
            raise ConfigurationError(
                f"the address of the repository at {parts.hostname} holds a credential",
                what_to_do="leave user and password out of the address: the token is passed on its own",
            )
        if parts.scheme not in ("https", "ssh") or not parts.hostname:
            raise _unknown_address()
        allowed = {f"protocol.{parts.scheme}.allow": "always"}
        if parts.scheme == "https" and self._extra_header:
            allowed[f"http.https://{parts.netloc}/.extraHeader"] = self._extra_header
        return repository, allowed


def _commit(repository: str, sha: str) -> CommitSource:
    if not _SHA.fullmatch(sha):
        raise ConfigurationError(
            f"not a commit: {sha!r}", what_to_do="give the full SHA, 40 lowercase hexadecimal digits"
        )
    return CommitSource(repository=repository, sha=sha)


def _split(repository: str) -> SplitResult:
    try:
        if _PRINTABLE.fullmatch(repository):
            return urlsplit(repository)
    except ValueError:
        pass
    raise _unknown_address()


def _unknown_address() -> ConfigurationError:
    """Without the address: what we cannot read may hold a secret."""
    return ConfigurationError(
        "this is no address of a repository that can be fetched from",
        what_to_do="give an https or ssh address, or a directory of this computer",
    )


def _done(answer: git_command.Answer) -> None:
    if answer.returncode:
        raise AccelError(f"git failed: {git_command.last_words(answer.stderr)}")


def _refusal(source: CommitSource, stderr: bytes) -> AccelError:
    """The error that says whose turn it is."""
    said = git_command.last_words(stderr)
    what_happened = f"could not fetch {source.sha} from {source.repository}: {said or 'it is not a commit'}"
    if _DAMAGED.search(said):
        return ConfigurationError(what_happened, what_to_do="mend the repository: see git fsck")
    if _NETWORK.search(said):
        return TransientError(what_happened, what_to_do="try again")
    if "shallow" in said:
        return ConfigurationError(what_happened, what_to_do="fetch the whole history there first: fetch-depth: 0")
    return ConfigurationError(
        what_happened, what_to_do="push the commit, and check the repository's address and that it may be read"
    )
