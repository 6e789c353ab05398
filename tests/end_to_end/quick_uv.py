"""A stand-in for uv that installs each lock once for all jobs of all tests, and after that only links it into place.

A job of a workflow begins with an empty disk, and a journey has three jobs: without this the tests would mostly unpack
wheels. That the locks install for real is proven in tests/actions/test_setup.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPT = """#!/usr/bin/env bash
set -euo pipefail
while [ $# -gt 0 ]; do
    case $1 in
        --target) target=$2 ;;
        -r) lock=$2 ;;
        --python) python=$2 ;;
    esac
    given+=("$1")
    shift
done
kept=STORE/$(sha256sum <"$lock" | cut -c1-16)
if [ ! -d "$kept" ]; then
    new=$(mktemp -d STORE/new-XXXXXX)
    REAL "${given[@]/#$target/$new}"
    "$python" -m compileall -q "$new" || true
    mv -T "$new" "$kept" 2>/dev/null || [ -d "$kept" ]
fi
cp -al "$kept/." "$target/"
"""


def install(folder: Path, *, store: Path) -> None:
    """Put it into `folder`, a directory for PATH; what was installed lies in `store`, which tests may share."""
    folder.mkdir(exist_ok=True)
    store.mkdir(parents=True, exist_ok=True)
    script = SCRIPT.replace("STORE", f"'{store}'").replace("REAL", f"'{Path(sys.executable).parent / 'uv'}'")
    (folder / "uv").write_text(script)
    (folder / "uv").chmod(0o755)
