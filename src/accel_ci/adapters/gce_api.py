"""Compute Engine through Google's own client: a timeout on every call, errors in our terms, no silent repetition."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

from accel_ci.adapters import gce_errors, gce_library, google_calls, google_exchange, google_sign_in
from accel_ci.adapters.bounded_http import BrokenAnswerError
from accel_ci.adapters.gce_errors import Refusal
from accel_ci.adapters.gce_instances import Attributes, Place
from accel_ci.adapters.google_calls import PAGES, READ_S, WRITE_S, GoogleApi
from accel_ci.domain.errors import AccelError, TransientError
from accel_ci.formats import output

Answer = TypeVar("Answer")

ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"
# As much as a page of the log bears; a negative start counts from the end.
CONSOLE_BYTES = 32 * 1024
# Compute Engine says this of every zone without an instance.
NOTHING_HERE = "NO_RESULTS_ON_PAGE"
LISTING = "compute#instanceAggregatedList"


class GceApi(GoogleApi):
    """One project's instances. What does not exist is None; every other refusal is raised as one of domain.errors.

    What may be repeated without harm is asked three times at most. That includes creation, whose request id makes a
    second request the first one.
    """

    def connect(self) -> None:
        """Make the clients now, for threads would race for them."""
        assert self.instances is not None and self.operations is not None

    @cached_property
    def instances(self) -> Any:
        """Google's client for instances, made when it is first needed; signing in overlaps with importing it."""
        return self._client("instances")

    @cached_property
    def operations(self) -> Any:
        """Google's client for the operations of a zone."""
        return self._client("operations")

    def _client(self, of: str) -> Any:
        credentials, _ = self._signed_in
        gce_library.begin()
        if not credentials.valid:
            # The first call would do it: done now, its three round trips pass while the library is imported.
            self._asked(lambda: credentials.refresh(google_exchange.Asking()))
        try:
            kind = getattr(gce_library.load(), of)
        except ModuleNotFoundError as error:
            raise google_sign_in.no_library("gce") from error
        # gcloud's override names the version too, Google's library adds it to every path.
        endpoint = re.sub(r"/(compute/v1/?)?$", "", self._cloud.get(ENDPOINT, ""))
        return google_calls.bounded(
            kind(credentials=credentials, client_options={"api_endpoint": endpoint} if endpoint else None)
        )

    def insert(self, place: Place, instance: Mapping[str, Any], *, request_id: str) -> str | None:
        """The name of the operation that makes the instance; None when another request took the name."""
        request = {
            "project": place.project,
            "zone": place.zone,
            "instance_resource": instance,
            # A reply that was lost and asked for again is the first request's answer, not a second machine.
            "request_id": request_id,
        }
        made = self._asked(
            # `insert` would wrap the operation in a future that polls by itself, in its own time.
            lambda: google_calls.about(self.instances.insert_unary(request=request, retry=None, timeout=WRITE_S)),
            unless=lambda said: said.status == 409 and said.code in ("alreadyExists", "ALREADY_EXISTS"),
        )
        return None if made is None else str(made.name)

    def delete(self, place: Place) -> bool:
        """Begin to delete the instance, in whatever state it is; False when there is none."""
        return (
            self._told(lambda: self.instances.delete_unary(request=place.named, retry=None, timeout=READ_S)) is not None
        )

    def instance(self, place: Place) -> Any:
        """The instance as it is now."""
        return self._told(lambda: self.instances.get(request=place.named, retry=None, timeout=READ_S), place.name)

    # Not the API's `wait`: it holds the connection for up to two minutes, and a signal would have to wait as well.
    def operation(self, place: Place, name: str) -> Any:
        """The zone's operation of that name; None when the API has forgotten it."""
        request = {"project": place.project, "zone": place.zone, "operation": name}
        return self._told(lambda: self.operations.get(request=request, retry=None, timeout=READ_S), name)

    def about(self, place: Place) -> list[Any]:
        """The zone's operations on instances of that name; Google keeps them for two weeks."""
        end = f"/zones/{place.zone}/instances/{place.name}"
        # The instance of a lost reply is known to the operations only.
        request = {"project": place.project, "zone": place.zone, "filter": f'targetLink eq ".*{end}"'}
        listed = self._found(lambda: self.operations.list(request=request, retry=None, timeout=READ_S))
        return [each for each in (listed.items if listed is not None else ()) if each.target_link.endswith(end)]

    def listed(self, expression: str) -> Iterator[Any]:
        """Every instance of the project, in any zone, that fits the filter. At the end TransientError for silent zones."""
        token, silent = "", list[str]()
        for _ in range(PAGES):
            request = {"project": self.project, "filter": expression, "page_token": token}
            page = self._repeated(
                lambda request=request: self._asked(  # type: ignore[misc]
                    lambda: _page(self.instances.aggregated_list(request=request, retry=None, timeout=READ_S))
                )
            )
            assert page is not None
            silent += _silent(page)
            for found in page.items.values():
                yield from found.instances
            token = page.next_page_token
            if not token:
                break
        else:
            raise TransientError(f"a listing of more than {PAGES} pages")
        if silent:  # said last: what the other zones have is true all the same, and can be ended
            raise TransientError(f"parts of Compute Engine did not answer: {output.one_line(', '.join(silent), 300)}")

    def attributes(self, place: Place) -> Attributes:
        """What the machine told about itself: value by (namespace, key)."""
        told = self._found(lambda: self.instances.get_guest_attributes(request=place.named, retry=None, timeout=READ_S))
        items = told.query_value.items if told is not None else ()
        return {(item.namespace.strip("/"), item.key): item.value for item in items}

    def console(self, place: Place) -> str:
        """The end of the serial console's output; "" when there is no instance."""
        request = {**place.named, "port": 1, "start": -CONSOLE_BYTES}
        told = self._found(lambda: self.instances.get_serial_port_output(request=request, retry=None, timeout=READ_S))
        return "" if told is None else str(told.contents)[-CONSOLE_BYTES:]

    def set_labels(self, place: Place, labels: Mapping[str, str], *, fingerprint: str) -> str | None:
        """The name of the operation that gives the instance these labels and no others; None when there is no instance."""
        request = {
            **place.named,
            "instances_set_labels_request_resource": {"labels": dict(labels), "label_fingerprint": fingerprint},
        }
        made = self._told(lambda: self.instances.set_labels_unary(request=request, retry=None, timeout=READ_S))
        return None if made is None else str(made.name)

    def set_metadata(self, place: Place, metadata: Mapping[str, str], *, fingerprint: str) -> str | None:
        """The name of the operation that gives the instance this metadata and no other; None when there is no instance."""
        items = [{"key": name, "value": value} for name, value in metadata.items()]
        request = {**place.named, "metadata_resource": {"items": items, "fingerprint": fingerprint}}
        made = self._told(lambda: self.instances.set_metadata_unary(request=request, retry=None, timeout=READ_S))
        return None if made is None else str(made.name)

    def _told(self, call: Callable[[], Answer], name: str = "") -> Answer | None:
        """The answer, which is about what is named so, or about something at least; None when there is nothing."""
        return self._found(lambda: google_calls.about(call(), name))

    def _found(self, call: Callable[[], Answer]) -> Answer | None:
        return self._repeated(lambda: self._asked(call, unless=_nothing))

    def _repeated(self, ask: Callable[[], Answer]) -> Answer:
        return google_calls.repeated(ask)

    def _asked(
        self, call: Callable[[], Answer], *, unless: Callable[[Refusal], bool] = lambda said: False
    ) -> Answer | None:
        def refused(error: Any) -> AccelError | None:
            """What the library's exception is in our own terms; None when it is the answer that was expected."""
            said = gce_errors.of_call(error)
            return None if unless(said) else gce_errors.classed(said)

        return google_calls.asked(call, refused=refused, api="the Compute Engine API")


def _page(listed: Any) -> Any:
    page = next(listed.pages)
    # Any other document would look like an empty project.
    if page.kind != LISTING:
        raise BrokenAnswerError("an answer that is no listing")
    return page


def _nothing(said: Refusal) -> bool:
    return said.status == 404


def _silent(page: Any) -> list[str]:
    """The parts of the cloud that did not answer; without them a listing proves nothing."""
    silent = list(page.unreachables)
    warned = [(scope, found.warning.code) for scope, found in page.items.items()]
    silent += [f"{scope}: {code}" for scope, code in warned if code not in ("", NOTHING_HERE)]
    return silent if page.warning.code in ("", NOTHING_HERE) else [*silent, page.warning.code]
