"""Following a phase to its end: output kept byte by byte, broken connections made again where they broke."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from accel_ci.domain import errors, verdict
from accel_ci.domain.machine import Machine
from accel_ci.domain.record import PhaseFacts, WorkerEnd
from accel_ci.domain.verdict import EndRecord, Verdict
from accel_ci.domain.workload import Phase
from accel_ci.formats import output, redaction
from accel_ci.operations import records, release
from accel_ci.ports import remote
from accel_ci.ports.world import World

# A slow network is worth a wait: what runs over there goes on, and its output is kept for us.
UNREACHABLE_LIMIT_S = 180.0
END_SLACK_S = 60.0
LAST_LINES = 10
TAIL_CHARACTERS = 8000
CANCELLED_S = 5.0  # a runner kills a cancelled step after 10 s: by then the record is written, and cleanup goes on


@dataclass(slots=True)
class _Following:
    """What is known of one phase: per worker the bytes received and the end; why workers are given up."""

    machine: Machine
    phase: Phase
    slot: str
    offsets: dict[int, int]
    sanitizers: dict[int, output.Sanitizer]
    maskers: dict[int, redaction.Masker]
    started_at: float
    heard_at: dict[int, float]
    ends: dict[int, EndRecord | None] = field(default_factory=dict)
    given_up: dict[int, str] = field(default_factory=dict)
    whys: dict[int, str] = field(default_factory=dict)
    interruption: str = ""
    stopped: bool = False
    reattached: int = 0
    tails: dict[int, str] = field(default_factory=dict)
    first_failed: int | None = None
    trouble: str = ""
    torn: int | None = None  # the worker whose output was being kept when a signal came

    @property
    def pending(self) -> list[int]:
        """The workers whose end nobody knows yet and that were not given up."""
        return [worker for worker in self.offsets if worker not in self.ends and worker not in self.given_up]


def log_name(slot: str, phase: str, worker: int) -> str:
    """The document that holds a worker's whole output of a phase, byte by byte as it was written, but for secrets."""
    return records.place(slot, f"log/{phase}-w{worker}.log")


def phase(world: World, machine: Machine, phase: Phase, *, slot: str) -> PhaseFacts:
    """Start the phase where it was not started yet and follow it to its end on every worker.

    A cancelled job ends the commands politely, gives them a few seconds and raises CancelledError again.
    """
    state = _state(world, machine, phase, slot=slot)
    _started(world, state)
    try:
        _to_the_end(world, state, deadline=_deadline(world, phase))
    except errors.CancelledError:
        _mend(world, state)
        _stop(world, state, state.pending)
        _to_the_end(world, state, deadline=world.clock.now() + CANCELLED_S)
        raise
    finally:
        _flush(world, state)
    _point_out(world, state)
    return facts(world, state)


def _state(world: World, machine: Machine, phase: Phase, *, slot: str) -> _Following:
    now = world.clock.now()
    several = len(machine.workers) > 1
    secrets = [value.encode() for value in phase.secrets.values()]
    return _Following(
        machine=machine,
        phase=phase,
        slot=slot,
        offsets={each.index: world.files.size(log_name(slot, phase.name, each.index)) for each in machine.workers},
        sanitizers={
            each.index: output.Sanitizer(secrets, prefix=f"[{each.name}] " if several else "")
            for each in machine.workers
        },
        maskers={each.index: redaction.Masker(secrets) for each in machine.workers},
        started_at=now,
        heard_at={each.index: now for each in machine.workers},
    )


def _started(world: World, state: _Following) -> None:
    deadline = world.clock.now() + UNREACHABLE_LIMIT_S
    for pause in release.pauses():
        try:
            return world.remote.start(state.machine, state.phase)
        except errors.TransientError as error:  # ConnectionLostError included: starting twice starts once
            if world.clock.now() >= deadline or _interruption(world, state):
                raise
            world.job.log(f"{state.phase.name}: {error}; starting again")
            world.clock.sleep(pause)


def _deadline(world: World, phase: Phase) -> float:
    return world.clock.now() + phase.limit_s + phase.grace_s + END_SLACK_S


def _to_the_end(world: World, state: _Following, *, deadline: float) -> None:
    for pause in release.pauses():
        if not state.pending:
            return
        _attached(world, state, deadline=deadline)
        _judge_silence(world, state)
        if state.pending and world.clock.now() >= deadline:
            _give_up(state, state.pending, "no end record came in time")
        elif state.pending:
            state.reattached += 1
            world.clock.sleep(pause)


def _attached(world: World, state: _Following, *, deadline: float) -> None:
    """Take events until all is over, a connection broke (all are made again, at their offsets) or time is up."""
    offsets = {worker: state.offsets[worker] for worker in state.pending}
    with contextlib.closing(world.remote.attach(state.machine, state.phase, offsets)) as events:
        for event in events:
            _keep_fresh(world, state)
            if not _take(world, state, event) or world.clock.now() >= deadline:
                return


def _take(world: World, state: _Following, event: remote.Event) -> bool:
    match event:
        case remote.Output():
            _keep(world, state, event)
        case remote.Ended():
            state.ends[event.worker] = event.record
            state.whys[event.worker] = event.detail
            _end_siblings(world, state, event.worker)
        case remote.Lost():
            world.job.status(f"w{event.worker}: {_told(state, event.reason)}; attaching again")
            return False
        case remote.Beat():
            state.heard_at[event.worker] = world.clock.now()
        case remote.Quiet():
            world.job.status(f"{state.phase.name}: {_progress(state)}")
    return True


def _keep(world: World, state: _Following, event: remote.Output) -> None:
    known = state.offsets[event.worker]
    if event.offset > known:
        # A log with a hole could be read as another story: better none.
        _give_up(state, [event.worker], f"output has a gap at byte {known}")
        return
    # A connection that was made again may repeat what came already.
    fresh = event.data[known - event.offset :]
    state.heard_at[event.worker] = world.clock.now()
    state.torn = event.worker
    world.files.append(log_name(state.slot, state.phase.name, event.worker), state.maskers[event.worker].feed(fresh))
    state.offsets[event.worker] = known + len(fresh)
    state.torn = None
    _show(world, state, event.worker, text=state.sanitizers[event.worker].feed(fresh))


def _mend(world: World, state: _Following) -> None:
    """Only the log itself knows what it has of output that a signal tore from us: go on there, as a new client would."""
    if state.torn is None:
        return
    worker, state.torn = state.torn, None
    state.offsets[worker] = world.files.size(log_name(state.slot, state.phase.name, worker))
    state.maskers[worker] = redaction.Masker([value.encode() for value in state.phase.secrets.values()])


def _show(world: World, state: _Following, worker: int, *, text: str) -> None:
    world.job.stream(text)
    state.tails[worker] = (state.tails.get(worker, "") + text)[-TAIL_CHARACTERS:]


def _keep_fresh(world: World, state: _Following) -> None:
    """Nothing here speaks to the cloud for hours, and cleanup may have to in the minutes after a cancel."""
    trouble = world.credentials.keep_fresh() if world.credentials else ""
    if trouble and trouble != state.trouble:
        world.job.warning("sign-in", f"what cleanup needs could not be renewed yet: {trouble}")
        state.trouble = trouble


def _end_siblings(world: World, state: _Following, worker: int) -> None:
    """One failing worker fails the phase: the others are asked to end, so that nobody pays for their waiting."""
    if _verdict(state, worker) is Verdict.PASSED or state.stopped:
        return
    state.first_failed = worker
    _stop(world, state, state.pending)


def _stop(world: World, state: _Following, workers: list[int]) -> None:
    state.stopped = True
    if not workers:
        return
    try:
        world.remote.stop(state.machine, state.phase, workers)
    except errors.CloudError as error:
        world.job.log(f"{state.phase.name}: could not ask for the end: {error}")


def _judge_silence(world: World, state: _Following) -> None:
    state.interruption = _interruption(world, state) if state.pending else ""
    if state.interruption:
        _give_up(state, state.pending, state.interruption)
        return
    now = world.clock.now()
    silent = [worker for worker in state.pending if now - state.heard_at[worker] >= UNREACHABLE_LIMIT_S]
    _give_up(state, silent, f"not reachable for {UNREACHABLE_LIMIT_S:.0f} s")


def _interruption(world: World, state: _Following) -> str:
    """Why the cloud took the machine away; "" when it did not, or does not say now: we ask again at the next silence."""
    try:
        return world.machines.interruption(state.machine.handle)
    except errors.CloudError:
        return ""


def _give_up(state: _Following, workers: Iterable[int], why: str) -> None:
    for worker in workers:
        state.given_up[worker] = why


def _flush(world: World, state: _Following) -> None:
    for worker, sanitizer in state.sanitizers.items():
        _show(world, state, worker, text=sanitizer.flush())
    # What a worker that goes on may complete to a secret is left out: whoever attaches again is sent it once more.
    for worker in state.offsets.keys() - set(state.pending):
        if rest := state.maskers[worker].flush():
            world.files.append(log_name(state.slot, state.phase.name, worker), rest)


def _point_out(world: World, state: _Following) -> None:
    """Name the worker that failed first, with its last lines: in the output of many workers nobody would find them."""
    if state.first_failed is None or len(state.offsets) == 1:
        return
    world.job.log(f"{state.phase.name}: w{state.first_failed} failed first; its last lines:")
    for line in state.tails.get(state.first_failed, "").splitlines()[-LAST_LINES:]:
        world.job.log(line)


def facts(world: World, state: _Following) -> PhaseFacts:
    """The phase as the record keeps it: the verdict of each worker, and the worst of them."""
    ends = [_end(state, worker, interrupted=bool(state.interruption)) for worker in state.offsets]
    return PhaseFacts(
        name=state.phase.name,
        started_at=state.started_at,
        ended_at=world.clock.now(),
        verdict=verdict.worst([end.verdict for end in ends]),
        workers=ends,
        reattached=state.reattached,
    )


def _end(state: _Following, worker: int, *, interrupted: bool) -> WorkerEnd:
    record = state.ends.get(worker)
    if record is None:
        why = state.given_up.get(worker) or state.whys.get(worker) or "the machine sent no valid end record"
        given = Verdict.PREEMPTED if interrupted else Verdict.INFRA_ERROR
        return WorkerEnd(worker=worker, verdict=given, detail=_told(state, why), output_bytes=state.offsets[worker])
    return WorkerEnd(
        worker=worker,
        verdict=_verdict(state, worker),
        reason=record.reason,
        exit_code=record.exit_code,
        signal=record.signal,
        peak_memory_bytes=record.peak_memory_bytes,
        output_bytes=state.offsets[worker],
        output_dropped_bytes=record.output_dropped_bytes,
        detail=_told(state, record.detail),
    )


def _told(state: _Following, detail: str) -> str:
    """What a machine says about an end or a break: its commands may have written that, with what they were handed."""
    redactor = redaction.Redactor(value.encode() for value in state.phase.secrets.values())
    return output.one_line(redactor.hidden(detail))


def _verdict(state: _Following, worker: int) -> Verdict:
    return verdict.of_worker(
        state.ends.get(worker), key=state.phase.key, nonce=state.phase.nonce, phase=state.phase.name
    )


def _progress(state: _Following) -> str:
    received = sum(state.offsets.values())
    return f"{len(state.pending)} of {len(state.offsets)} worker(s) running, {received} bytes of output"
