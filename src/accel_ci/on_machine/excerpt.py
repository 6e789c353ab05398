"""Answers in the metadata server's place what programs ask it about the hardware, and nothing else.

libtpu, JAX and PyTorch/XLA ask there how their slice looks, and hang where nobody answers (google/gvisor#10795); whose
the machine is, and its tokens, are kept from them. Runs as root at boot: `python3 excerpt.py PORT`. Exit code 0: it
goes on serving on loopback, as a user without rights. 1: there is nothing to tell here, as on machines without TPUs.
Sent to the machine as it is: standard library only, Python >= 3.8.
"""

import os
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Dict, List

HOST = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
ROOT = "/computeMetadata/v1/"
FLAVOR = ("Metadata-Flavor", "Google")
# What they read (jax: clusters/cloud_tpu_cluster.py, torch_xla: _internal/tpu.py). Only facts about the hardware and its
# neighbours in the slice: no keys, no scripts, no accounts.
SLICE = ("tpu-env", "accelerator-type", "agent-worker-number", "worker-network-endpoints", "instance-id")
PLACE = (
    "instance/id",
    "instance/name",
    "instance/hostname",
    "instance/zone",
    "instance/machine-type",
    "project/project-id",
)
NOBODY = 65534
ASK_S = 10.0


def main(arguments: List[str]) -> int:
    """See above."""
    answers = excerpt()
    if not any(name.rpartition("/")[2] in SLICE for name in answers):
        return 1
    server = serving(answers, int(arguments[0]))
    # Twice, so that the boot script is left with no child.
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            drop_rights()
            server.serve_forever()
        os._exit(0)
    return 0


def excerpt() -> Dict[str, bytes]:
    """Path -> what the metadata server says there now: none of it changes while the machine lives."""
    names = [*("instance/attributes/" + name for name in SLICE), *PLACE]
    said = {ROOT + name: asked(name) for name in names}
    return {path: answer for path, answer in said.items() if answer is not None}


def asked(name: str) -> "bytes | None":
    """The metadata server's answer; None where it has none."""
    request = urllib.request.Request("http://%s%s%s" % (HOST, ROOT, name), headers=dict([FLAVOR]))
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=ASK_S) as answer:
            return bytes(answer.read())
    except OSError:
        return None


def serving(answers: Dict[str, bytes], port: int) -> ThreadingTCPServer:
    """The server, bound already: whoever is led here from now on waits for it at the most."""

    class Handler(BaseHTTPRequestHandler):
        """One question."""

        def do_GET(self) -> None:
            """The answer, for whoever asks as one asks a metadata server; 404 for all that is not in the excerpt."""
            found = answers.get(self.path.partition("?")[0])
            allowed = self.headers.get(FLAVOR[0]) == FLAVOR[1]
            body = found if found is not None and allowed else b"not here\n"
            self.send_response(200 if body is found else 404)
            for name, value in (FLAVOR, ("Content-Type", "application/text"), ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    class Server(ThreadingTCPServer):
        """HTTP's own server would first ask for the host's name, and wait for DNS."""

        allow_reuse_address, daemon_threads = True, True

    return Server(("127.0.0.1", port), Handler)


def drop_rights() -> None:
    """From here on only what anybody may do: those who ask run a stranger's code."""
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
