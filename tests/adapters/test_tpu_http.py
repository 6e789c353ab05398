"""The Cloud TPU API on a bad day: errors, silence and nonsense at every call, and what may be asked again."""

from __future__ import annotations

import gzip

import pytest

from accel_ci.adapters import tpu_api
from accel_ci.domain import accelerators, lease
from accel_ci.domain.errors import AccessError, CloudError, QuotaError, TransientError
from tests.adapters.tpu_world import KEY, ZONE, TpuWorld, world
from tests.servers.tpu_over_http import Answer, refusal

__all__ = ["world"]
UNAVAILABLE = Answer(*refusal(503, "UNAVAILABLE", "try later"))
LOST = Answer(0)
NONSENSE = Answer(200, b'{"name": "projects/p')
GATEWAY = Answer(502, b"<html><title>502 Bad Gateway</title></html>")
DENIED = Answer(*refusal(403, "PERMISSION_DENIED", "Permission 'tpu.nodes.get' denied on resource"))
HANDLE = f"tpu://my-project/{ZONE}/{KEY.name}"
TROUBLE = pytest.mark.parametrize("trouble", [UNAVAILABLE, LOST, NONSENSE, GATEWAY])


@TROUBLE
def test_reads_are_repeated(world: TpuWorld, trouble: Answer) -> None:
    """A look-up survives two bad answers in a row."""
    world.ready()
    world.cloud.next("GET .*/nodes/", trouble, trouble)
    assert [machine.name for machine in world.machines.find(KEY, (ZONE,))] == [KEY.name]


@TROUBLE
def test_reads_are_not_repeated_for_ever(world: TpuWorld, trouble: Answer) -> None:
    """Three bad answers are an error that the caller may wait out; never is it taken for `gone`."""
    world.ready()
    world.cloud.next("GET .*/nodes/", *[trouble] * 3)
    with pytest.raises(TransientError):
        world.machines.released(HANDLE)


@TROUBLE
def test_a_creation_is_sent_once(world: TpuWorld, trouble: Answer) -> None:
    """What makes something is never repeated behind the caller's back."""
    world.cloud.next("POST .*/nodes$", trouble)
    with pytest.raises(TransientError):
        world.begin()
    assert len(world.asked("POST /nodes")) == 1
    assert world.ready().name == KEY.name


@TROUBLE
def test_a_release_gets_through(world: TpuWorld, trouble: Answer) -> None:
    """Deleting may be repeated: two bad answers do not keep a machine alive."""
    machine = world.ready()
    world.cloud.next("DELETE", trouble, trouble)
    world.machines.release(machine.handle)
    assert world.machines.released(machine.handle)


def test_a_deletion_whose_answer_was_lost(world: TpuWorld) -> None:
    """The second request finds nothing: that is what was wanted."""
    machine = world.ready()
    world.cloud.next("DELETE .*/nodes/", Answer(0, done=True))
    world.machines.release(machine.handle)
    assert world.machines.released(machine.handle)


def test_too_many_deletions(world: TpuWorld) -> None:
    """The limit of deletions a minute is something to wait out, not a quota that sends the walk to another region."""
    machine = world.ready()
    limit = refusal(429, "RESOURCE_EXHAUSTED", "maximum number of DeleteNode requests per minute")
    world.cloud.next("DELETE .*/nodes/", *[Answer(*limit)] * 3)
    with pytest.raises(TransientError, match="per minute"):
        world.machines.release(machine.handle)
    world.machines.release(machine.handle)
    assert world.machines.released(machine.handle)


def test_an_answer_that_does_not_come_in_time(world: TpuWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call has a timeout of its own, and the look that follows is answered."""
    world.ready()
    monkeypatch.setattr(tpu_api, "READ_S", 0.2)
    world.cloud.next("GET .*/nodes/", *[Answer(200, b"{}", delay_s=0.6)] * 3)
    with pytest.raises(TransientError, match="timed out"):
        world.machines.released(HANDLE)
    assert not world.machines.released(HANDLE)


def test_nobody_is_there(world: TpuWorld) -> None:
    """An endpoint that does not answer is something to wait out."""
    environment = {**world.environment, "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU": "http://127.0.0.1:9/"}
    with pytest.raises(TransientError, match="no answer"):
        list(type(world.machines)(environment).list_owned(lease.of_run(KEY)))


def test_a_bad_answer_in_the_middle_of_a_creation(world: TpuWorld) -> None:
    """A poll that fails leaves the creation as it was: the next one goes on."""
    world.cloud.polls = 1
    creation = world.begin()
    world.cloud.next("GET .*/operations/", *[UNAVAILABLE] * 3)
    with pytest.raises(TransientError):
        world.machines.poll(creation)
    assert world.wait(creation).name == KEY.name


def test_an_operation_that_is_forgotten(world: TpuWorld) -> None:
    """When the API no longer knows the operation, the node itself tells."""
    creation = world.begin()
    world.cloud.operations.clear()
    world.cloud._ready(world.cloud.node(KEY.name))
    assert world.wait(creation).name == KEY.name


def test_the_type_of_an_operations_metadata_is_no_matter(world: TpuWorld) -> None:
    """Operations of the real API carry types and fields that the library cannot read; every call bears them."""
    world.cloud.polls = 1
    creation = world.begin()
    for operation in world.cloud.operations.values():
        operation["metadata"] |= {"@type": "type.googleapis.com/google.internal.Unheard", "new": {"field": 1}}
    machine = world.wait(creation)
    world.machines.annotate(machine.handle, "accel-ci-keep-until", "1")
    world.machines.release(machine.handle)
    world.cloud.settle()
    assert world.machines.released(machine.handle)


def test_access_is_denied(world: TpuWorld) -> None:
    """A refusal to look is not an answer about the machine, and is not repeated."""
    world.ready()
    world.cloud.requests.clear()
    world.cloud.next("GET .*/nodes/", DENIED)
    with pytest.raises(AccessError, match=r"tpu\.nodes\.get"):
        world.machines.released(HANDLE)
    assert len(world.cloud.requests) == 1


def test_host_keys_that_may_not_be_read(world: TpuWorld) -> None:
    """An organisation's policy against guest attributes is told at once: the boot limit would say nothing of it."""
    creation = world.begin()
    denied = refusal(403, "PERMISSION_DENIED", "constraints/compute.disableGuestAttributesAccess")
    world.cloud.next("getGuestAttributes", Answer(*denied))
    with pytest.raises(AccessError, match="disableGuestAttributesAccess"):
        world.machines.poll(creation)


def test_a_zone_that_is_closed_to_the_project_holds_nothing(world: TpuWorld) -> None:
    """Where nothing could be made nothing can be left: a look-up in all zones is not stopped by such a one."""
    world.ready()
    closed = accelerators.zones("tpu")[-1]
    message = f"Location {closed} is not found or access is unauthorized."
    world.cloud.next(f"GET .*/{closed}/", *[Answer(*refusal(403, "PERMISSION_DENIED", message))] * 2)
    assert [machine.zone for machine in world.machines.find(KEY, ())] == [ZONE]


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (404, "NOT_FOUND", f"Location {ZONE} is not found or access is unauthorized."),
        (403, "PERMISSION_DENIED", f"Location {ZONE} is not found or access is unauthorized."),
        (403, "PERMISSION_DENIED", f"Permission denied on 'locations/{ZONE}' (or it may not exist)."),
    ],
)
def test_a_zone_that_was_closed_since_does_not_prove_that_a_machine_is_gone(
    world: TpuWorld, status: int, code: str, message: str
) -> None:
    """A machine that was made there may live, and cost money: it is neither ended nor gone by such an answer."""
    world.ready()
    closed = Answer(*refusal(status, code, message))
    world.cloud.next("GET .*/nodes/", closed)
    with pytest.raises(CloudError, match=r"[Ll]ocation"):
        world.machines.released(HANDLE)
    world.cloud.next("DELETE ", closed)
    with pytest.raises(CloudError, match=r"[Ll]ocation"):
        world.machines.release(HANDLE)
    assert not world.machines.released(HANDLE)


def test_one_bad_zone_of_many(world: TpuWorld) -> None:
    """A silent zone could hide the machine, unless that was found elsewhere: a key has one at most."""
    silent = accelerators.zones("tpu")[-1]
    world.cloud.next(f"GET .*/{silent}/nodes/", *[UNAVAILABLE] * 3)
    with pytest.raises(TransientError):
        list(world.machines.find(KEY, ()))
    assert list(world.machines.find(KEY, ())) == []
    world.ready()
    world.cloud.next(f"GET .*/{silent}/nodes/", *[UNAVAILABLE] * 3)
    assert [machine.zone for machine in world.machines.find(KEY, ())] == [ZONE]


def test_an_empty_token_file(world: TpuWorld, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Credentials that cannot be had are an access error that names neither token nor file."""
    empty = tmp_path_factory.mktemp("signed-out") / "token"
    empty.write_text("")
    environment = {**world.environment, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(empty)}
    with pytest.raises(AccessError, match="token file is empty"):
        list(type(world.machines)(environment).list_owned(lease.of_run(KEY)))


def test_an_expired_token(world: TpuWorld) -> None:
    """401 is an access error with what to do, after the file was read anew."""
    world.cloud.next("GET .*/nodes$", *[Answer(*refusal(401, "UNAUTHENTICATED", "invalid credentials"))] * 9)
    with pytest.raises(AccessError, match="invalid credentials") as error:
        list(world.machines.list_owned(lease.of_run(KEY)))
    assert error.value.what_to_do


def test_quota_of_a_queued_request(world: TpuWorld) -> None:
    """A refusal with QuotaFailure is a quota error whoever says it."""
    detail = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []}
    world.cloud.next("POST", Answer(*refusal(429, "RESOURCE_EXHAUSTED", "no", detail)))
    with pytest.raises(QuotaError):
        world.begin()


def test_an_unknown_refusal_of_a_release(world: TpuWorld) -> None:
    """What nobody foresaw is still an error of the cloud's family, which the caller reports and asks again."""
    machine = world.ready()
    world.cloud.next("DELETE", Answer(*refusal(400, "FAILED_PRECONDITION", "the node is busy")))
    with pytest.raises(CloudError, match="busy"):
        world.machines.release(machine.handle)


def test_an_answer_of_rubbish(world: TpuWorld) -> None:
    """Bytes that are no text, or an error of a proxy's own form, are no answer."""
    world.ready()
    proxy = Answer(503, {"error": "no upstream"})
    world.cloud.next("GET .*/nodes/", Answer(200, gzip.compress(b"x")), proxy, proxy)
    with pytest.raises(TransientError):
        world.machines.released(HANDLE)
