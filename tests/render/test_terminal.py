"""The run in a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_ci.domain.machine import Machine, State
from accel_ci.domain.record import CaseFacts, TestFacts
from accel_ci.formats import output, plain_text
from accel_ci.render import terminal
from tests.render import samples


def test_a_run_is_told_and_its_verdict_comes_last() -> None:
    """Failures with the end of their texts, counts, times, files, cleanup; the last line is the verdict and why."""
    lines = terminal.render(samples.failed()).splitlines()
    assert lines[0] == "FAILED tests/test_layers.py::test_softmax_is_stable_for_large_inputs"
    assert "            x = jnp.array([1e4, 1e4 + 1.0], dtype=jnp.bfloat16)" in lines
    assert "tests    2 failed, 1 error, 1,198 passed, 31 skipped, 6 xfailed, 1 xpassed" in lines
    assert "run                        2 m 30 s  failed       exit code 1; peak memory 11.1 GiB" in lines
    assert "traces/core.1432        w0    3.0 GiB  refused: larger than 100 MiB" in lines
    assert lines[-1] == "Failed on v6e-1 in 5 m 12 s: Run ended with exit code 1: 3 of 1,239 tests failed."


def test_colour_changes_nothing_but_colour() -> None:
    """Without its colours the coloured text is the plain one."""
    coloured = terminal.render(samples.failed(), colour=True)
    assert "\x1b[31m" in coloured
    assert plain_text.uncoloured(coloured) == terminal.render(samples.failed())


def test_what_is_cut_is_said() -> None:
    """At most 50 failures, with the last 12 lines of each."""
    record = samples.failed()
    message = "\n".join(f"line {number}" for number in range(40))
    cases = [CaseFacts(name=f"test_{number}", outcome="failed", message=message) for number in range(200)]
    record.tests = TestFacts(counts={"failed": 5000}, failures=cases)
    text = terminal.render(record)
    assert "    (28 lines above)\n    line 28\n" in text
    assert "... and 4,950 failing tests more" in text


@given(st.text(max_size=40))
@settings(max_examples=60)
def test_hostile_text_cannot_leave_its_line(text: str) -> None:
    """Nothing moves the cursor, hides what follows, adds a line or is a command of the runner."""
    usual = terminal.render(samples.hostile("x"))
    shown = terminal.render(samples.hostile(text))
    assert plain_text.clean(shown.encode()) == shown
    assert output.inert(shown) == shown
    assert shown.count("\n") <= usual.count("\n") + 2 * len(text)


@pytest.mark.parametrize(
    ("expires", "left"), [("1600", "10 m 00 s left"), ("940", "ended 1 m 00 s ago"), ("", "unknown")]
)
def test_machines_are_listed_with_what_is_left_of_their_leases(expires: str, left: str) -> None:
    """A table with one line per machine."""
    machine = Machine(
        handle="local://w0",
        name="w0",
        zone="here",
        accelerator="local",
        spot=False,
        state=State.READY,
        labels={"accel-ci-expires": expires},
    )
    lines = terminal.machines([machine], now=1000)
    assert lines[0].split() == ["machine", "state", "accelerator", "lease"]
    assert lines[1].split("  ")[0] == "local://w0"
    assert lines[1].endswith(left)


def test_no_machine_is_said() -> None:
    """An empty list is an answer."""
    assert terminal.machines([], now=0) == ["no machine"]
