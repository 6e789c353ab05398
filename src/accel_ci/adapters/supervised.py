"""The Remote port for every transport: supervisor.py and courier.py on the machine do the work, this talks to them."""

from __future__ import annotations

import asyncio
import json
import time
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar

from accel_ci.adapters import answers, attachment, frames, shell, transport
from accel_ci.adapters.attachment import Deliver
from accel_ci.adapters.landing import Landing
from accel_ci.adapters.loop_thread import LoopThread
from accel_ci.adapters.transport import Stdin, Transport
from accel_ci.domain import machine as machines
from accel_ci.domain.doors import Tried
from accel_ci.domain.errors import CloudError, ConnectionLostError
from accel_ci.domain.machine import Machine, Worker
from accel_ci.domain.workload import Caps, Fetched, Package, Phase, Unpacked
from accel_ci.ports.remote import Base, Beat, Ended, Event, Lost, Quiet
from accel_ci.ports.shell import BROKEN

T = TypeVar("T")

ON_MACHINE = Path(__file__).parents[1] / "on_machine"
PLUGIN = "accel_ci_pytest"
# For machines that are directories here, see local.py; and what a cloud's machine is given at its creation.
ELSEWHERE = {"keeper.py", "probe.py", "excerpt.py"}
PYTHON = ("python3", "-EsS")
SUPERVISOR = (*PYTHON, "supervisor.py")
COURIER = (*PYTHON, "courier.py")
INSTALL = """
import json, os, sys
os.umask(0o077)
for name, text in json.load(sys.stdin).items():
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with open(name + ".new", "w") as file:
        file.write(text)
    os.replace(name + ".new", name)
told = {"python": sys.executable}
if "doors" in sys.argv:
    sys.path.append(os.getcwd())
    import doors
    told.update(doors.tried(doors.chosen()))
print(json.dumps(told))
"""
ANSWER_BYTES = 64 * 1024
# With a frame of 256 KiB each this bounds what a slow reader can pile up.
EVENTS = 32
# Under a second: who watches wants to see within one that output has paused.
MOMENT_S = 0.9
NAMED = 5
SPEC_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds: for a short call, for moving files, and without any frame until an attachment counts as lost."""

    call_s: float = 60.0
    transfer_s: float = 900.0
    silence_s: float = 15.0


class SupervisedRemote:
    """Remote over a transport. Close it in the end: that ends its connections, never what runs on the machine."""

    def __init__(self, over: Transport, deadlines: Deadlines | None = None) -> None:
        self._transport = over
        self._deadlines = deadlines or Deadlines()
        self._loop = LoopThread()
        self._pythons: dict[tuple[str, int], str] = {}

    def __enter__(self) -> SupervisedRemote:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Detach from everything and end the transport's connections; nothing of them is left on this computer."""
        self._loop.close(self._transport.close)

    def prepare(self, machine: Machine) -> list[Tried]:
        """See ports.remote.Remote. The doors are tried in the same call: they cost no round trip of their own."""
        files = json.dumps(our_files()).encode()
        argv = (*PYTHON, "-c", INSTALL, *(() if machine.is_this_computer else ("doors",)))

        async def install(worker: Worker) -> Tried | None:
            """Send our files to the worker and try its doors; None where none were tried."""
            told = await self._call(machine, worker, argv, data=files, says="python")
            self._pythons[machine.handle, worker.index] = str(told["python"])
            try:
                return None if machine.is_this_computer else answers.doors(told, worker=worker.index)
            except ValueError as error:
                raise transport.lost(worker, transport.unacceptable(error)) from error

        return [tried for tried in self._on_each(machine.workers, install) if tried]

    def put(self, machine: Machine, package: Package) -> Unpacked:
        """See ports.remote.Remote. Each worker's process reads the file itself: its bytes never pass through ours."""
        wanted = {"sha": package.sha or "", "base": package.base, "origin": package.origin}
        words = [word for name, value in wanted.items() if value for word in (f"--{name}", value)]
        argv = (*COURIER, "unpack", "--kind", package.kind, *words)
        limit_s = self._deadlines.transfer_s

        async def unpack(worker: Worker, file: IO[bytes]) -> Unpacked:
            """What git on the worker says of the source."""
            told = await self._call(machine, worker, argv, stdin=file, limit_s=limit_s, says="ok")
            try:
                return answers.unpacked(told, package)
            except ValueError as error:
                raise transport.lost(worker, transport.unacceptable(error)) from error

        with ExitStack() as files:
            opened = {worker.index: files.enter_context(open(package.path, "rb")) for worker in machine.workers}
            first, *others = self._on_each(machine.workers, lambda worker: unpack(worker, opened[worker.index]))
        if any(each != first for each in others):
            # Two versions of git that merge differently: no verdict would be one on the same files.
            raise CloudError("the workers do not have the same files", what_to_do="use one image for all workers")
        return first

    def start(self, machine: Machine, phase: Phase) -> None:
        """See ports.remote.Remote."""
        argv = (*SUPERVISOR, "start")
        self._on_each(
            machine.workers,
            lambda worker: self._call(machine, worker, argv, data=start_spec(machine, worker, phase), says="started"),
        )

    def stop(self, machine: Machine, phase: Phase, workers: Sequence[int]) -> None:
        """See ports.remote.Remote."""
        argv = (*SUPERVISOR, "stop", "--phase", phase.name)
        chosen = [worker for worker in machine.workers if worker.index in workers]
        self._on_each(chosen, lambda worker: self._call(machine, worker, argv))

    def attach(self, machine: Machine, phase: Phase, offsets: Mapping[int, int]) -> Generator[Event, None, None]:
        """See ports.remote.Remote. A slow reader slows the machine's sending down; memory stays bounded."""
        queue: asyncio.Queue[Event] = asyncio.Queue(EVENTS)
        following = self._loop.begin(self._follow_all(machine, phase, offsets, queue.put))
        waiting, heard_at = {worker.index for worker in machine.workers} & offsets.keys(), time.monotonic()
        try:
            while waiting:
                events = self._loop.run(_next(queue, within_s=heard_at + MOMENT_S - time.monotonic()))
                if not events and following.done():
                    following.result()
                yield from events
                waiting -= {event.worker for event in events if isinstance(event, Ended | Lost)}
                if not all(isinstance(event, Beat) for event in events):
                    heard_at = time.monotonic()
                elif time.monotonic() >= heard_at + MOMENT_S:
                    heard_at = time.monotonic()
                    yield Quiet()
        finally:
            self._loop.end(following)

    def get(
        self, machine: Machine, patterns: Sequence[str], *, caps: Caps, into: str, base: Base = Base.SOURCE
    ) -> list[Fetched]:
        """See ports.remote.Remote."""
        request = json.dumps({"patterns": list(patterns), "base": base.value, "caps": asdict(caps)}).encode()

        async def fetch(worker: Worker) -> list[Fetched]:
            """The worker's files that the patterns name, on this computer."""
            argv, limit_s = self._found(machine, worker, (*COURIER, "send")), self._deadlines.transfer_s
            async with transport.conversation(self._transport, machine, worker, argv=argv, limit_s=limit_s) as opened:
                await opened.send(request)
                return await Landing(into, worker, caps).receive(opened.stdout)

        return [file for files in self._on_each(machine.workers, fetch) for file in files]

    def public_key(self) -> str:
        """See ports.remote.Remote."""
        return self._transport.public_key()

    def enter(self, machine: Machine, worker: Worker, command: str) -> int:
        """The exit code of a shell on the worker, or of the command, on our own stdin and stdout; 255: no connection."""
        on_terminal, text = shell.on_terminal(), shell.in_source(command)
        return shell.attended(self._transport.shell(machine, worker, text, on_terminal=on_terminal))

    def broadcast(
        self, machine: Machine, workers: Sequence[Worker], command: str, *, deliver: Callable[[int, bytes], None]
    ) -> list[int]:
        """The exit codes of the command on these workers at once; `deliver` gets (worker, output), stderr among it.

        Whoever is lost raises ConnectionLostError, once the others are over.
        """
        argv = ("sh", "-c", f"exec 2>&1 </dev/null; {shell.in_source(command)}")

        async def tell(worker: Worker) -> int:
            """The command's exit code on the worker, its output delivered as it comes."""
            async with transport.session(self._transport, machine, worker, argv=argv) as opened:
                while data := await opened.stdout.read(transport.BUFFER):
                    deliver(worker.index, data)
                code = await opened.process.wait()
                # ssh's own word for a broken connection; a command that ends with 255 cannot be told from it.
                if code == BROKEN:
                    raise transport.lost(worker, await opened.why())
                return code

        return self._on_each(workers, tell)

    def _on_each(self, workers: Sequence[Worker], work: Callable[[Worker], Awaitable[T]]) -> list[T]:
        return self._loop.run(_on_each(workers, work))

    async def _call(
        self,
        machine: Machine,
        worker: Worker,
        argv: Sequence[str],
        *,
        data: bytes = b"",
        stdin: Stdin = PIPE,
        limit_s: float | None = None,
        says: str = "",
    ) -> Mapping[str, object]:
        """Have the command read `data` or `stdin`, end well, and answer a JSON object that holds the name `says`."""
        limit_s = limit_s or self._deadlines.call_s
        argv = self._found(machine, worker, argv)
        async with transport.conversation(
            self._transport, machine, worker, argv=argv, stdin=stdin, limit_s=limit_s
        ) as opened:
            await opened.send(data)
            answer = await opened.answer(ANSWER_BYTES)
            if await opened.process.wait():
                raise _refusal(worker, answer) or transport.lost(worker, await opened.why())
            told = frames.document(answer) if says else {}
            if says and says not in told:
                raise ValueError(f"an answer that does not say '{says}'")
            return told

    def _found(self, machine: Machine, worker: Worker, argv: Sequence[str]) -> Sequence[str]:
        """The command with the Python that prepare found there: `python3` may be a version manager's script, and slow."""
        python = self._pythons.get((machine.handle, worker.index), "")
        return (python, *argv[1:]) if argv[0] == PYTHON[0] and python.startswith("/") else argv

    async def _follow_all(self, machine: Machine, phase: Phase, offsets: Mapping[int, int], deliver: Deliver) -> None:
        async with asyncio.TaskGroup() as group:
            for worker in machine.workers:
                if worker.index in offsets:
                    group.create_task(self._follow(machine, worker, phase, offsets[worker.index], deliver))

    async def _follow(self, machine: Machine, worker: Worker, phase: Phase, offset: int, deliver: Deliver) -> None:
        argv = self._found(machine, worker, (*SUPERVISOR, "attach", "--phase", phase.name, "--offset", str(offset)))
        try:
            async with transport.session(self._transport, machine, worker, argv=argv) as opened:
                await attachment.follow(
                    opened,
                    phase,
                    worker=worker.index,
                    offset=offset,
                    silence_s=self._deadlines.silence_s,
                    deliver=deliver,
                )
        except ConnectionLostError as error:
            await deliver(Lost(worker.index, error.what_happened))


def our_files() -> dict[str, str]:
    """What prepare puts into the directory of each worker: path there -> text."""
    plugin = [path for path in ON_MACHINE.rglob("*") if str(path.relative_to(ON_MACHINE)).startswith(PLUGIN)]
    programs = [path for path in ON_MACHINE.glob("*.py") if path not in plugin and path.name not in ELSEWHERE]
    return {f"plugin/{path.relative_to(ON_MACHINE)}": path.read_text() for path in plugin if path.is_file()} | {
        path.name: path.read_text() for path in programs
    }


def start_spec(machine: Machine, worker: Worker, phase: Phase) -> bytes:
    """The JSON that `supervisor.py start` reads."""
    environment = machines.distributed_environment(machine, worker) | dict(phase.environment)
    spec = asdict(phase) | {"environment": environment}
    spec["phase"] = spec.pop("name")
    spec["sent_at"] = time.time()
    place = {"machine": machine.name, "worker": worker.index, "workers": len(machine.workers)}
    return json.dumps({"version": SPEC_VERSION, **spec, **place}).encode()


async def _on_each(workers: Sequence[Worker], work: Callable[[Worker], Awaitable[T]]) -> list[T]:
    # All are waited for: a worker that goes on alone would meet the next step half-done.
    results = await asyncio.gather(*map(work, workers), return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        raise _together(errors)
    return [result for result in results if not isinstance(result, BaseException)]


def _together(errors: Sequence[BaseException]) -> BaseException:
    """One error for all: the first that is no matter of a worker, or else one that names the workers."""
    clouds = [error for error in errors if isinstance(error, CloudError)]
    if len(clouds) < len(errors) or len(errors) == 1:
        return next((error for error in errors if not isinstance(error, CloudError)), errors[0])
    named = "; ".join(error.what_happened for error in clouds[:NAMED])
    rest = f"; and {len(clouds) - NAMED} more" if len(clouds) > NAMED else ""
    kind = ConnectionLostError if any(isinstance(error, ConnectionLostError) for error in clouds) else CloudError
    return kind(named + rest, what_to_do=clouds[0].what_to_do)


def _refusal(worker: Worker, answer: bytes) -> CloudError | None:
    with suppress(ValueError):
        told = frames.document(answer).get("error")
        if isinstance(told, str):
            return CloudError(f"worker {worker.name} refuses: {transport.plain(told.encode('utf-8', 'replace'))}")
    return None


async def _next(queue: asyncio.Queue[Event], *, within_s: float) -> list[Event]:
    try:
        async with asyncio.timeout(within_s):
            events = [await queue.get()]
    except TimeoutError:
        return []
    while not queue.empty():
        events.append(queue.get_nowait())
    return events
