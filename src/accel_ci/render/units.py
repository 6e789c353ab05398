"""Quantities as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def duration(seconds: float) -> str:
    """`0.4 s`, `12.5 s`, `1 m 05 s`, `2 h 07 m`."""
    if seconds < 59.95:  # from there on it would be rounded to 60.0 s
        return f"{max(0.0, seconds):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} m"


def size(count: int) -> str:
    """`512 B`, `1.5 KiB`, `20.0 MiB`: powers of 1,024."""
    value, unit = float(count), 0
    # Likewise: never 1024.0 of a unit.
    while value >= 1023.95 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f} {UNITS[unit]}" if unit else f"{count} B"


def dollars(amount: float | None) -> str:
    """`$1.23`, `$0.0042` below ten cents, `unknown` for None."""
    if amount is None:
        return "unknown"
    return f"${amount:,.4f}" if 0 < amount < 0.1 else f"${amount:,.2f}"


def moment(seconds: float) -> str:
    """Seconds since 1970 as `2026-11-21 01:47:42 UTC`; "unknown time" beyond the calendar."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "unknown time"


def number(count: int, thing: str) -> str:
    """`1 test`, `1,234 tests`."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
