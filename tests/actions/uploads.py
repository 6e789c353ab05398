"""A stand-in for actions/upload-artifact: an action that keeps what it is given where a test can look."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "https://github.com/org/hello/actions/runs/77/artifacts/5"
ACTION = f"""name: stand-in
description: Keeps its inputs, and what lies at the paths, below KEPT
inputs: {{name: {{}}, path: {{}}, if-no-files-found: {{}}, retention-days: {{}}, overwrite: {{}}, include-hidden-files: {{}}}}
outputs:
  artifact-url: {{value: "${{{{ steps.keep.outputs.artifact-url }}}}"}}
runs:
  using: composite
  steps:
    - id: keep
      shell: bash
      env: {{INPUTS: "${{{{ toJSON(inputs) }}}}", PATHS: "${{{{ inputs.path }}}}", NAME: "${{{{ inputs.name }}}}"}}
      run: |
        mkdir -p "KEPT/$NAME"
        printf '%s' "$INPUTS" > "KEPT/$NAME.json"
        while read -r path; do [ ! -e "$path" ] || cp -r "$path" "KEPT/$NAME/"; done <<< "$PATHS"
        echo "artifact-url={ADDRESS}" >> "$GITHUB_OUTPUT"
"""


def pinned() -> str:
    """The release that collect uses, as a workflow writes it: actions/upload-artifact@<commit>."""
    (found,) = re.findall(r"uses: (\S+) #", (ROOT / "collect/action.yml").read_text(encoding="utf-8"))
    return str(found)


def mapped(base: Path, *, server: str = "") -> list[str]:
    """act's options that put the stand-in, made below `base`, where the release would come from."""
    action = base / "upload-artifact/action.yml"
    action.parent.mkdir(exist_ok=True)
    action.write_text(ACTION.replace("KEPT", str(base / "kept")), encoding="utf-8")
    return ["--local-repository", f"{server and server + '/'}{pinned()}={action.parent}"]


def inputs(base: Path) -> dict[str, Any]:
    """What the one upload was called with."""
    (file,) = (base / "kept").glob("*.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def kept(base: Path) -> dict[str, set[str]]:
    """The names of the uploaded files by artifact."""
    folders = (path for path in (base / "kept").iterdir() if path.is_dir())
    return {
        folder.name: {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
        for folder in folders
    }
