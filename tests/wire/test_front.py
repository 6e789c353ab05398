"""The HTTP interface beside Google's methods: bad days, controls, and who is let in."""

from __future__ import annotations

import http.client
import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from accel_ci_sim.wire import peers
from tests.servers.simulator import SimulatorProcess
from tests.wire import rest
from tests.wire.rest import Zone


def raw(simulator: SimulatorProcess, request: bytes) -> bytes:
    """Everything that comes back for these bytes until the server hangs up."""
    host = urlsplit(simulator.url)
    with socket.create_connection((host.hostname or "", host.port or 0), timeout=60) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_errors_come_at_their_rate_and_do_nothing(zone: Zone, simulator: SimulatorProcess) -> None:
    """503 UNAVAILABLE instead of the deed; controls answer all the same."""
    simulator.turn(error_rate=1)
    status, document = zone.call("POST", "/nodes?nodeId=t1", rest.body())
    assert status == 503 and document["error"]["status"] == "UNAVAILABLE"
    simulator.turn()
    assert zone.call("GET", "/nodes") == (200, {})


def test_a_lost_reply_is_lost_after_the_deed(zone: Zone, simulator: SimulatorProcess) -> None:
    """The connection breaks without an answer, and the node is there."""
    simulator.turn(lost_reply_rate=1)
    with pytest.raises(http.client.RemoteDisconnected):
        zone.call("POST", "/nodes?nodeId=t1", rest.body())
    simulator.turn()
    assert zone.node("t1").state.name == "READY"


def test_answers_take_their_time(zone: Zone, simulator: SimulatorProcess) -> None:
    """The latency knob holds each answer back; others are served meanwhile."""
    simulator.turn(latency_s=0.2)
    begun = time.monotonic()
    zone.call("GET", "/nodes")
    assert time.monotonic() - begun >= 0.2


def test_the_same_seed_gives_the_same_luck(zone: Zone, simulator: SimulatorProcess) -> None:
    """Which of twenty calls fail depends on the seed alone."""

    def luck(seed: int) -> list[int]:
        simulator.turn(seed=seed + 100)
        simulator.turn(seed=seed, error_rate=0.5)
        return [zone.call("GET", "/nodes")[0] for _ in range(20)]

    assert luck(5) == luck(5) != luck(6)
    assert set(luck(5)) == {200, 503}


def test_knobs_turn_over_http(simulator: SimulatorProcess) -> None:
    """PATCH keeps the others, PUT turns them back, GET shows all; what makes no sense changes nothing."""
    simulator.turn(boot_s=5, stockout={"us-central1-b": 1})
    assert simulator.call("PATCH", "/sim/knobs", {"delete_s": [1, 2]})[0] == 200
    _, shown = simulator.call("GET", "/sim/knobs")
    assert (shown["boot_s"], shown["delete_s"], shown["stockout"]) == (5, [1, 2], {"us-central1-b": 1})
    for wrong in ({"boot": 1}, {"boot_s": -1}, {"boot_s": [2, 1]}, {"error_rate": 2}, ["x"], b"{"):
        status, document = simulator.call("PATCH", "/sim/knobs", wrong)
        assert status == 400 and document["error"], wrong
    assert simulator.call("GET", "/sim/knobs")[1] == shown


def test_knobs_turn_by_file(zone: Zone, simulator: SimulatorProcess) -> None:
    """The next call already sees the file; a broken file changes nothing and is complained about."""
    file = simulator.state / "knobs.json"
    file.write_text(json.dumps({"closed_zones": ["us-central1-b"]}))
    assert zone.call("GET", "/nodes")[0] == 403
    file.write_text('{"closed_zones": 1}')
    assert zone.call("GET", "/nodes")[0] == 403
    assert "closed_zones" in simulator.call("GET", "/sim/knobs")[1]["problem"]
    file.write_text("{}")
    assert zone.call("GET", "/nodes")[0] == 200 and "problem" not in simulator.call("GET", "/sim/knobs")[1]


def test_the_file_is_noticed_without_a_call(zone: Zone, simulator: SimulatorProcess) -> None:
    """Turning a knob by file takes effect on nodes that run, also while nobody asks."""
    zone.create("t1", schedulingConfig={"spot": True})
    before = len(simulator.log().splitlines())
    (simulator.state / "knobs.json").write_text('{"preempt_after_s": 0}')
    (line,) = rest.eventually(lambda: simulator.log().splitlines()[before:], bool)
    assert line.endswith(f"{zone.place}/nodes/t1 PREEMPTED")


def test_every_machine_is_in_the_ledger(zone: Zone, simulator: SimulatorProcess) -> None:
    """From its creation to its end, with the times that a bill would be made from."""
    before = len(simulator.machines())
    zone.create("t1", acceleratorType="v6e-4", schedulingConfig={"spot": True})
    (alive,) = simulator.machines()[before:]
    assert (alive["acceleratorType"], alive["spot"], alive["state"], alive["gone_at"]) == ("v6e-4", True, "READY", None)
    zone.done(*zone.call("DELETE", "/nodes/t1"))
    (gone,) = simulator.machines()[before:]
    assert gone["state"] == "GONE" and gone["created_at"] <= gone["ready_at"] <= gone["gone_at"]


def test_unknown_addresses_are_not_found(simulator: SimulatorProcess) -> None:
    """An error document for whatever is no method, here as there."""
    for path in (
        "/",
        "/v2/nothing",
        "/compute/v1/projects/p/zone",
        "/sim/nothing",
        "/v1/projects/p/locations/us-central1-b/nodes",
    ):
        status, document = simulator.call("GET", path)
        assert status == 404 and document["error"], path


def test_compute_knows_the_project(simulator: SimulatorProcess) -> None:
    """The little that gcloud asks Compute Engine: a project whose metadata holds no keys."""
    status, document = simulator.call("GET", "/compute/v1/projects/p?alt=json")
    assert status == 200 and document["name"] == "p"
    assert document["commonInstanceMetadata"]["fingerprint"] and "items" not in document["commonInstanceMetadata"]


def test_connections_are_kept_open(simulator: SimulatorProcess) -> None:
    """Several calls on one connection, errors among them; `Connection: close` ends it."""
    host = urlsplit(simulator.url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
    statuses = []
    for path in ("/sim/knobs", "/nothing", "/v2/projects/p/locations"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        statuses.append((answer.status, answer.will_close))
    connection.close()
    assert statuses == [(200, False), (404, False), (200, False)]
    assert raw(simulator, b"GET /sim/knobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(
        b"HTTP/1.1 200 "
    )


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"413"),
    ],
)
def test_what_is_no_request_is_refused(simulator: SimulatorProcess, request_: bytes, status: bytes) -> None:
    """With a status, and the end of the connection."""
    assert raw(simulator, request_).split(b" ")[1] == status


def test_browsers_are_refused(simulator: SimulatorProcess) -> None:
    """Whatever a web page makes a browser send comes with its origin, and does nothing."""
    status, document = simulator.call("GET", "/v2/projects/p/locations", headers={"Origin": "http://evil.example"})
    assert status == 403 and document["error"]["status"] == "PERMISSION_DENIED"


def test_the_owner_of_a_connection_is_known() -> None:
    """The kernel says whose the other end is: our own here, and nobody's for a port that nobody has."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.create_connection(server.getsockname()) as client:
            port = client.getsockname()[1]
            assert peers.owner(("127.0.0.1", port)) is not None
            assert peers.trusted(("127.0.0.1", port), ())
            assert not peers.trusted(("127.0.0.1", port), ("origin",))
        assert peers.owner(("127.0.0.2", port)) is None
