"""One test that passes, one that fails on purpose, and one that is skipped where there is no accelerator."""

import hello_accelerator
import pytest

LEFT = [[1.0, 2.0], [3.0, 4.0]]
RIGHT = [[5.0, 6.0], [7.0, 8.0]]


def test_product():
    """The product is the one known from school, on whatever device."""
    assert hello_accelerator.product(LEFT, RIGHT) == [[19.0, 22.0], [43.0, 50.0]]


def test_fails_on_purpose():
    """FAILS ON PURPOSE: a matrix product does not commute. It shows what accel-ci reports about a failing test."""
    forth = hello_accelerator.product(LEFT, RIGHT)
    back = hello_accelerator.product(RIGHT, LEFT)
    assert forth == back, "this test fails on purpose: the product of matrices does not commute"


@pytest.mark.skipif(hello_accelerator.device() == "cpu", reason="no accelerator on this computer")
def test_accelerator():
    """With an accelerator, the same product of larger matrices is exact for small whole numbers."""
    size = 128
    identity = [[float(row == column) for column in range(size)] for row in range(size)]
    assert hello_accelerator.product(identity, identity) == identity
