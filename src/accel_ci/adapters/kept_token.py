"""An access token in the job's private directory: whoever cleans up finds one that lives, and needs nobody to make it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from accel_ci.domain.errors import AccelError
from accel_ci.ports.clock import Clock
from accel_ci.ports.files import Files

# A cancelled job has 285 s left, in which GitHub may make no more identity tokens.
RENEW_S = 1200.0
LAST_S = 10.0
TRY_AGAIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token, when it ends (seconds since 1970), and the project that goes with it ("": none is known)."""

    text: str
    expires_at: float
    renew_at: float = 0.0
    project: str = ""


_TOKEN = TypeAdapter(Token)


def made(text: str, *, expires_at: float, now: float, project: str = "") -> Token:
    """A new token, to be renewed 20 minutes before its end, or after half of a shorter life."""
    return Token(
        text=text,
        expires_at=expires_at,
        renew_at=expires_at - min(RENEW_S, (expires_at - now) / 2),
        project=project,
    )


class KeptToken:
    """The token in the document `name` of `files`, 0600 there; `make` gets a new one, or raises an AccelError."""

    def __init__(self, files: Files, name: str, *, clock: Clock, make: Callable[[], Token]) -> None:
        self._files = files
        self._name = name
        self._clock = clock
        self._make = make
        self._known: Token | None = None
        self._looked = False
        self._try_at = 0.0
        self._lock = threading.Lock()  # look-ups run in threads, and all of them find the same token old

    def known(self) -> Token | None:
        """What is kept, if anything; it may be old."""
        with self._lock:
            return self._kept()

    def token(self) -> Token:
        """One that lives; a new one where the time has come. Where none can be made the old one is used to its end."""
        with self._lock:
            known, now = self._kept(), self._clock.now()
            if known is not None and now < max(known.renew_at, self._try_at) and now < known.expires_at - LAST_S:
                return known
            try:
                return self._renewed()
            # An old token that still lives is better than an error of whoever makes new ones.
            except AccelError:
                self._try_at = now + TRY_AGAIN_S
                if known is None or now >= known.expires_at - LAST_S:
                    raise
                return known

    def keep_fresh(self) -> str:
        """See ports.credentials.Credentials."""
        with self._lock:
            known, now = self._kept(), self._clock.now()
            if known is None or now < max(known.renew_at, self._try_at):
                return ""
            self._try_at = now + TRY_AGAIN_S
            try:
                self._renewed()
            except AccelError as error:
                return f"{error}; {error.what_to_do}"
            return ""

    def _renewed(self) -> Token:
        self._known, self._looked = self._make(), True
        self._files.write(self._name, _TOKEN.dump_json(self._known))
        return self._known

    def _kept(self) -> Token | None:
        if not self._looked:
            self._known, self._looked = self._read(), True
        return self._known

    def _read(self) -> Token | None:
        try:
            # What another version left, or a crash cut short, is the same as nothing.
            return _TOKEN.validate_json(self._files.read(self._name) or b"null")
        except ValidationError:
            return None
