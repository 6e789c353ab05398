"""Which accelerators there are, where, on how many hosts, with which runtime version, and for how much."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from accel_ci.domain import accelerator_rows
from accel_ci.domain.errors import Mistake
from accel_ci.domain.machine import Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One type in one zone. Prices are US dollars a chip and hour, None when unknown; `date` and `source` are theirs."""

    accelerator: str
    zone: str
    backend: str
    runtime: str
    chips: int
    hosts: int
    on_demand: float | None
    spot: float | None
    date: str
    source: str

    def dollars_per_hour(self, *, spot: bool) -> float | None:
        """What the whole machine costs, all chips of all hosts; None when unknown."""
        price = self.spot if spot else self.on_demand
        return None if price is None else price * self.chips


@cache
def rows(accelerator: str = "", zone: str = "") -> tuple[Row, ...]:
    """The catalogue's rows: all of them, or those of a type, of a zone, or of both; smaller types first."""
    return tuple(
        row
        for name in accelerator_rows.SHAPES
        if name == (accelerator or name)
        for row in _of_type(name)
        if row.zone == (zone or row.zone)
    )


def types(backend: str) -> tuple[str, ...]:
    """The types that a backend has."""
    return tuple(dict.fromkeys(row.accelerator for row in rows() if row.backend == backend))


def zones(backend: str) -> tuple[str, ...]:
    """The zones where a backend has any of its types."""
    return tuple(dict.fromkeys(row.zone for row in rows() if row.backend == backend))


def backend_of(accelerator: str) -> str:
    """The backend that has the type; "" when the catalogue does not know it."""
    return next((row.backend for row in rows(accelerator)), "")


def hosts(accelerator: str) -> int:
    """On how many hosts such a machine runs; 1 for a type that the catalogue does not know."""
    return next((row.hosts for row in rows(accelerator)), 1)


def runtime(accelerator: str) -> str:
    """The runtime version made for the type; "" when there is none."""
    return next((row.runtime for row in rows(accelerator)), "")


def candidates(accelerator: str, *, zones: Sequence[str], spot: bool, on_demand: bool) -> list[Candidate]:
    """The places that have the type, the cheapest first, spot before on-demand; only in `zones` where any are named.

    Equal and unknown prices keep the order of `zones`, else that of the catalogue; unknown ones come after known ones.
    """
    by_zone = {row.zone: row for row in rows(accelerator)}
    found = [
        Candidate(zone=zone, spot=kind, dollars_per_hour=by_zone[zone].dollars_per_hour(spot=kind))
        for kind, wanted in ((True, spot), (False, on_demand))
        for zone in zones or by_zone
        if wanted and zone in by_zone
    ]
    return sorted(found, key=lambda each: (not each.spot, each.dollars_per_hour is None, each.dollars_per_hour or 0.0))


def mistakes(accelerator: str, *, backend: str, zones: Sequence[str], image: str) -> list[Mistake]:
    """What cannot work about a type, its zones and its runtime version, each with what would; empty when all is well."""
    if backend_of(accelerator) != backend:
        return [_wrong_type(accelerator, backend)]
    there = [row.zone for row in rows(accelerator)]
    wrong = [
        Mistake("zones", f"`{zone}` has no {accelerator}", _meant(zone, there)) for zone in zones if zone not in there
    ]
    return wrong + _wrong_image(accelerator, image)


def nearest(accelerator: str) -> str:
    """The type that was probably meant, such as v5litepod-8 by v5e-8; "" when none is similar."""
    family, _, count = accelerator.partition("-")
    proper = f"{accelerator_rows.NICKNAMES.get(family, family)}-{count}"
    if proper in accelerator_rows.SHAPES:
        return proper
    return next(iter(difflib.get_close_matches(accelerator, accelerator_rows.SHAPES, n=1, cutoff=0.8)), "")


def _wrong_type(accelerator: str, backend: str) -> Mistake:
    known = types(backend)
    siblings = [name for name in known if name.partition("-")[0] == accelerator.partition("-")[0]]
    meant = nearest(accelerator)
    if siblings:  # the family is right: another count that looks alike is no better a guess than the rest
        hint = _listed(siblings)
    elif meant in known:
        hint = f"did you mean `{meant}`?"
    elif meant:
        hint = f"backend `{backend_of(meant)}` has `{meant}`"
    else:
        hint = _listed(known)
    return Mistake("accelerator", f"`{accelerator}` is not a type of backend `{backend}`", hint)


def _wrong_image(accelerator: str, image: str) -> list[Mistake]:
    made_for_it = runtime(accelerator)
    # Images with TensorFlow inside are many and change monthly; which type takes which is left to the API.
    if image in ("", made_for_it) or image.startswith("tpu-vm-tf-"):
        return []
    problem = f"`image={image}` is no runtime version for {accelerator}"
    return [Mistake("options", problem, f"leave it out, or write `{made_for_it}` or a `tpu-vm-tf-...`")]


def _meant(word: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.8)
    return f"did you mean `{near[0]}`? {_listed(known)}" if near else _listed(known)


def _listed(known: Collection[str]) -> str:
    return f"one of {', '.join(known)}"


def _of_type(accelerator: str) -> Iterator[Row]:
    name = accelerator.partition("-")[0]
    family, (chips, machines) = accelerator_rows.FAMILIES[name], accelerator_rows.SHAPES[accelerator]
    for _, zone, on_demand, spot in (place for place in accelerator_rows.PLACES if place[0] == name):
        yield Row(
            accelerator=accelerator,
            zone=zone,
            backend=family.backend,
            runtime=family.runtime,
            chips=chips,
            hosts=machines,
            on_demand=on_demand,
            spot=spot,
            date=family.date,
            source=family.source,
        )
