"""`accel-ci run --accelerator v...`: the whole journey on TPUs that are not there, over HTTP and ssh that are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci.domain.verdict import Verdict
from tests.end_to_end.terminal import Terminal
from tests.servers.proxy import Serving
from tests.servers.ssh_in_python import PythonSshServer
from tests.servers.tpu_over_http import Cloud, Document, Host, TpuServer

WORKERS = 2
STOCKOUT = {"code": 8, "message": 'There is no more capacity in the zone "us-east5-a"'}
RUN = ("run", "--accelerator", "v5p-16", "--zones", "us-east5-a,us-central1-a")


class Datacentre:
    """A cloud whose machines are ssh servers that let in the key of their node's metadata, and nobody else."""

    def __init__(self, server: TpuServer, directory: Path) -> None:
        self.cloud: Cloud = server.cloud
        self.environment = server.environment(str(directory / "token"))
        (directory / "token").write_text("a-token")
        self._serving = Serving()
        self._homes = directory / "homes"
        self._servers: list[PythonSshServer] = []
        self.cloud.boot = self._boot

    def close(self) -> None:
        for each in self._servers:
            each.close()
        self._serving.close()

    def _boot(self, node: Document) -> list[Host]:
        user, _, public_key = node["metadata"]["ssh-keys"].partition(":")
        assert user == "accel-ci"
        hosts = []
        for _ in range(WORKERS):
            home = self._homes / str(len(self._servers))
            home.mkdir(parents=True)
            self._servers.append(PythonSshServer(self._serving, home, public_key=public_key))
            hosts.append(Host("127.0.0.1", self._servers[-1].port, self._servers[-1].host_key))
        return hosts


@pytest.fixture
def datacentre(tmp_path: Path) -> Iterator[Datacentre]:
    """An empty one."""
    with TpuServer() as server:
        opened = Datacentre(server, tmp_path)
        yield opened
        opened.close()


@pytest.mark.judge("ssh")
def test_a_slice_of_two_hosts(terminal: Terminal, datacentre: Datacentre) -> None:
    """The command runs on every worker, the verdict is true, and neither node nor queued resource is left."""
    done = terminal(
        *RUN, "--", 'echo "worker $ACCEL_CI_WORKER of $ACCEL_CI_WORKERS"', timeout=120, **datacentre.environment
    )
    record = terminal.record()
    assert (done.returncode, record.verdict) == (0, Verdict.PASSED), done.stdout + done.stderr
    assert "[w0] worker 0 of 2" in done.stdout and "[w1] worker 1 of 2" in done.stdout
    assert record.machine is not None and record.machine.handle.startswith("tpu://my-project/us-central1-a/accel-")
    assert (record.machine.workers, record.machine.spot) == (2, True)
    assert record.machine.dollars_per_hour == pytest.approx(8 * 0.836)
    assert record.cleanup is not None and record.cleanup.left == [] and record.cleanup.found != []
    assert datacentre.cloud.nodes == {} and datacentre.cloud.queued == {}
    assert not list(terminal.home.rglob("ssh-key.pub")), "the public half needs no file"


@pytest.mark.judge("ssh")
def test_a_full_zone_leads_to_the_next(terminal: Terminal, datacentre: Datacentre) -> None:
    """No capacity in the cheaper zone: the next one is tried under a new name, and both tries are in the record."""
    datacentre.cloud.failures = {"us-central1-a": STOCKOUT}
    done = terminal(*RUN, "--options", "queued=false", "--", "exit 3", timeout=120, **datacentre.environment)
    record = terminal.record()
    assert (done.returncode, record.verdict) == (1, Verdict.FAILED), done.stdout + done.stderr
    assert [(each.zone, each.outcome) for each in record.tries] == [
        ("us-central1-a", "no-capacity"),
        ("us-east5-a", "ready"),
    ]
    assert record.tries[0].name != record.tries[1].name and datacentre.cloud.nodes == {}


@pytest.mark.judge("ssh")
def test_through_the_queue(terminal: Terminal, datacentre: Datacentre) -> None:
    """A queued resource gives the same machine, and is gone with it."""
    done = terminal(*RUN, "--options", "queued=true", "--", "true", timeout=120, **datacentre.environment)
    assert (done.returncode, terminal.record().verdict) == (0, Verdict.PASSED), done.stdout + done.stderr
    paths = [request.path for request in datacentre.cloud.requests if request.method == "POST"]
    assert any(path.endswith("/queuedResources") for path in paths)
    assert not any(path.endswith("/nodes") for path in paths)
    assert datacentre.cloud.nodes == {} and datacentre.cloud.queued == {}


@pytest.mark.judge("ssh")
def test_separate_steps_in_a_project_that_is_said_once(terminal: Terminal, datacentre: Datacentre) -> None:
    """Each step finds the machine, its key and its project; cleanup ends it there, not where the credentials point."""
    words = ("--accelerator", "v5p-16", "--project", "other-project", "--zones", "us-central1-a")
    for step in (("provision", *words), ("run-remote", "--", "true"), ("cleanup",)):
        done = terminal(*step, timeout=120, **datacentre.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(datacentre.cloud.nodes) == (0 if step == ("cleanup",) else 1)
    assert {request.path.split("/")[3] for request in datacentre.cloud.requests} == {"other-project", "123456"}
    assert terminal.record().verdict is Verdict.PASSED


def test_mistakes_are_told_before_any_call(terminal: Terminal, datacentre: Datacentre) -> None:
    """A zone that has no such type, a wrong image and an unknown option: exit code 2, all at once, nothing made."""
    options = "image=v2-alpha-tpuv6e,quued=true"
    words = ("run", "--accelerator", "v5p-8", "--zones", "us-central1-b", "--options", options, "--", "true")
    done = terminal(*words, timeout=120, **datacentre.environment)
    told = done.stdout + done.stderr
    assert done.returncode == 2, told
    assert "us-central1-a, us-east5-a, europe-west4-b" in told and "`v2-alpha-tpuv5`" in told and "`queued`" in told
    assert all(request.method == "GET" for request in datacentre.cloud.requests), "nothing was asked for"


def test_the_catalogue_on_the_command_line(terminal: Terminal) -> None:
    """`accel-ci accelerators` needs no account; --json is JSON and nothing else."""
    table = terminal("accelerators", "--zone", "us-central2-b")
    assert table.returncode == 0 and "v4-8 " in table.stdout and "v6e" not in table.stdout
    listed = json.loads(terminal("accelerators", "--zone", "us-central2-b", "--json").stdout)
    assert {row["accelerator"] for row in listed} == {"v4-8", "v4-16", "v4-32", "v4-64", "v4-128"}
