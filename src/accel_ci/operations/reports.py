"""Bringing the test reports home and reading them."""

from __future__ import annotations

from collections.abc import Sequence

from accel_ci.domain.machine import Machine
from accel_ci.domain.results import Report
from accel_ci.domain.workload import Caps, Fetched
from accel_ci.formats import junit, output, reportlog
from accel_ci.operations import records
from accel_ci.ports.remote import Base
from accel_ci.ports.world import World

CAPS = Caps(file_bytes=256 * 1024 * 1024, total_bytes=512 * 1024 * 1024, files=200)
OURS = ("pytest-*.jsonl",)


def fetched(world: World, machine: Machine, patterns: Sequence[str], *, slot: str) -> list[Report]:
    """What our pytest plugin wrote on every worker, and the JUnit files that match `patterns`."""
    ours = _files(world, machine, OURS, slot=slot, base=Base.RESULTS)
    theirs = _files(world, machine, patterns, slot=slot, base=Base.SOURCE) if patterns else []
    return [reportlog.parse(content, source=name, worker=file.worker) for file, name, content in ours] + [
        junit.parse(content, source=name, worker=file.worker) for file, name, content in theirs
    ]


def _files(
    world: World, machine: Machine, patterns: Sequence[str], *, slot: str, base: Base
) -> list[tuple[Fetched, str, bytes]]:
    place = records.place(slot, f"reports/{base.value}")
    files = world.remote.get(machine, patterns, caps=CAPS, into=world.files.path(place), base=base)
    for file in files:
        if file.refused:
            world.job.warning(
                "test report", f"{output.one_line(file.name)} was refused: {output.one_line(file.refused)}"
            )
    return [
        (file, output.one_line(file.name), world.files.read(f"{place}/{file.path}") or b"")
        for file in files
        if not file.refused
    ]
