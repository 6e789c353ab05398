"""A running simulator: the model of the cloud, its machines and its HTTP interface, put together in one asyncio loop."""

from __future__ import annotations

import asyncio
import fcntl
import math
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from accel_ci_sim.wire import api, environment, hosts, http_server, loopback, machine, processes, tpu_inside
from accel_ci_sim.wire.compute_inside import Insides
from accel_ci_sim.wire.compute_service import ComputeService
from accel_ci_sim.wire.environment import Site
from accel_ci_sim.wire.front import Front
from accel_ci_sim.wire.hosts import LoopbackHosts
from accel_ci_sim.wire.identity_service import IdentityService
from accel_ci_sim.wire.knob_file import KnobFile
from accel_ci_sim.wire.real_time import RealTime
from accel_ci_sim.wire.tpu_service import TpuService
from accel_ci_sim.world.compute import ComputeCloud
from accel_ci_sim.world.compute_instance import Instance
from accel_ci_sim.world.tpu import TpuCloud
from accel_ci_sim.world.tpu_node import Node
from accel_ci_sim.world.tpu_queue import TpuQueue

HOST = "127.0.0.1"
GLANCE_S = 0.2  # how often the knobs' file is looked at when no request comes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to run: where to keep things, where to write the exports, which port (0: any), which ssh ports to try,

    and what clients use when they name no project or zone.
    """

    directory: Path
    env_file: Path
    port: int
    ssh_ports: tuple[int, ...]
    project: str
    zone: str


class BusyError(Exception):
    """Another simulator has the directory."""


class Simulator:
    """An async context: inside, everything is up; afterwards nothing is left but the log, the knobs and the settings."""

    def __init__(self, plan: Plan, *, environ: Mapping[str, str]) -> None:
        self._plan = plan
        self._environ = environ
        self._closing = AsyncExitStack()
        self.site: Site

    async def __aenter__(self) -> Simulator:
        try:
            await self._open()
        except BaseException:
            await self._closing.aclose()
            raise
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._plan.env_file.unlink(missing_ok=True)
        await self._closing.aclose()

    async def _open(self) -> None:
        plan, closing = self._plan, self._closing
        plan.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        closing.enter_context(_locked(plan.directory / "lock"))
        log = closing.enter_context((plan.directory / "log").open("a", buffering=1))
        machines = plan.directory / "machines"
        processes.end(machines)  # of one that was killed
        shutil.rmtree(machines, ignore_errors=True)
        machines.mkdir(mode=0o700)
        addresses = loopback.claim(plan.ssh_ports)
        closing.callback(addresses.close)
        path = machine.path_of(self._environ, without=plan.directory / "bin")
        place = hosts.Site(addresses=addresses, directory=machines, path=path, failed=lambda text: _say(log, text))
        closing.callback(shutil.rmtree, machines, ignore_errors=True)
        knobs = KnobFile(plan.directory / "knobs.json")
        knobs.changed()
        nodes: LoopbackHosts[Node] = LoopbackHosts(place, tpu_inside.guests)
        closing.push_async_callback(nodes.close)
        tpu = TpuCloud(RealTime(), nodes, knobs.knobs)
        insides = Insides()
        instances: LoopbackHosts[Instance] = LoopbackHosts(place, insides.guests)
        closing.push_async_callback(instances.close)
        insides.cloud = compute = ComputeCloud(RealTime(), instances, knobs.knobs)
        identity = IdentityService(plan.project, lambda: knobs.knobs, now=time.time)
        apis = [
            *api.tpu_apis(tpu, TpuService(tpu, TpuQueue(tpu))),
            api.compute_api(compute, ComputeService(compute, instances.console)),
        ]
        front = Front(tpu, compute, knobs, apis=apis, identity=identity, log=lambda text: _say(log, text))
        server = await http_server.serve(front.answer, HOST, plan.port)
        closing.callback(server.close)
        looking = asyncio.create_task(_look(front))
        closing.callback(looking.cancel)
        self.site = Site(
            directory=plan.directory,
            url=f"http://{HOST}:{http_server.port_of(server)}",
            block=addresses.block,
            ssh_port=addresses.port,
            project=plan.project,
            zone=plan.zone,
            provider=identity.provider,
            account=identity.account,
            bearer=identity.bearer,
        )
        token = f"ya29.simulated-{secrets.token_hex(16)}"
        identity.state.grant(token, "user:you@example.com", expires_at=math.inf)
        environment.write(self.site, plan.env_file, token=token)


async def _look(front: Front) -> None:
    while True:
        await asyncio.sleep(GLANCE_S)
        front.look_at_knobs()


def _locked(path: Path) -> IO[bytes]:
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise BusyError(f"another simulator is running in {path.parent}") from error
    return file


def _say(log: IO[str], text: str) -> None:
    stamp = f"{RealTime().now:.3f}"
    log.write(f"{stamp} {os.getpid()} {text}\n")
