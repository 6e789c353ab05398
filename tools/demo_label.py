"""The label journey against the simulated GitHub: a label, the check, the machine, the comment. Called by tools/demo.sh."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accel_ci.formats import plain_text
from accel_ci_sim.wire import github
from accel_ci_sim.wire.github import Exchange
from accel_ci_sim.world.github import GitHubWorld, Run, job_token
from tools import demo_page
from tools.demo_page import Seen

ROOT = Path(__file__).resolve().parent.parent
EVENT = ROOT / "tests/wire/github/events/pull_request.labeled.json"
REPOSITORY, NUMBER, TITLE, LABEL = "org/hello-accelerator", 7, "Multiply matrices on the accelerator", "run-tpu-tests"
AUTHOR, MAINTAINER, TOKEN = "ada", "grace", "a-token-of-the-job"
RUN = "python -m pytest -p no:cacheprovider"
COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ
BOLD, RED, OFF = ("\033[1m", "\033[31m", "\033[0m") if COLOURED else ("", "", "")


def main(accelerator: str, where: str, into: str) -> int:
    """The exit code of the job's step: 1, for one test fails on purpose."""
    signal.signal(signal.SIGINT, lambda *_: None)  # the job gets it too, and gives its machine back before it ends
    world, exchanges = GitHubWorld(time.time, repository=REPOSITORY), list[Exchange]()
    with tempfile.TemporaryDirectory() as directory, github.serve(world, watch=exchanges.append) as address:
        temp = Path(directory)
        sha = make_repository(temp / "server" / REPOSITORY)
        set_label(world, temp, sha=sha)
        begun = time.monotonic()
        code = job(variables(temp, sha=sha, address=address), accelerator)
        seconds = time.monotonic() - begun
        if code in (0, 1):
            machines = listed(variables(temp, sha=sha, address=address))
            page = demo_page.render(
                seen(world, exchanges, temp, sha=sha, machines=machines, seconds=seconds, where=where)
            )
            Path(into).mkdir(exist_ok=True)
            Path(into, "report.html").write_text(page, encoding="utf-8")
            (report,) = (temp / "runner/accel-ci/runs").glob("*/main/report.html")
            shutil.copy(report, Path(into, "run.html"))
            told(world)
    return code


def make_repository(place: Path) -> str:
    """examples/hello-accelerator as a repository with one commit; the commit."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")
    shutil.copytree(ROOT / "examples/hello-accelerator", place, ignore=ignored)
    identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")
    git = ("git", "-C", str(place), *identity)
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", TITLE)):
        subprocess.run([*git, *words], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def set_label(world: GitHubWorld, temp: Path, *, sha: str) -> None:
    """A maintainer labels the pull request: GitHub's state, and the event file that starts the workflow."""
    world.tokens[TOKEN] = job_token()
    world.collaborators[MAINTAINER] = "write"
    # The repository has the hourly sweeper: without one each report would warn.
    world.runs[76] = Run(
        id=76, workflow="sweep.yml", status="completed", conclusion="success", started_at=world.now() - 600
    )
    world.add_pull(NUMBER, head_sha=sha, labels=[LABEL]).title = TITLE
    event: dict[str, Any] = json.loads(EVENT.read_text(encoding="utf-8"))
    event |= {"number": NUMBER, "label": {"name": LABEL}, "sender": {"login": MAINTAINER, "type": "User"}}
    event["pull_request"] |= {"number": NUMBER, "title": TITLE, "updated_at": datetime.now(UTC).isoformat()}
    event["pull_request"]["head"]["sha"] = sha
    (temp / "event.json").write_text(json.dumps(event), encoding="utf-8")
    print(f"{BOLD}{MAINTAINER} sets the label {LABEL} on pull request #{NUMBER} of {REPOSITORY}{OFF}")


def variables(temp: Path, *, sha: str, address: str) -> dict[str, str]:
    """What GitHub's runner gives a step, in place of what a CI around this demo may have given us."""
    ours = ("GITHUB_", "ACTIONS_", "RUNNER_", "INPUT_", "ACCEL_CI_INPUTS", "GIT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": address,
        "GITHUB_ACTOR": MAINTAINER,
        "GITHUB_EVENT_NAME": "pull_request_target",
        "GITHUB_EVENT_PATH": str(temp / "event.json"),
        "GITHUB_JOB": "tpu",
        "GITHUB_OUTPUT": str(temp / "output"),
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_REPOSITORY_ID": "4711",
        "GITHUB_RUN_ID": "77",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_SHA": sha,
        "GITHUB_STEP_SUMMARY": str(temp / "summary"),
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_WORKFLOW": "Accelerator tests",
        "PATH": f"{git_of_github(temp)}{os.pathsep}{kept['PATH']}",
        "RUNNER_TEMP": str(temp / "runner"),
    }


def git_of_github(temp: Path) -> Path:
    """A directory for the front of PATH whose git finds github.com's repositories below `temp`."""
    place = temp / "bin"
    place.mkdir(exist_ok=True)
    instead = shlex.quote(f"url.{temp}/server/.insteadOf=https://github.com/")
    command = f"{shutil.which('git')} -c protocol.file.allow=always -c {instead}"
    (place / "git").write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    (place / "git").chmod(0o755)
    return place


def job(environment: Mapping[str, str], accelerator: str) -> int:
    """The step `uses: org/accel-ci@v1`, its log as GitHub shows it; the exit code."""
    inputs = {"accelerator": accelerator, "run": RUN, "label": LABEL}
    said = ", ".join(f"{name}: {value}" for name, value in inputs.items())
    print(f"{BOLD}Job tpu{OFF}, uses: org/accel-ci@v1 with {{{said}}}", flush=True)
    command = ["accel-ci", "run"]
    given = dict(environment) | {"ACCEL_CI_INPUTS": json.dumps(inputs)}
    with subprocess.Popen(command, cwd=ROOT, env=given, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in shown(process.stdout):
            print(line, flush=True)
    return process.returncode


def shown(lines: Iterator[str] | Any) -> Iterator[str]:
    """The lines of a step as GitHub shows them: groups and annotations readable, other commands not at all."""
    for line in lines:
        command, _, text = line.rstrip("\n").removeprefix("::").partition("::")
        kind, _, more = command.partition(" ")
        if not line.startswith("::"):
            yield f"  {line.rstrip() if COLOURED else plain_text.uncoloured(line.rstrip())}"
        elif kind == "group":
            yield f"  {BOLD}▸ {text}{OFF}"
        elif kind in ("error", "warning", "notice"):
            title = more.removeprefix("title=").replace("%3A", ":")
            yield f"  {RED if kind == 'error' else BOLD}{kind}{OFF}: {title}: {text.replace('%0A', ' ')}"


def listed(environment: Mapping[str, str]) -> str:
    """What machines exist when all is over, as `accel-ci list` says; "" when it names none."""
    done = subprocess.run(
        ["accel-ci", "list"], cwd=ROOT, env=dict(environment), capture_output=True, text=True, check=True
    )
    return ", ".join(word for word in done.stdout.split() if "://" in word)


def seen(
    world: GitHubWorld, exchanges: list[Exchange], temp: Path, *, sha: str, machines: str, seconds: float, where: str
) -> Seen:
    """What GitHub holds now."""
    acts = [f"{each.verb} {each.path.rsplit('/', 2)[-2 if each.verb == 'DELETE' else -1]}" for each in exchanges]
    opened = acts.index("POST check-runs")
    pending = exchanges[opened].request
    (check,) = world.checks.values()
    return Seen(
        repository=REPOSITORY,
        number=NUMBER,
        title=TITLE,
        author=AUTHOR,
        labeller=MAINTAINER,
        label=LABEL,
        label_went_first="DELETE labels" in acts[:opened],
        commit=sha,
        pending=f"accel-ci: {pending['output']['title']}",
        allowed=pending["output"]["summary"],
        conclusion=check.conclusion or "",
        check=check.output["title"] or "",
        check_summary=check.output["summary"] or "",
        comments=tuple(each.body.partition("\n")[2] for each in world.comments_of(NUMBER)),
        summary=(temp / "summary").read_text(encoding="utf-8"),
        machines=machines,
        seconds=seconds,
        calls=len(exchanges),
        where=where,
    )


def told(world: GitHubWorld) -> None:
    """The end, in the terminal."""
    (check,) = world.checks.values()
    comments = len(list(world.comments_of(NUMBER)))
    print(
        f"{BOLD}On GitHub now{OFF}: check accel-ci {check.conclusion} ({check.output['title']}), {comments} comment, ",
        end="",
    )
    print("the label is consumed" if LABEL not in world.issue(NUMBER).labels else "the label is still there")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
