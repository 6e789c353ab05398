"""One host of a machine: what was brought there, and the phases that its supervisor runs."""

from __future__ import annotations

from dataclasses import dataclass, field

NEVER = float("inf")
TERM_S = 0.2  # a command that obeys TERM is gone this soon


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a command would do if left alone: write `output` (second -> bytes), then end after `seconds`.

    `stubborn` ignores TERM; `forges` writes an end record of its own that claims exit code 0; `orphaned` loses its
    supervisor on the way, so that no record can come; `results` is the file that its test runner leaves.
    """

    seconds: float
    exit_code: int | None = 0
    signal: int | None = None
    output: tuple[tuple[float, bytes], ...] = ()
    stubborn: bool = False
    forges: bool = False
    orphaned: bool = False
    starts: bool = True
    results: bytes = b""

    @property
    def good(self) -> bool:
        """True when the command would end by itself with exit code 0, honestly."""
        return self.starts and self.exit_code == 0 and self.signal is None and not (self.forges or self.orphaned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When the supervisor ends a command by itself; `lease_expires_at` in seconds since 1970."""

    limit_s: float
    grace_s: float
    unattended_s: float
    lease_expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What the supervisor states about a phase that is over."""

    key: str
    nonce: str
    phase: str
    reason: str
    exit_code: int | None
    signal: int | None
    started_at: float
    ended_at: float
    output_bytes: int


@dataclass(slots=True, kw_only=True)
class Running:
    """A phase on one worker. Nothing ticks: what has happened by now is worked out when somebody looks."""

    key: str
    nonce: str
    phase: str
    script: Script
    limits: Limits
    started_at: float
    stop_at: float = NEVER
    attached: int = 0
    attended_at: float = 0.0
    doom: tuple[float, str] | None = None
    dead: bool = False  # with its machine: nothing happens any more, and no record comes
    end: End | None = None

    @property
    def over(self) -> bool:
        """True when nothing of the phase happens any more; without an `end` it left no record."""
        return self.end is not None or (self.doom is not None and self.doom[1] == "orphaned")

    def attach(self, now: float) -> None:
        """Somebody follows the phase."""
        self.settle(now)
        self.attached += 1

    def detach(self, now: float) -> None:
        """One follower less."""
        self.settle(now)
        self.attached -= 1
        self.attended_at = now

    def stop(self, now: float) -> None:
        """Ask for a polite end."""
        self.settle(now)
        self.stop_at = min(self.stop_at, now)

    def settle(self, now: float) -> None:
        """Let what was due by now have happened."""
        if self.over or self.dead:
            return
        # The first cause wins and stays: a stop that comes later does not change how it ended.
        if self.doom is None:
            first = self._first_cause()
            if first[0] > now:
                return
            self.doom = first
        at = self._ends_at(self.doom)
        # A supervisor that was killed writes no end record, and silence must never count as success.
        if at <= now and self.doom[1] != "orphaned":
            self._finish(at, self.doom[1])

    def stopped_at(self) -> float:
        """When a phase that is over was over."""
        return self.end.ended_at if self.end is not None else self.changes_at()

    def changes_at(self) -> float:
        """When the phase ends if nobody does anything about it."""
        return self._ends_at(self.doom or self._first_cause())

    def written(self, now: float) -> bytes:
        """All output so far, from the first byte."""
        until = (self.stopped_at() if self.over else now) - self.started_at
        return b"".join(data for at, data in self.script.output if at <= until)

    def next_output_at(self, offset: int) -> float:
        """When the first byte beyond `offset` was or will be there; NEVER when there is no such byte."""
        seen = 0
        for at, data in self.script.output:
            seen += len(data)
            if seen > offset:
                when = self.started_at + at
                return when if not self.over or when <= self.stopped_at() else NEVER
        return NEVER

    def _first_cause(self) -> tuple[float, str]:
        if not self.script.starts:
            return self.started_at, "not-started"
        # A supervisor ends what nobody follows: a client that died must not leave a command to run on.
        unattended = NEVER if self.attached else self.attended_at + self.limits.unattended_s
        return min(
            (self.started_at + self.script.seconds, "exited"),
            (self.started_at + self.script.seconds / 2 if self.script.orphaned else NEVER, "orphaned"),
            (self.started_at + self.limits.limit_s, "timed-out"),
            (self.limits.lease_expires_at, "lease-expired"),
            (self.stop_at, "cancelled"),
            (unattended, "unattended"),
        )

    def _ends_at(self, doom: tuple[float, str]) -> float:
        at, reason = doom
        # Everything else is asked to end first, and a stubborn command takes all of its grace.
        if reason in ("exited", "not-started", "orphaned"):
            return at
        return at + (self.limits.grace_s if self.script.stubborn else TERM_S)

    def _finish(self, at: float, reason: str) -> None:
        by_itself = reason == "exited"
        killed = None if reason == "not-started" else (9 if self.script.stubborn else 15)
        output = sum(len(data) for when, data in self.script.output if when <= at - self.started_at)
        self.end = End(
            key=self.key,
            nonce=self.nonce,
            phase=self.phase,
            reason=reason,
            exit_code=self.script.exit_code if by_itself else None,
            signal=self.script.signal if by_itself else killed,
            started_at=self.started_at,
            ended_at=at,
            output_bytes=output,
        )


@dataclass(slots=True)
class Worker:
    """A host: alive until its machine ends. Dead ones keep what they knew, so that the truth can be asked for.

    `prepared` are the directories that have our courier, `sources` the commit in each; `phases` are by directory and name.
    """

    index: int
    scripts: dict[str, Script]
    prepared: set[str] = field(default_factory=set)
    sources: dict[str, str | None] = field(default_factory=dict)
    phases: dict[str, Running] = field(default_factory=dict)
    died_at: float | None = None

    def die(self, now: float) -> None:
        """The machine is gone under everything that runs; what had ended by now has ended."""
        if self.died_at is None:
            for running in self.phases.values():
                # What had ended before the machine did has left its record.
                running.settle(now)
                running.dead = True
            self.died_at = now
