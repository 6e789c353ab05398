"""A machine in a network of its own: boot.sh runs for real, then users ask for the metadata. Prints what they got, as JSON.

Run as root in new network and process namespaces: `python3 confined.py BOOT_SH DOORS_PY FOLDER`. FOLDER holds the files
`excerpt` (excerpt.py, "" for none), `bin/` (the image's own commands), and can be read by all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADDRESS = "169.254.169.254"
ROOT = "/computeMetadata/v1/"
TOKEN = "instance/service-accounts/default/token"
TPU = "instance/attributes/tpu-env"
USERS = {"root": 0, "daemon": 2, "tests": 12345, "subordinate": 100001}
ASK = """
import sys, urllib.error, urllib.request
for path in sys.argv[1:]:
    asked = urllib.request.Request(path, headers={"Metadata-Flavor": "Google"})
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer: print(answer.read().decode())
    except urllib.error.HTTPError as error: print(error.code)
    except OSError as error: print("closed")
"""


def main(boot: str, doors: str, folder: str) -> None:
    """See above."""
    # The machine has an address of its own: what comes from there is no answer of the metadata server.
    for command in (
        "link set lo up",
        f"addr add {ADDRESS}/32 dev lo",
        "addr add 10.0.0.5/32 dev lo",
        f"route replace table local local {ADDRESS}/32 dev lo src 10.0.0.5",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    with open(f"{folder}/excerpt") as file:
        told = serve(
            {
                TOKEN: "secret",
                TPU: "WRAP: 'false'",
                "instance/id": "4711",
                "instance/": "attributes/",
                "instance/attributes/ssh-keys": "keys",
            }
            | ({"instance/attributes/accel-ci-excerpt": text} if (text := file.read()) else {})
        )
    environment = {"PATH": f"{folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "GCE_METADATA_HOST": ADDRESS}
    subprocess.run(["sh", boot], env=environment, check=True, timeout=60)
    paths = [
        f"http://{ADDRESS}{ROOT}{name}" for name in (TOKEN, TPU, "instance/id", "instance/attributes/ssh-keys", "")
    ]
    got = {name: as_user(uid, "-c", ASK, *paths).splitlines() for name, uid in USERS.items()}
    tried = json.loads(as_user(USERS["tests"], doors, ACCEL_CI_DOORS="metadata"))
    print(json.dumps({"told": told, "got": got, "open": tried["open"]}))


def as_user(uid: int, *arguments: str, **environment: str) -> str:
    """What Python says as that user."""
    command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "/usr/bin/python3", *arguments]
    done = subprocess.run(command, env={"PATH": os.defpath, **environment}, capture_output=True, timeout=60, check=True)
    return done.stdout.decode()


def serve(answers: dict[str, str]) -> dict[str, str]:
    """A metadata server with these answers; the guest attributes that the machine tells are filled in."""
    told: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.removeprefix(ROOT))
            self.send_response(404 if found is None else 200)
            self.end_headers()
            self.wfile.write((found or "").encode())

        def do_PUT(self) -> None:
            name, content = (
                self.path.partition("guest-attributes/")[2],
                self.rfile.read(int(self.headers["Content-Length"])),
            )
            if name.startswith("accel-ci/"):
                told[name.removeprefix("accel-ci/")] = content.decode()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    threading.Thread(target=ThreadingHTTPServer((ADDRESS, 80), Handler).serve_forever, daemon=True).start()
    return told


if __name__ == "__main__":
    main(*sys.argv[1:])
