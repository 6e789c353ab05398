"""Secrets on the machine: the command sees them, no disk does, and they are gone when it is over."""

from __future__ import annotations

import os
import pathlib
import uuid
from typing import Any

import pytest

from accel_ci.on_machine import secret_files
from tests.on_machine import worker_root
from tests.on_machine.worker_root import WorkerRoot

SECRET = "a secret that nobody else sees\nnor its second line"


def nonce() -> str:
    """One that no other test has: the directory in memory is named after it."""
    return uuid.uuid4().hex


def folders(of: str) -> list[str]:
    """What of this phase lies in memory."""
    return [folder for folder in secret_files.folders(of) if os.path.exists(folder)]


def with_secret(text: str, **more: Any) -> dict[str, Any]:
    """What `start` is told."""
    return {"secrets": {"TOKEN": text}, "nonce": nonce(), **more}


def on_disk(root: WorkerRoot) -> list[pathlib.Path]:
    """Every file below the worker root that holds a line of the secret."""
    files = [path for path in root.path.rglob("*") if path.is_file()]
    return [path for path in files if any(line.encode() in path.read_bytes() for line in SECRET.split("\n"))]


def test_the_command_sees_them(any_root: WorkerRoot) -> None:
    """As a variable, and as a file of its own in a private directory on a tmpfs; both byte for byte."""
    command = (
        'test "$TOKEN" = "$(cat "$ACCEL_CI_SECRETS/TOKEN")" && stat -c "%a %s" "$ACCEL_CI_SECRETS" "$ACCEL_CI_SECRETS/TOKEN"'
        ' && df --output=fstype "$ACCEL_CI_SECRETS" | tail -1'
    )
    told = with_secret(SECRET)
    done = any_root.run(command, **told)
    first, second, kind = done.output.decode().split("\n")[:3]
    assert (first.split()[0], second, kind) == ("700", f"600 {len(SECRET)}", "tmpfs")
    assert folders(told["nonce"]) == []


def test_no_disk_sees_them(root: WorkerRoot) -> None:
    """While the command runs and afterwards no file of ours holds a line of one."""
    told = with_secret(SECRET)
    root.start("echo begun > ready; sleep 60", **told)
    assert root.said("ready") == "begun"
    assert len(folders(told["nonce"])) == 1 and on_disk(root) == []
    root.stop()
    root.follow()
    assert folders(told["nonce"]) == [] and on_disk(root) == []


def test_without_secrets_there_is_no_directory(root: WorkerRoot) -> None:
    """Nor a variable that names one."""
    assert root.run('echo "[$ACCEL_CI_SECRETS]"', nonce=nonce()).output == b"[]\n"


def test_secrets_win_over_variables(root: WorkerRoot) -> None:
    """What was meant as a secret is not replaced by what stands in the workflow."""
    done = root.run('echo "$TOKEN"', environment={"TOKEN": "plain"}, **with_secret("the secret"))
    assert done.output == b"the secret\n"


@pytest.mark.parametrize("command", ["sleep 0.3; kill -9 $PPID; sleep 60", "exit 3", "rm -rf $ACCEL_CI_SECRETS"])
def test_they_are_gone_however_it_ends(root: WorkerRoot, command: str) -> None:
    """The supervisor killed, a failure, or a command that removed them itself: nothing is left in memory."""
    told = with_secret(SECRET)
    root.start(command, **told)
    worker_root.eventually(lambda: not root.processes())
    assert folders(told["nonce"]) == []


def test_a_command_that_never_started_leaves_none(root: WorkerRoot) -> None:
    """They are removed when the shell cannot be started."""
    told = with_secret(SECRET, directory="absent")
    assert root.run("true", **told).record["reason"] == "not-started"
    worker_root.eventually(lambda: not folders(told["nonce"]))


def test_what_lies_in_wait_is_not_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """A directory or link of that name that was there before is not written into."""
    monkeypatch.setattr(secret_files, "SHARED", str(tmp_path))
    monkeypatch.setattr(secret_files, "in_memory", lambda path: path == str(tmp_path))
    number, elsewhere = nonce(), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder,) = secret_files.folders(number)
    os.symlink(elsewhere, folder)
    assert secret_files.make({"TOKEN": SECRET}, number) is None and list(elsewhere.iterdir()) == []


def test_where_no_memory_is_mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """There are no files then, rather than files on a disk."""
    monkeypatch.setattr(secret_files, "SHARED", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert secret_files.make({"TOKEN": SECRET}, nonce()) is None and list(tmp_path.iterdir()) == []


def test_what_is_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """The innermost mount decides; a list of mounts that cannot be read means no."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\ntmpfs {tmp_path} tmpfs rw 0 0\n/dev/sdb {tmp_path}/disk ext4 rw 0 0\n")
    monkeypatch.setattr(secret_files, "MOUNTS", str(mounts))
    (tmp_path / "disk").mkdir()
    assert secret_files.in_memory(str(tmp_path)) and not secret_files.in_memory(str(tmp_path / "disk"))
    assert not secret_files.in_memory("/") and not secret_files.in_memory(f"{tmp_path}x")
    monkeypatch.setattr(secret_files, "MOUNTS", str(tmp_path / "absent"))
    assert not secret_files.in_memory(str(tmp_path))
