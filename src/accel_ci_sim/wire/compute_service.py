"""The little of the Compute Engine API that `gcloud compute tpus tpu-vm ssh` asks for."""

from __future__ import annotations

from accel_ci_sim.wire.routing import Call, Route, route
from accel_ci_sim.wire.tpu_render import Document
from accel_ci_sim.world import tpu

FINGERPRINT = "YWNjZWwtY2k="  # clients decode it


def routes() -> list[Route]:
    """Every method with its address below /compute/v1/."""
    return [route("GET", "{project}", get_project)]


def get_project(call: Call) -> Document:
    """projects.get: a project without ssh keys of its own."""
    number = tpu.project_number(call.project)
    return {
        "kind": "compute#project",
        "id": str(number),
        "name": call.project,
        "commonInstanceMetadata": {"kind": "compute#metadata", "fingerprint": FINGERPRINT},
        "defaultServiceAccount": f"{number}-compute@developer.gserviceaccount.com",
        "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS",
    }
