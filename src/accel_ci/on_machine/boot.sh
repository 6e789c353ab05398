#!/bin/sh
# Runs once as root when a machine boots, before anybody else's code: tells who the machine is and that it is ready.
# Guest attributes are read back through the cloud's own authenticated interface, so nobody on the way can forge them.
set -u
instance="http://${GCE_METADATA_HOST:-metadata.google.internal}/computeMetadata/v1/instance"
attributes="$instance/guest-attributes"
user=accel-ci

tell() {
    curl --silent --show-error --fail --max-time 10 --retry 5 --retry-delay 1 --retry-connrefused \
        --request PUT --header "Metadata-Flavor: Google" --data "$2" "$attributes/$1"
}

is_told() {
    curl --silent --fail --output /dev/null --max-time 10 --header "Metadata-Flavor: Google" "$attributes/$1"
}

ask() {
    curl --silent --fail --max-time 10 --retry 5 --retry-delay 1 --retry-connrefused --header "Metadata-Flavor: Google" \
        "$instance/attributes/$1"
}

# Most images have an agent that tells the host keys; what it told stays as it is.
for file in /etc/ssh/ssh_host_*_key.pub; do
    if [ -r "$file" ] && read -r kind key _ <"$file"; then
        is_told "hostkeys/$kind" || tell "hostkeys/$kind" "$key"
    fi
done

# Tests are a stranger's code. The image's agent makes every user of the metadata's keys an administrator, in two steps:
# waiting for the second makes sure that nothing is given back after we took it. docker and lxd are root by another name.
confine() {
    waited=0
    until id -nG "$user" 2>/dev/null | grep -qw google-sudoers; do
        waited=$((waited + 1))
        [ "$waited" -le "${ACCEL_CI_PATIENCE_S:-60}" ] || return 1
        sleep 1
    done
    for group in google-sudoers sudo wheel docker lxd; do
        if id -nG "$user" | grep -qw "$group"; then gpasswd --delete "$user" "$group" || return 1; fi
    done
    close_metadata iptables 169.254.169.254 || return 1
    if [ -e /proc/net/if_inet6 ]; then close_metadata ip6tables fd20:ce::254 || return 1; fi
    answer_instead
}

# To all but the system's own users: useradd gives ours a range of further ids, which `newuidmap` lets it become.
# Names are resolved at the same address, so that port stays open.
close_metadata() {
    "$1" --wait --insert OUTPUT --destination "$2" --protocol tcp ! --dport 53 \
        --match owner ! --uid-owner 0-999 --jump REJECT
}

# What TPU programs ask the metadata about their hardware is answered by ourselves: see excerpt.py.
answer_instead() {
    excerpt=$(mktemp) port=${ACCEL_CI_EXCERPT_PORT:-8254}
    if ask accel-ci-excerpt >"$excerpt" && python3 -EsS "$excerpt" "$port"; then
        iptables --wait --table nat --insert OUTPUT --destination 169.254.169.254 --protocol tcp --dport 80 \
            --match owner ! --uid-owner 0-999 --jump REDIRECT --to-ports "$port"
    fi
    rm -f "$excerpt"
}

wants_sudo() {
    curl --silent --fail --max-time 10 --header "Metadata-Flavor: Google" "$instance/attributes/accel-ci-sudo" | grep -q TRUE
}

if getent group google-sudoers >/dev/null && ! wants_sudo; then
    if confine; then tell accel-ci/confined yes; else tell accel-ci/confined no; fi
fi

# The driver may be installed while we boot: only the probe's answer proves that it works. The boot limit ends the wait.
probe=$(mktemp)
if expected=$(ask accel-ci-expects) && ask accel-ci-probe >"$probe"; then
    tell accel-ci/stage driver
    while :; do
        # shellcheck disable=SC2086 # several words
        health=$(python3 -EsS "$probe" $expected)
        [ $? -eq 75 ] || break
        sleep "${ACCEL_CI_PAUSE_S:-2}"
    done
    tell accel-ci/health "$health"
fi
rm -f "$probe"
tell accel-ci/stage ready
