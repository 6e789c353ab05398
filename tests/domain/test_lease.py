"""Leases, their labels and who owns what."""

from __future__ import annotations

import re
from dataclasses import replace

from accel_ci.domain import lease
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.runkey import RunKey

KEY = RunKey(repository_id=4711, repository="org/hello", run_id=77, attempt=2, job="tpu", instance="v6e-1")
LABELS = Lease(key=KEY, expires_at=5000).labels()


def test_labels_are_legal_on_every_cloud() -> None:
    """Keys and values hold only [a-z0-9_-] and at most 63 characters."""
    assert all(re.fullmatch(r"[a-z0-9_-]{1,63}", text) for pair in LABELS.items() for text in pair)


def test_the_run_owns_its_machines_up_to_its_attempt() -> None:
    """A cleanup of attempt 2 covers attempts 1 and 2, never a later one."""
    owner = lease.of_run(KEY)
    assert owner.owns(KEY.name, LABELS)
    assert owner.owns("x", Lease(key=replace(KEY, attempt=1), expires_at=1).labels())
    assert not owner.owns("x", Lease(key=replace(KEY, attempt=3), expires_at=1).labels())


def test_named_jobs_spare_their_siblings() -> None:
    """`for: tpu` covers every instance of that job and no other job."""
    owner = lease.of_run(KEY, jobs=("tpu",))
    assert owner.owns("x", Lease(key=replace(KEY, instance="v6e-8"), expires_at=1).labels())
    assert not owner.owns("x", Lease(key=replace(KEY, job="gpu"), expires_at=1).labels())


def test_a_job_spares_its_matrix_siblings() -> None:
    """The job's own cleanup covers all its slots, and no other instance of the matrix."""
    owner = lease.of_job(KEY)
    assert owner.owns("x", Lease(key=replace(KEY, slot="second"), expires_at=1).labels())
    assert not owner.owns("x", Lease(key=replace(KEY, instance="v6e-8"), expires_at=1).labels())


def test_a_machine_without_labels_is_found_by_its_prefix_only() -> None:
    """Lost labels do not hide a machine of the run, and other names are left alone."""
    owner = lease.of_run(KEY)
    assert owner.owns(KEY.name, {})
    assert not owner.owns("accel-hello-78-1-00000000", {})
    assert not lease.of_job(KEY).owns(KEY.name, {})


def test_foreign_labels_win_over_a_matching_name() -> None:
    """A machine that says it is another repository's is never ours, whatever its name."""
    foreign = LABELS | {"accel-ci-repository": "1"}
    assert not lease.of_run(KEY).owns(KEY.name, foreign)
    assert not Owner(repository_id=4711).owns(KEY.name, foreign)


def test_expiry_is_pushed_back_by_keep_until() -> None:
    """keep-until beyond the expiry counts; before it, it does not; nonsense is ignored."""
    assert lease.expires_at(LABELS) == 5000
    assert lease.expires_at(LABELS | {"accel-ci-keep-until": "6000"}) == 6000
    assert lease.expires_at(LABELS | {"accel-ci-keep-until": "4000"}) == 5000
    assert lease.expires_at(LABELS | {"accel-ci-keep-until": "soon"}) == 5000
    assert lease.expires_at({}) is None


def test_kept_only_until_then() -> None:
    """A machine is kept while keep-until lies in the future."""
    labels = LABELS | {"accel-ci-keep-until": "6000"}
    assert lease.kept(labels, now=5999)
    assert not lease.kept(labels, now=6000)
    assert not lease.kept(LABELS, now=0)


def test_the_jobs_cleanup_leaves_what_the_run_owns() -> None:
    """A machine of scope `run` outlives its job's cleanup; the run's, and a cleanup `for:` the job, end it."""
    labels = Lease(key=KEY, expires_at=1, scope=lease.Scope.RUN).labels()
    assert not lease.of_job(KEY).owns("x", labels)
    assert lease.of_run(KEY).owns("x", labels)
    assert lease.of_run(KEY, jobs=("tpu",)).owns("x", labels)


def test_two_jobs_with_one_key_have_different_labels() -> None:
    """The nonce of the job that asked is a label, so that adoption never takes another job's machine."""
    one, other = (Lease(key=KEY, expires_at=5000, nonce=nonce).labels() for nonce in ("a1", "b2"))
    assert not one.items() <= other.items()
    assert one["accel-ci-nonce"] == "a1" and "accel-ci-nonce" not in LABELS
