"""What one run is to do, and what is to happen to it: drawn from the seed before the world begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from accel_ci.domain import runkey
from accel_ci.domain.context import Context
from accel_ci.domain.lease import Scope
from accel_ci.domain.machine import MachineSpec
from accel_ci.domain.verdict import Verdict
from accel_ci.domain.workload import CommitSource, Work
from accel_ci.operations.acquire import Order
from accel_ci.operations.publish import Publication
from accel_ci_sim.direct.mishaps import Mishaps
from accel_ci_sim.world import dice
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.weather import Weather
from accel_ci_sim.world.worker import Script

Scripts = tuple[Mapping[str, Script], ...]  # worker -> phase -> script
REPOSITORY, REPOSITORY_ID = "org/thing", 7
SHA = "5" * 40
BASE_SHA = "b" * 40  # what a pull request's workflow runs on: never what is tested
PULL = 3
SHARED_SLOT = "run:trainer"
SECRET = "canary-3f9d2c"
FOREVER_S = 1e6
TPUS = {1: "v6e-1", 4: "v6e-16"}  # by workers
# Compute Engine leases one by one: of a slice, `auto` has nodes only.
WORKERS = {"sim": (1, 1, 1, 1, 2, 3), "gce": (1,), "auto": (1,) * 11 + (4,), "tpu": (1, 1, 1, 1, 1, 4)}
PASSED_RESULTS = (
    b'{"event":"start","version":1}\n{"event":"case","name":"t.py::t","outcome":"passed","duration_s":0.1}\n'
    b'{"event":"end","exit_status":0,"counts":{"passed":1}}\n'
)
FAILED_RESULTS = PASSED_RESULTS.replace(b"passed", b"failed")
EVENTS = ("", "", "pull_request_target", "push")


class Form(StrEnum):
    """How a run is made: all in one process, or a process per step."""

    JOURNEY = "journey"
    STEPS = "steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One job: identity, form, order, work, what its commands do, and its mishaps. It has one machine for each slot."""

    context: Context
    form: Form
    order: Order
    work: Work
    scripts: Scripts
    paths: tuple[str, ...]
    mishaps: Mishaps
    begins_s: float
    slots: tuple[str, ...] = ("",)

    @property
    def name(self) -> str:
        """run.attempt/job and the matrix instance, for readers."""
        context = self.context
        return f"{context.run_id}.{context.attempt}/{context.job_of(context.job)}{context.instance}"

    @property
    def shares(self) -> bool:
        """True when its machine is that of the whole run."""
        return runkey.shared(self.slots[0])

    @property
    def publication(self) -> Publication:
        """How the run is shown on GitHub."""
        return Publication(siblings=self.context.siblings, workflow=self.context.workflow)

    def again(self) -> RunPlan:
        """The next attempt of the same run, undisturbed."""
        context = replace(self.context, attempt=self.context.attempt + 1)
        return replace(self, context=context, mishaps=Mishaps())

    def truth(self) -> frozenset[Verdict]:
        """The verdicts that the commands deserve when nothing else goes wrong."""
        for phase, command, limit_s in (
            ("setup", self.work.setup, self.work.setup_limit_s),
            ("run", self.work.run, self.work.limit_s),
        ):
            each = {_deserved(scripts[phase], limit_s) for scripts in self.scripts} if command else {Verdict.PASSED}
            # What fails in setup never comes to the tests.
            if each != {Verdict.PASSED}:
                return frozenset(each - {Verdict.PASSED})
        failing = any(scripts["run"].results == FAILED_RESULTS for scripts in self.scripts)
        return frozenset({Verdict.FAILED if failing else Verdict.PASSED})


def _deserved(script: Script, limit_s: float) -> Verdict:
    if script.forges or not script.starts or (script.orphaned and script.seconds / 2 < limit_s):
        return Verdict.INFRA_ERROR
    # At the very limit the supervisor is first.
    if script.seconds >= limit_s:
        return Verdict.TIMED_OUT
    return Verdict.PASSED if script.good else Verdict.FAILED


def draw(stream: Dice, sky: Weather, *, calm: bool) -> list[RunPlan]:
    """The jobs of one world: one, or several slots in it, or jobs that share a machine, or a reusable workflow called

    twice, or matrix siblings, or another run beside it.
    """
    first = _run(stream, sky, calm=calm, run_id=stream.randrange(100, 1000))
    shape = stream.random()
    if shape < 0.6:
        return [first]
    if shape < 0.64:
        # Two machines in one job are only had in steps.
        mishaps = replace(first.mishaps, kill_s=None, resume_s=None, patient=False)
        there = replace(first.context, event="")
        return [replace(first, form=Form.STEPS, slots=("a", "b"), context=there, mishaps=mishaps)]
    if shape < 0.69:
        return _sharing(stream, first, calm=calm)
    if shape < 0.72:  # a reusable workflow called twice: the same job of the same file
        there = replace(first.context, event="")
        return [replace(first, context=replace(there, call=call)) for call in ("a", "b")]
    if shape < 0.85:  # siblings
        there = replace(first.context, siblings=2)
        instances = ('[{"n":"a"},0]', '[{"n":"b"},1]')
        return [replace(first, context=replace(there, instance=each)) for each in instances]
    other = _run(stream, sky, calm=calm, run_id=first.context.run_id + 1)
    return [first, replace(other, begins_s=stream.uniform(0.0, 40.0))]


def _sharing(stream: Dice, first: RunPlan, *, calm: bool) -> list[RunPlan]:
    """Two or three jobs of the run, or matrix siblings, with one machine for all, each beginning when it likes."""
    number, matrix, begins_s = stream.choice((2, 2, 3)), dice.chance(stream, 0.5), 0.0
    # Jobs that are no siblings would all report the same check.
    there = replace(first.context, siblings=number) if matrix else replace(first.context, event="")
    drawn = []
    for name in ("build", "test", "bench")[:number]:
        mine = replace(there, instance=f'[{{"n":"{name}"}},0]') if matrix else replace(there, job=name)
        mishaps = Mishaps() if calm else _mishaps(stream, Form.STEPS)
        scripts = tuple(
            {"setup": _script(stream, 10.0), "run": _script(stream, 40.0)} for _ in range(first.order.spec.workers)
        )
        sharer = replace(first, context=mine, scripts=scripts, mishaps=mishaps, begins_s=begins_s)
        drawn.append(shared(sharer))
        # At the very same moment, while the machine is made, while it is used, or after that.
        begins_s += stream.choice(
            (0.0, stream.uniform(0.0, 2.0), stream.uniform(0.0, 30.0), stream.uniform(30.0, 150.0))
        )
    return drawn


def shared(plan: RunPlan) -> RunPlan:
    """The same job on the machine of the whole run: its parts are steps, for only they know slots."""
    return replace(plan, form=Form.STEPS, slots=(SHARED_SLOT,), order=replace(plan.order, scope=Scope.RUN))


def alone(plan: RunPlan) -> RunPlan:
    """The same job with one machine of its own."""
    return replace(plan, slots=("",), order=replace(plan.order, scope=Scope.JOB))


def _run(stream: Dice, sky: Weather, *, calm: bool, run_id: int) -> RunPlan:
    form = stream.choice(tuple(Form))
    spec = _spec(stream, sky, calm=calm)
    return RunPlan(
        context=context(run_id, event=stream.choice(EVENTS)),
        form=form,
        order=Order(spec=spec, ttl_s=3600.0 if calm else stream.choice((3600.0, 1200.0, 600.0, 60.0))),
        work=work(
            setup="pip install ." if dice.chance(stream, 0.4) else "",
            limit_s=stream.choice((60.0,) * 18 + (20.0,) * 10 + (400.0,)),
        ),
        scripts=tuple({"setup": _script(stream, 10.0), "run": _script(stream, 40.0)} for _ in range(spec.workers)),
        paths=("out/**",) if dice.chance(stream, 0.5) else (),
        mishaps=_calm_mishaps(stream, form) if calm else _mishaps(stream, form),
        begins_s=0.0,
    )


def context(run_id: int, *, event: str) -> Context:
    """Where the job runs; "" for `event` is a terminal."""
    pull = event == "pull_request_target"
    return Context(
        repository=REPOSITORY,
        repository_id=REPOSITORY_ID,
        run_id=run_id,
        job="tpu",
        event=event,
        actor="ada",
        sha=BASE_SHA if pull else SHA,
        ref="refs/heads/main",
        pull_request=PULL if pull else None,
        head_sha=SHA if pull else "",
        workflow="tests.yml",
    )


def work(*, setup: str = "", limit_s: float = 60.0) -> Work:
    """What is done on the machine, with a secret that must be seen nowhere else."""
    return Work(
        source=CommitSource(repository=REPOSITORY, sha=SHA),
        run="python -m pytest",
        setup=setup,
        limit_s=limit_s,
        setup_limit_s=30.0,
        environment={"TOKEN": SECRET},
    )


def _spec(stream: Dice, sky: Weather, *, calm: bool) -> MachineSpec:
    workers = stream.choice(WORKERS["tpu" if sky.service == "queued" else sky.service])
    return spec(sky, workers=workers, boot_limit_s=600.0 if calm else 60.0)


def spec(sky: Weather, *, workers: int = 1, boot_limit_s: float = 60.0) -> MachineSpec:
    """Such a machine of the world's cloud."""
    return MachineSpec(
        backend="tpu" if sky.service == "queued" else sky.service,
        accelerator="sim-1" if sky.service == "sim" else TPUS[workers],
        zones=sky.zones,
        workers=workers,
        boot_limit_s=boot_limit_s,
        options={"queued": "true"} if sky.service == "queued" else {},
    )


def _script(stream: Dice, longest_s: float) -> Script:
    seconds = stream.uniform(0.0, stream.choice((2.0, longest_s / 3, longest_s)))
    if dice.chance(stream, 0.02):
        seconds *= 9.0
    lines = sorted(stream.uniform(0.0, seconds) for _ in range(stream.choice((0, 1, 2, 5))))
    good, signalled = dice.chance(stream, 0.85), dice.chance(stream, 0.3)
    return Script(
        seconds=seconds if dice.chance(stream, 0.96) else FOREVER_S,
        exit_code=0 if good else None if signalled else stream.choice((1, 2, 5)),
        signal=11 if signalled and not good else None,
        output=tuple((at, b"line %d\n" % index * stream.choice((1, 9))) for index, at in enumerate(lines)),
        stubborn=dice.chance(stream, 0.1),
        forges=dice.chance(stream, 0.03),
        orphaned=dice.chance(stream, 0.02),
        starts=dice.chance(stream, 0.98),
        results=stream.choice((b"",) * 10 + (PASSED_RESULTS,) * 10 + (FAILED_RESULTS,)),
    )


def _calm_mishaps(stream: Dice, form: Form) -> Mishaps:
    """A client that crashes can be survived only where somebody starts it again."""
    if form is Form.STEPS:
        return Mishaps()
    kill_s = stream.uniform(0.0, 60.0) if dice.chance(stream, 0.3) else None
    return Mishaps(kill_s=kill_s, resume_s=stream.uniform(1.0, 20.0))


def _mishaps(stream: Dice, form: Form) -> Mishaps:
    def sometimes(probability: float, longest_s: float = 80.0) -> float | None:
        return stream.uniform(0.0, longest_s) if dice.chance(stream, probability) else None

    resumes = form is Form.JOURNEY and dice.chance(stream, 0.5)
    return Mishaps(
        cancel_s=sometimes(0.15),
        force_s=sometimes(0.15, 30.0),
        patient=resumes,
        lose_s=sometimes(0.15),
        zombie=dice.chance(stream, 0.5),
        kill_s=sometimes(0.1) if form is Form.JOURNEY else None,
        resume_s=stream.uniform(1.0, 400.0) if resumes else None,
        post=dice.chance(stream, 0.9),
        cleanup_job=dice.chance(stream, 0.9),
        keep_s=sometimes(0.04),
        kept_for_s=stream.uniform(30.0, 5000.0),
        push_s=sometimes(0.1, 10.0),
        label=stream.choice(("",) * 12 + ("stranger", "other", "closed")),
    )
