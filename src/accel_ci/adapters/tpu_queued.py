"""Queued resources: a request that waits for capacity, has one node of its own name, and must be deleted as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from accel_ci.adapters import tpu_errors
from accel_ci.adapters.tpu_nodes import Place, word
from accel_ci.domain.errors import BootError, NoCapacityError
from accel_ci.domain.machine import Machine, State

if TYPE_CHECKING:
    from google.cloud import tpu_v2

_STATES = {
    "DELETING": State.RELEASING,
    **dict.fromkeys(("CREATING", "ACCEPTED", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"), State.CREATING),
}


def body(place: Place, node: Mapping[str, Any], *, spot: bool, wait_s: float) -> dict[str, Any]:
    """The request for this node; the cloud drops it by itself when nothing came within `wait_s` seconds."""
    return {
        "tpu": {"node_spec": [{"parent": place.parent, "node_id": place.name, "node": node}]},
        # Without an end of its own a request that everybody forgot would get its machine days later.
        "queueing_policy": {"valid_until_duration": {"seconds": int(wait_s)}},
        **({"spot": {}} if spot else {}),
    }


def machine(place: Place, queued: tpu_v2.QueuedResource) -> Machine:
    """The request as a machine that has no node yet, or none any more: its lease is in its node's specification."""
    node = queued.tpu.node_spec[0].node if queued.tpu.node_spec else None
    return Machine(
        handle=place.handle,
        name=place.name,
        zone=place.zone,
        accelerator=node.accelerator_type if node else "",
        spot="spot" in queued,
        state=_STATES.get(word(queued.state.state), State.FAILED),
        labels=dict(node.labels) if node else {},
    )


def unfinished(place: Place, queued: tpu_v2.QueuedResource) -> str:
    """What the request waits for, "" once its node is there; the error that ended it otherwise."""
    state = word(queued.state.state)
    if state == "ACTIVE":
        return ""
    if state == "FAILED":
        raise _failure(place, queued)
    # SUSPENDED is said of preempted requests and of those that a person ended: only the initiator tells them apart.
    if state in ("SUSPENDING", "SUSPENDED") and interruption(queued):
        raise NoCapacityError(f"{place.handle} was preempted while it booted", what_to_do="name more zones")
    if state in ("SUSPENDING", "SUSPENDED", "DELETING"):
        raise BootError(f"{place.handle} is {state.lower()}: somebody ended it", what_to_do="run it again")
    return f"queued: {state.lower()}"


def interruption(queued: tpu_v2.QueuedResource) -> str:
    """The word "preempted" when the service, not a person, suspended the request; "" otherwise."""
    suspended = word(queued.state.state) in ("SUSPENDING", "SUSPENDED")
    return "preempted" if suspended and word(queued.state.state_initiator) == "SERVICE" else ""


def _failure(place: Place, queued: tpu_v2.QueuedResource) -> Exception:
    """Why it failed; a request whose time ran out in the queue fails without a cause of its own: there was no capacity."""
    error = queued.state.failed_data.error
    details = [{"@type": detail.type_url} for detail in error.details]
    cause = tpu_errors.of_status({"code": error.code, "message": error.message, "details": details})
    # failed_data is empty when the time in the queue ran out.
    if cause.status == "DEADLINE_EXCEEDED" or not cause.message:
        return NoCapacityError(
            f"{place.handle} waited in the queue to no avail", what_to_do="raise boot-timeout, or name more zones"
        )
    return tpu_errors.of_operation(cause)
