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
SUDO = "/computeMetadata/v1/instance/attributes/accel-ci-sudo"
ATTRIBUTES = "/computeMetadata/v1/instance/attributes/"
PROBE = """\
import pathlib, sys
count = pathlib.Path(sys.argv[0] + ".count")
seen = len(count.read_text()) if count.exists() else 0
count.write_text("x" * (seen + 1))
if seen < 2:
    sys.exit(75)
count.unlink()
print("asked", *sys.argv[1:])
sys.exit(1)
"""


class Metadata:
    """The guest attributes of one machine; `busy` requests are answered with 503 first."""

    def __init__(self) -> None:
        self.told: dict[str, str] = {}
        self.writes: list[str] = []
        self.busy = 0
        self.sudo = False
        self.attributes: dict[str, str] = {}
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
                if self.path == SUDO:
                    self._answer(200 if metadata.sudo else 404, b"TRUE" if metadata.sudo else b"")
                    return
                if self.path.startswith(ATTRIBUTES):
                    given = metadata.attributes.get(self.path.removeprefix(ATTRIBUTES))
                    self._answer(404 if given is None else 200, (given or "").encode())
                    return
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

            def _answer(self, status: int, body: bytes = b"") -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        return Handler


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    """A metadata server."""
    served = Metadata()
    yield served
    served.close()


def _boot(metadata: Metadata, keys: Path, commands: Path | None = None) -> None:
    judges.require("curl")
    text = SCRIPT.read_text().replace("/etc/ssh", str(keys))
    path = f"{commands}:/usr/bin:/bin" if commands else "/usr/bin:/bin"
    environment = {
        "PATH": path,
        "GCE_METADATA_HOST": metadata.host,
        "ACCEL_CI_PATIENCE_S": "0",
        "ACCEL_CI_PAUSE_S": "0",
    }
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


def _image(
    place: Path, *, groups: str, gpasswd: str = "exit 0", iptables: str = "exit 0", ip6tables: str = "exit 0"
) -> Path:
    """The commands of an image whose agent has put our user into these groups; what is called is kept in `calls`."""
    commands = {
        "getent": "exit 0",
        "id": f"echo {groups}",
        "gpasswd": f'echo "gpasswd $*" >>"{place}/calls"; {gpasswd}',
        "iptables": f'echo "iptables $*" >>"{place}/calls"; {iptables}',
        "ip6tables": f'echo "ip6tables $*" >>"{place}/calls"; {ip6tables}',
    }
    for name, text in commands.items():
        (place / name).write_text(f"#!/bin/sh\n{text}\n")
        (place / name).chmod(0o755)
    return place


def _calls(place: Path) -> list[str]:
    calls = place / "calls"
    return calls.read_text().splitlines() if calls.exists() else []


@pytest.mark.judge("curl")
def test_the_test_user_is_no_administrator_and_cannot_reach_the_metadata(metadata: Metadata, tmp_path: Path) -> None:
    """It leaves every group that is root or becomes it, keeps the others, and the metadata is closed to it but for names.

    Whatever ids it can take on besides its own, as `newuidmap` lets it, are shut out with it.
    """
    image = _image(tmp_path, groups="accel-ci adm docker google-sudoers video")
    _boot(metadata, tmp_path, image)
    *groups, firewall, firewall6 = _calls(image)
    assert groups == ["gpasswd --delete accel-ci google-sudoers", "gpasswd --delete accel-ci docker"]
    assert "--destination 169.254.169.254 --protocol tcp ! --dport 53" in firewall
    assert "--destination fd20:ce::254 --protocol tcp ! --dport 53" in firewall6
    assert all("--match owner ! --uid-owner 0-999 --jump REJECT" in each for each in (firewall, firewall6))
    assert metadata.writes == ["accel-ci/confined", "accel-ci/stage"]
    assert metadata.told["accel-ci/confined"] == "yes"


@pytest.mark.judge("curl")
@pytest.mark.parametrize(
    "broken",
    [
        {"groups": "accel-ci"},
        {"groups": "google-sudoers", "gpasswd": "exit 1"},
        {"iptables": "exit 2"},
        {"ip6tables": "exit 2"},
    ],
)
def test_a_user_that_could_not_be_confined(metadata: Metadata, tmp_path: Path, broken: dict[str, str]) -> None:
    """An agent that never came, a group or a firewall that refuses: the machine boots and says that it is not confined."""
    _boot(metadata, tmp_path, _image(tmp_path, **({"groups": "accel-ci google-sudoers"} | broken)))
    assert metadata.told == {"accel-ci/confined": "no", "accel-ci/stage": "ready"}


@pytest.mark.judge("curl")
def test_sudo_by_order(metadata: Metadata, tmp_path: Path) -> None:
    """A machine that was ordered with sudo is left as its image made it."""
    metadata.sudo = True
    image = _image(tmp_path, groups="accel-ci google-sudoers")
    _boot(metadata, tmp_path, image)
    assert (_calls(image), metadata.told) == ([], {"accel-ci/stage": "ready"})


@pytest.mark.judge("curl")
def test_the_driver_is_waited_for(metadata: Metadata, keys: Path) -> None:
    """The probe is asked until it answers something else than "not yet"; its word is told before the machine is ready."""
    metadata.attributes = {"accel-ci-expects": "gpu 2", "accel-ci-probe": PROBE}
    _boot(metadata, keys)
    assert metadata.told["accel-ci/health"] == "asked gpu 2"
    assert metadata.writes[-3:] == ["accel-ci/stage", "accel-ci/health", "accel-ci/stage"]
    assert metadata.told["accel-ci/stage"] == "ready"
