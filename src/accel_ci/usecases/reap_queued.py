"""reap-queued: cancel runs that wait for a machine longer than they should."""

from __future__ import annotations

from accel_ci.domain import errors


def reap_queued() -> None:
    """Always ConfigurationError: GitHub's API is not spoken by this version yet."""
    raise errors.ConfigurationError(
        "reap-queued cannot look at GitHub's queue in this version",
        what_to_do="leave the step out until the release that says it can",
    )
