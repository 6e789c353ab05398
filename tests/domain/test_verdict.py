"""Verdicts come from positive evidence only."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_ci.domain import errors, verdict
from accel_ci.domain.verdict import EndRecord, OnInfrastructure, Reason, Verdict

DOCUMENT: dict[str, Any] = {
    "version": 1,
    "key": "k",
    "nonce": "n",
    "phase": "run",
    "detail": "",
    "reason": "exited",
    "exit_code": 0,
    "signal": None,
    "started_at": 1.0,
    "ended_at": 2.0,
    "output_bytes": 3,
    "output_dropped_bytes": 0,
    "peak_memory_bytes": 5,
}


def _of(document: dict[str, Any]) -> Verdict:
    return verdict.of_worker(verdict.end_record(document), key="k", nonce="n", phase="run")


def test_only_exit_code_zero_in_our_record_passes() -> None:
    """A pass needs our version, key, nonce, phase, reason exited, code 0 and no signal."""
    assert _of(DOCUMENT) is Verdict.PASSED


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"exit_code": 1}, Verdict.FAILED),
        ({"exit_code": None, "signal": 9}, Verdict.FAILED),
        ({"exit_code": 0, "signal": 9}, Verdict.FAILED),
        ({"exit_code": None}, Verdict.FAILED),
        ({"reason": "timed-out"}, Verdict.TIMED_OUT),
        ({"reason": "lease-expired"}, Verdict.TIMED_OUT),
        ({"reason": "cancelled"}, Verdict.CANCELLED),
        ({"reason": "unattended"}, Verdict.INFRA_ERROR),
        ({"reason": "not-started"}, Verdict.INFRA_ERROR),
        ({"reason": "OK"}, Verdict.INFRA_ERROR),
        ({"key": "other"}, Verdict.INFRA_ERROR),
        ({"nonce": "guessed"}, Verdict.INFRA_ERROR),
        ({"phase": "setup"}, Verdict.INFRA_ERROR),
        ({"version": 2}, Verdict.INFRA_ERROR),
        ({"exit_code": "0"}, Verdict.INFRA_ERROR),
        ({"exit_code": False}, Verdict.INFRA_ERROR),
        ({"exit_code": 0.0}, Verdict.INFRA_ERROR),
        ({"ended_at": "later"}, Verdict.INFRA_ERROR),
        ({"ended_at": float("nan")}, Verdict.INFRA_ERROR),
        ({"output_bytes": 1.5}, Verdict.INFRA_ERROR),
        ({"peak_memory_bytes": -1}, Verdict.INFRA_ERROR),
        ({"version": True}, Verdict.INFRA_ERROR),
        ({"key": None}, Verdict.INFRA_ERROR),
    ],
)
def test_anything_else_is_not_a_pass(change: dict[str, Any], expected: Verdict) -> None:
    """Each way in which a record can differ from a pass has its own verdict."""
    assert _of(DOCUMENT | change) is expected


def test_a_missing_record_is_never_a_pass() -> None:
    """No record means infra-error."""
    assert verdict.of_worker(None, key="k", nonce="n", phase="run") is Verdict.INFRA_ERROR


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), st.lists, max_leaves=3
)


@given(st.dictionaries(st.sampled_from(sorted(DOCUMENT)), json_values))
def test_no_document_makes_the_reader_fail(document: dict[str, Any]) -> None:
    """Hostile JSON is read as no record, never as an exception."""
    found = verdict.end_record(DOCUMENT | document)
    assert found is None or isinstance(found, EndRecord)


def test_the_worst_worker_decides() -> None:
    """One failure outweighs passes and the politely cancelled siblings; a preemption outweighs what it caused."""
    assert verdict.worst([Verdict.PASSED, Verdict.FAILED, Verdict.CANCELLED]) is Verdict.FAILED
    assert verdict.worst([Verdict.FAILED, Verdict.PREEMPTED]) is Verdict.PREEMPTED
    assert verdict.worst([Verdict.PASSED, Verdict.INFRA_ERROR]) is Verdict.INFRA_ERROR
    assert verdict.worst([Verdict.PASSED, Verdict.PASSED]) is Verdict.PASSED
    assert verdict.worst([]) is Verdict.INFRA_ERROR


def test_every_verdict_has_its_place_and_exit_code() -> None:
    """All verdicts are ranked, and only `passed` ends the job with 0 under the default policy."""
    assert set(verdict.WORST_FIRST) == set(Verdict)
    codes = {each: verdict.exit_code(each) for each in Verdict}
    assert [each for each, code in codes.items() if code == 0] == [Verdict.PASSED]
    assert (codes[Verdict.FAILED], codes[Verdict.TIMED_OUT], codes[Verdict.CANCELLED]) == (1, 4, 130)
    assert {codes[each] for each in verdict.INFRASTRUCTURE} == {3}


def test_tolerating_infrastructure_never_tolerates_a_failure() -> None:
    """`tolerate` turns infrastructure verdicts into 0 and leaves failed, timed out and cancelled as they are."""
    tolerant = {each: verdict.exit_code(each, OnInfrastructure.TOLERATE) for each in Verdict}
    assert {each for each, code in tolerant.items() if code == 0} == {Verdict.PASSED} | verdict.INFRASTRUCTURE


def test_errors_have_verdicts() -> None:
    """What stopped a run names its verdict; what we do not know is infra-error, never a pass."""
    assert verdict.of_error(errors.NoCapacityError("x")) is Verdict.NO_CAPACITY
    assert verdict.of_error(errors.QuotaError("x")) is Verdict.QUOTA
    assert verdict.of_error(errors.BootError("x")) is Verdict.BOOT_FAILED
    assert verdict.of_error(errors.CancelledError("x")) is Verdict.CANCELLED
    assert verdict.of_error(errors.AccelError("x")) is Verdict.INFRA_ERROR


def test_reasons_are_all_judged() -> None:
    """No reason of the supervisor is a pass but `exited`."""
    passing = [reason for reason in Reason if _of(DOCUMENT | {"reason": reason.value}) is Verdict.PASSED]
    assert passing == [Reason.EXITED]
