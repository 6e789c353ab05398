"""The role in docs/google-cloud.md is exactly what the backend's calls need."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from accel_ci.adapters.gce_api import GceApi
from accel_ci.domain import lease
from accel_ci.domain.errors import AccelError
from accel_ci.domain.machine import Creation
from tests.adapters.gce_world import HANDLE, KEY, LEASE, SPOT, ZONE, GceWorld, spec, world
from tests.servers.tpu_over_http import Request

__all__ = ["world"]
PAGE = Path(__file__).parents[2] / "docs/google-cloud.md"
# What Google's REST reference names for each method of the API (docs.cloud.google.com/compute/docs/reference/rest/v1).
OF_METHOD = {
    "GET instances/": {"compute.instances.get"},
    "GET aggregated/instances": {"compute.instances.list"},
    "DELETE instances/": {"compute.instances.delete"},
    "GET getGuestAttributes": {"compute.instances.getGuestAttributes"},
    "GET serialPort": {"compute.instances.getSerialPortOutput"},
    "POST setLabels": {"compute.instances.setLabels"},
    "POST setMetadata": {"compute.instances.setMetadata"},
    "GET operations/": {"compute.zoneOperations.get"},
    "GET operations": {"compute.zoneOperations.list"},
}
# instances.insert: what each part of the body needs besides compute.instances.create.
OF_INSERT = {
    "labels": {"compute.instances.setLabels"},
    "metadata": {"compute.instances.setMetadata"},
    "tags": {"compute.instances.setTags"},
    "initializeParams": {"compute.disks.create"},
    "networkInterfaces": {"compute.subnetworks.use"},
    "accessConfigs": {"compute.subnetworks.useExternalIp"},
    "serviceAccounts": {"iam.serviceAccounts.actAs"},
}


def _needed(request: Request) -> set[str]:
    end = re.sub(r"/compute/v1/projects/[^/]+/(zones/[^/]+/)?", "", request.path)
    if (request.method, end) == ("POST", "instances"):
        return _to_insert(request)
    verb = end.split("/")[2] if end.count("/") == 2 else ""
    name = verb or (end if end.startswith("aggregated") or "/" not in end else end.split("/")[0] + "/")
    return OF_METHOD[f"{request.method} {name}"]


def _to_insert(request: Request) -> set[str]:
    body = request.body
    (disk,), (interface,) = body["disks"], body["networkInterfaces"]
    parts = {*body, *disk, *interface} & set(OF_INSERT)
    more = {"compute.disks.setLabels"} if disk["initializeParams"].get("labels") else set()
    return {"compute.instances.create", *more}.union(*(OF_INSERT[part] for part in parts))


def _documented() -> set[str]:
    block = re.search(r"--permissions=\\\n(.*?)\n\n", PAGE.read_text(), re.DOTALL)
    assert block is not None
    return {name.strip(",\\") for name in block[1].splitlines()}


@contextlib.contextmanager
def _watched() -> Iterator[set[str]]:
    """The methods of the API's adapter that were called meanwhile."""
    called: set[str] = set()
    usual = {name: method for name, method in vars(GceApi).items() if callable(method) and not name.startswith("_")}

    def watching(name: str) -> object:
        def call(*arguments: object, **named: object) -> object:
            called.add(name)
            return usual[name](*arguments, **named)

        return call

    for name in usual:
        setattr(GceApi, name, watching(name))
    try:
        yield called
        assert called == set(usual), f"never called here: {set(usual) - called}"
    finally:
        for name, method in usual.items():
            setattr(GceApi, name, method)


def test_the_role_holds_what_is_used_and_nothing_else(world: GceWorld) -> None:
    """Every method of the backend is used once; the permissions of its calls are those of the page, one by one."""
    with _watched():
        machine = world.ready(spec("l4-1", tags="ci"))
        world.machines.join(machine, public_key="ssh-ed25519 BBBB", root="another")
        list(world.machines.find(KEY, (ZONE,)))
        list(world.machines.list_owned(lease.of_run(KEY)))
        world.machines.annotate(HANDLE, "accel-ci-note", "x")
        world.machines.console_tail(HANDLE)
        world.machines.release(HANDLE)
        world.machines.released(HANDLE)
        world.machines.interruption(HANDLE)
        with contextlib.suppress(AccelError):
            world.machines.poll(Creation(handle=HANDLE, stage=""))
    assert set().union(*map(_needed, world.cloud.requests)) == _documented()


def test_only_a_machine_with_an_account_needs_to_act_as_it(world: GceWorld) -> None:
    """The default machine has no account, so the role of everybody holds no actAs."""
    options = {"machine_account": "tests@my-project.iam.gserviceaccount.com", "external_ips": "false"}
    world.machines.begin_create(
        spec("l4-1", **options), replace(LEASE, key=replace(KEY, job="other")), SPOT, public_key=""
    )
    needed = set().union(*map(_needed, world.cloud.requests))
    assert "iam.serviceAccounts.actAs" in needed and "compute.subnetworks.useExternalIp" not in needed
    assert not any(name.startswith("iam.") for name in _documented())
