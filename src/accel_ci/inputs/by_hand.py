"""What a person says at a terminal: the verbs that no action has."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from accel_ci.domain.lease import Owner
from accel_ci.inputs import vocabulary
from accel_ci.inputs.declaration import Inputs, Rule, given
from accel_ci.inputs.fields import Boolean, Pattern, Text
from accel_ci.inputs.quantities import Duration
from accel_ci.inputs.vocabulary import AUTO, ZONE

MACHINE = Annotated[
    str,
    Pattern("machine", r"[A-Za-z0-9][A-Za-z0-9:/._-]{0,250}", "tpu://my-project/zone/name"),
    Field(
        description="Its handle or name, or the name of its run; empty: what this job, or this directory, leased last."
    ),
]

EVERYWHERE = "Where machines are looked for; `auto`: in every backend of this version."


class LookInputs(Inputs):
    """Where machines are looked for, and who we are there."""

    rules: ClassVar[tuple[Rule, ...]] = (vocabulary.SIGN_IN,)

    backend: vocabulary.Backend = given(AUTO, EVERYWHERE)
    project: vocabulary.Project = given("")
    workload_identity_provider: vocabulary.Provider = given("")
    service_account: vocabulary.ServiceAccount = given("")
    repository_id: Annotated[str, Pattern("number of a repository", r"[1-9][0-9]{0,18}", "4711")] = given(
        "", "Whose machines, by number: `gh api repos/OWNER/NAME --jq .id`; empty: this job's, or this directory's."
    )

    def owner(self, here: int) -> Owner:
        """All machines of the repository that is meant; `here` is the number of the one that we are in."""
        return Owner(repository_id=int(self.repository_id or here))


class AttachInputs(Inputs):
    """Go on with a journey whose command line was interrupted."""

    verb = "attach"
    bare = "name"

    name: Annotated[str, Pattern("run name", r"[a-z0-9][a-z0-9-]{0,62}", "accel-project-1789000000-1-0a1b2c3d")] = (
        given("", "The name that the journey printed when it began; empty: the last one of this directory.")
    )


class SshInputs(Inputs):
    """Open a shell on a leased machine, or run a command there."""

    verb = "ssh"
    bare = "machine"

    machine: MACHINE = given("")
    worker: Annotated[str, Pattern("worker", r"all|[0-9]{1,4}", "all")] = given(
        "0", "Which worker of a slice; with `all` the command runs on all of them at once."
    )
    run: Annotated[str, Text()] = given("", "The command, shell text run in the repository; empty: a shell.")
    slot: vocabulary.Slot = given("")


class KeepInputs(LookInputs):
    """Let a machine live on for debugging, and say what that costs."""

    verb = "keep"
    bare = "machine"

    machine: MACHINE = given("")
    until: Annotated[int, Duration("1m", "24h")] = given("1h", "For how long, from now on.")


class EndInputs(LookInputs):
    """End one machine by its name, and prove that it is gone."""

    verb = "end"
    bare = "machine"

    machine: MACHINE = given("")
    force: Annotated[bool, Boolean()] = given(
        "false", "End it although its lease goes on, so that its run may still use it, or although somebody keeps it."
    )


class ListInputs(LookInputs):
    """Name the machines of this repository that exist now."""

    verb = "list"


class AcceleratorsInputs(Inputs):
    """Name the accelerators that are known, where they are, and what they cost."""

    verb = "accelerators"

    zone: Annotated[str, ZONE] = given("", "Only what this zone has; empty: all zones.")
    json_: Annotated[bool, Boolean()] = given("false", "As JSON, one object for each type and zone.")
