"""A GPU machine with gcloud beside ours, on one simulated cloud, which takes about two minutes.

Usage: python -m bench.gce [rounds]

Both ask for the same machine (L4, spot, with a lifetime limit), run one command there, and give it back. Shown are the
seconds until the command begins and, from its end, until the client is done. Ours does more in that time: it signs in, waits
for the driver and probes it, sends a repository, and looks whether the machine is really gone; gcloud has returned when its
delete operation is over. The cloud takes BOOT_S to make a machine and DELETE_S to delete one.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import _ground
from tests import judges

ROUNDS = 3
LIMIT_S = 120
BOOT_S, DELETE_S = 6.0, 4.0
ZONE = "us-central1-a"
NAME = "gpu-tests"
IMAGE = ("--image-project=deeplearning-platform-release", "--image-family=common-cu128-ubuntu-2204-nvidia-570")
CREATE = (
    *("--machine-type=g2-standard-4", "--provisioning-model=SPOT", "--maintenance-policy=TERMINATE", *IMAGE),
    *("--max-run-duration=45m", "--instance-termination-action=DELETE", "--no-restart-on-failure"),
    *("--metadata=install-nvidia-driver=True", "--no-service-account", "--no-scopes"),
)


@dataclass(frozen=True)
class Figures:
    """Seconds from the start to the command, and from its end to the client's."""

    first: float
    teardown: float


class Ground(_ground.Ground):
    """Whose command writes down when it runs."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, name="README", text="nothing\n", limit_s=LIMIT_S)
        self.cloud.turn(boot_s=BOOT_S, delete_s=DELETE_S)
        self.command = f"date +%s.%N >> '{self.stamps}'"

    def measure(self, journey: Callable[[], None]) -> Figures:
        """The figures of one journey."""
        self.stamps.unlink(missing_ok=True)
        begun = time.time()
        journey()
        ended = time.time()
        (stamp,) = map(float, self.stamps.read_text().split())
        return Figures(stamp - begun, ended - stamp)


def ours(ground: Ground) -> None:
    words = ("--accelerator", "l4-1", "--zones", ZONE)
    ground.call(sys.executable, "-m", "accel_ci", "run", *words, "--", ground.command)


def with_gcloud(ground: Ground) -> None:
    place = (NAME, f"--zone={ZONE}", "--quiet")
    ground.call("gcloud", "compute", "instances", "create", *place, *CREATE)
    deadline = time.monotonic() + LIMIT_S
    while True:  # as scripts do it: sshd may not be up yet
        told = ground.run("gcloud", "compute", "ssh", *place, f"--command={ground.command}")
        if told.returncode == 0:
            break
        assert time.monotonic() < deadline, told.stdout
    ground.call("gcloud", "compute", "instances", "delete", *place)


def _make_key(ground: Ground) -> None:
    """The key that gcloud would make at its first ssh, which is not what we compare."""
    key = ground.cloud.home / ".ssh" / "google_compute_engine"
    key.parent.mkdir(mode=0o700)
    ground.call("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(key))


def main() -> None:
    """Print a line per way: medians, and the ratios to ours."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as directory:
        ground = Ground(Path(directory))
        ways: dict[str, Callable[[], None]] = {"ours": partial(ours, ground)}
        if judges.find("gcloud") is None:
            print("not run here: gcloud is not installed")
        else:
            _make_key(ground)
            ways["gcloud create, ssh, delete"] = partial(with_gcloud, ground)
        try:
            _show({name: [ground.measure(way) for _ in range(rounds)] for name, way in ways.items()})
        finally:
            ground.cloud.close()


def _show(figures: dict[str, list[Figures]]) -> None:
    medians = {
        name: Figures(statistics.median(one.first for one in each), statistics.median(one.teardown for one in each))
        for name, each in figures.items()
    }
    print(f"{'way':30} {'to first command':>17} {'teardown':>9}   (the cloud's own part: {BOOT_S} s and {DELETE_S} s)")
    for name, each in medians.items():
        ratios = f"{each.first / medians['ours'].first:.1f} x, {each.teardown / medians['ours'].teardown:.1f} x"
        print(f"{name:30} {each.first:15.1f} s {each.teardown:7.1f} s   {ratios}")


if __name__ == "__main__":
    main()
