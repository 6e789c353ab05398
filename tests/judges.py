"""Programs that judge our work from outside. Where one is not installed, what it would prove is named, never skipped.

Mark a test with `@pytest.mark.judge("sshd")`: without sshd it is taken out of the run and named in the summary; in CI
(`CI=true`) it stays in and fails, because `require` does.
"""

from __future__ import annotations

import os
import shutil

SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def find(program: str) -> str | None:
    """Where the program is, or None; system directories are searched even when PATH lacks them."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM)))


def require(program: str) -> str:
    """Where the program is; AssertionError when it is not installed."""
    path = find(program)
    assert path, f"{program} is not installed: what it judges was not proven"
    return path


def in_ci() -> bool:
    """True where an absent judge is a failure."""
    return os.environ.get("CI") == "true"
