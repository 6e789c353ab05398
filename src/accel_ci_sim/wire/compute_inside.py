"""An instance from inside: what its metadata server knows, and what of its metadata counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accel_ci_sim.wire import programs
from accel_ci_sim.wire.guest import Guest
from accel_ci_sim.world import compute_catalogue, compute_instance, tpu
from accel_ci_sim.world.compute import ComputeCloud
from accel_ci_sim.world.compute_instance import Instance

SSH_KEYS = ("ssh-keys", "sshKeys")
BLOCK = "block-project-ssh-keys"
ATTRIBUTES = "enable-guest-attributes"


class Insides:
    """The insides of a cloud's instances; `cloud` comes once there is one."""

    cloud: ComputeCloud

    def guests(self, instance: Instance) -> list[Guest]:
        """The one host of an instance."""
        return [
            Guest(
                computer=instance.computer,
                hostname=instance.short_name,
                metadata=lambda: self.metadata(instance),
                tree=lambda: self.tree(instance),
                programs=lambda: programs.of(instance),
                devices=lambda: programs.devices(instance),
                power=lambda what: self._power(instance, what),
                tells=lambda: compute_instance.is_true(self.metadata(instance), ATTRIBUTES),
            )
        ]

    def _power(self, instance: Instance, what: str) -> None:
        if what == "reboot":
            # To the cloud a reboot from inside is nothing, but sshd and the startup script begin anew.
            self.cloud.life.reset(instance)
        else:
            self.cloud.life.power_off(instance)

    def metadata(self, instance: Instance) -> dict[str, str]:
        """The instance's metadata over its project's. Keys for ssh add up, unless the instance wants only its own."""
        own = instance.metadata
        shared = compute_instance.items(self.cloud.shared.get(instance.project, {}))
        # block-project-ssh-keys is what keeps a project's administrators off a machine that a stranger uses.
        sources = [own] if compute_instance.is_true(own, BLOCK) else [own, shared]
        keys = "\n".join(source[name] for source in sources for name in SSH_KEYS if source.get(name))
        return {**shared, **own, "ssh-keys": keys}

    def tree(self, instance: Instance) -> Mapping[str, Any]:
        """What an instance can read about itself."""
        number = tpu.project_number(instance.project)
        region = compute_catalogue.region(instance.zone)
        computer, scheduling = instance.computer, instance.scheduling
        return {
            "instance": {
                "attributes": instance.metadata,
                "cpu-platform": "Intel Broadwell",
                "description": instance.spec.get("description", ""),
                "disks": {
                    str(index): {"device-name": disk["deviceName"], "index": str(index), "mode": disk["mode"]}
                    for index, disk in enumerate(instance.spec["disks"])
                },
                "hostname": f"{instance.short_name}.{instance.zone}.c.{instance.project}.internal",
                "id": str(instance.number),
                "image": instance.image.path if instance.image else "",
                "machine-type": f"projects/{number}/machineTypes/{instance.machine_type.name}",
                "maintenance-event": "NONE",
                "name": instance.short_name,
                "network-interfaces": {
                    "0": {
                        "access-configs": {"0": {"external-ip": computer.address, "type": "ONE_TO_ONE_NAT"}},
                        "ip": computer.address,
                        "network": f"projects/{number}/networks/default",
                    }
                },
                "preempted": "TRUE" if instance.preempted else "FALSE",
                "region": f"projects/{number}/regions/{region}",
                "scheduling": {
                    "automatic-restart": str(bool(scheduling.get("automaticRestart"))).upper(),
                    "on-host-maintenance": scheduling.get("onHostMaintenance", "MIGRATE"),
                    "preemptible": str(instance.spot).upper(),
                },
                "service-accounts": {},
                "tags": str(instance.spec.get("tags", {}).get("items", [])).replace("'", '"'),
                "zone": f"projects/{number}/zones/{instance.zone}",
            },
            "project": {
                "attributes": compute_instance.items(self.cloud.shared.get(instance.project, {})),
                "numeric-project-id": str(number),
                "project-id": instance.project,
            },
        }
