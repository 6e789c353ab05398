"""What there is to tell about a run, in the order to tell it; the pages only choose how it looks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from accel_ci.domain.record import PhaseFacts, RunRecord, TestFacts, Try, WorkerEnd
from accel_ci.domain.results import Outcome
from accel_ci.domain.verdict import Verdict
from accel_ci.formats import output
from accel_ci.render import units

WORDS = {
    Verdict.PASSED: "Passed",
    Verdict.FAILED: "Failed",
    Verdict.TIMED_OUT: "Timed out",
    Verdict.CONFLICT: "Merge conflict",
    Verdict.CANCELLED: "Cancelled",
    Verdict.PREEMPTED: "Preempted",
    Verdict.NO_CAPACITY: "No capacity",
    Verdict.QUOTA: "Quota reached",
    Verdict.BOOT_FAILED: "The machine did not boot",
    Verdict.INFRA_ERROR: "Infrastructure error",
}
# Where no machine was of use, "on v6e-1" would say that there was one.
NOWHERE = (Verdict.NO_CAPACITY, Verdict.QUOTA, Verdict.BOOT_FAILED, Verdict.CONFLICT)
NOT_THE_CODE = "This is no verdict on the code."
SPOT = ", or take spot: false"
ADVICE = {
    Verdict.TIMED_OUT: "Raise timeout, or find what hangs: the log ends where it stopped.",
    Verdict.PREEMPTED: f"{NOT_THE_CODE} Run it again{{spot}}.",
    Verdict.NO_CAPACITY: f"{NOT_THE_CODE} Run it again later, name more zones{{spot}}.",
    Verdict.QUOTA: f"{NOT_THE_CODE} Ask the cloud for more, or name zones of another region.",
    Verdict.BOOT_FAILED: f"{NOT_THE_CODE} Run it again; the end of its console is in the log.",
    Verdict.INFRA_ERROR: f"{NOT_THE_CODE} Run it again; if it stays, look for what takes the machine down, such as memory.",
}
GIVE_BACK = "collect and give back"
MOST_COMMANDS = 20
FLAT = re.compile(r"(?:[A-Za-z0-9 ,.;()'%/+-]|: )*")
# What GitHub makes a link of without any sign: GH-26 also leaves a trace in that issue, a whole SHA at its commit.
LINKED = re.compile(r"://|www\.|\bgh-[0-9]|[0-9a-f]{40}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stretch of the run's time (seconds since 1970). `name` and `outcome` are ours, `note` may be hostile text."""

    name: str
    started_at: float
    ended_at: float
    outcome: str
    note: str = ""

    @property
    def good(self) -> bool:
        """True when nothing went wrong in it."""
        return self.outcome in ("passed", "ready", "gone")


def headline(record: RunRecord) -> str:
    """The verdict in one or two words, and where: `Failed on v6e-1`."""
    word = WORDS[record.verdict] if record.verdict else "Still running"
    return word if record.verdict in NOWHERE else f"{word} on {record.target.accelerator}"


def why(record: RunRecord) -> str:
    """The reason as one sentence with a capital letter and a full stop. It can hold hostile text."""
    reason = record.reason.strip() or "The run has not come to a verdict yet"
    # "exit code 1" explains little; the reports know more.
    failing = bad(record.tests) if record.tests and record.verdict is Verdict.FAILED else 0
    if record.tests and failing and "failed" not in reason:
        reason = f"{reason.rstrip('.')}: {failing:,} of {units.number(total(record.tests), 'test')} failed"
    return reason[0].upper() + reason[1:] + ("" if reason[-1] in ".!?" else ".")


def advice(record: RunRecord) -> str:
    """What to do about a verdict that is not the tests' own; "" for one that is."""
    text = ADVICE.get(record.verdict, "") if record.verdict else ""
    return text.format(spot=SPOT if record.target.spot else "")


def untested(record: RunRecord) -> str:
    """Why there is nothing to count; "" where there is."""
    if record.tests is not None:
        return ""
    return "no test report" if any(phase.name == "run" for phase in record.phases) else "no test ran"


def commit(record: RunRecord) -> list[str]:
    """The commit that was tested, and what it was merged into for that; nothing for a workspace."""
    base = record.source.base_sha if record.source else ""
    return list(filter(None, (record.identity.sha, base)))


def code(record: RunRecord) -> list[tuple[str, str]]:
    """What exactly was tested, as git on the machine proved it: what it is, and its whole name or number."""
    source = record.source
    if source is None:
        return []
    told = [
        ("commit", source.sha),
        ("merged into", source.base_sha),
        ("merge", source.merge_sha),
        ("tree", source.tree),
    ]
    told += [("submodules", f"{source.submodules}, not fetched with the commit")] if source.submodules else []
    told += [("Git LFS", f"{source.lfs} files came as pointers")] if source.lfs else []
    return [(name, value) for name, value in told if value]


def doors(record: RunRecord) -> str:
    """What the test user could reach on the machine; "" when nobody tried."""
    known = record.doors
    if known is None or not known.tried:
        return ""
    found = "; ".join(f"{each.name} (w{each.worker}: {each.detail})" for each in known.open)
    return f"open: {found}" if found else f"tried from inside, and shut: {', '.join(known.tried)}"


def total(tests: TestFacts) -> int:
    """How many tests there were."""
    return sum(tests.counts.values())


def counts(tests: TestFacts) -> list[tuple[str, int]]:
    """Outcomes in pytest's order with their numbers; failed and error also when they are 0."""
    order = (Outcome.FAILED, Outcome.ERROR, Outcome.PASSED, Outcome.SKIPPED, Outcome.XFAILED, Outcome.XPASSED)
    always = (Outcome.FAILED, Outcome.PASSED)
    found = ((outcome, tests.counts.get(outcome.value, 0)) for outcome in order)
    return [(outcome.value, count) for outcome, count in found if count or outcome in always]


def bad(tests: TestFacts) -> int:
    """How many tests failed or had an error."""
    return tests.counts.get(Outcome.FAILED.value, 0) + tests.counts.get(Outcome.ERROR.value, 0)


def steps(record: RunRecord) -> list[Step]:
    """Where the time went: the tries for a machine, the phases, and giving the machine back."""
    several = len({each.backend for each in record.tries}) > 1  # else it is said with the machine
    tries = [_try(each, backend=several) for each in record.tries]
    told = [*tries, *map(_phase, record.phases)]
    machine = record.machine
    if machine is not None and machine.released_at is not None:
        # collect has no times of its own: it lies between the last phase and the verified end.
        since = max([machine.ready_at, *(phase.ended_at for phase in record.phases)])
        told.append(Step(name=GIVE_BACK, started_at=since, ended_at=machine.released_at, outcome="gone"))
    return told


def _try(attempt: Try, *, backend: bool) -> Step:
    kind = f"{'spot' if attempt.spot else 'on-demand'}{f' by {attempt.backend}' if backend else ''}"
    return Step(
        name=f"try {attempt.number}: {attempt.zone} {kind}",
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        outcome=attempt.outcome,
        note=attempt.message,
    )


def _phase(phase: PhaseFacts) -> Step:
    return Step(
        name=phase.name,
        started_at=phase.started_at,
        ended_at=phase.ended_at,
        outcome=phase.verdict.value,
        note="; ".join(_notes(phase)),
    )


def _notes(phase: PhaseFacts) -> Iterator[str]:
    several = len(phase.workers) > 1
    for end in phase.workers:
        if end.verdict is not Verdict.PASSED:
            yield (f"w{end.worker}: " if several else "") + _end(end)
    if phase.reattached:
        yield f"connected again {phase.reattached} times" if phase.reattached > 1 else "connected again once"
    peak = max((end.peak_memory_bytes for end in phase.workers), default=0)
    if peak:
        yield f"peak memory {units.size(peak)}"
    # Said, because a log with a hole in it must not look whole.
    dropped = sum(end.output_dropped_bytes for end in phase.workers)
    if dropped:
        yield f"{units.size(dropped)} of output dropped"


def _end(end: WorkerEnd) -> str:
    if end.signal is not None:
        told = f"signal {end.signal}"
    elif end.exit_code is not None:
        told = f"exit code {end.exit_code}"
    else:
        told = end.verdict.value
    return f"{told} ({end.detail})" if end.detail else told


def elapsed(record: RunRecord) -> float | None:
    """Seconds from the run's begin to its end; None while it goes on."""
    return None if record.ended_at is None else max(0.0, record.ended_at - record.started_at)


def cost(record: RunRecord) -> str:
    """What the machine cost, with the machine time and the price, or `unknown`."""
    if record.cost is None:
        return "unknown"
    if record.machine is None:
        return "nothing: no machine was leased"
    time = units.duration(record.cost.machine_seconds)
    if record.cost.dollars is None:
        # Never 0, and never a guess: a budget may be made of these.
        return f"unknown ({time} of machine time, its price is not known)"
    rate = record.cost.dollars_per_hour
    return f"{units.dollars(record.cost.dollars)} ({time} of machine time at {units.dollars(rate)} an hour)"


def hardware(record: RunRecord) -> str:
    """What the health probe found, such as `1 NVIDIA L4, driver 570.86.15, CUDA 12.8`; "" where none looked."""
    facts = record.machine.hardware if record.machine else {}
    parts = [f"{facts['devices']} {facts.get('name', '')}".rstrip()] if "devices" in facts else []
    parts += [f"driver {facts['driver']}"] if "driver" in facts else []
    return ", ".join([*parts, *([f"CUDA {facts['cuda']}"] if "cuda" in facts else [])])


def chosen(record: RunRecord) -> str:
    """Why the machine is this backend's, where the user left the choice to us; "" elsewhere."""
    machine = record.machine
    if machine is None or record.target.backend != "auto":
        return ""
    name = machine.handle.partition("://")[0]
    why = {
        "gce": "Compute Engine ends the machine by itself at the end of its lease",
        "tpu": "the Cloud TPU API: Compute Engine had none, or does not offer this",
    }
    return f"{name}, chosen by auto: {why[name]}" if name in why else name


def cleanup(record: RunRecord) -> tuple[bool | None, str]:
    """Whether nothing was left (None: nobody looked yet), and the sentence that says so."""
    facts = record.cleanup
    if facts is None:
        if record.machine is None and not record.tries:
            return True, "No machine was asked for."
        return None, "Not verified yet: the cleanup had not run when this was written."
    if facts.left:
        return False, f"{units.number(len(facts.left), 'machine')} may still live and cost money."
    if facts.unseen:
        return False, "Not everything could be looked at: a machine may still live and cost money."
    if facts.verified_at is None:
        return None, f"{units.number(len(facts.found), 'machine')} found, left alone (dry run)."
    released = (
        f"{units.number(len(facts.released), 'machine')} released" if facts.released else "No machine had to be ended"
    )
    if facts.kept:
        kept = f"{units.number(len(facts.kept), 'machine')} kept on purpose, which costs money until its end"
        return None, f"{released}; {kept}."
    return True, f"{released}; looked again at {units.moment(facts.verified_at)} and found none."


def living(record: RunRecord) -> list[str]:
    """The machines that may still live, and those that somebody keeps."""
    return [*record.cleanup.left, *record.cleanup.kept] if record.cleanup else []


def by_hand(record: RunRecord) -> str:
    """The commands, a line each, that end what may still live; "" when nothing may."""
    facts = record.cleanup
    if facts is None or not (facts.left or facts.unseen):
        return ""
    return "\n".join(output.single(command) for command in facts.commands[:MOST_COMMANDS])


def repeat(record: RunRecord) -> list[str]:
    """The commands, for a shell in a clone of the repository, that do this again."""
    target, sha = record.target, record.identity.sha
    words = ["accel-ci", "run", "--backend", target.backend, "--accelerator", target.accelerator]
    for zone in target.zones:
        words += ["--zones", zone]
    if not target.spot:
        words.append("--no-spot")
    if target.setup:
        words += ["--setup", target.setup]
    words += ["--run", target.run]
    # Only a commit's own name: the record may have been written by somebody else.
    checkout = [f"git checkout {sha}"] if re.fullmatch("[0-9a-f]{7,64}", sha) else []
    return [*checkout, " ".join(map(_quoted, words))]


def _quoted(word: str) -> str:
    """The word for a POSIX shell; in double quotes where that reads better."""
    return f'"{word}"' if "'" in word and not re.search(r'["$`\\!]', word) else shlex.quote(word)


def flat(text: str) -> bool:
    """True for text that no renderer takes for anything but plain words."""
    return bool(FLAT.fullmatch(text)) and not LINKED.search(text)
