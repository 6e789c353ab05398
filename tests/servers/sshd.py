"""Real OpenSSH servers on loopback, with host keys, settings and home directories of their own."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests import judges

START_S = 60.0
PORTS = range(20_000, 32_000)  # below those that the system gives to whoever asks for any
MOST_ADDRESSES = 16  # of one sshd: MAX_LISTEN_SOCKS in sshd.c
SETTINGS = """\
HostKey {directory}/host
PidFile none
UsePAM no
StrictModes no
AuthorizedKeysFile {directory}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 200
MaxSessions 20
Subsystem sftp internal-sftp
UseDNS no
PrintMotd no
PrintLastLog no
LogLevel ERROR
"""

Endpoint = tuple[str, int]


class Sshd:
    """Serves `endpoints`; whoever has the private key that belongs to `public_key` is in `homes[endpoint]`.

    `more` are further words of SetEnv, and settings on lines of their own.
    """

    def __init__(self, directory: Path, endpoints: Sequence[Endpoint], *, public_key: str, more: str = "") -> None:
        self.host_key = host_key(directory / "host")
        self.user = getpass.getuser()
        self._more = more
        self.homes = {endpoint: directory / f"home{index}" for index, endpoint in enumerate(endpoints)}
        (directory / "authorized_keys").write_text(public_key + "\n")
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # sshd insists on it, and the service that makes it may not run
        self._servers = [
            self._serve(directory, endpoints[start : start + MOST_ADDRESSES], number=start)
            for start in range(0, len(endpoints), MOST_ADDRESSES)
        ]
        for endpoint in endpoints:
            _await(endpoint)

    def close(self) -> None:
        """End the servers; what users started goes on."""
        for server in self._servers:
            server.terminate()
            server.wait(START_S)

    def _serve(self, directory: Path, endpoints: Sequence[Endpoint], *, number: int) -> subprocess.Popen[bytes]:
        listen = [f"ListenAddress {address}:{port}" for address, port in endpoints]
        for endpoint in endpoints:
            self.homes[endpoint].mkdir()
        homes = [
            f"Match LocalAddress {address} LocalPort {port}\n  SetEnv HOME={self.homes[address, port]}{self._more}"
            for address, port in endpoints
        ]
        settings = directory / f"sshd_config{number}"
        settings.write_text("\n".join([SETTINGS.format(directory=directory), *listen, *homes]) + "\n")
        command = [judges.require("sshd"), "-D", "-f", str(settings), "-E", str(directory / "sshd.log")]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


def host_key(path: Path) -> str:
    """Make a host key in the file `path`; its public key as one line."""
    subprocess.run(
        [judges.require("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "host", "-f", path],
        stdin=subprocess.DEVNULL,
        check=True,
    )
    return path.with_name(path.name + ".pub").read_text().strip()


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens now, and which no other test is given by chance meanwhile."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _await(endpoint: Endpoint) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(endpoint, timeout=START_S).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError(f"sshd does not listen on {endpoint}")
