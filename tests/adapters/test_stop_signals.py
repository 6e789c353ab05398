"""Signals as one cancellation, in a process of its own: it reaches our code whatever stands between."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

import pytest

HEAD = """
import time
from accel_ci.adapters.stop_signals import StopSignals
from accel_ci.domain.errors import CancelledError
stop = StopSignals()
stop.listen()
def wait(seconds=20):
    print("ready", flush=True)
    time.sleep(seconds)
"""


def _told(body: str, *numbers: signal.Signals, then_s: float = 0.0) -> str:
    """What the code prints after `ready`, which gets the signals then, one after another."""
    code = HEAD + textwrap.dedent(body)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for number in numbers:
            process.send_signal(number)
            time.sleep(then_s)
        told, _ = process.communicate(timeout=30)
        return told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_cancels(number: signal.Signals) -> None:
    """The sleeper wakes with our error, which names the signal."""
    body = """
    try:
        wait()
    except CancelledError as error:
        print(error)
    """
    assert _told(body, number) == f"{number.name} asked us to stop\n"


def test_the_second_signal_finds_us_at_work() -> None:
    """SIGTERM after SIGINT interrupts nothing of what the first one began."""
    body = """
    try:
        wait()
    except CancelledError:
        time.sleep(0.4)
        print("cleaned up")
    """
    assert _told(body, signal.SIGINT, signal.SIGTERM, then_s=0.1) == "cleaned up\n"


def test_a_library_that_catches_everything_does_not_keep_it() -> None:
    """An error that some other code caught and dropped is raised again, until our own code holds it."""
    body = """
    def library():
        for _ in range(3):
            try:
                wait()
            except Exception:
                continue
    began = time.monotonic()
    try:
        library()
        time.sleep(20)
    except CancelledError:
        print(time.monotonic() - began < 15)
    """
    assert _told(body, signal.SIGINT).splitlines()[-1] == "True"


def test_an_import_is_not_torn_apart(tmp_path: object) -> None:
    """A signal amid an import is raised right after it: the module is whole, and cleanup can use it."""
    body = f"""
    import pathlib, sys
    sys.path.insert(0, {str(tmp_path)!r})
    pathlib.Path({str(tmp_path)!r}, "slow_module.py").write_text(
        "import time\\nprint('ready', flush=True)\\ntime.sleep(0.3)\\nWHOLE = True\\n")
    try:
        import slow_module
        time.sleep(20)
    except CancelledError:
        print(sys.modules["slow_module"].WHOLE)
    """
    assert _told(body, signal.SIGINT) == "True\n"


def test_what_is_limited_ends_as_if_cancelled() -> None:
    """After its seconds the work inside is cancelled, with the reason; outside nothing is."""
    body = """
    with stop.within(30, why="too long"):
        pass
    print("ready", flush=True)
    try:
        with stop.within(0.2, why="too long"):
            time.sleep(20)
    except CancelledError as error:
        print(error)
    """
    assert _told(body) == "too long\n"


def test_nothing_is_raised_once_the_end_has_begun() -> None:
    """A signal that comes while the process ends changes neither its exit nor its output."""
    body = """
    stop.settle()
    wait(0.5)
    print("ended")
    """
    assert _told(body, signal.SIGINT, signal.SIGTERM) == "ended\n"
