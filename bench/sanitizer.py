"""How fast the sanitizer is, beside a plain decode and a plain loop over lines of the same bytes, in one run.

Usage: python bench/sanitizer.py [megabytes]
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence

from accel_ci.formats.output import Sanitizer

MEGABYTE = 1_000_000
CHUNK = 256 * 1024  # one frame of the attachment
ORDINARY = ["tests/test_io.py::test_read", "PASSED", "[ 50%]", "INFO", "loading", "weights", "0.123s", "##", "loss=0.3"]
UNICODE = [*ORDINARY * 10, "✓", "café", "日本語", "—"]
COLOURED = [*ORDINARY, "\x1b[32mPASSED\x1b[0m", "\x1b[31mFAILED", "\x1b[1mbold\x1b[m"]
HOSTILE = [*ORDINARY, "##[group]", "\n::error::", "\x1b]0;t\x07", "\x1b[2K", "\u202e", "\u200d", "\0", "\udcff", "\r"]
SECRETS = [f"ghp_16C7e42F292c6912E7710c838347Ae178B{number}".encode() for number in range(3)]


def main() -> None:
    """Print one line per kind of log: megabytes a second, and the ratios to the two plain ways."""
    size = int(sys.argv[1] if len(sys.argv) > 1 else 200) * MEGABYTE
    print(f"{'log':<22}{'sanitizer':>12}{'decode':>14}{'line loop':>14}   {size // MEGABYTE} MB each")
    kinds = {"ordinary": ORDINARY, "some unicode": UNICODE, "coloured": COLOURED, "hostile": HOSTILE}
    for name, words in kinds.items():
        _compare(name, _log(words), size, secrets=())
    _compare("ordinary, 3 secrets", _log(ORDINARY), size, secrets=SECRETS)


def _compare(name: str, log: bytes, size: int, *, secrets: Sequence[bytes]) -> None:
    chunks = [log[start : start + CHUNK] for start in range(0, len(log), CHUNK)] * (size // len(log))
    ours = _speed(lambda: _sanitize(chunks, secrets), chunks)
    decode = _speed(lambda: _decode(chunks), chunks)
    loop = _speed(lambda: _loop(chunks), chunks)
    print(f"{name:<22}{ours:>7.0f} MB/s{ours / decode:>8.2f} times{ours / loop:>8.2f} times", flush=True)


def _sanitize(chunks: Iterable[bytes], secrets: Sequence[bytes]) -> None:
    sanitizer = Sanitizer(secrets, prefix="[w0] ", total_limit=1 << 40)
    for chunk in chunks:
        sanitizer.feed(chunk)
    sanitizer.flush()


def _decode(chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        chunk.decode("utf-8", "replace")


def _loop(chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        for line in chunk.splitlines(keepends=True):
            "[w0] " + line.decode("utf-8", "replace")


def _speed(work: Callable[[], None], chunks: Sequence[bytes]) -> float:
    started = time.perf_counter()
    work()
    return sum(map(len, chunks)) / MEGABYTE / (time.perf_counter() - started)


def _log(words: Sequence[str], size: int = 10 * MEGABYTE) -> bytes:
    choose = random.Random(7)
    lines, length = [], 0
    while length < size:
        lines.append(" ".join(choose.choices(words, k=choose.randint(3, 14))).encode("utf-8", "surrogateescape"))
        length += len(lines[-1]) + 1
    return b"\n".join(lines)[:size]


if __name__ == "__main__":
    main()
