"""Four judges on every workflow, action and example of the repository: `make lint-actions`, or with the files to look at.

zizmor (auditor persona), actionlint, GitHub's schemas by check-jsonschema, and the parser that GitHub itself uses. The last
needs node, npm and, once, the network: where they are missing it is named as not run, and in CI (`CI=true`) that is a failure.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARSER = ROOT / "tools/workflow-parser"
SCRIPTS = Path(sys.executable).parent
# `cache-mode` is unknown to GitHub's own parser and to Enterprise Server; our workflow uses no cache that it could limit.
NO_CACHE = ["-ignore", 'call "org/accel-ci/.*" has no explicit cache access limit']
OTHER_CIS = {".circleci/config.yml": "vendor.circle-ci", ".buildkite/pipeline.yml": "vendor.buildkite"}


def main(arguments: Sequence[str]) -> int:
    """0 when no judge has anything to say, else 1; what they say is printed, each finding with its file."""
    files = list(arguments) or tracked()
    silent = [judge([SCRIPTS / command[0], *command[1:]]) for command in commands(files)]
    return 0 if all([*silent, judged_by_github(github(files))]) else 1


def tracked() -> list[str]:
    """Everything in the repository that a CI reads, also what git does not know yet."""
    patterns = (".github/workflows/*.yml", "examples/*.yml", "action.yml", "*/action.yml")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def github(files: Sequence[str]) -> list[str]:
    """Those that are for GitHub."""
    return [name for name in files if not name.endswith(tuple(OTHER_CIS))]


def commands(files: Sequence[str]) -> Iterator[list[str]]:
    """The judges that come with the development environment, each with what it reads."""
    actions = [name for name in github(files) if Path(name).name == "action.yml"]
    workflows = [name for name in github(files) if name not in actions]
    yield ["zizmor", "--offline", "--quiet", "--persona", "auditor", "--config", ".github/zizmor.yml", *github(files)]
    if workflows:
        # A pyflakes or shellcheck that happens to be on this computer must not change the answer.
        quiet = ["-no-color", "-pyflakes", "", *NO_CACHE]
        yield ["actionlint", *quiet, "-shellcheck", str(SCRIPTS / "shellcheck"), *workflows]
    schemas = {"vendor.github-workflows": workflows, "vendor.github-actions": actions}
    for end, schema in OTHER_CIS.items():
        schemas[schema] = [name for name in files if name.endswith(end)]
    for schema, names in schemas.items():
        if names:
            yield ["check-jsonschema", "--quiet", "--builtin-schema", schema, *names]


def judged_by_github(files: Sequence[str]) -> bool:
    """True when GitHub's own parser, which is installed when its lock changed, has nothing to find; not run, it is named."""
    node, npm = shutil.which("node"), shutil.which("npm")
    lacking = installed(npm) if node and npm else "node and npm are not installed"
    if node and not lacking:
        return judge([node, PARSER / "check.mjs", *files])
    print(f"not run here: GitHub's own parser of workflows ({lacking})", file=sys.stderr)
    return os.environ.get("CI") != "true"


def installed(npm: str) -> str:
    """Why the parser could not be installed; "" when it is there, as its lock says."""
    lock, made_from = PARSER / "package-lock.json", PARSER / "node_modules/made-from"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if made_from.exists() and made_from.read_text() == wanted:
        return ""
    install = [npm, "ci", "--loglevel=error", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(PARSER)]
    done = subprocess.run(install, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return f"`npm ci` ended with {done.returncode}: {done.stderr.strip()[-500:]}"
    made_from.write_text(wanted)
    return ""


def judge(command: Sequence[str | Path]) -> bool:
    """True when the command had nothing to find."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
