"""GitHub's lists that are behind: what the model hides, and that the adapter still leaves one of each."""

from __future__ import annotations

import pytest

from accel_ci.adapters import github_calls
from accel_ci.domain.check import Conclusion
from accel_ci_sim.world import dice
from accel_ci_sim.world import github as world
from accel_ci_sim.world.lists import Lists
from tests.contracts import github_worlds
from tests.contracts.github_worlds import Wired

LAG_S = 2.9


def _late(setting: Wired) -> None:
    setting.state.lists.lag(dice.of(1, 0, "lists"), LAG_S)


def test_lists_tell_late_what_is_made_and_what_is_gone() -> None:
    """A new thing is missing at first and there in the end; a changed one is told as it was, and then as it is."""
    now = [0.0]
    lists = Lists(lambda: now[0])
    lists.lag(dice.of(1, 0, "lists"), LAG_S)
    lists.made("comment", 1)
    assert lists.of("comment", [1], int) == [] and lists.of("issue", [1], int) == [1]
    now[0] = LAG_S
    assert lists.of("comment", [1], int) == [1]
    lists.changed("comment", 1, 1)
    assert lists.of("comment", [], int) == [1]
    now[0] = 2 * LAG_S
    assert lists.of("comment", [], int) == []


def test_two_reports_at_once_leave_one_comment() -> None:
    """A sibling's comment that no list tells of yet is found after the wait: the older one stays, with our text."""
    with github_worlds.wired() as setting:
        setting.pull(5, fork=False, labels=(), files=())
        _late(setting)
        setting.state.comment(world.BOT, 5, "<!-- accel-ci report -->\nsibling's")
        setting.github.put_comment(5, "report", "ours")
        assert [each.body.split("\n")[1] for each in setting.state.comments.values()] == ["ours"]


def test_a_deleted_comment_that_is_still_listed_is_written_again() -> None:
    """What is gone cannot be changed: a new one takes its place."""
    with github_worlds.wired() as setting:
        setting.pull(5, fork=False, labels=(), files=())
        old = setting.state.comment(world.BOT, 5, "<!-- accel-ci report -->\ntext")
        _late(setting)
        setting.state.delete_comment(old.id)
        setting.github.put_comment(5, "report", "text")
        assert [each.body.split("\n")[1] for each in setting.state.comments.values()] == ["text"]


@pytest.mark.parametrize("closed", [False, True])
def test_an_issue_that_is_listed_counts_only_while_it_is_open(closed: bool) -> None:
    """One that was closed a moment ago takes no new failure: another is opened."""
    with github_worlds.wired() as setting:
        first = setting.github.open_issue("nightly", "t", "b").number
        _late(setting)
        if closed:
            setting.github.close_issue(first)
        again = setting.github.open_issue("nightly", "t", "b").number
        assert (again != first) is closed and setting.state.issue(again).state == "open"


def _pending(setting: Wired) -> world.CheckRun:
    wanted, number = github_worlds.check(), setting.state.fresh_id()
    made = world.CheckRun(
        id=number,
        app="github-actions",
        sha=wanted.sha,
        name=wanted.name,
        external_id=wanted.external_id,
        status="in_progress",
        at=setting.clock.now(),
    )
    return setting.state.put_check(made)


def test_a_copy_of_a_check_that_no_list_tells_of_yet_is_ended_too() -> None:
    """A report just after a gate whose POST came twice: it waits, and leaves nothing pending (seed 5, world 19872)."""
    with github_worlds.wired() as setting:
        _pending(setting)
        _late(setting)
        _pending(setting)
        assert len(setting.state.checks_of(github_worlds.SHA, latest=False)) == 1
        setting.github.put_check(github_worlds.check(conclusion=Conclusion.CANCELLED))
        assert [each.conclusion for each in setting.state.checks.values()] == ["cancelled", "cancelled"]


def test_a_check_that_has_been_there_for_a_while_is_ended_at_once() -> None:
    """Six seconds later every list has its copies: an ordinary report waits for nothing."""
    with github_worlds.wired() as setting:
        _pending(setting)
        setting.clock.sleep(2 * github_calls.SETTLE_S)
        setting.clock.slept.clear()
        setting.github.put_check(github_worlds.check(conclusion=Conclusion.SUCCESS))
        assert setting.clock.slept == []
        assert [each.conclusion for each in setting.state.checks.values()] == ["success"]


def test_what_waits_is_written_at_once() -> None:
    """A gate that finds its check of a moment ago waits for no list: whoever ends the check looks again."""
    with github_worlds.wired() as setting:
        _pending(setting)
        setting.github.put_check(github_worlds.check())
        assert github_calls.SETTLE_S not in setting.clock.slept


def test_a_copy_of_a_comment_that_no_list_tells_of_yet_is_deleted() -> None:
    """A sibling's POST that came twice a moment ago leaves one comment, with our text."""
    with github_worlds.wired() as setting:
        setting.pull(5, fork=False, labels=(), files=())
        setting.state.comment(world.BOT, 5, "<!-- accel-ci report -->\nsibling's")
        _late(setting)
        setting.state.comment(world.BOT, 5, "<!-- accel-ci report -->\nsibling's")
        setting.github.put_comment(5, "report", "ours")
        assert [each.body.split("\n")[1] for each in setting.state.comments.values()] == ["ours"]
