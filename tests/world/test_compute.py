"""The model of Compute Engine instances: how they live, and what goes wrong with them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from accel_ci_sim.world.compute import ComputeCloud
from accel_ci_sim.world.schedule import Actor, Schedule
from accel_ci_sim.world.tpu_knobs import Knobs
from tests.world.compute_sky import SPOT, ZONE, FakeHosts, Sky, body, path, refused

LIMIT = {"maxRunDuration": {"seconds": "3600"}, "instanceTerminationAction": "DELETE"}
REQUEST = str(uuid.UUID(int=7))


def test_an_instance_passes_through_provisioning_and_staging() -> None:
    """The operation is over when it is RUNNING, and only later does anything inside answer."""
    sky = Sky(boot_s=20, guest_boot_s=30)
    operation = sky.insert()
    assert sky.status() == "PROVISIONING" and operation.ended_at is None
    sky.time.go(10)
    assert sky.status() == "STAGING" and not sky.hosts.powered
    sky.time.go(10)
    assert sky.status() == "RUNNING" and operation.ended_at is not None and operation.problem is None
    assert sky.hosts.powered == {path()} and not sky.hosts.up
    sky.time.go(30)
    assert sky.hosts.up == {path()} and sky.instance().up_at == sky.time.now


def test_a_machine_can_hang_while_it_boots() -> None:
    """RUNNING for ever, with power, and nothing ever answers."""
    sky = Sky(boot_hangs=1)
    sky.insert()
    sky.time.go(10_000)
    assert sky.status() == "RUNNING" and sky.hosts.powered and not sky.hosts.up


def test_a_request_is_done_once() -> None:
    """The same request id gives the same operation, also once the instance is gone; another one meets the taken name."""
    sky = Sky()
    first = sky.insert(request_id=REQUEST)
    assert sky.insert(request_id=REQUEST) is first and len(sky.cloud.life.ledger) == 1
    assert refused(sky.insert).reason == "alreadyExists"
    deletion = sky.delete(request_id=str(uuid.UUID(int=8)))
    assert sky.delete(request_id=str(uuid.UUID(int=8))) is deletion
    assert refused(sky.delete).reason == "notFound"
    assert sky.insert(request_id=REQUEST) is first and sky.status() == "GONE"


def test_a_stockout_is_told_by_the_operation() -> None:
    """DONE with an error and 503, naming the zones of the region that have some; the instance is gone."""
    sky = Sky(stockout={ZONE: 1}, boot_s=8)
    operation = sky.insert(
        machine_type="g2-standard-8", scheduling={"onHostMaintenance": "TERMINATE"}, request_id=REQUEST
    )
    assert sky.status() == "PROVISIONING"
    sky.time.go(8)
    assert operation.problem is not None and sky.status() == "GONE"
    assert (operation.problem.code, operation.problem.http) == ("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", 503)
    info = operation.problem.details[2]["errorInfo"]
    assert info["reason"] == "resource_availability"
    assert info["metadatas"]["zonesAvailable"] == "us-central1-a,us-central1-c"
    assert info["metadatas"]["attachment"] == "nvidia-l4:1"


def test_a_failed_creation_can_leave_its_machine() -> None:
    """With the knob the operation has its error and the instance runs all the same."""
    sky = Sky(stockout={"*": 1}, lands_anyway=1)
    operation = sky.insert()
    assert operation.problem is not None and operation.problem.code == "ZONE_RESOURCE_POOL_EXHAUSTED"
    assert sky.status() == "RUNNING" and sky.hosts.up == {path()}


@pytest.mark.parametrize(
    ("action", "end", "kind"),
    [("DELETE", "GONE", "compute.instances.delete"), ("STOP", "TERMINATED", "compute.instances.stop")],
)
def test_the_run_duration_ends_a_machine(action: str, end: str, kind: str) -> None:
    """On the cloud's own clock, counted from RUNNING, and by an operation of the system."""
    sky = Sky(boot_s=60)
    sky.insert(scheduling={**LIMIT, "instanceTerminationAction": action})
    sky.time.go(60)
    assert sky.instance().ends_at == sky.time.now + 3600
    sky.time.go(3599.9)
    assert sky.status() == "RUNNING"
    sky.time.go(0.2)
    assert sky.status() == end and not sky.hosts.powered
    assert bool(sky.hosts.disks) is (end == "TERMINATED")
    assert sky.kinds() == ["insert", kind]


def test_the_limit_may_be_late() -> None:
    """As late as the knob says, never early."""
    sky = Sky(limit_late_s=30)
    sky.insert(scheduling=LIMIT)
    sky.time.go(3629.9)
    assert sky.status() == "RUNNING"
    sky.time.go(0.2)
    assert sky.status() == "GONE"


def test_a_termination_time_is_a_limit_too() -> None:
    """The moment itself, whenever the machine started."""
    sky = Sky(boot_s=60)
    sky.insert(scheduling={"terminationTime": "2027-01-15T09:00:00Z", "instanceTerminationAction": "DELETE"})
    sky.time.go(3599)
    assert sky.status() == "RUNNING"
    sky.time.go(2)
    assert sky.status() == "GONE"


def test_a_limit_can_be_moved_while_the_machine_runs() -> None:
    """Later or away; the one before does nothing any more."""
    sky = Sky()
    sky.insert(scheduling=LIMIT)
    longer = {**LIMIT, "maxRunDuration": {"seconds": "7200"}}
    sky.cloud.reschedule(path(), longer)
    sky.time.go(7199)
    assert sky.status() == "RUNNING"
    sky.time.go(2)
    assert sky.status() == "GONE"


def test_a_restart_counts_anew() -> None:
    """After stop and start the whole duration is there again."""
    sky = Sky()
    sky.insert(scheduling=LIMIT)
    sky.time.go(3000)
    sky.cloud.stop(path())
    sky.time.go(3000)
    assert sky.status() == "TERMINATED" and sky.instance().ends_at is None
    sky.cloud.start(path())
    sky.time.go(3599)
    assert sky.status() == "RUNNING"
    sky.time.go(2)
    assert sky.status() == "GONE"


@pytest.mark.parametrize(("action", "end"), [("STOP", "TERMINATED"), ("DELETE", "GONE")])
def test_spot_machines_are_preempted(action: str, end: str) -> None:
    """After a notice that only the machine sees, stopped or deleted; the operation tells it afterwards."""
    sky = Sky(preempt_after_s=100, preempt_notice_s=30)
    sky.insert(scheduling={**SPOT, "instanceTerminationAction": action})
    sky.insert("standard")
    sky.time.go(100)
    assert sky.status() == "STOPPING" and sky.instance().preempted and path() in sky.hosts.up
    sky.time.go(30)
    assert sky.status() == end and path() not in sky.hosts.up
    assert sky.kinds() == ["insert", "insert", "compute.instances.preempted"]
    assert sky.status("standard") == "RUNNING"


def test_a_preemption_while_it_is_made_is_an_error_of_the_operation() -> None:
    """UNSUPPORTED_OPERATION, and no instance."""
    sky = Sky(preempt_creating=1)
    operation = sky.insert(scheduling=SPOT)
    assert operation.problem is not None and operation.problem.code == "UNSUPPORTED_OPERATION"
    assert sky.status() == "GONE" and sky.insert("t2").problem is None


def test_maintenance_moves_some_and_restarts_others() -> None:
    """A machine that may migrate does not notice; one with a GPU is terminated and comes back by itself."""
    sky = Sky(maintenance_after_s=10, maintenance_s=60)
    sky.insert("cpu")
    sky.insert("gpu", machine_type="g2-standard-4", scheduling={"onHostMaintenance": "TERMINATE"})
    sky.time.go(10)
    assert (sky.status("cpu"), sky.status("gpu")) == ("RUNNING", "TERMINATED")
    assert sky.hosts.up == {path("cpu")}
    sky.turn()
    sky.time.go(60)
    assert sky.status("gpu") == "RUNNING"
    assert {"compute.instances.terminateOnHostMaintenance", "compute.instances.automaticRestart"} <= set(sky.kinds())


def test_stop_and_start_keep_the_disk() -> None:
    """STOPPING, TERMINATED, and RUNNING again; either is done already when there is nothing to do."""
    sky = Sky(stop_s=5)
    sky.insert()
    stopping = sky.cloud.stop(path())
    assert sky.status() == "STOPPING" and refused(sky.cloud.start, path()).reason == "resourceNotReady"
    sky.time.go(5)
    assert sky.status() == "TERMINATED" and sky.hosts.disks == {path()} and stopping.ended_at is not None
    assert sky.cloud.stop(path()).ended_at is not None
    sky.cloud.start(path())
    sky.time.go()
    assert sky.status() == "RUNNING" and sky.cloud.start(path()).ended_at is not None


def test_a_start_can_find_nothing_left() -> None:
    """The operation has the stockout, and the instance stays TERMINATED."""
    sky = Sky()
    sky.insert()
    sky.cloud.stop(path())
    sky.time.go()
    sky.turn(stockout={"*": 1})
    operation = sky.cloud.start(path())
    sky.time.go()
    assert operation.problem is not None and sky.status() == "TERMINATED"


def test_a_delete_overtakes_a_creation() -> None:
    """The insert ends in conflict, as people saw it; with the knob the delete is refused instead."""
    sky = Sky(boot_s=10)
    insertion = sky.insert()
    sky.turn(boot_s=10, not_ready=1)
    assert refused(sky.delete).reason == "resourceNotReady"
    sky.turn(boot_s=10)
    sky.delete()
    assert insertion.problem is not None and (insertion.problem.code, insertion.problem.http) == ("CONFLICT", 409)
    sky.time.go(100)
    assert sky.status() == "GONE" and not sky.hosts.up


def test_a_delete_can_hang() -> None:
    """STOPPING for as long as the knob says; a second delete meanwhile is refused."""
    sky = Sky(stuck_deleting=1, stuck_deleting_s=500)
    sky.insert()
    operation = sky.delete()
    sky.time.go(499)
    assert sky.status() == "STOPPING" and not sky.hosts.up and operation.ended_at is None
    assert refused(sky.delete).reason == "resourceNotReady"
    sky.time.go(1)
    assert sky.status() == "GONE" and operation.ended_at is not None


def test_deletion_protection_protects() -> None:
    """400 until it is taken off."""
    sky = Sky()
    sky.insert(deletionProtection=True)
    assert "protected against deletion" in refused(sky.delete).message
    sky.cloud.update("update", path(), lambda spec: spec.update(deletionProtection=False))
    sky.delete()
    assert sky.status() == "GONE"


def test_a_quota_is_told_by_the_operation_or_at_once() -> None:
    """QUOTA_EXCEEDED and 403 in the operation with metric and region; with the knob the call itself is refused."""
    sky = Sky(quota={"us-central1": 2})
    gpu: dict[str, Any] = {"machine_type": "g2-standard-24", "scheduling": {"onHostMaintenance": "TERMINATE"}}
    assert sky.insert(**gpu).problem is None
    problem = sky.insert("t2", **gpu).problem
    assert problem is not None and (problem.code, problem.http) == ("QUOTA_EXCEEDED", 403)
    assert problem.message == "Quota 'NVIDIA_L4_GPUS' exceeded.  Limit: 2.0 in region us-central1."
    assert problem.details[0]["quotaInfo"]["dimensions"] == {"region": "us-central1"}
    spot = {**gpu, "scheduling": {**SPOT}}
    assert sky.insert("t3", **spot).problem is None, "spot has a quota of its own"
    sky.turn(quota={"us-central1": 2}, quota_at_once=1)
    assert refused(sky.insert, "t4", **gpu).reason == "quotaExceeded"
    sky.delete()
    assert sky.insert("t5", **gpu).problem is None


def test_a_stopped_machine_uses_no_gpu_quota() -> None:
    """What is TERMINATED costs its disk only."""
    sky = Sky(gpus_all_regions=1)
    gpu: dict[str, Any] = {"machine_type": "g2-standard-4", "scheduling": {"onHostMaintenance": "TERMINATE"}}
    sky.insert(**gpu)
    problem = sky.insert("t2", **gpu).problem
    assert problem is not None and problem.message == "Quota 'GPUS_ALL_REGIONS' exceeded.  Limit: 1.0 globally."
    assert sky.insert("cpu").problem is None
    sky.cloud.stop(path())
    sky.time.go()
    assert sky.insert("t3", **gpu).problem is None


def test_lists_lag() -> None:
    """What is too young is missing, what went since is shown as RUNNING; a look by name tells the truth."""
    sky = Sky(list_lag_s=10)
    sky.insert()
    assert sky.cloud.listed("p", [ZONE]) == []
    sky.time.go(10)
    sky.delete()
    (shown,) = sky.cloud.listed("p", [ZONE])
    assert shown.status == "RUNNING" and sky.status() == "GONE"
    sky.time.go(10)
    assert sky.cloud.listed("p", [ZONE]) == []


def test_a_driver_needs_its_time() -> None:
    """Where the image installs it on request; it is there at once where the image has it, and survives a stop."""
    sky = Sky(driver_s=300)
    learning = "projects/deeplearning-platform-release/global/images/family/common-cu128-ubuntu-2204-nvidia-570"
    ready = "projects/ubuntu-os-accelerator-images/global/images/family/ubuntu-accelerator-2204-amd64-with-nvidia-570"
    wish = {"items": [{"key": "install-nvidia-driver", "value": "True"}]}
    for name, image, metadata in (("wish", learning, wish), ("none", learning, {}), ("ready", ready, {})):
        disks = [{"boot": True, "initializeParams": {"sourceImage": image, "diskSizeGb": "100"}}]
        gpu: dict[str, Any] = {"machine_type": "g2-standard-4", "scheduling": {"onHostMaintenance": "TERMINATE"}}
        sky.insert(name, disks=disks, metadata=metadata, **gpu)
    now = sky.time.now
    assert [sky.instance(name).driver_at for name in ("wish", "none", "ready")] == [now + 300, None, now]
    sky.cloud.stop(path("wish"))
    sky.time.go(1000)
    sky.cloud.start(path("wish"))
    sky.time.go()
    assert sky.instance("wish").driver_at == now + 300


def test_a_machine_can_turn_itself_off() -> None:
    """The system notes it as guestTerminate, and the instance is TERMINATED."""
    sky = Sky()
    sky.insert()
    sky.cloud.life.power_off(sky.instance())
    sky.time.go()
    assert sky.status() == "TERMINATED" and "compute.instances.guestTerminate" in sky.kinds()


def test_zones_can_be_closed_or_silent() -> None:
    """403, 503, and 400 for a zone that nobody knows."""
    sky = Sky(closed_zones=["us-east1-b"], unreachable_zones=["us-east1-c"])
    assert refused(sky.cloud.enter, "p", "us-east1-b").reason == "forbidden"
    assert refused(sky.cloud.enter, "p", "us-east1-c").reason == "backendError"
    assert "Unknown zone" in refused(sky.cloud.enter, "p", "mars-1a").message


def test_the_same_seed_gives_the_same_world() -> None:
    """Which of thirty creations fail depends on the seed alone."""

    def luck(seed: int) -> list[bool]:
        sky = Sky(seed=seed, stockout={"*": 0.5})
        return [sky.insert(f"t{number}").problem is None for number in range(30)]

    assert luck(3) == luck(3) != luck(4)


def test_the_model_lives_in_a_world_too() -> None:
    """On the schedule of simulated worlds, whose actors see what the machine's limit does."""
    schedule, seen = Schedule(), []

    def watch(actor: Actor) -> None:
        cloud = ComputeCloud(schedule, FakeHosts(), Knobs())
        cloud.insert("p", ZONE, body(scheduling=LIMIT))
        for _ in range(3):
            schedule.pause(actor, 1900)
            seen.append(len(cloud.life.instances))

    schedule.spawn(watch)
    schedule.run()
    assert seen == [1, 0, 0]
