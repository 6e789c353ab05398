"""A share of the killed jobs of `make kills`: whatever is killed when, those who are left leave no machine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.end_to_end import kills
from tests.end_to_end.kills import BUDGET_S, SCENES, Jobs, Kill

SEEDS = range(60, 60 + len(SCENES))
pytestmark = pytest.mark.judge("ssh", "node")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Kill]]:
    """One killed job of each scene, two at a time."""
    jobs = Jobs(tmp_path_factory.mktemp("kills"))
    with ThreadPoolExecutor(2) as pool:
        yield {kill.scene: kill for kill in pool.map(jobs.kill, SEEDS)}


@pytest.mark.parametrize("scene", SCENES)
def test_no_machine_is_left(killed: dict[str, Kill], scene: str) -> None:
    """After the scene's cleanup, inside the time that a cancelled job has, the cloud's own ledger has no living machine."""
    kill = killed[scene]
    assert kill.left == [] and kill.clean_after_s < BUDGET_S, kill


def test_the_table_counts_them(killed: dict[str, Kill]) -> None:
    """The table has each killed job once, and says how many machines are left."""
    table = kills.table([*killed.values()])
    assert table.splitlines()[-1].startswith(f"{len(SCENES)} jobs killed") and table.endswith(", 0 left")
    assert all(scene in table for scene in SCENES)
