"""`accel-ci sim serve` as a process: how it starts, what it writes, that it leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accel_ci_sim.wire import processes
from tests import judges
from tests.servers import simulator as servers
from tests.servers.simulator import SimulatorProcess
from tests.wire import rest
from tests.wire.rest import Zone

SERVE = (sys.executable, "-m", "accel_ci", "sim", "serve")
HIGH_PORT = "22622"
Start = Callable[..., SimulatorProcess]


def create(running: SimulatorProcess, node_id: str = "t1", script: str = "") -> str:
    """The address of a new node's worker."""
    zone = Zone(running, "us-central1-b")
    zone.create(node_id, metadata={"startup-script": script}, networkConfig={"enableExternalIps": True})
    address: str = zone.node(node_id).network_endpoints[0].access_config.external_ip
    return address


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts simulators; whatever the test leaves of them ends with it."""
    running: list[SimulatorProcess] = []

    def started(directory: Path, *options: str) -> SimulatorProcess:
        running.append(SimulatorProcess(directory, *options))
        return running[-1]

    yield started
    for each in running:
        each.kill()
        processes.end(each.state)


def test_two_simulators_do_not_clash(tmp_path: Path, start: Start) -> None:
    """Each has its own addresses for its machines, although the ssh port is the same."""
    both = [start(tmp_path / name, "--ssh-port", HIGH_PORT) for name in "ab"]
    blocks = {create(running).rsplit(".", 2)[0] for running in both}
    assert len(blocks) == 2 and both[0].url != both[1].url
    for running in both:
        running.close()


def test_a_directory_has_one_simulator(tmp_path: Path, start: Start) -> None:
    """The second one says so and ends with the exit code of a wrong configuration."""
    command = [*SERVE, "--state", str(start(tmp_path).state)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2 and "another simulator is running" in done.stdout + done.stderr


def test_what_a_killed_simulator_left_is_cleared_by_the_next(tmp_path: Path, start: Start) -> None:
    """Processes of its machines and their directories: the next one with the same directory ends them."""
    killed = start(tmp_path)
    create(killed, script="sleep 1000")
    rest.eventually(lambda: processes.belonging(killed.state), bool)
    killed.kill()
    assert processes.belonging(killed.state)
    again = start(tmp_path)
    assert not processes.belonging(again.state) and not list((again.state / "machines").iterdir())
    assert again.call("GET", "/v2/projects/p/locations/-/nodes") == (200, {})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_politely_with_its_machines(tmp_path: Path, start: Start, number: int) -> None:
    """Exit code 0; processes, machines and the exports are gone, knobs and log stay."""
    running = start(tmp_path)
    running.turn(boot_s=0)
    create(running, script="sleep 1000")
    running.close(number)
    kept = {entry.name for entry in running.state.iterdir()}
    assert {"knobs.json", "log"} <= kept and not {"env", "machines"} & kept


def test_the_exports_lead_clients_here(tmp_path: Path) -> None:
    """Endpoints, a token file, project and zone, and a configuration directory of gcloud's own; nothing readable by others."""
    file = tmp_path / "deep" / "exports.sh"
    process = subprocess.Popen(
        [*SERVE, "--state", str(tmp_path / "s"), "--env", str(file), "--project", "mine", "--zone", "us-east1-d"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        rest.eventually(file.exists, bool)
        found = servers.exported(file)
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=30)
    assert str(file) in output
    url = found["ACCEL_CI_SIM"]
    assert found["CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU"] == f"{url}/"
    assert found["CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"] == f"{url}/compute/v1/"
    assert (found["CLOUDSDK_CORE_PROJECT"], found["CLOUDSDK_COMPUTE_ZONE"]) == ("mine", "us-east1-d")
    token = Path(found["CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"])
    assert token.read_text().startswith("ya29.") and token.stat().st_mode & 0o777 == 0o600
    assert Path(found["CLOUDSDK_CONFIG"]).is_dir()


@pytest.mark.judge("ssh", "ssh-keygen")
def test_plain_ssh_finds_machines_on_any_port(tmp_path: Path, start: Start) -> None:
    """Where machines do not listen on port 22, the exports put an ssh in front that knows their port, and the API shows it."""
    running, key = start(tmp_path, "--ssh-port", HIGH_PORT), tmp_path / "key"
    keygen = [judges.require("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(keygen, stdin=subprocess.DEVNULL, check=True)
    zone = Zone(running, "us-central1-b")
    zone.create("t1", metadata={"ssh-keys": f"me:{key.with_suffix('.pub').read_text()}"})
    (endpoint,) = zone.node("t1").network_endpoints
    assert endpoint.port == int(HIGH_PORT) == running.ssh_port
    options = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i", str(key))
    command = ["ssh", *options, f"me@{endpoint.ip_address}", "echo in"]
    environ = {**os.environ, **running.exports}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "in\n"), done.stderr


@pytest.mark.parametrize("words", [["sim"], ["sim", "nope"], ["sim", "serve", "--port", "x"]])
def test_wrong_words_are_explained(words: list[str]) -> None:
    """Usage and exit code 2, as of any program."""
    done = subprocess.run(
        [sys.executable, "-m", "accel_ci", *words], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2 and "usage: accel-ci sim" in done.stderr
