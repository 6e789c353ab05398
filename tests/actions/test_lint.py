"""The judges of `make lint-actions`: each finds what it is there for, and what is shipped has no unexplained finding."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import lint_actions

ROOT = Path(__file__).resolve().parents[2]
GOOD = """name: Small
on: {push: {branches: [main]}}
permissions: {}
concurrency: {group: small}
jobs:
  say:
    runs-on: ubuntu-latest
    timeout-minutes: 5
    steps:
      - run: echo hello
"""
SEEDS = {
    "an expression in a script": ("echo hello", "echo ${{ github.event.head_commit.message }}"),
    "an action without a commit": ("- run: echo hello", "- uses: actions/checkout@v6"),
    "a step's output that nobody writes": ("echo hello", "echo ${{ steps.nobody.outputs.x }}"),
    "a key that GitHub does not know": ("timeout-minutes", "timeout-hours"),
    "a shell mistake": ("echo hello", "rm $HOME/$UNQUOTED"),
    "a need that leads nowhere": ("    timeout-minutes", "    needs: nowhere\n    timeout-minutes"),
}


def found(*files: Path | str, **environ: str) -> tuple[int, str]:
    """The exit code and what the judges say; `environ` is all that they see of the environment."""
    command = [sys.executable, ROOT / "tools/lint_actions.py", *files]
    done = subprocess.run(
        command, cwd=ROOT, env=environ or None, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.judge("node")
@pytest.mark.judge("npm")
def test_a_workflow_without_mistakes(tmp_path: Path) -> None:
    """The judges have nothing to say about a small and careful workflow."""
    (tmp_path / "small.yml").write_text(GOOD)
    assert found(tmp_path / "small.yml")[0] == 0


@pytest.mark.judge("node")
@pytest.mark.judge("npm")
def test_seeded_mistakes_are_found(tmp_path: Path) -> None:
    """Each of the usual mistakes fails the target, and the file is named."""
    files = {seed: tmp_path / f"{seed.replace(' ', '-')}.yml" for seed in SEEDS}
    for seed, file in files.items():
        file.write_text(GOOD.replace(*SEEDS[seed]))
    code, told = found(*files.values())
    assert code == 1
    assert [seed for seed, file in files.items() if file.name not in told] == []


@pytest.mark.judge("node")
@pytest.mark.judge("npm")
@pytest.mark.parametrize(
    ("written", "instead", "told"),
    [
        ("shell: bash", "shel: bash", "Unexpected value 'shel'"),
        ("inputs.who", "secrets.who", "Unrecognized named-value: 'secrets'"),
    ],
)
def test_githubs_parser_reads_actions(tmp_path: Path, written: str, instead: str, told: str) -> None:
    """GitHub's own parser finds what only it knows: an action's unknown keys and contexts."""
    action = "name: a\ndescription: b\ninputs: {who: {}}\nruns:\n  using: composite\n  steps:\n"
    action += "    - shell: bash\n      env: {WHO: '${{ inputs.who }}'}\n      run: echo \"$WHO\"\n"
    (tmp_path / "action.yml").write_text(action)
    assert lint_actions.judged_by_github([str(tmp_path / "action.yml")])
    (tmp_path / "action.yml").write_text(action.replace(written, instead))
    assert told in found(tmp_path / "action.yml")[1]


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_without_node_the_parser_is_named(tmp_path: Path, ci: str, code: int) -> None:
    """On a computer without node GitHub's parser is named as not run; in CI that is a failure."""
    (tmp_path / "small.yml").write_text(GOOD)
    got, told = found(tmp_path / "small.yml", PATH=str(tmp_path), CI=ci, HOME=str(tmp_path))
    assert got == code and "not run here: GitHub's own parser" in told


@pytest.mark.parametrize(("ci", "fine"), [("", True), ("true", False)])
def test_an_npm_that_cannot_install_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, ci: str, fine: bool
) -> None:
    """Without the network the parser is named as not run, with npm's own words; in CI that is a failure."""
    (tmp_path / "package-lock.json").write_text("{}")
    for name, words in (("node", "exit 0"), ("npm", "echo no way out >&2; exit 7")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{words}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(lint_actions, "PARSER", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CI", ci)
    assert lint_actions.judged_by_github([]) is fine
    assert "`npm ci` ended with 7: no way out" in capsys.readouterr().err


def test_everything_that_a_ci_reads_is_looked_at() -> None:
    """All workflows, actions, examples and other CIs' files are in the list; generated and internal ones too."""
    listed = lint_actions.tracked()
    assert {"action.yml", "provision/action.yml", "actions/internal/always-cleanup/action.yml"} < set(listed)
    assert {".github/workflows/test.yml", "examples/workflows/nightly.yml"} < set(listed)
    assert {"examples/other-ci/.circleci/config.yml", "examples/other-ci/.buildkite/pipeline.yml"} < set(listed)


def test_whatever_is_ignored_is_explained() -> None:
    """Beside each ignored finding stands why it may be."""
    for name in lint_actions.tracked():
        for reason in re.findall(r"# zizmor: ignore\[[a-z-]+\](.*)", (ROOT / name).read_text(encoding="utf-8")):
            assert len(reason.split()) >= 3, name
