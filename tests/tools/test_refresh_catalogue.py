"""The maintainers' script that looks up which zones have which machines, against the simulated Compute Engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from accel_ci.domain import accelerator_rows, machine_rows
from accel_ci.domain.accelerator_rows import Place
from accel_ci.domain.machine_rows import Price
from tests.servers.simulator import SimulatorProcess
from tools import price_list, refresh_catalogue
from tools.price_list import Found, Sku
from tools.refresh_catalogue import Offer

TODAY = dt.date(2027, 1, 2)
L4 = (Price("us-central1", "abc", 1.0, 0.5, 0.1, 0.05), Price("us-east4", "ac", 1.0, 0.5, 0.1, 0.05))


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """A simulated Compute Engine, whose own catalogue is not ours."""
    with closing(SimulatorProcess(tmp_path_factory.mktemp("sim"))) as running:
        yield running


def test_what_is_offered_is_asked_for(simulator: SimulatorProcess) -> None:
    """Every family has zones there, from all pages; attached GPUs count only where both they and their hosts are."""
    session, project = refresh_catalogue._signed_in(simulator.exports)
    found = refresh_catalogue.offered(session, project, simulator.exports)
    offers = {family: offer.zones for family, offer in found.items()}
    assert found["l4"].gib_per_vcpu == found["e2"].gib_per_vcpu == 4.0
    assert set(machine_rows.PLACES) <= set(offers)
    assert "us-central1-a" in offers["l4"] and "us-central1-a" in offers["t4"] and len(offers["e2"]) > 20
    assert offers["l4"] != offers["t4"] < offers["e2"] | offers["t4"]


def test_zones_come_and_go_and_prices_stay() -> None:
    """A region that is known keeps its prices, a new one has none, and each change is a line."""
    offers = {"l4": {"us-central1-a", "us-central1-f", "asia-east1-a"}}
    after = refresh_catalogue.refreshed({"l4": L4}, offers)
    assert after == {"l4": (L4[0]._replace(zones="af"), Price("asia-east1", "a", None, None, None, None))}
    assert list(refresh_catalogue.told({"l4": L4}, after)) == [
        "l4: + asia-east1-a",
        "l4: + us-central1-f",
        "l4: - us-central1-b",
        "l4: - us-central1-c",
        "l4: - us-east4-a",
        "l4: - us-east4-c",
    ]


def test_a_family_that_nobody_offers_is_kept() -> None:
    """A project that is not let in to a machine type sees no zone of it: that is no news about the zones."""
    assert refresh_catalogue.refreshed({"b200": L4}, {"b200": set()}) == {"b200": L4}


def test_what_is_written_is_the_module(tmp_path: Path) -> None:
    """The rewritten module says the same but for its places and the date of its zones."""
    text = refresh_catalogue.FILE.read_text()
    new = refresh_catalogue.written(text, machine_rows.PLACES, today=dt.date(2027, 1, 2))
    module: dict[str, object] = {"__name__": "rows"}
    exec(compile(new, "rows", "exec"), module)  # noqa: S102 - our own text
    assert module["PLACES"] == machine_rows.PLACES and module["ZONES_DATE"] == "2027-01-02"
    assert module["SHAPES"] == machine_rows.SHAPES and module["DATE"] == machine_rows.DATE
    assert refresh_catalogue.written(text, machine_rows.PLACES, today=dt.date.fromisoformat("2027-01-02")) == new


def test_what_is_written_of_tpus_is_their_module() -> None:
    """The table of TPUs comes back as it is written; a date only where the price list was read."""
    text = refresh_catalogue.TPU_FILE.read_text()
    module: dict[str, object] = {"__name__": "rows"}
    exec(compile(refresh_catalogue.tpus_written(text, accelerator_rows.PLACES), "rows", "exec"), module)  # noqa: S102
    assert module["PLACES"] == accelerator_rows.PLACES
    dated = refresh_catalogue.tpus_written(text, [Place("v6e", "us-east1-d", 2.5, None, "2027-01-02")])
    assert dated.endswith('PLACES = (\n    Place("v6e", "us-east1-d", 2.5, None, "2027-01-02"),\n)\n')


def test_prices_of_the_public_list(simulator: SimulatorProcess) -> None:
    """From all its pages: chips, and a vCPU with its memory; commitments, reservations and sole tenancy are other things."""
    session, _ = refresh_catalogue._signed_in(simulator.exports)
    listed = price_list.skus(session, simulator.exports)
    assert len(listed) > 150
    l4 = price_list.found(listed, "l4", "us-central1", gib_per_vcpu=4.0)
    assert l4 == Found(0.61, 0.24, 0.038, 0.0158)
    assert price_list.found(listed, "e2", "us-east4", gib_per_vcpu=4.0) == Found(0.0, 0.0, 0.0336, 0.0138)
    assert price_list.found(listed, "v6e", "europe-west4", gib_per_vcpu=None)[:2] == (2.75, 0.6)
    assert price_list.found(listed, "h100-mega", "us-east4", gib_per_vcpu=9.0) == Found(10.4, 3.1, None, None)
    assert price_list.found(listed, "l4", "asia-east1", gib_per_vcpu=4.0) == Found(None, None, None, None)


def test_what_the_list_does_not_have_stays(simulator: SimulatorProcess) -> None:
    """A row is the list's as a whole, dated, or what it was, with its old date; a machine is priced from the list at once."""
    session, _ = refresh_catalogue._signed_in(simulator.exports)
    listed = price_list.skus(session, simulator.exports)
    asia = Price("asia-east1", "a", 1.0, 0.5, 0.1, 0.05)
    after = refresh_catalogue.priced({"l4": (L4[0], asia)}, {"l4": Offer(set(), 4.0)}, listed, today=TODAY)
    assert after["l4"] == (Price("us-central1", "abc", 0.61, 0.24, 0.038, 0.0158, "2027-01-02"), asia)
    assert list(refresh_catalogue.told({"l4": (L4[0], asia)}, after)) == [
        "l4: us-central1 1/0.5/0.1/0.05 -> 0.61/0.24/0.038/0.0158"
    ]
    tpus = [Place("v6e", "us-central1-b", 2.7, 0.544), Place("v4", "us-central2-b", 3.22, 0.9215)]
    dearer = refresh_catalogue.tpus_priced(tpus, listed, today=TODAY)
    assert dearer == [Place("v6e", "us-central1-b", 2.75, 0.6, "2027-01-02"), tpus[1]]
    assert list(refresh_catalogue.told_of_tpus(tpus, dearer)) == ["v6e: us-central1-b 2.7/0.544 -> 2.75/0.6"]


def test_a_price_that_is_known_is_not_lost(simulator: SimulatorProcess) -> None:
    """The list has H100 chips and not their hosts: without those a machine has no price, so the row stays, and is told."""
    session, _ = refresh_catalogue._signed_in(simulator.exports)
    listed = price_list.skus(session, simulator.exports)
    known = Price("us-east4", "abc", 9.7, 2.1, 0.045, 0.0098)
    unknown = known._replace(chip=None, chip_spot=None, vcpu=None, vcpu_spot=None)
    after = refresh_catalogue.priced({"h100": (known, unknown)}, {"h100": Offer(set(), 9.0)}, listed, today=TODAY)
    assert after["h100"] == (known, Price("us-east4", "abc", 9.9, 2.4, None, None, "2027-01-02"))
    assert refresh_catalogue.kept(after, [Place("v4", "us-central2-b", 3.22, 0.9)], today=TODAY) == "h100, v4"


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ([("Nvidia L4 GPU running in Iowa", 0.5), ("Nvidia L4 GPU attached to VMs running in Iowa", 0.6)], None),
        ([("Nvidia L4 GPU running in Iowa", 0.5), ("Nvidia L4 GPU attached to VMs running in Iowa", 0.5)], 0.5),
        ([("Nvidia L40 GPU running in Iowa", 0.5)], None),
        ([("Reserved Nvidia L4 GPU in Iowa", 0.5)], None),
        ([("Nvidia L4 GPU attached to Spot Preemptible VMs running in Iowa", 0.5)], None),
    ],
)
def test_an_entry_is_about_what_it_says(listed: list[tuple[str, float]], found: float | None) -> None:
    """Two entries that disagree say nothing, and what merely looks alike is something else."""
    entries = [Sku(text, ("us-central1",), "h", dollars) for text, dollars in listed]
    assert price_list.found(entries, "l4", "us-central1", gib_per_vcpu=None).chip == found


def test_a_spot_price_above_the_usual_one_is_not_believed() -> None:
    """Published lists have had such rows: the known price stays."""
    entries = [
        Sku("Nvidia L4 GPU running in Iowa", ("us-central1",), "h", 0.5),
        Sku("Nvidia L4 GPU attached to Spot Preemptible VMs running in Iowa", ("us-central1",), "h", 0.6),
    ]
    after = refresh_catalogue.priced({"l4": L4}, {}, entries, today=TODAY)
    assert after == {"l4": L4}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"pricingInfo": []},
        {"pricingInfo": [{"pricingExpression": {"usageUnit": "mo", "tieredRates": [{"unitPrice": {"nanos": 1}}]}}]},
        {"pricingInfo": [{"pricingExpression": {"usageUnit": "h", "tieredRates": [{"unitPrice": {"units": "0"}}]}}]},
        {"pricingInfo": [{"pricingExpression": {"usageUnit": "h", "tieredRates": [{"unitPrice": {"units": "x"}}]}}]},
    ],
)
def test_an_entry_without_a_price_by_the_hour_is_none(document: dict[str, object]) -> None:
    """No price, another unit, nothing, or a placeholder that costs nothing."""
    assert price_list._sku({"description": "Nvidia L4 GPU", **document}) is None


def test_the_script_tells_and_writes(
    simulator: SimulatorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --write nothing changes and the exit code is 1; with it both modules say what was told, and can be read."""
    for name in ("FILE", "TPU_FILE"):
        file = tmp_path / f"{name}.py"
        file.write_text(getattr(refresh_catalogue, name).read_text())
        monkeypatch.setattr(refresh_catalogue, name, file)
    for name, value in simulator.exports.items():
        monkeypatch.setenv(name, value)
    before = (tmp_path / "TPU_FILE.py").read_text()
    assert refresh_catalogue.main(["--prices"]) == 1 and (tmp_path / "TPU_FILE.py").read_text() == before
    told = capsys.readouterr().out
    assert "l4: us-central1 0.56004/0.2231/0.036698/0.014684 -> 0.61/0.24/0.038/0.0158" in told
    assert "v6e: us-central1-b 2.7/0.544 -> 2.75/0.6" in told
    assert refresh_catalogue.main(["--prices", "--write"]) == 0
    for name, row in (("FILE", "0.61, 0.24, 0.038, 0.0158, "), ("TPU_FILE", '"v6e", "us-central1-b", 2.75, 0.6, ')):
        text = (tmp_path / f"{name}.py").read_text()
        compile(text, name, "exec")
        assert row in text
