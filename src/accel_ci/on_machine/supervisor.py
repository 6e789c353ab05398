"""Runs one command on this machine, tells the truth about its end, and leaves nothing of it running.

Usage: supervisor.py start < SPEC | attach --phase P --offset N | stop --phase P

Sent to the machine as it is, with attach.py, process_tree.py and secret_files.py: standard library only, Python >= 3.8.
Where they lie is the worker root. Its phases/<phase>/ holds spec.json (locked while the supervisor lives), output,
state.json, end.json, supervisor.log, and what others leave: stop and attached. `start` and `stop` answer one line of
JSON: {"started": true}, {"started": false} when it was started before, {"asked": true}, or {"error": text}. attach.py
tells what `attach` writes.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import math
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Dict, NamedTuple, Optional, Tuple

ROOT = os.path.dirname(os.path.abspath(__file__))
sys.path.append(ROOT)  # `python3 -I` does not look there
if TYPE_CHECKING:
    from accel_ci.on_machine import attach, process_tree, secret_files
else:
    import attach
    import process_tree
    import secret_files

PHASES = os.path.join(ROOT, "phases")
PHASE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
VERSION = 1
PIPE_BYTES = 1024 * 1024
END_RECORD_BYTES = 8 * 1024
DETAIL_CHARACTERS = 1000
FAILED, OTHER_KEY = 1, 3
SAMPLE_S = 0.5
SETTLE_S = 1.0  # what the command left behind may flush and end by itself (tee, a log writer)
LEFTOVER_GRACE_S = 5.0
WRITE_S = 60.0

F_SETPIPE_SZ = 1031  # fcntl has it from Python 3.10 on


class Spec(NamedTuple):
    """What `start` reads. Limits are seconds; `lease_expires_at` and `sent_at` count from 1970, by the sender's clock."""

    key: str
    nonce: str
    phase: str
    command: str
    environment: Dict[str, str]
    directory: str
    limit_s: float
    grace_s: float
    unattended_s: float
    lease_expires_at: float
    sent_at: float
    output_limit_bytes: int
    worker: int
    workers: int
    machine: str
    secrets: Dict[str, str]


class RefusedError(Exception):
    """The request cannot be met; a text for the caller."""


class NotStartedError(Exception):
    """The command cannot be started: the end record's reason, and a detail for people."""


def main() -> int:
    """Run the verb; the exit code is 0, or tells what went wrong: 1 failed, 3 another key, else see attach.py."""
    parser = argparse.ArgumentParser(description="Runs one command on this machine.")
    parser.add_argument("verb", choices=("start", "attach", "stop"))
    parser.add_argument("--phase", default="")
    parser.add_argument("--offset", type=int, default=0)
    asked = parser.parse_args()
    try:
        if asked.verb == "start":
            return start()
        if asked.verb == "stop":
            return stop(folder_of(asked.phase))
        return attach.attach(folder_of(asked.phase), asked.offset)
    except RefusedError as refusal:
        print(json.dumps({"error": str(refusal)}))
        return FAILED


def folder_of(phase: str) -> str:
    """The phase's directory; RefusedError when the name could lead elsewhere."""
    if not PHASE.fullmatch(phase):
        raise RefusedError("a phase is named by at most 40 of [a-z0-9_-]")
    return os.path.join(PHASES, phase)


def stop(folder: str) -> int:
    """Ask for a polite end. It is no error when the phase is over, or was never started."""
    asked = os.path.isdir(folder)
    try:
        if asked:
            os.close(new_file(folder, "stop"))
    except FileExistsError:  # somebody asked already
        pass
    except OSError as error:
        raise RefusedError("the request could not be left: %s" % error) from None
    print(json.dumps({"asked": asked}))
    return 0


def start() -> int:
    """Answer once the command runs, or its end record says why it does not; idempotent by phase, key and nonce."""
    spec = read_spec(sys.stdin.buffer.read())
    # The reply to an earlier `start` may have been lost: who asks again must not run the command twice.
    if os.path.lexists(folder_of(spec.phase)):
        answer = earlier_start(spec)
    else:
        reader, writer = os.pipe()
        if os.fork() == 0:
            return guard(spec, writer)
        os.close(writer)
        with open(reader, "rb") as pipe:
            answer = json.loads(pipe.read() or b'{"error": "the supervisor died before it started the command"}')
    code: int = answer.pop("code", FAILED if "error" in answer else 0)
    print(json.dumps(answer))
    return code


def read_spec(data: bytes) -> Spec:
    """The spec that these bytes hold; RefusedError, without its values, when they hold none."""
    try:
        document = json.loads(data)
        version = document.pop("version")
        spec = Spec(**document)
        limits = (spec.limit_s, spec.grace_s, spec.unattended_s, spec.output_limit_bytes)
        finite = all(map(math.isfinite, (*limits, spec.lease_expires_at, spec.sent_at)))
        folder_of(spec.phase)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RefusedError("the spec cannot be read: %s %s" % (type(error).__name__, error)) from None
    if version != VERSION or not finite:
        raise RefusedError("the spec has another version, or a limit that is no number")
    return spec


def earlier_start(spec: Spec) -> Dict[str, Any]:
    """The answer when the phase's directory exists already."""
    try:
        with open(os.path.join(folder_of(spec.phase), "spec.json"), "rb") as file:
            theirs = json.loads(file.read())
        if (theirs["key"], theirs["nonce_sha256"]) == (spec.key, digest(spec.nonce)):
            return {"started": False}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return {"error": "phase %s was started with another key or nonce" % spec.phase, "code": OTHER_KEY}


def digest(nonce: str) -> str:
    """What files may know of the nonce while the command runs."""
    return hashlib.sha256(nonce.encode()).hexdigest()


def guard(spec: Spec, answer: int) -> int:
    """The supervisor's parent: ends the tree in its place, should somebody kill the supervisor."""
    detach(keep=answer)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    supervisor = os.fork()
    if supervisor == 0:
        return supervise(spec, answer)
    os.close(answer)
    os.waitpid(supervisor, 0)
    tree = process_tree.Tree()

    def turn(seconds: float) -> bool:
        """Wait these seconds; False once nothing of the tree is left."""
        time.sleep(seconds)
        return tree.reap()

    tree.end(spec.grace_s, turn)
    secret_files.remove(spec.nonce)
    return 0


def detach(keep: int) -> None:
    """Leave the caller's session and files; adopt orphans; keep our memory, and so the nonce, to ourselves."""
    # The ssh session may end at any time: its hang-up must not reach us.
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    # ssh waits for whoever holds its pipes.
    inherited = {int(name) for name in os.listdir("/dev/fd")} - {0, 1, 2, keep}
    for number in inherited:
        os.closerange(number, number + 1)
    process_tree.adopt_orphans()
    process_tree.hide_memory()


def supervise(spec: Spec, answer: int) -> int:
    """The supervisor's life, from the claim to the end record."""
    process_tree.adopt_orphans()  # the guard's call holds for the guard only
    try:
        claimed = claim(spec)
    except OSError as error:
        return tell(answer, {"error": "the phase cannot be set up: %s" % error})
    if claimed is None:
        return tell(answer, earlier_start(spec))
    supervision = Supervision(spec, claimed)
    try:
        supervision.launch()
    except NotStartedError as problem:
        supervision.write_end(*problem.args)
        return tell(answer, {"started": True})
    tell(answer, {"started": True})  # whether or not it is heard: the command runs, and a second `start` finds it
    supervision.run()
    return 0


def tell(answer: int, document: Dict[str, Any]) -> int:
    """Give `start` its answer; nobody may be there to hear it."""
    with suppress(OSError):
        os.write(answer, json.dumps(document).encode())
    os.close(answer)
    return 0


class Claim(NamedTuple):
    """A phase that is ours: its directory, and the open files in it."""

    folder: str
    lock: int
    output: int
    end: int


def claim(spec: Spec) -> Optional[Claim]:
    """Make the phase's directory as a whole: the one rename that works decides who runs the command; None for others."""
    folder = folder_of(spec.phase)
    draft = os.path.join(PHASES, ".%s.%d" % (spec.phase, os.getpid()))
    os.makedirs(PHASES, mode=0o700, exist_ok=True)
    shutil.rmtree(draft, ignore_errors=True)
    os.mkdir(draft, 0o700)
    known = {"version": VERSION, "key": spec.key, "phase": spec.phase, "nonce_sha256": digest(spec.nonce)}
    try:
        lock = new_file(draft, "spec.json", json.dumps(known).encode())
        # Open and filled from now on, so that in the end neither a full disk nor a planted file can be in the way.
        end = new_file(draft, "end.json.new", b" " * END_RECORD_BYTES)
        output = new_file(draft, "output")
        os.dup2(new_file(draft, "supervisor.log"), 2)
        new_file(draft, "attached")
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(draft, folder)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        if os.path.lexists(folder):
            return None
        raise
    return Claim(folder, lock=lock, output=output, end=end)


def new_file(folder: str, name: str, data: bytes = b"") -> int:
    """A new file that begins with `data`, open for writing."""
    number = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(number, data)
    return number


class Spool:
    """The output file: takes bytes up to a limit, counts what it drops, and never lets the command feel it."""

    def __init__(self, output: int, limit: int) -> None:
        self.output = output
        self.limit = limit
        self.written = 0
        self.dropped = 0
        self.problem = ""

    def add(self, data: bytes) -> None:
        """Keep what fits. After the first failure nothing more is kept, so that the file stays a true beginning."""
        kept = memoryview(data)[: max(0, self.limit - self.written)]
        self.dropped += len(data) - len(kept)
        while kept:
            try:
                count = os.write(self.output, kept)
            except OSError as error:
                self.problem = "output was lost: %s" % error.strerror
                # Bytes after a gap would be taken for the next ones.
                self.limit = self.written
                self.dropped += len(kept)
                return
            self.written += count
            kept = kept[count:]


class Supervision:
    """One command from its launch to its end record."""

    def __init__(self, spec: Spec, claimed: Claim) -> None:
        self.spec = spec
        self.claimed = claimed
        self.spool = Spool(claimed.output, spec.output_limit_bytes)
        self.tree = process_tree.Tree()
        self.poller = select.poll()
        self.asked_to_stop = False
        self.bell = self.hang_bell()
        self.started_at, self.started = time.time(), time.monotonic()
        # By what is left of it: this machine's clock and the one that the lease was made by may differ by minutes.
        self.lease_end = self.started + spec.lease_expires_at - spec.sent_at
        self.attended, self.attended_mark = self.started, self.mark()
        self.peak_bytes, self.next_sample = 0, self.started

    def hang_bell(self) -> int:
        """A pipe that wakes the poll when a child ended, or when TERM asks us to stop."""
        bell, striker = os.pipe()
        # A handler that blocks on a full pipe would never return.
        os.set_blocking(striker, False)
        signal.set_wakeup_fd(striker, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self.heard)
        self.poller.register(bell, select.POLLIN)
        return bell

    def heard(self, number: int, _frame: object) -> None:
        """TERM and INT ask for a polite end; the others only wake the poll."""
        self.asked_to_stop = self.asked_to_stop or number in (signal.SIGTERM, signal.SIGINT)

    def launch(self) -> None:
        """Start the command; NotStartedError says why that cannot be."""
        if self.lease_end <= self.started:
            raise NotStartedError("lease-expired", "the lease had ended before the command started")
        self.pipe, writer = os.pipe()
        os.set_blocking(self.pipe, False)  # the command can open its stdout for reading, and be faster than us
        with suppress(OSError):  # over the user's quota the pipe stays small
            fcntl.fcntl(writer, F_SETPIPE_SZ, PIPE_BYTES)
        try:
            self.process = spawn(self.spec, writer)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise NotStartedError("not-started", "the command could not be started: %s" % error) from None
        os.close(writer)
        self.poller.register(self.pipe, select.POLLIN)
        self.tree.command = self.process.pid
        state = {"supervisor": os.getpid(), "command": self.process.pid, "started_at": self.started_at}
        with suppress(OSError):  # who has no room for it gets no help in looking for processes, but a verdict
            new_file(self.claimed.folder, "state.json", json.dumps(state).encode())

    def run(self) -> None:
        """Watch the command, end what is left of its tree, and only then write the end record."""
        reason, detail = self.watch()
        grace_s = self.spec.grace_s
        if reason == "exited" and not process_tree.gone_within(SETTLE_S, self.turn):
            detail = "processes that the command left behind were ended"
            grace_s = min(grace_s, LEFTOVER_GRACE_S)
        if not self.tree.end(grace_s, self.turn):
            detail += "; some processes could not even be killed"
        for _ in range(64):  # the pipe's rest; not for ever, should a stranger have got hold of its other end
            if not self.pump():
                break
        secret_files.remove(self.spec.nonce)
        self.write_end(reason, detail)

    def watch(self) -> Tuple[str, str]:
        """Wait until the command ends or has to: the end record's reason, and a detail for people."""
        while True:
            self.turn(process_tree.TICK_S)
            if self.tree.status is not None:
                return "exited", ""
            due = self.due()
            if due is not None:
                return due

    def due(self) -> Optional[Tuple[str, str]]:
        """Why the command has to end now, if it has. Only monotonic time counts: clocks of fresh machines jump."""
        now, mark = time.monotonic(), self.mark()
        if mark != self.attended_mark:
            self.attended, self.attended_mark = now, mark
        if self.asked_to_stop or os.path.lexists(os.path.join(self.claimed.folder, "stop")):
            return "cancelled", "asked to stop"
        if now >= self.started + self.spec.limit_s:
            return "timed-out", "the limit of %g s was reached" % self.spec.limit_s
        if now >= self.lease_end:
            return "lease-expired", "the lease of the machine ended"
        if now >= self.attended + self.spec.unattended_s:
            return "unattended", "nobody attended for %g s" % self.spec.unattended_s
        return None

    def mark(self) -> Optional[int]:
        """Changes whenever an attached client shows that it is alive."""
        try:
            return os.stat(os.path.join(self.claimed.folder, "attached")).st_mtime_ns
        except OSError:
            return None

    def turn(self, seconds: float) -> bool:
        """Wait for at most `seconds`, take in what came; False when nothing of the tree is left."""
        for number, _ in self.poller.poll(math.ceil(seconds * 1000)):
            if number == self.bell:
                os.read(self.bell, 512)
            else:
                self.pump()
        self.sample()
        return self.tree.reap()

    def pump(self) -> bool:
        """Move what the pipe holds to the spool; False when there is nothing, or never will be again."""
        try:
            data = os.read(self.pipe, PIPE_BYTES)
        except OSError:
            return False
        if not data:
            self.poller.unregister(self.pipe)
            os.close(self.pipe)
            self.pipe = -1
        self.spool.add(data)
        return bool(data)

    def sample(self) -> None:
        """Note the tree's memory now and then; on machines with many processes less often: it costs 5 % at most."""
        begun = time.monotonic()
        if begun >= self.next_sample:
            self.peak_bytes = max(self.peak_bytes, sum(each.rss_bytes for each in self.tree.members().values()))
            self.next_sample = begun + max(SAMPLE_S, 20 * (time.monotonic() - begun))

    def write_end(self, reason: str, detail: str) -> None:
        """State the end, atomically. A disk that refuses is asked again for a while; not when the phase was removed."""
        text = "; ".join(filter(None, (detail, self.spool.problem)))[:DETAIL_CHARACTERS]
        record = json.dumps(self.end_record(reason, text)).encode()
        path = os.path.join(self.claimed.folder, "end.json")
        deadline = time.monotonic() + WRITE_S
        while os.path.isdir(self.claimed.folder) and time.monotonic() < deadline:
            try:
                os.ftruncate(self.claimed.end, os.pwrite(self.claimed.end, record, 0))
                os.fsync(self.claimed.end)
                os.replace(path + ".new", path)
                return
            except OSError:
                time.sleep(1)

    def end_record(self, reason: str, detail: str) -> Dict[str, Any]:
        """The record that accel_ci.domain.verdict reads; one of exit_code and signal is set once the command ended."""
        status = self.tree.status
        return {
            "version": VERSION,
            "key": self.spec.key,
            "nonce": self.spec.nonce,
            "phase": self.spec.phase,
            "reason": reason,
            "exit_code": os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None,
            "signal": os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None,
            "started_at": self.started_at,
            "ended_at": self.started_at + time.monotonic() - self.started,
            "output_bytes": self.spool.written,
            "output_dropped_bytes": self.spool.dropped,
            "peak_memory_bytes": max(self.peak_bytes, process_tree.largest_of_the_dead()),
            "detail": detail,
        }


def spawn(spec: Spec, output: int) -> subprocess.Popen[bytes]:
    """The command as a process in its own session; OSError, ValueError or SubprocessError when that cannot be."""
    environment = command_environment(spec)
    path = environment.get("PATH", os.defpath)
    shell = shutil.which("bash", path=path) or shutil.which("sh", path=path)
    if shell is None:
        raise OSError("neither bash nor sh is in PATH")
    return subprocess.Popen(
        [shell, "-c", spec.command],
        cwd=os.path.join(ROOT, "source", spec.directory),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        close_fds=False,  # ours close on exec, others we have none
        preexec_fn=in_command,  # noqa: PLW1509 - there are no threads here
    )


def command_environment(spec: Spec) -> Dict[str, str]:
    """What the command sees: the login's environment, the phase's, and ours on top."""
    results = os.path.join(ROOT, "results")
    os.makedirs(results, mode=0o700, exist_ok=True)
    environment = {"TERM": "dumb", "PYTHONUNBUFFERED": "1", **os.environ, **spec.environment, **spec.secrets}
    folder = secret_files.make(spec.secrets, spec.nonce)
    if folder is not None:
        environment["ACCEL_CI_SECRETS"] = folder
    environment.update(
        ACCEL_CI="1",
        ACCEL_CI_MACHINE=spec.machine,
        ACCEL_CI_WORKER=str(spec.worker),
        ACCEL_CI_WORKERS=str(spec.workers),
        ACCEL_CI_PHASE=spec.phase,
        ACCEL_CI_RESULTS=results,
        PYTHONPATH=":".join(filter(None, (os.path.join(ROOT, "plugin"), environment.get("PYTHONPATH")))),
    )
    return environment


def in_command() -> None:
    """Runs in the child before it becomes the command: it dies with us, and finds every signal as after a login."""
    process_tree.die_with_parent()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


if __name__ == "__main__":
    sys.exit(main())
