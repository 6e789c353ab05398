"""The `tpu` backend: TPU VMs through the Cloud TPU API, as nodes or as queued resources.

The API ends no machine by itself: what bounds a lease are cleanup, the job that follows, and the sweeper.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from accel_ci.adapters import (
    google_by_hand,
    google_hosts,
    google_machines,
    tpu_errors,
    tpu_nodes,
    tpu_options,
    tpu_queued,
)
from accel_ci.adapters.daemon_threads import DaemonThreads
from accel_ci.adapters.google_refusals import ClosedZoneError
from accel_ci.adapters.google_sign_in import GoogleSignIn
from accel_ci.adapters.tpu_api import TpuApi
from accel_ci.adapters.tpu_nodes import Place
from accel_ci.domain import accelerators
from accel_ci.domain.errors import AccelError, BootError, CloudError, TransientError
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Candidate, Capabilities, Creation, Machine, MachineSpec
from accel_ci.domain.runkey import RunKey


@dataclass(slots=True)
class _Asked:
    """A creation: its operation while that runs, "" when it is over or unknown, and whether it went to the queue.

    `queued` is None where another process asked, so that nobody knows.
    """

    operation: str
    queued: bool | None = False


class TpuMachines:
    """Machines of one project. The handle tpu://<project>/<zone>/<name> stands for the node and its queued resource."""

    def __init__(
        self,
        cloud: Mapping[str, str],
        *,
        project: str = "",
        sign_in: GoogleSignIn | None = None,
        api: TpuApi | None = None,
        threads: Callable[[int], Executor] = DaemonThreads,
    ) -> None:
        self._api = api or TpuApi(cloud, project=project, sign_in=sign_in)
        self._threads = threads
        self._asked: dict[str, _Asked] = {}

    def capabilities(self, handle: str = "") -> Capabilities:
        """No lifetime limit of the cloud's own."""
        return Capabilities(native_lifetime_limit=False, zones=True)

    def candidates(self, spec: MachineSpec) -> Sequence[Candidate]:
        """The zones that have the type, the cheapest first; on-demand only when asked for, or as the named fallback."""
        options = tpu_options.checked(spec)
        return accelerators.candidates(
            spec.accelerator,
            backend=tpu_options.BACKEND,
            zones=spec.zones,
            spot=spec.spot,
            on_demand=options.on_demand,
        )

    def begin_create(self, spec: MachineSpec, lease: Lease, candidate: Candidate, *, public_key: str) -> Creation:
        """The creation, just asked for. A name that is taken tells that we asked before: see _check_adoption."""
        options = tpu_options.checked(spec)
        place = Place(self._api.project, candidate.zone, lease.key.name)
        node = tpu_nodes.body(spec, options, lease, public_key=public_key)
        if options.queued:
            queued = tpu_queued.body(place, node, spot=candidate.spot, wait_s=spec.boot_limit_s)
            request_id = google_machines.request_id(lease, candidate.zone)
            operation = self._api.create_queued(place, queued, request_id=request_id)
        else:
            # CreateNode has no request id: the name is what makes a second request harmless.
            operation = self._api.create_node(place, node | tpu_nodes.scheduling(spot=candidate.spot))
        if operation is None:
            self._check_adoption(place, lease)
        self._asked[place.handle] = _Asked(operation or "", queued=options.queued)
        return Creation(handle=place.handle, stage="asked for")

    def poll(self, creation: Creation) -> Creation:
        """The creation as it is: first its operation, which has the errors, then the queue, the node, and its workers."""
        place = tpu_nodes.of_handle(creation.handle)
        asked = self._asked.get(creation.handle) or _Asked("", queued=None)
        # Stockouts are told by the operation alone: the node just is not there.
        stage = self._operating(asked) or self._queueing(place, asked)
        if stage:
            return Creation(handle=creation.handle, stage=stage)
        node = self._api.node(place)
        if node is None:
            raise self._lost(place)
        if stage := tpu_nodes.unfinished(place, node):
            return Creation(handle=creation.handle, stage=stage)
        attributes = self._api.attributes(place)
        workers = tpu_nodes.workers(node, attributes, expected=accelerators.hosts(node.accelerator_type))
        if stage := tpu_nodes.unreachable(workers, attributes):
            return Creation(handle=creation.handle, stage=stage)
        hardware = google_hosts.hardware(place.handle, node.metadata, attributes)
        ready = tpu_nodes.machine(place, node, workers, hardware)
        return Creation(handle=creation.handle, stage="ready", machine=ready)

    def find(self, key: RunKey, zones: Sequence[str]) -> Iterator[Machine]:
        """The machines of this key, asked for by name in each zone; in all zones that have any TPU when none is named.

        A key has one machine at most: once it is found, a zone that did not answer is no matter.
        """
        self._api.connect()
        return google_machines.found(key, self._places(key, zones), look=self._seen, threads=self._threads)

    def list_owned(self, owner: Owner) -> Iterator[Machine]:
        """The owner's nodes in every state, and its queued resources that have no node; in all zones."""
        machines: dict[str, Machine] = {}
        silent: dict[Callable[[], Iterator[Machine]], TransientError] = {}
        # Nodes come second and replace what their requests said of them: they know more.
        for look in (self._listed_queued, self._listed_nodes):
            try:
                for each in look():
                    machines[each.handle] = each
            except TransientError as error:
                silent[look] = error
        for _, each in sorted(machines.items()):
            if owner.owns(each.name, each.labels):
                yield from self._with_node(each) if self._listed_nodes in silent else (each,)
        if silent:
            raise next(iter(silent.values()))

    def _with_node(self, machine: Machine) -> Iterator[Machine]:
        """The machine by its node, if it has one; nothing when that is silent, too."""
        # Somebody who keeps it labelled the node: its request alone would have it deleted.
        with contextlib.suppress(TransientError, ClosedZoneError):
            there = self._seen(tpu_nodes.of_handle(machine.handle))
            if there is not None:
                yield there

    def release(self, handle: str) -> None:
        """Delete the queued resource with its node, or the node; both in whatever state they are."""
        place = tpu_nodes.of_handle(handle)
        # A node that is deleted alone leaves its request behind, which uses up quota until it is deleted too.
        if not self._api.delete_queued(place):
            self._api.delete_node(place)

    def released(self, handle: str) -> bool:
        """True when neither a node nor a queued resource of that name exists."""
        # PREEMPTED and FAILED ones are still there, and use quota until they are deleted.
        return self._seen(tpu_nodes.of_handle(handle)) is None

    def release_command(self, handle: str) -> str:
        """gcloud's commands; the one for what does not exist fails without harm."""
        place = tpu_nodes.of_handle(handle)
        where = [place.name, f"--zone={place.zone}", f"--project={place.project}", "--quiet"]
        queued = shlex.join(["gcloud", "compute", "tpus", "queued-resources", "delete", *where, "--force"])
        return f"{queued} ; {shlex.join(['gcloud', 'compute', 'tpus', 'tpu-vm', 'delete', *where])}"

    def handles(self, key: RunKey, zones: Sequence[str]) -> Sequence[str]:
        """One in each zone."""
        return [place.handle for place in self._places(key, zones)]

    def search_commands(self, owner: Owner) -> Sequence[str]:
        """gcloud's listings by label, and its end of what they show: queued resources first, for they hold the nodes."""
        return google_by_hand.tpus(owner, project=self._api.project)

    def annotate(self, handle: str, name: str, value: str) -> None:
        """Set the label and see that it was taken; CloudError when there is no node that could bear it."""
        place = tpu_nodes.of_handle(handle)
        node = self._api.node(place)
        operation = node and self._api.set_labels(place, {**node.labels, name: value})
        if not operation:
            raise CloudError(f"{handle} has no node: it cannot be annotated", what_to_do="see `accel-ci list`")
        asked = _Asked(operation)
        google_machines.await_annotation(lambda: bool(self._operating(asked)), handle=handle)

    def join(self, machine: Machine, *, public_key: str, root: str) -> Machine:
        """With the key among those of its metadata, which each worker's guest agent reads within seconds."""
        place = tpu_nodes.of_handle(machine.handle)
        node = self._api.node(place)
        if node is None:
            raise BootError(f"{machine.handle} ended before it was used", what_to_do="run it again")
        known = dict(node.metadata)
        wanted = google_hosts.with_key(known, public_key)
        if wanted != known:
            asked = _Asked(self._api.set_metadata(place, wanted) or "")
            google_machines.await_annotation(lambda: bool(self._operating(asked)), handle=machine.handle)
        return replace(machine, root=root)

    def console_tail(self, handle: str) -> str:
        """Nothing: the API shows no console."""
        return ""

    def interruption(self, handle: str) -> str:
        """The word preempted, terminated by the cloud, or maintenance; "" when none of these is so."""
        place = tpu_nodes.of_handle(handle)
        node = self._api.node(place)
        if node is not None:
            return tpu_nodes.interruption(node)
        # The node of a preempted request may be gone already; the request says who suspended it.
        queued = self._api.queued(place)
        return tpu_queued.interruption(queued) if queued is not None else ""

    def _listed_queued(self) -> Iterator[Machine]:
        for queued in self._api.all_queued():
            place = tpu_nodes.of_resource(self._api.project, queued.name)
            yield tpu_queued.machine(place, queued)

    def _listed_nodes(self) -> Iterator[Machine]:
        for node in self._api.nodes():
            place = tpu_nodes.of_resource(self._api.project, node.name)
            yield tpu_nodes.machine(place, node)

    def _places(self, key: RunKey, zones: Sequence[str]) -> list[Place]:
        everywhere, project, name = zones or accelerators.zones(tpu_options.BACKEND), self._api.project, key.name
        return [Place(project, zone, name) for zone in everywhere]

    def _seen(self, place: Place) -> Machine | None:
        node = self._api.node(place)
        if node is not None:
            return tpu_nodes.machine(place, node)
        queued = self._api.queued(place)
        return None if queued is None else tpu_queued.machine(place, queued)

    def _check_adoption(self, place: Place, lease: Lease) -> None:
        google_machines.check_adoption(
            self._seen(place), lease, handle=place.handle, release_command=self.release_command(place.handle)
        )

    def _operating(self, asked: _Asked) -> str:
        """What is waited for while the operation runs; "" once it is over, or not known any more."""
        operation = self._api.operation(asked.operation) if asked.operation else None
        if operation is not None and not operation.get("done"):
            return "creating"
        asked.operation = ""
        if operation is not None and operation.get("error"):
            raise tpu_errors.of_operation(tpu_errors.of_status(operation["error"]))
        return ""

    def _queueing(self, place: Place, asked: _Asked) -> str:
        queued = None if asked.queued is False else self._api.queued(place)
        if queued is None and asked.queued:
            raise self._lost(place)
        if queued is None:
            return ""
        return tpu_queued.unfinished(place, queued)

    def _lost(self, place: Place) -> AccelError:
        """Why there is no machine where one was asked for; a lost reply may have hidden the operation that knows it."""
        failure = self._api.failure(place)
        if failure is not None:
            return tpu_errors.of_operation(failure)
        return BootError(f"{place.handle} ended before it was used", what_to_do="run it again")
