"""What importing google-cloud-compute costs, and who pays."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from accel_ci.adapters import gce_library, registry

PROBE = """
import json, sys
from accel_ci.adapters import gce_library
{before}
library = gce_library.load()
services = sorted({{name.split(".")[4] for name in sys.modules if name.startswith("google.cloud.compute_v1.services.")}})
whole = gce_library.PACKAGE in sys.modules
from google.cloud import compute_v1
print(json.dumps([services, whole, compute_v1.InstancesClient is library.instances]))
"""


@pytest.mark.parametrize("before", ["", "gce_library.begin()", "gce_library.begin(); gce_library.begin()"])
def test_two_clients_of_a_hundred_are_imported(before: str) -> None:
    """Only what we use is loaded, in the background or not; a later import of the package gets all, with the same classes."""
    command = [sys.executable, "-c", PROBE.format(before=before)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == [["instances", "zone_operations"], False, True]


def test_asking_whether_it_is_there_loads_nothing() -> None:
    """Every backend is asked that before machines are looked for."""
    code = "import sys; from accel_ci.adapters import gce_library as g; print(g.installed(), 'google.protobuf' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True", "False"]


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not installed, and loading it says so."""
    monkeypatch.setattr(gce_library, "PACKAGE", "google.cloud.compute_v0")
    assert not gce_library.installed()
    with pytest.raises(ModuleNotFoundError):
        gce_library.load()


@pytest.mark.parametrize(
    ("accelerator", "expected"), [("l4-1", True), ("v6e-1", True), ("v5p-8", False), ("local", False)]
)
def test_only_who_leases_there_imports_ahead(accelerator: str, expected: bool) -> None:
    """The import begins with the first step that names an accelerator of Compute Engine."""
    assert (registry.backend("auto", accelerator=accelerator).ahead is gce_library.begin) is expected
