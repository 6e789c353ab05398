"""Tells a client what happens in a phase. Part of supervisor.py.

Frames on stdout: "O <offset> <length>\\n" + output, "B\\n" at least once a second when quiet, and as the last one
"E <length>\\n" + the end record (exit 0) or "X <length>\\n" + why no end record can come any more (exit 4).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import select
import stat
import time
from contextlib import suppress
from typing import Any, Dict, Optional

STDIN, STDOUT = 0, 1
FRAME_BYTES = 256 * 1024
DOCUMENT_BYTES = 64 * 1024
LAST_WORDS = 500
BEAT_S = 0.8
WRITE_S = 0.5
ENDED, CLIENT_GONE, LOST = 0, 1, 4


class LostPhaseError(Exception):
    """No end record can come any more."""


class ClientGoneError(Exception):
    """Nobody reads our stdout, or whoever held our stdin open is gone."""


def attach(folder: str, offset: int) -> int:
    """Write frames from `offset` on, until the end went out (0), none can come (4), or the client is gone (1)."""
    client = Client()
    try:
        try:
            last, kind, code = Attachment(folder, offset, client=client).follow(), b"E", ENDED
        except LostPhaseError as problem:
            last, kind, code = str(problem).encode(), b"X", LOST
        client.send(b"%s %d\n%s" % (kind, len(last), last))
    except ClientGoneError:
        return CLIENT_GONE
    return code


class Client:
    """Who reads our stdout, and holds our stdin open as long as they live."""

    def __init__(self) -> None:
        self.sent_at = 0.0
        self.attended: Optional[int] = None
        self.poller = select.poll()
        self.poller.register(STDOUT, 0)
        mode = os.fstat(STDIN).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):  # the end of /dev/null says nothing
            self.poller.register(STDIN, select.POLLIN)
        os.set_blocking(STDOUT, False)

    def send(self, data: bytes) -> None:
        """Give the client all of it. Each piece it takes shows the supervisor that somebody attends."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(STDOUT, left) :]
            except BlockingIOError:
                self.wait(WRITE_S, select.POLLOUT)
                continue
            except OSError:
                raise ClientGoneError from None
            self.sent_at = time.monotonic()
            if self.attended is not None:
                with suppress(OSError):  # on a disk that became read-only the phase goes on until it is unattended
                    os.utime(self.attended)

    def wait(self, seconds: float, events: int = 0) -> None:
        """Wait for `events` of stdout, or for `seconds`; ClientGoneError when the other end of a pipe was closed."""
        self.poller.modify(STDOUT, events)
        for number, found in self.poller.poll(math.ceil(seconds * 1000)):
            closed = found & ~events if number == STDOUT else not os.read(STDIN, DOCUMENT_BYTES)
            if closed:
                raise ClientGoneError


class Attachment:
    """One client's way through one phase, from `offset` on; LostPhaseError when that phase cannot be followed there."""

    def __init__(self, folder: str, offset: int, client: Client) -> None:
        self.client = client
        self.offset = offset
        self.folder = folder
        try:
            self.lock, self.output, client.attended = (
                open_regular(os.path.join(folder, name)) for name in ("spec.json", "output", "attached")
            )
        except OSError as error:
            raise LostPhaseError("the phase was never started, or its files are gone (%s)" % error.strerror) from None
        self.spec = read_document(os.path.join(folder, "spec.json")) or {}
        size = os.fstat(self.output).st_size
        if not 0 <= offset <= size:
            raise LostPhaseError("offset %d is not in the output, which has %d bytes" % (offset, size))

    def follow(self) -> bytes:
        """Send output and beats until all is sent; the end record."""
        pause_s = 0.01
        while True:
            alive = self.supervisor_lives()  # in this order: what was written before it died is seen below
            end = self.end_record()
            sent = self.send_output()
            if end is not None:
                return end
            if not alive:
                raise LostPhaseError("the supervisor died without an end record; " + self.last_words())
            if time.monotonic() - self.client.sent_at >= BEAT_S:
                self.client.send(b"B\n")
            pause_s = 0.01 if sent else min(0.02, 1.5 * pause_s)
            self.client.wait(pause_s)

    def supervisor_lives(self) -> bool:
        """True while the supervisor holds its lock, which ends with it, however it ends."""
        try:
            fcntl.flock(self.lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        return False

    def end_record(self) -> Optional[bytes]:
        """The end record when it is the supervisor's, who alone knows the nonce while the command runs; else None."""
        record = read_document(os.path.join(self.folder, "end.json")) or {}
        nonce = hashlib.sha256(str(record.get("nonce")).encode("utf-8", "replace")).hexdigest()
        return json.dumps(record).encode() if nonce == self.spec.get("nonce_sha256") else None

    def last_words(self) -> str:
        """How the supervisor's own complaints end."""
        try:
            with open(open_regular(os.path.join(self.folder, "supervisor.log")), errors="replace") as file:
                return file.read(DOCUMENT_BYTES)[-LAST_WORDS:].strip() or "it said nothing"
        except OSError as error:
            return "its log cannot be read (%s)" % error.strerror

    def send_output(self) -> bool:
        """Send all output that there is now; True when there was some."""
        begun = self.offset
        while True:
            data = os.pread(self.output, FRAME_BYTES, self.offset)
            if not data:
                return self.offset > begun
            self.client.send(b"O %d %d\n%s" % (self.offset, len(data), data))
            self.offset += len(data)


def open_regular(path: str) -> int:
    """A regular file, open for reading; OSError for anything else that the command may have put there."""
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(0, "not a regular file")
    return number


def read_document(path: str) -> Optional[Dict[str, Any]]:
    """The JSON object in a small file; None when there is none, whatever is there."""
    try:
        with open(open_regular(path), "rb") as file:
            document = json.loads(file.read(DOCUMENT_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
