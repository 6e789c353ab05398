"""The catalogue: its data hold together, and what it says of a wish is true."""

from __future__ import annotations

import pytest

from accel_ci.domain import accelerator_rows, accelerators, machine_rows
from accel_ci.domain.accelerators import Row
from accel_ci.domain.machine import Candidate

ROWS = accelerators.rows()
TYPES = accelerators.types("tpu")
HIGHEST = 150.0  # US dollars an hour for one host


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.accelerator} {row.zone} {row.backend}")
def test_every_row_is_plausible(row: Row) -> None:
    """Spot is cheaper than on-demand, no price is a placeholder, hosts divide chips, date and source are there."""
    if row.spot is not None:
        assert 0 < row.spot < HIGHEST * row.hosts
    if row.spot is not None and row.on_demand is not None:
        assert row.spot < row.on_demand < HIGHEST * row.hosts
    assert row.chips % row.hosts == 0 and 0 <= row.chips // row.hosts <= 16
    assert row.date and row.source and row.zone.count("-") == 2
    assert (row.backend == "gce") == bool(row.machine_type) and (row.backend == "tpu") == bool(row.runtime)


def test_no_row_stands_twice() -> None:
    """A type has one row in a zone of a backend, and every type, family and place belongs to something."""
    assert len({(row.accelerator, row.zone, row.backend) for row in ROWS}) == len(ROWS)
    assert {row.accelerator for row in ROWS} == set(accelerator_rows.SHAPES) | set(machine_rows.SHAPES)
    assert {place[0] for place in accelerator_rows.PLACES} == set(accelerator_rows.FAMILIES)
    assert {name.partition("-")[0] for name in accelerator_rows.SHAPES} == set(accelerator_rows.FAMILIES)


def test_zones_of_a_region_have_one_price() -> None:
    """Google's prices are regional: two zones of one region never differ for the same type."""
    prices: dict[tuple[str, ...], set[tuple[float | None, float | None]]] = {}
    for row in ROWS:
        prices.setdefault((row.accelerator, row.backend, row.zone.rpartition("-")[0]), set()).add(
            (row.on_demand, row.spot)
        )
    assert [where for where, found in prices.items() if len(found) > 1] == []


@pytest.mark.parametrize(
    ("accelerator", "chips", "hosts"),
    [
        ("v6e-1", 1, 1),
        ("v6e-8", 8, 1),
        ("v6e-16", 16, 4),
        ("v5litepod-8", 8, 1),
        ("v5litepod-16", 16, 4),
        ("v5p-8", 4, 1),
        ("v5p-16", 8, 2),
        ("v4-8", 4, 1),
        ("v3-8", 4, 1),
        ("v2-8", 4, 1),
    ],
)
def test_the_number_in_a_type_is_chips_or_cores(accelerator: str, chips: int, hosts: int) -> None:
    """v6e and v5e count chips, all others count cores, two a chip; eight chips of v6e and v5e are one host."""
    found = {(row.chips, row.hosts) for row in accelerators.rows(accelerator)}
    assert found == {(chips, hosts)}
    assert accelerators.hosts(accelerator) == hosts


def test_a_price_is_the_whole_machines() -> None:
    """All chips of all hosts are paid: v4-8 has four, so its catalogued spot price a machine is 3.686."""
    (v4,) = accelerators.rows("v4-8")
    assert v4.dollars_per_hour(spot=True) == pytest.approx(3.686)
    (v3,) = accelerators.rows("v3-8", "us-central1-a")
    assert v3.dollars_per_hour(spot=False) == pytest.approx(8.0)
    (v6e,) = accelerators.rows("v6e-16", "us-central1-b")
    assert v6e.dollars_per_hour(spot=True) == pytest.approx(16 * 0.544)


def test_what_is_not_known_is_not_guessed() -> None:
    """A zone without a known price has none, and a type without a row has neither backend, zones nor runtime."""
    chile, _ = accelerators.rows("v6e-1", "southamerica-west1-a")
    assert chile.dollars_per_hour(spot=True) is None and chile.dollars_per_hour(spot=False) is None
    assert accelerators.rows("mi300-8") == ()
    assert (accelerators.backends_of("mi300-8"), accelerators.runtime("mi300-8"), accelerators.hosts("mi300-8")) == (
        (),
        "",
        1,
    )


def test_rows_can_be_narrowed() -> None:
    """By type, by zone, by both."""
    assert {row.accelerator for row in accelerators.rows(zone="us-central2-b")} == {
        name for name in TYPES if name.startswith("v4-")
    }
    assert {row.backend for row in accelerators.rows("v6e-1", backend="tpu")} == {"tpu"}
    assert len(accelerators.rows("v5p-8")) == 3
    assert accelerators.rows("v5p-8", "us-central1-b") == ()


def test_tpu7x_is_not_in_the_cloud_tpu_api() -> None:
    """The frozen API has no TPU7x: it is Compute Engine's, and its price is not known."""
    assert accelerators.backends_of("tpu7x-8") == ("gce",)
    assert not any(name.startswith("tpu7x") for name in accelerators.types("tpu"))
    assert "us-central1-ai1a" not in accelerators.zones("tpu")


@pytest.mark.parametrize(
    ("accelerator", "backends"),
    [
        ("v6e-8", ("gce", "tpu")),
        ("v6e-16", ("tpu",)),
        ("v5litepod-4", ("tpu",)),
        ("l4-1", ("gce",)),
        ("e2-standard-4", ("gce",)),
        ("n2-standard-8", ("gce",)),
        ("n1-standard-8+t4-1", ("gce",)),
    ],
)
def test_the_backend_with_a_lifetime_limit_comes_first(accelerator: str, backends: tuple[str, ...]) -> None:
    """What both have is Compute Engine's first; slices of several hosts and older TPUs are the TPU API's alone."""
    assert accelerators.backends_of(accelerator) == backends


def test_a_gpu_machine_costs_its_gpus_and_its_host() -> None:
    """l4-1 in Iowa: one L4 at 0.56004 and four vCPUs with memory at 0.036698 are 0.7068 dollars an hour."""
    (l4,) = accelerators.rows("l4-1", "us-central1-a")
    assert (l4.machine_type, l4.chips, l4.on_demand, l4.spot) == ("g2-standard-4", 1, 0.7068, 0.2818)
    (eight,) = accelerators.rows("a100-8", "us-central1-a")
    assert eight.on_demand == pytest.approx(8 * 2.93391 + 96 * 0.061623, abs=0.001)


def test_a_machine_of_which_a_part_is_unknown_has_no_price() -> None:
    """The T4's price is known, its host's is not: the machine's is unknown, not half of it."""
    (t4,) = accelerators.rows("t4-1", "us-central1-a")
    assert (t4.on_demand, t4.spot) == (None, None)


def test_a_plain_machine() -> None:
    """e2-standard-4 has no chips and a price; a machine type of unknown price and zones is taken in named zones only."""
    (plain,) = accelerators.rows("e2-standard-4", "us-central1-a")
    assert (plain.chips, plain.on_demand, plain.spot) == (0, 0.134, 0.0619)
    assert accelerators.rows("n2-standard-8") == ()
    (mistake,) = accelerators.mistakes("n2-standard-8", backend="gce", zones=())
    assert str(mistake) == "zones: it is not known which zones have n2-standard-8 (name some)"
    assert accelerators.mistakes("n2-standard-8", backend="gce", zones=("us-central1-a",)) == []
    (only,) = accelerators.candidates(
        "n2-standard-8", backend="gce", zones=("us-central1-a",), spot=True, on_demand=False
    )
    assert only == Candidate(zone="us-central1-a", spot=True, backend="gce")


def _prices(found: list[Candidate]) -> list[float | None]:
    return [candidate.dollars_per_hour for candidate in found]


def test_the_cheapest_comes_first() -> None:
    """Spot candidates go from cheap to dear; what has no known price comes last."""
    found = accelerators.candidates("v6e-1", backend="tpu", zones=(), spot=True, on_demand=False)
    assert found[0] == Candidate(zone="asia-southeast1-b", spot=True, dollars_per_hour=0.363, backend="tpu")
    known = [price for price in _prices(found) if price is not None]
    assert known == sorted(known) and _prices(found)[len(known) :] == [None]
    assert all(candidate.spot for candidate in found) and len(found) == len(accelerators.rows("v6e-1", backend="tpu"))


def test_on_demand_comes_after_spot() -> None:
    """With both kinds, every spot place is tried before the first on-demand one."""
    found = accelerators.candidates("v5p-8", backend="tpu", zones=(), spot=True, on_demand=True)
    assert [candidate.spot for candidate in found] == [True] * 3 + [False] * 3
    assert _prices(found) == sorted(_prices(found), key=lambda price: price or 0)
    assert [
        str(each) for each in accelerators.candidates("v4-8", backend="tpu", zones=(), spot=False, on_demand=True)
    ] == ["us-central2-b on-demand"]


def test_named_zones_narrow_and_break_ties() -> None:
    """Only the zones that the user names are tried, the cheapest first, equal ones in the user's order."""
    zones = ("us-east5-b", "us-west1-c", "us-central1-b")
    found = accelerators.candidates("v6e-1", backend="tpu", zones=zones, spot=True, on_demand=False)
    assert [candidate.zone for candidate in found] == ["us-west1-c", "us-central1-b", "us-east5-b"]


def _mistakes(accelerator: str, *, zones: tuple[str, ...] = (), image: str = "") -> list[str]:
    return [str(one) for one in accelerators.mistakes(accelerator, backend="tpu", zones=zones, image=image)]


@pytest.mark.parametrize("accelerator", TYPES)
def test_what_exists_is_no_mistake(accelerator: str) -> None:
    """Every type may be asked for in each of its zones with its own runtime version."""
    zones = tuple(row.zone for row in accelerators.rows(accelerator, backend="tpu"))
    assert _mistakes(accelerator, zones=zones, image=accelerators.runtime(accelerator)) == []
    assert _mistakes(accelerator, image="tpu-vm-tf-2.17.0-pjrt") == []


@pytest.mark.parametrize(
    ("accelerator", "hint"),
    [
        ("v5e-8", "did you mean `v5litepod-8`?"),
        ("v5litepods-8", "did you mean `v5litepod-8`?"),
        ("v6e-2", "one of v6e-1, v6e-4, v6e-8, v6e-16, v6e-32, v6e-64, v6e-128, v6e-256"),
        ("v5p-4", "one of v5p-8, v5p-16, v5p-32, v5p-64, v5p-128"),
        ("tpu7x-8", "backend `gce` has `tpu7x-8`"),
        ("v7x-8", "backend `gce` has `tpu7x-8`"),
    ],
)
def test_a_wrong_type_leads_to_a_right_one(accelerator: str, hint: str) -> None:
    """What the API does not call so is refused, with the type that was meant or those that there are."""
    (mistake,) = _mistakes(accelerator)
    assert mistake == f"accelerator: `{accelerator}` is not a type of backend `tpu` ({hint})"


def test_a_type_like_no_other_lists_what_there_is() -> None:
    """Nothing near: the first twelve types of the backend are named, and how many there are beside them."""
    (mistake,) = _mistakes("gaudi-8")
    assert all(name in mistake for name in TYPES[:12]) and TYPES[12] not in mistake
    assert mistake.endswith(f" and {len(TYPES) - 12} more)")


def test_zones_of_a_wrong_type_are_judged_too() -> None:
    """A type that the backend does not have tells nothing of zones: one that nobody knows is a mistake all the same."""
    wrong, zone = _mistakes("v6e-9", zones=("us-centrl1-b", "us-south1-a"))
    assert wrong.startswith("accelerator: `v6e-9`")
    assert zone.startswith("zones: `us-centrl1-b` is not known (did you mean `us-central1-b`? the nearest: ")


@pytest.mark.parametrize(
    ("accelerator", "hint"),
    [
        ("l4-3", "one of l4-1, l4-2, l4-4, l4-8"),
        ("v5e-8", "did you mean `v5litepod-8`?"),
        ("mi300-8", "see `accel-ci accelerators`"),
    ],
)
def test_a_type_that_nobody_has(accelerator: str, hint: str) -> None:
    """It is told with the types of its family, the one that was meant, or where all are; and so are its zones."""
    wrong, zone = accelerators.unknown(accelerator, zones=("us-central1-b", "mars-1"))
    assert str(wrong) == f"accelerator: `{accelerator}` is not known ({hint})"
    assert str(zone).startswith("zones: `mars-1` is not known (the nearest: ")


def test_workers_of_this_computer_are_in_the_name() -> None:
    """`local-4` has four workers, `local` has one."""
    assert (accelerators.hosts("local"), accelerators.hosts("local-4")) == (1, 4)


def test_a_zone_without_the_type_is_refused() -> None:
    """Each wrong zone is one mistake that lists the right ones, the nearest first."""
    near, far = _mistakes("v5p-8", zones=("us-central1-b", "us-east5-a", "mars-1"))
    valid = "one of us-central1-a, us-east5-a, europe-west4-b"
    assert near == f"zones: `us-central1-b` has no v5p-8 (did you mean `us-central1-a`? {valid})"
    assert far == f"zones: `mars-1` has no v5p-8 ({valid})"


@pytest.mark.parametrize(
    ("zone", "nearest"),
    [
        ("us-centrl1-b", "us-central1-b, us-central1-a, us-central1-c"),
        ("us-west2-a", "us-west1-a, us-west4-a, us-west1-b"),
        ("europe-west4", "europe-west4-a, europe-west4-b, europe-west4-c"),
    ],
)
def test_the_nearest_of_many_zones(zone: str, nearest: str) -> None:
    """Of 44 zones the three nearest are told, and the command that shows the others."""
    (told,) = accelerators.mistakes("l4-1", backend="gce", zones=(zone,))
    assert f"the nearest: {nearest}; see `accel-ci accelerators`, with `--zone` what one zone has" in told.suggestion


def test_a_runtime_version_of_another_generation_is_refused() -> None:
    """A v6e cannot run the v5p image; the right one is named. Wrong zones are told at the same time."""
    zone, image = _mistakes("v6e-1", zones=("us-central2-b",), image="v2-alpha-tpuv5")
    assert zone.startswith("zones: `us-central2-b`")
    assert "`image=v2-alpha-tpuv5` is no runtime version for v6e-1" in image and "`v2-alpha-tpuv6e`" in image


@pytest.mark.parametrize(
    ("word", "meant"),
    [("v5e-4", "v5litepod-4"), ("v6-8", "v6e-8"), ("H100", ""), ("a100-80-1", "a100-80gb-1"), ("x", "")],
)
def test_nearest(word: str, meant: str) -> None:
    """Nicknames and slips lead to a type; what is like nothing leads nowhere."""
    assert accelerators.nearest(word) == meant
