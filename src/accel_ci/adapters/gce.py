"""The `gce` backend: instances of Compute Engine with GPUs, TPUs or neither.

Each has a lifetime limit of the cloud's own, so a lease ends even when everything of ours is dead.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace

from accel_ci.adapters import gce_errors, gce_instances, gce_options, google_by_hand, google_hosts, google_machines
from accel_ci.adapters.daemon_threads import DaemonThreads
from accel_ci.adapters.gce_api import GceApi
from accel_ci.adapters.gce_instances import Place
from accel_ci.adapters.google_sign_in import GoogleSignIn
from accel_ci.domain import accelerators
from accel_ci.domain import lease as leases
from accel_ci.domain.errors import BootError, CloudError, ConfigurationError
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Candidate, Capabilities, Creation, Machine, MachineSpec, State
from accel_ci.domain.runkey import RunKey
from accel_ci.render import units


class GceMachines:
    """Machines of one project, each one instance. The handle is gce://<project>/<zone>/<name>."""

    def __init__(
        self,
        cloud: Mapping[str, str],
        *,
        project: str = "",
        sign_in: GoogleSignIn | None = None,
        api: GceApi | None = None,
        threads: Callable[[int], Executor] = DaemonThreads,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._api = api or GceApi(cloud, project=project, sign_in=sign_in)
        self._threads = threads
        self._now = now
        self._asked: dict[str, str] = {}

    def capabilities(self, handle: str = "") -> Capabilities:
        """A lifetime limit that the cloud keeps, at most 30 s late, and that nobody can move while the machine runs."""
        return Capabilities(native_lifetime_limit=True, zones=True, extendable=False)

    def candidates(self, spec: MachineSpec) -> Sequence[Candidate]:
        """The zones that have the type, the cheapest first; on-demand only when asked for, or as the named fallback."""
        options = gce_options.checked(spec)
        return accelerators.candidates(
            spec.accelerator,
            backend=gce_options.BACKEND,
            zones=spec.zones,
            spot=options.spot,
            on_demand=options.on_demand,
        )

    def begin_create(self, spec: MachineSpec, lease: Lease, candidate: Candidate, *, public_key: str) -> Creation:
        """The creation, just asked for. A name that is taken tells that we asked before: see _check_adoption."""
        options = gce_options.checked(spec)
        place = Place(self._api.project, candidate.zone, lease.key.name)
        instance = gce_instances.body(spec, options, lease, candidate, public_key=public_key, now=self._now())
        operation = self._api.insert(place, instance, request_id=google_machines.request_id(lease, candidate.zone))
        # The name is taken: by an earlier request of ours whose id Google has forgotten, or by somebody else.
        if operation is None:
            self._check_adoption(place, lease)
        self._asked[place.handle] = operation or ""
        return Creation(handle=place.handle, stage="asked for")

    def poll(self, creation: Creation) -> Creation:
        """The creation as it is: first its operation, which has the errors, then the instance, and what it tells."""
        place = gce_instances.of_handle(creation.handle)
        if stage := self._operating(place):
            return Creation(handle=creation.handle, stage=stage)
        instance = self._api.instance(place)
        if instance is None:
            raise self._lost(place)
        if stage := gce_instances.unfinished(instance):
            return Creation(handle=creation.handle, stage=stage)
        if not gce_instances.running(instance):
            raise self._lost(place, f"is {instance.status.lower()}: it ended while it booted")
        # RUNNING says nothing of driver, ssh or boot script: only what the machine itself told counts.
        attributes = self._api.attributes(place)
        worker = gce_instances.worker(instance, attributes)
        stage = gce_instances.unreachable(worker, attributes)
        if stage or worker is None:
            return Creation(handle=creation.handle, stage=stage)
        hardware = google_hosts.hardware(place.handle, gce_instances.given(instance), [attributes])
        ready = gce_instances.machine(place, instance, (worker,), hardware)
        return Creation(handle=creation.handle, stage="ready", machine=ready)

    def find(self, key: RunKey, zones: Sequence[str]) -> Iterator[Machine]:
        """The machines of this key, asked for by name in each zone; in all zones of the catalogue when none is named.

        A key has one machine at most: once it is found, a zone that did not answer is no matter.
        """
        self._api.connect()
        known = 0
        for machine in google_machines.found(
            key,
            self._places(key, zones),
            look=self._seen,
            threads=self._threads,
            # A zone of the catalogue that the project does not have holds no machine.
            empty=lambda error: not zones and isinstance(error, ConfigurationError),
        ):
            known += 1
            yield machine
        if not known and not zones:
            yield from self._named(key)

    def list_owned(self, owner: Owner) -> Iterator[Machine]:
        """The owner's instances in every state, by label; by name too where the owner has a prefix; in all zones."""
        expressions = [f"labels.accel-ci-repository={owner.repository_id}"]
        if owner.run_prefix:  # labels may be lost
            # Asked for apart: a filter with a regular expression may have no other field in it.
            expressions.append(f'name eq "{owner.run_prefix}.*"')
        known = set[str]()
        for expression in expressions:
            for machine in self._listed(expression):
                if machine.handle not in known and owner.owns(machine.name, machine.labels):
                    known.add(machine.handle)
                    yield machine

    def release(self, handle: str) -> None:
        """Delete the instance in whatever state it is."""
        self._api.delete(gce_instances.of_handle(handle))

    def released(self, handle: str) -> bool:
        """True when there is no instance of that name, nor a request of ours that could still make one."""
        return self._seen(gce_instances.of_handle(handle)) is None

    def release_command(self, handle: str) -> str:
        """gcloud's command."""
        place = gce_instances.of_handle(handle)
        where = [place.name, f"--zone={place.zone}", f"--project={place.project}", "--quiet"]
        return shlex.join(["gcloud", "compute", "instances", "delete", *where])

    def handles(self, key: RunKey, zones: Sequence[str]) -> Sequence[str]:
        """One in each zone."""
        return [place.handle for place in self._places(key, zones)]

    def search_commands(self, owner: Owner) -> Sequence[str]:
        """gcloud's listing by label, and its end of what that shows."""
        return google_by_hand.instances(owner, project=self._api.project)

    def annotate(self, handle: str, name: str, value: str) -> None:
        """Set the label and see that it was taken; CloudError when there is no instance that could bear it.

        ConfigurationError for a keep-until after the moment at which Compute Engine ends the machine whatever labels say.
        """
        place = gce_instances.of_handle(handle)
        instance = self._api.instance(place)
        if instance is None:
            raise CloudError(f"{handle} is gone: it cannot be annotated", what_to_do="see `accel-ci list`")
        end = gce_instances.ends_at(instance) or leases.expires_at(instance.labels)
        if name == "accel-ci-keep-until" and value.isdigit() and end and int(value) > end:
            raise ConfigurationError(
                f"Compute Engine ends {handle} at {units.moment(end)}, whatever we ask",
                what_to_do="lease it for longer (`ttl`): the limit of a running machine cannot be moved",
            )
        # With the fingerprint: of two who set a label at once the second is refused, and none is lost.
        labels = {**instance.labels, name: value}
        operation = self._api.set_labels(place, labels, fingerprint=instance.label_fingerprint)
        google_machines.await_annotation(lambda: self._labelling(place, operation or ""), handle=handle)

    def join(self, machine: Machine, *, public_key: str, root: str) -> Machine:
        """With the key among those of its metadata, which the guest agent reads within seconds."""
        place = gce_instances.of_handle(machine.handle)
        instance = self._api.instance(place)
        if instance is None:
            raise BootError(f"{machine.handle} ended before it was used", what_to_do="run it again")
        known = {item.key: item.value for item in instance.metadata.items}
        wanted = google_hosts.with_key(known, public_key)
        if wanted != known:
            operation = self._api.set_metadata(place, wanted, fingerprint=instance.metadata.fingerprint)
            google_machines.await_annotation(lambda: self._labelling(place, operation or ""), handle=machine.handle)
        return replace(machine, root=root)

    def console_tail(self, handle: str) -> str:
        """The end of the serial console, at most 32 KiB."""
        return self._api.console(gce_instances.of_handle(handle))

    def interruption(self, handle: str) -> str:
        """The words preempted, host error, maintenance or lifetime limit reached; "" when none of these is so."""
        place = gce_instances.of_handle(handle)
        instance = self._api.instance(place)
        if instance is not None and gce_instances.machine(place, instance).state is State.READY:
            return ""
        # A preempted instance is deleted by Google, so nobody but the operations remembers it.
        return gce_instances.interruption(self._api.about(place))

    def _named(self, key: RunKey) -> list[Machine]:
        """Zones that the catalogue does not know are looked at in one listing."""
        return [each for each in self._listed(f"name={key.name}") if each.name == key.name]

    def _listed(self, expression: str) -> Iterator[Machine]:
        for each in self._api.listed(expression):
            yield gce_instances.machine(gce_instances.place_of(self._api.project, each), each)

    def _places(self, key: RunKey, zones: Sequence[str]) -> list[Place]:
        everywhere, project, name = zones or accelerators.zones(gce_options.BACKEND), self._api.project, key.name
        return [Place(project, zone, name) for zone in everywhere]

    def _seen(self, place: Place) -> Machine | None:
        instance = self._api.instance(place)
        if instance is not None:
            return gce_instances.machine(place, instance)
        if not self._asked.get(place.handle):
            return None
        # What we asked for may come into being while its operation runs.
        operation = self._api.operation(place, self._asked[place.handle])
        if operation is None or operation.status.name == "DONE":
            self._asked[place.handle] = ""
            return None
        return Machine(
            handle=place.handle, name=place.name, zone=place.zone, accelerator="", spot=False, state=State.CREATING
        )

    def _check_adoption(self, place: Place, lease: Lease) -> None:
        google_machines.check_adoption(
            self._seen(place), lease, handle=place.handle, release_command=self.release_command(place.handle)
        )

    def _operating(self, place: Place) -> str:
        """What is waited for while the operation runs; "" once it is over, or not known any more."""
        name = self._asked.get(place.handle, "")
        operation = self._api.operation(place, name) if name else None
        if operation is not None and operation.status.name != "DONE":
            return "creating"
        self._asked[place.handle] = ""
        if operation is not None and (refusal := gce_errors.of_failed(operation)):
            raise gce_errors.of_operation(refusal)
        return ""

    def _lost(self, place: Place, how: str = "ended before it was used") -> Exception:
        """Why there is no usable instance where one was asked for; a lost reply may have hidden the operation that knows it."""
        operations = self._api.about(place)
        if why := gce_instances.interruption(operations):
            return gce_instances.taken(place, why)
        failures = (gce_errors.of_failed(each) for each in operations if each.operation_type == "insert")
        if refusal := next(filter(None, failures), None):
            return gce_errors.of_operation(refusal)
        return BootError(f"{place.handle} {how}", what_to_do="run it again")

    def _labelling(self, place: Place, operation: str) -> bool:
        """True while the operation runs; the error that it ended with, if any."""
        done = self._api.operation(place, operation) if operation else None
        if done is None:
            return False
        if refusal := gce_errors.of_failed(done):
            raise gce_errors.classed(refusal)
        return bool(done.status.name != "DONE")
