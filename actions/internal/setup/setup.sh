#!/usr/bin/env bash
# Puts the program at $RUNNER_TEMP/accel-ci/bin/accel-ci, once per job: setup.sh [EXTRA ...]
# An extra is a backend or a service; one that needs no library of its own costs nothing. `auto` beside an accelerator
# type means the backend that has it.
set -euo pipefail

if [ -z "${RUNNER_TEMP:-}" ]; then
    echo "accel-ci: RUNNER_TEMP is not set. Set it to a private directory that is emptied after the job." >&2
    exit 2
fi
umask 077 # the directory also keeps the job's keys and leases
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=$RUNNER_TEMP/accel-ci
known=$home/program/python

# The Python of the first step goes on to be used, even when a later setup-python changes the PATH.
if [ -r "$known" ] && IFS= read -r python <"$known"; then
    python=$("$here/python.sh" "$python")
else
    python=$("$here/python.sh")
fi
exec "$python" -I -S "$here/install.py" "$home" "$@"
