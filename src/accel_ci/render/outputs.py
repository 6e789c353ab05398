"""What each action hands to later steps, by the names that its inputs' model declares."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from accel_ci.domain.record import CleanupFacts, RunRecord

ARTIFACT_NAME = 120  # ours: file systems take 255 bytes, and the download adds .zip


def provision(record: RunRecord) -> Mapping[str, str]:
    """machine, name and zone of the leased machine."""
    machine = record.machine
    if machine is None:
        return {}
    return {"machine": machine.handle, "name": record.identity.name, "zone": machine.zone}


def run_remote(record: RunRecord) -> Mapping[str, str]:
    """verdict, exit-code and tests (counts by outcome, as JSON)."""
    return {
        "verdict": record.verdict.value if record.verdict else "",
        "exit-code": "" if record.exit_code is None else str(record.exit_code),
        "tests": json.dumps(record.tests.counts) if record.tests else "",
    }


def upload(record: RunRecord, *, directory: str, log: str, document: str) -> Mapping[str, str]:
    """What the action uploads when collect is over, however it ended: three places on the runner, and the artifact's name."""
    return {"directory": directory, "log": log, "record": document, "artifact": artifact(record)}


def artifact(record: RunRecord) -> str:
    """The name of the run's artifact: the run's own, which no matrix sibling has, and for people job, matrix values, slot."""
    identity = record.identity
    # GitHub refuses artifacts with ":", "/" or quotes in their names, and a matrix value may hold all of them.
    words = re.findall(r"[A-Za-z0-9._]+", f"{identity.job} {_values(identity.instance)} {identity.slot}")
    return "-".join([identity.name, *words])[:ARTIFACT_NAME].rstrip("-")


def _values(instance: str) -> str:
    try:
        # A run at a terminal has a token there, and no matrix.
        matrix, _ = json.loads(instance or "[{},0]")
        return " ".join(str(value) for value in matrix.values())
    except (ValueError, TypeError, AttributeError):
        return instance


def collect(record: RunRecord) -> Mapping[str, str]:
    """How many files came back or were refused."""
    refused = sum(bool(artifact.refused) for artifact in record.artifacts)
    return {"files": str(len(record.artifacts) - refused), "refused": str(refused)}


def cleanup(facts: CleanupFacts) -> Mapping[str, str]:
    """found, released and left: JSON lists of handles."""
    return {name: json.dumps(getattr(facts, name)) for name in ("found", "released", "left")}


def reap_queued(cancelled: Sequence[int]) -> Mapping[str, str]:
    """cancelled: a JSON list of run ids."""
    return {"cancelled": json.dumps(list(cancelled))}


def report(record: RunRecord, *, document: str, html: str) -> Mapping[str, str]:
    """verdict and exit-code, and where the record and the HTML report lie."""
    verdict_and_code = {name: value for name, value in run_remote(record).items() if name != "tests"}
    return {**verdict_and_code, "record": document, "html": html}


def journey(record: RunRecord, *, directory: str, document: str, html: str) -> Mapping[str, str]:
    """Everything that the steps of the journey hand on."""
    return {**run_remote(record), "directory": directory, "record": document, "html": html}
