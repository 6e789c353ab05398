"""The catalogue as a table and as JSON."""

from __future__ import annotations

import json

from accel_ci.domain import accelerators
from accel_ci.render import catalogue


def test_a_table_for_people() -> None:
    """Zones with one price share a line; prices are those of the whole machine; the last line says whence and when."""
    head, *lines, source = catalogue.table(accelerators.rows("v6e-8")).splitlines()
    assert " ".join(head.split()) == "type backend chips hosts on-demand spot machine type or runtime version zones"
    shared = [" ".join(line.split()) for line in lines if "us-central1-b us-east1-d us-west1-c" in line]
    assert shared == [
        "v6e-8 gce 8 1 21.60 4.35 ct6e-standard-8t us-central1-b us-east1-d us-west1-c",
        "v6e-8 tpu 8 1 21.60 4.35 v2-alpha-tpuv6e us-central1-b us-east1-d us-west1-c",
    ]
    assert "SkyPilot" in source and "2026" in source and "estimates" in source


def test_unknown_prices_are_unknown() -> None:
    """No price is no zero and no guess."""
    line, _ = catalogue.table(accelerators.rows("v6e-1", "southamerica-west1-a")).splitlines()[1:-1]
    assert line.split()[4:6] == ["unknown", "unknown"]


def test_columns_line_up() -> None:
    """Every column begins where its heading does."""
    head, *lines, _ = catalogue.table(accelerators.rows(zone="us-central1-b")).splitlines()
    for column in ("backend", "zones", "on-demand", "machine type"):
        assert all(line[head.index(column) - 1] == " " and line[head.index(column)] != " " for line in lines)


def test_nothing_to_show() -> None:
    """A zone without accelerators is a sentence, and an empty list."""
    assert catalogue.table([]) == "no accelerator is known there\n"
    assert json.loads(catalogue.document([])) == []


def test_json_for_programs() -> None:
    """One object for each type and zone, prices a machine and hour, null when unknown."""
    rows = accelerators.rows("v6e-1")
    found = json.loads(catalogue.document(rows))
    assert len(found) == len(rows)
    first = next(each for each in found if each["zone"] == "us-central1-b")
    assert (first["on_demand"], first["spot"], first["chips"], first["hosts"]) == (2.7, 0.544, 1, 1)
    assert next(each for each in found if each["zone"] == "southamerica-west1-a")["spot"] is None
