"""What importing google-cloud-compute costs, and who pays."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from accel_ci.adapters import gce_library, registry
from accel_ci.adapters.gce_api import GceApi
from accel_ci.adapters.google_sign_in import GoogleSignIn

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


class _Credentials(AnonymousCredentials):
    """Credentials that have no token yet; `order` is told when they get one."""

    def __init__(self, order: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._order = order

    @property
    def valid(self) -> bool:
        return "token" in self._order

    def refresh(self, request: object) -> None:
        self._order.append("token")


class _SignIn(GoogleSignIn):
    """Signs in as these credentials."""

    def __init__(self, order: list[str]) -> None:
        super().__init__({})
        self._found = _Credentials(order)

    def credentials(self) -> tuple[Any, str]:
        return self._found, "my-project"


def test_the_token_is_got_while_the_library_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The import begins, then the sign-in asks its servers, and only then the import is waited for; once for both clients."""
    order: list[str] = []
    load = gce_library.load

    def noted() -> gce_library.Library:
        order.append("wait")
        return load()

    monkeypatch.setattr(gce_library, "begin", lambda: order.append("begin"))
    monkeypatch.setattr(gce_library, "load", noted)
    GceApi({}, sign_in=_SignIn(order)).connect()
    assert order == ["begin", "token", "wait", "begin", "wait"]
