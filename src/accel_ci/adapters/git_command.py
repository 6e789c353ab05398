"""Running git so that neither this computer's configuration nor a hostile repository has a say in what it does."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress

from accel_ci.domain.errors import CloudError, ConfigurationError

# What git needs of the caller's environment: programs, an ssh agent, proxies, certificates.
PASSED_ON = (
    "PATH",
    "SSH_AUTH_SOCK",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
)
# A user's or an image's own settings can name programs that git runs: none of them is read.
CLOSED = {
    "HOME": os.devnull,  # no ~/.gitconfig and no ~/.netrc
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    # refs/replace would show another content under the granted SHA.
    "GIT_NO_REPLACE_OBJECTS": "1",
    # A repository that is a partial clone would have git dial wherever its configuration says.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_PROTOCOL_FROM_USER": "0",
    "LC_ALL": "C",
}
# Harmless marks of old tools in honest histories (psf/requests has a bad time zone), which GitLab's Gitaly accepts too.
BLEMISHES = ("badTimezone", "missingSpaceBeforeDate", "zeroPaddedFilemode")
SETTINGS = {
    "core.hooksPath": os.devnull,
    # Names a program, and lies in the repository's own configuration.
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "credential.helper": "",
    # Where a server sends us instead is nothing that anybody has checked, least of all for who gets the token.
    "http.followRedirects": "false",
    "protocol.allow": "never",
    "protocol.ext.allow": "never",
    # Hostile trees (.git in odd spellings, dot-dot names) are refused before anybody checks them out.
    "fetch.fsckObjects": "true",
    # One pack instead of loose objects: what was fetched goes on as a bundle, and is never looked at here.
    "fetch.unpackLimit": "1",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    # The directory is the user's own choice; that it belongs to another user is normal in containers.
    "safe.directory": "*",
    **{f"fetch.fsck.{blemish}": "ignore" for blemish in BLEMISHES},
}
LAST_WORDS = 400

Answer = subprocess.CompletedProcess[bytes]


class Git:
    """git in one directory, with a time limit over all its commands together."""

    def __init__(self, directory: str, environment: Mapping[str, str], *, limit_s: float) -> None:
        self._directory = directory
        self._environment = {name: environment[name] for name in PASSED_ON if name in environment}
        self._limit_s = limit_s
        self._deadline = time.monotonic() + limit_s

    def __call__(self, *arguments: str, settings: Mapping[str, str] | None = None) -> Answer:
        """What git answered, whatever its exit code. CloudError when the time is over; nothing of it runs on then."""
        try:
            process = subprocess.Popen(
                ("git", *arguments),
                cwd=self._directory,
                env={**self._environment, **CLOSED, **as_environment({**SETTINGS, **(settings or {})})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # its own helpers (ssh, remote-https) can then be ended with it
            )
        except FileNotFoundError as error:
            raise _not_installed() from error
        with process:
            return self._answer(process)

    def _answer(self, process: subprocess.Popen[bytes]) -> Answer:
        try:
            out, err = process.communicate(timeout=max(0.0, self._deadline - time.monotonic()))
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise CloudError(f"git took longer than {self._limit_s:.0f} s", what_to_do="try again") from error
            raise
        return Answer(process.args, process.returncode, out, err)


def missing(environment: Mapping[str, str]) -> ConfigurationError | None:
    """The error for a computer without git; None where there is one."""
    return None if shutil.which("git", path=environment.get("PATH", os.defpath)) else _not_installed()


def _not_installed() -> ConfigurationError:
    return ConfigurationError(
        "git is not installed here, with which the code to test is packed",
        what_to_do="install it before this step, such as with `apt-get install git`",
    )


def as_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings as the environment variables that git reads them from: other users see argv, not this."""
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, (name, value) in enumerate(settings.items()):
        found |= {f"GIT_CONFIG_KEY_{index}": name, f"GIT_CONFIG_VALUE_{index}": value}
    return found


def last_words(stderr: bytes) -> str:
    """The end of what git said as one printable line: it quotes the server and the repository, so it is hostile."""
    lines = stderr.decode("utf8", "replace").replace("\r", "\n").splitlines()
    said = " / ".join(line.strip() for line in lines if line.strip())
    return re.sub(r"[^ -~]", "?", said)[-LAST_WORDS:]
