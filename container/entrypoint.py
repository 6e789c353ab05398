#!/usr/bin/env -S python3 -I -S
"""What GitHub starts in the image, as `run` and afterwards as `cleanup`: hands over what other actions get from contexts.

It becomes the program, which then has the container's first process id and so gets the signals of a cancel.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

PROGRAM = "/opt/accel-ci/bin/accel-ci"
# cleanup forgets nothing that it needs to find machines, and has no business with GitHub.
OF_CLEANUP = ("backend", "workload-identity-provider", "service-account")


def handed(variables: Mapping[str, str], verb: str) -> dict[str, str]:
    """The environment for the program: inputs as one JSON, matrix and strategy apart, the token for `run` only."""
    given = {name[6:].lower(): value for name, value in variables.items() if name.startswith("INPUT_")}
    token, matrix, strategy, temp = (given.pop(name, "") for name in ("token", "matrix", "strategy", "temp"))
    if verb == "cleanup":
        given = {name: given[name] for name in OF_CLEANUP if name in given}
    kept = {name: value for name, value in variables.items() if not name.startswith("INPUT_")}
    kept |= {"ACCEL_CI_INPUTS": json.dumps(given), "ACCEL_CI_MATRIX": matrix, "ACCEL_CI_STRATEGY": strategy}
    # As JSON, for the runner rewrites every variable that is one of its own paths to the path in here.
    kept["ACCEL_CI_TEMP_OUTSIDE"] = json.loads(temp or '""')
    return kept | ({"GITHUB_TOKEN": token} if verb == "run" and token else {})


def not_ours(variables: Mapping[str, str]) -> str:
    """What of the runner's we may not write to, "" when all is well."""
    places = (variables.get(name, "") for name in ("RUNNER_TEMP", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"))
    return next((place for place in places if place and not os.access(place, os.W_OK)), "")


def main(verb: str) -> int:
    """Does not come back, but for a runner whose files are not ours to write: then it says so and gives 2."""
    if place := not_ours(os.environ):
        print(
            f"::error title=accel-ci: container::the image runs as user {os.getuid()}, as GitHub's own runners do, and may "
            f"not write to {place} of this one. Use org/accel-ci@v1 here: the same inputs, without a container."
        )
        return 2
    os.execve(PROGRAM, [PROGRAM, verb], handed(os.environ, verb))


if __name__ == "__main__":
    sys.exit(main(os.path.basename(sys.argv[0])))
