"""The ports of a world with a stranger in it: little machinery, and the stranger may act before every call."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from accel_ci.adapters import transport
from accel_ci.adapters.github_calls import Calls
from accel_ci.domain import verdict
from accel_ci.domain.doors import Tried
from accel_ci.domain.errors import CloudError
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Candidate, Capabilities, Creation, Machine, MachineSpec, State, Worker
from accel_ci.domain.runkey import RunKey
from accel_ci.domain.verdict import EndRecord
from accel_ci.domain.workload import Caps, CommitSource, Fetched, Package, Phase, Source, Unpacked
from accel_ci.formats import output, redaction
from accel_ci.ports.clock import Clock
from accel_ci.ports.entropy import Entropy
from accel_ci.ports.remote import Base, Ended, Event, Lost, Output
from accel_ci_sim.direct import files, github
from accel_ci_sim.direct.files import Files
from accel_ci_sim.direct.github import TOKEN
from accel_ci_sim.wire import github_routes
from accel_ci_sim.wire.github_routes import Asked
from accel_ci_sim.world.github import ApiError, GitHubWorld

Act = Callable[[], None]


class Watched:
    """A port before each of whose calls somebody may act."""

    def __init__(self, port: Any, act: Act) -> None:
        self._port = port
        self._act = act

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        def acted(*args: Any, **kwargs: Any) -> Any:
            self._act()
            return call(*args, **kwargs)

        return acted


class Time:
    """The clock of one world."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """At once."""
        self.seconds += seconds


class Api(Calls):
    """Our GitHub adapter's requests. The stranger acts before each; `wrote` hears what is about to be changed."""

    def __init__(
        self, world: GitHubWorld, *, act: Act, wrote: Callable[[str, str], None], clock: Clock, entropy: Entropy
    ) -> None:
        super().__init__(TOKEN, world.repository, api_url="", clock=clock, entropy=entropy)
        self._world = world
        self._act = act
        self._wrote = wrote

    def _once(
        self,
        verb: str,
        path: str,
        *,
        needs: str,
        parameters: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
    ) -> tuple[Mapping[str, str], Any]:
        del needs
        self._act()
        self._wrote(verb, path)
        try:
            handler, parts = github_routes.find(verb, path)
            texts = {name: str(value) for name, value in (parameters or {}).items()}
            decoded, token = tuple(map(unquote, parts)), self._world.who(TOKEN)
            asked = Asked(world=self._world, token=token, parts=decoded, query=texts, body=body or {})
            return {}, github.page(handler(asked)[1])
        except ApiError as problem:
            raise github.refused(problem, f"{verb} {path}") from problem


class Shown:
    """The job port: whatever people or later steps would see is kept. Masks hide in our own lines, and nowhere else."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.pages: list[str] = []
        self.outputs: dict[str, str] = {}
        self._masks = redaction.Masks()

    def log(self, line: str) -> None:
        """Kept, cleaned as both adapters do; what they would make of commands is not done: none should come."""
        self.texts.append(self._masks.hidden(output.visible(line)))

    status = log

    def stream(self, text: str) -> None:
        """Kept as it came: what hides secrets in output must do without the job's help."""
        self.texts.append(text)

    def summary(self, markdown: str) -> None:
        """Kept."""
        self.pages.append(markdown)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Its title is kept."""
        self.log(title)
        yield

    def notice(self, title: str, text: str) -> None:
        """Kept."""
        self.log(title)
        self.log(text)

    warning = error = notice

    def mask(self, secret: str) -> None:
        """As both adapters do."""
        self._masks.add(secret)

    def output(self, name: str, value: str) -> None:
        """Kept."""
        self.outputs[name] = value
        self.texts.append(value)


class OneMachine:
    """The machines port: every request is met at once."""

    def __init__(self) -> None:
        self._made: dict[str, Machine] = {}

    def capabilities(self, handle: str = "") -> Capabilities:
        """See ports.machines.Machines."""
        return Capabilities(native_lifetime_limit=True, zones=True)

    def candidates(self, spec: MachineSpec) -> Sequence[Candidate]:
        """The first zone."""
        return [Candidate(zone=spec.zones[0], spot=True, dollars_per_hour=1.0)]

    def begin_create(self, spec: MachineSpec, lease: Lease, candidate: Candidate, *, public_key: str) -> Creation:
        """Ready at once."""
        handle = f"sim://{candidate.zone}/{lease.key.name}"
        self._made[handle] = Machine(
            handle=handle,
            name=lease.key.name,
            zone=candidate.zone,
            accelerator=spec.accelerator,
            spot=True,
            state=State.READY,
            workers=(Worker(index=0, address="10.0.0.2"),),
            labels=lease.labels(),
        )
        return Creation(handle=handle, stage="ready", machine=self._made[handle])

    def poll(self, creation: Creation) -> Creation:
        """It is ready."""
        return creation

    def find(self, key: RunKey, zones: Sequence[str]) -> list[Machine]:
        """By name."""
        return [each for each in self._made.values() if each.name == key.name]

    def list_owned(self, owner: Owner) -> list[Machine]:
        """By label."""
        return [each for each in self._made.values() if owner.owns(each.name, each.labels)]

    def release(self, handle: str) -> None:
        """Gone."""
        self._made.pop(handle, None)

    def released(self, handle: str) -> bool:
        """Whether it is gone."""
        return handle not in self._made

    def interruption(self, handle: str) -> str:
        """None."""
        return ""

    console_tail = release_command = interruption


@dataclass(kw_only=True)
class HostileRemote:
    """The remote port over a machine whose code is the stranger's: `prints` gets the secrets that it was handed.

    `forges`: its end record claims success under another nonce. `starts` hears of every phase before it runs. `boast` is
    what it says wherever it may say something; `breaks`: the connection breaks once; `refuses`: no file comes back;
    `obstructs`: the commit cannot be unpacked.
    """

    act: Act
    starts: Callable[[str, Phase], None]
    prints: Callable[[list[str]], bytes]
    results: Callable[[list[str]], bytes]
    junit: Callable[[list[str]], bytes]
    boast: Callable[[list[str]], str]
    names: Sequence[str]
    into: Files
    clock: Clock
    forges: bool = False
    breaks: bool = False
    refuses: bool = False
    obstructs: bool = False
    exit_code: int = 0
    _source: str = ""
    _secrets: list[str] = field(default_factory=list)
    _printed: bytes = b""

    def prepare(self, machine: Machine) -> list[Tried]:
        """Ready, and a door that lets nothing out stands open in hostile words."""
        return [Tried(worker=each.index, open={"logins": self._plain()}) for each in machine.workers]

    def put(self, machine: Machine, package: Package) -> Unpacked:
        """The commit is there; or two could not be merged, for files of hostile names."""
        self._source = package.sha or "workspace"
        return Unpacked(sha=package.sha or "", obstacle=self._plain() if self.obstructs else "")

    def start(self, machine: Machine, phase: Phase) -> None:
        """The code runs, and knows what it was handed."""
        self.starts(self._source, phase)
        # From here on it may say them wherever it is asked anything.
        self._secrets = [*phase.secrets.values()]
        self._printed = self.prints(self._secrets)

    def attach(self, machine: Machine, phase: Phase, offsets: Mapping[int, int]) -> Generator[Event, None, None]:
        """Hostile output in pieces, perhaps broken off once, then an end record that is true or forged."""
        offset = offsets[0]
        while offset < len(self._printed):
            self.act()
            data = self._printed[offset : offset + max(1, len(self._printed) // 3)]
            yield Output(0, offset, data)
            offset += len(data)
            # Once: what comes again from the offset must not show what was hidden before.
            if self.breaks:
                self.breaks = False
                yield Lost(0, self.boast(self._secrets))
                return
        yield Ended(0, self._end(phase, offset), self.boast(self._secrets))

    def stop(self, machine: Machine, phase: Phase, workers: Sequence[int]) -> None:
        """It ends anyway."""

    def get(
        self, machine: Machine, patterns: Sequence[str], *, caps: Caps, into: str, base: Base = Base.SOURCE
    ) -> list[Fetched]:
        """Files under hostile names, and one that is refused in hostile words."""
        # A machine whose programs were replaced answers what its new master likes.
        if self.refuses:
            raise CloudError(f"worker w0 refuses: {self._plain()}")
        content = self.results(self._secrets) if base is Base.RESULTS else self.junit(self._secrets)
        # Names are made on the machine, too: by tests that know the secrets.
        told = self.boast(self._secrets)
        found = [Fetched(worker=0, name=told, refused=told)] if "out/**" in patterns else []
        for index, name in enumerate([*self.names, *(f"out/{secret}.bin" for secret in self._secrets), told]):
            path = f"w0/{index}-{re.sub(r'[^A-Za-z0-9._-]+', '_', name)}"
            self.into.documents[f"{files.inside(into)}/{path}"] = content
            digest = hashlib.sha256(content).hexdigest()
            found.append(Fetched(worker=0, name=name, path=path, size_bytes=len(content), sha256=digest))
        return found

    def public_key(self) -> str:
        """A key."""
        return "ssh-ed25519 SIMULATED"

    def _plain(self) -> str:
        """What it says in answers that our adapter reads: that makes them one safe line, and knows no secrets."""
        return transport.plain(self.boast(self._secrets).encode())

    def _end(self, phase: Phase, size: int) -> EndRecord:
        now = self.clock.now()
        return EndRecord(
            key=phase.key,
            nonce="0" * 32 if self.forges else phase.nonce,
            phase=phase.name,
            reason=verdict.Reason.EXITED,
            exit_code=0 if self.forges else self.exit_code,
            signal=None,
            started_at=now,
            ended_at=now,
            output_bytes=size,
            detail=self.boast(self._secrets) if self.forges else "",
        )


class Commits:
    """The sources port: every commit exists."""

    def pack(self, source: Source, *, into: str) -> Package:
        """The commit, named."""
        assert isinstance(source, CommitSource)
        return Package(path=into, kind="bundle", sha=source.sha, size_bytes=40)


class Kept:
    """The history port, in memory."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}

    def keep(self, name: str, document: bytes) -> None:
        """Kept."""
        self.documents[name] = document

    def names(self) -> list[str]:
        """What is kept."""
        return list(self.documents)

    def read(self, name: str) -> bytes | None:
        """The document, or None."""
        return self.documents.get(name)
