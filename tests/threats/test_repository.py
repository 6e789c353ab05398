"""Threats to what others rely on: the runner's workspace, the branch's history, the things that we depend on."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from accel_ci.domain.check import Issue
from accel_ci.domain.verdict import Verdict
from accel_ci.usecases import report
from tests.contracts import github_worlds
from tests.end_to_end import runner as runners
from tests.end_to_end.conftest import runner as runner
from tests.end_to_end.runner import TOKEN, Runner
from tests.fakes.github import FakeGitHub
from tests.house.source_tree import REPOSITORY
from tests.render import samples
from tests.threats.rows import ROWS
from tests.usecases.worlds import Fakes
from tests.wire.github import description

PLANTED = "planted-by-the-pull-request"
SHIPPED = sorted(
    path
    for pattern in (
        "action.yml",
        "*/action.yml",
        "actions/**/action.yml",
        ".github/workflows/*.yml",
        "examples/**/*.yml",
    )
    for path in REPOSITORY.glob(pattern)
    if ".venv" not in path.parts
)


LOOK = "echo BEGIN; find . ! -path './.git/*'; find . -name '*.pack' -o -path './.git/objects/??/*'; echo END"
TAKE = "git init -q . && git fetch -q $GITHUB_SERVER_URL/org/hello HEAD && git checkout -q FETCH_HEAD"


def _a_forks_label(runner: Runner, *, bug: str) -> tuple[str, str]:
    """What lies in the testing job's workspace at its end, and everything that the runner and we said, unmasked.

    `bug` is what the job does in between, as an action with a hole would.
    """
    for name, text in {PLANTED: "raise SystemExit('run on the runner')", "conftest": "print('of the request')"}.items():
        (runner.repository / f"{name}.py").write_text(f"{text}\n")
    runners.git(runner.repository, "add", "-A")
    runners.git(runner.repository, "commit", "-qm", PLANTED)
    with github_worlds.wired() as github:
        github.state.collaborators["Codertocat"] = "write"
        event = copy.deepcopy(description.event("pull_request.labeled"))
        event["label"]["name"] = "run-tpu-tests"
        event["pull_request"]["head"]["sha"] = runner.sha
        github.state.add_pull(event["number"], head_sha=runner.sha, fork=True)
        github.state.review(event["number"], "Codertocat", runner.sha)
        jobs = runners.composed(f"test -e {PLANTED}.py")
        jobs["tpu"]["steps"][2:2] = [{"run": bug}] if bug else []
        jobs["tpu"]["steps"].append({"if": "always()", "run": LOOK, "shell": "bash"})
        jobs["gate"]["steps"][0]["with"] = {}
        honest = replace(runner, unmasked=True)
        done = honest.run(jobs, event="pull_request_target", payload=event, GITHUB_API_URL=github.address)
    assert runners.results(done)["tpu"] == "success", runners.told(done)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    said = "\n".join(str(line.get("msg", "")).rstrip() for line in lines)
    return said.partition("\nBEGIN\n")[2].partition("\nEND\n")[0], done.stdout + done.stderr


@pytest.mark.judge("node")
def test_threat_01_code_of_the_pull_request_on_the_runner(runner: Runner) -> None:
    """In a real runner a fork's label runs the commit, while no file of it lies on the runner and the log has no token."""
    found, said = _a_forks_label(runner, bug="")
    assert found == "." and TOKEN not in said
    (kept,) = runner.kept()
    assert kept.identity.trust == "fork"
    homes = (runner.base / "home", runner.base / "cache", runner.base / "accel-ci")
    assert [path for home in homes for path in home.rglob(f"{PLANTED}*")] == []


@pytest.mark.judge("node")
def test_threat_01_would_be_seen(runner: Runner) -> None:
    """A step that checks the commit out, and one that prints the token, are both found by the same look."""
    found, said = _a_forks_label(runner, bug=f"{TAKE}; echo ${{{{ github.token }}}}")
    assert f"./{PLANTED}.py" in found and TOKEN in said


def test_threat_14_a_pull_request_that_speaks_for_the_branch() -> None:
    """A green pull request closes no issue of the branch, and a red one opens none; the check is its own commit's."""
    for verdict in (Verdict.PASSED, Verdict.FAILED):
        fakes, record = Fakes(), samples.passed()
        record.verdict = verdict
        fakes.github = FakeGitHub()
        fakes.github.open_issues[9] = ("any", Issue(number=9, body="red since Monday"))
        report.report(fakes.world, record)
        assert {"open_issue", "close_issue"} & set(fakes.github.written) == set()
        assert {each.sha for each in fakes.github.all_checks} <= {record.identity.sha}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_threat_16_moved_tags_and_changed_dependencies(path: Path) -> None:
    """What we ship uses our own actions, or others by the whole commit; it neither caches nor takes artifacts of others."""
    text = path.read_text()
    used = re.findall(r"^[ {-]*uses: *[\"']?([^\s\"',}]+)", text, re.MULTILINE)
    for each in used:
        own = each.startswith(("./", "../", "$/", "org/accel-ci"))
        assert own or each.startswith("docker://accel-ci") or re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", each), each
    assert not any("cache" in each.split("@")[0].lower() or "download-artifact" in each for each in used)
    for lock in (REPOSITORY / "requirements").glob("*.txt"):
        assert "--hash=sha256:" in lock.read_text(), lock


def test_every_threat_has_its_test() -> None:
    """Each row of the table has a test that bears its number, and no test bears a number without a row."""
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    numbers = {int(number) for number in re.findall(r"def test_threat_(\d\d)_", tests)}
    assert numbers == set(ROWS)


def test_the_page_tells_every_threat() -> None:
    """docs/security.md has the same rows, word for word."""
    page = (REPOSITORY / "docs/security.md").read_text()
    for number, row in ROWS.items():
        assert f"| {number} | {row.entry} | {row.attacker} | {row.against} |" in page
