"""One simulated host: a loopback address with an sshd and a metadata server, a scratch directory, real processes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

import asyncssh

from accel_ci_sim.wire import http_server, metadata_server, processes, programs, ssh_keys
from accel_ci_sim.wire.console import Console
from accel_ci_sim.wire.guest import Guest
from accel_ci_sim.wire.outlet import Outlet
from accel_ci_sim.wire.ssh_server import SHELL, SshServer

KEY_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256")
METADATA = "metadata.google.internal"
STARTUP = "startup-script"


class Machine:
    """A host. `home` is where logins and commands begin; `console` has what the serial port said since power came on."""

    def __init__(self, guest: Guest, directory: Path, *, path: str) -> None:
        self.home = directory / "home"
        self.console = Console(guest.hostname)
        self._guest = guest
        self._directory = directory
        self._programs = directory / "bin"
        self._path = path
        self._keys: list[asyncssh.SSHKey] = []
        self._sshd: SshServer | None = None
        self._metadata: asyncio.Server | None = None
        self._startup: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where it is, or was when it was last turned on; "" before."""
        return self._guest.computer.address

    def power_on(self, address: str, port: int) -> None:
        """Have that address; nobody answers there yet."""
        self._guest.computer.address, self._guest.computer.port = address, port
        self.console.begin()

    async def come_up(self) -> None:
        """Boot: when this returns, the machine can be reached and its startup script runs."""
        computer = self._guest.computer
        address = computer.address
        # A reboot keeps the disk, and with it the host keys.
        if not self._keys:
            self._install()
        self._metadata = await metadata_server.serve(self._guest, address)
        host = f"{address}:{http_server.port_of(self._metadata)}"
        (self._directory / "curl" / ".curlrc").write_text(f'connect-to = "{METADATA}:80:{host}"\n')
        self._host = host
        self._write_programs()
        for name in self._guest.devices():
            device = self._directory / "dev" / name
            device.parent.mkdir(parents=True, exist_ok=True)
            # Nobody may make a device without being root: a file of that name is what a glob finds.
            device.touch()
        self._sshd = SshServer(self)
        await self._sshd.listen(address, computer.port, keys=self._keys)
        self._tell_host_keys()
        computer.on = True
        self.console.come_up()
        await self._run_startup_script()

    def power_off(self) -> None:
        """Nobody gets in or is in any more. Whoever calls this ends the processes."""
        if self._sshd is not None:
            self._sshd.close()
        if self._metadata is not None:
            self._metadata.close()
        if self._startup is not None:
            self._startup.cancel()
        self._guest.computer.on = False

    def lets_in(self, user: str, key: tuple[str, str]) -> bool:
        """True when the metadata, as it is now, gives the user this key."""
        # As it is now: keys may be added and taken away while the machine runs.
        return key in ssh_keys.allowed(self._guest.metadata(), user, now=time.time())

    def environment(self, user: str) -> Mapping[str, str]:
        """The variables of the user's commands: those of a bare machine, and where its metadata server is."""
        return {
            "HOME": str(self.home),
            "USER": user,
            "LOGNAME": user,
            "SHELL": SHELL,
            "PATH": f"{self._programs}{os.pathsep}{self._path}",
            "LANG": "C.UTF-8",
            "TMPDIR": str(self._directory / "tmp"),
            "GCE_METADATA_HOST": self._host,
            # Boot scripts call metadata.google.internal: curl is led to this machine's own server instead.
            "CURL_HOME": str(self._directory / "curl"),
            "ACCEL_CI_DEV": str(self._directory / "dev"),
            # The others are those of the user's own computer, which nobody shuts.
            "ACCEL_CI_DOORS": "sudo",
            processes.MARK: str(self._directory),
        }

    def _install(self) -> None:
        # Nobody else on this computer may look into a simulated machine.
        for place in (self.home, self._programs, self._directory / "curl", self._directory / "tmp"):
            place.mkdir(parents=True, mode=0o700)
        self._keys = [asyncssh.generate_private_key(kind) for kind in KEY_KINDS]

    def _write_programs(self) -> None:
        for name, text in {"sudo": programs.sudo(self._guest.metadata()), **self._guest.programs()}.items():
            file = self._programs / name
            # A shell may still read the old one: it keeps it, and finds no half of the new one.
            file.unlink(missing_ok=True)
            file.write_text(text)
            file.chmod(0o700)

    def _tell_host_keys(self) -> None:
        if self._guest.tells():
            for key in self._keys:
                kind, text = key.export_public_key().decode("ascii").split()[:2]
                self._guest.computer.attributes["hostkeys", kind] = text

    async def _run_startup_script(self) -> None:
        script = self._guest.metadata().get(STARTUP)
        if not script:
            return
        file = self._directory / STARTUP
        file.write_text(script)
        file.chmod(0o700)
        out = Outlet()
        process = await asyncio.create_subprocess_exec(
            *(SHELL, "-c", str(file)),
            cwd=self.home,
            env={**self.environment("root")},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out.inner,
            stderr=out.inner,
            # The end of the simulator's terminal must not reach it before the machine ends.
            start_new_session=True,
        )
        self._startup = asyncio.create_task(self.console.follow(STARTUP, process, out))


def path_of(environ: Mapping[str, str], *, without: Path) -> str:
    """The PATH of simulated machines: this computer's, less the simulator's own programs."""
    return os.pathsep.join(each for each in environ.get("PATH", os.defpath).split(os.pathsep) if each != str(without))
