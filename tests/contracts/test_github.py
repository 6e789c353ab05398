"""What every implementation of the github port promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from accel_ci.domain.check import Conclusion
from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.pullrequest import Push, Reaction, Role
from tests.contracts import github_worlds
from tests.contracts.github_worlds import NOW, SHA, WORLDS, Setting, check
from tests.wire.github import description

LABEL = "run tpu/tests"


@pytest.fixture(params=WORLDS)
def setting(request: pytest.FixtureRequest) -> Iterator[Setting]:
    """Each implementation in turn, in an empty repository."""
    with WORLDS[request.param]() as opened:
        yield opened


def test_roles(setting: Setting) -> None:
    """A collaborator has the role that was given; whether others may read depends on the repository, none may write."""
    for role in (Role.READ, Role.WRITE, Role.ADMIN):
        setting.collaborator("ada", role)
        assert setting.github.role("ada") is role
    assert not setting.github.role("stranger").may_write


@pytest.mark.parametrize("fork", [False, True])
def test_a_pull_request(setting: Setting, fork: bool) -> None:
    """Its facts are today's: commit, base, whether it comes from a fork, draft, open."""
    setting.pull(5, fork=fork, labels=(), files=())
    pull = setting.github.pull_request(5)
    assert (pull.number, pull.head_sha, pull.base_ref, pull.fork) == (5, SHA, "main", fork)
    assert (pull.draft, pull.open, pull.title) == (False, True, "Speed it up")


def test_no_such_pull_request(setting: Setting) -> None:
    """A pull request that does not exist is the user's error."""
    with pytest.raises(ConfigurationError):
        setting.github.pull_request(6)


def test_changed_files_come_from_all_pages(setting: Setting) -> None:
    """All paths are told, however many pages they fill."""
    paths = [f"src/file_{number}.py" for number in range(250)]
    setting.pull(5, fork=False, labels=(), files=tuple(paths))
    assert list(setting.github.changed_files(5)) == paths


def test_a_label_is_removed_once_and_for_all(setting: Setting) -> None:
    """The label is gone and others stay; removing it again is fine."""
    setting.pull(5, fork=False, labels=(LABEL, "bug"), files=())
    setting.github.remove_label(5, LABEL)
    assert setting.labels(5) == {"bug"}
    setting.github.remove_label(5, LABEL)


def test_a_check_is_opened_and_concluded(setting: Setting) -> None:
    """The same check goes from pending to its conclusion; it is never two."""
    setting.github.put_check(check())
    assert setting.github.checks(SHA, "accel-ci") == [check()]
    setting.github.put_check(check(conclusion=Conclusion.FAILURE))
    assert setting.github.checks(SHA) == [check(conclusion=Conclusion.FAILURE)]


def test_a_new_attempt_has_its_own_check(setting: Setting) -> None:
    """Checks of other runs are left alone; the newest of a name is the one that counts."""
    setting.github.put_check(check(run=77, conclusion=Conclusion.FAILURE))
    setting.github.put_check(check(run=78))
    setting.github.put_check(check("other"))
    named = setting.github.checks(SHA, "accel-ci")
    assert [each.external_id for each in named] == ["accel-ci:77:1", "accel-ci:78:1"]
    assert {(each.name, each.external_id) for each in setting.github.checks(SHA)} == {
        ("accel-ci", "accel-ci:78:1"),
        ("other", "accel-ci:77:1"),
    }


def test_another_commit_has_no_checks(setting: Setting) -> None:
    """Checks belong to one commit."""
    setting.github.put_check(check())
    assert setting.github.checks("b" * 40) == []


def test_one_comment_per_marker(setting: Setting) -> None:
    """Writing again replaces the text; another marker is another comment."""
    setting.pull(5, fork=False, labels=(), files=())
    for text in ("first", "second"):
        setting.github.put_comment(5, "report", text)
    setting.github.put_comment(5, "gate", "third")
    assert setting.comments(5) == ["second", "third"]


def test_a_marker_is_not_found_in_the_middle_of_a_text(setting: Setting) -> None:
    """Text that quotes another comment's marker is not taken for that comment."""
    setting.pull(5, fork=False, labels=(), files=())
    setting.github.put_comment(5, "report", "<!-- accel-ci gate -->\nquoted")
    setting.github.put_comment(5, "gate", "refused")
    assert setting.comments(5) == ["<!-- accel-ci gate -->\nquoted", "refused"]


def test_a_comment_is_taken_back(setting: Setting) -> None:
    """Only the one with the marker is gone; taking it back again is fine."""
    setting.pull(5, fork=False, labels=(), files=())
    for marker in ("gate", "report"):
        setting.github.put_comment(5, marker, marker)
    for _ in range(2):
        setting.github.remove_comment(5, "gate")
    assert setting.comments(5) == ["report"]


def test_one_open_issue_per_marker(setting: Setting) -> None:
    """An open issue is found again; after it is closed a new one is made."""
    first = setting.github.open_issue("nightly", "It fails", "because")
    again = setting.github.open_issue("nightly", "It still fails", "because")
    other = setting.github.open_issue("weekly", "So does this", "because")
    assert again == first and other.number != first.number
    assert setting.issue(first.number) == ("It fails", "open")
    assert [issue.number for issue in setting.github.issues("nightly")] == [first.number]
    setting.github.close_issue(first.number)
    assert setting.issue(first.number)[1] == "closed"
    assert setting.github.issues("nightly") == []
    assert setting.github.open_issue("nightly", "Again", "").number != first.number


def test_waiting_runs_and_their_jobs(setting: Setting) -> None:
    """Runs that are not over are told, with the jobs of each and since when these exist."""
    setting.a_run(1, jobs={"gate": "completed", "tpu": "queued"}, stubborn=False)
    (run,) = setting.github.waiting_runs("tests.yml")
    assert (run.id, run.workflow, run.over, run.url.rsplit("/", 1)[-1]) == (1, "tests.yml", False, "1")
    jobs = setting.github.jobs(1)
    assert [(job.name, job.status, job.created_at) for job in jobs] == [
        ("gate", "completed", NOW - 3600),
        ("tpu", "queued", NOW - 3600),
    ]
    assert setting.github.waiting_runs("other.yml") == []


def test_cancelling(setting: Setting) -> None:
    """A run ends when it is asked to, or when it is forced; asking again is fine."""
    setting.a_run(1, jobs={"tpu": "queued"}, stubborn=False)
    setting.a_run(2, jobs={"tpu": "queued"}, stubborn=True)
    for run_id in (1, 2, 1):
        setting.github.cancel(run_id)
    assert [setting.github.run(run_id).over for run_id in (1, 2)] == [True, False]
    setting.github.cancel(2, force=True)
    assert setting.github.run(2).over
    assert setting.github.waiting_runs("tests.yml") == []


def test_the_last_success(setting: Setting) -> None:
    """A workflow that never succeeded, or is not there, has none."""
    setting.a_run(1, jobs={"tpu": "queued"}, stubborn=False)
    assert setting.github.last_success("tests.yml") is None
    assert setting.github.last_success("other.yml") is None


def test_the_description_bites() -> None:
    """An exchange that is not as GitHub describes it is told, so that its silence means something."""
    with github_worlds.wired() as setting:
        setting.pull(5, fork=False, labels=(), files=())
        setting.github.pull_request(5)
        (good,) = setting.exchanges
    bad = type(good)(
        verb="GET",
        path=good.path,
        query={"colour": "red"},
        request=None,
        status=200,
        response={**good.response, "number": "5"},
    )
    told = description.violations(bad)
    assert any("colour" in each for each in told) and any("$.number" in each for each in told)


def test_the_newest_push_of_a_branch(setting: Setting) -> None:
    """It says the commit, GitHub's own moment and who pushed; a branch that nobody pushed has none."""
    setting.push("speed", "d" * 40, actor="bob", at=NOW - 500)
    setting.push("speed", SHA, actor="ada", at=NOW - 100)
    setting.push("other", "e" * 40, actor="bob", at=NOW - 1)
    assert setting.github.last_push("speed") == Push(sha=SHA, at=NOW - 100, actor="ada")
    assert setting.github.last_push("feature/#1 x") is None


def test_the_commit_that_last_changed_a_file(setting: Setting) -> None:
    """It is the default branch's; a file that is not there has none."""
    setting.change(".github/workflows/tpu.yml", SHA)
    assert setting.github.last_change(".github/workflows/tpu.yml") == SHA
    assert setting.github.last_change(".github/workflows/other.yml") == ""


def test_who_approved_the_commit(setting: Setting) -> None:
    """Only the newest decision of each counts, and only for this commit; a comment leaves an approval standing.

    A bot's counts for nothing.
    """
    setting.pull(5, fork=True, labels=(), files=())
    for who, sha, state in (
        ("ada", SHA, "APPROVED"),
        ("ada", SHA, "COMMENTED"),
        ("bob", "d" * 40, "APPROVED"),
        ("helper[bot]", SHA, "APPROVED"),
        ("cyd", SHA, "APPROVED"),
        ("cyd", SHA, "CHANGES_REQUESTED"),
        ("dan", SHA, "APPROVED"),
        ("dan", SHA, "DISMISSED"),
    ):
        setting.review(5, who, sha, state=state)
    assert setting.github.approvers(5, SHA) == ["ada"]


def test_a_reaction(setting: Setting) -> None:
    """The comment has our reaction; a second time changes nothing."""
    setting.pull(5, fork=False, labels=(), files=())
    comment = setting.comment(5, "/accel-ci help")
    for _ in range(2):
        setting.github.react(comment, Reaction.SEEN)
    assert setting.reactions(comment) == {"eyes"}
