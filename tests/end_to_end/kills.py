"""Jobs whose steps are killed at random moments, as real processes against the simulated cloud; then who is left cleans up.

`python -m tests.end_to_end.kills --kills 48 --seed 7` prints the table. Each step is run as the real runner runs it: bash
with a script file, SIGINT to that process alone, SIGTERM 7.5 s later, SIGKILL 2.5 s after that (actions/runner,
ProcessInvoker.cs).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from accel_ci import wiring
from accel_ci.ports.clock import Clock
from accel_ci.usecases import cleanup
from tests import judges
from tests.end_to_end.runner import ROOT, git
from tests.fakes.job import FakeJob
from tests.servers.simulator import SimulatorProcess

INTERRUPTED_S, TERMINATED_S = 7.5, 2.5
BUDGET_S = 285.0
LASTS_S = {"provision": 3.0, "run-remote": 2.5, "cleanup": 1.2}  # about; moments beyond a step's end find the next one
GRACE_S = 3600.0
LEASES = (
    {"accelerator": "v6e-1", "backend": "tpu", "zones": "us-central1-b", "ttl": "30m"},
    {"accelerator": "e2-standard-2", "backend": "gce", "zones": "us-central1-b", "ttl": "30m"},
)
CLOCK_S = 0.001  # the simulator's log has milliseconds
KNOBS = {"boot_s": [0.5, 2.0], "delete_s": [0.1, 0.6], "latency_s": [0.0, 0.15]}
RUN = "trap 'exit 3' TERM; for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.2; done"
SCENES = (
    "cancelled",
    "step killed",
    "cancelled, only the post step runs",
    "cancelled, cleanup killed",
    "runner lost, cleanup job",
    "runner lost, sweeper only",
)


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One killed job: what happened when to which step, how long until the first deletion and until nothing was left."""

    seed: int
    scene: str
    backend: str
    moment_s: float
    step: str
    existed: int
    first_delete_s: float | None
    clean_after_s: float
    left: list[str]


class Jobs:
    """A cloud, and a repository whose jobs are killed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.repository = directory / "server/org/hello"
        self.repository.mkdir(parents=True)
        git(self.repository, "init", "-q")
        (self.repository / "file").write_text("x")
        git(self.repository, "add", "-A")
        git(self.repository, "commit", "-qm", "one")
        self.sha = git(self.repository, "rev-parse", "HEAD")
        # A copy, so that an edit of the source halfway changes nothing.
        shutil.copytree(ROOT / "src/accel_ci", directory / "program/accel_ci")
        (directory / "program/__main__.py").write_text("import sys\nfrom accel_ci.cli import main\nsys.exit(main())\n")

    def kill(self, seed: int) -> Kill:
        """Run one job, kill it at the moment that the seed says, let the scene's rest run, and count what is left."""
        dice = random.Random(seed)
        scene, step = SCENES[seed % len(SCENES)], dice.choices(list(LASTS_S), (5, 3, 2))[0]
        home = self.directory / f"job-{seed}"
        home.mkdir()
        cloud = SimulatorProcess(home)
        try:
            cloud.turn(seed=seed, **KNOBS)
            job = Job(cloud, home, sha=self.sha, server=self.directory / "server", run_id=996 + seed)
            return _killed(job, seed=seed, scene=scene, wanted=step, dice=dice)
        finally:
            cloud.kill()
            shutil.rmtree(home, ignore_errors=True)


class Job:
    """One job on one runner. `fresh` is another runner of the same run."""

    def __init__(
        self, cloud: SimulatorProcess, home: Path, *, sha: str, server: Path, run_id: int, job: str = "tpu"
    ) -> None:
        self.cloud = cloud
        self.lease = LEASES[run_id // len(SCENES) % len(LEASES)]
        self.step = ""
        self.killed_at = 0.0
        self._home, self._sha, self._server, self._run_id = home, sha, server, run_id
        self._temp = home / f"temp-{job}"
        program = self._temp / "accel-ci/bin/accel-ci"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -I {server.parent / "program"} "$@"\n')
        program.chmod(0o700)
        (self._temp / "event.json").write_text("{}")
        self.environ = cloud.environ | {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_EVENT_PATH": str(self._temp / "event.json"),
            "GITHUB_JOB": job,
            "GITHUB_REPOSITORY": "org/hello",
            "GITHUB_REPOSITORY_ID": "4711",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_RUN_ID": str(run_id),
            "GITHUB_SERVER_URL": str(server),
            "GITHUB_SHA": sha,
            "RUNNER_TEMP": str(self._temp),
            "no_proxy": "127.0.0.1",
        }

    def fresh(self, job: str) -> Job:
        """A job of the same run on a runner that knows nothing of this one."""
        return Job(self.cloud, self._home, sha=self._sha, server=self._server, run_id=self._run_id, job=job)

    def begin(self, verb: str, given: dict[str, str], *, status: str = "success") -> subprocess.Popen[bytes]:
        """The action's own script, as the runner starts it."""
        self.step = verb
        steps = yaml.safe_load((ROOT / f"actions/{verb}/action.yml").read_text())["runs"]["steps"]
        (main,) = (step for step in steps if step.get("id") == "main")
        script = self._temp / f"{verb}.sh"
        script.write_text(main["run"])
        more = {"ACCEL_CI_INPUTS": json.dumps(given), "ACCEL_CI_JOB_STATUS": status}
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
        with (self._home / "log").open("ab") as log:
            return subprocess.Popen(command, env=self.environ | more, cwd=self._temp, stdout=log, stderr=log)

    def post(self) -> None:
        """The post step of the nested action."""
        self.step = "post"
        command = [judges.require("node"), str(ROOT / "actions/internal/always-cleanup/post.js")]
        with (self._home / "log").open("ab") as log:
            subprocess.run(command, env=self.environ, stdout=log, stderr=log, timeout=BUDGET_S, check=True)

    def sweep_later(self, seconds: float) -> None:
        """The sweeper, so many seconds from now."""
        here = wiring.here(self.environ)
        with wiring.world(self.environ, here, talk=FakeJob()) as world:
            cleanup.sweep(replace(world, clock=_Later(world.clock, seconds)), 4711, grace_s=GRACE_S)

    def log(self) -> str:
        """What all its steps said."""
        return (self._home / "log").read_text(errors="replace")


class _Later:
    """A clock that is ahead."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._ahead_s = clock, seconds

    def now(self) -> float:
        return self._clock.now() + self._ahead_s

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(min(seconds, 0.5))
        self._ahead_s += max(0.0, seconds - 0.5)


def _killed(job: Job, *, seed: int, scene: str, wanted: str, dice: random.Random) -> Kill:
    moment_s, comes = dice.uniform(0.0, LASTS_S[wanted]), False
    steps: Sequence[tuple[str, dict[str, str]]] = (
        ("provision", job.lease),
        ("run-remote", {"run": RUN}),
        ("cleanup", {}),
    )
    for verb, given in steps:
        process, comes = job.begin(verb, given), comes or verb == wanted
        try:
            code = process.wait(timeout=moment_s if comes else BUDGET_S)
        except subprocess.TimeoutExpired:
            job.killed_at = time.time()
            (_shot if scene.startswith(("step", "runner")) else _interrupted)(process)
            break
        assert code == 0, job.log()
    else:
        job.step = "over"
    step, killed_at = job.step, job.killed_at or time.time()
    if step != "over":
        _AFTERWARDS[scene](job, dice)
    existed, left = _count(job.cloud)
    return Kill(
        seed=seed,
        scene=scene,
        backend=job.lease["backend"],
        moment_s=moment_s,
        step=step,
        existed=existed,
        first_delete_s=first_delete(job.cloud, killed_at),
        clean_after_s=time.time() - killed_at,
        left=left,
    )


def _interrupted(process: subprocess.Popen[bytes]) -> None:
    for number, seconds in ((signal.SIGINT, INTERRUPTED_S), (signal.SIGTERM, TERMINATED_S)):
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
            return
    _shot(process)


def _shot(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _cancelled(job: Job, dice: random.Random) -> None:
    collect = job.begin("collect", {"paths": "*.txt"}, status="cancelled")
    collect.wait(timeout=BUDGET_S)
    assert job.begin("cleanup", {}, status="cancelled").wait(timeout=BUDGET_S) == 0, job.log()
    job.post()


def _post_only(job: Job, dice: random.Random) -> None:
    job.post()


def _cleanup_killed(job: Job, dice: random.Random) -> None:
    process = job.begin("cleanup", {}, status="cancelled")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=dice.uniform(0.0, 1.5))
    _shot(process)
    job.post()


def _cleanup_job(job: Job, dice: random.Random) -> None:
    other = job.fresh("cleanup")
    assert other.begin("cleanup", {"for": "tpu"}).wait(timeout=BUDGET_S) == 0, job.log()


def _sweeper(job: Job, dice: random.Random) -> None:
    job.fresh("sweeper").sweep_later(1800 + GRACE_S + 60)


_AFTERWARDS: dict[str, Callable[[Job, random.Random], None]] = dict(
    zip(SCENES, (_cancelled, _cancelled, _post_only, _cleanup_killed, _cleanup_job, _sweeper), strict=True)
)


def _count(cloud: SimulatorProcess) -> tuple[int, list[str]]:
    """How many machines there ever were, and the names of those that still exist, asked from the cloud's own ledger."""
    machines = cloud.machines()
    return len(machines), [machine["name"] for machine in machines if machine["gone_at"] is None]


def first_delete(cloud: SimulatorProcess, since: float) -> float | None:
    """Seconds from the signal to the first deletion that the cloud was asked for after it; None when there was none."""
    for line in cloud.log().splitlines():
        found = re.match(r"(\S+) \d+ DELETE ", line)
        if found and (at := float(found[1])) >= since - CLOCK_S:
            return max(0.0, at - since)
    return None


def table(kills: Sequence[Kill]) -> str:
    """One line per scene and step: kills, machines that existed, the slowest first deletion, the slowest end, leaks."""
    columns = f"{'in step':11} {'kills':>5} {'machines':>8} {'1st delete':>10} {'clean after':>11} {'left':>4}"
    lines = [f"{'what happened':36} {columns}"]
    for scene in SCENES:
        for step in ("provision", "run-remote", "cleanup", "over"):
            some = [kill for kill in kills if (kill.scene, kill.step) == (scene, step)]
            if some:
                firsts = [kill.first_delete_s for kill in some if kill.first_delete_s is not None]
                first = f"{max(firsts):8.2f} s" if firsts else "-"
                clean = f"{max(kill.clean_after_s for kill in some):9.1f} s"
                existed, left = sum(kill.existed for kill in some), sum(len(kill.left) for kill in some)
                lines.append(f"{scene:36} {step:11} {len(some):5} {existed:8} {first:>10} {clean:>11} {left:4}")
    total = sum(len(kill.left) for kill in kills)
    lines.append(f"{len(kills)} jobs killed, {sum(kill.existed for kill in kills)} machines, {total} left")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Print the table; 1 when a machine is left."""
    parser = argparse.ArgumentParser(prog="kills")
    parser.add_argument("--kills", type=int, default=48)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kills-") as directory, ThreadPoolExecutor(options.jobs) as pool:
        jobs = Jobs(Path(directory))
        kills = []
        for kill in pool.map(jobs.kill, range(options.seed, options.seed + options.kills)):
            kills.append(kill)
            print(f"seed {kill.seed}: {kill.scene}, in {kill.step}: {len(kill.left)} left", file=sys.stderr, flush=True)
    print(table(kills))
    for kill in kills:
        if kill.left:
            print(f"LEFT: {kill}")
    return 1 if any(kill.left for kill in kills) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
