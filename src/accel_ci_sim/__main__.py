"""python -m accel_ci_sim: run accel-ci in many simulated worlds and look for broken rules."""

from __future__ import annotations

import argparse
import sys
import time

from accel_ci_sim.direct import ablation, adversary, campaign, crowd, exhaustive, show, sites, stages
from accel_ci_sim.direct import setting as settings
from accel_ci_sim.direct.crowd import Spread
from accel_ci_sim.direct.tally import Tally
from accel_ci_sim.world.faults import Aim, Fate

RATES = (0.0, 0.01, 0.03, 0.1)


def main(argv: list[str] | None = None) -> int:
    """0 when no rule was broken, 1 otherwise."""
    arguments = _arguments(argv)
    verbs = {"simulate": _simulate, "exhaust": _exhaust, "ablate": _ablate, "peer": _peer, "adversary": _adversary}
    with crowd.of(arguments.jobs) as spread:
        return verbs[arguments.verb](arguments, spread)


def _simulate(arguments: argparse.Namespace, spread: Spread) -> int:
    """Random worlds at each fault rate, or one world again."""
    if arguments.world is not None:
        return _replay(arguments)
    worlds = range(arguments.first, arguments.first + arguments.worlds)
    total, broken = Tally(), 0
    for rate in arguments.faults or RATES:
        began_at = time.perf_counter()
        tally = campaign.run(arguments.seed, worlds, rate=rate, spread=spread)
        if arguments.coverage:
            campaign.complete(arguments.seed, tally, rate=rate)
        print(show.summary(tally, rate=rate, seconds=time.perf_counter() - began_at))
        print(show.violations(tally, seed=arguments.seed, rate=rate), end="")
        broken += len(tally.found)
        total.add(tally)
    if arguments.coverage:
        print(show.coverage(total))
    return 1 if broken else 0


def _exhaust(arguments: argparse.Namespace, spread: Spread) -> int:
    """Every fault at every call of the standard worlds, then every two of them over their call sites."""
    every, broken = stages.every(), 0
    print(show.HOW_COUNTED)
    for title, chosen, listed in (
        ("singles", every, exhaustive.singles),
        ("pairs", stages.of_pairs(), exhaustive.pairs),
    ):
        began_at, total, by_stage = time.perf_counter(), Tally(), dict[str, Tally]()
        work = [(name, listed(arguments.seed, stage)[:: arguments.every]) for name, stage in chosen.items()]
        for name, tally in exhaustive.run(arguments.seed, work, spread=spread):
            by_stage.setdefault(name, Tally()).add(tally)
            total.add(tally)
        print(show.stages(title, by_stage))
        print(show.summary(total, rate=0.0, seconds=time.perf_counter() - began_at))
        print(show.violations(total, seed=arguments.seed, rate=0.0), end="")
        broken += len(total.found)
    return 1 if broken else 0


def _ablate(arguments: argparse.Namespace, spread: Spread) -> int:
    """Each layer alone."""
    broken = 0
    print(show.ABLATION)
    for promise, tally in ablation.run(arguments.seed, range(arguments.worlds), rate=arguments.rate, spread=spread):
        print(show.ablated(promise, tally), flush=True)
        broken += len(tally.found)
    return 1 if broken else 0


def _peer(arguments: argparse.Namespace, spread: Spread) -> int:
    """The flow that people write by hand, and ours, in the same worlds."""
    print(show.PEER)
    left = 0
    for rate in arguments.faults or RATES:
        worlds = range(arguments.worlds)
        theirs = campaign.run(arguments.seed, worlds, rate=rate, spread=spread, how=settings.PEER)
        ours = campaign.run(arguments.seed, worlds, rate=rate, spread=spread)
        print(show.peer(rate, theirs, ours), flush=True)
        left += ours.left
    return 1 if left else 0


def _adversary(arguments: argparse.Namespace, spread: Spread) -> int:
    """A stranger who acts at every port call, and maintainers who mean one commit."""
    began_at, worlds = time.perf_counter(), range(arguments.first, arguments.first + arguments.worlds)
    tally = adversary.run(arguments.seed, worlds, spread=spread)
    print(adversary.summary(tally, time.perf_counter() - began_at))
    return 1 if tally.found else 0


def _replay(arguments: argparse.Namespace) -> int:
    aims = tuple(arguments.aim)
    if arguments.stage:
        simulation = exhaustive.simulated(arguments.seed, stages.every()[arguments.stage], aims, readable=True)
        tally, lines = simulation.tally(), simulation.scene.timeline.lines or []
    else:
        rate = (arguments.faults or [0.01])[0]
        tally, lines = campaign.one(arguments.seed, arguments.world, rate=rate, aims=aims)
    print("\n".join(lines))
    print(f"trace: {show.hexadecimal(tally.trace)}, violations: {len(tally.found)}")
    return 1 if tally.found else 0


def _aim(text: str) -> Aim:
    site, nth, fate, *role = text.split(":")
    return Aim(sites.BY_NAME[site].number, int(nth), Fate(fate), *role)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m accel_ci_sim", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    simulate = verbs.add_parser("simulate", help="random worlds", description=_simulate.__doc__)
    simulate.add_argument("--worlds", type=int, default=1000, help="how many worlds, at each fault rate")
    simulate.add_argument("--world", type=int, help="replay this one world and print what happened in it")
    simulate.add_argument("--stage", default="", help="with --world: the standard world of that name")
    simulate.add_argument(
        "--aim", type=_aim, action="append", default=[], help="with --world: a sure fault: files.write:1:crash-after"
    )
    simulate.add_argument("--coverage", action="store_true", help="meet every fate at every call, and print how often")
    exhaust = verbs.add_parser("exhaust", help="every fault, and every two", description=_exhaust.__doc__)
    exhaust.add_argument("--every", type=int, default=1, help="only each n-th of these worlds")
    ablate = verbs.add_parser("ablate", help="each layer alone", description=_ablate.__doc__)
    ablate.add_argument("--worlds", type=int, default=2000, help="how many worlds, for each layer")
    ablate.add_argument("--rate", type=float, default=0.03, help="faults per port call, on average")
    peer = verbs.add_parser("peer", help="the flow written by hand", description=_peer.__doc__)
    peer.add_argument("--worlds", type=int, default=2000, help="how many worlds, at each fault rate")
    stranger = verbs.add_parser("adversary", help="a stranger at a pull request", description=_adversary.__doc__)
    stranger.add_argument("--worlds", type=int, default=2000, help="how many worlds")
    for verb in (simulate, stranger):
        verb.add_argument("--first", type=int, default=0, help="the number of the first world")
    for verb in (simulate, peer):
        verb.add_argument("--faults", type=float, nargs="*", help="faults per port call: 0, 0.01, 0.03 and 0.1")
    for verb in (simulate, exhaust, ablate, peer, stranger):
        verb.add_argument("--seed", type=int, default=1, help="the same seed gives the same worlds")
        verb.add_argument("--jobs", type=int, default=1, help="processes to use")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
