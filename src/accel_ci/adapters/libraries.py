"""Libraries are imported when they are needed, by one thread at a time.

Two that import at once what belongs together get an import deadlock now and then, or see half-made modules.
"""

from __future__ import annotations

import importlib
import threading

LOCK = threading.RLock()
# What signing in imports by and by, and what tells how a call went: other threads import meanwhile.
SIGN_IN = (
    "google.auth.transport.requests",
    "google.auth.identity_pool",
    "google.auth.aws",
    "google.auth.pluggable",
    "google.auth.external_account_authorized_user",
    "google.auth.impersonated_credentials",
    "google.auth.compute_engine",
    "google.oauth2.credentials",
    "google.oauth2.service_account",
    "google.auth._cloud_sdk",
    "google.api_core.exceptions",
    "google.protobuf.json_format",
)


def load(*names: str) -> None:
    """Import these modules; a call meanwhile waits. ModuleNotFoundError for what is not installed."""
    with LOCK:
        for name in names:
            importlib.import_module(name)
