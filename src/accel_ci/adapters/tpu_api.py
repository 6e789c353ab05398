"""The Cloud TPU API through Google's own client: a timeout on every call, errors in our terms, no silent repetition.

The library's REST transport: as quick as gRPC for what we do, plain http to a simulator, and the errors' details as sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from accel_ci.adapters import (
    bounded_http,
    google_calls,
    google_refusals,
    google_sign_in,
    libraries,
    tpu_errors,
    tpu_nodes,
)
from accel_ci.adapters.google_calls import PAGES, READ_S, WRITE_S, GoogleApi
from accel_ci.adapters.google_refusals import ClosedZoneError
from accel_ci.adapters.tpu_errors import Refusal
from accel_ci.adapters.tpu_nodes import Attributes, Place
from accel_ci.domain.errors import AccelError, TransientError
from accel_ci.formats import output

if TYPE_CHECKING:
    from google.cloud import tpu_v2

Answer = TypeVar("Answer")

API = "the Cloud TPU API"
ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU"


class TpuApi(GoogleApi):
    """One project's TPUs. What does not exist is None; every other refusal is raised as one of domain.errors.

    What may be repeated without harm is asked three times at most; what makes something, once.
    """

    @cached_property
    def client(self) -> tpu_v2.TpuClient:
        """Google's client, made when it is first needed: importing it takes a quarter of a second."""
        credentials, _ = self._signed_in
        try:
            libraries.load("google.cloud.tpu_v2")
            from google.cloud import tpu_v2
        except ImportError as error:
            raise google_sign_in.no_library("tpu") from error
        _know_metadata()
        endpoint = self._cloud.get(ENDPOINT, "").rstrip("/")
        options = {"api_endpoint": endpoint} if endpoint else None
        client = tpu_v2.TpuClient(credentials=credentials, transport="rest", client_options=options)
        google_calls.bounded(client)
        return client

    def connect(self) -> None:
        """Make the client now, for threads would race for it."""
        assert self.client is not None

    @cached_property
    def _session(self) -> Any:
        from google.auth.transport.requests import AuthorizedSession

        session = AuthorizedSession(self._signed_in[0])  # type: ignore[no-untyped-call]
        bounded_http.bound(session, begins=b"{")
        return session

    def create_node(self, place: Place, node: Mapping[str, Any]) -> str | None:
        """The name of the operation that makes the node; None when one of that name exists."""
        request = {"parent": place.parent, "node_id": place.name, "node": node}
        made = _asked(
            lambda: _begun(self.client.create_node(request=request, retry=None, timeout=WRITE_S)),
            unless="ALREADY_EXISTS",
        )
        return None if made is None else str(made.operation.name)

    def create_queued(self, place: Place, queued: Mapping[str, Any], *, request_id: str) -> str | None:
        """The name of the operation that makes the queued resource; None when one of that name exists."""
        request = {
            "parent": place.parent,
            "queued_resource_id": place.name,
            "queued_resource": queued,
            "request_id": request_id,
        }
        made = _asked(
            lambda: _begun(self.client.create_queued_resource(request=request, retry=None, timeout=WRITE_S)),
            unless="ALREADY_EXISTS",
        )
        return None if made is None else str(made.operation.name)

    def delete_node(self, place: Place) -> bool:
        """Begin to delete the node, in whatever state it is; False when there is none."""
        return self._found(self.client.delete_node, {"name": place.node}, check=_begun) is not None

    def delete_queued(self, place: Place) -> bool:
        """Begin to delete the queued resource with its node, in whatever state it is; False when there is none."""
        # force: without it a request that has a node is refused.
        request = {"name": place.queued, "force": True}
        return self._found(self.client.delete_queued_resource, request, check=_begun) is not None

    def node(self, place: Place) -> tpu_v2.Node | None:
        """The node as it is now."""
        return self._found(self.client.get_node, {"name": place.node}, check=_of(place))

    def queued(self, place: Place) -> tpu_v2.QueuedResource | None:
        """The queued resource as it is now."""
        return self._found(self.client.get_queued_resource, {"name": place.queued}, check=_of(place))

    def nodes(self) -> Iterator[tpu_v2.Node]:
        """Every node of the project in any zone; the API cannot filter them."""
        for page in self._pages(lambda **options: self.client.list_nodes(**options).pages):
            yield from page.nodes

    def all_queued(self) -> Iterator[tpu_v2.QueuedResource]:
        """Every queued resource of the project in any zone."""
        for page in self._pages(lambda **options: self.client.list_queued_resources(**options).pages):
            yield from page.queued_resources

    def attributes(self, place: Place) -> list[Attributes]:
        """What each worker told about itself: value by (namespace, key), in the order of the workers."""
        # An empty id in the list is how gcloud says all workers.
        found = self._found(self.client.get_guest_attributes, {"name": place.node, "worker_ids": [""]})
        return [
            {(item.namespace.strip("/"), item.key): item.value for item in told.query_value.items}
            for told in (found.guest_attributes if found else ())
        ]

    def set_labels(self, place: Place, labels: Mapping[str, str]) -> str | None:
        """The name of the operation that gives the node these labels and no others; None when there is no node."""
        request = {"node": {"name": place.node, "labels": labels}, "update_mask": {"paths": ["labels"]}}
        made = self._found(self.client.update_node, request, check=_begun)
        return None if made is None else str(made.operation.name)

    def set_metadata(self, place: Place, metadata: Mapping[str, str]) -> str | None:
        """The name of the operation that gives the node this metadata and no other; None when there is no node."""
        request = {"node": {"name": place.node, "metadata": metadata}, "update_mask": {"paths": ["metadata"]}}
        made = self._found(self.client.update_node, request, check=_begun)
        return None if made is None else str(made.operation.name)

    def operation(self, name: str) -> Mapping[str, Any] | None:
        """The operation as JSON: name, done, error, metadata; None when the API has forgotten it."""
        found = self._read(name)
        if found is None or (found.get("name") == name and isinstance(found.get("error", {}), dict)):
            return found
        raise TransientError(f"no answer from {API}: a document that is not {name}", what_to_do=google_refusals.AGAIN)

    def failure(self, place: Place) -> Refusal | None:
        """Why the creation in this place failed, looked for among the zone's operations; None when that is not known."""
        # The API's filter for operations does nothing that is documented: we look through them ourselves.
        listed = self._read(f"{place.parent}/operations") or {}
        for operation in listed.get("operations", ()):
            about = operation.get("metadata", {})
            same = tpu_nodes.of_resource(place.project, str(about.get("target"))) == place
            if same and about.get("verb") == "create" and operation.get("error"):
                return tpu_errors.of_status(operation["error"])
        return None

    def _read(self, name: str) -> Mapping[str, Any] | None:
        """A document of the API as it is. The library's own reader of operations refuses those with an unknown field."""
        from google.api_core.exceptions import from_http_response

        def ask() -> Any:
            """One GET; the library's exception for a status that is no success."""
            response = self._session.get(f"{self.client.transport.host}/v2/{name}", timeout=READ_S)
            if response.status_code >= 400:
                raise from_http_response(response)  # type: ignore[no-untyped-call]
            return response.json()

        return google_calls.repeated(lambda: _asked(ask, unless="NOT_FOUND"))

    def _found(
        self,
        method: Callable[..., Answer],
        request: Mapping[str, Any],
        *,
        check: Callable[[Answer], Answer] = lambda found: found,
    ) -> Answer | None:
        return google_calls.repeated(
            lambda: _asked(lambda: check(method(request=request, retry=None, timeout=READ_S)), unless="NOT_FOUND")
        )

    def _pages(self, method: Callable[..., Any]) -> Iterator[Any]:
        """The pages of a listing over all zones. At the end TransientError for the zones that did not answer."""
        token, silent = "", list[str]()
        for _ in range(PAGES):
            request = {"parent": f"projects/{self.project}/locations/-", "page_token": token}
            page = google_calls.repeated(
                lambda request=request: _asked(  # type: ignore[misc]
                    lambda: next(method(request=request, retry=None, timeout=READ_S))
                )
            )
            assert page is not None
            # The call succeeds all the same: who does not look at `unreachable` takes a leak for an empty zone.
            silent += page.unreachable
            yield page
            token = page.next_page_token
            if not token:
                break
        else:
            raise TransientError(f"a listing of more than {PAGES} pages")
        if silent:  # said last: what the other zones have is true all the same, and can be ended
            raise TransientError(f"zones did not answer: {output.one_line(', '.join(silent))}")


def _begun(made: Any) -> Any:
    google_calls.about(made.operation)
    return made


def _of(place: Place) -> Callable[[Answer], Answer]:
    return lambda found: google_calls.about(found, place.name)


def installed() -> bool:
    """True when the library is there."""
    return google_calls.installed("google.cloud.tpu_v2")


def _asked(call: Callable[[], Answer], *, unless: str = "") -> Answer | None:
    """The call's answer, None when it was refused with the status `unless`; whatever else goes wrong in our own terms."""

    def refused(error: Any) -> AccelError | None:
        """What the library's exception is in our own terms; None when it is the status that was expected."""
        refusal = tpu_errors.of_call(error)
        classed = tpu_errors.classed(refusal)
        # Of a zone that is closed nobody says what is there.
        return None if refusal.status == unless and not isinstance(classed, ClosedZoneError) else classed

    return google_calls.asked(call, refused=refused, api=API)


def _know_metadata() -> None:
    """Teach the library a type that operations of Google's services may carry: without it their replies are not read."""
    from google.protobuf import descriptor_pb2, descriptor_pool  # type: ignore[import-untyped]

    file = descriptor_pb2.FileDescriptorProto(
        name="accel_ci/operation_metadata.proto",
        package="google.cloud.common",
        message_type=[descriptor_pb2.DescriptorProto(name="OperationMetadata")],
    )
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
