"""A seeded source of hostile lines, and a command that runs many of them past the sanitizer.

Usage: python -m tests.formats.hostile_lines [lines] [seed]
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice

from accel_ci.formats import plain_text
from accel_ci.formats.output import Sanitizer
from tests.formats import runner_parser
from tests.formats.runner_parser import Collation, Runner

NAMES = [*sorted(runner_parser.NAMES), "SET-OUTPUT", "Error", "section", "command", "start-action", "x", ""]
SPACE = [" ", "\t", "   ", *runner_parser.WHITE_SPACE]
INVISIBLE = [*"\u200b\u200d\u200f\u202e\u2066\ufeff\u00ad\ufe0f\u0301\u180e\U000e0041"]
CONTROL = [*map(chr, range(32)), "\x7f", *map(chr, range(0x80, 0xA0))]
SEQUENCE = [
    "\x1b[31m", "\x1b[0m", "\x1b[m", "\x1b[38;2;1;2;3m", "\x1b[" + "1;" * 40 + "m", "\x1b[2K", "\x1b[1A", "\x1b[6n",
    "\x1b[?25l", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\", "\x1b]0;unended", "\x1bP1$q\x1b\\", "\x1b_hidden\x1b\\",
    "\x1b", "\x1b[", "\x1b[3", "\x1b(B", "\x1bc", "\x9b31m", "\x9d0;t\x9c", "\x1b\x1b[31m", "\x1b[\x001m",
]  # fmt: skip
BROKEN = b"\xff|\xc2|\xe2\x80|\xf0\x9f\x98|\xc0\xba|\xed\xa0\x80|\x85|\x9b31m|\xf4\x90\x80\x80".split(b"|")
BREAKS = ["\n", "\n", "\n", "\r\n", "\r", "\r\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"]
JUNK = [*SPACE, *INVISIBLE, *CONTROL, *SEQUENCE]
MARKS = ["##[{name}{properties}]{data}", "::{name}{properties}::{data}", "##vso[{name}]{data}", "#{data}#[{name}]"]
STRAY = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def lines(seed: int) -> Iterator[bytes]:
    """Hostile lines without end, each with its own line break; the same for the same seed."""
    choose = random.Random(seed)
    while True:
        yield _line(choose) + choose.choice(BREAKS).encode()


def chunks(data: bytes, seed: int) -> Iterator[bytes]:
    """The data in pieces of random sizes, mostly small."""
    choose, start = random.Random(seed), 0
    while start < len(data):
        size = choose.choice((1, 2, 3, 7, 50, 1000, 100_000))
        yield data[start : start + size]
        start += size


def sanitized(pieces: Iterable[bytes]) -> str:
    """What the sanitizer, with its defaults, makes of the pieces."""
    sanitizer = Sanitizer()
    return "".join([*(sanitizer.feed(piece) for piece in pieces), sanitizer.flush()])


def commands(output: bytes) -> int:
    """How many commands a runner would find, in whichever way of comparing strings it finds the most."""
    readers = [Runner(collation) for collation in Collation]
    return max(len(reader.read(output)) for reader in readers)


def faults(text: str) -> int:
    """How many commands of any name, control and invisible characters, and changes by a second pass the text has."""
    named_anyhow = len(Runner(any_name=True).read(text.encode()))
    stray = len(STRAY.findall(plain_text.uncoloured(text)))
    return commands(text.encode()) + named_anyhow + stray + (sanitized([text.encode()]) != text)


def main() -> None:
    """Run the lines in blocks and print what was found; exit 1 on any fault."""
    total = int(sys.argv[1] if len(sys.argv) > 1 else 1_000_000)
    seed = int(sys.argv[2] if len(sys.argv) > 2 else 1)
    source, done, fired, found, started = lines(seed), 0, 0, 0, time.perf_counter()
    while block := list(islice(source, min(10_000, total - done))):
        raw = b"".join(block)
        fired += sum(commands(line) > 0 for line in block)
        found += faults(sanitized(chunks(raw, seed + done)))
        done += len(block)
    seconds = time.perf_counter() - started
    print(f"{done} hostile lines (seed {seed}, {seconds:.0f} s): {fired} fire a command as they are,", end=" ")
    print(f"{found} faults after the sanitizer")
    sys.exit(bool(found))


def _line(choose: random.Random) -> bytes:
    mark = choose.choice(MARKS).format(
        name=choose.choice(NAMES),
        properties=choose.choice(["", " name=x", " name=a;b=c", " file=a,line=1", " "]),
        data=choose.choice(["value", "", "]", "::", "##[error]", "%0A::error::x", "\u202etxt"]),
    )
    junk = "".join(choose.choices(JUNK, k=choose.choice((0, 0, 0, 1, 2))))
    line = junk + choose.choice(["", "", "", "", "text ", "[w0] ", "#", ":"]) + mark
    for _ in range(choose.choice((0, 0, 1, 2, 4))):
        at = choose.randrange(len(line) + 1)
        line = line[:at] + choose.choice(JUNK) + line[at:]
    raw = line.encode()
    if choose.random() < 0.2:
        at = choose.randrange(len(raw) + 1)
        raw = raw[:at] + choose.choice(BROKEN) + raw[at:]
    return raw


if __name__ == "__main__":
    main()
