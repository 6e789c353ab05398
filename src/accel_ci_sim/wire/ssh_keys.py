"""Who may log in to a simulated machine: what its `ssh-keys` metadata says, as Google's guest agent reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime

KEY = re.compile(r"(?P<user>[^:\s]+):(?P<kind>[a-z0-9@.-]+)\s+(?P<key>[A-Za-z0-9+/=]+)(?:\s+(?P<comment>.*))?")
# The comment that gcloud puts behind its keys: google-ssh {"userName": ..., "expireOn": ...}.
EXPIRING = "google-ssh"


def allowed(metadata: Mapping[str, str], user: str, *, now: float) -> set[tuple[str, str]]:
    """The keys (type, base64) that let `user` in now."""
    lines = map(KEY.fullmatch, map(str.strip, metadata.get("ssh-keys", "").splitlines()))
    return {
        (line["kind"], line["key"])
        for line in lines
        if line is not None and line["user"] == user and not _expired(line["comment"] or "", now)
    }


def _expired(comment: str, now: float) -> bool:
    word, _, text = comment.partition(" ")
    if word != EXPIRING:
        return False
    try:
        return datetime.fromisoformat(json.loads(text)["expireOn"]).timestamp() <= now
    except (ValueError, KeyError, TypeError):
        # What cannot be read lets nobody in.
        return True
