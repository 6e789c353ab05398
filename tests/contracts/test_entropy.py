"""What every source of randomness promises."""

from __future__ import annotations

import re

import pytest

from accel_ci.adapters.entropy_os import SystemEntropy
from accel_ci.ports.entropy import Entropy
from tests.fakes.entropy import FakeEntropy


@pytest.fixture(params=[FakeEntropy, SystemEntropy])
def entropy(request: pytest.FixtureRequest) -> Entropy:
    """Each source in turn."""
    source: Entropy = request.param()
    return source


def test_tokens_are_32_hexadecimal_digits(entropy: Entropy) -> None:
    """Every token has the whole length, also when the number behind it is small."""
    assert all(re.fullmatch(r"[0-9a-f]{32}", entropy.token()) for _ in range(200))


def test_tokens_differ(entropy: Entropy) -> None:
    """No token comes twice."""
    assert len({entropy.token() for _ in range(1000)}) == 1000


def test_uniform_stays_in_range(entropy: Entropy) -> None:
    """Numbers lie between the bounds and fill the range."""
    values = [entropy.uniform(2.0, 3.0) for _ in range(1000)]
    assert all(2.0 <= value <= 3.0 for value in values)
    assert min(values) < 2.1
    assert max(values) > 2.9


def test_uniform_of_nothing(entropy: Entropy) -> None:
    """An empty range gives its only number."""
    assert entropy.uniform(0.0, 0.0) == 0.0


def test_the_fake_repeats_itself() -> None:
    """The same seed gives the same values, another seed gives others."""
    assert FakeEntropy(7).token() == FakeEntropy(7).token() != FakeEntropy(8).token()
