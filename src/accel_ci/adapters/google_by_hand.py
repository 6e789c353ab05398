"""gcloud commands that find and end whatever an owner has, for people who have to do it when we could not look."""

from __future__ import annotations

import shlex

from accel_ci.domain.lease import Owner


def instances(owner: Owner, *, project: str) -> list[str]:
    """For Compute Engine: one command, which does nothing when there is nothing."""
    found = ["gcloud", "compute", "instances", "list", f"--project={project}", f"--filter={_filter(owner, 'labels')}"]
    end = ["gcloud", "compute", "instances", "delete", "--quiet"]
    return [f"{shlex.join([*found, '--uri'])} | xargs -r {shlex.join(end)}"]


def tpus(owner: Owner, *, project: str) -> list[str]:
    """For the Cloud TPU API: queued resources, which hold their nodes, then nodes."""
    # A queued resource has no labels of its own: they are the labels of the node that it asks for.
    queued = _each("queued-resources", _filter(owner, "tpu.nodeSpec[0].node.labels"), project, "--force")
    return [queued, _each("tpu-vm", _filter(owner, "labels"), project)]


def _each(kind: str, wanted: str, project: str, *more: str) -> str:
    group = ["gcloud", "compute", "tpus", kind]
    found = [*group, "list", "--zone=-", f"--project={project}", f"--filter={wanted}", "--format=value(name)"]
    end = [*group, "delete", "--quiet", *more]
    # The name is a whole path, which says project and zone; gcloud takes one of them at a time.
    return f"{shlex.join(found)} | xargs -rn1 {shlex.join(end)}"


def _filter(owner: Owner, labels: str) -> str:
    """The owner's machines in gcloud's own words; attempts are left out, for a number cannot be compared as one there."""
    wanted = [f"{labels}.accel-ci-repository={owner.repository_id}"]
    if owner.run_id is not None:
        wanted.append(f"{labels}.accel-ci-run={owner.run_id}")
    if owner.jobs:
        wanted.append(f"{labels}.accel-ci-job=({','.join(sorted(owner.jobs))})")
    if owner.instance:
        wanted.append(f"{labels}.accel-ci-instance={owner.instance}")
    return " AND ".join(wanted)
