"""A lease: who may use a machine and until when, written as labels in the creation itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from accel_ci.domain import runkey
from accel_ci.domain.runkey import RunKey


class Scope(StrEnum):
    """How long a machine belongs to its owner: for the job that made it, or for the whole run."""

    JOB = "job"
    RUN = "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Owner, scope and expiry (seconds since 1970, UTC) of one machine.

    `nonce` is known to the job that asked only: of two jobs that have the same key by mistake, none adopts the other's.
    """

    key: RunKey
    expires_at: int
    scope: Scope = Scope.JOB
    nonce: str = ""

    def labels(self) -> dict[str, str]:
        """The lease as cloud labels: keys and values of [a-z0-9_-], at most 63 characters each."""
        return {
            "accel-ci-repository": str(self.key.repository_id),
            "accel-ci-run": str(self.key.run_id),
            "accel-ci-attempt": str(self.key.attempt),
            "accel-ci-job": self.key.job_digest,
            "accel-ci-instance": self.key.instance_digest,
            "accel-ci-key": self.key.digest,
            "accel-ci-scope": self.scope.value,
            "accel-ci-expires": str(self.expires_at),
            **({"accel-ci-nonce": self.nonce} if self.nonce else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What a listing of machines asks for: a repository's machines, narrowed to a run, its attempts so far, its jobs.

    `run_prefix` finds machines of the run whose labels were lost; "" turns that off.
    `jobs` holds job digests, empty for all jobs of the run; `instance` one matrix instance's digest, "" for all;
    `scope` the leases of one scope, None for both.
    """

    repository_id: int
    run_id: int | None = None
    up_to_attempt: int | None = None
    jobs: frozenset[str] = frozenset()
    instance: str = ""
    run_prefix: str = ""
    scope: Scope | None = None

    def owns(self, name: str, labels: Mapping[str, str]) -> bool:
        """True when a machine with this name and these labels is the owner's, by labels or by its run's prefix."""
        # Whoever may edit a machine may take its labels off; its name stays.
        if "accel-ci-repository" not in labels:
            return bool(self.run_prefix) and name.startswith(self.run_prefix)
        return (
            labels["accel-ci-repository"] == str(self.repository_id)
            and (self.run_id is None or labels.get("accel-ci-run") == str(self.run_id))
            # A re-run may have begun while an old attempt still cleans up: what is newer is not touched.
            and (self.up_to_attempt is None or _number(labels.get("accel-ci-attempt", "")) <= self.up_to_attempt)
            and (not self.jobs or labels.get("accel-ci-job", "") in self.jobs)
            and (not self.instance or labels.get("accel-ci-instance", "") == self.instance)
            and (self.scope is None or labels.get("accel-ci-scope", Scope.JOB) == self.scope)
        )


def scope_of(slot: str) -> Scope:
    """Whose the slot's machine is."""
    return Scope.RUN if runkey.shared(slot) else Scope.JOB


def of_job(key: RunKey) -> Owner:
    """The owner that covers the machines of the key's own job and matrix instance, in all slots, up to its attempt.

    What was leased for the whole run is not covered: other jobs of the run may use it.
    """
    return Owner(
        repository_id=key.repository_id,
        run_id=key.run_id,
        up_to_attempt=key.attempt,
        jobs=frozenset((key.job_digest,)),
        instance=key.instance_digest,
        scope=Scope.JOB,
    )


def of_run(key: RunKey, *, jobs: tuple[str, ...] = ()) -> Owner:
    """The owner that covers every machine of the key's run up to its attempt, or only those of the named jobs."""
    from_jobs = frozenset(map(runkey.short_digest, jobs))
    return Owner(
        repository_id=key.repository_id,
        run_id=key.run_id,
        up_to_attempt=key.attempt,
        jobs=from_jobs,
        run_prefix="" if from_jobs else key.run_prefix,
    )


def expires_at(labels: Mapping[str, str]) -> int | None:
    """The expiry that the labels carry (seconds since 1970), pushed back by `accel-ci-keep-until`; None without one."""
    expiry = _number(labels.get("accel-ci-expires", ""))
    kept = _number(labels.get("accel-ci-keep-until", ""))
    return max(expiry, kept) or None


def kept(labels: Mapping[str, str], *, now: float) -> bool:
    """True while a person asked to keep the machine (annotation `keep-until`) and that time has not come."""
    return _number(labels.get("accel-ci-keep-until", "")) > now


def _number(text: str) -> int:
    # isdigit alone holds for digits that int() refuses, such as superscripts.
    return int(text) if text.isascii() and text.isdigit() else 0
