"""Looks that answer when nobody waits for them any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from accel_ci.domain import errors, lease
from accel_ci.domain.machine import Machine
from accel_ci.operations import seeking
from accel_ci.operations.seeking import Doomed, Look
from accel_ci.ports.lanes import Lane
from tests.fakes.job import FakeJob
from tests.fakes.lanes import FakeLanes
from tests.usecases.worlds import KEY, Fakes


class _Late(FakeLanes):
    """The limit is over before any lane has answered; all do when `answer` is called, or while the next ones are waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes: list[Lane] = []

    def run(self, lanes: Sequence[Lane], *, limit_s: float) -> bool:
        self.answer()
        self.lanes += lanes
        return False

    def answer(self) -> None:
        for lane in self.lanes:
            for _ in lane:
                raise AssertionError("a late lane's calls are made by nobody")


class _Interrupting(FakeJob):
    """Other threads go on while it writes."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def warning(self, title: str, text: str) -> None:
        super().warning(title, text)
        self._meanwhile()


def _looks(*, fail: bool, otherwise: str) -> list[Look]:
    def ask() -> Iterator[Machine]:
        if fail:
            raise errors.CloudError("it broke")
        return iter(())

    return [Look(what=what, ask=ask, otherwise=otherwise) for what in ("look here", "look there")]


def test_a_late_answer_breaks_nothing_that_is_being_said() -> None:
    """Two looks are told as unanswered, and both answer while the first is told: it ended cleanup as a bug of ours, once."""
    fakes, lanes = Fakes(), _Late()
    fakes.lanes, fakes.job = lanes, _Interrupting(lanes.answer)
    doomed = Doomed()
    looks = _looks(fail=False, otherwise="the listing tells")
    assert not seeking.seek(fakes.world, doomed, lease.of_job(KEY), looks, limit_s=5)
    told = [text for text in fakes.job.of_kind("warning") if "no answer within 5 s; the listing tells" in text]
    assert len(told) == 2 and doomed.blind == {}


def test_a_late_answer_is_no_answer_of_the_next_time() -> None:
    """What was asked again and hangs again stays unseen, though the first time's late failure or success comes meanwhile."""
    for fail in (True, False):
        fakes, lanes = Fakes(), _Late()
        fakes.lanes = lanes
        doomed, looks = Doomed(), _looks(fail=fail, otherwise="")
        assert not seeking.seek(fakes.world, doomed, lease.of_job(KEY), looks, limit_s=5)
        assert not seeking.seek(fakes.world, doomed, lease.of_job(KEY), looks, limit_s=7)
        assert sorted(doomed.blind) == ["look here", "look there"]
        assert all("no answer within 7 s" in str(error) for error in doomed.blind.values())
