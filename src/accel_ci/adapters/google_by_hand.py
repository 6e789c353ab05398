"""gcloud commands that find and end whatever an owner has, for people who have to do it when we could not look."""

from __future__ import annotations

import shlex

from accel_ci.domain.lease import Owner


def instances(owner: Owner, *, project: str) -> list[str]:
    """For Compute Engine: one command, which does nothing when there is nothing."""
    found = ["gcloud", "compute", "instances", "list", f"--project={project}", f"--filter={_filter(owner, 'labels')}"]
    if owner.run_id is None:
        return [shlex.join(found)]
    return [f"{shlex.join([*found, '--uri'])} | xargs -r gcloud compute instances delete --quiet"]


def tpus(owner: Owner, *, project: str) -> list[str]:
    """For the Cloud TPU API: queued resources, which hold their nodes, then nodes."""
    # A queued resource has no labels of its own: they are the labels of the node that it asks for.
    queued = _tpus(owner, "queued-resources", "tpu.nodeSpec[0].node.labels", project, "--force")
    return [queued, _tpus(owner, "tpu-vm", "labels", project)]


def _tpus(owner: Owner, kind: str, labels: str, project: str, *more: str) -> str:
    group = ["gcloud", "compute", "tpus", kind]
    found = [*group, "list", "--zone=-", f"--project={project}", f"--filter={_filter(owner, labels)}"]
    if owner.run_id is None:
        return shlex.join(found)
    found.append("--format=value(name.segment(3),name.segment(5))")  # of projects/P/locations/ZONE/nodes/NAME
    # gcloud ends one at a time, and takes no address that was listed through another endpoint.
    end = [*group, "delete", f"--project={project}", "--quiet", *more]
    return f"{shlex.join(found)} | xargs -rn2 sh -c {shlex.quote(shlex.join(end) + ' --zone=$0 $1')}"


def _filter(owner: Owner, labels: str) -> str:
    """The owner's machines in gcloud's own words, but for what somebody keeps."""
    wanted = [f"{labels}.accel-ci-repository={owner.repository_id}"]
    # Without a run live ones would be meant too: that is for people to look at, and ends nothing.
    if owner.run_id is None:
        return wanted[0]
    wanted.append(f"{labels}.accel-ci-run={owner.run_id}")
    if owner.up_to_attempt:
        wanted.append(f"{labels}.accel-ci-attempt=({','.join(map(str, range(1, owner.up_to_attempt + 1)))})")
    if owner.jobs:
        wanted.append(f"{labels}.accel-ci-job=({','.join(sorted(owner.jobs))})")
    if owner.instance:
        wanted.append(f"{labels}.accel-ci-instance={owner.instance}")
    if owner.scope:
        wanted.append(f"{labels}.accel-ci-scope={owner.scope.value}")
    return " AND ".join([*wanted, f"NOT {labels}.accel-ci-keep-until:*"])
