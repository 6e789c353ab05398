"""Ending machines: everything is released first, then each is verified to be gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from accel_ci.domain import errors, lease
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine, MachineSpec
from accel_ci.domain.runkey import RunKey
from accel_ci.ports.world import World
from accel_ci.render import units

Answer = TypeVar("Answer")

LISTING_LIMIT_S = 60.0
# To delete what is still being made may be refused: it is asked for again.
RESEND_S = 10.0
LONGEST_PAUSE_S = 2.0
# What has not answered by then is asked again beside: a machine that hangs delays no other one's next request.
ANSWER_S = 10.0
MOST_NAMES = 8  # commands for people: beyond, one that looks for what is there says more


def found(world: World, key: RunKey, *, zones: Sequence[str], limit_s: float) -> Iterator[Machine]:
    """The machines of this very key as they are found, asked for again while the cloud does not answer."""
    return _asked_again(
        world,
        lambda: world.machines.find(key, zones),
        limit_s=limit_s,
        what=f"look up {key.name}",
        by_hand=lambda: by_name(world, key, zones),
    )


def listed(world: World, owner: Owner) -> Iterator[Machine]:
    """What the owner's listing shows, as it comes, some of it more than once: it is asked for again for a minute while

    a part of the cloud does not answer. CleanupUnverifiedError at the end when there was no whole listing.
    """
    return _asked_again(
        world,
        lambda: world.machines.list_owned(owner),
        limit_s=LISTING_LIMIT_S,
        what="list the machines",
        by_hand=lambda: world.machines.search_commands(owner),
    )


def by_name(world: World, key: RunKey, zones: Sequence[str]) -> Sequence[str]:
    """What a person pastes to end the machine of this key, whether it exists or not.

    With many zones a search for what the key's job leased.
    """
    handles = world.machines.handles(key, zones)
    if len(handles) > MOST_NAMES:
        return world.machines.search_commands(lease.of_job(key))
    return [world.machines.release_command(handle) for handle in handles]


def _asked_again(
    world: World,
    ask: Callable[[], Iterable[Machine]],
    *,
    limit_s: float,
    what: str,
    by_hand: Callable[[], Sequence[str]],
) -> Iterator[Machine]:
    deadline = world.clock.now() + limit_s
    for pause in pauses():
        try:
            yield from ask()
        except errors.TransientError as error:
            if world.clock.now() >= deadline:
                raise errors.CleanupUnverifiedError(f"could not {what}: {error}", commands=tuple(by_hand())) from error
            world.clock.sleep(pause)
        else:
            return


def unverified(world: World, handles: Sequence[str], *, limit_s: float) -> errors.CleanupUnverifiedError:
    """The error that names machines that are not gone, with what ends each by hand."""
    return errors.CleanupUnverifiedError(
        f"{len(handles)} machine(s) may still live after {limit_s:.0f} s: {', '.join(handles)}",
        commands=tuple(world.machines.release_command(handle) for handle in handles),
    )


def end(world: World, handles: Sequence[str], *, limit_s: float, resend_s: float = RESEND_S) -> list[str]:
    """Release all machines first, then watch them go; the handles that could not be verified after `limit_s` seconds."""
    now = world.clock.now()
    deadline, resend_at, left = now + limit_s, now, list(handles)
    for pause in pauses():
        if world.clock.now() >= resend_at:
            resend_at = world.clock.now() + resend_s
            # All are asked to end before one is waited for: a job that is killed in between has still asked.
            send_all(world, left)
        left = _living(world, left)
        if not left or world.clock.now() >= deadline:
            return left
        world.job.status(f"waiting for {len(left)} machine(s) to be gone")
        world.clock.sleep(pause)
    raise AssertionError("pauses never end")


def send_all(world: World, handles: Sequence[str]) -> None:
    """Ask for the end of all of them at once; what a cloud refuses is only said."""
    refused: dict[str, errors.CloudError] = {}
    calls = [partial(ask, world, handle, refused) for handle in handles]
    world.lanes.run([iter(calls)], limit_s=ANSWER_S)
    tell(world, refused)


def ask(world: World, handle: str, refused: dict[str, errors.CloudError]) -> None:
    """Ask for the machine's end once; when the cloud does not take the request, why is put into `refused`."""
    try:
        world.machines.release(handle)
    except errors.CloudError as error:
        refused[handle] = error


def tell(world: World, refused: dict[str, errors.CloudError]) -> None:
    """Say which requests were not taken."""
    for handle, error in sorted(refused.items()):
        world.job.log(f"release of {handle} was not accepted yet: {error}")


def send(world: World, handle: str) -> bool:
    """Ask for the machine's end once; False when the cloud did not take the request."""
    refused: dict[str, errors.CloudError] = {}
    ask(world, handle, refused)
    tell(world, refused)
    return not refused


def price(world: World, machine: Machine) -> float | None:
    """What the machine costs an hour in US dollars; None when nobody knows."""
    spec = MachineSpec(
        backend=machine.backend, accelerator=machine.accelerator, zones=(machine.zone,), spot=machine.spot
    )
    try:
        return world.machines.candidates(spec)[0].dollars_per_hour
    except errors.AccelError:
        return None


def warn_of_cost(world: World, machine: Machine) -> None:
    """Say of a machine that somebody keeps until when it costs how much."""
    until = units.moment(float(machine.labels["accel-ci-keep-until"]))
    rate = price(world, machine)
    told = "" if rate is None else f", {units.dollars(rate)} an hour"
    world.job.warning("kept machine", f"{machine.handle} has keep-until and goes on costing money until {until}{told}")


def pauses() -> Iterator[float]:
    """Seconds to wait between two looks: quick at first, then never more than two seconds."""
    pause = 0.05
    while True:
        yield pause
        pause = min(pause * 1.6, LONGEST_PAUSE_S)


def _living(world: World, handles: Sequence[str]) -> list[str]:
    """Those of the machines that are not gone for certain, all looked up at once."""
    gone: set[str] = set()

    def look(handle: str) -> None:
        """Note the machine when it is gone."""
        if _gone(world, handle):
            gone.add(handle)

    world.lanes.run([iter([partial(look, handle) for handle in handles])], limit_s=ANSWER_S)
    return [handle for handle in handles if handle not in gone]


def _gone(world: World, handle: str) -> bool:
    try:
        return world.machines.released(handle)
    # "I may not look" or "I do not answer" is never "it is gone".
    except errors.CloudError:
        return False
