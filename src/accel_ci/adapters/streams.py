"""The process's standard streams, which may be closed, full or read by nobody any more."""

from __future__ import annotations

import os
import sys
from typing import TextIO

MODES = {"stdin": "r", "stdout": "w", "stderr": "w"}


def complete() -> None:
    """Open on nothing what was closed (`>&-`): its number would go to the next file of ours, which what we start would

    then take for its output.
    """
    for name, mode in MODES.items():
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free, so the closed one's
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def put(stream: TextIO, text: str) -> str:
    """Written at once, or to nobody from now on: a run has a machine to give back, whoever reads of it.

    What was lost and why; "" when nothing was, and when the reader went away: `| head` has seen enough.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        nobody = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        # Python's own flush at exit would raise again.
        os.dup2(nobody, stream.fileno())
        os.close(nobody)
        return "" if isinstance(error, BrokenPipeError) else error.strerror or type(error).__name__
    return ""
