"""The boundary: the only reader of the environment, the only catcher of errors, the giver of exit codes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from accel_ci import __version__
from accel_ci.adapters import streams
from accel_ci.adapters.stop_signals import StopSignals
from accel_ci.domain.errors import AccelError, ComputerError, ConfigurationError, Family
from accel_ci.ports.job import Job

COLLECT_AFTER = 200_000  # new objects that hold others
PLUGINS = "accel_ci.verbs"
SIMULATOR = "sim"
SIMULATES = "Serve a simulated cloud on this computer, to try everything for free (`sim serve --help`)."
SECRETS = "ACCEL_CI_SECRET"
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
    for name in (*POPPED, *(name for name in environ if name.startswith(SECRETS))):
        os.environ.pop(name, None)  # nothing that we start may inherit them
    stop = StopSignals(below=_called.__code__)
    stop.listen()  # before the imports, which are half of a short step
    with _little_collecting():
        from accel_ci import wiring

        streams.complete()
        job = wiring.job(environ)
        try:
            code = _called(list(sys.argv[1:] if argv is None else argv), environ, job=job, stop=stop)
            if job.unwritten and not code:  # half an answer, or half a log, is no success
                raise ComputerError(f"output is lost: {job.unwritten}", what_to_do="make room for it, and run it again")
            return code
        except AccelError as error:
            stop.settle()
            _explain(job, error)
            return error.exit_code
        except Exception as error:
            stop.settle()
            if isinstance(error, OSError) and (known := ComputerError.of(error)):
                _explain(job, known)
                return known.exit_code
            _confess(job, error)
            return AccelError.exit_code
        finally:
            stop.settle()


def _called(words: Sequence[str], environ: dict[str, str], *, job: Job, stop: StopSignals) -> int:
    from accel_ci.commands import verbs
    from accel_ci.commands.call import Call
    from accel_ci.inputs import arguments, parsing

    if words[:1] == [SIMULATOR]:
        return _simulator(words[1:])
    elsewhere = {} if words and words[0] in verbs.VERBS else _elsewhere()
    command = arguments.read(words, version=__version__, elsewhere=elsewhere)
    given, wrong = parsing.from_json(environ.get("ACCEL_CI_INPUTS") or "{}")
    call = Call(
        given=given | dict(command.given), mistakes=(*wrong, *command.mistakes), environ=environ, job=job, stop=stop
    )
    return verbs.VERBS[command.verb](call)


@contextmanager
def _little_collecting() -> Iterator[None]:
    """Collect garbage rarely: what is imported is none, and looking through it is a quarter of a short process's time."""
    usual = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *usual[1:])
    try:
        yield
    finally:
        gc.freeze()  # or the interpreter looks through all of it once more before it ends
        gc.set_threshold(*usual)


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
