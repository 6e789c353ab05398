"""accel-ci sim serve: a simulated cloud for real clients, to try workflows without an account and without paying."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from accel_ci.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from accel_ci_sim.wire.simulator import Plan

SSH_PORTS = (22, 2222)


def main(argv: Sequence[str]) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP; 0 then. ConfigurationError for what cannot be served."""
    arguments = _arguments(argv)
    if not Path("/proc/self/environ").exists():
        raise ConfigurationError("the simulator needs Linux", what_to_do="run it in a Linux container")
    try:
        import asyncssh  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "the simulator's ssh library is not installed", what_to_do="pip install 'accel-ci[sim]'"
        ) from error
    directory = Path(arguments.state or tempfile.mkdtemp(prefix="accel-ci-sim-")).absolute()
    try:
        return asyncio.run(_serve(_plan(arguments, directory)))
    finally:
        if not arguments.state:
            shutil.rmtree(directory, ignore_errors=True)


def _plan(arguments: argparse.Namespace, directory: Path) -> Plan:
    from accel_ci_sim.wire.simulator import Plan

    return Plan(
        directory=directory,
        env_file=Path(arguments.env or directory / "env").absolute(),
        port=arguments.port,
        ssh_ports=(arguments.ssh_port,) if arguments.ssh_port else SSH_PORTS,
        project=arguments.project,
        zone=arguments.zone,
    )


async def _serve(plan: Plan) -> int:
    from accel_ci_sim.wire.simulator import BusyError, Simulator

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with Simulator(plan, environ=os.environ) as simulator:
            print(f"The simulated cloud is at {simulator.site.url}; ssh port {simulator.site.ssh_port}.")
            print(f"In another terminal: source {plan.env_file}", flush=True)
            await stop.wait()
    except (BusyError, OSError) as error:
        raise ConfigurationError(
            f"the simulator cannot start: {error}", what_to_do="choose another --state, --port or --ssh-port"
        ) from error
    return 0


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="accel-ci sim", description=__doc__, allow_abbrev=False)
    serve = parser.add_subparsers(dest="verb", metavar="VERB", required=True).add_parser(
        "serve", help="serve the simulated cloud until Ctrl-C", allow_abbrev=False
    )
    serve.add_argument(
        "--state", metavar="DIR", help="keep knobs.json, log and settings there (default: a temporary one)"
    )
    serve.add_argument("--env", metavar="FILE", help="write the exports for clients there (default: DIR/env)")
    serve.add_argument("--port", type=int, default=0, help="the HTTP port (default: any free one)")
    serve.add_argument("--ssh-port", type=int, help="the machines' ssh port (default: 22 where allowed, else 2222)")
    serve.add_argument("--project", default="sim-project", help="the project that clients use by default")
    serve.add_argument("--zone", default="us-central1-b", help="the zone that gcloud uses by default")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
