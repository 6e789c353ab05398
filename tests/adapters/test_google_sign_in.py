"""Who we are to Google: where credentials and project come from, and what is said when there are none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from google.auth import exceptions
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import Request

from accel_ci.adapters import gce_library
from accel_ci.adapters.files_dir import FilesDirectory
from accel_ci.adapters.gce_api import GceApi
from accel_ci.adapters.google_sign_in import GoogleSignIn
from accel_ci.adapters.kept_token import KeptToken
from accel_ci.adapters.tpu_api import TpuApi
from accel_ci.domain.errors import ConfigurationError


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home directory without credentials, on a machine that is not Google's."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CONFIG", "GCLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return tmp_path


def test_the_token_file_is_read_again(tmp_path: Path) -> None:
    """The token is whatever the file holds when it is needed: somebody else keeps it fresh."""
    file = tmp_path / "token"
    file.write_text("first\n")
    variables = {"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(file), "CLOUDSDK_CORE_PROJECT": "p"}
    credentials, project = GoogleSignIn(variables).credentials()
    credentials.refresh(Request())  # type: ignore[no-untyped-call]
    assert (credentials.token, project, credentials.valid) == ("first", "p", True)
    file.write_text("second")
    credentials.refresh(Request())  # type: ignore[no-untyped-call]
    assert credentials.token == "second"


def test_threads_find_one_keeper_of_tokens(tmp_path: Path) -> None:
    """It is there before any thread asks for it: of two that made one each, each would sign in."""
    sign_in = GoogleSignIn({}, provider="projects/1", files=FilesDirectory(str(tmp_path)))
    assert isinstance(vars(sign_in)["_kept"], KeptToken)


@pytest.mark.parametrize("content", [None, "", "  \n", "\xff\xfe"])
def test_a_token_file_that_holds_none(tmp_path: Path, content: str | None) -> None:
    """Missing, empty or no text: the error says so, and shows neither content nor path."""
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content, encoding="latin-1")
    credentials, _ = GoogleSignIn({"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(file)}).credentials()
    with pytest.raises(exceptions.RefreshError, match="access token file") as error:
        credentials.refresh(Request())  # type: ignore[no-untyped-call]
    assert str(tmp_path) not in str(error.value)


def test_application_default_credentials(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token file it is what Google's own library finds; its project counts when no variable names one."""
    key = {
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "r",
        "quota_project_id": "q",
    }
    file = nobody / "adc.json"
    file.write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "theirs")
    _, theirs = GoogleSignIn({}).credentials()
    _, ours = GoogleSignIn({"CLOUDSDK_CORE_PROJECT": "ours", "GOOGLE_CLOUD_PROJECT": "theirs"}).credentials()
    assert (theirs, ours) == ("theirs", "ours")


def test_nobody_is_signed_in(nobody: Path) -> None:
    """Without any credentials the error says how to get some."""
    with pytest.raises(ConfigurationError, match="no credentials") as error:
        GoogleSignIn({}).credentials()
    assert "workload-identity-provider" in error.value.what_to_do


def test_a_credentials_file_that_is_none(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that leads to nowhere is the user's to mend."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(nobody / "absent.json"))
    with pytest.raises(ConfigurationError, match=r"absent\.json"):
        GoogleSignIn({}).credentials()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "Is a directory"),
        ("", "is not a valid json file."),
        ('{"type": ', "is not a valid json file."),
        ("[]", "their file is none that Google's tools write"),
        ('{"type": "other"}', "does not have a valid type"),
        ('{"type": "service_account"}', "Failed to load service account credentials"),
    ],
)
def test_what_is_wrong_with_a_credentials_file(
    content: str | None, told: str, nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever lies in its place, the user gets one sentence and no error of a library's."""
    file = nobody / "credentials.json"
    file.mkdir() if content is None else file.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with pytest.raises(ConfigurationError) as error:
        GoogleSignIn({}).credentials()
    assert told in str(error.value) and "Error(" not in str(error.value)


@pytest.mark.parametrize(
    ("cloud", "likely"),
    [
        ({}, False),
        ({"HOME": "/nowhere"}, False),
        ({"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": "/x"}, True),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "/x"}, True),
        ({"CLOUDSDK_CORE_PROJECT": "p"}, True),
        ({"GOOGLE_CLOUD_PROJECT": ""}, False),
    ],
)
def test_signs_of_credentials(cloud: dict[str, str], likely: bool) -> None:
    """Whether a sign-in is to be expected shows in the variables alone, without the library."""
    assert GoogleSignIn(cloud).likely() is likely


def test_gclouds_own_credentials_are_a_sign(tmp_path: Path) -> None:
    """So does the file that `gcloud auth application-default login` leaves, wherever gcloud keeps its files."""
    kept = tmp_path / ".config" / "gcloud"
    kept.mkdir(parents=True)
    (kept / "application_default_credentials.json").write_text("{}")
    assert GoogleSignIn({"HOME": str(tmp_path)}).likely()
    assert GoogleSignIn({"CLOUDSDK_CONFIG": str(kept)}).likely()
    assert not GoogleSignIn({"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path)}).likely()


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has one of Google's libraries and names the other's backend is told what to install, not that we have a bug."""
    import google.cloud

    monkeypatch.delattr(google.cloud, "tpu_v2", raising=False)
    monkeypatch.setitem(sys.modules, "google.cloud.tpu_v2", None)
    with pytest.raises(ConfigurationError, match="not installed") as tpu:
        TpuApi({}, sign_in=GoogleSignIn({"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": "t"})).connect()
    assert tpu.value.what_to_do == "pip install 'accel-ci[tpu]'"
    monkeypatch.setattr(gce_library, "PACKAGE", "google.cloud.compute_v0")
    with pytest.raises(ConfigurationError, match="not installed") as gce:
        GceApi({}, sign_in=_signed_in_already()).connect()
    assert gce.value.what_to_do == "pip install 'accel-ci[gce]'"


def _signed_in_already() -> GoogleSignIn:
    class Known(GoogleSignIn):
        def credentials(self) -> tuple[Any, str]:
            return AnonymousCredentials(), "p"  # type: ignore[no-untyped-call]

    return Known({})
