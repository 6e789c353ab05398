"""The run as lines for a terminal or a plain log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accel_ci.domain import lease
from accel_ci.domain.machine import Machine
from accel_ci.domain.record import Artifact, RunRecord, TestFacts
from accel_ci.domain.verdict import Verdict
from accel_ci.formats import output
from accel_ci.render import story, units

MAX_ROWS = 50
MAX_MESSAGE_LINES = 12
GREEN, RED, YELLOW, BOLD, DIM = "32", "31", "33", "1", "2"


def render(record: RunRecord, *, colour: bool = False) -> str:
    """Lines that tell the run: failures, counts, times, files, cleanup; the verdict comes last, next to the prompt."""
    paint = _Paint(colour)
    blocks = [_failures(record.tests, paint), _counts(record.tests, paint), _steps(record, paint)]
    blocks += [_artifacts(record.artifacts, paint), _facts(record), _verdict(record, paint)]
    lines: list[str] = []
    for block in map(list, blocks):
        lines += ["", *block] if lines and block else block
    return "\n".join(lines) + "\n"


def machines(machines: Sequence[Machine], *, now: float) -> list[str]:
    """A table of the machines that exist, and how long their leases still last."""
    if not machines:
        return ["no machine"]
    rows = [
        [output.one_line(each.handle), each.state.value, output.one_line(each.accelerator), _lease(each, now)]
        for each in machines
    ]
    return list(_table([["machine", "state", "accelerator", "lease"], *rows], align="<<<<"))


class _Paint:
    """Colours text, or leaves it as it is."""

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, text: str, code: str) -> str:
        # The only escapes that leave here: those in what a machine says were taken out before.
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text


def _failures(tests: TestFacts | None, paint: _Paint) -> Iterator[str]:
    for case in tests.failures[:MAX_ROWS] if tests else ():
        worker = f" on w{case.worker}" if case.worker else ""
        yield f"{paint(case.outcome.upper(), RED)} {output.one_line(case.name)}{worker}"
        lines = [_indented(line) for line in case.message.splitlines() if line.strip()]
        if len(lines) > MAX_MESSAGE_LINES:
            yield paint(f"    ({len(lines) - MAX_MESSAGE_LINES} lines above)", DIM)
        for line in lines[-MAX_MESSAGE_LINES:]:  # the end holds the assertion
            yield f"    {line}"
    unshown = story.bad(tests) - min(len(tests.failures), MAX_ROWS) if tests else 0
    if unshown:
        yield f"... and {units.number(unshown, 'failing test')} more"


def _indented(line: str) -> str:
    # A traceback without its indentation is hard to read; one with too much leaves the screen.
    return " " * min(len(line) - len(line.lstrip()), 40) + output.one_line(line)


def _counts(tests: TestFacts | None, paint: _Paint) -> Iterator[str]:
    if tests is None:
        return
    colours = {"failed": RED, "error": RED, "passed": GREEN}
    counts = [
        paint(f"{count:,} {name}", colours.get(name, YELLOW)) if count else f"0 {name}"
        for name, count in story.counts(tests)
    ]
    yield f"tests    {', '.join(counts)}"
    for case in tests.flaky[:MAX_ROWS]:
        yield f"{paint('flaky', YELLOW)}    {output.one_line(case.name)} ({case.attempts} attempts)"
    for problem in tests.problems[:MAX_ROWS]:
        yield f"{paint('problem', YELLOW)}  {output.one_line(problem, 300)}"


def _steps(record: RunRecord, paint: _Paint) -> Iterator[str]:
    rows = [
        [
            output.one_line(step.name),
            units.duration(step.ended_at - step.started_at),
            output.one_line(step.outcome),
            output.one_line(step.note),
        ]
        for step in story.steps(record)
    ]
    yield from _table(rows[:MAX_ROWS], align="<><<")
    if len(rows) > MAX_ROWS:
        yield paint(f"... and {len(rows) - MAX_ROWS} more steps", DIM)


def _artifacts(artifacts: Sequence[Artifact], paint: _Paint) -> Iterator[str]:
    rows = [
        [
            output.one_line(each.name),
            f"w{each.worker}",
            units.size(each.size_bytes),
            f"refused: {output.one_line(each.refused)}" if each.refused else output.one_line(each.sha256[:12]),
        ]
        for each in artifacts[:MAX_ROWS]
    ]
    yield from _table(rows, align="<<><")
    if len(artifacts) > MAX_ROWS:
        yield paint(f"... and {len(artifacts) - MAX_ROWS} more files", DIM)


def _facts(record: RunRecord) -> Iterator[str]:
    if record.machine is not None:
        yield f"machine  {output.one_line(record.machine.handle)}"
    yield f"cost     {story.cost(record)}"
    yield f"cleanup  {story.cleanup(record)[1]}"
    for handle in story.living(record):
        yield f"         {output.one_line(handle)}"
    if advice := story.advice(record):
        yield f"advice   {advice}"


def _verdict(record: RunRecord, paint: _Paint) -> Iterator[str]:
    colour = GREEN if record.verdict is Verdict.PASSED else RED
    if record.verdict is None or record.verdict.is_infrastructure:
        colour = YELLOW  # not the code's fault
    headline = paint(paint(output.one_line(story.headline(record)), colour), BOLD)
    elapsed = story.elapsed(record)
    took = f" in {units.duration(elapsed)}" if elapsed is not None else ""
    yield f"{headline}{took}: {output.one_line(story.why(record), 600)}"


def _lease(machine: Machine, now: float) -> str:
    expiry = lease.expires_at(machine.labels)
    if expiry is None:
        return "unknown"
    return f"{units.duration(expiry - now)} left" if expiry > now else f"ended {units.duration(now - expiry)} ago"


def _table(rows: Sequence[Sequence[str]], *, align: str) -> Iterator[str]:
    """The rows with columns padded to the widest cell; `align` has < or > for each column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=True))
        yield "  ".join(cells).rstrip()
