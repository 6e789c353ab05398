"""Reading bodies like Google's front end: what is accepted, what is refused, with which words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accel_ci_sim.wire import proto_json, tpu_bodies
from accel_ci_sim.world.tpu_status import Code, RefusedError


def read(document: Any, kind: str = "Node", root: str = "node") -> dict[str, Any]:
    """What becomes of the document."""
    return proto_json.parsed(json.dumps(document).encode(), kind, root=root)


def refusal(document: Any, kind: str = "Node", root: str = "node") -> str:
    """The words with which the document is refused."""
    with pytest.raises(RefusedError) as caught:
        read(document, kind, root)
    assert caught.value.status.code is Code.INVALID_ARGUMENT
    return caught.value.status.message


def test_both_spellings_are_read() -> None:
    """lowerCamelCase and the proto's own names mean the same field."""
    camel = {"acceleratorType": "v6e-1", "networkConfig": {"enableExternalIps": True}}
    snake = {"accelerator_type": "v6e-1", "network_config": {"enable_external_ips": True}}
    assert read(camel) == read(snake) == camel


def test_defaults_are_as_good_as_unset() -> None:
    """False, empty texts and empty lists vanish; an empty message is a value."""
    given = {"schedulingConfig": {"preemptible": False, "spot": True}, "description": "", "tags": [], "labels": {}}
    assert read(given) == {"schedulingConfig": {"spot": True}}
    assert read({"spot": {}, "tpu": None}, "QueuedResource") == {"spot": {}}


def test_what_only_the_api_sets_is_passed_over() -> None:
    """Clients send back what they got, whatever is in it."""
    given = {"name": "n", "state": "READY", "networkEndpoints": [{"port": 1, "x": 2}], "id": "7", "tags": ["a"]}
    assert read(given) == {"tags": ["a"]}


def test_enums_are_read_by_name_and_by_number() -> None:
    """As in the JSON form of protocol buffers."""
    by_name, by_number = read({"acceleratorConfig": {"type": "V6E"}}), read({"acceleratorConfig": {"type": 11}})
    assert by_name == by_number == {"acceleratorConfig": {"type": "V6E"}}
    assert read({"acceleratorConfig": {"type": "TYPE_UNSPECIFIED"}}) == {"acceleratorConfig": {}}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            {"acceleratorTyp": "v6e-1"},
            "Invalid JSON payload received. Unknown name \"acceleratorTyp\" at 'node': Cannot find field.",
        ),
        (
            {"networkConfig": {"externalIps": True}},
            "Invalid JSON payload received. Unknown name \"externalIps\" at 'node.network_config': Cannot find field.",
        ),
        ({"schedulingConfig": {"spot": "yes"}}, "Invalid value at 'node.scheduling_config.spot' (TYPE_BOOL), \"yes\""),
        ({"runtimeVersion": 5}, "Invalid value at 'node.runtime_version' (TYPE_STRING), 5"),
        (
            {"acceleratorConfig": {"type": "V9"}},
            "'node.accelerator_config.type' (type.googleapis.com/google.cloud.tpu.v2.AcceleratorConfig.Type), \"V9\"",
        ),
        (
            {"networkConfig": "default"},
            "Invalid value at 'node.network_config' (type.googleapis.com/google.cloud.tpu.v2.NetworkConfig), \"default\"",
        ),
        ({"labels": {"a": 1}}, "Invalid value at 'node.labels[a].value' (TYPE_STRING), 1"),
        ({"labels": []}, "Proto field is not repeating, cannot start list."),
        ({"tags": "a"}, "Invalid value at 'node.tags' (TYPE_STRING), \"a\""),
        ({"networkConfig": {"queueCount": 1 << 31}}, "Invalid value at 'node.network_config.queue_count' (TYPE_INT32)"),
        ([], "Invalid value at 'node'"),
    ],
)
def test_mistakes_are_told_in_googles_words(document: Any, words: str) -> None:
    """Which field, what is wrong with it, and what was sent."""
    assert words in refusal(document)


def test_all_mistakes_are_told_at_once() -> None:
    """One line per mistake in the message, one field violation each in the details."""
    with pytest.raises(RefusedError) as caught:
        read({"foo": 1, "runtimeVersion": 2})
    status = caught.value.status
    assert len(status.message.splitlines()) == len(status.details[0]["fieldViolations"]) == 2
    assert status.details[0]["@type"] == "type.googleapis.com/google.rpc.BadRequest"


def test_lists_name_the_item() -> None:
    """The path has the index of the node specification that is wrong."""
    given = {"tpu": {"nodeSpec": [{"node": {}}, {"node": {"foo": 1}}]}}
    assert "at 'queued_resource.tpu.node_spec[1].node'" in refusal(given, "QueuedResource", "queued_resource")


def test_a_oneof_is_set_once() -> None:
    """Two tiers, or two timing constraints, are refused."""
    assert "oneof field 'tier' is already set" in refusal({"spot": {}, "guaranteed": {}}, "QueuedResource")
    policy = {"queueingPolicy": {"validUntilDuration": "60s", "validAfterDuration": "1s"}}
    assert "Cannot set 'validAfterDuration'" in refusal(policy, "QueuedResource")


@pytest.mark.parametrize("text", ["60", "1m", "s", "-s", 60])
def test_durations_have_their_form(text: object) -> None:
    """Seconds with an `s`; anything else is refused."""
    assert "google.protobuf.Duration" in refusal({"queueingPolicy": {"validUntilDuration": text}}, "QueuedResource")


def test_broken_json_is_refused() -> None:
    """A body that is no JSON gets a 400; none at all is an empty message."""
    with pytest.raises(RefusedError, match="Invalid JSON payload received"):
        proto_json.parsed(b"{", "Node")
    assert proto_json.parsed(b"", "Node") == {}


@pytest.mark.parametrize(
    "spec",
    [
        {"labels": {"Upper": "x"}},
        {"labels": {"a": "ü"}},
        {"labels": {"1a": "x"}},
        {"labels": {"a": "x" * 64}},
        {"labels": {f"k{number}": "x" for number in range(65)}},
        {"description": "x" * 513},
        {"metadata": {"startup-script": "x" * (512 * 1024)}},
    ],
)
def test_rules_beyond_types_are_kept(spec: dict[str, Any]) -> None:
    """Labels, descriptions and metadata have their limits."""
    with pytest.raises(RefusedError):
        tpu_bodies.checked(spec)


def test_good_labels_pass() -> None:
    """What accel-ci itself writes, up to the limits."""
    spec = {"labels": {"accel-ci-run": "7", "a" * 63: "x" * 63, "empty": ""}, "description": "x" * 512}
    assert tpu_bodies.checked(spec) is spec


def test_masks_name_what_can_be_changed() -> None:
    """Either spelling, several at once; anything else is refused, and so is nothing."""
    assert tpu_bodies.mask("labels,networkConfig.enableExternalIps") == ["labels", "network_config.enable_external_ips"]
    for wrong in ("", "state", "labels,runtime_version"):
        with pytest.raises(RefusedError, match="update_mask"):
            tpu_bodies.mask(wrong)


def test_an_update_replaces_what_the_mask_names() -> None:
    """Fields outside of the mask stay; what is named and not given becomes unset."""
    spec: dict[str, Any] = {"labels": {"a": "1"}, "tags": ["t"], "networkConfig": {"network": "n"}}
    new = {"labels": {"b": "2"}, "description": "ignored", "networkConfig": {"enableExternalIps": True}}
    tpu_bodies.update(spec, new, ["labels", "tags", "network_config.enable_external_ips"])
    assert spec == {"labels": {"b": "2"}, "networkConfig": {"network": "n", "enableExternalIps": True}}


@pytest.mark.parametrize(
    ("policy", "window"),
    [
        ({}, (100.0, None)),
        ({"validUntilDuration": "60s"}, (100.0, 160.0)),
        ({"validAfterDuration": "1.5s"}, (101.5, None)),
        ({"validUntilTime": "1970-01-01T00:02:00Z"}, (100.0, 120.0)),
        ({"validAfterTime": "1970-01-01T00:02:00.123456789Z"}, (120.123456, None)),
        (
            {"validInterval": {"startTime": "1970-01-01T01:02:00+01:00", "endTime": "1970-01-01T00:03:00Z"}},
            (120.0, 180.0),
        ),
    ],
)
def test_queueing_policies_become_a_window(policy: dict[str, Any], window: tuple[float, float | None]) -> None:
    """Not before and not after, in seconds since 1970, seen from second 100."""
    assert tpu_bodies.window({"queueingPolicy": policy}, now=100.0) == window
