"""What every job does: the fake, a GitHub Actions step, a terminal, and the log of another CI."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from accel_ci.adapters.actions_job import ActionsJob
from accel_ci.adapters.terminal_job import TerminalJob
from accel_ci.ports.job import Job
from tests.fakes.clock import FakeClock
from tests.fakes.entropy import FakeEntropy
from tests.fakes.job import FakeJob
from tests.formats.runner_parser import Runner, lines


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Seen:
    """A job, and what a person sees of it."""

    job: Job
    text: Callable[[], str]


def shown_by_runner(output: str) -> str:
    """What the log of a step shows: text and the messages of commands, with masked values hidden."""
    runner, masks, shown = Runner(), [], []
    for line in lines(output.encode()):
        command = runner.line(line)
        if command and command.name == "add-mask":
            masks.append(command.data)
        elif command is None or command.name in {"group", "notice", "warning", "error"}:
            text = line if command is None else f"{command.properties.get('title', '')}: {command.data}"
            for mask in masks:
                text = text.replace(mask, "***")
            shown.append(text)
    return "".join(f"{line}\n" for line in shown)


@pytest.fixture(params=["fake", "actions", "terminal", "other-ci"])
def seen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Seen]:
    if request.param == "fake":
        fake = FakeJob()
        yield Seen(fake, lambda: fake.text)
    elif request.param == "actions":
        out, clock, entropy = io.StringIO(), FakeClock(), FakeEntropy()
        places = str(tmp_path / "output"), str(tmp_path / "summary")
        job = ActionsJob(out, output_file=places[0], summary_file=places[1], clock=clock, entropy=entropy)
        yield Seen(job, lambda: shown_by_runner(out.getvalue()))
    else:
        screen = Terminal() if request.param == "terminal" else io.StringIO()
        yield Seen(TerminalJob(screen, screen, clock=FakeClock(), colour=False), screen.getvalue)


def test_log_lines_and_remote_output_are_seen_in_order(seen: Seen) -> None:
    """Lines of ours and remote output appear unchanged, in the order in which they came."""
    seen.job.log("before")
    seen.job.stream("[w0] one\n[w0]   two\n")
    seen.job.stream("")
    seen.job.stream("[w1] three\n")
    seen.job.log("after")
    assert seen.text() == "before\n[w0] one\n[w0]   two\n[w1] three\nafter\n"


def test_a_group_names_itself_before_and_its_seconds_after(seen: Seen) -> None:
    """The title stands above what is logged inside, and again below with a duration."""
    with seen.job.group("setup"):
        seen.job.log("inside")
        with seen.job.group("deeper"):
            seen.job.stream("remote\n")
    above, below = seen.text().split("inside\n")
    assert "setup" in above
    assert below.index("deeper") < below.index("remote") < below.index("deeper: 0.0 s") < below.index("setup: 0.0 s")


def test_a_group_closes_when_its_work_fails(seen: Seen) -> None:
    """An exception passes through, and the group still ends with its line."""
    with pytest.raises(ZeroDivisionError), seen.job.group("broken"):
        raise ZeroDivisionError
    assert "broken: 0.0 s" in seen.text()
    seen.job.log("goes on")
    assert seen.text().endswith("goes on\n")


@pytest.mark.parametrize("kind", ["notice", "warning", "error"])
def test_an_annotation_shows_its_title_and_all_of_its_text(seen: Seen, kind: str) -> None:
    """Titles and texts of several lines, with the characters that commands escape, come through whole."""
    getattr(seen.job, kind)("50% of v6e-1: a, b", "first: 100%\nsecond, third")
    assert "50% of v6e-1: a, b: first: 100%\nsecond, third\n" in seen.text()


def test_more_annotations_than_github_shows_are_still_seen(seen: Seen) -> None:
    """The fifteenth error can be read in the log, wherever the ones before went."""
    for number in range(15):
        seen.job.error("failure", f"number {number}")
    assert all(f"failure: number {number}\n" in seen.text() for number in range(15))


def test_a_masked_value_is_never_seen_again(seen: Seen) -> None:
    """After mask, no log line, output, group or annotation shows the value."""
    seen.job.stream("remote\n")
    seen.job.mask("hunter2-hunter2")
    seen.job.log("token hunter2-hunter2")
    seen.job.stream("echo hunter2-hunter2\n")
    with seen.job.group("with hunter2-hunter2"):
        seen.job.error("at hunter2-hunter2", "was hunter2-hunter2")
    assert "hunter2" not in seen.text()
    assert seen.text().count("***") >= 5


def test_outputs_and_the_summary_are_not_part_of_the_log(seen: Seen) -> None:
    """Values for later steps and the page of the run do not clutter what a person reads."""
    seen.job.output("handle", "tpu://p/z/n")
    seen.job.summary("# A summary\n")
    assert seen.text() == ""


def test_a_status_is_seen_once_while_nothing_changes(seen: Seen) -> None:
    """The first text appears; the same text again within a second adds no further line."""
    for _ in range(5):
        seen.job.status("waiting for zone us-central1-b")
    assert "waiting for zone us-central1-b" in seen.text()
    assert seen.text().count("\n") <= 1


def test_log_lines_stay_whole_after_a_status(seen: Seen) -> None:
    """A status that is redrawn leaves nothing of itself in the next line."""
    seen.job.status("waiting for a long time")
    seen.job.log("ready")
    assert seen.text().replace("\r\x1b[K", "\n").splitlines()[-1] == "ready"
