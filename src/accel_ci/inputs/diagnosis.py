"""What a person says to `accel-ci doctor`."""

from __future__ import annotations

from typing import Annotated

from accel_ci.inputs.declaration import Inputs, given
from accel_ci.inputs.fields import Boolean, Pattern, Words

WORKFLOWS = ".github/workflows"


class DoctorInputs(Inputs):
    """Say what is wrong with a repository's workflows, and how to mend it."""

    verb = "doctor"
    bare = "files"

    files: Annotated[tuple[str, ...], Words(Pattern("path", r"[^,\x00-\x1f]{1,4096}", WORKFLOWS))] = given(
        WORKFLOWS, "Workflow files, or directories that hold them or a `.github/workflows`."
    )
    json_: Annotated[bool, Boolean()] = given("false", "As JSON, one object for each finding.")
