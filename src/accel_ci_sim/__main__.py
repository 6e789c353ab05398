"""python -m accel_ci_sim simulate: run accel-ci in many simulated worlds and look for broken rules."""

from __future__ import annotations

import argparse
import sys
import time

from accel_ci_sim.direct import campaign, sites
from accel_ci_sim.direct.tally import Found, Tally
from accel_ci_sim.world.faults import FATES, Aim, Fate

SHOWN = 20


def main(argv: list[str] | None = None) -> int:
    """0 when no rule was broken, 1 otherwise."""
    arguments = _arguments(argv)
    if arguments.world is not None:
        return _replay(arguments)
    began_at = time.perf_counter()
    worlds = range(arguments.first, arguments.first + arguments.worlds)
    tally = campaign.run(arguments.seed, worlds, rate=arguments.faults, jobs=arguments.jobs)
    if arguments.coverage:
        campaign.complete(arguments.seed, tally, rate=arguments.faults)
    print(summary(tally, seconds=time.perf_counter() - began_at))
    if arguments.coverage:
        print(coverage(tally))
    for found in tally.found[:SHOWN]:
        print(f"violation: {found.violation}\n  replay: {replay_command(arguments.seed, arguments.faults, found)}")
    return 1 if tally.found else 0


def summary(tally: Tally, *, seconds: float) -> str:
    """The campaign's figures, a line each."""
    fates = {fate: sum(n for (_, met), n in tally.fated.items() if met is fate) for fate in FATES[1:]}
    verdicts = sorted(tally.verdicts.items(), key=lambda each: -each[1])
    return "\n".join(
        (
            f"worlds:     {tally.worlds:,} in {seconds:.1f} s, {tally.worlds / seconds:,.0f} a second",
            f"runs:       {tally.runs:,} ({tally.processes:,} processes, {tally.machines:,} machines)",
            f"port calls: {sum(tally.calls.values()):,}",
            f"faults:     {sum(fates.values()):,} ({', '.join(f'{fate.value} {n:,}' for fate, n in fates.items())})",
            f"verdicts:   {', '.join(f'{verdict} {n:,}' for verdict, n in verdicts)}",
            f"trace:      {_hexadecimal(tally.trace)}",
            f"violations: {len(tally.found):,}",
        )
    )


def coverage(tally: Tally) -> str:
    """A table: how often each call of each port met each fate; a dash where a fate cannot come."""
    rows = [f"{'port call':<26}{'calls':>12}" + "".join(f"{fate.value:>14}" for fate in FATES[1:])]
    for site in sites.SITES:
        if site.name not in sites.UNUSED:
            cells = (f"{tally.fated[site.number, fate]:,}" if fate in site.fates else "-" for fate in FATES[1:])
            rows.append(f"{site.name:<26}{tally.calls[site.number]:>12,}" + "".join(f"{cell:>14}" for cell in cells))
    rows.append(f"not called by these use cases: {', '.join(sorted(sites.UNUSED))}")
    return "\n".join(rows)


def _replay(arguments: argparse.Namespace) -> int:
    tally, lines = campaign.one(arguments.seed, arguments.world, rate=arguments.faults, aims=tuple(arguments.aim))
    print("\n".join(lines))
    print(f"trace: {_hexadecimal(tally.trace)}, violations: {len(tally.found)}")
    return 1 if tally.found else 0


def replay_command(seed: int, rate: float, found: Found) -> str:
    """The command that shows the world of the violation again."""
    aims = "".join(f" --aim {_named(aim)}" for aim in found.aims)
    return f"python -m accel_ci_sim simulate --seed {seed} --faults {rate} --world {found.world}{aims}"


def _named(aim: Aim) -> str:
    """site:nth:fate, and the role where one is meant."""
    role = f":{aim.role}" if aim.role else ""
    return f"{sites.SITES[aim.site].name}:{aim.nth}:{aim.fate.value}{role}"


def _hexadecimal(trace: int) -> str:
    return f"{trace & 0xFFFFFFFFFFFFFFFF:016x}"


def _aim(text: str) -> Aim:
    site, nth, fate, *role = text.split(":")
    return Aim(sites.BY_NAME[site].number, int(nth), Fate(fate), *role)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m accel_ci_sim", description=__doc__)
    simulate = parser.add_subparsers(dest="verb", required=True).add_parser("simulate", help="run simulated worlds")
    simulate.add_argument("--worlds", type=int, default=1000, help="how many worlds")
    simulate.add_argument("--first", type=int, default=0, help="the number of the first world")
    simulate.add_argument("--seed", type=int, default=1, help="the same seed gives the same worlds")
    simulate.add_argument("--world", type=int, help="replay this one world and print what happened in it")
    simulate.add_argument("--aim", type=_aim, action="append", default=[], help="with --world: a sure fault: files.write:1:crash-after")
    simulate.add_argument("--faults", type=float, default=0.01, help="faults per port call, on average")
    simulate.add_argument("--jobs", type=int, default=1, help="processes to use")
    simulate.add_argument("--coverage", action="store_true", help="meet every fate at every call, and print how often")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
