"""A phase's secrets as files in memory: a private directory on a tmpfs, which no disk ever sees and no reboot keeps.

Sent to the machine beside supervisor.py: standard library only, Python >= 3.8.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import Dict, Iterator, Optional

MOUNTS = "/proc/self/mounts"
SHARED = "/dev/shm"


def make(secrets: Dict[str, str], nonce: str) -> Optional[str]:
    """The directory with one file per secret; None without secrets, or where no memory is mounted that we may write to."""
    if not secrets:
        return None
    for folder in folders(nonce):
        try:
            os.mkdir(folder, 0o700)
            for name, value in secrets.items():
                number = os.open(
                    os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600
                )
                with open(number, "w", encoding="utf-8") as file:
                    file.write(value)
            return folder
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
    return None


def remove(nonce: str) -> None:
    """Forget them, wherever they were put."""
    for folder in folders(nonce):
        shutil.rmtree(folder, ignore_errors=True)


def folders(nonce: str) -> Iterator[str]:
    """Where they may lie; the name is nobody's to guess before they are there, so that nobody can lie in wait."""
    name = "accel-ci-" + hashlib.sha256(b"secrets " + nonce.encode()).hexdigest()[:32]
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), SHARED):
        if base and in_memory(base):
            yield os.path.join(base, name)


def in_memory(path: str) -> bool:
    """True when the directory is on a tmpfs."""
    best, kind = "", ""
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                words = line.split()
                below = words[1] == "/" or (path + "/").startswith(words[1] + "/")
                if below and len(words[1]) >= len(best):
                    best, kind = words[1], words[2]
    except (OSError, IndexError):
        return False
    return kind == "tmpfs" and os.path.isdir(path)
