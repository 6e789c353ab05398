"""The lock files: complete, hashed, in step with pyproject.toml and with one another, and free of addresses."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.house.source_tree import REPOSITORY

FOLDER = REPOSITORY / "requirements"
PACKAGE_LOCKS = ["tools/workflow-parser/package-lock.json"]
LOCKS = sorted(path.stem for path in FOLDER.glob("*.txt"))
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
DIRECT: dict[str, list[str]] = {
    "runtime": PROJECT["project"]["dependencies"],
    "dev": [*PROJECT["dependency-groups"]["dev"], *PROJECT["build-system"]["requires"]],
    **EXTRAS,
}
ENTRY = re.compile(
    r"^([A-Za-z0-9._-]+)==([^ ;]+)(?: ; [^\\]+)? \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def pins(lock: str) -> dict[str, str]:
    """The version of each package that the lock pins with at least one hash."""
    return {name.lower(): version for name, version, _ in ENTRY.findall((FOLDER / f"{lock}.txt").read_text())}


def test_there_is_one_lock_for_each_way_to_install() -> None:
    """The program, each extra and development have a lock; there is no other file."""
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(f"{name}.txt" for name in DIRECT)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_versions_and_hashes_and_nothing_else(lock: str) -> None:
    """Every line belongs to a hashed pin or is a comment; no address, option or path of any computer is in the file."""
    text = (FOLDER / f"{lock}.txt").read_text()
    rest = [line for line in ENTRY.sub("", text).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert rest == []
    assert "://" not in text
    assert not re.search(r"(^|\s)(--(?!hash=sha256:)|/)\S", text)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_satisfies_what_is_declared(lock: str) -> None:
    """Each requirement in pyproject.toml is pinned in its lock, in a version that it allows: `make lock` was run."""
    pinned = pins(lock)
    wanted = [Requirement(text) for text in DIRECT[lock]]
    stale = [str(each) for each in wanted if Version(pinned.get(each.name.lower(), "0")) not in each.specifier]
    assert stale == []
    assert all(each.name.lower() in pinned for each in wanted)


def test_the_locks_agree_on_versions() -> None:
    """What users run is what was tested: development has the program's and every extra's versions."""
    dev, runtime = pins("dev"), pins("runtime")
    for lock in ("runtime", *EXTRAS):
        assert pins(lock).items() <= dev.items()
        assert all(runtime.get(name, version) == version for name, version in pins(lock).items())


@pytest.mark.parametrize("lock", PACKAGE_LOCKS, ids=str)
def test_a_package_lock_holds_versions_and_hashes_and_no_addresses(lock: str) -> None:
    """Each npm package is locked by version and hash, and comes from wherever this computer's npm gets packages."""
    document = json.loads((REPOSITORY / lock).read_text())
    packages = {name: each for name, each in document["packages"].items() if name}
    assert packages and all(each["integrity"].startswith("sha512-") for each in packages.values())
    assert not any("resolved" in each for each in packages.values())
