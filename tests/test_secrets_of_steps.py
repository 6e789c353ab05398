"""The same secrets in steps of one's own, each a process: collect hides what run-remote handed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from accel_ci.adapters.stop_signals import StopSignals
from accel_ci.commands import verbs
from accel_ci.commands.call import Call
from tests.fakes.job import FakeJob

VALUE = "s3cret-value"
COMMAND = "mkdir out && echo hi > out/$TOKEN.txt && echo hi > out/fine.txt"


def test_collect_refuses_a_file_that_is_named_after_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given the same variables, collect brings the other files, and the name is nowhere."""
    (tmp_path / "code").mkdir()
    monkeypatch.chdir(tmp_path / "code")

    def step(verb: str, **given: str) -> FakeJob:
        environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "ACCEL_CI_SECRET_TOKEN": VALUE}
        call = Call(given=given, environ=environ, job=FakeJob(), stop=StopSignals())
        assert verbs.VERBS[verb](call) == 0
        assert isinstance(call.job, FakeJob)
        return call.job

    step("provision", accelerator="local", backend="local")
    try:
        ran = step("run-remote", run=COMMAND)
        told = step("collect", paths="out/*")
    finally:
        step("cleanup", mode="run")
    assert ran.masked == [VALUE], "no log may show it from then on"
    assert "out/fine.txt: 3 bytes" in told.text
    assert "out/***.txt: refused, its name holds a secret" in told.text and VALUE not in told.text
    assert list(tmp_path.rglob("*fine.txt")) and not list(tmp_path.rglob(f"*{VALUE}*"))
