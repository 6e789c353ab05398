"""The messages of google.cloud.tpu.v2 as far as JSON bodies carry them; a test holds this against Google's own library.

A type is a scalar, `map` (text to text), or the name of a message or enum, with `*` when repeated and `!` when only the
API sets it: clients may send such fields, and nobody looks at them, which is why their types are not all here.
"""

from __future__ import annotations

from collections.abc import Mapping

PACKAGE = "google.cloud.tpu.v2"

MESSAGES: Mapping[str, Mapping[str, str]] = {
    "Node": {
        "name": "string!",
        "description": "string",
        "accelerator_type": "string",
        "state": "Node.State!",
        "health_description": "string!",
        "runtime_version": "string",
        "network_config": "NetworkConfig",
        "network_configs": "NetworkConfig*",
        "cidr_block": "string",
        "service_account": "ServiceAccount",
        "create_time": "timestamp!",
        "scheduling_config": "SchedulingConfig",
        "network_endpoints": "NetworkEndpoint*!",
        "health": "Node.Health!",
        "labels": "map",
        "metadata": "map",
        "tags": "string*",
        "id": "int64!",
        "data_disks": "AttachedDisk*",
        "api_version": "Node.ApiVersion!",
        "symptoms": "Symptom*!",
        "queued_resource": "string!",
        "accelerator_config": "AcceleratorConfig",
        "shielded_instance_config": "ShieldedInstanceConfig",
        "multislice_node": "bool!",
    },
    "NetworkConfig": {
        "network": "string",
        "subnetwork": "string",
        "enable_external_ips": "bool",
        "can_ip_forward": "bool",
        "queue_count": "int32",
    },
    "ServiceAccount": {"email": "string", "scope": "string*"},
    "SchedulingConfig": {"preemptible": "bool", "reserved": "bool", "spot": "bool"},
    "AttachedDisk": {"source_disk": "string", "mode": "AttachedDisk.DiskMode"},
    "AcceleratorConfig": {"type": "AcceleratorConfig.Type", "topology": "string"},
    "ShieldedInstanceConfig": {"enable_secure_boot": "bool"},
    "QueuedResource": {
        "name": "string!",
        "create_time": "timestamp!",
        "tpu": "QueuedResource.Tpu",
        "spot": "QueuedResource.Spot",
        "guaranteed": "QueuedResource.Guaranteed",
        "queueing_policy": "QueuedResource.QueueingPolicy",
        "state": "QueuedResourceState!",
        "reservation_name": "string",
    },
    "QueuedResource.Tpu": {"node_spec": "QueuedResource.Tpu.NodeSpec*"},
    "QueuedResource.Tpu.NodeSpec": {
        "parent": "string",
        "node_id": "string",
        "multislice_params": "QueuedResource.Tpu.NodeSpec.MultisliceParams",
        "node": "Node",
    },
    "QueuedResource.Tpu.NodeSpec.MultisliceParams": {"node_count": "int32", "node_id_prefix": "string"},
    "QueuedResource.Spot": {},
    "QueuedResource.Guaranteed": {"min_duration": "duration"},
    "QueuedResource.QueueingPolicy": {
        "valid_until_duration": "duration",
        "valid_until_time": "timestamp",
        "valid_after_duration": "duration",
        "valid_after_time": "timestamp",
        "valid_interval": "Interval",
    },
    "Interval": {"start_time": "timestamp", "end_time": "timestamp"},
    "GetGuestAttributesRequest": {"name": "string!", "query_path": "string", "worker_ids": "string*"},
    "StartNodeRequest": {"name": "string!"},
    "StopNodeRequest": {"name": "string!"},
    "ResetQueuedResourceRequest": {"name": "string!"},
    "GenerateServiceIdentityRequest": {"parent": "string!"},
}

ENUMS: Mapping[str, Mapping[str, int]] = {
    "AcceleratorConfig.Type": {
        "TYPE_UNSPECIFIED": 0,
        "V2": 2,
        "V3": 4,
        "V4": 7,
        "V5LITE_POD": 9,
        "V5P": 10,
        "V6E": 11,
    },
    "AttachedDisk.DiskMode": {"DISK_MODE_UNSPECIFIED": 0, "READ_WRITE": 1, "READ_ONLY": 2},
}

ONEOFS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "QueuedResource": {"tier": ("spot", "guaranteed")},
    "QueuedResource.QueueingPolicy": {"start_timing_constraints": tuple(MESSAGES["QueuedResource.QueueingPolicy"])},
}
