"""The false verdicts that were measured on the systems this project started from: theirs wrong, ours right, by name."""

from __future__ import annotations

import subprocess

import pytest

from accel_ci.domain import errors
from accel_ci.domain.record import RunRecord
from accel_ci.domain.verdict import Verdict
from accel_ci.operations import follow, records
from accel_ci.usecases import provision, run_remote
from tests.fakes.machines import Script as Zone
from tests.fakes.remote import Script
from tests.usecases import worlds
from tests.usecases.worlds import KEY, WORK, Fakes


def _theirs(script: str) -> subprocess.CompletedProcess[str]:
    """A step as GitHub runs it: bash with -e."""
    return subprocess.run(["bash", "-e", "-c", script], capture_output=True, text=True, timeout=30, check=False)


def _ours(fakes: Fakes) -> RunRecord:
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    return run_remote.run_remote(fakes.world, WORK, slot="")


def test_a_test_named_lookOKup_that_fails(tmp_path_factory: pytest.TempPathFactory) -> None:  # noqa: N802
    """Theirs greps the output for OK and is green over a failed test; ours goes by the exit code in the end record."""
    text = "test_lookOKup (T) ... FAIL\nFAILED (failures=1)"
    output = tmp_path_factory.mktemp("seed") / "test_output.txt"
    ssh = f"ssh() {{ printf '%s\\n' '{text}'; }}"  # ends with 0, as it did through their pipe
    assert _theirs(f"{ssh}; ssh > '{output}' 2>&1; cat '{output}'; grep -q OK '{output}'").returncode == 0
    assert _ours(Fakes({"run": Script(output=text.encode(), exit_code=1)})).verdict is Verdict.FAILED


def test_the_log_of_a_failing_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Theirs ends before it shows the log of a failing command; ours streams and keeps every byte of it."""
    output = tmp_path_factory.mktemp("seed") / "test_output.txt"
    ssh = "ssh() { echo 'the reason'; return 1; }"
    assert "the reason" not in _theirs(f"{ssh}; ssh > '{output}' 2>&1; cat '{output}'").stdout
    fakes = Fakes({"run": Script(output=b"the reason\n", exit_code=1)})
    _ours(fakes)
    assert "the reason" in "".join(fakes.job.of_kind("stream"))
    assert fakes.files.read(follow.log_name("", "run", 0)) == b"the reason\n"


def test_a_machine_that_dies_before_it_can_say_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Theirs passes when no FAILED marker was left; ours needs a positive end record, and a dead machine has none."""
    results = tmp_path_factory.mktemp("seed")
    assert _theirs(f"if [ -e '{results}/FAILED' ]; then exit 1; fi; echo done").returncode == 0
    fakes = Fakes({"run": Script(output=b"training", dies_after=4)})
    assert _ours(fakes).verdict is Verdict.INFRA_ERROR


def test_a_passing_run_whose_log_could_not_be_fetched_at_first() -> None:
    """Theirs is red when fetching the log fails after a success; ours attaches again, and the pass is a pass."""
    kubectl = 'kubectl() { if [ "$1" = logs ]; then return 1; fi; echo Succeeded:1; }'
    assert _theirs(f"{kubectl}; kubectl get | grep -q Succeeded:1 && kubectl logs && exit 0; exit 1").returncode == 1
    fakes = Fakes({"run": Script(output=b"1 passed\n", lose_after=3)})
    assert _ours(fakes).verdict is Verdict.PASSED
    assert fakes.files.read(follow.log_name("", "run", 0)) == b"1 passed\n"


def test_a_machine_that_is_not_up_in_time() -> None:
    """Theirs reports success when its few looks are over, whatever the state; ours gives up, gives back, and says why."""
    look = "state() { echo Resuming; }"
    loop = 'for i in 1 2 3; do [ "$(state)" = Running ] && break; done; echo "Resume instance finished"'
    assert _theirs(f"{look}; {loop}").returncode == 0
    fakes = Fakes(zones={"a": Zone(boot_s=100_000)})
    with pytest.raises(errors.BootError):
        provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order(ttl_s=200_000))
    assert records.load(fakes.files, "").verdict is Verdict.BOOT_FAILED
    assert fakes.machines.living() == []
