"""Which accelerators there are, where, on how many hosts, with which runtime version, and for how much."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from accel_ci.domain import accelerator_rows, machine_rows, machine_types
from accel_ci.domain.errors import Mistake
from accel_ci.domain.machine import Candidate
from accel_ci.domain.machine_types import Kind, Shape

GCE, TPU, LOCAL = "gce", "tpu", "local"
MOST_LISTED = 12
FEW_ZONES, NEAREST_ZONES = 4, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One type in one zone of one backend. `runtime` is the Cloud TPU API's, `machine_type` Compute Engine's; "" elsewhere.

    Prices are US dollars an hour for the whole machine, None when unknown; `date` and `source` are theirs.
    """

    accelerator: str
    zone: str
    backend: str
    runtime: str = ""
    machine_type: str = ""
    chips: int
    hosts: int
    on_demand: float | None
    spot: float | None
    date: str
    source: str

    def dollars_per_hour(self, *, spot: bool) -> float | None:
        """What the whole machine costs, all chips of all hosts; None when unknown."""
        return self.spot if spot else self.on_demand


@cache
def rows(accelerator: str = "", zone: str = "", backend: str = "") -> tuple[Row, ...]:
    """The catalogue's rows: all of them, or those of a type, a zone, a backend; smaller types first, Compute Engine first.

    Asked for by name, a machine type of Compute Engine has rows too, such as g2-standard-12 or n1-standard-8+t4-1.
    """
    names = (accelerator,) if accelerator else (*machine_rows.SHAPES, *accelerator_rows.SHAPES)
    return tuple(
        row
        for name in dict.fromkeys(names)
        for row in _of_type(name)
        if row.zone == (zone or row.zone) and row.backend == (backend or row.backend)
    )


@cache
def types(backend: str) -> tuple[str, ...]:
    """The types that a backend has."""
    return tuple(dict.fromkeys(row.accelerator for row in rows(backend=backend)))


@cache
def zones(backend: str) -> tuple[str, ...]:
    """The zones where a backend has any of its types."""
    return tuple(dict.fromkeys(row.zone for row in rows(backend=backend)))


def backends_of(accelerator: str) -> tuple[str, ...]:
    """The backends that have the type, the one that ends machines by itself first; () when nobody knows it."""
    found = tuple(dict.fromkeys(row.backend for row in rows(accelerator)))
    return found or ((GCE,) if machine_types.shape(accelerator) else ())


def hosts(accelerator: str) -> int:
    """On how many hosts such a machine runs; 1 for a type that the catalogue does not know. `local-4` stands for four."""
    family, _, count = accelerator.partition("-")
    if family == LOCAL:
        return int(count or 1)
    return next((row.hosts for row in rows(accelerator)), 1)


def chips_per_host(accelerator: str) -> int:
    """How many chips each host has; 1 for a type that the catalogue does not know."""
    return next((row.chips // row.hosts for row in rows(accelerator)), 1)


def runtime(accelerator: str) -> str:
    """The Cloud TPU API's runtime version made for the type; "" when there is none."""
    return next((row.runtime for row in rows(accelerator, backend=TPU)), "")


def candidates(accelerator: str, *, backend: str, zones: Sequence[str], spot: bool, on_demand: bool) -> list[Candidate]:
    """The backend's places that have the type, in order; only in `zones` where any are named. See `ordered`."""
    by_zone = {row.zone: row for row in rows(accelerator, backend=backend)}
    found = [
        Candidate(
            zone=zone,
            spot=kind,
            backend=backend,
            dollars_per_hour=by_zone[zone].dollars_per_hour(spot=kind) if zone in by_zone else None,
        )
        for kind, wanted in ((True, spot), (False, on_demand))
        for zone in zones or by_zone
        if wanted and (zone in by_zone or not by_zone)
    ]
    return ordered(found)


def ordered(found: Iterable[Candidate]) -> list[Candidate]:
    """The cheapest first, spot before on-demand; equal and unknown prices keep their order, unknown ones come last."""
    # Python's sort is stable: among equal prices the user's own order of zones counts.
    return sorted(found, key=lambda each: (not each.spot, each.dollars_per_hour is None, each.dollars_per_hour or 0.0))


def mistakes(accelerator: str, *, backend: str, zones: Sequence[str], image: str = "") -> list[Mistake]:
    """What cannot work about a type, its zones and its runtime version, each with what would; empty when all is well.

    Of a type that the backend does not have, the zones are compared with all that are known.
    """
    if backend not in backends_of(accelerator):
        return [_wrong_type(accelerator, backend), *unknown_zones(zones)]
    there = [row.zone for row in rows(accelerator, backend=backend)]
    if not there and not zones:  # a machine type whose zones the catalogue does not know
        return [Mistake("zones", f"it is not known which zones have {accelerator}", "name some")]
    wrong = [
        Mistake("zones", f"`{zone}` has no {accelerator}", _meant(zone, there))
        for zone in zones
        if there and zone not in there
    ]
    return wrong + (_wrong_image(accelerator, image) if backend == TPU else [])


def unknown(accelerator: str, *, zones: Sequence[str]) -> list[Mistake]:
    """What is wrong with a type that no backend has, and with its zones."""
    near, meant = siblings(accelerator), nearest(accelerator)
    hint = _listed(near) if near else f"did you mean `{meant}`?" if meant else "see `accel-ci accelerators`"
    return [Mistake("accelerator", f"`{accelerator}` is not known", hint), *unknown_zones(zones)]


def unknown_zones(zones: Sequence[str], *, field: str = "zones") -> list[Mistake]:
    """Those of the zones where nothing is known to be, each as a mistake of the input `field`."""
    known = dict.fromkeys(row.zone for row in rows())
    return [Mistake(field, f"`{zone}` is not known", _meant(zone, known)) for zone in zones if zone not in known]


def nearest(accelerator: str) -> str:
    """The type that was probably meant, such as v5litepod-8 by v5e-8; "" when none is similar."""
    known = (*accelerator_rows.SHAPES, *machine_rows.SHAPES)
    family, _, count = accelerator.rpartition("-")
    proper = f"{accelerator_rows.NICKNAMES.get(family, family)}-{count}"
    # People say v5e-8 for what the API calls v5litepod-8.
    if proper in known:
        return proper
    return next(iter(difflib.get_close_matches(accelerator, known, n=1, cutoff=0.8)), "")


def siblings(accelerator: str, backend: str = "") -> list[str]:
    """The types of the same family that there are, or that a backend has."""
    family = accelerator.rpartition("-")[0]
    known = dict.fromkeys(row.accelerator for row in rows(backend=backend))
    return [name for name in known if name.rpartition("-")[0] == family]


def _wrong_type(accelerator: str, backend: str) -> Mistake:
    known, near = types(backend), siblings(accelerator, backend)
    meant = nearest(accelerator)
    if near:  # the family is right: another count that looks alike is no better a guess than the rest
        hint = _listed(near)
    elif meant in known:
        hint = f"did you mean `{meant}`?"
    elif meant:
        hint = f"backend `{backends_of(meant)[0]}` has `{meant}`"
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


def _meant(zone: str, known: Collection[str]) -> str:
    """The zones that could be meant: all where they are few, else the nearest and where to see the others."""
    near = sorted(known, key=lambda each: _likeness(zone, each), reverse=True)[:NEAREST_ZONES]
    asked = f"did you mean `{near[0]}`? " if difflib.get_close_matches(zone, near[:1], cutoff=0.8) else ""
    if len(known) <= FEW_ZONES:
        return asked + _listed(known)
    return f"{asked}the nearest: {', '.join(near)}; see `accel-ci accelerators`, with `--zone` what one zone has"


def _likeness(one: str, other: str) -> tuple[int, float]:
    """A common beginning comes first: zones are named from the continent down."""
    common = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in common), difflib.SequenceMatcher(None, one, other).ratio()


def _listed(known: Collection[str]) -> str:
    more = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
    return f"one of {', '.join([*known][:MOST_LISTED])}{more}"


def _of_type(accelerator: str) -> Iterator[Row]:
    name = accelerator.partition("-")[0]
    if name in accelerator_rows.FAMILIES and accelerator in accelerator_rows.SHAPES:
        for backend in accelerator_rows.FAMILIES[name].backends:
            yield from _tpus(accelerator, backend)
    elif shape := machine_types.shape(accelerator):
        yield from _machines(accelerator, shape)


def _tpus(accelerator: str, backend: str) -> Iterator[Row]:
    name = accelerator.partition("-")[0]
    family, (chips, machines) = accelerator_rows.FAMILIES[name], accelerator_rows.SHAPES[accelerator]
    shape = machine_types.shape(accelerator) if backend == GCE else None
    if backend == GCE and shape is None:
        return  # a slice of several hosts: instances of Compute Engine are leased one by one
    for place in (each for each in accelerator_rows.PLACES if each.family == name):
        yield Row(
            accelerator=accelerator,
            zone=place.zone,
            backend=backend,
            runtime="" if shape else family.runtime,
            machine_type=shape.machine_type if shape else "",
            chips=chips,
            hosts=machines,
            on_demand=_dollars((chips, place.on_demand)),
            spot=_dollars((chips, place.spot)),
            date=place.date or family.date,
            source=machine_rows.PRICE_LIST if place.date else family.source,
        )


def _machines(accelerator: str, shape: Shape) -> Iterator[Row]:
    for place in machine_rows.PLACES.get(shape.family, ()):
        host = shape.vcpus if shape.kind is not Kind.CPU or shape.machine_type in machine_rows.SHAPES else None
        for letter in place.zones:
            yield Row(
                accelerator=accelerator,
                zone=f"{place.region}-{letter}",
                backend=GCE,
                machine_type=shape.machine_type,
                chips=shape.chips,
                hosts=1,
                on_demand=_dollars((shape.chips, place.chip), (host, place.vcpu)),
                spot=_dollars((shape.chips, place.chip_spot), (host, place.vcpu_spot)),
                date=place.date or machine_rows.DATE,
                source=machine_rows.PRICE_LIST if place.date else machine_rows.SOURCE,
            )


def _dollars(*parts: tuple[int | None, float | None]) -> float | None:
    """The sum of counts times prices, to a hundredth of a cent; None when any of them is unknown."""
    if any(count is None or price is None for count, price in parts):
        return None
    return round(sum((count or 0) * (price or 0.0) for count, price in parts), 4)
