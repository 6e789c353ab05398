#!/usr/bin/env bash
# Prints the path of a Python >= 3.11, or says what to do. ACCEL_CI_PYTHON decides alone; arguments are tried first.
set -euo pipefail

# Not a virtual environment's, which a later step may remove.
probe='import os, sys; print(os.path.realpath(sys._base_executable)) if sys.version_info >= (3, 11) else sys.exit(1)'

found() {
    # -I: neither PYTHON* variables nor the working directory, which may hold anything, take part.
    path=$("$1" -I -S -c "$probe" 2>/dev/null) && [ -n "$path" ]
}

fail() {
    if [ "${GITHUB_ACTIONS:-}" = true ]; then
        echo "::error title=accel-ci: Python::$1" >&2
    else
        echo "accel-ci: $1" >&2
    fi
    exit 2
}

if [ -n "${ACCEL_CI_PYTHON:-}" ]; then
    found "$ACCEL_CI_PYTHON" || fail "ACCEL_CI_PYTHON is '$ACCEL_CI_PYTHON', which does not run as Python 3.11 or newer. Correct it, or unset it."
    echo "$path"
    exit
fi

tools=${RUNNER_TOOL_CACHE:-/nonexistent}
for candidate in "$@" python3 python python3.14 python3.13 python3.12 python3.11 "$tools"/Python/3.1[1-9].*/*/bin/python3; do
    if found "$candidate"; then
        echo "$path"
        exit
    fi
done
fail "No Python 3.11 or newer was found. In a workflow, put actions/setup-python before this step; on your own computer, install python3.11 or newer, or name one in ACCEL_CI_PYTHON."
