"""Runs the tests of the threat table and prints it: entry, who, what is against it, how its tests ended.

python tools/threats.py; exit 1 when a row has no test or one failed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from defusedxml import ElementTree

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests.threats.rows import ROWS  # noqa: E402


def main() -> int:
    """Print the table; 0 when every row's tests passed."""
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.xml"
        command = [
            "-m",
            "pytest",
            "-q",
            "-n",
            "2",
            "-p",
            "no:cacheprovider",
            "--junitxml",
            str(report),
            "tests/threats",
        ]
        done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
        ends = outcomes(report) if report.exists() else {}
    for number, row in ROWS.items():
        names, counted = ends.get(number, (set(), Counter()))
        told = ", ".join(f"{many} {end}" for end, many in sorted(counted.items())) or "NO TEST"
        print(f"{number:2}  {told:22}  {row.entry} ({row.attacker})")
        print(f"    against it: {row.against}")
        print(f"    {', '.join(sorted(names))}\n")
    good = all(set(ends.get(number, (set(), Counter()))[1]) == {"passed"} for number in ROWS)
    if not good or done.returncode:
        print(done.stdout[-4000:], file=sys.stderr)
    return 0 if good and done.returncode == 0 else 1


def outcomes(report: Path) -> dict[int, tuple[set[str], Counter[str]]]:
    """Of each row the names of its tests and how many ended in which way."""
    found: dict[int, tuple[set[str], Counter[str]]] = defaultdict(lambda: (set(), Counter()))
    for case in ElementTree.parse(report).iter("testcase"):
        match = re.match(r"(test_threat_(\d\d)_\w+)", case.get("name", ""))
        if match:
            names, counted = found[int(match[2])]
            names.add(match[1])
            # A test that was skipped has shown nothing.
            bad = {part.tag for part in case} & {"failure", "error", "skipped"}
            counted["failed" if bad else "passed"] += 1
    return found


if __name__ == "__main__":
    sys.exit(main())
