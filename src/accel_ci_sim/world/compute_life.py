"""The life of instances: they boot, run, are preempted, maintained, stopped and removed, on whatever time they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from accel_ci_sim.world import compute_instance, compute_status
from accel_ci_sim.world.compute_catalogue import MachineType
from accel_ci_sim.world.compute_images import Driver, Image
from accel_ci_sim.world.compute_instance import Instance, InstanceStatus
from accel_ci_sim.world.compute_operations import SYSTEM, Operation, Operations
from accel_ci_sim.world.compute_status import Problem
from accel_ci_sim.world.life import Life, Time
from accel_ci_sim.world.tpu_knobs import Knobs

Ended = Callable[[Problem | None], None]


class InstanceHosts(Protocol):
    """Where instances run."""

    def assign(self, instance: Instance) -> None:
        """Give the machine an address and power; nothing answers there yet."""

    def start(self, instance: Instance, up: Callable[[], None]) -> None:
        """Let its inside come up, and call `up` once it can be reached."""

    def stop(self, instance: Instance, *, again: bool = False) -> None:
        """Turn it off: what ran there has ended when this returns, and a start that is under way never calls `up`.

        `again`: it comes back at once, at the same address.
        """

    def discard(self, instance: Instance) -> None:
        """Forget its disk."""


class InstanceLife(Life[Instance]):
    """The instances of all projects; those that exist by their full names in `instances`."""

    def __init__(self, time: Time, hosts: InstanceHosts, knobs: Knobs) -> None:
        super().__init__(time, knobs, "compute")
        self.operations = Operations(time, self.luck)
        self.instances = self.living
        self.hosts = hosts

    def turn(self, instance: Instance, status: InstanceStatus) -> int:
        """Change the status; the number of this turn."""
        number = instance.turns(status)
        self.on_turn(instance)
        return number

    def land(
        self,
        name: str,
        spec: Mapping[str, Any],
        *,
        machine_type: MachineType,
        accelerators: Mapping[str, int],
        image: Image | None,
    ) -> Instance:
        """A new instance in PROVISIONING."""
        instance = Instance(
            name=name,
            number=self.luck.dice.getrandbits(62),
            spec=dict(spec),
            machine_type=machine_type,
            accelerators=dict(accelerators),
            image=image,
            created_at=self.now,
        )
        self.instances[name] = instance
        self.ledger.append(instance)
        return instance

    def boot(
        self,
        instance: Instance,
        ended: Ended,
        *,
        problem: Problem | None = None,
        fails_to: InstanceStatus | None = None,
    ) -> None:
        """Let the instance run in a while, or have its problem: `ended` hears which.

        After a problem it has the status `fails_to`; without one it vanishes.
        """
        instance.pending = ended
        turn = self.turn(instance, InstanceStatus.PROVISIONING)
        # PROVISIONING and STAGING take half of the time each: nobody has published the shares.
        half = self.luck.draw(self.knobs.boot_s) / 2

        def provisioned() -> None:
            if instance.turn == turn:
                staging = self.turn(instance, InstanceStatus.STAGING)
                self._time.after(half, lambda: staged(staging))

        def staged(staging: int) -> None:
            if instance.turn == staging:
                self._run(instance)
                instance.settle()

        def failed() -> None:
            if instance.turn == turn:
                self._fail(instance, fails_to)
                instance.settle(problem)

        if problem is None:
            self._time.after(half, provisioned)
        else:
            # A stockout is told after as long as a boot takes, not at once: clients have to wait for the operation.
            self._time.after(2 * half, failed)

    def halt(self, instance: Instance, ended: Ended) -> None:
        """Turn the machine off and keep its disk."""
        instance.settle(compute_status.overtaken(instance.name))
        instance.pending = ended
        turn = self.turn(instance, InstanceStatus.STOPPING)
        self.hosts.stop(instance)
        self._time.after(self.luck.draw(self.knobs.stop_s), lambda: self._terminated(instance, turn))

    def reset(self, instance: Instance) -> None:
        """Turn the machine off and on again; it is RUNNING all the while."""
        self.hosts.stop(instance, again=True)
        self.turn(instance, InstanceStatus.RUNNING)
        self._come_up(instance)
        self._watch(instance)

    def limit(self, instance: Instance) -> None:
        """The instance's scheduling is another one: watch it by that."""
        if instance.status is InstanceStatus.RUNNING:
            instance.ends_at = _limit(instance)
            self._watch_limit(instance)

    def remove(self, instance: Instance, gone: Callable[[], None]) -> None:
        """Let the instance be STOPPING and then be gone; whatever was under way with it ends in conflict."""
        instance.deleting = True
        # Its creation ends here, too, or its client would wait for an operation that never does.
        instance.settle(compute_status.overtaken(instance.name))
        turn = self.turn(instance, InstanceStatus.STOPPING)
        self.hosts.stop(instance)
        # How long STOPPING may take is written down nowhere: clients need a limit of their own.
        stuck = self.luck.chance(self.knobs.stuck_deleting)
        seconds = self.knobs.stuck_deleting_s if stuck else self.luck.draw(self.knobs.delete_s)

        def vanish() -> None:
            if instance.turn == turn:
                self._vanish(instance)
                gone()

        self._time.after(seconds, vanish)

    def preempt(self, instance: Instance) -> None:
        """Take the machine away, after the notice that is given: stopped or deleted, as its scheduling says."""
        instance.preempted = True
        operation = self._by_itself("compute.instances.preempted", instance, "Instance was preempted.")
        # Google gives up to 30 s of notice, and STOPPING is all that a client sees of them.
        turn = self.turn(instance, InstanceStatus.STOPPING)
        self._time.after(self.knobs.preempt_notice_s, lambda: self._take(instance, turn, operation))

    def _expire(self, instance: Instance) -> None:
        kind = f"compute.instances.{'delete' if instance.deletes_itself else 'stop'}"
        operation = self._by_itself(kind, instance, "Instance reached the end of its run duration.")
        turn = self.turn(instance, InstanceStatus.STOPPING)
        self._take(instance, turn, operation)

    def _take(self, instance: Instance, turn: int, operation: Operation) -> None:
        """End a machine that the cloud wants back, unless something else happened to it since."""
        # Somebody deleted it during the notice: the delete goes on, the preemption is void.
        if instance.turn != turn:
            return self.operations.end(operation)
        self.hosts.stop(instance)
        deletes, knobs = instance.deletes_itself, self.knobs
        instance.deleting = deletes

        def over() -> None:
            if deletes and instance.turn == turn:
                self._vanish(instance)
            else:
                self._terminated(instance, turn)
            self.operations.end(operation)

        self._time.after(self.luck.draw(knobs.delete_s if deletes else knobs.stop_s), over)

    def _maintain(self, instance: Instance) -> None:
        """Machines that can migrate do not notice; the others are terminated, and started again if they want that."""
        if instance.scheduling.get("onHostMaintenance") == "MIGRATE":
            about = self._by_itself("compute.instances.migrateOnHostMaintenance", instance, "Instance migrated.")
            return self.operations.end(about)
        about = self._by_itself("compute.instances.terminateOnHostMaintenance", instance, "Instance was terminated.")
        turn = self.turn(instance, InstanceStatus.STOPPING)
        self.hosts.stop(instance)
        # Machines with accelerators cannot migrate: maintenance ends them.
        self._terminated(instance, turn)
        self.operations.end(about)
        if instance.scheduling.get("automaticRestart"):
            turn = instance.turn
            self._time.after(self.knobs.maintenance_s, lambda: self._restart(instance, turn))

    def _restart(self, instance: Instance, turn: int) -> None:
        if instance.turn == turn:
            about = self._by_itself("compute.instances.automaticRestart", instance, "Instance was restarted.")
            self.boot(instance, lambda problem: self.operations.end(about, problem))

    def _by_itself(self, kind: str, instance: Instance, message: str) -> Operation:
        operation = self.operations.begin(kind, instance.scope, instance.name, number=instance.number, user=SYSTEM)
        operation.message = message
        return operation

    def _run(self, instance: Instance) -> None:
        # The limit counts from here, not from the request: how long it was PROVISIONING comes on top.
        instance.started_at = self.now
        # A stopped spot instance may be started again.
        instance.preempted = False
        instance.ends_at = _limit(instance)
        self.turn(instance, InstanceStatus.RUNNING)
        self._come_up(instance)
        self._watch(instance)

    def _come_up(self, instance: Instance) -> None:
        # Nobody gets in until sshd is up, whatever the status says.
        instance.up_at = None
        self.hosts.assign(instance)
        turn = instance.turn

        def up() -> None:
            if instance.turn == turn:
                instance.up_at = self.now

        def inside() -> None:
            if instance.turn == turn:
                self._install_driver(instance)
                self.hosts.start(instance, up)

        # RUNNING says that the machine has power, nothing about what is inside.
        if not self.luck.chance(self.knobs.boot_hangs):
            self._time.after(self.luck.draw(self.knobs.guest_boot_s), inside)

    def _install_driver(self, instance: Instance) -> None:
        """Plan when the GPU driver works; once installed it stays on the disk."""
        image = instance.image
        if image is None or not instance.has_gpu or instance.driver_at is not None:
            return
        # Deep Learning images install it at the first boot, which takes minutes.
        if image.driver is Driver.INSTALLED:
            instance.driver_at = self.now
        elif image.driver is Driver.ON_REQUEST and compute_instance.is_true(instance.metadata, "install-nvidia-driver"):
            instance.driver_at = self.now + self.luck.draw(self.knobs.driver_s)

    def power_off(self, instance: Instance) -> None:
        """The machine turned itself off from inside."""
        if instance.status is InstanceStatus.RUNNING:
            about = self._by_itself("compute.instances.guestTerminate", instance, "Guest OS shut down the instance.")
            self.halt(instance, lambda problem: self.operations.end(about, problem))

    def _watch(self, instance: Instance) -> None:
        """Plan what will happen to a running instance by itself."""
        if instance.status is not InstanceStatus.RUNNING:
            return
        assert instance.started_at is not None
        knobs = self.knobs
        self._watch_limit(instance)
        if instance.spot and knobs.preempt_after_s is not None:
            self._plan(instance, instance.started_at + knobs.preempt_after_s, self.preempt)
        if knobs.maintenance_after_s is not None:
            self._plan(instance, instance.started_at + knobs.maintenance_after_s, self._maintain)

    def _watch_limit(self, instance: Instance) -> None:
        limit = instance.ends_at

        def expire(instance: Instance) -> None:
            # setScheduling moved it meanwhile.
            if instance.ends_at == limit:
                self._expire(instance)

        if limit is not None and not self.luck.chance(self.knobs.limit_fails):
            self._plan(instance, limit + self.luck.draw(self.knobs.limit_late_s), expire)

    def _fail(self, instance: Instance, status: InstanceStatus | None) -> None:
        if status is InstanceStatus.RUNNING:
            self._run(instance)
        elif status is not None:
            self.turn(instance, status)
        else:
            self._vanish(instance)

    def _terminated(self, instance: Instance, turn: int) -> None:
        if instance.turn == turn:
            self.turn(instance, InstanceStatus.TERMINATED)
            instance.stopped_at, instance.ends_at = self.now, None
            instance.settle()

    def _vanish(self, instance: Instance) -> None:
        # What was planned for the instance finds another turn and does nothing.
        instance.turn += 1
        self.hosts.discard(instance)
        instance.gone_at = self.now
        del self.instances[instance.name]


def _limit(instance: Instance) -> float | None:
    """When the cloud ends an instance that starts now."""
    duration = instance.scheduling.get("maxRunDuration")
    # maxRunDuration counts from the start, terminationTime is a moment.
    if duration:
        assert instance.started_at is not None
        return instance.started_at + int(duration.get("seconds", 0)) + int(duration.get("nanos", 0)) / 1e9
    until: float | None = instance.scheduling.get("terminationAt")
    return until
