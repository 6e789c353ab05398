"""boot.sh, run by a real shell against a metadata server on this computer."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import judges

SCRIPT = Path(__file__).parents[2] / "src/accel_ci/on_machine/boot.sh"
PREFIX = "/computeMetadata/v1/instance/guest-attributes/"


class Metadata:
    """The guest attributes of one machine; `busy` requests are answered with 503 first."""

    def __init__(self) -> None:
        self.told: dict[str, str] = {}
        self.writes: list[str] = []
        self.busy = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        metadata = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200 if self._name() in metadata.told else 404)

            def do_PUT(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if metadata.busy:
                    metadata.busy -= 1
                    self._answer(503)
                    return
                metadata.told[self._name()] = content
                metadata.writes.append(self._name())
                self._answer(200)

            def _name(self) -> str:
                assert self.headers["Metadata-Flavor"] == "Google"
                return self.path.removeprefix(PREFIX)

            def _answer(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        return Handler


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    """A metadata server."""
    served = Metadata()
    yield served
    served.close()


def _boot(metadata: Metadata, keys: Path) -> None:
    judges.require("curl")
    text = SCRIPT.read_text().replace("/etc/ssh", str(keys))
    environment = {"PATH": "/usr/bin:/bin", "GCE_METADATA_HOST": metadata.host}
    subprocess.run(["sh", "-c", text], env=environment, check=True, timeout=60, capture_output=True)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A directory with two host keys, as ssh-keygen writes them."""
    (tmp_path / "ssh_host_ed25519_key.pub").write_text("ssh-ed25519 AAAAED root@host\n")
    (tmp_path / "ssh_host_rsa_key.pub").write_text("ssh-rsa AAAARSA root@host\n")
    (tmp_path / "ssh_host_rsa_key").write_text("PRIVATE")
    return tmp_path


@pytest.mark.judge("curl")
def test_the_machine_tells_its_host_keys_and_then_that_it_booted(metadata: Metadata, keys: Path) -> None:
    """Each public host key is told under its kind, nothing private is, and `ready` comes last."""
    _boot(metadata, keys)
    assert metadata.told == {
        "hostkeys/ssh-ed25519": "AAAAED",
        "hostkeys/ssh-rsa": "AAAARSA",
        "accel-ci/stage": "ready",
    }
    assert metadata.writes[-1] == "accel-ci/stage"


@pytest.mark.judge("curl")
def test_what_the_agent_told_stays(metadata: Metadata, keys: Path) -> None:
    """A key that was told already is not written again: the image's own agent knows better."""
    metadata.told["hostkeys/ssh-ed25519"] = "FROM-AGENT"
    _boot(metadata, keys)
    assert metadata.told["hostkeys/ssh-ed25519"] == "FROM-AGENT"
    assert metadata.writes == ["hostkeys/ssh-rsa", "accel-ci/stage"]


@pytest.mark.judge("curl")
def test_a_machine_without_host_keys_still_boots(metadata: Metadata, tmp_path: Path) -> None:
    """No key file is no failure of the script: who needs a key waits for it."""
    _boot(metadata, tmp_path)
    assert metadata.told == {"accel-ci/stage": "ready"}


@pytest.mark.judge("curl")
def test_a_busy_metadata_server(metadata: Metadata, tmp_path: Path) -> None:
    """A refused write is written again."""
    metadata.busy = 1
    _boot(metadata, tmp_path)
    assert metadata.told == {"accel-ci/stage": "ready"}
