"""Our ssh transport beside plain OpenSSH and paramiko, in one run on loopback, which takes about a minute.

Usage: python -m bench.ssh

64 workers are 64 addresses (127.0.0.2 and up) behind 4 sshd. They share this computer's cores with the clients, so the
servers' own work is in every figure. "ssh" has OpenSSH's own settings, and every command is a connection of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO

import paramiko  # type: ignore[import-untyped]

from accel_ci.adapters import ssh
from accel_ci.adapters.git_source import GitSources
from accel_ci.adapters.loop_thread import LoopThread
from accel_ci.adapters.supervised import SupervisedRemote
from accel_ci.domain.machine import Machine, State, Worker
from accel_ci.domain.workload import Package, Phase, WorkspaceSource
from accel_ci.ports.remote import Output
from tests import judges
from tests.servers.sshd import Endpoint, Sshd, free_port

CONNECTIONS = 64
UPLOADS = 16
FILES = 2000
FILE_BYTES = 25_000
STREAM_BYTES = 200_000_000
ROUNDS = 3
LIMIT_S = 120

Row = tuple[str, float]


class Ground:
    """The servers, and the ways to them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key_file = str(directory / "key")
        self.endpoints: list[Endpoint] = [(f"127.0.0.{number + 2}", free_port()) for number in range(CONNECTIONS)]
        self.server = Sshd(directory, self.endpoints, public_key=ssh.new_key(self.key_file))
        (directory / "known_hosts").write_text(f"* {self.server.host_key}\n")

    def machine(self, workers: int) -> Machine:
        """The first workers, as the port knows them."""
        known = {"user": self.server.user, "host_keys": (self.server.host_key,)}
        listed = [
            Worker(index=index, address=address, port=port, **known)  # type: ignore[arg-type]
            for index, (address, port) in enumerate(self.endpoints[:workers])
        ]
        return Machine(
            handle="bench://machine",
            name="machine",
            zone="here",
            accelerator="none",
            spot=False,
            state=State.READY,
            workers=tuple(listed),
        )

    def options(self, endpoint: Endpoint, port: str) -> list[str]:
        """What ssh and scp need to get in; `port` is how the program spells that option."""
        files = [f"UserKnownHostsFile={self.directory}/known_hosts", f"IdentityFile={self.key_file}"]
        settings = [*files, "BatchMode=yes", "IdentitiesOnly=yes", "LogLevel=ERROR"]
        return ["-F", "/dev/null", port, str(endpoint[1]), *(word for each in settings for word in ("-o", each))]

    def ssh(self, endpoint: Endpoint, command: str) -> list[str]:
        """The plain ssh command."""
        return ["ssh", *self.options(endpoint, "-p"), f"{self.server.user}@{endpoint[0]}", command]

    def paramiko(self, endpoint: Endpoint) -> paramiko.SSHClient:
        """A paramiko connection."""
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(
            *endpoint,
            username=self.server.user,
            pkey=paramiko.Ed25519Key.from_private_key_file(self.key_file),
            allow_agent=False,
            look_for_keys=False,
        )
        return client


def main() -> None:
    """Print each task with the seconds of every way, and how much longer than ours it takes."""
    if judges.find("sshd") is None:
        print("not run here: bench.ssh (sshd is not installed)")
        return
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        ground = Ground(Path(directory))
        try:
            _show(f"`true` on {CONNECTIONS} workers", _connections(ground))
            _show(f"{FILES * FILE_BYTES // 10**6} MB in {FILES} files to {UPLOADS} workers", _uploads(ground))
            _show(f"{STREAM_BYTES // 10**6} MB of output from one worker", _streams(ground))
        finally:
            ground.server.close()


def _show(task: str, rows: Sequence[Row]) -> None:
    print(task)
    for name, seconds in rows:
        print(f"  {name:<52}{seconds:>8.2f} s{seconds / rows[0][1]:>8.1f} times", flush=True)


def _connections(ground: Ground) -> list[Row]:
    machine, loop = ground.machine(CONNECTIONS), LoopThread()
    new, warm = [], []
    for _ in range(ROUNDS):
        over = ssh.Ssh(ground.key_file)
        new.append(_seconds(partial(loop.run, _connect(over, machine))))
        warm.append(_seconds(partial(loop.run, _true(over, machine))))
        loop.run(over.close())
    plain = [_seconds(lambda: _at_once(ground.ssh(each, "true") for each in ground.endpoints)) for _ in range(ROUNDS)]
    loop.close(over.close)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        clients: list[paramiko.SSHClient] = []
        first = _seconds(
            lambda: clients.extend(pool.map(lambda each: _paramiko_true(ground.paramiko(each)), ground.endpoints))
        )
        again = _seconds(lambda: list(pool.map(_paramiko_true, clients)))
        list(pool.map(paramiko.SSHClient.close, clients))
    return [
        ("ours, new connections (a shell said hello on each)", statistics.median(new)),
        ("ours, open connections", statistics.median(warm)),
        ("ssh, all at once", statistics.median(plain)),
        ("paramiko, a thread each, new connections", first),
        ("paramiko, a thread each, open connections", again),
    ]


def _uploads(ground: Ground) -> list[Row]:
    tree = ground.directory / "tree"
    tree.mkdir()
    for number in range(FILES):  # every other file is one that no compression makes smaller
        content = (
            random.Random(number).randbytes(FILE_BYTES) if number % 2 else b"a line of text\n" * (FILE_BYTES // 15)
        )
        (tree / f"file{number}").write_bytes(content)
    package = GitSources({"PATH": os.defpath}).pack(
        WorkspaceSource(directory=str(tree)), into=str(ground.directory / "package")
    )
    kinds: list[tuple[str, Callable[[Ground, Path, Package], None]]] = [
        ("ours, connect, prepare and put", _put),
        ("tar | ssh tar, all at once", _tar_over_ssh),
        ("scp -r, all at once", _scp),
        ("paramiko sftp, a thread each", _sftp),
    ]
    rows = []
    for name, upload in kinds:
        rows.append((name, _seconds(partial(upload, ground, tree, package))))
        for home in ground.server.homes.values():
            shutil.rmtree(home)
            home.mkdir()
    return rows


def _put(ground: Ground, tree: Path, package: Package) -> None:
    machine = ground.machine(UPLOADS)
    with SupervisedRemote(ssh.Ssh(ground.key_file)) as remote:
        remote.prepare(machine)
        remote.put(machine, package)


def _tar_over_ssh(ground: Ground, tree: Path, package: Package) -> None:
    with ExitStack() as files:
        packages = [files.enter_context(open(package.path, "rb")) for _ in range(UPLOADS)]
        commands = [ground.ssh(each, "mkdir ~/there && tar -x -C ~/there") for each in ground.endpoints[:UPLOADS]]
        _at_once(commands, packages)


def _scp(ground: Ground, tree: Path, package: Package) -> None:
    _at_once(
        ["scp", "-rq", *ground.options(each, "-P"), str(tree), f"{each[0]}:{ground.server.homes[each]}/there"]
        for each in ground.endpoints[:UPLOADS]
    )


def _sftp(ground: Ground, tree: Path, package: Package) -> None:
    with ThreadPoolExecutor(UPLOADS) as pool:
        list(pool.map(lambda endpoint: _sftp_one(ground, tree, endpoint), ground.endpoints[:UPLOADS]))


def _sftp_one(ground: Ground, tree: Path, endpoint: Endpoint) -> None:
    with ground.paramiko(endpoint) as client, client.open_sftp() as sftp:
        for file in tree.iterdir():
            sftp.put(str(file), f"{ground.server.homes[endpoint]}/{file.name}")


def _streams(ground: Ground) -> list[Row]:
    command = f"head -c {STREAM_BYTES} /dev/zero"
    endpoint = ground.endpoints[0]
    return [
        ("ours, start and attach", _seconds(partial(_attach, ground, command))),
        ("ssh to a pipe", _seconds(lambda: _at_once([ground.ssh(endpoint, command)]))),
        ("paramiko", _seconds(partial(_read_paramiko, ground, endpoint, command))),
    ]


def _attach(ground: Ground, command: str) -> None:
    machine = ground.machine(1)
    lease = time.time() + LIMIT_S
    phase = Phase(name="run", command=command, key="k", nonce="n", limit_s=LIMIT_S, lease_expires_at=lease)
    with SupervisedRemote(ssh.Ssh(ground.key_file)) as remote:
        remote.prepare(machine)
        (ground.server.homes[ground.endpoints[0]] / machine.root / "source").mkdir()
        remote.start(machine, phase)
        received = sum(len(event.data) for event in remote.attach(machine, phase, {0: 0}) if isinstance(event, Output))
    assert received == STREAM_BYTES


def _read_paramiko(ground: Ground, endpoint: Endpoint, command: str) -> None:
    with ground.paramiko(endpoint) as client:
        stdout = client.exec_command(command)[1]
        received = 0
        while data := stdout.channel.recv(1 << 18):
            received += len(data)
    assert received == STREAM_BYTES


async def _connect(over: ssh.Ssh, machine: Machine) -> None:
    await asyncio.gather(*(over.connect(machine, worker) for worker in machine.workers))


async def _true(over: ssh.Ssh, machine: Machine) -> None:
    async def true(worker: Worker) -> None:
        opened = await over.open(machine, worker, ["true"], stdin=subprocess.DEVNULL)
        assert await opened.process.wait() == 0
        await opened.end()

    await asyncio.gather(*map(true, machine.workers))


def _paramiko_true(client: paramiko.SSHClient) -> paramiko.SSHClient:
    assert client.exec_command("true")[1].channel.recv_exit_status() == 0
    return client


def _at_once(commands: Iterable[Sequence[str]], inputs: Sequence[IO[bytes]] = ()) -> None:
    given: Iterable[int | IO[bytes]] = itertools.chain(inputs, itertools.repeat(subprocess.DEVNULL))
    running = [
        subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE)
        for command, stdin in zip(commands, given, strict=False)
    ]
    for process in running:
        assert process.stdout is not None
        while process.stdout.read(1 << 18):
            pass
        assert process.wait(LIMIT_S) == 0
        process.stdout.close()


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
