"""What `gcloud` asks of Google when a project is set up for keyless sign-in; every request is kept, and answered plainly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from accel_ci_sim.wire import http_server
from accel_ci_sim.wire.http_server import Answer, Request
from tests.servers.proxy import Serving

NUMBER = "123456789"
ETAG = "BwXhqDVrO3k="


class SetupServer:
    """IAM, Resource Manager and Service Usage. `made` holds bodies by path, `policies` the last policy of each resource."""

    def __init__(self, serving: Serving) -> None:
        self.made: dict[str, Mapping[str, Any]] = {}
        self.policies: dict[str, Mapping[str, Any]] = {}
        self._serving = serving
        self._server = serving.run(http_server.serve(self._answer, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{http_server.port_of(self._server)}"

    def environment(self) -> dict[str, str]:
        """What leads gcloud here."""
        apis = ("IAM", "CLOUDRESOURCEMANAGER", "SERVICEUSAGE")
        return {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}": f"{self.url}/" for api in apis}

    def members(self, resource: str, role: str) -> list[str]:
        """Who has the role on the resource."""
        bindings = self.policies[resource]["bindings"]
        return [member for binding in bindings if binding["role"] == role for member in binding["members"]]

    def close(self) -> None:
        """Listen no longer."""
        self._serving.run(self._shut())

    async def _shut(self) -> None:
        self._server.close()

    async def _answer(self, request: Request) -> Answer:
        resource, _, method = request.path.removeprefix("/v1/").partition(":")
        body = json.loads(request.body or b"{}")
        if method == "getIamPolicy":
            return Answer(200, self.policies.get(resource, {"version": 1, "etag": ETAG, "bindings": []}))
        if method == "setIamPolicy":
            self.policies[resource] = {**body["policy"], "etag": ETAG}
            return Answer(200, self.policies[resource])
        if request.method == "GET":
            return Answer(200, {"name": resource, "projectId": resource.rpartition("/")[2], "projectNumber": NUMBER})
        new = next((value for name, value in request.query if name.endswith("Id")), "")
        self.made[f"{resource}/{new}" if new else f"{resource}:{method}" if method else resource] = body
        account = {"email": f"{body.get('accountId')}@{resource.split('/')[1]}.iam.gserviceaccount.com"}
        return Answer(200, {"name": f"{resource}/{new}/operations/1", "done": True, "response": {}, **account})
