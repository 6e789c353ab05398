"""Programs that simulated instances have and this computer has not, or should not run: nvidia-smi, shutdown."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from accel_ci_sim.world import compute_catalogue
from accel_ci_sim.world.compute_instance import Instance

POWER = """#!/bin/bash
# Turns off this simulated machine, not the computer that it runs on.
what=off wait=0
[ "${0##*/}" = reboot ] && what=reboot
for word; do
  case "$word" in
    -r | --reboot) what=reboot ;;
    -c) exit 0 ;;
    +[0-9]*) wait=$((60 * ${word#+})) ;;
  esac
done
[ "${0##*/}" = shutdown ] && [ $# = 0 ] && wait=60
sleep "$wait"
exec 3<>"/dev/tcp/${GCE_METADATA_HOST%:*}/${GCE_METADATA_HOST##*:}"
printf 'POST /sim/power/%s HTTP/1.1\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n' "$what" >&3
cat <&3 >/dev/null
"""
ORDERED, REFUSED = 'exec "$@"', 'echo "sudo: a password is required" >&2; exit 1'
SUDO = """#!/bin/sh
# What this computer's own sudo gives is nothing that a machine has.
while case "$1" in -*) ;; *) false ;; esac; do shift; done
@ANSWER@
"""
SMI = """#!/bin/bash
# What the driver of the ordered GPUs would say. There is none in this computer.
name=@NAME@ count=@COUNT@ version=@VERSION@ memory=@MEMORY@ ready=@READY@
if [ "$(date +%s)" -lt "$ready" ]; then
  echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA" \\
    "driver is installed and running."
  exit 9
fi
uuid() { printf 'GPU-00000000-0000-4000-8000-%012d' "$1"; }
fields= header=yes units=yes
for word; do
  case "$word" in
    -L | --list-gpus)
      for ((n = 0; n < count; n++)); do echo "GPU $n: $name (UUID: $(uuid "$n"))"; done
      exit 0 ;;
    --query-gpu=*) fields=${word#*=} ;;
    --format=*) [[ $word == *noheader* ]] && header=; [[ $word == *nounits* ]] && units= ;;
  esac
done
value() {
  case "$1" in
    index) echo "$2" ;;
    count) echo "$count" ;;
    name | gpu_name) echo "$name" ;;
    uuid | gpu_uuid) uuid "$2" ;;
    driver_version) echo "$version" ;;
    memory.total) echo "$memory${units:+ MiB}" ;;
    memory.used) echo "0${units:+ MiB}" ;;
    utilization.gpu) echo "0${units:+ %}" ;;
    temperature.gpu) echo 33 ;;
    pci.bus_id | gpu_bus_id) printf '00000000:00:%02X.0' "$((4 + $2))" ;;
    ecc.errors.*) echo 0 ;;
    ecc.mode.current) echo Enabled ;;
    *) echo "[N/A]" ;;
  esac
}
if [ -n "$fields" ]; then
  IFS=, read -ra names <<<"${fields// /}"
  [ -n "$header" ] && echo "${fields//,/, }"
  for ((n = 0; n < count; n++)); do
    line=
    for each in "${names[@]}"; do line+="${line:+, }$(value "$each" "$n")"; done
    echo "$line"
  done
  exit 0
fi
echo "NVIDIA-SMI $version    Driver Version: $version    CUDA Version: 12.8"
for ((n = 0; n < count; n++)); do echo "$n  $name  0MiB / ${memory}MiB  0%"; done
"""
MEMORY_MB = {
    "nvidia-l4": 23034,
    "nvidia-tesla-t4": 15360,
    "nvidia-tesla-v100": 16384,
    "nvidia-tesla-a100": 40960,
    "nvidia-a100-80gb": 81920,
    "nvidia-h100-80gb": 81559,
    "nvidia-h100-mega-80gb": 81559,
    "nvidia-h200-141gb": 143771,
    "nvidia-b200": 183359,
}


def of(instance: Instance) -> Mapping[str, str]:
    """The scripts by name; nvidia-smi where the image has a driver, or installs one."""
    found = dict.fromkeys(("shutdown", "poweroff", "halt", "reboot"), POWER)
    gpus = {name: count for name, count in instance.accelerators.items() if compute_catalogue.ACCELERATORS[name].is_gpu}
    if gpus and instance.image is not None and instance.driver_at is not None:
        ((name, count),) = gpus.items()
        values = {
            "NAME": compute_catalogue.ACCELERATORS[name].description,
            "COUNT": str(count),
            "VERSION": instance.image.driver_version,
            "MEMORY": str(MEMORY_MB.get(name, 16384)),
            "READY": str(int(instance.driver_at)),
        }
        found["nvidia-smi"] = _filled(SMI, values)
    return found


def devices(instance: Instance) -> tuple[str, ...]:
    """What the image's TPU driver shows below /dev: a VFIO group for each chip."""
    chips = sum(
        count for name, count in instance.accelerators.items() if not compute_catalogue.ACCELERATORS[name].is_gpu
    )
    return tuple(f"vfio/{number}" for number in range(chips))


def _filled(script: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        script = script.replace(f"@{name}@", shlex.quote(value))
    return script


def sudo(metadata: Mapping[str, str]) -> str:
    """The machine's sudo: it asks nobody for a password where that was ordered, and everybody elsewhere."""
    return SUDO.replace("@ANSWER@", ORDERED if metadata.get("accel-ci-sudo") == "TRUE" else REFUSED)
