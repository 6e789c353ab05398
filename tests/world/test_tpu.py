"""The model of Cloud TPU nodes: what is refused, how nodes live, and what goes wrong with them."""

from __future__ import annotations

import pytest

from accel_ci_sim.world import tpu_catalogue
from accel_ci_sim.world.schedule import Actor, Schedule
from accel_ci_sim.world.tpu import TpuCloud
from accel_ci_sim.world.tpu_knobs import Knobs
from accel_ci_sim.world.tpu_node import NodeState, Place
from accel_ci_sim.world.tpu_status import Code
from tests.world.tpu_sky import SPEC, SPOT, ZONE, FakeHosts, Sky, refused


def test_a_node_is_ready_after_its_boot_time() -> None:
    """A node is CREATING for as long as the knob says; then its machines run and the operation has the node in it."""
    sky = Sky(boot_s=30)
    operation = sky.create()
    sky.time.go(29.9)
    assert sky.node().state is NodeState.CREATING and operation.ended_at is None and not sky.hosts.on
    sky.time.go(0.2)
    assert sky.node().state is NodeState.READY and sky.hosts.on == {ZONE.node("t1")}
    assert operation.error is None and operation.result is not None and operation.result.name == ZONE.node("t1")


def test_a_boot_time_can_be_drawn() -> None:
    """A range of seconds gives every node its own boot time within it, the same ones for the same seed."""
    times = []
    for _ in range(2):
        sky = Sky(boot_s=(10, 20), seed=7)
        operations = [sky.create(f"t{number}") for number in range(5)]
        sky.time.go(20)
        times.append([round((each.ended_at or 0) - each.created_at, 6) for each in operations])
    assert times[0] == times[1] and len(set(times[0])) == 5
    assert all(10 <= seconds <= 20 for seconds in times[0])


def test_a_slice_has_a_worker_per_host() -> None:
    """A v6e-16 runs on four hosts, a v6e-8 on one."""
    sky = Sky()
    sky.create("small", {**SPEC, "acceleratorType": "v6e-8"})
    sky.create("large", {**SPEC, "acceleratorType": "v6e-16"})
    assert (len(sky.node("small").workers), len(sky.node("large").workers)) == (1, 4)


def test_a_node_can_be_asked_for_by_topology() -> None:
    """Generation and topology name a type as well; both ways at once are refused."""
    sky = Sky()
    config = {"type": "V6E", "topology": "4x4"}
    sky.create("t1", {"acceleratorConfig": config, "runtimeVersion": "v2-alpha-tpuv6e"})
    assert sky.node().kind.name == "v6e-16"
    assert refused(sky.create, "t2", {**SPEC, "acceleratorConfig": config}).code is Code.INVALID_ARGUMENT


def test_a_name_is_taken_once() -> None:
    """409 with the resource's name while a node of that name is there, in whatever state; afterwards it is free."""
    sky = Sky(boot_s=5, delete_s=5)
    sky.create()
    status = refused(sky.create)
    assert status.code is Code.ALREADY_EXISTS and status.details[0]["resourceName"] == ZONE.node("t1")
    sky.cloud.delete(ZONE.node("t1"))
    assert refused(sky.create).code is Code.ALREADY_EXISTS
    sky.time.go(5)
    sky.create()


@pytest.mark.parametrize("spec", [{**SPEC, "acceleratorType": "v4-8"}, {**SPEC, "acceleratorType": "v6e-3"}])
def test_a_type_that_the_zone_lacks_is_refused(spec: dict[str, str]) -> None:
    """400 at once with the API's words for it."""
    status = refused(Sky().create, "t1", spec)
    assert status.code is Code.INVALID_ARGUMENT
    assert f"the accelerator {spec['acceleratorType']} was not found in zone us-central1-b" in status.message


def test_an_unknown_runtime_version_is_refused() -> None:
    """400 at once; a missing one as well."""
    sky = Sky()
    assert "RuntimeVersion" in refused(sky.create, "t1", {**SPEC, "runtimeVersion": "v99"}).message
    assert refused(sky.create, "t1", {"acceleratorType": "v6e-1"}).code is Code.INVALID_ARGUMENT


def test_a_runtime_version_of_another_generation_fails_later() -> None:
    """The operation ends with INVALID_ARGUMENT, and no node is left."""
    sky = Sky()
    operation = sky.create("t1", {**SPEC, "runtimeVersion": "v2-alpha-tpuv5"})
    assert operation.error is not None and operation.error.code is Code.INVALID_ARGUMENT
    assert "unable to complete the operation [EID" in operation.error.message
    assert not sky.names()


def test_zones_can_be_unknown_closed_or_silent() -> None:
    """403 for a zone that nobody knows and for one that a policy closes, 503 for one that does not answer."""
    sky = Sky(closed_zones=["us-east1-d"], unreachable_zones=["us-east5-a"])
    found = {zone: refused(sky.cloud.enter, Place("p", zone)) for zone in ("mars-a", "us-east1-d", "us-east5-a")}
    assert [status.code for status in found.values()] == [
        Code.PERMISSION_DENIED,
        Code.PERMISSION_DENIED,
        Code.UNAVAILABLE,
    ]
    assert found["mars-a"].message == "Location mars-a is not found or access is unauthorized."
    assert found["us-east1-d"].details[0]["reason"] == "LOCATION_POLICY_VIOLATED"


def test_a_stockout_is_told_by_the_operation() -> None:
    """The creation begins like any other, fails with RESOURCE_EXHAUSTED after the boot time, and leaves no node."""
    sky = Sky(stockout={"us-central1-b": 1}, boot_s=3)
    operation = sky.create()
    assert sky.node().state is NodeState.CREATING
    sky.time.go(3)
    assert operation.error is not None and operation.error.code is Code.RESOURCE_EXHAUSTED
    assert operation.error.message.startswith('There is no more capacity in the zone "us-central1-b"; you can try')
    assert not operation.error.details and not sky.names()


def test_a_stockout_is_of_one_zone() -> None:
    """Other zones still have machines; `*` stands for those without an entry of their own."""
    sky = Sky(stockout={"us-central1-b": 1})
    sky.create(place=Place("p", "us-east1-d"))
    assert sky.names() == ["t1"]
    sky.turn(stockout={"*": 1, "us-central1-b": 0})
    assert sky.create("here").error is None
    assert sky.create("there", place=Place("p", "us-east5-a")).error is not None


def test_a_reserved_node_finds_no_reservation() -> None:
    """Nobody has reservations here: the operation fails with the API's words."""
    operation = Sky().create("t1", {**SPEC, "schedulingConfig": {"reserved": True}})
    assert operation.error is not None and operation.error.code is Code.FAILED_PRECONDITION
    assert "Insufficient reserved capacity" in operation.error.message


def test_a_quota_is_refused_at_once() -> None:
    """429 with a QuotaFailure that names the metric and the limit; spot and on-demand are counted apart, so are regions."""
    sky = Sky(quota={"us-central1": 4})
    sky.create("t1", {**SPOT, "acceleratorType": "v6e-4"})
    status = refused(sky.create, "t2", SPOT)
    metric = "TPUV6EPreemptiblePerProjectPerRegionForTPUAPI"
    assert status.code is Code.RESOURCE_EXHAUSTED
    assert status.message == f"Quota limit '{metric}' has been exceeded. Limit: 4 in region us-central1."
    assert status.details[0]["@type"] == "type.googleapis.com/google.rpc.QuotaFailure"
    assert (
        status.details[0]["violations"][0]["description"]
        == f"Quota '{metric}' exhausted. Limit 4 in region us-central1"
    )
    sky.create("on-demand", SPEC)
    sky.create("elsewhere", SPOT, place=Place("p", "us-east1-d"))
    sky.create("other", SPOT, place=Place("another-project", "us-central1-b"))


def test_a_preempted_node_uses_its_quota_until_it_is_deleted() -> None:
    """The dead node is still there, and in the way."""
    sky = Sky(quota={"*": 1}, preempt_after_s=10)
    sky.create("t1", SPOT)
    sky.time.go(10)
    assert sky.node().state is NodeState.PREEMPTED and not sky.hosts.on
    assert refused(sky.create, "t2", SPOT).code is Code.RESOURCE_EXHAUSTED
    sky.cloud.delete(ZONE.node("t1"))
    sky.time.go()
    sky.create("t2", SPOT)


def test_only_spot_nodes_are_preempted() -> None:
    """Spot and preemptible ones are, the others run on."""
    sky = Sky(preempt_after_s=10)
    sky.create("demand", SPEC)
    sky.create("spot", SPOT)
    sky.create("old", {**SPEC, "schedulingConfig": {"preemptible": True}})
    sky.time.go(11)
    states = {node_id: sky.node(node_id).state.value for node_id in sky.names()}
    assert states == {"demand": "READY", "spot": "PREEMPTED", "old": "PREEMPTED"}


def test_a_running_node_hears_of_new_knobs() -> None:
    """Turning preempt_after_s takes nodes that are READY longer than that at once, turning it back spares the rest."""
    sky = Sky()
    sky.create("t1", SPOT)
    sky.time.go(60)
    sky.turn(preempt_after_s=100)
    sky.turn(preempt_after_s=None)
    sky.time.go(100)
    assert sky.node().state is NodeState.READY
    sky.turn(preempt_after_s=1)
    sky.time.go()
    assert sky.node().state is NodeState.PREEMPTED


def test_a_node_can_be_preempted_before_it_is_ready() -> None:
    """The operation ends with code 3 and the words `in state PREEMPTED`; the node stays in that state."""
    sky = Sky(preempt_creating=1)
    operation = sky.create("t1", SPOT)
    assert operation.error is not None and operation.error.code is Code.INVALID_ARGUMENT
    assert "in state PREEMPTED" in operation.error.message and sky.node().state is NodeState.PREEMPTED


def test_maintenance_restarts_the_machines() -> None:
    """For its time the node is READY with bad health and nothing runs; then the machines are up again."""
    sky = Sky(maintenance_after_s=10, maintenance_s=5)
    sky.create()
    sky.time.go(10)
    assert sky.node().state is NodeState.READY and sky.node().maintained and not sky.hosts.on
    sky.time.go(5)
    assert not sky.node().maintained and sky.hosts.on == {ZONE.node("t1")}


def test_a_delete_ends_the_machines_first() -> None:
    """Machines and what runs there end at once, the node when its time in DELETING is over, and its disks with it."""
    sky = Sky(delete_s=8)
    sky.create()
    operation = sky.cloud.delete(ZONE.node("t1"))
    assert sky.node().state is NodeState.DELETING and not sky.hosts.on and sky.hosts.disks
    sky.time.go(8)
    assert operation.ended_at is not None and operation.error is None and operation.result is None
    assert not sky.names() and not sky.hosts.disks and sky.cloud.life.ledger[0].gone_at == sky.time.now
    assert refused(sky.cloud.delete, ZONE.node("t1")).code is Code.NOT_FOUND


def test_a_second_delete_has_to_wait() -> None:
    """409 while the first one is under way."""
    sky = Sky(delete_s=8)
    sky.create()
    sky.cloud.delete(ZONE.node("t1"))
    status = refused(sky.cloud.delete, ZONE.node("t1"))
    assert (status.code, status.message) == (Code.ABORTED, "unable to queue the operation")


def test_a_node_can_be_deleted_while_it_is_created() -> None:
    """The creation ends with an error and no machine starts any more."""
    sky = Sky(boot_s=30)
    creation = sky.create()
    sky.cloud.delete(ZONE.node("t1"))
    sky.time.go(60)
    assert creation.error is not None and creation.error.code is Code.ABORTED
    assert not sky.names() and not sky.hosts.on


def test_a_delete_can_hang() -> None:
    """The node stays in DELETING, and in the way, for the time of the knob."""
    sky = Sky(stuck_deleting=1, stuck_deleting_s=100)
    sky.create()
    sky.cloud.delete(ZONE.node("t1"))
    sky.time.go(99)
    assert sky.node().state is NodeState.DELETING
    sky.time.go(1)
    assert not sky.names()


def test_deletes_have_a_rate() -> None:
    """429 beyond the number per minute, without a QuotaFailure; after a minute the next is taken."""
    sky = Sky(deletes_per_minute=1)
    sky.create("t1")
    sky.create("t2")
    sky.cloud.delete(ZONE.node("t1"))
    status = refused(sky.cloud.delete, ZONE.node("t2"))
    assert (
        status.code is Code.RESOURCE_EXHAUSTED and "maximum number of DeleteNode requests per minute" in status.message
    )
    assert [detail["reason"] for detail in status.details] == ["RATE_LIMIT_EXCEEDED"]
    sky.time.go(60)
    sky.cloud.delete(ZONE.node("t2"))


def test_a_node_stops_and_starts_with_its_disks() -> None:
    """STOPPING, STOPPED, STARTING, READY; the disks stay all the time."""
    sky = Sky(stop_s=2)
    sky.create()
    operation = sky.cloud.stop(ZONE.node("t1"))
    assert sky.node().state is NodeState.STOPPING and not sky.hosts.on
    sky.time.go(2)
    assert operation.ended_at is not None and sky.node().state is NodeState.STOPPED and sky.hosts.disks
    sky.cloud.start(ZONE.node("t1"))
    assert sky.node().state is NodeState.STARTING
    sky.time.go()
    assert sky.node().state is NodeState.READY and sky.hosts.on


def test_a_start_can_find_the_zone_empty() -> None:
    """The operation fails like a creation, and the node is STOPPED as before."""
    sky = Sky()
    sky.create()
    sky.cloud.stop(ZONE.node("t1"))
    sky.time.go()
    sky.turn(stockout={"*": 1})
    operation = sky.cloud.start(ZONE.node("t1"))
    sky.time.go()
    assert operation.error is not None and operation.error.code is Code.RESOURCE_EXHAUSTED
    assert sky.node().state is NodeState.STOPPED


def test_verbs_need_their_state() -> None:
    """What does not fit the node's state is refused with the API's words; what comes during another change gets a 409."""
    sky = Sky(stop_s=2)
    sky.create()
    status = refused(sky.cloud.start, ZONE.node("t1"))
    assert status.code is Code.INVALID_ARGUMENT and "start is not supported while in state READY" in status.message
    sky.cloud.stop(ZONE.node("t1"))
    assert refused(sky.cloud.update, ZONE.node("t1"), lambda spec: None).code is Code.ABORTED


def test_an_update_leaves_earlier_answers_alone() -> None:
    """The node has the new labels; the creation's operation still shows the node as it was."""
    sky = Sky()
    creation = sky.create("t1", {**SPEC, "labels": {"a": "1"}})
    sky.cloud.update(ZONE.node("t1"), lambda spec: spec["labels"].update(b="2"))
    assert sky.node().spec["labels"] == {"a": "1", "b": "2"}
    assert creation.result is not None and creation.result.spec["labels"] == {"a": "1"}


def test_a_creation_can_be_cancelled() -> None:
    """The operation ends with CANCELLED and its node goes; other operations only note the wish."""
    sky = Sky(boot_s=30, delete_s=30)
    creation = sky.create()
    sky.cloud.cancel(creation.name)
    sky.time.go(30)
    assert creation.error is not None and creation.error.code is Code.CANCELLED and not sky.names()
    sky.create("t2")
    sky.time.go(30)
    deletion = sky.cloud.delete(ZONE.node("t2"))
    sky.cloud.cancel(deletion.name)
    sky.time.go(30)
    assert deletion.cancel_requested and deletion.error is None and not sky.names()


def listed(sky: Sky) -> list[tuple[str, str]]:
    """Id and state of each node in a list of all zones."""
    return [(node.name[-2:], node.state.value) for node in sky.cloud.listed("p", tpu_catalogue.ZONES)]


def test_lists_can_lag() -> None:
    """A new node is missing for a while, and one that is gone is still listed as READY; looking up by name never lags."""
    sky = Sky(list_lag_s=10)
    sky.create()
    assert listed(sky) == [] and sky.node().state is NodeState.READY
    sky.time.go(10)
    assert listed(sky) == [("t1", "READY")]
    sky.cloud.delete(ZONE.node("t1"))
    sky.time.go(9)
    assert listed(sky) == [("t1", "READY")] and not sky.names()
    sky.time.go(1)
    assert listed(sky) == []


def test_a_list_is_of_one_project_and_some_zones() -> None:
    """Nodes come in the order of their names."""
    sky = Sky()
    for node_id in ("b", "a"):
        sky.create(node_id)
    sky.create("east", place=Place("p", "us-east1-d"))
    sky.create("theirs", place=Place("other", "us-central1-b"))
    names = [node.name for node in sky.cloud.listed("p", ["us-central1-b"])]
    assert names == [ZONE.node("a"), ZONE.node("b")]


def test_operations_are_listed_until_they_are_forgotten() -> None:
    """Per zone, with their verb and target; a forgotten one is not found any more."""
    sky = Sky()
    operation = sky.create()
    assert [(each.verb, each.target) for each in sky.cloud.operations.listed(ZONE)] == [("create", ZONE.node("t1"))]
    sky.cloud.operations.forget(operation.name)
    assert refused(sky.cloud.operations.get, operation.name).code is Code.NOT_FOUND
    assert not sky.cloud.operations.listed(ZONE)


def test_the_api_fills_in_what_was_left_out() -> None:
    """Networks become paths, the default account and its scope appear, type and topology are both there."""
    sky = Sky()
    sky.create("t1", {**SPEC, "networkConfig": {"network": "mine", "enableExternalIps": True}})
    spec = sky.node().spec
    assert spec["networkConfig"]["network"] == "projects/p/global/networks/mine"
    assert spec["networkConfig"]["subnetwork"] == "projects/p/regions/us-central1/subnetworks/default"
    assert spec["serviceAccount"]["email"].endswith("-compute@developer.gserviceaccount.com")
    assert spec["acceleratorConfig"] == {"type": "V6E", "topology": "1x1"}


def test_the_model_runs_on_the_crash_simulators_schedule() -> None:
    """The same model takes the virtual time of `direct`, so that worlds of both faces behave alike."""
    schedule = Schedule()
    cloud = TpuCloud(schedule, FakeHosts(), Knobs(boot_s=20, preempt_after_s=40))
    seen: list[tuple[float, str]] = []

    def client(actor: Actor) -> None:
        begin = schedule.now
        cloud.create(ZONE, "t1", SPOT)
        for seconds in (19, 2, 40):
            schedule.pause(actor, seconds)
            seen.append((schedule.now - begin, cloud.node(ZONE.node("t1")).state.value))

    schedule.spawn(client)
    schedule.run()
    assert seen == [(19, "CREATING"), (21, "READY"), (61, "PREEMPTED")]
