#!/usr/bin/env bash
# A label on a pull request of examples/hello-accelerator, and what follows. Called by `make demo`, in the repository, after `make setup`.
# DEMO is an accelerator type of the simulated cloud, or `local`: this computer as the machine.
set -euo pipefail

accelerator="${DEMO:-v6e-1}"
repository="$PWD"
temp="$(mktemp -d)"
cloud=""

end() {
    if [ -n "$cloud" ]; then
        kill "$cloud" 2>/dev/null || true
        wait "$cloud" || true
    fi
    rm -rf "$temp"
}
trap end EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

serve() {
    # In a session of its own: Ctrl-C must reach the journey only, which still needs the cloud to give the machine back.
    setsid accel-ci sim serve --state "$temp/cloud" >"$temp/log" 2>&1 &
    cloud=$!
    until [ -e "$temp/cloud/env" ]; do
        if ! kill -0 "$cloud" 2>/dev/null; then
            cat "$temp/log" >&2
            exit 3
        fi
        sleep 0.05
    done
    cat "$temp/log"
    # shellcheck source=/dev/null
    source "$temp/cloud/env"
    export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
}

unset GITHUB_ACTIONS
export PATH="$repository/.venv/bin:$PATH" ACCEL_CI_STATE="$temp/state"
where="this computer as the machine"
if [ "$accelerator" != local ]; then
    serve
    where="the cloud with its $accelerator"
fi

code=0
python -m tools.demo_label "$accelerator" "$where" demo || code=$?
echo "Machines that exist now:"
accel-ci list
[ "$code" = 1 ] || exit "$code"
echo "One of the three tests fails on purpose. What people see on GitHub: demo/report.html"
