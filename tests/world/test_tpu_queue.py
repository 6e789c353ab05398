"""The model of queued resources: waiting, serving, failing, suspending, deleting."""

from __future__ import annotations

from typing import Any

from accel_ci_sim.world.tpu_node import Initiator, NodeState, Queued, QueuedState
from accel_ci_sim.world.tpu_status import Code
from tests.world.tpu_sky import SPEC, SPOT, ZONE, Sky, node_spec, refused

NAME = ZONE.queued("q1")


def state(queued: Queued) -> str:
    """The state that the request is in now."""
    return queued.state.value


def test_a_request_waits_and_becomes_active() -> None:
    """WAITING_FOR_RESOURCES for the knob's time, PROVISIONING while its node boots, then ACTIVE."""
    sky = Sky(queue_s=60, boot_s=30)
    queued = sky.enqueue()
    assert state(queued) == "WAITING_FOR_RESOURCES" and not sky.names()
    sky.time.go(60)
    assert state(queued) == "PROVISIONING" and sky.node("q1").state is NodeState.CREATING
    sky.time.go(30)
    assert state(queued) == "ACTIVE"
    assert sky.node("q1").queued == NAME and sky.node("q1").spot


def test_the_operation_ends_with_the_acceptance() -> None:
    """CreateQueuedResource is over at once; it does not wait for machines."""
    sky = Sky(queue_s=60)
    spec = {"spot": {}, "tpu": {"nodeSpec": [node_spec("n1")]}}
    operation = sky.queue.create(ZONE, "q1", spec, window=(sky.time.now, None))
    assert operation.ended_at is not None and operation.error is None
    assert (operation.verb, operation.target) == ("create", NAME)


def test_the_same_request_id_is_answered_as_before() -> None:
    """A repeated creation or deletion with its id is the same operation; without it the name is taken."""
    sky = Sky()
    spec = {"tpu": {"nodeSpec": [node_spec("n1")]}}
    window = (sky.time.now, None)
    first = sky.queue.create(ZONE, "q1", spec, window=window, request_id="r1")
    assert sky.queue.create(ZONE, "q1", spec, window=window, request_id="r1") is first
    assert refused(sky.queue.create, ZONE, "q1", spec, window=window).code is Code.ALREADY_EXISTS
    sky.time.go()
    deletion = sky.queue.delete(NAME, force=True, request_id="r2")
    sky.time.go()
    assert sky.queue.delete(NAME, force=True, request_id="r2") is deletion
    assert refused(sky.queue.get, NAME).code is Code.NOT_FOUND


def test_a_multislice_request_has_numbered_nodes() -> None:
    """node_count nodes, named after the prefix or the request; all must be READY before it is ACTIVE."""
    sky = Sky(boot_s=(1, 9))
    several = {"parent": str(ZONE), "node": dict(SPEC), "multisliceParams": {"nodeCount": 3}}
    queued = sky.enqueue(tpu={"nodeSpec": [several]})
    assert sky.names() == ["q1-0", "q1-1", "q1-2"] and sky.node("q1-0").multislice
    sky.time.go(9)
    assert state(queued) == "ACTIVE"
    named = {**several, "multisliceParams": {"nodeCount": 2, "nodeIdPrefix": "np"}}
    sky.enqueue("q2", tpu={"nodeSpec": [named]})
    assert sky.names()[:2] == ["np-0", "np-1"]


def test_malformed_requests_are_refused() -> None:
    """No node, two kinds of names, a foreign parent, or a slice of one are refused."""
    sky = Sky()
    malformed: list[dict[str, Any]] = [
        {},
        {"tpu": {"nodeSpec": []}},
        {"tpu": {"nodeSpec": [node_spec("n1", multisliceParams={"nodeCount": 2})]}},
        {"tpu": {"nodeSpec": [node_spec("n1", parent="projects/p/locations/us-east1-d")]}},
        {"tpu": {"nodeSpec": [{"parent": str(ZONE), "node": dict(SPEC), "multisliceParams": {"nodeCount": 1}}]}},
        {"tpu": {"nodeSpec": [node_spec("n1", node={**SPEC, "acceleratorType": "v4-8"})]}},
    ]
    for spec in malformed:
        status = refused(sky.queue.create, ZONE, "q1", spec, window=(sky.time.now, None))
        assert status.code is Code.INVALID_ARGUMENT, spec


def test_a_request_outlasts_a_stockout() -> None:
    """It waits while the zone has none and is served once there is one."""
    sky = Sky(stockout={"*": 1})
    queued = sky.enqueue()
    sky.time.go(3600)
    assert state(queued) == "WAITING_FOR_RESOURCES"
    sky.turn()
    sky.time.go(1)
    assert state(queued) == "ACTIVE"


def test_a_request_fails_when_its_time_is_over() -> None:
    """FAILED with an error and without a node; it stays until somebody deletes it, and uses up quota."""
    sky = Sky(queue_s=100, quota={"*": 1})
    queued = sky.enqueue(until_s=60)
    sky.time.go(100)
    assert queued.state is QueuedState.FAILED and queued.error is not None and not sky.names()
    assert refused(sky.create, "t1", SPOT).code is Code.RESOURCE_EXHAUSTED
    sky.queue.delete(NAME, force=False)
    sky.time.go()
    sky.create("t1", SPOT)


def test_a_request_is_not_served_too_early() -> None:
    """valid_after holds it back."""
    sky = Sky()
    queued = sky.enqueue(after_s=50)
    sky.time.go(49)
    assert state(queued) == "WAITING_FOR_RESOURCES"
    sky.time.go(1)
    assert state(queued) == "ACTIVE"


def test_a_request_for_a_reservation_fails() -> None:
    """Nobody has reservations here."""
    queued = Sky().enqueue(reservationName=f"{ZONE}/reservations/r")
    assert queued.state is QueuedState.FAILED and queued.error is not None
    assert "Insufficient reserved capacity" in queued.error.message


def test_a_preempted_request_is_suspended_by_the_service() -> None:
    """SUSPENDING while its node is removed, then SUSPENDED, both started by SERVICE; the node is gone."""
    sky = Sky(preempt_after_s=10, delete_s=5)
    queued = sky.enqueue()
    sky.time.go(10)
    assert (queued.state, queued.initiator) == (QueuedState.SUSPENDING, Initiator.SERVICE)
    sky.time.go(5)
    assert (queued.state, queued.initiator) == (QueuedState.SUSPENDED, Initiator.SERVICE) and not sky.names()


def test_a_request_whose_node_somebody_deletes_is_suspended_by_the_user() -> None:
    """Deleting the node ends the request's use, not the request."""
    sky = Sky(delete_s=5)
    queued = sky.enqueue()
    sky.time.go(5)
    sky.cloud.delete(ZONE.node("q1"))
    assert (queued.state, queued.initiator) == (QueuedState.SUSPENDING, Initiator.USER)
    sky.time.go(5)
    assert queued.state is QueuedState.SUSPENDED


def test_a_node_lost_while_it_is_made_fails_the_request() -> None:
    """PROVISIONING, SUSPENDING by SERVICE, FAILED with code 13, as seen in the wild."""
    sky = Sky(preempt_creating=1, boot_s=5, delete_s=5)
    queued = sky.enqueue()
    sky.time.go(5)
    assert (queued.state, queued.initiator) == (QueuedState.SUSPENDING, Initiator.SERVICE)
    sky.time.go(5)
    assert queued.state is QueuedState.FAILED and queued.error is not None
    assert (queued.error.code, queued.error.message) == (Code.INTERNAL, "an internal error has occurred")


def test_a_name_that_a_node_has_meanwhile_fails_the_request() -> None:
    """The node that came first stays as it is."""
    sky = Sky(queue_s=10)
    queued = sky.enqueue()
    sky.create("q1")
    sky.time.go(10)
    assert queued.state is QueuedState.FAILED and queued.error is not None
    assert queued.error.code is Code.ALREADY_EXISTS and not sky.node("q1").queued


def test_an_active_request_is_deleted_with_force_only() -> None:
    """Without it 400; with it its node goes first, and the operation ends when all is gone."""
    sky = Sky(delete_s=5)
    queued = sky.enqueue()
    assert refused(sky.queue.delete, NAME, force=False).code is Code.FAILED_PRECONDITION
    operation = sky.queue.delete(NAME, force=True)
    assert queued.state is QueuedState.DELETING and sky.node("q1").state is NodeState.DELETING
    assert refused(sky.queue.delete, NAME, force=True).code is Code.ABORTED
    sky.time.go(5)
    assert operation.ended_at is not None and not sky.names() and not sky.hosts.on


def test_a_waiting_request_is_deleted_without_force() -> None:
    """It has nothing to lose, and never gets a node."""
    sky = Sky(queue_s=60)
    sky.enqueue()
    sky.queue.delete(NAME, force=False)
    sky.time.go(120)
    assert not sky.names() and not sky.queue.listed("p", [ZONE.zone])


def test_a_reset_restarts_the_machines() -> None:
    """An ACTIVE request's nodes go down and come up again; no other request can be reset."""
    sky = Sky(boot_s=5)
    queued = sky.enqueue()
    assert refused(sky.queue.reset, NAME).code is Code.INVALID_ARGUMENT
    sky.time.go(5)
    operation = sky.queue.reset(NAME)
    assert sky.node("q1").state is NodeState.RESTARTING and not sky.hosts.on
    sky.time.go(5)
    assert operation.ended_at is not None and operation.error is None
    assert state(queued) == "ACTIVE" and sky.hosts.on


def test_quota_is_claimed_with_the_request() -> None:
    """429 at once, and the nodes of a request are not counted a second time."""
    sky = Sky(quota={"*": 2})
    sky.enqueue()
    sky.create("t1", SPOT)
    spec = {"spot": {}, "tpu": {"nodeSpec": [node_spec("n2")]}}
    status = refused(sky.queue.create, ZONE, "q2", spec, window=(sky.time.now, None))
    assert status.code is Code.RESOURCE_EXHAUSTED and status.details
