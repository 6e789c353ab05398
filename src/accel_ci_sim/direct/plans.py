"""What one run is to do, and what is to happen to it: drawn from the seed before the world begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from accel_ci.domain.context import Context
from accel_ci.domain.machine import MachineSpec
from accel_ci.domain.verdict import Verdict
from accel_ci.domain.workload import CommitSource, Work
from accel_ci.operations.acquire import Order
from accel_ci_sim.world import dice
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.worker import Script

Scripts = tuple[Mapping[str, Script], ...]  # worker -> phase -> script
REPOSITORY_ID = 7
SHA = "5" * 40
FOREVER_S = 1e6
PASSED_RESULTS = (
    b'{"event":"start","version":1}\n{"event":"case","name":"t.py::t","outcome":"passed","duration_s":0.1}\n'
    b'{"event":"end","exit_status":0,"counts":{"passed":1}}\n'
)
FAILED_RESULTS = PASSED_RESULTS.replace(b"passed", b"failed")


class Form(StrEnum):
    """How a run is made: all in one process, or a process per step."""

    JOURNEY = "journey"
    STEPS = "steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishaps:
    """What happens to the job from outside, in seconds after its start; None: never. A calm run has only `kill_s`.

    `cancel_s`: the user cancels; `patient`: with Ctrl-C, so that no SIGKILL follows SIGINT.
    `lose_s`: the runner is lost; `zombie`: only GitHub believes so.
    `kill_s`: SIGKILL for the client; `resume_s`: somebody starts it again that much later, as long as it crashes.
    """

    cancel_s: float | None = None
    patient: bool = False
    lose_s: float | None = None
    zombie: bool = False
    kill_s: float | None = None
    resume_s: float | None = None
    cleanup_job: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One run: identity, form, order, work, what its commands do, and its mishaps."""

    context: Context
    form: Form
    order: Order
    work: Work
    scripts: Scripts
    paths: tuple[str, ...]
    mishaps: Mishaps
    begins_s: float

    @property
    def name(self) -> str:
        """run.attempt/job and the matrix instance, for readers."""
        context = self.context
        return f"{context.run_id}.{context.attempt}/{context.job}{context.instance}"

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
            if each != {Verdict.PASSED}:
                return frozenset(each - {Verdict.PASSED})
        failing = any(scripts["run"].results == FAILED_RESULTS for scripts in self.scripts)
        return frozenset({Verdict.FAILED if failing else Verdict.PASSED})


def _deserved(script: Script, limit_s: float) -> Verdict:
    if script.forges or not script.starts or (script.orphaned and script.seconds / 2 < limit_s):
        return Verdict.INFRA_ERROR
    if script.seconds >= limit_s:
        return Verdict.TIMED_OUT
    return Verdict.PASSED if script.good else Verdict.FAILED


def draw(stream: Dice, zones: tuple[str, ...], *, calm: bool) -> list[RunPlan]:
    """The runs of one world: usually one, sometimes matrix siblings, sometimes another run beside it."""
    first = _run(stream, zones, calm=calm, run_id=stream.randrange(100, 1000), instance="")
    shape = stream.random()
    if shape < 0.7:
        return [first]
    if shape < 0.85:  # matrix siblings
        return [replace(first, context=replace(first.context, instance=f"[{index}]")) for index in range(2)]
    other = _run(stream, zones, calm=calm, run_id=first.context.run_id + 1, instance="")
    return [first, replace(other, begins_s=stream.uniform(0.0, 40.0))]


def _run(stream: Dice, zones: tuple[str, ...], *, calm: bool, run_id: int, instance: str) -> RunPlan:
    workers = stream.choice((1, 1, 1, 1, 2, 3))
    form = stream.choice(tuple(Form))
    spec = MachineSpec(
        backend="sim", accelerator="sim-1", zones=zones, workers=workers, boot_limit_s=600.0 if calm else 60.0
    )
    work = Work(
        source=CommitSource(repository="org/thing", sha=SHA),
        run="python -m pytest",
        setup="pip install ." if dice.chance(stream, 0.4) else "",
        limit_s=stream.choice((60.0,) * 18 + (20.0,) * 10 + (400.0,)),
        setup_limit_s=30.0,
    )
    return RunPlan(
        context=Context(
            repository="org/thing", repository_id=REPOSITORY_ID, run_id=run_id, job="tpu", instance=instance, sha=SHA
        ),
        form=form,
        order=Order(spec=spec, ttl_s=3600.0 if calm else stream.choice((3600.0, 1200.0, 600.0, 60.0))),
        work=work,
        scripts=tuple({"setup": _script(stream, 10.0), "run": _script(stream, 40.0)} for _ in range(workers)),
        paths=("out/**",) if dice.chance(stream, 0.5) else (),
        mishaps=_calm_mishaps(stream, form) if calm else _mishaps(stream, form),
        begins_s=0.0,
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
    def sometimes(probability: float) -> float | None:
        return stream.uniform(0.0, 80.0) if dice.chance(stream, probability) else None

    resumes = form is Form.JOURNEY and dice.chance(stream, 0.5)
    return Mishaps(
        cancel_s=sometimes(0.12),
        patient=resumes,
        lose_s=sometimes(0.15),
        zombie=dice.chance(stream, 0.5),
        kill_s=sometimes(0.1) if form is Form.JOURNEY else None,
        resume_s=stream.uniform(1.0, 400.0) if resumes else None,
        cleanup_job=dice.chance(stream, 0.9),
    )
