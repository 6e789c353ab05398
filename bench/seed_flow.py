"""A nightly TPU job as people write it with gcloud beside ours, on one simulated cloud, which takes about a minute.

Usage: python -m bench.seed_flow [rounds]

The gcloud flow is a published one: create, five commands over `gcloud compute tpus tpu-vm ssh`, delete. Its `sleep 30`
and its wait for a package index are left out. What runs on the machine is the same for all, so the figures show the
rest: seconds until it is over, processor seconds of the client (what ssh leaves in the background is not counted), and
seconds that the cloud bills for while neither set-up nor tests run.

The best round is shown beside the median: whatever else the computer does only adds to it. All processes share its
processors: the simulated cloud, the machines and the clients.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import _ground
from tests import judges
from tests.end_to_end.runner import git

ROUNDS = 3
LIMIT_S = 60
ZONE = "us-central1-b"
NAME = "nightly"
TESTS = """
import unittest

class Sums(unittest.TestCase):
    def test_sum(self):
        self.assertEqual(sum(range(10)), 45)
"""
VENV = "python3 -m venv --without-pip .venv"
INSTALL = ". .venv/bin/activate && python3 -m compileall -q ."
TEST = ". .venv/bin/activate && python3 -m unittest -v test_sums 2>&1"
LEASE = ("--backend", "tpu", "--accelerator", "v6e-1", "--zones", ZONE)
AIMS = {"ours, one step": 0.6, "ours, five steps": 1.6}


@dataclass(frozen=True)
class Figures:
    """One journey: seconds, processor seconds of the client, billed seconds outside of set-up and tests.

    Of several: medians, and the seconds of the best.
    """

    wall: float
    cpu: float
    outside: float
    best: float = 0.0


class Ground(_ground.Ground):
    """Whose commands write down when they begin and end; each journey has its part of the cloud's bill."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, name="test_sums.py", text=TESTS, limit_s=LIMIT_S)
        self.sha = git(self.project, "rev-parse", "HEAD")
        self._billed = 0

    def timed(self, command: str) -> str:
        """The command, writing when it begins and ends: all machines share this computer's files and clock."""
        stamp = f"date +%s.%N >> '{self.stamps}'"
        return f"{stamp} && {command} && {stamp}"

    def measure(self, journey: Callable[[], None]) -> Figures:
        """The figures of one journey, which leases one machine and gives it back."""
        self.stamps.unlink(missing_ok=True)
        cpu, begun = _cpu_of_children(), time.perf_counter()
        journey()
        wall, cpu = time.perf_counter() - begun, _cpu_of_children() - cpu
        bill, self._billed = self.cloud.machines()[self._billed :], len(self.cloud.machines())
        assert [each["state"] for each in bill] == ["GONE"], "one machine was leased and given back"
        stamps = [float(line) for line in self.stamps.read_text().split()]
        inside = sum(stamps[1::2]) - sum(stamps[::2])
        return Figures(wall, cpu, bill[0]["gone_at"] - bill[0]["created_at"] - inside)


def main() -> None:
    """Print a line per way: medians, and the ratios to ours in one step."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as directory:
        ground = Ground(Path(directory))
        try:
            _show(_measure(_ways(ground), ground, rounds))
        finally:
            ground.cloud.close()


def _ways(ground: Ground) -> dict[str, Callable[[], None]]:
    ways: dict[str, Callable[[], None]] = {
        "ours, one step": partial(_one_step, ground),
        "ours, five steps": partial(_steps, ground),
    }
    missing = [program for program in ("gcloud", "ssh-keygen") if judges.find(program) is None]
    if missing:
        print(f"not run here: the gcloud flow ({', '.join(missing)} is not installed)")
    else:
        _make_key(ground)
        ways["gcloud create, ssh x 5, delete"] = partial(_gcloud_flow, ground)
    return ways


def _measure(ways: dict[str, Callable[[], None]], ground: Ground, rounds: int) -> dict[str, Figures]:
    figures: dict[str, list[Figures]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, journey in ways.items():
            figures[name].append(ground.measure(journey))
    return {name: _median(each) for name, each in figures.items()}


def _median(figures: Sequence[Figures]) -> Figures:
    return Figures(
        wall=statistics.median(each.wall for each in figures),
        cpu=statistics.median(each.cpu for each in figures),
        outside=statistics.median(each.outside for each in figures),
        best=min(each.wall for each in figures),
    )


def _show(figures: dict[str, Figures]) -> None:
    first = next(iter(figures.values()))
    print(f"{'':<32}{'wall':>8}{'':>12}{'client CPU':>12}{'':>10}{'billed idle':>13}{'':>9}{'best wall':>9}")
    for name, each in figures.items():
        columns = [(each.wall, first.wall), (each.cpu, first.cpu), (each.outside, first.outside)]
        shown = "".join(f"{own:>8.2f} s{own / ours:>6.1f} times" for own, ours in columns)
        aim = f" (aim: {AIMS[name]} s)" if name in AIMS else ""
        print(f"{name:<32}{shown}{each.best:>8.2f} s{aim}", flush=True)


def _one_step(ground: Ground) -> None:
    words = ("--setup", _setup(ground), "--", ground.timed(TEST))
    ground.call(*_accel_ci("run", *LEASE, *words))


def _steps(ground: Ground) -> None:
    ground.call(*_accel_ci("provision", *LEASE))
    ground.call(*_accel_ci("run-remote", "--setup", _setup(ground), "--", ground.timed(TEST)))
    ground.call(*_accel_ci("collect", "--paths", "*.txt"))
    ground.call(*_accel_ci("cleanup"))
    ground.call(*_accel_ci("report"))


def _accel_ci(*words: str) -> list[str]:
    return [sys.executable, "-m", "accel_ci", *words]


def _setup(ground: Ground) -> str:
    return f"{ground.timed(VENV)} && {ground.timed(INSTALL)}"


def _gcloud_flow(ground: Ground) -> None:
    def gcloud(verb: str, *words: str) -> str:
        return ground.call("gcloud", "compute", "tpus", "tpu-vm", verb, NAME, f"--zone={ZONE}", *words, "--quiet")

    gcloud("create", "--accelerator-type=v6e-1", "--version=v2-alpha-tpuv6e", "--preemptible")
    try:
        gcloud("ssh", f"--command=git clone -q '{ground.project}' ~/code")
        gcloud("ssh", f"--command=cd ~/code && git checkout -q {ground.sha}")
        gcloud("ssh", f"--command=cd ~/code && {ground.timed(VENV)}")
        gcloud("ssh", f"--command=cd ~/code && {ground.timed(INSTALL)}")
        assert "OK" in gcloud("ssh", f"--command=cd ~/code && {ground.timed(TEST)}")
    finally:
        gcloud("delete")


def _make_key(ground: Ground) -> None:
    """The key that gcloud would make at its first ssh, which is not what we compare."""
    key = ground.cloud.home / ".ssh" / "google_compute_engine"
    key.parent.mkdir(mode=0o700)
    ground.call("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(key))


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
