"""Each layer alone, with all the others switched off: does it keep what it promises, and how far does that reach?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from accel_ci_sim.direct import campaign
from accel_ci_sim.direct.crowd import Spread
from accel_ci_sim.direct.layers import Layer
from accel_ci_sim.direct.setting import Setting
from accel_ci_sim.direct.tally import Tally


@dataclass(frozen=True, slots=True)
class Promise:
    """What a layer alone must keep: the sentence, and the rules that say when it did not; `roles` are its processes."""

    layer: Layer | None
    roles: tuple[str, ...]
    sentence: str
    rules: frozenset[str]


COMMON = frozenset({"I0", "I2", "I11"})
PROMISES = (
    Promise(None, (), "nothing: what is left is what the layers are for", frozenset({"I0"})),
    Promise(Layer.NATIVE, (), "no machine later than its limit + 30 s", COMMON | {"I1"}),
    Promise(Layer.SIGNALS, ("provision",), "provision: the first delete 1 s after the signal", COMMON | {"I-signal"}),
    Promise(Layer.STEP, ("cleanup",), "its proof is true; what it saw was asked to end", COMMON | {"I-clean"}),
    Promise(Layer.POST, ("post",), "its proof is true; what it saw was asked to end", COMMON | {"I-clean"}),
    Promise(Layer.JOB, ("cleanup-job",), "its proof is true; what it saw was asked to end", COMMON | {"I-clean"}),
    Promise(Layer.SWEEPER, ("sweep",), "no machine later than expiry + grace + 2 periods", COMMON | {"I1", "I12"}),
    Promise(Layer.BESIDE, ("provision",), "what is overdue ends beside the next provision", COMMON | {"I-beside"}),
)


def run(seed: int, worlds: range, *, rate: float, spread: Spread) -> Iterator[tuple[Promise, Tally]]:
    """For each promise the figures of these worlds; `found` holds only what breaks it."""
    for promise in PROMISES:
        layers = frozenset({promise.layer} if promise.layer else ())
        tally = campaign.run(seed, worlds, rate=rate, spread=spread, how=Setting(layers=layers))
        # The other rules need the other layers: what they say here is no news.
        tally.found = [found for found in tally.found if found.violation.rule in promise.rules]
        yield promise, tally
