"""How many runs a workflow may have, in a day and at a time: the grants of gate are counted, and nothing else.

The book of a day is kept as checks, one for each grant, on the commit that last changed the workflow's file. Only our
own identity writes there, with the permissions that gate has anyway; no pull request can, and everybody can read it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from accel_ci.domain import check, errors, trigger
from accel_ci.domain.check import Check, Conclusion
from accel_ci.domain.context import Context
from accel_ci.domain.trigger import Policy, Refusal, Request
from accel_ci.formats import markup
from accel_ci.ports.github import GitHub

DAY_S = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The grants of a day (UTC) under one check's name, seen from one run; `place` is the commit that holds them."""

    github: GitHub
    context: Context
    place: str
    check_name: str
    now: float

    def lines(self, *, days_ago: int = 0) -> list[Check]:
        """The day's grants, the oldest first."""
        return self.github.checks(self.place, self._name(days_ago))

    def before(self) -> list[Check]:
        """Today's grants that came before this run's own; all of them while it has none."""
        lines, own = self.lines(), self._own
        places = [place for place, line in enumerate(lines) if line.external_id == own]
        return lines[: places[0]] if places else lines

    def write(self, title: str) -> None:
        """This run's attempt has its line in today's book."""
        line = Check(
            sha=self.place,
            name=self._name(0),
            external_id=self._own,
            # Ended at once: a pending check would leave a mark on the commit for ever.
            conclusion=Conclusion.SUCCESS,
            title=title,
            summary="A run that was granted an accelerator. It counts towards `max-per-day` and `max-running`.",
            url=self.context.run_url,
        )
        self.github.put_check(line)

    @property
    def _own(self) -> str:
        return check.external_id(self.context.run_id, self.context.attempt)

    def _name(self, days_ago: int) -> str:
        return f"{self.check_name} {datetime.fromtimestamp(self.now - days_ago * DAY_S, UTC):%Y-%m-%d}"


def limited(policy: Policy) -> bool:
    """True when there is anything to count."""
    return bool(policy.max_per_day or policy.max_running)


def opened(github: GitHub, context: Context, *, check_name: str, now: float) -> Book:
    """Today's book; ConfigurationError when there is no place for it."""
    # The default branch has the file that GitHub runs for whatever a pull request causes.
    place = github.last_change(context.workflow_file) if context.workflow_file else ""
    if not place:
        raise errors.ConfigurationError(
            "the runs of this workflow cannot be counted: its file is not on the repository's default branch",
            what_to_do="merge it there, or set `max-per-day` and `max-running` to 0",
        )
    return Book(github=github, context=context, place=place, check_name=check_name, now=now)


def exceeded(
    github: GitHub, context: Context, request: Request, *, policy: Policy, check_name: str, now: float
) -> Refusal | None:
    """None once the run has its line in the book; the refusal when it is one too many, or nobody can count.

    It takes at most 9 calls to GitHub, and none where nothing is limited.
    """
    if not limited(policy):
        return None
    try:
        book = opened(github, context, check_name=check_name, now=now)
        going = _going_on(book) if policy.max_running else frozenset()
        # A grant lives for a day: no run of an earlier day can still go on with one.
        overnight = _runs(book.lines(days_ago=1)) if policy.max_running else frozenset()
        refusal = _beyond(book, request, policy=policy, going=going, overnight=overnight)
        if refusal is None:
            book.write(f"#{request.number} by {request.actor}")
            # Two that looked at the same moment have both written: the older line has the place.
            refusal = _beyond(book, request, policy=policy, going=going, overnight=overnight)
    except (errors.AccessError, errors.ConfigurationError) as error:
        return Refusal(why=f"nobody can count the runs: {markup.markdown(str(error))}", what_to_do=error.what_to_do)
    return refusal


def _going_on(book: Book) -> frozenset[int]:
    workflow = book.context.workflow_file.rsplit("/", 1)[-1]
    return frozenset(run.id for run in book.github.waiting_runs(workflow)) - {book.context.run_id}


def _runs(lines: Sequence[Check]) -> frozenset[int]:
    return frozenset(filter(None, map(check.run_of, lines)))


def _beyond(
    book: Book, request: Request, *, policy: Policy, going: Collection[int], overnight: Collection[int]
) -> Refusal | None:
    before, again = book.before(), trigger.repeat(request, policy)
    if policy.max_per_day and len(before) >= policy.max_per_day:
        where = f"{book.context.server_url}/{book.context.repository}/commit/{book.place}"
        return Refusal(
            why=f"the budget of {policy.max_per_day} runs a day is used up",
            what_to_do=f"after 00:00 UTC {again}, or let somebody who may change the workflow raise `max-per-day`;"
            f" [the checks of this commit]({where}) are today's runs",
        )
    # A run that only asks, or that a stranger's comment started, is going on too, but has no line.
    running = (_runs(before) | {*overnight}) & {*going}
    if policy.max_running and len(running) >= policy.max_running:
        return Refusal(
            why=f"{len(running)} runs are going on, and {policy.max_running} may",
            what_to_do=f"wait until one has ended, then {again}",
        )
    return None
