"""Libraries that threads import side by side: each import is made under one lock."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# A finder is asked before each import. Whatever another thread might import too has to be imported under the lock.
WATCHED = """
import json, sys, threading
from accel_ci.adapters import libraries
from accel_ci.adapters.gce_api import GceApi
from accel_ci.adapters.google_sign_in import GoogleSignIn
from accel_ci.adapters.tpu_api import TpuApi
from accel_ci.domain.errors import AccelError

SHARED = {"google", "requests", "urllib3", "proto", "grpc", "certifi", "cryptography"}
unlocked = []

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in SHARED and not libraries.LOCK._is_owned():
            unlocked.append(name)

sys.meta_path.insert(0, Watch())
variables, provider = json.loads(sys.argv[1]), sys.argv[2]
sign_in = GoogleSignIn(variables, provider=provider)

def connect(api):
    try:
        api.connect()
        next(iter(api.listed("x")) if isinstance(api, GceApi) else api.nodes(), None)
    except AccelError as error:
        print(type(api).__name__, error, file=sys.stderr)

apis = [GceApi(variables, project="p", sign_in=sign_in), TpuApi(variables, project="p", sign_in=sign_in)]
threads = [threading.Thread(target=connect, args=(api,)) for api in apis]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(sorted(set(unlocked))))
"""
NOWHERE = "http://127.0.0.1:9"
ENDPOINTS = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}": NOWHERE for name in ("COMPUTE", "TPU", "STS", "IAMCREDENTIALS")}
USER = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "token_uri": NOWHERE}


@pytest.mark.parametrize("signs_in", ["token file", "keyless", "default"])
def test_no_library_is_imported_by_two_threads_at_once(signs_in: str, tmp_path: Path) -> None:
    """Compute Engine's client and the TPU's are made side by side, each with its sign-in: once in thousands of cleanups

    the import deadlocked, and the step ended as a bug of ours.
    """
    file = tmp_path / "file"
    file.write_text(json.dumps(USER) if signs_in == "default" else "token")
    variables, provider = dict(ENDPOINTS), ""
    if signs_in == "keyless":
        provider = "projects/1/locations/global/workloadIdentityPools/pool/providers/github"
        variables |= {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{NOWHERE}/?a=b", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t"}
    else:
        name = "GOOGLE_APPLICATION_CREDENTIALS" if signs_in == "default" else "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"
        variables[name] = str(file)
    words = [sys.executable, "-c", WATCHED, json.dumps(variables), provider]
    ended = subprocess.run(
        words, capture_output=True, text=True, timeout=60, check=True, env={**variables, "HOME": str(tmp_path)}
    )
    assert json.loads(ended.stdout) == []
    assert "GceApi" in ended.stderr and "TpuApi" in ended.stderr  # both got as far as to ask
