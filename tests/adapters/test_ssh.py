"""What is special about the transport over OpenSSH."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_ci.adapters import ssh
from accel_ci.adapters.supervised import SupervisedRemote
from accel_ci.domain.errors import ConfigurationError, ConnectionLostError
from accel_ci.domain.machine import Worker
from accel_ci.ports.remote import Ended, Output
from tests.contracts import remote_worlds
from tests.contracts.remote_worlds import SshdWorld
from tests.servers.sshd import free_port

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPdOU0ovm6nMkl4PjYbgPcE3lWI0n7hZCV5cMmzrzYzU"
SOCKET_PATH_BYTES = 108
RANDOM_SUFFIX = ".0123456789abcdef"  # ssh makes the socket under a longer name first
client = pytest.mark.judge("ssh")
server = pytest.mark.judge("sshd")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SshdWorld]:
    """A sshd with two workers, each behind a proxy."""
    made = SshdWorld(tmp_path)
    yield made
    made.close()


@pytest.fixture
def private() -> Iterator[Path]:
    """An empty directory with a short path, for sockets."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as directory:
        yield Path(directory)


@client
def test_new_key_is_private(tmp_path: Path) -> None:
    """The private key can be read by us only; the public one is a line of text, and no other file is left."""
    public = ssh.new_key(str(tmp_path / "key"))
    assert public.split()[0] == "ssh-ed25519"
    assert "\n" not in public
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_without_openssh_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slim container has none: what to install is told before anything is leased."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="OpenSSH is not installed") as told:
        ssh.new_key(str(tmp_path / "key"))
    assert "openssh-client" in told.value.what_to_do


@client
def test_key_is_made_once(tmp_path: Path, private: Path) -> None:
    """Asking for the public key makes the key, and later, in another process too, finds it."""
    first = ssh.Ssh(str(tmp_path / "key"), directory=str(private)).public_key()
    assert ssh.Ssh(str(tmp_path / "key"), directory=str(private)).public_key() == first


@client
def test_key_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """When ssh-keygen fails, the error carries its words."""
    with pytest.raises(ConfigurationError, match=r"ssh-keygen failed: .*No such file"):
        ssh.new_key(str(tmp_path / "absent" / "key"))


@client
def test_settings_are_what_ssh_understands(tmp_path: Path) -> None:
    """ssh itself says: strict, no agent, no forwarding, no questions; our algorithms are preferred, others allowed."""
    config = tmp_path / "config"
    config.write_text(ssh.CONFIG)
    shown = subprocess.run(["ssh", "-G", "-F", config, "host"], capture_output=True, text=True, check=True).stdout
    settings = dict(line.partition(" ")[::2] for line in shown.splitlines())
    expected = {
        "batchmode": "yes",
        "stricthostkeychecking": "true",
        "identitiesonly": "yes",
        "forwardagent": "no",
        "forwardx11": "no",
        "clearallforwardings": "yes",
        "requesttty": "false",
        "identityagent": "none",
        "globalknownhostsfile": "/dev/null",
        "updatehostkeys": "false",
        "preferredauthentications": "publickey",
    }
    assert {name: settings.get(name) for name in expected} == expected
    assert settings["kexalgorithms"].split(",")[0] == "curve25519-sha256"
    assert settings["ciphers"].split(",")[0] == "aes128-gcm@openssh.com"
    assert min(len(settings[name].split(",")) for name in ("kexalgorithms", "ciphers")) > 3


@given(st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])), max_size=4))
def test_arguments_arrive_exactly(arguments: list[str]) -> None:
    """A shell on the other side hands the command the very same arguments, in a directory of any name."""
    with tempfile.TemporaryDirectory() as home:
        root = "it's a $HOME `id` \\ root"
        text = ssh.remote_text(root, ["sh", "-c", 'printf "%s\\0" "$PWD" "$@"', "sh", *arguments])
        environment = {"HOME": home, "PATH": os.environ["PATH"]}
        done = subprocess.run(["sh", "-c", text], env=environment, capture_output=True, check=True)
        assert done.stdout.decode().split("\0")[1:-1] == arguments
        assert done.stdout.decode().split("\0")[0].endswith(root)
        assert Path(home, root).stat().st_mode & 0o777 == 0o700


def test_absolute_root_is_taken_as_it_is() -> None:
    """A root that begins with a slash is not looked for in the home directory."""
    assert "cd -- '/a b' &&" in ssh.remote_text("/a b", ["true"])


def test_known_hosts_pin_the_key_and_nothing_else() -> None:
    """Only proper public keys come into known_hosts; comments, and lines smuggled in, stay out."""
    smuggled = f"{KEY}\n@cert-authority * {KEY}"
    worker = Worker(index=0, address="a", host_keys=(f"{KEY} root@host", smuggled, "@cert-authority * x", "# x", ""))
    assert ssh.known_hosts(worker) == f"* {KEY}\n"


@pytest.mark.parametrize("keys", [(), ("nonsense",), (f"* {KEY}",)])
def test_worker_without_host_key_is_refused(keys: tuple[str, ...]) -> None:
    """Without a usable host key nothing is dialled: we never trust on first use."""
    with pytest.raises(ConnectionLostError, match=r"w4.*host key is not known"):
        ssh.known_hosts(Worker(index=4, address="a", host_keys=keys))


def test_socket_path_is_short_enough(tmp_path: Path) -> None:
    """The path of a connection's socket, with the suffix that ssh adds for a moment, is within the system's limit."""
    machine = remote_worlds.machine("m" * 40, [Worker(index=9999, address="a" * 200)])
    over = ssh.Ssh(str(tmp_path / "key"))
    name = ssh.connection_name(machine, machine.workers[0])
    assert len(f"{over.directory}/{name}{RANDOM_SUFFIX}") < SOCKET_PATH_BYTES
    asyncio.run(over.close())
    assert not os.path.exists(over.directory)


@client
@server
def test_commands_share_one_connection(world: SshdWorld) -> None:
    """However much is asked of a worker, it sees one connection."""
    machine, phase = world.machine(2), remote_worlds.phase("true")
    with world.remote() as remote:
        remote.prepare(machine)
        remote.prepare(machine)
        remote.start(machine, phase)
        assert any(isinstance(event, Ended) for event in remote.attach(machine, phase, {0: 0, 1: 0}))
    assert [proxy.accepted for proxy in world.proxies] == [1, 1]


@client
@server
def test_killed_connection_is_made_again(world: SshdWorld) -> None:
    """When the connection's process was killed, its left-over socket does not hinder the next one."""
    machine = world.machine()
    with world.remote() as remote:
        remote.prepare(machine)
        (first,) = _connections()
        os.kill(first, signal.SIGKILL)
        while not _connections() - {first}:  # until its death is noticed, commands connect by themselves
            remote.prepare(machine)
        connected = world.proxies[0].accepted
        remote.prepare(machine)
        assert world.proxies[0].accepted == connected


@client
@server
def test_talkative_shell_is_no_trouble(world: SshdWorld) -> None:
    """What the user's start-up files print before our command is not taken for its answer or its output."""
    machine, phase = world.machine(), remote_worlds.phase("echo hello")
    (world.root(machine, 0).parent / ".bashrc").write_text("echo Welcome; echo to this host >&2\n")
    with world.remote() as remote:
        remote.prepare(machine)
        (world.root(machine, 0) / "source").mkdir()
        remote.start(machine, phase)
        said = [event.data for event in remote.attach(machine, phase, {0: 0}) if isinstance(event, Output)]
    assert b"".join(said) == b"hello\n"


@client
@server
def test_wrong_key_is_told(world: SshdWorld, tmp_path: Path) -> None:
    """A worker that does not know our key is a lost connection with ssh's own words."""
    ssh.new_key(str(tmp_path / "other"))
    why = r"w0 \(127.0.0.1\): no ssh connection: .*Permission denied"
    with SupervisedRemote(ssh.Ssh(str(tmp_path / "other"))) as remote, pytest.raises(ConnectionLostError, match=why):
        remote.prepare(world.machine())


@client
@server
def test_host_that_says_nothing_is_given_up(world: SshdWorld) -> None:
    """A host that takes the connection and is silent costs the agreed time and leaves nothing behind."""
    world.proxies[0].freeze()
    before = _connections()
    with contextlib.closing(SupervisedRemote(ssh.Ssh(str(world.key_file), connect_s=1))) as remote:
        with pytest.raises(ConnectionLostError, match="no ssh connection within 1 s"):
            remote.prepare(world.machine())
        assert _connections() == before


@client
def test_closed_port_is_told(tmp_path: Path, private: Path) -> None:
    """A port where nobody listens is a lost connection, with the system's reason."""
    ssh.new_key(str(tmp_path / "key"))
    nobody = Worker(index=0, address="127.0.0.1", port=free_port(), host_keys=(KEY,))
    over = ssh.Ssh(str(tmp_path / "key"), directory=str(private))
    with SupervisedRemote(over) as remote, pytest.raises(ConnectionLostError, match="Connection refused"):
        remote.prepare(remote_worlds.machine("m", [nobody]))
    assert not os.listdir(private)


def _connections() -> set[int]:
    """The processes of ours that hold connections."""
    return {int(path.name) for path in Path("/proc").glob("[0-9]*") if _is_connection(path)}


def _is_connection(process: Path) -> bool:
    try:
        parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
        return parent == str(os.getpid()) and b"\0-M\0" in (process / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
