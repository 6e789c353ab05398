"""What a call to Google that went wrong says."""

from __future__ import annotations

import socket
import sys

import google.auth.transport.requests
import pytest
import requests
from google.auth import exceptions

from accel_ci.adapters import google_calls


def _refused(address: str) -> Exception:
    with pytest.raises(requests.ConnectionError) as told:
        requests.get(address, timeout=60)
    return told.value


def test_a_refused_connection_is_told_in_one_line() -> None:
    """Who was asked and what the system said, without the layers of libraries in between."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = google_calls.unanswered(_refused(f"http://127.0.0.1:{port}/v2/projects"), api="the API")
    assert str(error) == (
        "no answer from the API: NewConnectionError: 127.0.0.1: "
        "Failed to establish a new connection: [Errno 111] Connection refused"
    )


def test_a_sign_in_without_an_answer_is_told_alike() -> None:
    """google-auth wraps what happened once more."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/token"
        with pytest.raises(exceptions.TransportError) as told:
            google.auth.transport.requests.Request()(address)
    text = str(google_calls.unanswered(told.value, api="the API"))
    assert "Connection refused" in text and "HTTPConnection" not in text


@pytest.mark.parametrize(
    "error", [AttributeError(), ValueError("text"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")]
)
def test_what_holds_no_other_error_is_told_itself(error: Exception) -> None:
    """Neither an empty error nor one with a text as its reason is looked into."""
    assert str(google_calls.unanswered(error, api="x")).startswith(f"no answer from x: {type(error).__name__}: ")


class _Leaving(dict[str, object]):
    """sys.modules while another thread takes a module out of it, between a look and the next."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) and bool(self.pop(str(name)))


def test_a_library_that_is_being_imported_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in for a package leaves sys.modules in the background, while somebody asks whether the package is there."""
    monkeypatch.setattr(sys, "modules", _Leaving({**sys.modules, "google.cloud.compute_v1": object()}))
    assert google_calls.installed("google.cloud.compute_v1")
