"""The event that started a GitHub Actions run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# GitHub cuts payloads at 25 MB: https://docs.github.com/webhooks/webhook-events-and-payloads
LIMIT_BYTES = 32 * 1024 * 1024


def read(path: str) -> dict[str, Any]:
    """The event's JSON object; empty when there is no such file or it holds something else."""
    try:
        with Path(path).open("rb") as file:
            event = json.loads(file.read(LIMIT_BYTES))
    except (OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}
