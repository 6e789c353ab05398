"""What courier.py and doors.py answer, read as if an attacker had written it: ValueError for what cannot be one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from accel_ci.adapters import transport
from accel_ci.domain import grant
from accel_ci.domain.doors import Tried
from accel_ci.domain.workload import Package, Unpacked
from accel_ci.formats import output

DOOR = re.compile("[a-z]{1,20}")
MOST_DOORS = 50
OBSTACLE = 600


def unpacked(told: Mapping[str, object], package: Package) -> Unpacked:
    """What became of the package on one worker: the very commits that were sent, or what keeps them from being merged."""
    found = Unpacked(
        sha=_text(told, "sha"),
        base=_text(told, "base"),
        merge=_text(told, "merge"),
        tree=_text(told, "tree"),
        obstacle=output.one_line(_text(told, "obstacle"), OBSTACLE),
        submodules=_count(told, "submodules"),
        lfs=_count(told, "lfs"),
    )
    if (found.sha, found.base) != (package.sha or "", package.base):
        raise ValueError(f"it unpacked {found.sha!r} and {found.base!r}")
    # They are shown as links and names on GitHub: nothing but what git could have said.
    wanted = bool(package.base) and not found.obstacle
    if any(bool(re.fullmatch(grant.SHA, name)) != wanted for name in (found.merge, found.tree)):
        raise ValueError("it names no merge" if wanted else "it names a merge that nobody asked for")
    return found


def doors(told: Mapping[str, object], *, worker: int) -> Tried:
    """What one worker tried from inside, and what stands open there."""
    names, opened = told.get("tried"), told.get("open")
    if not isinstance(names, list) or not isinstance(opened, dict) or len(names) + len(opened) > MOST_DOORS:
        raise ValueError("no word about its doors")
    if not all(isinstance(name, str) and DOOR.fullmatch(name) for name in (*names, *opened)):
        raise ValueError("a door without a name")
    found = {name: transport.plain(str(how).encode("utf-8", "replace")) for name, how in opened.items()}
    return Tried(worker=worker, names=tuple(names), open=found)


def _text(told: Mapping[str, object], name: str) -> str:
    value = told.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"a {name} that is no text")
    return value


def _count(told: Mapping[str, object], name: str) -> int:
    value = told.get(name, 0)
    # `type`, not isinstance: True is an int as well.
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise ValueError(f"a {name} that is no number")
    return value
