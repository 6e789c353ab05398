"""The boundary: the only reader of the environment, the only catcher of errors, the giver of exit codes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from accel_ci import __version__, commands, wiring
from accel_ci.commands import Call
from accel_ci.domain.errors import AccelError, CancelledError, ConfigurationError, Family
from accel_ci.inputs import arguments, parsing
from accel_ci.ports.job import Job

PLUGINS = "accel_ci.verbs"
SIMULATOR = "sim"
SIMULATES = "Serve a simulated cloud on this computer, to try everything for free (`sim serve --help`)."
POPPED = (
    "ACCEL_CI_INPUTS",
    "ACCEL_CI_MATRIX",
    "ACCEL_CI_STRATEGY",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "GITHUB_TOKEN",
)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 passed, 1 tests failed, 2 configuration, 3 the cloud, 4 timed out, 5 cleanup unverified,

    130 cancelled, 70 our bug.
    """
    environ = dict(os.environ)
    for name in POPPED:  # nothing that we start may inherit them
        os.environ.pop(name, None)
    job = wiring.job(environ)
    try:
        _listen_to_signals()
        words = list(sys.argv[1:] if argv is None else argv)
        if words[:1] == [SIMULATOR]:
            return _simulator(words[1:])
        elsewhere = {} if words and words[0] in commands.VERBS else _elsewhere()
        command = arguments.read(words, version=__version__, elsewhere=elsewhere)
        given = parsing.from_json(environ.get("ACCEL_CI_INPUTS") or "{}") | dict(command.given)
        return commands.VERBS[command.verb](Call(given=given, environ=environ, job=job))
    except AccelError as error:
        _explain(job, error)
        return error.exit_code
    except Exception as error:
        _confess(job, error)
        return AccelError.exit_code


def _elsewhere() -> dict[str, str]:
    """The verbs that other packages bring, where they are installed, with what they do."""
    from importlib.metadata import entry_points

    return {SIMULATOR: SIMULATES} if entry_points(group=PLUGINS, name=SIMULATOR) else {}


def _simulator(words: Sequence[str]) -> int:
    """The simulated world knows us and not the other way round: it is found by its entry point, where it is installed."""
    from importlib.metadata import entry_points

    for verb in entry_points(group=PLUGINS, name=SIMULATOR):
        code: int = verb.load()(words)
        return code
    raise ConfigurationError("the simulator is not installed", what_to_do="pip install 'accel-ci[sim]'")


def _listen_to_signals() -> None:
    """The first SIGINT or SIGTERM cancels; those that follow find us cleaning up already."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _cancel)


def _cancel(number: int, frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _ignore)  # not SIG_IGN: processes that we start would inherit that
    raise CancelledError(f"{signal.Signals(number).name} asked us to stop", what_to_do="run it again when you want to")


def _ignore(number: int, frame: FrameType | None) -> None:
    """Cancelled already."""


def _explain(job: Job, error: AccelError) -> None:
    text = error.what_happened
    if isinstance(error, ConfigurationError):
        text = "\n".join([text, *(f"  {mistake}" for mistake in error.mistakes)])
    job.error(f"accel-ci: {error.title}", text)
    if error.what_to_do:
        job.log(f"What to do: {error.what_to_do}")
    job.log(f"More: {error.docs}")


def _confess(job: Job, error: Exception) -> None:
    import traceback

    job.error(f"accel-ci: {Family.BUG}", f"{type(error).__name__}: {error}")
    job.log("".join(traceback.format_exception(error)))
    job.log(f"accel-ci {__version__}: please report this with the lines above; {AccelError('').docs}")
