"""`accel-ci doctor` as people and CI call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from accel_ci.adapters import workflow_files
from accel_ci.doctor import examine, findings
from accel_ci.domain.errors import ConfigurationError
from accel_ci.formats import yaml_tree
from tests.doctor import seed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One with a wrong and a right workflow."""
    place = tmp_path / ".github/workflows"
    place.mkdir(parents=True)
    (place / "tpu.yml").write_text(seed.NIGHTLY, encoding="utf-8")
    (place / "right.yaml").write_text("on: push\njobs: {}\n")
    (place / "README.md").write_text("no workflow")
    return tmp_path


def doctor(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "accel_ci", "doctor", *words]
    environ = {"PATH": os.environ["PATH"], "HOME": str(directory)}
    return subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_without_words_it_looks_where_workflows_are(repository: Path) -> None:
    """Place, rule, message, why and mend; each rule is explained once; exit code 1."""
    done = doctor(repository)
    assert done.returncode == 1, done.stderr
    assert ".github/workflows/tpu.yml:11:3: name-clash-on-rerun: a second attempt" in done.stdout
    assert done.stdout.count("unpinned-action:") == 5 and done.stdout.count("A tag or a branch can be moved") == 1
    assert "    mend:\n      env:\n        NAME: ci-" in done.stdout
    assert done.stdout.endswith("19 findings in 1 file. Each rule: docs/doctor.md\n")


def test_nothing_found_is_0(repository: Path) -> None:
    """A clean file, named, ends with 0."""
    done = doctor(repository, ".github/workflows/right.yaml")
    assert (done.returncode, done.stdout) == (0, "Nothing found.\n")


def test_a_repository_stands_for_its_workflows(repository: Path) -> None:
    """A directory that has `.github/workflows` means those; what is named twice is looked at once."""
    done = doctor(repository.parent, repository.name, f"{repository.name}/.github/workflows")
    assert done.returncode == 1 and "19 findings in 1 file" in done.stdout


def test_programs_get_json(repository: Path) -> None:
    """--json is one list of objects with place, rule, message and mend, and nothing else."""
    done = doctor(repository, "--json", ".github/workflows/tpu.yml")
    rows = json.loads(done.stdout)
    assert done.returncode == 1
    assert {frozenset(row) for row in rows} == {frozenset(("path", "line", "column", "rule", "message", "mend"))}
    assert {row["rule"] for row in rows} >= {"verdict-by-grep", "hidden-failure-of-delete"}


def test_what_is_not_there_is_a_mistake(repository: Path) -> None:
    """Each path without a workflow is named, exit code 2."""
    done = doctor(repository, "nowhere", "neither.yml")
    assert done.returncode == 2 and "nowhere, neither.yml" in done.stdout + done.stderr


def test_only_regular_files_of_bounded_size_are_read(tmp_path: Path) -> None:
    """A link is refused, a pipe is empty and does not block, of a giant no more than the limit is read."""
    (tmp_path / "giant.yml").write_bytes(b"#" * 1_000_000)
    ((_, content),) = workflow_files.read([str(tmp_path)])
    assert len(content) == yaml_tree.MAX_BYTES + 1
    os.mkfifo(tmp_path / "pipe.yml")
    assert dict(workflow_files.read([str(tmp_path)]))[str(tmp_path / "pipe.yml")] == b""
    (tmp_path / "link.yml").symlink_to("/etc/passwd")
    with pytest.raises(ConfigurationError, match=r"link\.yml cannot be read: links are not followed"):
        workflow_files.read([str(tmp_path)])


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of more workflows than anybody has is not gone through."""
    monkeypatch.setattr(workflow_files, "MAX_FILES", 2)
    for number in range(3):
        (tmp_path / f"{number}.yml").touch()
    with pytest.raises(ConfigurationError, match="3 workflows are too many"):
        workflow_files.read([str(tmp_path)])


def test_without_pyyaml_it_says_what_to_install(repository: Path) -> None:
    """The library is an extra; without it there is a sentence, not a traceback."""
    script = "import sys; sys.modules['yaml'] = None; from accel_ci import cli; sys.exit(cli.main(['doctor']))"
    environ = {"PATH": os.environ["PATH"], "HOME": str(repository), "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=repository, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install 'accel-ci[doctor]'" in done.stdout + done.stderr


def test_names_from_the_file_stay_one_line() -> None:
    """A job whose name holds a line break and a workflow command cannot make a line of its own."""
    text = 'on: push\njobs:\n  "a\\n::error::b":\n    steps: [{run: x}]\n'
    shown = findings.text(examine.examine("x\n::error::y.yml", text.encode()))
    assert not [line for line in shown.splitlines() if line.startswith("::")]


def test_the_page_has_every_rule() -> None:
    """docs/doctor.md names each rule once, with its mend."""
    page = (ROOT / "docs/doctor.md").read_text(encoding="utf-8")
    assert page == findings.guide()
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == [rule.name for rule in examine.RULES]


def test_a_directory_with_a_workflows_name_is_passed_over(repository: Path) -> None:
    """GitHub reads files only; the directory's own name leads to no error of ours."""
    (repository / ".github/workflows/old.yml").mkdir()
    assert doctor(repository).returncode == 1
    assert "old.yml" not in doctor(repository).stdout
