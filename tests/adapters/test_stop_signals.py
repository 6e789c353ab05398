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


@pytest.mark.parametrize(
    "delicate",
    ["threading.Thread(target=time.time).start()", "with threading.Condition(): pass", "subprocess.run(['true'])"],
)
def test_what_must_be_whole_is_not_torn_apart(delicate: str) -> None:
    """A signal while a thread starts, a lock is taken or a child is made is raised after it: a thread that was torn from its

    start ended the step as a bug of ours, with KeyError out of `threading`.
    """
    body = f"""
    import os, signal, subprocess, sys, threading
    inside = []
    def profile(frame, event, argument):
        place = (frame.f_globals.get("__name__"), frame.f_code.co_name)
        if place in stop_signals._DELICATE and event == "call" and not inside:
            inside.append(place)
            os.kill(os.getpid(), signal.SIGINT)
    from accel_ci.adapters import stop_signals
    print("ready")
    sys.setprofile(profile)
    try:
        try:
            {delicate}
            told = "whole"
        finally:
            sys.setprofile(None)
        time.sleep(20)
    except CancelledError:
        print(told, *inside)
    """
    assert _told(body).startswith("whole ('")


ENDING = """
import os, signal, sys
from accel_ci import cli
from accel_ci.adapters.stop_signals import StopSignals
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
class Early:
    def find_spec(self, name, path=None, target=None):
        if name == "accel_ci.wiring":
            interrupt()
class Late(StopSignals):
    def settle(self):
        interrupt()
        super().settle()
class Last:
    def __del__(self, interrupt=interrupt):
        interrupt()
def waiting(words, environ, *, job, stop):
    time.sleep(20)
def working(words, environ, *, job, stop):
    return 1
"""


def _main(setup: str) -> subprocess.CompletedProcess[str]:
    code = f"import time\n{ENDING}\n{setup}\nsys.exit(cli.main(['list']))\n"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_a_signal_while_we_start_cancels_as_any_other() -> None:
    """Half of a short step are its imports: a signal then ended it with a traceback, and without what cleans up."""
    done = _main("sys.meta_path.insert(0, Early())\ncli._called = waiting")
    assert done.returncode == 130, done.stderr
    assert "SIGINT asked us to stop" in done.stderr and "Traceback" not in done.stderr


def test_a_signal_after_the_work_changes_no_exit_code() -> None:
    """Between the verb's end and the process's a signal finds nothing to cancel: the code is the work's."""
    done = _main("cli.StopSignals = Late\ncli._called = working")
    assert (done.returncode, done.stderr) == (1, "")


def test_a_signal_while_python_ends_changes_no_exit_code() -> None:
    """Its modules are taken down when our handlers are gone already: under load that takes a while."""
    done = _main("cli._called = working\nsys.modules['accel_ci'].last = Last()")
    assert (done.returncode, done.stderr) == (1, "")
