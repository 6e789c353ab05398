"""The GitHub adapter when GitHub, the network or the token is not at its best."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from accel_ci.adapters import github_calls
from accel_ci.adapters.github_calls import Calls, RefusedError
from accel_ci.adapters.github_rest import GitHubRest
from accel_ci.domain.check import Conclusion
from accel_ci.domain.errors import AccessError, CloudError, ConfigurationError, TransientError
from accel_ci_sim.world import github as world
from accel_ci_sim.world.github import Fault
from tests.contracts import github_worlds
from tests.contracts.github_worlds import SHA, Wired, check
from tests.fakes.entropy import FakeEntropy


@pytest.fixture
def setting() -> Iterator[Wired]:
    """The adapter on the simulated GitHub, with a pull request."""
    with github_worlds.wired() as opened:
        opened.pull(5, fork=False, labels=("run",), files=())
        yield opened


def _asked(setting: Wired) -> Counter[str]:
    return Counter(exchange.verb for exchange in setting.exchanges)


@pytest.mark.parametrize("status", [502, 0])
def test_a_lost_answer_leaves_one_comment(setting: Wired, status: int) -> None:
    """A comment whose answer was lost after it was written is found, not written again."""
    setting.state.faults = [Fault(matches="POST .*/comments", status=status, after=True)]
    setting.github.put_comment(5, "report", "text")
    assert setting.comments(5) == ["text"]
    assert _asked(setting)["POST"] == 1


def test_a_moved_file_is_a_change_in_both_places(setting: Wired) -> None:
    """A path filter also sees what was moved out of its paths."""
    pull = setting.state.pull(5)
    pull.files, pull.moved = ["docs/kernel.py", "README.md"], {"docs/kernel.py": "src/kernel.py"}
    assert list(setting.github.changed_files(5)) == ["docs/kernel.py", "src/kernel.py", "README.md"]


def test_plain_pygithub_leaves_two(setting: Wired) -> None:
    """What the adapter is for: PyGithub with its own retries repeats the POST, and there are two comments."""
    import github

    setting.state.faults = [Fault(matches="POST .*/comments", status=502, after=True)]
    plain = github.Github(
        auth=github.Auth.Token(github_worlds.TOKEN),
        base_url=setting.address,
        retry=github.GithubRetry(total=2, backoff_factor=0.001),
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    plain.get_repo("org/hello").get_issue(5).create_comment("head\ntext")
    assert setting.comments(5) == ["text", "text"]


@pytest.mark.parametrize("status", [500, 502, 503, 0])
def test_a_comment_that_was_not_written_is_written_after_all(setting: Wired, status: int) -> None:
    """When looking shows that nothing was made, it is made once more."""
    setting.state.faults = [Fault(matches="POST .*/comments", status=status)]
    setting.github.put_comment(5, "report", "text")
    assert setting.comments(5) == ["text"]


def test_a_comment_that_can_never_be_written_ends(setting: Wired) -> None:
    """After the second try the error is told."""
    setting.state.faults = [Fault(matches="POST .*/comments", status=502, times=9)]
    with pytest.raises(TransientError, match="502"):
        setting.github.put_comment(5, "report", "text")
    assert _asked(setting)["POST"] == 2


def test_doubles_of_a_race_are_removed(setting: Wired) -> None:
    """Of several comments with the marker the oldest stays and gets the text."""
    for _ in range(3):
        setting.state.comment(world.BOT, 5, "<!-- accel-ci report -->\nold")
    setting.github.put_comment(5, "report", "new")
    assert setting.comments(5) == ["new"]
    assert min(setting.state.comments) in setting.state.comments


def test_a_double_that_a_sibling_has_just_removed_is_no_error(setting: Wired) -> None:
    """Three jobs of a matrix that end together tidy up the same doubles: a 404 must not keep the rest of them there."""
    for _ in range(3):
        setting.state.comment(world.BOT, 5, "<!-- accel-ci report -->\nold")
    setting.state.faults = [Fault(matches="DELETE .*/comments/", status=404, after=True)]
    setting.github.put_comment(5, "report", "new")
    assert setting.comments(5) == ["new"]


def test_doubles_that_were_not_listed_at_first_are_removed(setting: Wired) -> None:
    """A sibling's comment that is listed only after ours was written still leaves one: the older, with our text."""
    sibling = setting.state.comment(world.BOT, 5, "<!-- accel-ci report -->\nsibling's")
    setting.state.hidden = {sibling.id}
    setting.github.put_comment(5, "report", "ours")
    assert setting.comments(5) == ["ours"]
    assert list(setting.state.comments) == [sibling.id]


def test_a_strangers_marker_is_ignored(setting: Wired) -> None:
    """A comment that somebody else wrote with our marker is neither taken for ours nor changed."""
    setting.state.comment("mallory", 5, "<!-- accel-ci report -->\nforged")
    setting.github.put_comment(5, "report", "ours")
    assert setting.comments(5) == ["forged", "ours"]


def test_a_strangers_issue_and_check_are_ignored(setting: Wired) -> None:
    """The same for issues and checks."""
    setting.state.open_issue("mallory", "t", "<!-- accel-ci nightly -->\n", ["accel-ci"])
    forged = world.CheckRun(id=1, app="mallory", sha=SHA, name="accel-ci", external_id="accel-ci:77:1")
    setting.state.put_check(forged)
    assert setting.github.issues("nightly") == []
    assert setting.github.checks(SHA) == []
    setting.github.put_check(check(conclusion=Conclusion.FAILURE))
    assert forged.conclusion is None


def test_a_pull_request_is_never_taken_for_an_issue(setting: Wired) -> None:
    """GitHub lists pull requests among the issues; ours with the marker are not closed by a green night."""
    setting.state.issues[9] = world.Issue(
        number=9, body="<!-- accel-ci nightly -->\n", labels=["accel-ci"], is_pull=True
    )
    assert setting.github.issues("nightly") == []


def test_a_lost_answer_leaves_one_issue_and_one_check(setting: Wired) -> None:
    """Issues and checks converge like comments."""
    setting.state.faults = [Fault(matches="POST", status=502, after=True, times=2)]
    setting.github.open_issue("nightly", "t", "b")
    setting.github.put_check(check())
    assert len(setting.github.issues("nightly")) == 1
    assert setting.github.checks(SHA) == [check()]


def test_double_issues_are_closed(setting: Wired) -> None:
    """The lowest number stays open, the others are closed as not planned."""
    for _ in range(2):
        setting.state.open_issue(world.BOT, "t", "<!-- accel-ci nightly -->\nb", ["accel-ci"])
    kept = setting.github.open_issue("nightly", "t", "b")
    assert [each.number for each in setting.github.issues("nightly")] == [kept.number]
    assert setting.state.issue(kept.number + 1).state_reason == "not_planned"


@pytest.mark.parametrize("status", [500, 502, 503, 504, 0])
def test_reading_and_deleting_are_repeated(setting: Wired, status: int) -> None:
    """GET and DELETE go on after a server's error, with growing pauses."""
    setting.state.faults = [
        Fault(matches="GET .*/pulls/5", status=status, times=2),
        Fault(matches="DELETE", status=status, after=True),
    ]
    assert setting.github.pull_request(5).number == 5
    setting.github.remove_label(5, "run")
    assert setting.labels(5) == set()
    assert 1.0 <= setting.clock.slept[0] <= 2.0 <= setting.clock.slept[1] <= 4.0


def test_a_server_that_stays_broken_ends_the_call(setting: Wired) -> None:
    """After four tries the error is told."""
    setting.state.faults = [Fault(matches="GET", status=502, times=99)]
    with pytest.raises(TransientError, match="GitHub answered 502 to GET /pulls/5"):
        setting.github.pull_request(5)
    assert len(setting.exchanges) == github_calls.TRIES


def test_a_secondary_limit_is_waited_for(setting: Wired) -> None:
    """`retry-after` is honoured to the second, for POST too: GitHub did nothing."""
    slow = {"Retry-After": "17"}
    message = "You have exceeded a secondary rate limit."
    setting.state.faults = [Fault(matches="POST", status=403, message=message, headers=slow)]
    setting.github.put_comment(5, "report", "text")
    assert 17.0 in setting.clock.slept
    assert setting.comments(5) == ["text"]


def test_a_secondary_limit_without_a_time_is_a_minute(setting: Wired) -> None:
    """GitHub asks for at least a minute where it tells no time; that is within what one call may take."""
    setting.state.faults = [Fault(matches="GET", status=429, message="Too many requests")]
    setting.github.pull_request(5)
    assert setting.clock.slept == [60.0]


def test_a_primary_limit_that_ends_soon_is_waited_for(setting: Wired) -> None:
    """A reset within the call's time is waited for."""
    setting.state.remaining, setting.state.resets_at = 0, setting.clock.now() + 30
    assert setting.github.pull_request(5).number == 5
    assert 30 <= sum(setting.clock.slept) <= 32


def test_a_primary_limit_that_ends_late_stops_at_once(setting: Wired) -> None:
    """A reset in half an hour is not waited for, and the message says when to come again."""
    setting.state.remaining, setting.state.resets_at = 0, setting.clock.now() + 1800
    with pytest.raises(TransientError, match="primary rate limit is used up for another 180"):
        setting.github.pull_request(5)
    assert setting.clock.slept == []


def test_writes_are_a_second_apart(setting: Wired) -> None:
    """GitHub asks for a second between changes; reading needs none."""
    setting.github.put_check(check())
    assert setting.clock.slept == []
    setting.github.put_check(check(run=78))
    assert sum(setting.clock.slept) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("missing", "needs"),
    [("checks", "checks: write"), ("issues", "issues: write"), ("actions", "actions: write")],
)
def test_a_missing_permission_is_named(missing: str, needs: str) -> None:
    """AccessError says which line the workflow lacks."""
    with github_worlds.wired(**{missing: "read"}) as setting:
        setting.a_run(1, jobs={}, stubborn=False)
        acts: dict[str, Callable[[], object]] = {
            "checks": lambda: setting.github.put_check(check()),
            "issues": lambda: setting.github.open_issue("m", "t", "b"),
            "actions": lambda: setting.github.cancel(1),
        }
        with pytest.raises(AccessError) as caught:
            acts[missing]()
    assert needs in caught.value.what_to_do


def test_a_forks_token_reads_and_does_not_write(setting: Wired) -> None:
    """A fork's read-only token can look, and is told plainly that it cannot write."""
    setting.state.tokens["fork"] = world.fork_token()
    github = setting.another("fork")
    assert github.pull_request(5).head_sha == SHA
    with pytest.raises(AccessError, match="Resource not accessible"):
        github.put_comment(5, "report", "text")


def test_a_wrong_token_is_said_and_never_shown(setting: Wired) -> None:
    """The message names the token's variable, not its value."""
    with pytest.raises(AccessError) as caught:
        setting.another("ghs_wrong").pull_request(5)
    assert "ghs_wrong" not in str(caught.value) + caught.value.what_to_do


def test_what_does_not_exist_is_a_refusal(setting: Wired) -> None:
    """404 keeps its status, for callers to whom it is an answer."""
    with pytest.raises(RefusedError) as caught:
        setting.github.run(404)
    assert caught.value.status == 404


def test_the_budget_is_forty_calls(setting: Wired) -> None:
    """The forty-first call is not made, and the error says why."""
    for _ in range(github_calls.BUDGET):
        setting.github.pull_request(5)
    with pytest.raises(CloudError, match="40 calls"):
        setting.github.pull_request(5)
    assert len(setting.exchanges) == 40


def test_a_token_that_writes_as_somebody_else_is_noticed(setting: Wired) -> None:
    """A person's token would make a new comment each time: it is said which setting is missing."""
    setting.state.tokens["pat"] = world.Token(login="ada", permissions=world.job_token().permissions)
    with pytest.raises(ConfigurationError, match="writes as ada") as caught:
        setting.another("pat").put_comment(5, "report", "text")
    assert "ACCEL_CI_LOGIN" in caught.value.what_to_do
    calls = Calls("pat", "org/hello", api_url=setting.address, clock=setting.clock, entropy=FakeEntropy())
    GitHubRest(calls, login="ada").put_comment(5, "report", "again")
    assert setting.comments(5) == ["again"]


def test_enterprise_server(setting: Wired) -> None:
    """An address with a path, as Enterprise Server has, is used as it is."""
    calls = Calls(
        github_worlds.TOKEN,
        "org/hello",
        api_url=f"{setting.address}/api/v3",
        clock=setting.clock,
        entropy=FakeEntropy(),
    )
    assert GitHubRest(calls).pull_request(5).number == 5


def test_nobody_there(setting: Wired) -> None:
    """An address where nothing answers is a transient error, after the tries."""
    calls = Calls("t", "org/hello", api_url="http://127.0.0.1:9", clock=setting.clock, entropy=FakeEntropy())
    with pytest.raises(TransientError, match=re.escape("did not answer GET /pulls/5")):
        GitHubRest(calls).pull_request(5)


@pytest.mark.parametrize(
    "address", ["api.github.com", "ftp://x", "https://", "//x", "http://[::1", "https://u:s3cret@x:99999", "http://x:0"]
)
def test_an_address_that_is_none_is_a_mistake_of_the_configuration(setting: Wired, address: str) -> None:
    """Nothing is sent, nothing is tried again, and what the variable holds is not shown."""
    calls = Calls("t", "org/hello", api_url=address, clock=setting.clock, entropy=FakeEntropy())
    with pytest.raises(ConfigurationError, match=r"^GITHUB_API_URL is no address") as caught:
        GitHubRest(calls).pull_request(5)
    assert "s3cret" not in f"{caught.value} {caught.value.what_to_do}" and not setting.exchanges


def test_odd_names_stay_in_their_place(setting: Wired) -> None:
    """A label or user that looks like a path is one part of the address."""
    setting.state.issue(5).labels.append("a/../b?c#d %41")
    setting.github.remove_label(5, "a/../b?c#d %41")
    assert setting.labels(5) == {"run"}
    assert not setting.github.role("../../../user").may_write
