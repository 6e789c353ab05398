"""Credentials that a test lets grow old."""

from __future__ import annotations

from accel_ci.ports.clock import Clock

LIFE_S = 3600.0
RENEW_S = 1200.0
TRY_AGAIN_S = 60.0


class FakeCredentials:
    """Kept until `expires_at`, 0 where nobody signed in; `renewed` counts renewals, `refused` says why there are none."""

    def __init__(self, clock: Clock, *, signed_in: bool = True) -> None:
        self._clock = clock
        self._try_at = 0.0
        self.expires_at = clock.now() + LIFE_S if signed_in else 0.0
        self.renewed = 0
        self.asked = 0
        self.refused = ""

    def keep_fresh(self) -> str:
        """See ports.credentials.Credentials."""
        self.asked += 1
        now = self._clock.now()
        if not self.expires_at or now < max(self.expires_at - RENEW_S, self._try_at):
            return ""
        self._try_at = now + TRY_AGAIN_S
        if not self.refused:
            self.expires_at, self.renewed = now + LIFE_S, self.renewed + 1
        return self.refused
