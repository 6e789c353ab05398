"""The machines of simulated instances from inside and by ssh: who gets in, what they may tell, how they come up and go."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import judges
from tests.servers.simulator import SimulatorProcess
from tests.wire import compute_rest, rest, test_machines
from tests.wire.compute_rest import ComputeZone

OPTIONS = ("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR", "-o", "IdentityAgent=none")
ATTRIBUTES = "http://$GCE_METADATA_HOST/computeMetadata/v1/instance"
pytestmark = pytest.mark.judge("ssh", "ssh-keygen")


class Login:
    """OpenSSH with one key, on the instance `t1`."""

    def __init__(self, directory: Path, simulator: SimulatorProcess, compute: ComputeZone) -> None:
        self._key = directory / "key"
        self.known = directory / "hosts"
        self._port = simulator.ssh_port
        self._compute = compute
        command = [judges.require("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(self._key)]
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
        self.public = self._key.with_suffix(".pub").read_text().strip()

    def create(self, **metadata: str) -> None:
        """An instance with this metadata, `_` for `-`, and our key unless `ssh_keys` says otherwise."""
        given = {"ssh-keys": f"me:{self.public}", **{key.replace("_", "-"): value for key, value in metadata.items()}}
        items = [{"key": key, "value": value} for key, value in given.items() if value]
        self._compute.insert(metadata={"items": items}, networkInterfaces=[{"accessConfigs": [{}]}])

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """What ssh did with the command."""
        address = self._compute.instance().network_interfaces[0].network_i_p
        known = ["-o", f"UserKnownHostsFile={self.known}", "-F", "/dev/null", "-p", str(self._port)]
        argv = [judges.require("ssh"), *OPTIONS, *known, "-i", str(self._key), f"me@{address}", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL)

    def said(self, command: str) -> str:
        """What the command printed, once the machine lets us in."""
        done = rest.eventually(lambda: self.run(command), lambda done: done.returncode == 0)
        return done.stdout.strip()


@pytest.fixture
def login(tmp_path: Path, simulator: SimulatorProcess, compute: ComputeZone) -> Login:
    """Our key, for an instance to be made."""
    return Login(tmp_path, simulator, compute)


def share(compute: ComputeZone, keys: str) -> None:
    """Give the project these ssh keys."""
    seen = compute.project("GET", "")[1]["commonInstanceMetadata"]["fingerprint"]
    body = {"fingerprint": seen, "items": [{"key": "ssh-keys", "value": keys}]}
    compute.done(*compute.project("POST", "/setCommonInstanceMetadata", body))


def test_the_projects_keys_open_instances_unless_they_block_them(login: Login, compute: ComputeZone) -> None:
    """In by the project's key, at once out when the instance blocks it, and by its own key in either case."""
    login.create(ssh_keys="")
    share(compute, f"me:{login.public}")
    assert login.said("echo in") == "in"
    seen = compute.instance().metadata.fingerprint
    block = {"fingerprint": seen, "items": [{"key": "block-project-ssh-keys", "value": "TRUE"}]}
    compute.done(*compute.call("POST", "/instances/t1/setMetadata", block))
    assert login.run("true").returncode == 255
    own = {
        "fingerprint": compute.instance().metadata.fingerprint,
        "items": [*block["items"], {"key": "ssh-keys", "value": f"me:{login.public}"}],
    }
    compute.done(*compute.call("POST", "/instances/t1/setMetadata", own))
    assert login.said("echo in") == "in"


def test_an_instance_is_not_up_because_it_runs(login: Login, compute: ComputeZone, simulator: SimulatorProcess) -> None:
    """RUNNING with an address, but ssh is refused and no host key is told until its system is there."""
    simulator.turn(guest_boot_s=1)
    login.create(enable_guest_attributes="TRUE")
    assert compute.instance().status == "RUNNING" and login.run("true").returncode == 255
    assert compute.attributes("hostkeys/") == {}
    assert "Linux version" in compute.call("GET", "/instances/t1/serialPort")[1]["contents"]
    assert login.said("echo up") == "up"
    keys = compute.attributes("hostkeys/")
    host = login.known.read_text().split()
    assert keys[f"hostkeys/{host[1]}"] == host[2]


def test_guest_attributes_need_the_switch(login: Login, compute: ComputeZone) -> None:
    """Without enable-guest-attributes the metadata server refuses to take any, and the API has none."""
    login.create()
    put = f'curl -s -o /dev/null -w "%{{http_code}}" -X PUT --data x -H "Metadata-Flavor: Google" {ATTRIBUTES}'
    assert login.said(f"{put}/guest-attributes/my/key") == "403"
    status, document = compute.call("GET", "/instances/t1/getGuestAttributes?queryPath=my/")
    assert status == 404 and compute_rest.error(document)[1] == "notFound"
    seen = compute.instance().metadata
    items = [
        *({"key": i.key, "value": i.value} for i in seen.items),
        {"key": "enable-guest-attributes", "value": "true"},
    ]
    change = {"fingerprint": seen.fingerprint, "items": items}
    compute.done(*compute.call("POST", "/instances/t1/setMetadata", change))
    assert login.said(f"{put}/guest-attributes/my/key") == "200"
    assert compute.attributes("my/key") == compute.attributes("my/") == {"my/key": "x"}


def test_the_metadata_server_knows_the_instance(login: Login, compute: ComputeZone) -> None:
    """Name, numbers, zone, scheduling and the project's own attributes; no token, for nobody gave it an account."""
    login.create(custom="value")
    share(compute, "other:ssh-ed25519 AAAA")
    ask = {
        "instance/name": "t1",
        "instance/attributes/custom": "value",
        "instance/scheduling/preemptible": "FALSE",
        "instance/preempted": "FALSE",
        "project/project-id": "p",
        "project/attributes/ssh-keys": "other:ssh-ed25519 AAAA",
        "instance/service-accounts/default/token": "Not Found",
        "instance/id": str(compute.instance().id),
    }
    host = "http://$GCE_METADATA_HOST/computeMetadata/v1"
    for path, answer in ask.items():
        assert login.said(f'curl -s -H "Metadata-Flavor: Google" "{host}/{path}"') == answer, path


def test_a_preemption_is_seen_from_inside_first(
    login: Login, compute: ComputeZone, simulator: SimulatorProcess
) -> None:
    """`preempted` turns to TRUE while the machine still runs, for as long as the notice is."""
    items = [{"key": "ssh-keys", "value": f"me:{login.public}"}]
    compute.insert(metadata={"items": items}, scheduling={"provisioningModel": "SPOT"})
    host = "http://$GCE_METADATA_HOST/computeMetadata/v1/instance"
    ask = f'curl -s -H "Metadata-Flavor: Google" "{host}/preempted"'
    assert login.said(ask) == "FALSE"
    simulator.turn(preempt_after_s=0, preempt_notice_s=3)
    assert rest.eventually(lambda: login.said(ask), lambda told: told == "TRUE")
    rest.eventually(lambda: compute.instance().status, lambda status: status == "TERMINATED")
    assert login.run("true").returncode == 255


def test_a_reboot_from_inside_keeps_the_disk(login: Login) -> None:
    """`reboot` ends what runs, and the machine comes up again with its files."""
    login.create()
    login.said("touch kept")
    assert login.run("reboot; sleep 60").returncode == 255
    assert login.said("ls") == "kept"


def test_the_run_duration_ends_the_processes_too(
    login: Login, compute: ComputeZone, simulator: SimulatorProcess
) -> None:
    """The cloud deletes the machine by itself; nothing of it runs on, and it is not found any more."""
    login.create()
    pid = int(login.said("setsid sleep 1000 >/dev/null 2>&1 & echo $!"))
    assert not test_machines.gone(pid)
    soon = {"terminationTime": _in_seconds(2), "instanceTerminationAction": "DELETE"}
    compute.done(*compute.call("POST", "/instances/t1/setScheduling", soon))
    rest.eventually(lambda: compute.call("GET", "/instances/t1")[0], lambda status: status == 404)
    assert test_machines.gone(pid)


def _in_seconds(seconds: float) -> str:
    """RFC 3339."""
    return (datetime.now(tz=UTC) + timedelta(seconds=seconds)).isoformat()
