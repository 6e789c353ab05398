"""google-cloud-compute without its price: the two clients that we use, out of more than a hundred.

Its package imports every client there is: about four times the time of ours alone (`python -m bench.libraries`).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from dataclasses import dataclass
from typing import Any

from accel_ci.adapters import google_calls, libraries

PACKAGE = "google.cloud.compute_v1"


@dataclass(frozen=True, slots=True)
class Library:
    """The classes of the clients for instances and for the operations of a zone."""

    instances: Any
    operations: Any


def load() -> Library:
    """The classes; the first call imports them, and a call meanwhile waits. ModuleNotFoundError without the library."""
    with libraries.LOCK:
        # Somebody imported all of it already: there is nothing left to save.
        if PACKAGE in sys.modules:
            return _found()
        return _without_the_rest()


def begin() -> None:
    """Import in the background, while other things are waited for. What goes wrong is told by `load`."""
    threading.Thread(target=_try, name="import-compute", daemon=True).start()


def installed() -> bool:
    """True when the library is there."""
    return google_calls.installed(PACKAGE)


def _try() -> None:
    try:
        load()
    except ImportError:
        return


def _found() -> Library:
    instances = importlib.import_module(f"{PACKAGE}.services.instances")
    operations = importlib.import_module(f"{PACKAGE}.services.zone_operations")
    return Library(instances.InstancesClient, operations.ZoneOperationsClient)


def _without_the_rest() -> Library:
    """The package stands in sys.modules unexecuted while its parts are imported, so that they find each other.

    It is taken out again: whoever imports it later, such as a test, gets the whole package with these very classes.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {PACKAGE!r}")
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        return _found()
    finally:
        del sys.modules[PACKAGE]
