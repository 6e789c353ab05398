"""What the simulator prints: figures, tables, and the command that shows a broken rule again."""

from __future__ import annotations

from collections.abc import Mapping

from accel_ci_sim.direct import sites
from accel_ci_sim.direct.ablation import Promise
from accel_ci_sim.direct.rules import RULES
from accel_ci_sim.direct.tally import Found, Tally
from accel_ci_sim.world.faults import FATES, Aim

SHOWN = 20
HOW_COUNTED = """\
singles: one fault; every call of every port that the undisturbed world makes, with every fate that this call can meet
pairs:   two faults; every two different call sites (port methods) of a pull request in steps, each with every fate that
         it can meet, each at the site's first call in the world"""
ABLATION = f"{'layer alone':<24}{'machines':>9}{'ended by it':>12}{'left for ever':>14}{'broken':>7}  what it promises"
PEER = f"{'faults':>7}{'worlds':>8}{'by hand: leak for ever':>24}{'ours':>6}{'broken rules of ours':>22}"


def summary(tally: Tally, *, rate: float, seconds: float) -> str:
    """The campaign's figures, a line each."""
    fates = {fate: sum(n for (_, met), n in tally.fated.items() if met is fate) for fate in FATES[1:]}
    verdicts = sorted(tally.verdicts.items(), key=lambda each: -each[1])
    return "\n".join(
        (
            f"fault rate: {rate:g}",
            f"worlds:     {tally.worlds:,} in {seconds:.1f} s, {tally.worlds / seconds:,.0f} a second",
            f"runs:       {tally.runs:,} ({tally.processes:,} processes, {tally.machines:,} machines)",
            f"port calls: {sum(tally.calls.values()):,}",
            f"faults:     {sum(fates.values()):,} ({', '.join(f'{fate.value} {n:,}' for fate, n in fates.items())})",
            f"verdicts:   {', '.join(f'{verdict} {n:,}' for verdict, n in verdicts)}",
            f"trace:      {hexadecimal(tally.trace)}",
            f"violations: {len(tally.found):,} of {len(RULES)} rules",
        )
    )


def violations(tally: Tally, *, seed: int, rate: float) -> str:
    """The first of the broken rules, each with the command that shows it again; "" when there is none."""
    return "".join(
        f"violation: {found.violation}\n  replay: {replay_command(seed, rate, found)}\n"
        for found in tally.found[:SHOWN]
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


def stages(title: str, by_stage: Mapping[str, Tally]) -> str:
    """A line for each standard world: how many worlds were made of it."""
    rows = [f"{title:<32}{'worlds':>9}{'port calls':>13}{'violations':>12}"]
    for name, tally in by_stage.items():
        rows.append(f"  {name:<30}{tally.worlds:>9,}{sum(tally.calls.values()):>13,}{len(tally.found):>12,}")
    return "\n".join(rows)


def ablated(promise: Promise, tally: Tally) -> str:
    """One line of the ablation table; below it what was broken."""
    name = promise.layer.value if promise.layer else "none"
    line = f"{name:<24}{tally.machines:>9,}{_ended(promise, tally):>12,}{tally.left:>14,}{len(tally.found):>7,}"
    lines = [f"{line}  {promise.sentence}"]
    lines += [f"    world {found.world}: {found.violation}" for found in tally.found[:3]]
    return "\n".join(lines)


def peer(rate: float, theirs: Tally, ours: Tally) -> str:
    """One line: in how many worlds a machine lives for ever."""
    leaks = f"{theirs.leaking:,} ({theirs.leaking / theirs.worlds:.1%})"
    return f"{rate:>7g}{theirs.worlds:>8,}{leaks:>24}{ours.leaking:>6,}{len(ours.found):>22,}"


def replay_command(seed: int, rate: float, found: Found) -> str:
    """The command that shows the world of the violation again."""
    aims = "".join(f" --aim {_named(aim)}" for aim in found.aims)
    stage = f" --stage '{found.stage}'" if found.stage else ""
    return f"python -m accel_ci_sim simulate --seed {seed} --faults {rate} --world {found.world}{stage}{aims}"


def hexadecimal(trace: int) -> str:
    """The trace in 16 digits."""
    return f"{trace & 0xFFFFFFFFFFFFFFFF:016x}"


def _ended(promise: Promise, tally: Tally) -> int:
    """How many machines the layer ended: by a process of its own, or in the cloud."""
    return sum(tally.ended_by[role] for role in promise.roles) if promise.roles else tally.taken


def _named(aim: Aim) -> str:
    """site:nth:fate, and the role where one is meant."""
    role = f":{aim.role}" if aim.role else ""
    return f"{sites.SITES[aim.site].name}:{aim.nth}:{aim.fate.value}{role}"
