"""GitHub's lists that are behind: what the model hides, and that the adapter still leaves one of each."""

from __future__ import annotations

import pytest

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
