"""Is the accelerator here, and is it well? Runs as root at boot: python3 probe.py KIND COUNT [FRAMEWORK].

KIND is gpu or tpu, COUNT how many were ordered, FRAMEWORK jax or torch when that is to count them too. Prints one line of
JSON: {"devices": 1, "name": "NVIDIA L4", "driver": "570.86.15", "cuda": "12.8", "memory_mib": 23034, "problems": []}.
Exit code 0: well. 1: it is not. 75: ask again, the driver is not there yet. Standard library only, Python 3.8.
"""

import glob
import json
import os
import re
import subprocess
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

DEVICES = os.environ.get("ACCEL_CI_DEV", "/dev")
# The devices of a TPU come up while the machine boots, and nothing tells that no more will come.
PATIENCE_S = float(os.environ.get("ACCEL_CI_PATIENCE_S", "60"))
NOT_YET = 75
FIELDS = "uuid,name,driver_version,memory.total,ecc.errors.uncorrected.volatile.total"
REMAPPED = "remapped_rows.pending,remapped_rows.failure"
XID = re.compile(r"NVRM: Xid \(([^)]*)\): (\d+)(?:, ([^\n]*))?")
# docs.nvidia.com/deploy/xid-errors: those that mean hardware. What programs cause (13, 31, 43, 45) says nothing at boot.
FATAL = {
    48: "double bit ECC error",
    62: "internal micro-controller halt",
    64: "row remapping failed",
    74: "NVLink error",
    79: "GPU has fallen off the bus",
    95: "uncontained ECC error",
    119: "GSP timeout",
    120: "GSP error",
    140: "unrecovered ECC error",
}
COUNTED = {
    "jax": "import jax; print('count', jax.local_device_count())",
    "torch": "import torch; print('count', torch.cuda.device_count())",
}


def main(arguments: List[str]) -> int:
    """Print what is there; the exit code says how it is."""
    kind, count, framework = arguments[0], int(arguments[1]), "".join(arguments[2:3])
    found = gpus() if kind == "gpu" else tpus(count)
    if found is None:
        return NOT_YET
    problems: List[str] = found["problems"]
    if found["devices"] < count:
        problems.append("%d of %d %s(s) found" % (found["devices"], count, kind))
    if framework:
        problems += uncounted(framework, count)
    print(json.dumps(found))
    return 1 if problems else 0


def gpus() -> Optional[Dict[str, Any]]:
    """What nvidia-smi says; None while there is no driver that answers."""
    listed = said("nvidia-smi", "--query-gpu=" + FIELDS, "--format=csv,noheader,nounits")
    rows = [[cell.strip() for cell in line.split(",")] for line in (listed or "").splitlines()]
    rows = [row for row in rows if len(row) == 5 and row[0].startswith("GPU-")]
    if not rows:
        return None
    cuda = re.search(r"CUDA Version\s*:\s*([0-9.]+)", said("nvidia-smi", "-q") or "")
    return {
        "devices": len(rows),
        "name": rows[0][1],
        "driver": rows[0][2],
        "cuda": cuda.group(1) if cuda else "",
        "memory_mib": number(rows[0][3]),
        "problems": ecc(rows) + remapped() + xids(),
    }


def ecc(rows: List[List[str]]) -> List[str]:
    """GPUs that have seen uncorrectable memory errors since they were started. Older ones were mended by remapping."""
    return ["%s: %s uncorrectable ECC error(s)" % (row[0], row[4]) for row in rows if number(row[4])]


def remapped() -> List[str]:
    """GPUs with a bad row of memory that could not be replaced, or not before the next reset."""
    listed = said("nvidia-smi", "--query-remapped-rows=gpu_uuid," + REMAPPED, "--format=csv,noheader") or ""
    rows = [[cell.strip() for cell in line.split(",")] for line in listed.splitlines()]
    bad = [row for row in rows if len(row) == 3 and (number(row[1]) or number(row[2]) or "Yes" in row[1:])]
    return ["%s: row remapping pending or failed" % row[0] for row in bad]


def xids() -> List[str]:
    """Hardware errors in the kernel's log."""
    found = XID.findall(said("dmesg") or "")
    return ["Xid %s on %s: %s" % (code, bus, FATAL[int(code)]) for bus, code, _ in found if int(code) in FATAL]


def tpus(count: int) -> Dict[str, Any]:
    """The TPU's devices, waited for until there are so many, or for as long as patience lasts."""
    end = time.monotonic() + PATIENCE_S
    driver, devices = tpu_devices()
    while devices < count and time.monotonic() < end:
        time.sleep(1)
        driver, devices = tpu_devices()
    return {"devices": devices, "name": "TPU", "driver": driver, "problems": []}


def tpu_devices() -> Tuple[str, int]:
    """The driver and its devices, one a chip: /dev/accel* up to v4 and for v5e, a VFIO group for each chip elsewhere."""
    old, new = glob.glob(DEVICES + "/accel[0-9]*"), glob.glob(DEVICES + "/vfio/[0-9]*")
    # Where both are, the groups may hold what is no chip.
    return ("accel", len(old)) if old else ("vfio" if new else "", len(new))


def uncounted(framework: str, count: int) -> List[str]:
    """What is wrong with the number of devices that the framework sees."""
    told = re.search(r"^count (\d+)$", said(sys.executable, "-c", COUNTED[framework], limit_s=300) or "", re.MULTILINE)
    if told is None:
        return ["%s does not work on this image" % framework]
    return [] if int(told.group(1)) >= count else ["%s sees %s of %d device(s)" % (framework, told.group(1), count)]


def said(*command: str, limit_s: float = 60) -> Optional[str]:
    """The command's output; None when it is not there, fails or hangs, as a lost GPU makes nvidia-smi do."""
    try:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limit_s,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def number(text: str) -> int:
    """The number; 0 for `[N/A]` and the like, which GPUs without the feature say."""
    return int(text) if text.isdigit() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
