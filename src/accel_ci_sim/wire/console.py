"""The serial port of a simulated machine: what a kernel, the guest agent and the startup script say while it boots."""

from __future__ import annotations

import asyncio
import time
from asyncio.subprocess import Process

from accel_ci_sim.wire.outlet import Outlet

LARGEST = (
    1024 * 1024
)  # older bytes are forgotten: https://cloud.google.com/compute/docs/troubleshooting/viewing-serial-port-output
BIOS = ("SeaBIOS (version 1.8.2-google)", "Booting from Hard Disk 0...")
KERNEL = (
    "Linux version 6.8.0-gcp (simulated)",
    "Command line: BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 console=ttyS0",
    "EXT4-fs (sda1): mounted filesystem with ordered data mode",
)
AGENT = "google_guest_agent[512]"
RUNNER = "google_metadata_script_runner[731]"
END = b"\r\n"


class Console:
    """Bytes with offsets that never go back; `first` is the offset of the oldest byte that is kept."""

    def __init__(self, hostname: str) -> None:
        self.first = 0
        self._hostname = hostname
        self._kept = b""
        self._line = b""

    @property
    def next(self) -> int:
        """The offset behind the last byte."""
        return self.first + len(self._kept)

    def since(self, offset: int) -> tuple[int, bytes]:
        """What was said from that offset on, and where that begins: later when older bytes are forgotten."""
        begin = min(max(offset, self.first), self.next)
        return begin, self._kept[begin - self.first :]

    def begin(self) -> None:
        """Power came on, and a kernel starts."""
        self._say(*BIOS, *(f"[    {number}.{number:06d}] {line}" for number, line in enumerate(KERNEL)))

    def come_up(self) -> None:
        """The system is there."""
        self._log(AGENT, "GCE Agent Started")
        self._log("systemd[1]", "Reached target Multi-User System.")
        self._say(f"{self._hostname} login: ")

    def write(self, data: bytes) -> None:
        """Something that the startup script said."""
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._log(RUNNER, "startup-script: " + line.decode("utf-8", "replace").rstrip("\r"))

    async def drain(self) -> None:
        """There is always room."""

    async def follow(self, name: str, process: Process, out: Outlet) -> None:
        """Take in what the script says until the end, and say how it ended."""
        self._log(RUNNER, "Starting startup scripts (version dev).")
        self._log(RUNNER, f"Found {name} in metadata.")
        try:
            draining = asyncio.create_task(out.drain_to(self))
            status = await process.wait()
            await asyncio.wait([draining], timeout=1.0)  # what it left behind may hold its output open for ever
            if self._line:
                self.write(b"\n")
            self._log(RUNNER, f'Script "{name}" {"failed with error: " if status else ""}exit status {status}')
            self._log(RUNNER, "Finished running startup scripts.")
            await draining
        finally:
            draining.cancel()
            out.close()

    def _log(self, who: str, line: str) -> None:
        self._say(f"{time.strftime('%b %e %H:%M:%S', time.gmtime())} {self._hostname} {who}: {line}")

    def _say(self, *lines: str) -> None:
        self._kept += b"".join(line.encode() + END for line in lines)
        over = max(0, len(self._kept) - LARGEST)
        self._kept, self.first = self._kept[over:], self.first + over
