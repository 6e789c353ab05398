"""What may and what may not be committed."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.house import source_tree
from tests.house.source_tree import REPOSITORY

ACTION_NEEDS = [
    "LICENSE",
    "action.yml",
    "provision/action.yml",
    "actions/provision/action.yml",
    "actions/internal/setup/setup.sh",
    "requirements/runtime.txt",
    "requirements/github.txt",
    "src/accel_ci/cli.py",
    "src/accel_ci/on_machine/supervisor.py",
]
NOT_NEEDED = ["tests/README.md", "docs/architecture.md", "bench/startup.py", "requirements/dev.txt", "tools/lock.py"]
BINARY = (".png", ".gz", ".zip", ".bundle")


def git(*arguments: str) -> str:
    """What git answers in this repository."""
    return subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout


def texts() -> dict[str, str]:
    """Every text file that is or would be committed."""
    names = [name for name in source_tree.files() if not name.endswith(BINARY)]
    return {name: (REPOSITORY / name).read_text(encoding="utf-8", errors="replace") for name in names}


def test_there_are_no_symbolic_links() -> None:
    """One dangling link anywhere breaks the download of every action for every user (actions/runner #4626)."""
    assert [line for line in git("ls-files", "-s").splitlines() if line.startswith("120000")] == []
    assert [name for name in source_tree.files() if (REPOSITORY / name).is_symlink()] == []


def test_no_file_names_a_place_on_somebody_s_computer() -> None:
    """No home directory and not this checkout's own path is written down anywhere."""
    homes = "/home/(?!runner\\b|user\\b|you\\b)[a-z]|/Users/[A-Za-z]|/root/[.A-Za-z]"
    pattern = re.compile(rf"(?<![\w.~-])(?:{homes}|{re.escape(str(REPOSITORY))}/)")
    found = {name: match.group() for name, text in texts().items() if (match := pattern.search(text))}
    found.pop("tests/house/test_repository.py", None)
    assert found == {}


def test_no_file_names_a_download_address() -> None:
    """Packages come from wherever the user's own pip, uv or npm looks; no file says where."""
    pattern = re.compile(r"https?://[^\s\"')<>]*(?:\.(?:whl|tgz|tar\.gz)\b|/simple/?(?=[\s\"')]|$))")
    found = {name: match.group() for name, text in texts().items() if (match := pattern.search(text))}
    assert found == {}


def test_links_between_documents_lead_somewhere() -> None:
    """A relative link in a document points to a file of this repository."""
    link = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
    found = {
        (name, target)
        for name, text in texts().items()
        if name.endswith(".md")
        for target in link.findall(text)
        if not (REPOSITORY / name).parent.joinpath(target).exists()
    }
    assert found == set()


def test_scripts_can_be_run() -> None:
    """Shell scripts carry the executable bit, which actions and CI rely on."""
    scripts = [name for name in source_tree.files() if name.endswith(".sh") or name == ".ci/run"]
    assert scripts
    assert [name for name in scripts if not (REPOSITORY / name).stat().st_mode & 0o100] == []


@pytest.mark.parametrize(("names", "left_out"), [(ACTION_NEEDS, False), (NOT_NEEDED, True)])
def test_a_job_downloads_what_it_needs_and_no_more(names: list[str], *, left_out: bool) -> None:
    """The archive that every job downloads holds the actions and the program, without tests, docs and tools."""
    answers = git("check-attr", "export-ignore", "--", *[part for name in names for part in parents(name)])
    ignored = {line.split(": ")[0] for line in answers.splitlines() if line.endswith(": set")}
    assert [name for name in names if bool(ignored & set(parents(name))) is not left_out] == []


def parents(name: str) -> list[str]:
    """The path and the folders above it, as git asks for their attributes."""
    folders = name.split("/")[:-1]
    return [name, *("/".join(folders[: depth + 1]) + "/" for depth in range(len(folders)))]


def test_workflows_begin_without_permissions() -> None:
    """Every workflow of our own says `permissions: {}` on top, so that each job asks for what it needs."""
    names = [name for name in source_tree.files() if name.startswith(".github/workflows/")]
    assert names
    assert [name for name in names if yaml.safe_load((REPOSITORY / name).read_text()).get("permissions") != {}] == []
