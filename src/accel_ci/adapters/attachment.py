"""Following one worker's phase through the frames that `supervisor.py attach` sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from accel_ci.adapters import frames, transport
from accel_ci.adapters.transport import Session
from accel_ci.domain import verdict
from accel_ci.domain.workload import Phase
from accel_ci.ports.remote import Beat, Ended, Event, Lost, Output

Deliver = Callable[[Event], Awaitable[None]]


async def follow(
    opened: Session, phase: Phase, *, worker: int, offset: int, silence_s: float, deliver: Deliver
) -> None:
    """Deliver each Output from `offset` on, then one Ended or Lost; waits while `deliver` does not take more.

    A machine that breaks the protocol gets an Ended without a record: attaching again could not end better.
    """
    try:
        while True:
            async with asyncio.timeout(silence_s):
                frame = await frames.frame(opened.stdout)
            match frame.kind:
                case "O":
                    end = frame.offset + len(frame.payload)
                    # Offsets make the log exact over reconnections: a gap or a repetition would be believed silently.
                    if frame.offset != offset or end > phase.output_limit_bytes:
                        raise ValueError(f"output at {frame.offset} to {end}, expected at {offset}")
                    offset = end
                    await deliver(Output(worker, frame.offset, frame.payload))
                case "B":
                    await deliver(Beat(worker))
                case "E":
                    return await deliver(Ended(worker, verdict.end_record(frames.document(frame.payload))))
                case "X":
                    return await deliver(Ended(worker, None, transport.plain(frame.payload)))
    # A dead peer says nothing: beats come whenever there is no output.
    except TimeoutError:
        await deliver(Lost(worker, f"no sign of life for {silence_s:g} s"))
    except EOFError:
        await deliver(Lost(worker, await opened.why()))
    except ValueError as error:
        await deliver(Ended(worker, None, transport.unacceptable(error)))
