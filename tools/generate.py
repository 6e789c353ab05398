"""Write the files that follow from the inputs and the run record, or with --check say which are stale."""

from __future__ import annotations

import sys
from pathlib import Path

from accel_ci.doctor import findings
from accel_ci.domain import record
from accel_ci.inputs import manifest


def stale(root: Path) -> dict[str, str]:
    """The generated files below `root` that are not as they should be: what they should hold, by path."""
    texts = {path: (root / path).read_text(encoding="utf-8") for path in manifest.sources()}
    files = manifest.generated(texts) | {
        "docs/run-record.schema.json": record.schema(),
        "docs/doctor.md": findings.guide(),
    }
    return {path: text for path, text in files.items() if _read(root / path) != text}


def main(arguments: list[str], root: Path) -> int:
    """0 when everything is fresh or was written; 1 with --check when something is stale."""
    changed = stale(root)
    if arguments == ["--check"]:
        for path in changed:
            print(f"{path} is stale: run `{manifest.COMMAND}`")
        return 1 if changed else 0
    for path, text in changed.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent.parent))
