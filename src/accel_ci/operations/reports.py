"""Bringing the test reports home and reading them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from accel_ci.domain.machine import Machine
from accel_ci.domain.results import Report
from accel_ci.domain.workload import Caps, Fetched
from accel_ci.formats import junit, output, redaction, reportlog
from accel_ci.formats.redaction import Redactor
from accel_ci.operations import records
from accel_ci.ports.remote import Base
from accel_ci.ports.world import World

# A test that writes its report for ever must not fill the runner's disk.
CAPS = Caps(file_bytes=256 * 1024 * 1024, total_bytes=512 * 1024 * 1024, files=200)
OURS = ("pytest-*.jsonl",)


def fetched(
    world: World, machine: Machine, patterns: Sequence[str], *, slot: str, secrets: Iterable[str] = ()
) -> list[Report]:
    """What our pytest plugin wrote on every worker, and the JUnit files that match `patterns`; `secrets` are hidden."""
    redactor = redaction.Redactor(value.encode() for value in secrets)
    ours = _files(world, machine, OURS, place=records.place(slot, "reports"), base=Base.RESULTS)
    theirs = _files(world, machine, patterns, place=records.place(slot, "reports"), base=Base.SOURCE)
    parsed = []
    for found, parse in ((ours, reportlog.parse), (theirs, junit.parse)):
        for file, content in found:
            name = output.one_line(redactor.hidden(file.name))
            if file.refused:
                world.job.warning(
                    "test report", f"{name} was refused: {output.one_line(redactor.hidden(file.refused))}"
                )
            else:
                report = parse(_hidden(content, redactor), source=name, worker=file.worker)
                parsed.append(_shown(report, redactor))
    return parsed


def _shown(report: Report, redactor: Redactor) -> Report:
    """The report with no secret in its texts: XML and JSON can write every letter in more ways than one looks for."""
    if not redactor.longest:
        return report
    cases = (
        replace(each, name=redactor.hidden(each.name), message=redactor.hidden(each.message)) for each in report.cases
    )
    return replace(
        report,
        cases=tuple(cases),
        incomplete=redactor.hidden(report.incomplete),
        warnings=tuple(map(redactor.hidden, report.warnings)),
    )


def _hidden(content: bytes, redactor: Redactor) -> bytes:
    """The report's bytes without secrets, before long texts are cut: what is cut in two would not be found any more."""
    if not redactor.longest:
        return content
    # Reports may be any bytes: what is no UTF-8 comes back as it was.
    return redactor.redact(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _files(
    world: World, machine: Machine, patterns: Sequence[str], *, place: str, base: Base
) -> list[tuple[Fetched, bytes]]:
    """What matches, with its bytes; refused ones have none."""
    if not patterns:
        return []
    into = f"{place}/{base.value}"
    files = world.remote.get(machine, patterns, caps=CAPS, into=world.files.path(into), base=base)
    return [(file, b"" if file.refused else world.files.read(f"{into}/{file.path}") or b"") for file in files]
