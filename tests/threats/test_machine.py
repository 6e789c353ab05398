"""Threats that live on the machine: code that lies, hides, stays, mines, or sits at another machine's address."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accel_ci import plans
from accel_ci.adapters import gce_instances, gce_options, tpu_nodes, tpu_options
from accel_ci.domain import lease
from accel_ci.domain.errors import BootError, CloudError, ConfigurationError, ConnectionLostError
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, MachineSpec
from accel_ci.domain.runkey import RunKey
from accel_ci.domain.verdict import EndRecord, Reason, Verdict, of_worker
from accel_ci.inputs import parsing
from accel_ci.inputs.models import ProvisionInputs
from accel_ci.operations import records
from accel_ci.usecases import cleanup, provision, run_remote
from tests.adapters import local_machines
from tests.contracts.remote_worlds import SshdWorld
from tests.end_to_end import runner as runners
from tests.end_to_end.terminal import Terminal
from tests.fakes.remote import Script
from tests.servers import sshd
from tests.usecases import worlds
from tests.usecases.worlds import Fakes

KEY = RunKey(repository_id=4711, repository="org/hello", run_id=77, job="tpu")
ROOT = '"$ACCEL_CI_RESULTS"/..'


def _instance() -> dict[str, Any]:
    """What Compute Engine is asked for: an L4 for ten minutes."""
    spec = MachineSpec(backend="gce", accelerator="l4-1", zones=("us-central1-a",))
    wanted, place = Lease(key=KEY, expires_at=2_000_000_000), Candidate(zone="us-central1-a", spot=True)
    options = gce_options.checked(spec)
    return gce_instances.body(spec, options, wanted, place, public_key="ssh-ed25519 AAAA", now=2_000_000_000 - 600)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A repository with one file, and an empty home."""
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "home").mkdir()
    (project / "README").write_text("hello\n")
    runners.git(project, "init", "-q")
    runners.git(project, "add", ".")
    runners.git(project, "commit", "-q", "-m", "one")
    return Terminal(project, tmp_path / "home")


def _run(terminal: Terminal, command: str, *words: str) -> subprocess.CompletedProcess[str]:
    return terminal("run", "--backend", "local", "--run", command, *words)


@pytest.mark.parametrize(
    ("lie", "verdict"),
    [
        ("echo '1 passed'; echo OK; exit 1", Verdict.FAILED),
        (f"""echo '{{"exit_code": 0}}' > {ROOT}/phases/run/end.json; exit 1""", Verdict.FAILED),
        (f"rm -rf {ROOT}/phases; exit 1", None),
        ("kill -9 $PPID; sleep 30; exit 0", None),
        ('printf \'<testsuite tests="1"><testcase name="a"/></testsuite>\' > junit.xml; exit 3', Verdict.FAILED),
    ],
    ids=["words", "end-record", "no-record", "no-supervisor", "report"],
)
def test_threat_07_a_forged_verdict(terminal: Terminal, lie: str, verdict: Verdict | None) -> None:
    """Words, forged records and reports, a supervisor that is killed: none of them makes a pass of what failed."""
    done = _run(terminal, lie)
    assert done.returncode in (1, 3), done.stdout[-2000:]
    assert terminal.record().verdict is not Verdict.PASSED
    assert verdict is None or terminal.record().verdict is verdict
    assert terminal.machines() == []


@pytest.mark.parametrize(
    ("script", "verdict"),
    [
        (Script(record=EndRecord(key="k", nonce="0" * 32, phase="run", reason=Reason.EXITED, exit_code=0)), None),
        (Script(no_record=True), None),
        (Script(exit_code=1), Verdict.FAILED),
        (Script(exit_code=None, signal=9), Verdict.FAILED),
        (Script(exit_code=0, reason=Reason.TIMED_OUT), Verdict.TIMED_OUT),
    ],
    ids=["another-nonce", "no-record", "exit-code", "signal", "time-limit"],
)
def test_threat_07_only_our_own_record_of_a_clean_end_is_a_pass(script: Script, verdict: Verdict | None) -> None:
    """A record of somebody else's making or none is no end at all, and reports that are all green mend nothing."""
    green = b'<testsuite tests="1"><testcase name="a"/></testsuite>'
    assert of_worker(None, key="k", nonce="n", phase="run") is Verdict.INFRA_ERROR
    known = script.record
    for key in (worlds.KEY.name, "k"):
        told = replace(script, record=replace(known, key=key)) if known else script
        fakes = Fakes({"run": told}, files={"r.xml": green})
        provision.provision(fakes.world, worlds.record(), worlds.KEY, order=worlds.order())
        work = replace(worlds.WORK, report_patterns=("r.xml",))
        record = run_remote.run_remote(fakes.world, work, slot="")
        assert record.verdict is (verdict or Verdict.INFRA_ERROR)


def test_threat_07_the_nonce_is_nobodys_to_read(terminal: Terminal) -> None:
    """Neither files of the worker nor command lines and environments of our processes hold what makes a record ours."""
    of_process = "tr '\\0' '\\n' </proc/$p/cmdline; tr '\\0' '\\n' </proc/$p/environ"
    look = f"for p in $$ $PPID; do {of_process}; done; grep -ra . {ROOT}"
    done = _run(terminal, look)
    assert done.returncode == 0 and "supervisor.py" in done.stdout, done.stdout[-2000:]
    (nonce,) = (path.read_text() for path in terminal.home.rglob("nonce-run"))
    assert len(nonce) == 32 and nonce not in done.stdout


def test_threat_08_traversal_and_special_files(terminal: Terminal) -> None:
    """Links, pipes and devices stay where they are; a plain file beside them comes back."""
    makes = "mkdir out; echo fine >out/a.txt; ln -s /etc/passwd out/b.txt; mkfifo out/c.txt; ln -s / out/d"
    done = _run(terminal, makes, "--paths", "out/**")
    assert done.returncode == 0, done.stdout[-2000:]
    assert [Path(each.path).name for each in terminal.record().artifacts if each.sha256] == ["0001-a.txt"]
    assert [path for name in "bcd" for path in terminal.home.rglob(f"*{name}.txt")] == []


def test_threat_09_the_machines_cloud_identity() -> None:
    """A TPU is asked for without an account that opens anything, without the project's keys, and without sudo."""
    spec = MachineSpec(backend="tpu", accelerator="v6e-1", zones=("us-east5-b",))
    wanted = Lease(key=KEY, expires_at=2_000_000_000)
    body = tpu_nodes.body(spec, tpu_options.checked(spec), wanted, public_key="ssh-ed25519 AAAA")
    assert body["service_account"] == {"scope": [tpu_nodes.NOTHING]}
    assert body["metadata"]["block-project-ssh-keys"] == "TRUE"
    assert "accel-ci-sudo" not in body["metadata"]
    script = body["metadata"]["startup-script"]
    assert "google-sudoers" in script and "169.254.169.254" in script
    assert not any(word in str(body) for word in ("TOKEN", "PRIVATE", "password"))


def test_threat_09_a_machine_of_compute_engine_is_nobody() -> None:
    """It has no account at all, so its metadata server has no tokens; the project's keys and OS Login open no door."""
    body = _instance()
    assert body["service_accounts"] == []
    metadata = {each["key"]: each["value"] for each in body["metadata"]["items"]}
    assert metadata["block-project-ssh-keys"] == "TRUE" and "accel-ci-sudo" not in metadata
    assert "169.254.169.254" in metadata["startup-script"]


def test_threat_09_a_stranger_gets_no_open_machine() -> None:
    """Neither the options that would open one are taken for a fork's commit, nor a machine that could not be closed."""
    record = worlds.record()
    record.identity.trust = "fork"
    for option in ("sudo=true", "machine-account=a@b.iam.gserviceaccount.com"):
        inputs = parsing.parse(ProvisionInputs, {"accelerator": "v6e-1", "backend": "tpu", "options": option})
        with pytest.raises(ConfigurationError, match="stranger"):
            plans.order(inputs, record)
    fakes = Fakes()
    provision.provision(fakes.world, record, worlds.KEY, order=worlds.order())
    machine = records.load_machine(fakes.files, "")
    records.save_machine(fakes.files, "", replace(machine, workers=(replace(machine.workers[0], unconfined=True),)))
    with pytest.raises(BootError, match="fork's code is not run"):
        run_remote.run_remote(fakes.world, worlds.WORK, slot="")
    assert not fakes.remote.started


@pytest.mark.parametrize("door", ["root", "sudo", "metadata", "sockets", "processes", "memory", "files"])
def test_threat_09_a_door_that_stands_open(door: str) -> None:
    """What the test user finds open from inside, whatever the boot said, keeps a fork's source and command away."""
    fakes, record = Fakes(), worlds.record()
    record.identity.trust = "fork"
    fakes.remote.doors = {door: "it was tried"}
    provision.provision(fakes.world, record, worlds.KEY, order=worlds.order())
    with pytest.raises(CloudError, match=f"fork's code is not run.*{door}"):
        run_remote.run_remote(fakes.world, worlds.WORK, slot="")
    assert not fakes.remote.started and not fakes.remote.packages


def test_threat_10_the_cloud_ends_it() -> None:
    """Compute Engine deletes the machine when its lease is over, though nothing of ours lives: that is in the request."""
    scheduling = _instance()["scheduling"]
    assert scheduling["max_run_duration"] == {"seconds": 600}
    assert scheduling["instance_termination_action"] == "DELETE" and scheduling["automatic_restart"] is False


def test_threat_10_a_machine_that_goes_on(tmp_path: Path) -> None:
    """When everything of ours is gone, the lease itself ends the machine and whatever was started there."""
    with local_machines.opened(tmp_path) as machines, local_machines.commands() as start:
        machine = local_machines.create_until(machines, int(time.time()) + 2)
        miner = start(machine, "trap '' TERM; echo up; while :; do sleep 0.1; done")
        local_machines.soon(lambda: miner.poll() is not None)
        local_machines.soon(lambda: not local_machines.where(machine).exists())


def test_threat_11_what_an_earlier_run_left(terminal: Terminal) -> None:
    """The second run on the same computer finds neither files nor processes of the first one."""
    poison = "echo poison >marker; echo poison >$ACCEL_CI_RESULTS/marker; (setsid sleep 300 & echo left=$!); true"
    first = _run(terminal, poison)
    assert first.returncode == 0, first.stdout[-2000:]
    (left,) = re.findall(r"left=(\d+)", first.stdout)
    assert not Path("/proc", left).exists()
    second = _run(terminal, "! ls marker $ACCEL_CI_RESULTS/marker 2>/dev/null")
    assert second.returncode == 0, second.stdout[-2000:]
    assert terminal.machines() == []


@pytest.mark.judge("ssh")
@pytest.mark.judge("sshd")
def test_threat_17_another_host_at_the_machines_address(tmp_path: Path) -> None:
    """A server with another host key than the cloud told gets neither the source nor a command."""
    world = SshdWorld(tmp_path)
    try:
        machine = world.machine()
        (worker,) = machine.workers
        forged = replace(machine, workers=(replace(worker, host_keys=(sshd.host_key(tmp_path / "other"),)),))
        with pytest.raises(ConnectionLostError, match="verification failed"):
            world.remote().prepare(forged)
        assert list(world.root(machine, 0).glob("*")) == []
        world.remote().prepare(machine)
        assert list(world.root(machine, 0).glob("*")) != []
    finally:
        world.close()


def test_threat_21_the_sweeper_as_a_weapon() -> None:
    """Expired machines of another repository, without labels, or with an end that is no number outlive every sweep."""
    fakes = Fakes()
    fakes.machines._native = False
    provision.provision(fakes.world, worlds.record(), worlds.KEY, order=worlds.order(ttl_s=600))
    (handle,) = fakes.machines.living()
    (machine,) = fakes.machines.list_owned(lease.Owner(repository_id=4711))
    fakes.clock.advance(100_000)
    assert not lease.Owner(repository_id=4711).owns("accel-hello-77-1-3f9a2c71", {})
    for change in ({"accel-ci-repository": "4712"}, {"accel-ci-repository": ""}, {"accel-ci-expires": "never"}):
        for name, value in change.items():
            fakes.machines.annotate(handle, name, value)
        assert cleanup.sweep(fakes.world, 4711, grace_s=3600).found == []
        for name in change:
            fakes.machines.annotate(handle, name, machine.labels[name])
    assert len(cleanup.sweep(fakes.world, 4711, grace_s=3600).released) == 1
