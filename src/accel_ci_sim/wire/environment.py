"""What leads real clients to the simulator: a file of shell exports, a token, settings for ssh."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from accel_ci_sim.wire.identity_service import ISSUER
from accel_ci_sim.wire.tpu_render import SSH_PORT

# gcloud calls these by name and knows no port.
PROGRAMS = ("ssh", "scp", "sftp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a simulator is: its directory, its HTTP address, the block and port of its machines, the user's defaults, and

    for signing in without a key: identity provider, service account, and the job's secret for GitHub.
    """

    directory: Path
    url: str
    block: str
    ssh_port: int
    project: str
    zone: str
    provider: str
    account: str
    bearer: str

    @property
    def programs(self) -> Path:
        """A directory for the front of PATH, with ssh, scp and sftp that know the machines' port."""
        return self.directory / "bin"


def variables(site: Site) -> dict[str, str]:
    """What gcloud, Google's libraries and accel-ci read. Where machines listen on port 22 nobody needs more."""
    return {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU": f"{site.url}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{site.url}/compute/v1/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBILLING": f"{site.url}/",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(site.directory / "token"),
        "CLOUDSDK_CORE_PROJECT": site.project,
        "CLOUDSDK_COMPUTE_ZONE": site.zone,
        "CLOUDSDK_CONFIG": str(site.directory / "gcloud"),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{site.url}{ISSUER}/token?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": site.bearer,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STS": f"{site.url}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS": f"{site.url}/",
        "ACCEL_CI_SIM": site.url,
        "ACCEL_CI_SIM_PROVIDER": site.provider,
        "ACCEL_CI_SIM_SERVICE_ACCOUNT": site.account,
        "ACCEL_CI_SIM_CREDENTIAL_FILE": str(site.directory / "credentials.json"),
        "ACCEL_CI_SIM_SSH_PORT": str(site.ssh_port),
        "ACCEL_CI_SIM_SSH_CONFIG": str(site.directory / "ssh_config"),
    }


def write(site: Site, file: Path, *, token: str) -> None:
    """Write everything; `file` comes last and at once, so that whoever waits for it finds all in place."""
    _private(site.directory / "token", token + "\n")
    (site.directory / "gcloud").mkdir(mode=0o700, exist_ok=True)
    _private(site.directory / "ssh_config", ssh_config(site))
    _private(site.directory / "credentials.json", json.dumps(credential_file(site), indent=2) + "\n")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables(site).items()]
    if site.ssh_port != SSH_PORT:
        _write_programs(site)
        lines.append(f'export PATH={shlex.quote(str(site.programs))}:"$PATH"')
    # Whoever waits for the file must never source half of it.
    new = file.with_name(f".{file.name}.new")
    new.parent.mkdir(parents=True, exist_ok=True)
    _private(new, "\n".join(lines) + "\n")
    new.replace(file)


def credential_file(site: Site) -> dict[str, Any]:
    """The same sign-in for gcloud and Google's libraries: `gcloud iam workload-identity-pools create-cred-config` writes it."""
    acting = f"{site.url}/v1/projects/-/serviceAccounts/{site.account}:generateAccessToken"
    audience = quote(f"https://iam.googleapis.com/{site.provider}", safe="")
    return {
        "type": "external_account",
        "audience": f"//iam.googleapis.com/{site.provider}",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{site.url}/v1/token",
        "service_account_impersonation_url": acting,
        "credential_source": {
            "url": f"{site.url}{ISSUER}/token?api-version=2.0&audience={audience}",
            "headers": {"Authorization": f"Bearer {site.bearer}"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        },
    }


def ssh_config(site: Site) -> str:
    """The user's own settings with the port of the machines before them. `ssh -F` would leave the user's out."""
    return f"Host {site.block}.*\n  Port {site.ssh_port}\nHost *\nInclude ~/.ssh/config\nInclude /etc/ssh/ssh_config\n"


def _write_programs(site: Site) -> None:
    site.programs.mkdir(mode=0o700, exist_ok=True)
    for name in PROGRAMS:
        real = shutil.which(name)
        if real is not None and Path(real).parent != site.programs:
            file = site.programs / name
            config = shlex.quote(str(site.directory / "ssh_config"))
            file.write_text(f'#!/bin/sh\nexec {shlex.quote(real)} -F {config} "$@"\n')
            file.chmod(0o700)


def _private(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    # Private before the first byte is in it.
    file.touch(mode=0o600)
    file.write_text(text)
