"""What the libraries cost: seconds to install, megabytes on disk, and what importing them takes.

Usage: python -m bench.libraries [repetitions]

Installing takes the locks of `requirements/` into an empty folder, by uv and by pip, without a cache, so the network is in it.
Imports are new processes: the median of their processor seconds, and the most memory that they had.
"""

from __future__ import annotations

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
LOCKS = ("runtime", "gce", "tpu", "secrets")
IMPORTS = {
    "python -c pass": "pass",
    "google.cloud.compute_v1, all of it": "import google.cloud.compute_v1",
    "the two of its clients that we import": "from accel_ci.adapters import gce_library; gce_library.load()",
    "google.cloud.tpu_v2": "import google.cloud.tpu_v2",
    "nacl.public": "import nacl.public",
}
TOLD = "import resource as r; u = r.getrusage(r.RUSAGE_SELF); print(u.ru_utime + u.ru_stime, u.ru_maxrss / 1024)"
MEGABYTE = 1_000_000


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as place:
        for lock in LOCKS:
            _install(lock, pathlib.Path(place))
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for name, code in IMPORTS.items():
        seconds, memory = _import(code, repetitions)
        print(f"import {name:<40}{seconds:>7.2f} s of CPU{memory:>7.0f} MiB", flush=True)


def _install(lock: str, place: pathlib.Path) -> None:
    uv = [str(pathlib.Path(sys.executable).parent / "uv"), "pip", "install", "--python", sys.executable, "--no-cache"]
    ways: Mapping[str, Sequence[str]] = {
        "uv": [*uv, "--link-mode=copy"],
        "pip": [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--no-cache-dir",
            "--no-compile",
            "--disable-pip-version-check",
        ],
    }
    asked = ["--quiet", "--require-hashes", "-r", str(REPOSITORY / f"requirements/{lock}.txt"), "--target"]
    taken = {}
    for way, command in ways.items():
        start = time.perf_counter()
        subprocess.run([*command, *asked, str(place / lock / way)], check=True)
        taken[way] = time.perf_counter() - start
    size = sum(file.stat().st_size for file in (place / lock / "uv").rglob("*") if file.is_file()) / MEGABYTE
    print(f"{lock:<10}{size:>6.0f} MB on disk, uv{taken['uv']:>6.1f} s, pip{taken['pip']:>6.1f} s", flush=True)


def _import(code: str, repetitions: int) -> tuple[float, float]:
    command = [sys.executable, "-c", f"{code}\n{TOLD}"]
    told = [subprocess.check_output(command, text=True).split() for _ in range(repetitions)]
    return statistics.median(float(seconds) for seconds, _ in told), max(float(memory) for _, memory in told)


if __name__ == "__main__":
    main()
