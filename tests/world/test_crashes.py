"""A crashed process does nothing more: not in `finally`, not in a generator, not when it is collected later."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Generator
from typing import Any

import pytest

from accel_ci.domain import errors
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import MachineSpec
from accel_ci.domain.runkey import RunKey
from accel_ci.domain.workload import CommitSource, Phase
from accel_ci.ports.remote import Lost
from accel_ci.ports.world import World
from accel_ci_sim.direct import exhaustive, plans, sites, stages
from accel_ci_sim.direct.files import Files
from accel_ci_sim.direct.process import Crashed, Outcome, Process
from accel_ci_sim.world.cloud import Cloud
from accel_ci_sim.world.faults import Aim, Fate
from accel_ci_sim.world.machine import Machine
from accel_ci_sim.world.worker import Script

Body = Callable[[World], Any]


class Stage:
    """One process in an otherwise empty world, its files, and what became of it."""

    def __init__(self, aim: tuple[str, int, Fate] | None = None) -> None:
        site, nth, fate = aim or ("clock.now", 1_000_000, Fate.NONE)
        aims = (Aim(sites.BY_NAME[site].number, nth, fate),)
        self.simulation = exhaustive.simulated(1, stages.every()["steps/sim"], aims)
        self.scene = self.simulation.scene
        self.scene.quiet_since = self.scene.schedule.now  # the judge need not wait for it
        self.files = Files(lambda name, content: None)
        self.run = next(iter(self.scene.runs))
        self.process: Process | None = None
        self.ended_at = 0.0

    def live(self, body: Body, *, meanwhile: Callable[[Process], None] = lambda process: None) -> Outcome:
        """Let the process live; `meanwhile` arranges what happens to it from outside."""
        outcomes: list[Outcome] = []
        launcher = self.simulation.launcher

        def actor(actor: Any) -> None:
            self.process = launcher.process(actor, role="test", run=self.run)
            meanwhile(self.process)
            outcomes.append(self.process.live(launcher.ports(self.process, self.files), body))
            self.ended_at = self.scene.schedule.now

        self.scene.schedule.spawn(actor)
        self.scene.schedule.run()
        return outcomes[0]

    def machine(self, world: World) -> tuple[Any, Machine]:
        """A ready machine whose commands run for 100 s, and its truth."""
        zone = self.scene.cloud.weather.zones[0]
        key = RunKey(repository_id=plans.REPOSITORY_ID, repository="org/thing", run_id=1, job="tpu")
        spec = MachineSpec(backend="sim", accelerator="sim-1", zones=(zone,))
        candidate = world.machines.candidates(spec)[0]
        lease = Lease(key=key, expires_at=int(world.clock.now()) + 50)
        creation = world.machines.begin_create(spec, lease, candidate, public_key="")
        there = self.scene.cloud.get(zone, key.name)
        assert there is not None
        there.boot_s, there.stockout = 0.0, False
        sky = self.scene.cloud
        assert isinstance(sky, Cloud)
        sky._booted(there)
        there.workers[0].scripts["run"] = Script(seconds=100.0, output=((0.0, b"hello\n"), (5.0, b"world\n")))
        machine = world.machines.poll(creation).machine
        assert machine is not None
        return machine, there


PHASE = Phase(
    name="run", command="true", key="k", nonce="n" * 32, limit_s=1000.0, lease_expires_at=4e9, unattended_s=30.0
)


def _started(stage: Stage, world: World) -> tuple[Any, Machine]:
    machine, there = stage.machine(world)
    world.remote.prepare(machine)
    package = world.sources.pack(CommitSource(repository="r", sha="5" * 40), into=world.files.path("source"))
    world.remote.put(machine, package)
    world.remote.start(machine, PHASE)
    return machine, there


@pytest.mark.parametrize(("fate", "written"), [(Fate.CRASH_BEFORE, False), (Fate.CRASH_AFTER, True)])
def test_a_crash_comes_before_or_after_the_effect(fate: Fate, written: bool) -> None:
    """The call has happened or not; the process is gone either way."""
    stage = Stage(("files.write", 1, fate))
    outcome = stage.live(lambda world: world.files.write("a", b"1"))
    assert outcome.crashed and not outcome.done and not outcome.ended
    assert ("a" in stage.files.documents) is written


def test_finally_blocks_cannot_help() -> None:
    """Every port call after the crash raises without effect, whatever the code catches."""
    stage = Stage(("clock.now", 1, Fate.CRASH_BEFORE))

    def body(world: World) -> None:
        try:
            world.clock.now()
        except errors.AccelError:
            world.files.write("caught", b"")
        finally:
            with contextlib.suppress(BaseException), world.job.group("cleanup"):
                world.files.write("finally", b"")
            for call in (lambda: world.files.write("a", b""), world.entropy.token, lambda: world.clock.sleep(1.0)):
                with pytest.raises(Crashed):
                    call()

    assert stage.live(body).crashed
    assert stage.files.documents == {}


def test_a_crash_in_the_cleanup_of_a_failure() -> None:
    """An error of the first call and a crash in what handles it end as a crash."""
    stage = Stage(("job.log", 1, Fate.CRASH_AFTER))

    def body(world: World) -> None:
        try:
            raise errors.CloudError("first")
        except errors.CloudError:
            world.job.log("handling")
            world.files.write("after", b"")

    assert stage.live(body).crashed and not stage.files.documents


def test_a_sigkill_in_the_middle_of_a_wait() -> None:
    """The sleeper never wakes: the process ends when the signal comes, not when it would have woken."""
    stage = Stage()

    def body(world: World) -> None:
        world.clock.sleep(100.0)
        world.files.write("a", b"")

    began_at = stage.scene.schedule.now
    outcome = stage.live(body, meanwhile=lambda process: stage.scene.schedule.after(10.0, process.kill))
    assert outcome.crashed and stage.ended_at == began_at + 10.0


def test_a_sigint_raises_once_at_the_next_call_or_wait() -> None:
    """CancelledError comes wherever the process is, and only the first time."""
    stage = Stage()

    def body(world: World) -> str:
        with pytest.raises(errors.CancelledError):
            world.clock.sleep(100.0)
        world.clock.sleep(100.0)
        return "went on"

    def signals(process: Process) -> None:
        stage.scene.schedule.after(10.0, process.interrupt)

    assert stage.live(body, meanwhile=signals).value == "went on"


def test_a_generator_of_ours_has_no_last_words() -> None:
    """A generator that was open at the crash runs its `finally` when it is closed, and every call in it fails."""
    stage, last_words = Stage(("clock.now", 1, Fate.CRASH_BEFORE)), list[type[BaseException]]()

    def generator(world: World) -> Generator[int, None, None]:
        try:
            yield 1
        finally:
            try:
                world.files.write("finally", b"")
            except BaseException as error:
                last_words.append(type(error))
                raise

    def body(world: World) -> None:
        with contextlib.closing(generator(world)) as numbers:
            for _ in numbers:
                world.clock.now()

    assert stage.live(body).crashed
    assert last_words == [Crashed] and stage.files.documents == {}


@pytest.mark.parametrize("collected", [False, True])
def test_an_attachment_breaks_at_the_crash_and_not_later(collected: bool) -> None:
    """The supervisor counts from the crash, even when the generator is held and closed much later, or never."""
    stage, held = Stage(("clock.now", 3, Fate.CRASH_BEFORE)), list[Any]()
    truth: list[Machine] = []

    def body(world: World) -> None:
        machine, there = _started(stage, world)
        truth.append(there)
        events = world.remote.attach(machine, PHASE, {0: 0})
        held.append(events)
        next(events)
        world.clock.now()
        world.clock.now()

    assert stage.live(body).crashed
    running = truth[0].workers[0].phases["run"]
    crashed_at = running.attended_at
    assert running.attached == 0
    if collected:
        with contextlib.suppress(Crashed):
            held[0].close()
        held.clear()
        gc.collect()
    assert (running.attached, running.attended_at) == (0, crashed_at)
    running.settle(crashed_at + 31.0)
    assert running.end is not None and running.end.reason == "unattended"


def test_leaving_an_attachment_detaches() -> None:
    """Closing the generator of a living process ends the attachment at once, and the command goes on."""
    stage, seen = Stage(), list[Any]()

    def body(world: World) -> None:
        machine, there = _started(stage, world)
        running = there.workers[0].phases["run"]
        with contextlib.closing(world.remote.attach(machine, PHASE, {0: 0})) as events:
            seen.append(next(events))
            assert running.attached == 1
        assert running.attached == 0 and running.end is None

    assert stage.live(body).done
    assert seen[0].data == b"hello\n"


@pytest.mark.parametrize("fate", [Fate.FAIL, Fate.LOSE])
def test_a_broken_attachment_can_be_made_again(fate: Fate) -> None:
    """The connection breaks before or after an event; attached again at the offset reached, nothing is missing."""
    stage = Stage(("remote.attach", 2, fate))

    def body(world: World) -> bytes:
        machine, _ = _started(stage, world)
        log, broke = b"", 0
        while not log.endswith(b"world\n"):
            for event in world.remote.attach(machine, PHASE, {0: len(log)}):
                log += getattr(event, "data", b"")
                broke += isinstance(event, Lost)
                if log.endswith(b"world\n"):
                    break
        assert broke == 1
        return log

    assert stage.live(body).value == b"hello\nworld\n"


def test_a_lost_reply_has_its_effect() -> None:
    """The machine is released although the caller heard of a failure."""
    stage = Stage(("machines.release", 1, Fate.LOSE))

    def body(world: World) -> str:
        machine, there = stage.machine(world)
        with pytest.raises(errors.TransientError):
            world.machines.release(machine.handle)
        return there.state.value

    assert stage.live(body).value == "releasing"


def test_a_failed_call_has_none() -> None:
    """The request never arrived; the error is a real adapter's."""
    stage = Stage(("remote.prepare", 1, Fate.FAIL))

    def body(world: World) -> bool:
        machine, there = stage.machine(world)
        with pytest.raises(errors.ConnectionLostError):
            world.remote.prepare(machine)
        return bool(there.workers[0].prepared)

    assert stage.live(body).value is False


def test_an_append_may_be_torn() -> None:
    """A process that dies in an append leaves a beginning of what it wrote, sometimes all, sometimes nothing."""
    lengths = set()
    for salt in range(30):
        stage = Stage(("files.append", 2, Fate.CRASH_BEFORE))
        stage.scene.dice.seed(salt)

        def body(world: World) -> None:
            world.files.append("log", b"first")
            world.files.append("log", b"0123")

        assert stage.live(body).crashed
        content = stage.files.documents["log"]
        assert b"first0123".startswith(content) and len(content) >= 5
        lengths.add(len(content))
    assert lengths == {5, 6, 7, 8, 9}


def test_what_is_no_error_of_ours_is_told_to_the_judge() -> None:
    """A KeyError that leaves a use case breaks rule I0, and ends the process."""
    stage = Stage()
    outcome = stage.live(lambda world: dict[str, int]()["missing"])
    assert outcome.crashed
    assert [each.rule for each in stage.simulation.scene.violations] == ["I0"]
