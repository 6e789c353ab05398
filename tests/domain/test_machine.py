"""Machines and what their workers are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accel_ci.domain import machine as machines
from accel_ci.domain.machine import Candidate, Machine, State, Worker

SLICE = Machine(
    handle="tpu://project/us-east5-b/name",
    name="name",
    zone="us-east5-b",
    accelerator="v6e-16",
    spot=True,
    state=State.READY,
    workers=tuple(
        Worker(index=index, address=f"34.0.0.{index}", inner_address=f"10.0.0.{index}") for index in range(4)
    ),
)


def test_each_worker_of_a_slice_knows_its_rank_and_the_first() -> None:
    """torchrun and PyTorch/XLA find rank, size, the first worker's inner address and the device."""
    assert machines.distributed_environment(SLICE, SLICE.workers[2]) == {
        "NNODES": "4",
        "NODE_RANK": "2",
        "MASTER_ADDR": "10.0.0.0",
        "MASTER_PORT": "29500",
        "PJRT_DEVICE": "TPU",
    }


def test_workers_without_a_network_have_no_master() -> None:
    """Directories of one computer are told their rank, and no address that nobody listens on."""
    local = replace(
        SLICE, handle="local://name", workers=(Worker(index=0, address="/x"), Worker(index=1, address="/y"))
    )
    assert machines.distributed_environment(local, local.workers[1]) == {"NNODES": "2", "NODE_RANK": "1"}


def test_a_backend_is_the_scheme_of_the_handle() -> None:
    """tpu://... is the tpu backend's, whatever follows."""
    assert SLICE.backend == "tpu"


def test_workers_and_candidates_have_readable_names() -> None:
    """w2, and `zone spot` or `zone on-demand`."""
    assert SLICE.workers[2].name == "w2"
    assert str(Candidate(zone="z", spot=True)) == "z spot"
    assert str(Candidate(zone="z", spot=False)) == "z on-demand"


@pytest.mark.parametrize(
    ("handle", "accelerator", "device"),
    [
        ("tpu://p/z/n", "v6e-1", "TPU"),
        ("gce://p/z/n", "v6e-1", "TPU"),
        ("gce://p/z/n", "ct6e-standard-8t", "TPU"),
        ("gce://p/z/n", "l4-1", None),
        ("gce://p/z/n", "e2-standard-4", None),
    ],
)
def test_who_has_a_tpu_is_told_so(handle: str, accelerator: str, device: str | None) -> None:
    """PyTorch/XLA looks for a TPU on whichever backend it is, and nowhere else."""
    worker = Worker(index=0, address="a")
    found = Machine(
        handle=handle, name="n", zone="z", accelerator=accelerator, spot=True, state=State.READY, workers=(worker,)
    )
    assert machines.distributed_environment(found, worker).get("PJRT_DEVICE") == device
