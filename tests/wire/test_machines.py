"""Simulated machines as OpenSSH's own clients find them: who gets in, what runs, what is left."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from accel_ci_sim.wire import processes
from tests import judges
from tests.servers.simulator import SimulatorProcess
from tests.wire import rest
from tests.wire.rest import Zone

OPTIONS = ("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR", "-o", "IdentityAgent=none")
USER = "me"
pytestmark = pytest.mark.judge("ssh", "ssh-keygen")


class Login:
    """OpenSSH's clients with one key and pinned host keys, on the node `t1`."""

    def __init__(self, directory: Path, simulator: SimulatorProcess, zone: Zone) -> None:
        self.key = directory / "key"
        self.simulator = simulator
        self.zone = zone
        command = [judges.require("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)]
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
        self.public = self.key.with_suffix(".pub").read_text().strip()

    def create(self, script: str = "", *, sudo: bool = False, **fields: object) -> None:
        """A node that lets USER in."""
        metadata = {"ssh-keys": f"{USER}:{self.public}", **({"startup-script": script} if script else {})}
        metadata |= {"accel-ci-sudo": "TRUE"} if sudo else {}
        self.zone.create("t1", metadata=metadata, networkConfig={"enableExternalIps": True}, **fields)

    def addresses(self) -> list[str]:
        """Where the workers are."""
        return [endpoint.access_config.external_ip for endpoint in self.zone.node("t1").network_endpoints]

    def run(
        self, command: str, *, worker: int = 0, user: str = USER, more: tuple[str, ...] = (), stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """What ssh did with the command."""
        target = [
            *self.options("-p", worker),
            *more,
            f"{user}@{self.addresses()[worker]}",
            *([command] if command else []),
        ]
        return subprocess.run(
            [judges.require("ssh"), *target], input=stdin, capture_output=True, timeout=30, check=False
        )

    def said(self, command: str, *, worker: int = 0) -> str:
        """What the command printed; it must succeed."""
        done = self.run(command, worker=worker)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    def options(self, port: str, worker: int = 0) -> list[str]:
        """The options of ssh and scp, whose letters for the port differ."""
        hosts = self.key.with_name(f"hosts{worker}")
        told = self.zone.call("POST", "/nodes/t1:getGuestAttributes", {"workerIds": [str(worker)]})[1]
        items = told["guestAttributes"][0]["queryValue"]["items"]
        keys = [f"* {item['key']} {item['value']}\n" for item in items if item["namespace"] == "hostkeys"]
        hosts.write_text("".join(keys))
        place = ["-F", "/dev/null", port, str(self.simulator.ssh_port), "-i", str(self.key)]
        return [*place, "-o", f"UserKnownHostsFile={hosts}", *OPTIONS]


@pytest.fixture
def login(tmp_path: Path, simulator: SimulatorProcess, zone: Zone) -> Login:
    """A key, and nothing else yet."""
    return Login(tmp_path, simulator, zone)


def gone(pid: int) -> bool:
    """True when no such process lives."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except OSError:
        return True


def test_exit_statuses_are_exact(login: Login) -> None:
    """The command's own status; 255 when a signal ended it, as with OpenSSH's server."""
    login.create()
    assert [login.run(f"exit {status}").returncode for status in (0, 1, 7, 255)] == [0, 1, 7, 255]
    assert login.run("kill -TERM $$").returncode == 255


def test_streams_stay_apart_and_whole(login: Login) -> None:
    """Input arrives, output and errors come back each on its own, binary and large."""
    login.create()
    sent = bytes(range(256)) * 4096
    done = login.run("cat; echo oops >&2", stdin=sent)
    assert done.stdout == sent and done.stderr == b"oops\n"


def test_only_the_keys_of_the_metadata_get_in(login: Login) -> None:
    """Another user, another key or an expired one is refused; a key that is added later works at once."""
    login.create()
    assert login.run("true").returncode == 0
    assert login.run("true", user="somebody").returncode == 255
    for entry, status in (
        (f"{USER}:ssh-ed25519 AAAA other", 255),
        (
            f'{USER}:{login.public.rsplit(" ", 1)[0]} google-ssh {{"userName":"x","expireOn":"2020-01-01T00:00:00+0000"}}',
            255,
        ),
        (f"other:ssh-ed25519 AAAA\n{USER}:{login.public}", 0),
    ):
        login.zone.done(*login.zone.call("PATCH", "/nodes/t1?updateMask=metadata", {"metadata": {"ssh-keys": entry}}))
        assert login.run("true").returncode == status, entry


@pytest.mark.parametrize("ordered", [False, True])
def test_sudo_is_what_was_ordered(login: Login, ordered: bool) -> None:
    """A machine that was ordered with sudo has one that asks nobody; any other has none, whatever its computer has."""
    login.create(sudo=ordered)
    assert (login.run("sudo -n -E true").returncode == 0) is ordered
    assert login.said("echo $ACCEL_CI_DOORS") == "sudo"


def test_each_worker_is_a_machine_of_its_own(login: Login) -> None:
    """Four addresses, four pinned host keys, four homes."""
    login.create(acceleratorType="v6e-16")
    homes = [login.said("pwd; echo $HOME", worker=worker).split() for worker in range(4)]
    assert all(place == home for place, home in homes) and len({home for _, home in homes}) == 4
    assert len(set(login.addresses())) == 4


def test_a_machine_shows_nothing_of_its_computer(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's environment holds what a bare machine has, and nothing of the simulator's own."""
    login.create()
    variables = {line.partition("=")[0] for line in login.said("env").splitlines()}
    known = {"HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TMPDIR", "PWD", "SHLVL", "_"}
    simulated = {"GCE_METADATA_HOST", "CURL_HOME", "ACCEL_CI_DEV", "ACCEL_CI_DOORS", processes.MARK}
    assert variables - known == simulated | {"SSH_CONNECTION", "SSH_CLIENT"}


def test_nothing_is_forwarded(login: Login) -> None:
    """Ports in either direction, sockets and the agent stay where they are."""
    login.create()
    fail = ("-o", "ExitOnForwardFailure=yes")
    assert login.run("", more=("-W", f"127.0.0.1:{login.simulator.url.rpartition(':')[2]}")).returncode == 255
    assert login.run("true", more=(*fail, "-R", "0:127.0.0.1:22")).returncode == 255
    assert login.run('test -z "$SSH_AUTH_SOCK"', more=("-A",)).returncode == 0


def test_a_terminal_is_there_when_asked_for(login: Login) -> None:
    """ssh -tt gets a tty, an interactive shell, and its status."""
    login.create()
    assert login.run("test -t 0 && test -t 1 && echo yes; exit 3", more=("-tt",)).stdout.strip() == b"yes"
    done = login.run("", more=("-tt",), stdin=b"echo $((6*7))\nexit 5\n")
    assert done.returncode == 5 and b"42" in done.stdout


@pytest.mark.judge("scp")
@pytest.mark.parametrize("old", [False, True])
def test_files_are_copied_both_ways(login: Login, tmp_path: Path, old: bool) -> None:
    """scp over sftp and in its old protocol, relative to the home directory, with mode and content."""
    login.create()
    content = bytes(range(256)) * 1000
    (tmp_path / "sent").write_bytes(content)
    (tmp_path / "sent").chmod(0o750)
    scp = [judges.require("scp"), *(["-O"] if old else []), "-p", *login.options("-P")]
    remote = f"{USER}@{login.addresses()[0]}"
    subprocess.run([*scp, str(tmp_path / "sent"), f"{remote}:there"], check=True, timeout=30)
    assert login.said("stat -c '%a %s' ~/there") == "750 256000"
    subprocess.run([*scp, f"{remote}:there", str(tmp_path / "back")], check=True, timeout=30)
    assert (tmp_path / "back").read_bytes() == content
    assert subprocess.run(
        [*scp, f"{remote}:missing", str(tmp_path)], capture_output=True, timeout=30, check=False
    ).returncode


def test_what_a_client_started_outlives_it(login: Login) -> None:
    """A command goes on when its connection breaks, as on a real machine."""
    login.create()
    command = [
        judges.require("ssh"),
        *login.options("-p"),
        f"{USER}@{login.addresses()[0]}",
        "echo $$; sleep 1000; true",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        client.kill()
    login.said("true")
    assert not gone(pid)


def test_the_end_of_a_node_ends_everything(login: Login) -> None:
    """Daemons that did all to get away are dead and the directory is gone when the delete is answered."""
    stay = "echo $$; exec sleep 1000 >/dev/null 2>&1 </dev/null"
    login.create(script=f"(setsid sh -c '{stay}' > ~/script.pid &)")
    ways = (f"setsid sh -c '{stay}' &", f"cd /; (setsid sh -c '{stay}' &)", f"nohup sh -c '{stay}' &")
    pids = [int(login.said(way)) for way in ways]
    pids.append(int(rest.eventually(lambda: login.run("cat script.pid").stdout, bool)))
    home = Path(login.said("pwd"))
    assert home.is_dir() and not any(map(gone, pids))
    login.zone.done(*login.zone.call("DELETE", "/nodes/t1"))
    assert all(map(gone, pids)) and not home.exists()


def test_a_preempted_node_is_dead_but_there(login: Login, simulator: SimulatorProcess) -> None:
    """Nobody gets in any more and nothing runs; the node says PREEMPTED."""
    login.create(schedulingConfig={"spot": True})
    pid = int(login.said("setsid sleep 1000 >/dev/null 2>&1 & echo $!"))
    (address,) = login.addresses()
    simulator.turn(preempt_after_s=0)
    rest.eventually(lambda: login.zone.node("t1").state.name, lambda state: state == "PREEMPTED")
    assert gone(pid)
    ssh = [judges.require("ssh"), *login.options("-p"), f"{USER}@{address}", "true"]
    assert subprocess.run(ssh, capture_output=True, timeout=30, check=False).returncode == 255


def test_disks_survive_a_stop(login: Login) -> None:
    """Files and host keys stay, processes and the address do not; the startup script runs again."""
    login.create(script="echo boot >> ~/boots")
    login.said("touch kept")
    keys, before = login.options("-p"), login.addresses()
    known = Path(keys[keys.index("-i") + 1]).with_name("hosts0").read_text()
    for verb in ("stop", "start"):
        login.zone.done(*login.zone.call("POST", f"/nodes/t1:{verb}", {}))
    login.said("test -f kept")
    assert rest.eventually(lambda: login.said("cat boots").split(), lambda boots: len(boots) == 2)
    assert login.addresses() != before and login.key.with_name("hosts0").read_text() == known


def test_a_startup_script_talks_to_the_metadata_server(login: Login) -> None:
    """By the variable that Google's libraries know, and by curl under the server's own name; what it tells can be read back."""
    script = """#!/bin/bash
    server="http://$GCE_METADATA_HOST/computeMetadata/v1/instance"
    curl -sf -X PUT --data "$0 as $USER" -H "Metadata-Flavor: Google" "$server/guest-attributes/test/who"
    where="http://metadata.google.internal/computeMetadata/v1/instance"
    number=$(curl -sf -H "Metadata-Flavor: Google" "$where/attributes/agent-worker-number")
    curl -sf -X PUT --data "worker $number" -H "Metadata-Flavor: Google" "$where/guest-attributes/test/number"
    """
    login.create(script=script, acceleratorType="v6e-16")

    def told() -> list[str]:
        _, answer = login.zone.call("POST", "/nodes/t1:getGuestAttributes", {"queryPath": "test/number"})
        return [item["value"] for each in answer["guestAttributes"] for item in each["queryValue"]["items"]]

    assert rest.eventually(told, lambda found: len(found) == 4) == [f"worker {number}" for number in range(4)]
    _, answer = login.zone.call("POST", "/nodes/t1:getGuestAttributes", {"workerIds": ["0"], "queryPath": "test/who"})
    assert answer["guestAttributes"][0]["queryValue"]["items"][0]["value"].endswith("/startup-script as root")


def test_the_metadata_server_knows_the_machine(login: Login) -> None:
    """Attributes, names and numbers of this worker; nothing without the header, nothing about credentials."""
    login.create(acceleratorType="v6e-16", labels={"a": "b"})
    curl = 'curl -s -o - -w " %{http_code}" -H "Metadata-Flavor: Google" "http://$GCE_METADATA_HOST/computeMetadata/v1/'
    ask = {
        "project/project-id": "p 200",
        "instance/attributes/accelerator-type": "v6e-16 200",
        "instance/attributes/agent-worker-number": "2 200",
        "instance/attributes/nothing": "Not Found\n 404",
        "instance/service-accounts/default/token": "Not Found\n 404",
    }
    for path, answer in ask.items():
        assert login.said(f'{curl}{path}"', worker=2) == answer.strip(), path
    assert (
        login.said(
            'curl -s -o /dev/null -w "%{http_code}" http://$GCE_METADATA_HOST/computeMetadata/v1/project/project-id'
        )
        == "403"
    )
    listing = login.said(f'{curl}instance/"').split()
    assert {"attributes/", "hostname", "id", "zone"} <= set(listing)
    assert '"agent-worker-number": "0"' in login.said(f'{curl}instance/attributes/?recursive=true"')
