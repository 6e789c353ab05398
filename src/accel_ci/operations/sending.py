"""Bringing our files and the source to a machine, once it is known that the code may run there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accel_ci.domain import doors, errors
from accel_ci.domain.doors import Tried
from accel_ci.domain.grant import Trust
from accel_ci.domain.machine import Machine
from accel_ci.domain.record import RunRecord, SourceFacts
from accel_ci.domain.verdict import Verdict
from accel_ci.domain.workload import Package, Source, Unpacked, Work, WorkspaceSource
from accel_ci.operations import reach, records
from accel_ci.ports.world import World
from accel_ci.render import units

SUBMODULES = "git submodule update --init --recursive"
LFS = "git lfs pull"


def send(world: World, machine: Machine, work: Work, *, record: RunRecord) -> None:
    """Our files and the source are on every worker, or the record has the verdict `conflict`; a second call finds them.

    CloudError when a stranger's code would find a way out there, BootError when the machine said so itself at its boot.
    """
    trusted = record.identity.trust == Trust.TRUSTED.value
    _confined(world, machine, trusted=trusted)
    with world.job.group("send the source"):
        tried = reach.retried(world, lambda: world.remote.prepare(machine), what="prepare")
        # What ran there since could answer in the place of our own program.
        if record.doors is None and not machine.is_this_computer:
            _shut(world, machine, record, tried=tried, trusted=trusted)
        # Not twice: unpacking over a directory in which tests ran would mix two states.
        if world.files.read(records.place(record.identity.slot, records.SENT)) is None:
            _put(world, machine, work, record=record)


def _confined(world: World, machine: Machine, *, trusted: bool) -> None:
    """A stranger's code never runs where it could become root or the machine's cloud identity."""
    open_ = [worker.name for worker in machine.workers if worker.unconfined]
    if not open_:
        return
    what = f"{', '.join(open_)} could not take administrator rights and the cloud's metadata from the test user"
    if not trusted:
        raise errors.BootError(f"a fork's code is not run: {what}", what_to_do="use an image with gpasswd and iptables")
    world.job.warning("machine", what)


def _shut(world: World, machine: Machine, record: RunRecord, *, tried: Sequence[Tried], trusted: bool) -> None:
    """The same, tried from inside by the very user that will run the code."""
    record.doors = doors.facts(tried)
    records.save(world.files, record)
    silent = {worker.index for worker in machine.workers} - {each.worker for each in tried}
    ways_out = doors.ways_out(record.doors)
    if (ways_out or silent) and not trusted:
        what = doors.told(ways_out) or "the machine does not say what its user can reach"
        raise errors.CloudError(
            f"a fork's code is not run, for the test user could reach more than it may: {what}",
            what_to_do="use an image that closes this, see docs/security.md#on-the-machine",
        )
    if not record.doors.open:
        world.job.log(f"tried from inside, and shut: {', '.join(record.doors.tried) or 'nothing'}")
    elif record.target.sudo:
        world.job.log(f"open, as ordered with `sudo`: {doors.told(record.doors.open)}")
    else:
        world.job.warning("machine", f"the tests could reach more than they need: {doors.told(record.doors.open)}")


def _put(world: World, machine: Machine, work: Work, *, record: RunRecord) -> None:
    slot = record.identity.slot
    into = world.files.path(records.place(slot, "source"))
    package = reach.retried(world, lambda: world.sources.pack(work.source, into=into), what="pack")
    found = reach.retried(world, lambda: world.remote.put(machine, package), what="put")
    if found.obstacle:
        # No error: nobody failed. Asking again gives the same answer, for both commits are pinned.
        record.verdict = Verdict.CONFLICT
        record.reason = (
            f"{found.sha} cannot be merged into {found.base}: {found.obstacle}. What to do: merge the base branch into"
            " the pull request, resolve that, push, and ask for the new commit"
        )
        world.job.error("merge", record.reason)
        return
    record.source = SourceFacts(
        sha=found.sha,
        base_sha=found.base,
        merge_sha=found.merge,
        tree=found.tree,
        submodules=found.submodules,
        lfs=found.lfs,
    )
    world.files.write(records.place(slot, records.SENT), (package.sha or "workspace").encode())
    world.files.remove(records.place(slot, "source"))
    for line in _told(work.source, package, found):
        world.job.log(line)
    for hint in _hints(found, work):
        world.job.warning("source", hint)


def _told(source: Source, package: Package, found: Unpacked) -> Iterator[str]:
    # Below a repository's root that is a part of it only, which tests may notice late.
    what = f"{source.directory} as it is now" if isinstance(source, WorkspaceSource) else package.sha
    yield f"sent {what}, {units.size(package.size_bytes)}"
    if found.merge:
        yield f"merged {found.sha} into {found.base} on the machine: commit {found.merge}, tree {found.tree}"


def _hints(found: Unpacked, work: Work) -> Iterator[str]:
    """What the commands do not fetch: tests that miss it fail for reasons that nobody guesses."""
    # By a word only: who names them knows of them, and another warning would teach people to overlook it.
    commands = f"{work.setup}\n{work.run}"
    if found.submodules and "submodule" not in commands:
        yield (
            f"the commit has {found.submodules} submodule(s), whose directories are empty on the machine; fetch them in"
            f" `setup`: {SUBMODULES} (private ones: docs/workflows.md#submodules-and-git-lfs)"
        )
    if found.lfs and "lfs" not in commands:
        yield (
            f"{found.lfs} file(s) are pointers of Git LFS, not their content; fetch it in `setup`: {LFS}"
            " (more: docs/workflows.md#submodules-and-git-lfs)"
        )
