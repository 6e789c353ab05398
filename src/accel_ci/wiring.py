"""Putting the ports together for the place where we run. The environment comes in as a mapping, once."""

from __future__ import annotations

import base64
import getpass
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accel_ci.adapters import event_file, github_rest, kept_runs, registry, sealed_box
from accel_ci.adapters.actions_job import ActionsJob
from accel_ci.adapters.entropy_os import SystemEntropy
from accel_ci.adapters.git_source import GitSources
from accel_ci.adapters.github_calls import Calls
from accel_ci.adapters.github_rest import GitHubRest
from accel_ci.adapters.google_sign_in import GoogleSignIn
from accel_ci.adapters.kept_runs import KeptRuns
from accel_ci.adapters.lanes_threads import ThreadLanes
from accel_ci.adapters.registry import Site
from accel_ci.adapters.supervised import SupervisedRemote
from accel_ci.adapters.system_clock import SystemClock
from accel_ci.adapters.terminal_job import TerminalJob
from accel_ci.domain import context, errors, grant, sealed
from accel_ci.domain.context import Context
from accel_ci.domain.machine import Machine
from accel_ci.operations import records
from accel_ci.ports.files import Files
from accel_ci.ports.github import GitHub
from accel_ci.ports.job import Job
from accel_ci.ports.machines import Machines
from accel_ci.ports.world import World

SECRET, SECRETS_KEY, SECRETS_FILE = "ACCEL_CI_SECRET_", "ACCEL_CI_SECRETS_KEY", "ACCEL_CI_SECRETS_FILE"
# What Google's own tools and keyless sign-in read: whoever signed in for those is signed in for us.
CLOUD = re.compile("(?:CLOUDSDK|GOOGLE|ACTIONS_ID_TOKEN_REQUEST)_|(?:HOME|GITHUB_ACTIONS)$")
# Too much rather than too little: a command that misses a variable says so, one that gets a token does not.
PRIVATE = re.compile(
    r"^(GITHUB|ACTIONS|RUNNER|INPUT|ACCEL_CI|AWS|GOOGLE|CLOUDSDK)_|TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """What a step says about the cloud: the project that pays, and whom we are to be there; "" where it says nothing."""

    project: str = ""
    provider: str = ""
    service_account: str = ""

    def completed(self, given: Mapping[str, str]) -> Cloud:
        """The same, with what the step that leased was given; an identity is taken whole or not at all."""
        if not self.provider:
            # One step's provider with another step's account would be an identity that nobody wrote down.
            provider, account = given.get("workload-identity-provider", ""), given.get("service-account", "")
        else:
            provider, account = self.provider, self.service_account
        return Cloud(project=self.project or given.get("project", ""), provider=provider, service_account=account)


NO_CLOUD = Cloud()


def place(environ: Mapping[str, str]) -> KeptRuns:
    """ACCEL_CI_STATE, else the user's state directory, else one below the temporary directory, where HOME cannot be used.

    The documents of a GitHub Actions job lie in the runner's own temporary directory, which ends with the job.
    """
    state = environ.get("ACCEL_CI_STATE") or _state_home(environ)
    temp = environ.get("RUNNER_TEMP")
    # Not the home on GitHub: that of a self-hosted runner is there in the next job, of whatever repository.
    return KeptRuns(state=state, runs=f"{temp}/accel-ci/runs" if _on_github(environ) and temp else f"{state}/runs")


def job(environ: Mapping[str, str]) -> ActionsJob | TerminalJob:
    """The job that we run in."""
    if _on_github(environ):
        return ActionsJob(
            sys.stdout,
            output_file=environ.get("GITHUB_OUTPUT", ""),
            summary_file=environ.get("GITHUB_STEP_SUMMARY", ""),
            clock=SystemClock(),
            entropy=SystemEntropy(),
            debug=environ.get("RUNNER_DEBUG") == "1",
            # In our container the runner's directory has another name than for the steps that read what we tell.
            outside=(
                environ.get("RUNNER_TEMP", ""),
                environ.get("ACCEL_CI_TEMP_OUTSIDE") or environ.get("RUNNER_TEMP", ""),
            ),
        )
    return TerminalJob(sys.stdout, sys.stderr, clock=SystemClock(), colour="NO_COLOR" not in environ)


@contextmanager
def world(
    environ: Mapping[str, str],
    here: Context,
    *,
    talk: Job,
    backend: str = "auto",
    accelerator: str = "",
    slot: str = "",
    cloud: Cloud = NO_CLOUD,
) -> Iterator[World]:
    """All ports for this run; connections are closed when the block is left.

    Without an accelerator `auto` is the backend of the slot's leased machine, and where there is none every backend.
    What `cloud` leaves out is what the step that leased was given.
    """
    kept = place(environ)
    files = kept.files(here.key().name)
    known = _leased_from(files, slot) if backend == "auto" and not accelerator else backend
    chosen = registry.backend(known, accelerator=accelerator)
    # Compute Engine's library is slow to import: begun here, it is there when it is needed.
    if accelerator:  # whoever names one leases it, or looks for it
        chosen.ahead()
    site = _site(environ, here, cloud=cloud)
    with chosen.remote(site) as remote:
        yield World(
            machines=chosen.machines(site),
            remote=remote,
            sources=GitSources(harmless(environ), extra_header=_authorization(environ)),
            job=talk,
            files=files,
            history=kept.history(),
            clock=SystemClock(),
            entropy=SystemEntropy(),
            lanes=ThreadLanes(),
            github=_github(environ, here),
            credentials=site.sign_in,
        )


def unseen(environ: Mapping[str, str], here: Context, *, backend: str, cloud: Cloud) -> list[str]:
    """The backends that a look for machines leaves out, when `backend` is `auto` and nothing was leased here."""
    known = _leased_from(place(environ).files(here.key().name), "") if backend == "auto" else backend
    # Whoever names a backend and cannot reach it gets an error anyway.
    return registry.unreachable(_site(environ, here, cloud=cloud)) if known == registry.EVERY else []


@contextmanager
def doors(environ: Mapping[str, str], here: Context, machine: Machine) -> Iterator[tuple[Machines, SupervisedRemote]]:
    """The backend of a machine that the run leased, and the way to its workers."""
    chosen, site = registry.backend(machine.backend, accelerator=""), _site(environ, here, cloud=NO_CLOUD)
    with chosen.remote(site) as remote:
        yield chosen.machines(site), remote


def _site(environ: Mapping[str, str], here: Context, *, cloud: Cloud) -> Site:
    kept = place(environ)
    files = kept.files(here.key().name)
    told = cloud.completed(_remembered(files))
    variables = {name: value for name, value in environ.items() if CLOUD.match(name)}
    return Site(
        state=kept.state,
        run=kept.run(here.key().name),
        environment=harmless(environ),
        cloud=variables,
        project=told.project,
        sign_in=GoogleSignIn(variables, provider=told.provider, account=told.service_account, files=files),
    )


def _github(environ: Mapping[str, str], here: Context) -> GitHub | None:
    token = environ.get("GITHUB_TOKEN", "")
    # Somebody's own token at a terminal is no leave to write comments in their name.
    if not token or not here.on_github:
        return None
    api_url = environ.get("GITHUB_API_URL", "")
    calls = Calls(token, here.repository, api_url=api_url, clock=SystemClock(), entropy=SystemEntropy())
    return GitHubRest(calls, login=environ.get("ACCEL_CI_LOGIN") or github_rest.LOGIN)


def _remembered(files: Files) -> dict[str, str]:
    """What the run was begun with, in an earlier step or process; nothing when that was not here."""
    return kept_runs.inputs(files.read("inputs.json") or b"{}")


def _leased_from(files: Files, slot: str) -> str:
    try:
        known = files.read(records.place(slot, "machine.json")) is not None
        return records.load_machine(files, slot).backend if known else registry.EVERY
    except errors.ComputerError:  # damaged: then it may be anywhere
        return registry.EVERY


def here(environ: Mapping[str, str]) -> Context:
    """The context of the GitHub Actions job, or of a new run of the person at the terminal."""
    if _on_github(environ):
        return context.of_github(environ, event(environ))
    now, token = SystemClock().now(), SystemEntropy().token()
    return context.of_terminal(directory=directory(environ), user=_user(), now=now, token=token)


def event(environ: Mapping[str, str]) -> dict[str, Any]:
    """The event that started the GitHub Actions run; empty elsewhere."""
    return event_file.read(environ.get("GITHUB_EVENT_PATH", ""))


def continued(environ: Mapping[str, str]) -> Context:
    """The context of the GitHub Actions job, or of the run that was begun last in this directory."""
    new, kept = here(environ), place(environ)
    last = "" if new.on_github else kept.last(new.repository_id)
    return kept.recalled(last)[0] if last else new


def recalled(environ: Mapping[str, str], name: str) -> tuple[Context, dict[str, str]]:
    """The context and the inputs of the run of that name; of this directory's last one when the name is empty."""
    kept = place(environ)
    return kept.recalled(name or kept.last(here(environ).repository_id))


def leased(environ: Mapping[str, str], wanted: str, *, slot: str) -> tuple[Context, Files, str]:
    """The run and the slot that leased the machine of this handle or name, or the run of this name; "": the last run."""
    if wanted:
        return place(environ).leased(wanted, slot=slot)
    here = continued(environ)
    return here, place(environ).files(here.key().name), slot


def copy_page(files: Files, slot: str, *, to: str) -> str:
    """Put a copy of the HTML report where the user wants it; why that did not work, "" when it did."""
    try:
        Path(to).parent.mkdir(parents=True, exist_ok=True)
        Path(to).write_bytes(files.read(records.place(slot, "report.html")) or b"")
    except OSError as error:
        return f"no copy of the HTML report at {to}: {error.strerror}"
    return ""


def forks_here(environ: Mapping[str, str]) -> bool:
    """True where somebody says that this computer holds nothing that a stranger's code may not have."""
    return environ.get(grant.FORKS_HERE) == "true"


def directory(environ: Mapping[str, str]) -> str:
    """The directory whose code is tested when it is sent as it is."""
    if _on_github(environ):
        return environ.get("GITHUB_WORKSPACE", "")
    try:
        return os.getcwd()
    except OSError as error:
        raise errors.ConfigurationError(
            f"the directory that we are in cannot be found: {error.strerror}",
            what_to_do="go to your project: cd DIRECTORY",
        ) from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's number need not have a name
        return str(os.getuid())


def harmless(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a command on this computer may see: none of the CI's own, none that looks like a secret."""
    return {name: value for name, value in environ.items() if not PRIVATE.search(name.upper())}


def secrets(environ: Mapping[str, str], here: Context, *, read_file: bool) -> dict[str, str]:
    """What the user hands over for the tests, by the names that those know: values, and boxes that are still sealed.

    The file of boxes is read from the commit that the workflow itself comes from: of a pull request that is the base.
    """
    given, file = handed(environ), environ.get(SECRETS_FILE, "")
    if file and here.on_github and read_file:
        sources = GitSources(harmless(environ), extra_header=_authorization(environ))
        text = sources.text(f"{here.server_url}/{here.repository}", here.sha, file)
        given = sealed.one_each(text, file=file) | given
    return given


def handed(environ: Mapping[str, str]) -> dict[str, str]:
    """What the environment itself hands over for the tests, by the names that those know."""
    given = {name.removeprefix(SECRET): value for name, value in environ.items() if name.startswith(SECRET)}
    # GitHub gives "" for a secret that the repository does not have, or that this event may not see.
    return {name: value for name, value in given.items() if name and value}


def private_key(environ: Mapping[str, str], file: str = "") -> str:
    """The key that opens what was sealed: in the file, or in the environment; "" where there is none."""
    return text_of(file) if file else environ.get(SECRETS_KEY, "")


def text_of(file: str) -> str:
    """What the user's file says; ConfigurationError when it cannot be read."""
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise errors.ConfigurationError(
            f"{file!r} cannot be read: {getattr(error, 'strerror', '') or 'it is no text'}",
            what_to_do="name a text file of yours",
        ) from error


def opener(environ: Mapping[str, str]) -> Callable[[str], bytes]:
    """What opens sealed boxes; ConfigurationError, when it is needed, where there is no key."""
    private = private_key(environ)

    def open_(box: str) -> bytes:
        """What is in the box; ConfigurationError without a key, NotOursError when it was sealed for another one."""
        # Only now: a run whose secrets are all in the clear needs no key.
        if not private:
            raise errors.ConfigurationError(
                "there are sealed secrets, and no key to open them",
                what_to_do=f"give the step `env: {SECRETS_KEY}: ${{{{ secrets.{SECRETS_KEY} }}}}`; see docs/secrets.md",
            )
        return sealed_box.open_box(box, private)

    return open_


def _on_github(environ: Mapping[str, str]) -> bool:
    return environ.get("GITHUB_ACTIONS") == "true"


def _state_home(environ: Mapping[str, str]) -> str:
    home = environ.get("XDG_STATE_HOME") or (f"{environ['HOME']}/.local/state" if environ.get("HOME") else "")
    for parent in filter(None, (home, environ.get("RUNNER_TEMP", ""))):
        try:
            Path(parent).mkdir(parents=True, exist_ok=True)
        except OSError:
            continue  # containers have a HOME that is not theirs to write to
        if os.access(parent, os.W_OK):
            return f"{parent}/accel-ci"
    # By number: two people of one computer must not share what is private.
    return f"{tempfile.gettempdir()}/accel-ci-{os.getuid()}"


def _authorization(environ: Mapping[str, str]) -> str:
    """The header that lets git fetch a private repository with the job's own token; "" without one."""
    token = environ.get("GITHUB_TOKEN", "")
    # In a header of ours, and not in the address: git writes addresses into its messages and files.
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return f"Authorization: Basic {basic}" if token else ""
