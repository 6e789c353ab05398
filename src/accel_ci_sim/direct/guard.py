"""The fault layer: between a process and each port call stands a fate."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from accel_ci.domain import errors
from accel_ci_sim.direct import attachments, sites
from accel_ci_sim.direct.process import Crashed, Process
from accel_ci_sim.direct.scene import Scene
from accel_ci_sim.direct.sites import Site
from accel_ci_sim.world import dice
from accel_ci_sim.world.cloud import LANDS_WITHIN_S
from accel_ci_sim.world.faults import CRASHES, LONGEST_DELAY_S, Fate

Call = Callable[..., Any]
LANDS_ANYWAY = 0.3
_CREATE = sites.BY_NAME["machines.begin_create"].number
_GOOGLE_CREATES = frozenset(
    sites.BY_NAME[name].number for name in ("gce.insert", "tpu.create_node", "tpu.create_queued")
)
_APPEND = sites.BY_NAME["files.append"].number


class _Guarded:
    """A port as one process gets it. Calls are made when first asked for: most processes use few of them."""

    def __init__(self, process: Process, name: str, real: Any) -> None:
        self._process = process
        self._name = name
        self._real = real

    def __getattr__(self, method: str) -> Call:
        call = _made(self._process, sites.BY_NAME[f"{self._name}.{method}"], self._real)
        setattr(self, method, call)
        return call


def port(process: Process, name: str, real: Any) -> Any:
    """The port as this process gets it: the same methods, each behind a fate."""
    return _Guarded(process, name, real)


def intercept(process: Process, name: str, real: Any) -> None:
    """Put a fate before each of the object's own calls that are sites of the port `name`; the rest stays."""
    for site in sites.OF_PORT[name]:
        setattr(real, site.method, functools.partial(_first, process, site, real, getattr(real, site.method)))


def _first(process: Process, site: Site, real: Any, method: Call, /, *args: Any, **kwargs: Any) -> Any:
    """The first of such calls: most processes make few of them, so that the layer is made when it is needed."""
    setattr(real, site.method, method)
    guarded = _made(process, site, real)
    setattr(real, site.method, guarded)
    return guarded(*args, **kwargs)


def _made(process: Process, site: Site, real: Any) -> Call:
    if site.name == "remote.attach":
        return attachments.guarded(process, real.attach)
    call = _guarded(process, site, getattr(real, site.method))
    if process.scene.timeline.lines is not None:
        call = _told(process, site, call)
    if site.name in ("github.post", "github.patch"):
        return _followed(call, process.judge.public.wrote)
    if site.name == "machines.release":
        return _noted(process.asked.add, call)
    if site.name == "machines.begin_create":
        return _noted(lambda _: process.judge.orders(process), call)
    return _grouping(call) if site.name == "job.group" else call


def _noted(note: Callable[[Any], None], call: Call) -> Call:
    """The call, with a note of what was asked for whether it is answered or not."""

    def noting(*args: Any, **kwargs: Any) -> Any:
        note(args[0])
        return call(*args, **kwargs)

    return noting


def _followed(call: Call, follow: Callable[[], None]) -> Call:
    """The call, and then a look at what it did, whether it was answered or not."""

    def following(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        finally:
            follow()

    return following


def _guarded(process: Process, site: Site, method: Call) -> Call:
    scene = process.scene
    faults, calls, count = scene.faults, scene.calls, scene.timeline.count
    number, mine, latency_s, down = site.number, process.number, site.latency_s, scene.down

    def call(*args: Any, **kwargs: Any) -> Any:
        if process.attention:
            process.attend()
        calls[number] += 1
        count(mine, number)
        faults.left -= 1
        # The short way: all but one call in many meet no fate, and there are millions.
        if faults.left > 0 and number not in faults.aimed:
            if latency_s:
                process.pause(latency_s)
            if down and site.distant and (site.port in down or site.name in down):
                raise site.error()
            return method(*args, **kwargs)
        return _meet(process, site, process.fate(site), call=functools.partial(method, *args, **kwargs))

    return call


def _meet(process: Process, site: Site, fate: Fate, *, call: functools.partial[Any]) -> Any:
    if fate in (Fate.FAIL, Fate.CRASH_BEFORE):
        _leave_behind(process, site, call)
    else:
        process.pause(site.latency_s + _delay(process, fate))
        if site.distant and process.scene.down & {site.port, site.name}:
            raise site.error()
        answer = call()
        # Networks deliver twice, and clients repeat: whatever is asked for must bear it.
        if fate is Fate.DUPLICATE:
            answer = call()
    if fate in CRASHES:
        process.vanish()
        # After the call too: what landed stays, and nobody knows.
        raise Crashed
    process.pause(_delay(process, fate))
    if fate in (Fate.FAIL, Fate.LOSE):
        raise site.error()
    return answer


def _delay(process: Process, fate: Fate) -> float:
    seconds = process.scene.dice.uniform(0.0, LONGEST_DELAY_S) if fate is Fate.DELAY else 0.0
    process.delayed_s += seconds
    return seconds


def _leave_behind(process: Process, site: Site, call: functools.partial[Any]) -> None:
    """What a call that never came back may still do: a creation lands later, an append was written in part."""
    scene = process.scene
    # What begin_create does at Google are calls of its own, which can land late themselves.
    creates = {_CREATE} if scene.cloud.weather.service == "sim" else _GOOGLE_CREATES
    # A request that nobody got an answer to may still be on its way.
    if site.number in creates and dice.chance(scene.dice, LANDS_ANYWAY):
        scene.schedule.after(scene.dice.uniform(0.1, LANDS_WITHIN_S), lambda: _land(scene, call))
    # A process that dies while it writes leaves a torn end.
    if site.number == _APPEND:
        name, content = call.args
        call.func(name, content[: scene.dice.randrange(len(content) + 1)])


def _land(scene: Scene, call: functools.partial[Any]) -> None:
    scene.ledger.late = True
    try:
        call()
    except errors.AccelError:
        pass  # it came too late even for that
    finally:
        scene.ledger.late = False


class _Group(contextlib.AbstractContextManager[None]):
    def __init__(self, call: Call, title: str) -> None:
        self._call = call
        self._title = title

    def __enter__(self) -> None:
        self._call(self._title)

    def __exit__(self, *_: object) -> None:
        self._call("")


def _grouping(call: Call) -> Call:
    return lambda title: _Group(call, title)


def _told(process: Process, site: Site, call: Call) -> Call:
    def telling(*args: Any, **kwargs: Any) -> Any:
        values = [*map(_short, args), *(f"{name}={_short(value)}" for name, value in kwargs.items())]
        asked = f"{site.name}({', '.join(values)})"
        try:
            answer = call(*args, **kwargs)
        except BaseException as error:
            process.scene.timeline.say(process.name, f"{asked} !! {type(error).__name__}: {error}")
            raise
        if isinstance(answer, Iterator):
            return _listed(process, asked, answer)
        process.scene.timeline.say(process.name, f"{asked} -> {_short(answer)}")
        return answer

    return telling


def _listed(process: Process, asked: str, answer: Iterator[Any]) -> Iterator[Any]:
    """The same items; a listing tells them as they come."""
    for each in answer:
        process.scene.timeline.say(process.name, f"{asked} -> {_short(each)}")
        yield each
    process.scene.timeline.say(process.name, f"{asked} is over")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 90 else f"{text[:87]}..."
