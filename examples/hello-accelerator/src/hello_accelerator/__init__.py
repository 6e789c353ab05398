"""A matrix product on the fastest device that this computer has."""

from __future__ import annotations

from collections.abc import Sequence

Matrix = Sequence[Sequence[float]]


def device() -> str:
    """Where `product` computes: "tpu" or "gpu" with JAX or PyTorch and such a device, else "cpu"."""
    try:
        import jax
    except ImportError:
        return _device_of_torch()
    return "gpu" if jax.default_backend() in {"cuda", "gpu", "rocm"} else jax.default_backend()


def product(left: Matrix, right: Matrix) -> list[list[float]]:
    """The matrix product left x right; ValueError when the shapes do not fit."""
    if not left or not right or any(len(row) != len(right) for row in left):
        raise ValueError("each row of the left matrix must be as long as the right matrix has rows")
    if device() == "cpu":
        columns = list(zip(*right, strict=True))
        return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in columns] for row in left]
    return _product_on_accelerator(left, right)


def _device_of_torch() -> str:
    try:
        import torch
    except ImportError:
        return "cpu"
    return "gpu" if torch.cuda.is_available() else "cpu"


def _product_on_accelerator(left: Matrix, right: Matrix) -> list[list[float]]:
    try:
        import jax.numpy as np

        return (np.asarray(left) @ np.asarray(right)).tolist()
    except ImportError:
        import torch

        return (torch.tensor(left, device="cuda") @ torch.tensor(right, device="cuda")).tolist()
