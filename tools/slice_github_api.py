"""Cuts what we use out of GitHub's published OpenAPI description, and its examples: see tests/wire/github/README.md.

python tools/slice_github_api.py DESCRIPTION, the description being generated/api.github.com.json of @octokit/openapi.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SLICE = ROOT / "tests/wire/github/openapi.json"
EXAMPLES = ROOT / "src/accel_ci_sim/wire/github_examples.json"
REPOSITORY = "/repos/{owner}/{repo}"
OPERATIONS = {
    "": "get",
    "/collaborators/{username}/permission": "get",
    "/pulls/{pull_number}": "get",
    "/pulls/{pull_number}/files": "get",
    "/pulls/{pull_number}/reviews": "get",
    "/activity": "get",
    "/issues": "get post",
    "/issues/{issue_number}": "get patch",
    "/issues/{issue_number}/labels": "post",
    "/issues/{issue_number}/labels/{name}": "delete",
    "/issues/{issue_number}/comments": "get post",
    "/issues/comments/{comment_id}": "patch delete",
    "/issues/comments/{comment_id}/reactions": "post",
    "/check-runs": "post",
    "/check-runs/{check_run_id}": "patch",
    "/commits": "get",
    "/commits/{ref}/check-runs": "get",
    "/actions/workflows/{workflow_id}/runs": "get",
    "/actions/runs/{run_id}": "get",
    "/actions/runs/{run_id}/jobs": "get",
    "/actions/runs/{run_id}/cancel": "post",
    "/actions/runs/{run_id}/force-cancel": "post",
}
# What the simulated GitHub lays its own facts over: one object of each kind, from these operations' examples.
SEEDS = {
    "collaborator": ("/collaborators/{username}/permission", "get", ()),
    "pull": ("/pulls/{pull_number}", "get", ()),
    "file": ("/pulls/{pull_number}/files", "get", (0,)),
    "review": ("/pulls/{pull_number}/reviews", "get", (0,)),
    "reaction": ("/issues/comments/{comment_id}/reactions", "post", ()),
    "issue": ("/issues/{issue_number}", "patch", ()),
    "comment": ("/issues/{issue_number}/comments", "get", (0,)),
    "commit": ("/commits", "get", (0,)),
    "check": ("/commits/{ref}/check-runs", "get", ("check_runs", 0)),
    "run": ("/actions/runs/{run_id}", "get", ()),
    "job": ("/actions/runs/{run_id}/jobs", "get", ("jobs", 0)),
    "label": ("/issues/{issue_number}/labels", "post", (0,)),
    "repository": ("", "get", ()),
}
NOT_NEEDED = {"template_repository", "parent", "source", "temp_clone_token", "pinned_comment"}
PROSE = {
    "description",
    "summary",
    "externalDocs",
    "example",
    "examples",
    "tags",
    "x-github",
    "x-github-breaking-changes",
}


def main(arguments: list[str]) -> int:
    """Write both files; 0."""
    whole = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    paths = {
        f"{REPOSITORY}{path}": {"parameters": []}
        | {verb: whole["paths"][f"{REPOSITORY}{path}"][verb] for verb in verbs.split()}
        for path, verbs in OPERATIONS.items()
    }
    cut: dict[str, Any] = {"openapi": whole["openapi"], "info": whole["info"] | {"x-cut-from": "@octokit/openapi"}}
    cut |= {"paths": plain(paths), "components": {}}
    pending = list(references(cut["paths"]))
    while pending:
        kind, name = pending.pop()
        known = cut["components"].setdefault(kind, {})
        if name not in known:
            known[name] = plain(whole["components"][kind][name])
            pending += references(known[name])
    write(SLICE, cut)
    write(EXAMPLES, {kind: seed(whole, *place) for kind, place in SEEDS.items()})
    return 0


def plain(node: Any, *, names: bool = False) -> Any:
    """The node without prose; below `properties` the keys are names, which all stay."""
    if isinstance(node, list):
        return [plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if names or key not in PROSE}
    return {key: plain(value, names=key == "properties" and not names) for key, value in kept.items()}


def references(node: Any) -> Iterator[tuple[str, str]]:
    """Every (kind, name) of a component that the node refers to."""
    if isinstance(node, list):
        for each in node:
            yield from references(each)
    elif isinstance(node, dict):
        match = re.fullmatch(r"#/components/([^/]+)/([^/]+)", str(node.get("$ref", "")))
        if match:
            yield match[1], match[2]
        for each in node.values():
            yield from references(each)


def seed(whole: dict[str, Any], path: str, verb: str, inside: tuple[str | int, ...]) -> Any:
    """The first example of the operation's good answer, or the part of it that lies at `inside`."""
    responses = whole["paths"][f"{REPOSITORY}{path}"][verb]["responses"]
    examples = responses["200"]["content"]["application/json"]["examples"]
    found = examples.get("default") or next(iter(examples.values()))
    if "$ref" in found:
        found = whole["components"]["examples"][found["$ref"].rsplit("/", 1)[-1]]
    value = found["value"]
    for step in inside:
        value = value[step]
    return {name: part for name, part in value.items() if name not in NOT_NEEDED}


def write(path: Path, document: Any) -> None:
    """The document as JSON, one line per second-level entry, so that a difference can be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=True, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
