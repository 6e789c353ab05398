"""Names and keys."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from accel_ci.domain.runkey import MAX_NAME, RunKey

KEY = RunKey(repository_id=4711, repository="org/hello", run_id=19_000_000_000, attempt=2, job="tpu")


def test_the_name_is_readable_in_front() -> None:
    """Repository, run and attempt can be read off the name."""
    assert KEY.name.startswith("accel-hello-19000000000-2-")


def test_every_part_of_the_key_changes_the_name() -> None:
    """No two different keys of a run share a name: instance, slot, job, attempt and try all count."""
    others = [
        replace(KEY, attempt=3),
        replace(KEY, job="gpu"),
        replace(KEY, instance="v6e-8"),
        replace(KEY, slot="second"),
        replace(KEY, try_=2),
        replace(KEY, repository_id=4712),
        replace(KEY, run_id=19_000_000_001),
    ]
    assert len({key.name for key in [KEY, *others]}) == 8


def test_parts_cannot_be_shifted_into_each_other() -> None:
    """job 'a' with instance 'b' is not job 'ab' without one."""
    assert replace(KEY, job="a", instance="b").digest != replace(KEY, job="ab", instance="").digest


@given(st.text(max_size=80), st.integers(0, 10**11), st.integers(1, 99), st.text(max_size=40))
def test_any_repository_gives_a_legal_name(repository: str, run_id: int, attempt: int, job: str) -> None:
    """Names fit every cloud: at most 40 characters of [a-z0-9-], a letter first, no dash last."""
    key = RunKey(repository_id=1, repository=repository, run_id=run_id, attempt=attempt, job=job)
    assert len(key.name) <= MAX_NAME
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", key.name)
    assert key.name.startswith(key.run_prefix)


def test_the_request_id_is_the_same_for_the_same_try_only() -> None:
    """Repeating a creation repeats its request id; another zone or try has its own."""
    assert KEY.request_id("a") == KEY.request_id("a")
    assert len({KEY.request_id("a"), KEY.request_id("b"), KEY.next_try().request_id("a")}) == 3
    assert isinstance(KEY.request_id("a"), uuid.UUID)
