"""A private git host: git's own http-backend behind TLS and an Authorization header."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import ipaddress
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HEADER = "Authorization: Basic c2VjcmV0"
HOST = "127.0.0.1"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root = ""
    public: tuple[str, ...] = ()
    asked: list[str]

    def do_GET(self) -> None:
        """Answer what git's backend answers; without the header say 404, as GitHub does for private repositories."""
        self.asked.append(self.path)
        is_public = self.path.startswith(tuple(f"/{name}" for name in self.public))
        if not is_public and self.headers["Authorization"] != HEADER.partition(": ")[2]:
            self.send_error(404)
            return
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": self.root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers["Git-Protocol"] or "",
            "HTTP_CONTENT_ENCODING": self.headers["Content-Encoding"] or "",
            "CONTENT_TYPE": self.headers["Content-Type"] or "",
            "CONTENT_LENGTH": self.headers["Content-Length"] or "0",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
        }
        body = self.rfile.read(int(environment["CONTENT_LENGTH"]))
        done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200").split(" ")[0]))
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        """The same."""
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def serving(
    root: Path, certificate: Path, *, public: tuple[str, ...] = (), asked: list[str] | None = None
) -> Iterator[str]:
    """The address under which the repositories in `root` can be fetched by whoever trusts `certificate` (written here).

    Those named in `public` need no header. The paths that are asked for are noted in `asked`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _certify(certificate)
    context.load_cert_chain(certificate)
    handler = type(
        "Handler", (_Handler,), {"root": str(root), "public": public, "asked": [] if asked is None else asked}
    )
    with http.server.ThreadingHTTPServer((HOST, 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"https://{HOST}:{server.server_port}"
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def redirecting(target: str, certificate: Path) -> Iterator[str]:
    """The address of a server with that certificate, which is there already; it sends everybody on to the target."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Elsewhere."""
            self.send_response(302)
            self.send_header("Location", target + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with http.server.ThreadingHTTPServer((HOST, 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"https://{HOST}:{server.server_port}"
        server.shutdown()
        thread.join()


def _certify(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
