"""Many worlds at once: processes that each keep to one core, and no collector of cycles while a world happens."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice
from multiprocessing.queues import SimpleQueue
from typing import Protocol, TypeVar

Chunk = TypeVar("Chunk")
Answer = TypeVar("Answer")

BETWEEN_COLLECTIONS = 10  # worlds; what more of them leave behind no longer fits into a core's own memory


class Spread(Protocol):
    """How chunks of work are done: `map`, or a crowd's own; the answers come in the order of the chunks."""

    def __call__(self, work: Callable[[Chunk], Answer], chunks: Iterable[Chunk], /) -> Iterable[Answer]: ...


@contextlib.contextmanager
def of(jobs: int) -> Iterator[Spread]:
    """That many processes, for as long as the context lasts; with one it is the present one."""
    if jobs == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the carriers' locks
    cores = context.SimpleQueue()
    for core in islice(cycle(sorted(_cores())), jobs):
        cores.put(core)
    with context.Pool(jobs, _settle, (cores,)) as pool:
        yield pool.imap


def undisturbed(worlds: Iterable[Chunk]) -> Iterator[Chunk]:
    """The same, one after the other. What they leave behind is collected now and then, and not in the middle of one."""
    # What is there before the first world stays: programs and catalogues need no second look at each collection.
    gc.freeze()
    gc.disable()
    try:
        for number, world in enumerate(worlds, start=1):
            yield world
            if number % BETWEEN_COLLECTIONS == 0:
                gc.collect()
    finally:
        gc.enable()
        gc.collect()
        gc.unfreeze()


def _cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}


def _settle(cores: SimpleQueue[int]) -> None:
    # Its threads take turns: on one core each finds what the last one left in the processor's own memory.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cores.get()})
