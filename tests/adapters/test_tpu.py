"""The TPU backend: what it asks for, when a machine counts as ready, what it finds, and what it ends."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain import accelerators, lease
from accel_ci.domain.errors import (
    BootError,
    CloudError,
    ConfigurationError,
    NoCapacityError,
    QuotaError,
    TransientError,
)
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, Creation, MachineSpec, State
from tests.adapters.google_world import PUBLIC_KEY
from tests.adapters.tpu_world import KEY, LEASE, NODE, QUEUED, SPEC, SPOT, ZONE, TpuWorld, world
from tests.servers.tpu_over_http import HEALTH, HOST_KEY, Answer, refusal

__all__ = ["world"]
STOCKOUT = {"code": 8, "message": 'There is no more capacity in the zone "us-central1-b"; you can try another zone'}
SLICE = MachineSpec(backend="tpu", accelerator="v6e-16", workers=4)


def test_the_lease_is_in_the_request(world: TpuWorld) -> None:
    """Type, runtime version, every label of the lease, spot, our key and the boot script travel in the creation itself."""
    world.begin()
    (body,) = world.asked("POST /nodes")
    assert (body["acceleratorType"], body["runtimeVersion"]) == ("v6e-1", "v2-alpha-tpuv6e")
    assert body["labels"] == LEASE.labels()
    assert body["schedulingConfig"] == {"spot": True}
    assert body["networkConfig"] == {"enableExternalIps": True}
    metadata = body["metadata"]
    assert metadata["ssh-keys"] == f"accel-ci:{PUBLIC_KEY}"
    assert metadata["startup-script"].startswith("#!/bin/sh\n")
    assert (metadata["enable-guest-attributes"], metadata["block-project-ssh-keys"]) == ("TRUE", "TRUE")
    assert metadata["enable-oslogin"] == "FALSE"
    assert world.cloud.requests[0].query["nodeId"] == KEY.name


def test_without_an_account_tokens_are_worth_nothing(world: TpuWorld) -> None:
    """The project's default account cannot be left out, but its tokens on the machine open only its own name."""
    world.begin()
    (body,) = world.asked("POST /nodes")
    assert body["serviceAccount"] == {"scope": ["https://www.googleapis.com/auth/userinfo.email"]}


def test_what_options_set(world: TpuWorld) -> None:
    """Runtime version, network, addresses and account of the request are the user's when they set them."""
    options = {
        "image": "tpu-vm-tf-2.17.0-pjrt",
        "network": "ci",
        "subnetwork": "ci-us",
        "external-ips": "false",
        "machine-account": "tests@my-project.iam.gserviceaccount.com",
    }
    spec = MachineSpec(backend="tpu", accelerator="v6e-1", options=options)
    machine = world.ready(spec, candidate=Candidate(zone=ZONE, spot=False))
    (body,) = world.asked("POST /nodes")
    assert body["runtimeVersion"] == "tpu-vm-tf-2.17.0-pjrt"
    assert body["networkConfig"] == {"network": "ci", "subnetwork": "ci-us"}
    assert body["serviceAccount"]["email"] == "tests@my-project.iam.gserviceaccount.com"
    assert "schedulingConfig" not in body
    assert machine.handle == f"tpu://my-project/{ZONE}/{KEY.name}" and not machine.spot
    assert [worker.address for worker in machine.workers] == ["10.0.0.2"]


def test_a_ready_machine(world: TpuWorld) -> None:
    """Every worker has the address of its endpoint, the port of sshd, our user, and the host keys that it told."""
    machine = world.ready(SLICE)
    assert (machine.accelerator, machine.spot, machine.state) == ("v6e-16", True, State.READY)
    assert [worker.address for worker in machine.workers] == [f"127.0.0.{2 + n}" for n in range(4)]
    assert {(worker.port, worker.user) for worker in machine.workers} == {(22, "accel-ci")}
    assert [worker.host_keys for worker in machine.workers] == [(f"ssh-ed25519 {HOST_KEY}{n}",) for n in range(4)]


def test_a_port_that_is_not_the_accelerators_is_sshds(world: TpuWorld) -> None:
    """The API shows the TPU's own port, 8470, which nobody can log in to; any other port is where sshd listens."""
    creation = world.begin()
    world.machines.poll(creation)
    world.cloud.node(KEY.name)["networkEndpoints"][0]["port"] = 2022
    assert world.wait(creation).workers[0].port == 2022


def test_stages_on_the_way(world: TpuWorld) -> None:
    """While the operation runs only it is asked; then addresses, host keys and the boot script are waited for."""
    world.cloud.polls, world.cloud.told = 3, False
    creation, stages = world.begin(SLICE), []
    for _ in range(4):
        creation = world.machines.poll(creation)
        stages.append(creation.stage)
    assert stages == ["creating", "creating", "waiting for the host keys of w0, w1, w2, w3", stages[2]]
    assert len(world.asked("GET " + NODE)) == 2
    node = world.cloud.node(KEY.name)
    endpoints, node["networkEndpoints"] = node["networkEndpoints"], node["networkEndpoints"][:3]
    assert world.machines.poll(creation).stage == "waiting for addresses"
    node["networkEndpoints"], world.cloud.told = endpoints, True
    assert world.machines.poll(creation).machine is not None


def test_a_worker_that_has_not_booted_holds_the_slice_back(world: TpuWorld) -> None:
    """The machine is ready when the last worker told so."""
    creation = world.begin(SLICE)
    told = {"namespace": "hostkeys", "key": "ssh-ed25519", "value": HOST_KEY}
    booted = {"namespace": "accel-ci", "key": "stage", "value": "ready"}
    workers = [[told, booted], [told, booted], [told], [told, booted]]
    attributes = [{"queryPath": "", "queryValue": {"items": items}} for items in workers]
    world.cloud.next("getGuestAttributes", Answer(200, {"guestAttributes": attributes}))
    assert world.machines.poll(creation).stage == "3 of 4 worker(s) booted, booting"
    assert world.wait(creation).name == KEY.name


@pytest.mark.parametrize(("said", "unconfined"), [("yes", False), ("no", True), ("", False)])
def test_a_worker_says_whether_it_is_confined(world: TpuWorld, said: str, unconfined: bool) -> None:
    """What boot.sh told of the test user stands in the worker; an image that told nothing is taken as it is."""
    creation = world.begin()
    ready = (("hostkeys", "ssh-ed25519", HOST_KEY), ("accel-ci", "stage", "ready"))
    pairs = (*ready, ("accel-ci", "health", json.dumps(HEALTH)), ("accel-ci", "confined", said))
    told = [{"namespace": space, "key": key, "value": value} for space, key, value in pairs if value]
    attributes = [{"queryPath": "", "queryValue": {"items": told}}]
    world.cloud.next("getGuestAttributes", Answer(200, {"guestAttributes": attributes}))
    machine = world.machines.poll(creation).machine
    assert machine is not None and machine.workers[0].unconfined is unconfined


@pytest.mark.parametrize("health", ["UNHEALTHY_MAINTENANCE", "TIMEOUT"])
def test_an_unhealthy_node_is_not_ready(world: TpuWorld, health: str) -> None:
    """Ready and unhealthy is not usable; what the API says of it is shown until it is well or the boot limit comes."""
    creation = world.begin()
    world.machines.poll(creation)
    world.cloud.node(KEY.name).update({"health": health, "healthDescription": "maintenance soon"})
    assert world.machines.poll(creation).stage == f"{health.lower()} maintenance soon"
    world.cloud.node(KEY.name)["health"] = "HEALTHY"
    assert world.wait(creation).name == KEY.name


@pytest.mark.parametrize(
    ("state", "error"),
    [("PREEMPTED", NoCapacityError), ("TERMINATED", NoCapacityError), ("DELETING", BootError), ("STOPPED", BootError)],
)
def test_taken_away_while_booting(world: TpuWorld, state: str, error: type[CloudError]) -> None:
    """A node that is preempted or ended before it was used is an error of its own kind."""
    creation = world.begin()
    world.machines.poll(creation)
    world.cloud.node(KEY.name)["state"] = state
    with pytest.raises(error, match=KEY.name):
        world.machines.poll(creation)


def test_a_state_that_is_newer_than_the_library(world: TpuWorld) -> None:
    """What the library does not know (it says so) is waited for, and neither ready nor gone."""
    creation = world.begin()
    world.machines.poll(creation)
    world.cloud.node(KEY.name)["state"] = 99
    with pytest.warns(UserWarning, match="Unrecognized State"):
        assert world.machines.poll(creation).stage == "unknown"
    with pytest.warns(UserWarning, match="Unrecognized State"):
        assert [machine.state for machine in world.machines.find(KEY, (ZONE,))] == [State.FAILED]


@pytest.mark.parametrize("state", ["REPAIRING", "STARTING"])
def test_other_states_are_waited_for(world: TpuWorld, state: str) -> None:
    """A node that comes up again may still become ready."""
    creation = world.begin()
    world.machines.poll(creation)
    world.cloud.node(KEY.name)["state"] = state
    assert world.machines.poll(creation).machine is None
    world.cloud.node(KEY.name)["state"] = "READY"
    assert world.wait(creation).name == KEY.name


def test_a_stockout_is_in_the_operation(world: TpuWorld) -> None:
    """The request is taken, the operation then says that there is no capacity."""
    world.cloud.polls, world.cloud.failures = 2, {ZONE: STOCKOUT}
    creation = world.begin()
    with pytest.raises(NoCapacityError, match="no more capacity"):
        world.wait(creation)


def test_a_stockout_after_a_lost_reply(world: TpuWorld) -> None:
    """Our request landed but its answer was lost: asked again we adopt, and still learn why the node never came."""
    world.cloud.polls, world.cloud.failures = 100, {ZONE: STOCKOUT}
    world.cloud.next("POST .*/nodes$", Answer(0, done=True))
    with pytest.raises(TransientError):
        world.begin()
    creation = world.begin()
    assert world.machines.poll(creation).stage == "creating"
    world.cloud.settle()
    with pytest.raises(NoCapacityError, match="no more capacity"):
        world.machines.poll(creation)


def test_one_machine_after_a_lost_reply(world: TpuWorld) -> None:
    """Asked again after a lost answer, the same node is adopted."""
    world.cloud.next("POST .*/nodes$", Answer(0, done=True))
    with pytest.raises(TransientError, match="no answer"):
        world.begin()
    assert world.ready().name == KEY.name
    assert list(world.cloud.nodes) == [NODE]


def test_a_node_that_is_still_ending_is_waited_for(world: TpuWorld) -> None:
    """A name that is taken by a node on its way out is worth asking again, not another lease's."""
    world.ready()
    world.cloud.node(KEY.name)["state"] = "DELETING"
    with pytest.raises(TransientError, match="still ending"):
        world.begin()


def test_another_leases_node_is_not_adopted(world: TpuWorld) -> None:
    """Our name with other labels is an error that says how to end it."""
    world.ready()
    world.cloud.node(KEY.name)["labels"] = {"team": "research"}
    with pytest.raises(ConfigurationError, match="another lease") as error:
        world.begin()
    assert f"gcloud compute tpus tpu-vm delete {KEY.name}" in error.value.what_to_do


def test_a_queued_request(world: TpuWorld) -> None:
    """It carries the node with its lease, spot, an end for its waiting, and the id that makes it safe to repeat."""
    world.begin(QUEUED)
    (body,) = world.asked("POST /queuedResources")
    (spec,) = body["tpu"]["nodeSpec"]
    assert (spec["nodeId"], spec["parent"]) == (KEY.name, f"projects/my-project/locations/{ZONE}")
    assert spec["node"]["labels"] == LEASE.labels() and "schedulingConfig" not in spec["node"]
    assert (body["spot"], body["queueingPolicy"]) == ({}, {"validUntilDuration": "120s"})
    query = world.cloud.requests[0].query
    assert query["queuedResourceId"] == KEY.name
    again = replace(LEASE, expires_at=LEASE.expires_at + 1)
    world.begin(QUEUED)
    world.cloud.queued.clear()
    world.machines.begin_create(QUEUED, again, SPOT, public_key=PUBLIC_KEY)
    world.cloud.queued.clear()
    world.machines.begin_create(QUEUED, replace(LEASE, nonce="another"), SPOT, public_key=PUBLIC_KEY)
    ids = [each.query["requestId"] for each in world.cloud.requests if each.method == "POST"]
    assert ids[0] == ids[1] and len(set(ids)) == 3, (
        "the same for the same lease, another one for the next, or another job"
    )


def test_the_way_through_the_queue(world: TpuWorld) -> None:
    """The queue's state is the stage until the node is there."""
    world.cloud.queue = False
    creation = world.begin(QUEUED)
    assert world.machines.poll(creation).stage == "queued: waiting_for_resources"
    world.cloud.provide(KEY.name)
    machine = world.wait(creation)
    assert machine.spot and len(machine.workers) == 1
    assert len(list(world.machines.list_owned(lease.of_run(KEY)))) == 1


def test_what_another_process_put_into_the_queue_is_waited_for(world: TpuWorld) -> None:
    """A job that joins the run's machine did not ask for it, and finds it in the queue all the same."""
    world.cloud.queue = False
    handle = world.begin(QUEUED).handle
    joining, creation = TpuMachines(world.environment), Creation(handle=handle, stage="another job's creation")
    assert joining.poll(creation).stage == "queued: waiting_for_resources"
    world.cloud.provide(KEY.name)
    world.wait(creation)
    assert joining.poll(creation).machine is not None


FAILED = {"state": "FAILED", "failedData": {"error": {"code": 8, "message": "no more capacity"}}}
EXPIRED = {"state": "FAILED", "failedData": {"error": {}}}
QUOTA = {
    "state": "FAILED",
    "failedData": {
        "error": {
            "code": 8,
            "message": "limit 0",
            "details": [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []}],
        }
    },
}


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (FAILED, NoCapacityError),
        (EXPIRED, NoCapacityError),
        (QUOTA, QuotaError),
        ({"state": "SUSPENDING", "stateInitiator": "SERVICE"}, NoCapacityError),
        ({"state": "SUSPENDED", "stateInitiator": "USER"}, BootError),
        ({"state": "DELETING"}, BootError),
    ],
)
def test_a_request_that_ends_in_the_queue(world: TpuWorld, state: dict[str, object], error: type[CloudError]) -> None:
    """Failed, expired, suspended: each is an error of its kind, the request is still found, and release ends it."""
    world.cloud.queue = False
    creation = world.begin(QUEUED)
    next(iter(world.cloud.queued.values()))["state"] = state
    with pytest.raises(error):
        world.machines.poll(creation)
    assert [machine.handle for machine in world.machines.find(KEY, (ZONE,))] == [creation.handle]
    assert not world.machines.released(creation.handle)
    world.machines.release(creation.handle)
    assert world.machines.released(creation.handle) and world.cloud.queued == {}


def test_the_queued_resource_and_its_node_both_go(world: TpuWorld) -> None:
    """The queue's request is deleted by force, which takes its node along; gone means that neither is left."""
    machine = world.ready(QUEUED)
    node = dict(world.cloud.nodes)
    world.machines.release(machine.handle)
    deletion = next(each for each in world.cloud.requests if each.method == "DELETE")
    assert deletion.path.endswith(f"/queuedResources/{KEY.name}") and deletion.query["force"].lower() == "true"
    world.cloud.nodes.update(node)
    assert not world.machines.released(machine.handle)
    world.machines.release(machine.handle)
    assert world.machines.released(machine.handle)


@pytest.mark.parametrize("state", ["PREEMPTED", "TERMINATED", "STOPPED", "CREATING"])
def test_what_holds_quota_is_found_and_deleted(world: TpuWorld, state: str) -> None:
    """A node in any state counts against the quota until it is deleted, a preempted one too."""
    machine = world.ready()
    world.cloud.node(KEY.name)["state"] = state
    assert [each.handle for each in world.machines.list_owned(lease.of_run(KEY))] == [machine.handle]
    assert [each.handle for each in world.machines.find(KEY, ())] == [machine.handle]
    world.machines.release(machine.handle)
    assert world.machines.released(machine.handle)


def test_a_listing_of_many_pages(world: TpuWorld) -> None:
    """Whatever page and zone they are on, ours are found; of strangers nothing is. Numbers of projects are no matter."""
    world.cloud.page = 2
    for number, zone in enumerate(accelerators.zones("tpu")[:5], 1):
        key = replace(KEY, try_=number)
        place = f"projects/123456/locations/{zone}"
        for name, labels in ((key.name, Lease(key=key, expires_at=1).labels()), ("other", {"team": "research"})):
            world.cloud.nodes[f"{place}/nodes/{name}"] = {"name": f"{place}/nodes/{name}", "labels": labels}
    world.cloud.nodes = {name.replace("123456", "my-project"): node for name, node in world.cloud.nodes.items()}
    found = list(world.machines.list_owned(lease.of_run(KEY)))
    assert {machine.zone for machine in found} == set(accelerators.zones("tpu")[:5]) and len(found) == 5
    assert all(machine.handle.startswith("tpu://my-project/") for machine in found)
    assert len(world.asked("GET /nodes")) == 5 and len(world.asked("GET /queuedResources")) == 1


def test_a_silent_zone_makes_a_listing_worthless(world: TpuWorld) -> None:
    """What a zone holds that did not answer is not known: the error comes last, after what the others have."""
    world.ready()
    world.cloud.unreachable = ["projects/my-project/locations/us-east5-b"]
    seen: list[str] = []
    with pytest.raises(TransientError, match="us-east5-b"):
        seen.extend(each.name for each in world.machines.list_owned(lease.of_run(KEY)))
    assert seen == [KEY.name]


def test_found_by_name_where_a_listing_is_behind(world: TpuWorld) -> None:
    """Looking a key up asks for its name in every zone that has TPUs, and never lists."""
    world.ready()
    world.cloud.requests.clear()
    assert [machine.zone for machine in world.machines.find(KEY, ())] == [ZONE]
    paths = {request.path for request in world.cloud.requests}
    assert all(f"/locations/{zone}/nodes/{KEY.name}" in " ".join(paths) for zone in accelerators.zones("tpu"))
    assert not any(path.endswith(("/nodes", "/queuedResources")) for path in paths)


def test_interruptions_are_told(world: TpuWorld) -> None:
    """Preemption, the end of a preemptible node, and maintenance are the cloud's doing; everything else is not."""
    machine = world.ready()
    node = world.cloud.node(KEY.name)
    told = []
    for state, health in (
        ("READY", "HEALTHY"),
        ("PREEMPTED", "HEALTHY"),
        ("TERMINATED", "HEALTHY"),
        ("REPAIRING", "HEALTHY"),
        ("READY", "UNHEALTHY_MAINTENANCE"),
        ("DELETING", "HEALTHY"),
        ("STOPPED", "HEALTHY"),
    ):
        node.update({"state": state, "health": health})
        told.append(world.machines.interruption(machine.handle))
    assert told == ["", "preempted", "terminated by the cloud", "maintenance", "maintenance", "", ""]


def test_a_suspended_request_tells_of_a_preemption(world: TpuWorld) -> None:
    """When the node of a queued resource is gone, the request still says who suspended it."""
    machine = world.ready(QUEUED)
    world.cloud.nodes.clear()
    queued = next(iter(world.cloud.queued.values()))
    queued["state"] = {"state": "SUSPENDED", "stateInitiator": "SERVICE"}
    assert world.machines.interruption(machine.handle) == "preempted"
    queued["state"] = {"state": "SUSPENDED", "stateInitiator": "USER"}
    assert world.machines.interruption(machine.handle) == ""
    world.cloud.queued.clear()
    assert world.machines.interruption(machine.handle) == ""


def test_a_label_is_set_and_seen_to_be_set(world: TpuWorld) -> None:
    """Annotating keeps the other labels and waits for its operation; what has no node cannot be annotated."""
    machine = world.ready()
    world.cloud.polls = 3
    world.machines.annotate(machine.handle, "accel-ci-keep-until", "1900000500")
    update = next(each for each in world.cloud.requests if each.method == "PATCH")
    assert update.query["updateMask"] == "labels"
    assert update.body["labels"] == {**LEASE.labels(), "accel-ci-keep-until": "1900000500"}
    world.cloud.queue = False
    world.cloud.nodes.clear()
    waiting = world.begin(QUEUED)
    with pytest.raises(CloudError, match="no node"):
        world.machines.annotate(waiting.handle, "accel-ci-keep-until", "1")


def test_the_command_for_a_persons_hands(world: TpuWorld) -> None:
    """Both commands name the machine, its zone and its project, and ask nothing."""
    command = world.machines.release_command(f"tpu://my-project/{ZONE}/{KEY.name}")
    queued, node = command.split(" ; ")
    assert queued == (
        f"gcloud compute tpus queued-resources delete {KEY.name} --zone={ZONE} --project=my-project --quiet --force"
    )
    assert node == f"gcloud compute tpus tpu-vm delete {KEY.name} --zone={ZONE} --project=my-project --quiet"


@pytest.mark.parametrize("handle", ["", "tpu://p/z", "gce://p/z/n", "tpu://p/z/n/m", "tpu://p/z/$(id)", "tpu://p/z/-n"])
def test_only_handles_are_handles(world: TpuWorld, handle: str) -> None:
    """Whatever is not tpu://project/zone/name is refused before any call."""
    with pytest.raises(ConfigurationError, match="not a handle"):
        world.machines.release(handle)
    assert world.cloud.requests == []


def test_all_mistakes_before_any_call(world: TpuWorld) -> None:
    """A wrong zone, runtime version and options are told together, and the cloud hears nothing."""
    options = {"image": "v2-alpha-tpuv5", "queud": "true", "queued": "maybe", "fallback": "gpu"}
    spec = MachineSpec(backend="tpu", accelerator="v6e-1", zones=("us-central2-b",), options=options)
    for ask in (
        lambda: world.machines.candidates(spec),
        lambda: world.machines.begin_create(spec, LEASE, SPOT, public_key=""),
    ):
        with pytest.raises(ConfigurationError) as error:
            ask()
        told = "\n".join(map(str, error.value.mistakes))
        assert [mistake.name for mistake in error.value.mistakes] == ["zones"] + ["options"] * 4
        assert re.search("`queud`.*did you mean `queued`", told) and "one of true, false" in told
        assert "`fallback=gpu` is not a choice (one of on-demand)" in told
    assert world.cloud.requests == []


@pytest.mark.parametrize(
    ("spot", "options", "kinds"),
    [(True, {}, {True}), (False, {}, {False}), (True, {"fallback": "on-demand"}, {True, False})],
)
def test_on_demand_is_never_a_surprise(world: TpuWorld, spot: bool, options: dict[str, str], kinds: set[bool]) -> None:
    """Who wants spot pays for spot, unless they name the fallback."""
    spec = MachineSpec(backend="tpu", accelerator="v6e-1", spot=spot, options=options)
    assert {candidate.spot for candidate in world.machines.candidates(spec)} == kinds


def test_no_project_is_said(world: TpuWorld) -> None:
    """Without a project anywhere the mistake is named; one that the user gives comes before the environment's."""
    environment = {name: value for name, value in world.environment.items() if name != "CLOUDSDK_CORE_PROJECT"}
    with pytest.raises(ConfigurationError, match="project"):
        list(TpuMachines(environment).list_owned(lease.of_run(KEY)))
    given = TpuMachines(world.environment, project="given-project")
    assert given.begin_create(SPEC, LEASE, SPOT, public_key="").handle.startswith("tpu://given-project/")
    list(given.list_owned(lease.of_run(KEY)))
    assert {request.path.split("/")[3] for request in world.cloud.requests} == {"given-project"}


def test_quota_in_the_answer_itself(world: TpuWorld) -> None:
    """A refused request is a quota error at once, and nothing was made."""
    detail = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"subject": "project:1"}]}
    world.cloud.next("POST .*/nodes$", Answer(*refusal(429, "RESOURCE_EXHAUSTED", "limit exceeded", detail)))
    with pytest.raises(QuotaError, match="limit exceeded"):
        world.begin()
    assert world.cloud.nodes == {} and SPEC.accelerator == "v6e-1"
