"""python -m tests.world.bank: put each known bug in and see how soon a rule breaks. Prints the list and the score."""

from __future__ import annotations

import argparse
import importlib
import sys
import time

import pytest

from accel_ci_sim.direct import crowd
from tests.world import known_bugs
from tests.world.known_bugs import Mutant

LEAST = 0.95
MODULES = ("mutants", "mutants_cloud", "mutants_gce", "mutants_github", "mutants_shared", "mutants_walk")


def every() -> list[Mutant]:
    """All known bugs."""
    for module in MODULES:
        importlib.import_module(f"tests.world.{module}")
    return known_bugs.BANK


def main(argv: list[str] | None = None) -> int:
    """0 when at least 95 % were found within their worlds, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.world.bank", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="processes to use")
    jobs = parser.parse_args(argv).jobs
    began_at, bank, found = time.perf_counter(), every(), 0
    print(f"{'known bug':<58}{'worlds':>8}{'at most':>9}  {'rule':<10} where")
    with crowd.of(jobs) as spread:
        for mutant, result in zip(bank, spread(looked_for, range(len(bank))), strict=True):
            took, rule = result or ("-", "NOT FOUND")
            found += result is not None
            print(f"{mutant.name:<58}{took:>8}{mutant.within:>9}  {rule:<10} {mutant.where}", flush=True)
    seconds = time.perf_counter() - began_at
    print(
        f"score: {found} of {len(bank)} found ({found / len(bank):.0%}) in {seconds:.0f} s; at least {LEAST:.0%} are asked"
    )
    return 0 if found >= LEAST * len(bank) else 1


def looked_for(number: int) -> tuple[int, str] | None:
    """What came of one bug, in this process."""
    mutant = every()[number]
    with pytest.MonkeyPatch.context() as patch:
        mutant.patch(patch)
        return known_bugs.found_in(mutant)


if __name__ == "__main__":
    sys.exit(main())
