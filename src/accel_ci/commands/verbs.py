"""Which verbs there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accel_ci.commands import by_hand, journeys, steps
from accel_ci.commands.call import Call

VERBS: Mapping[str, Callable[[Call], int]] = {
    "gate": steps.gate_,
    "provision": steps.provision_,
    "run-remote": steps.run_remote_,
    "collect": steps.collect_,
    "cleanup": steps.cleanup_,
    "report": steps.report_,
    "reap-queued": steps.reap_queued_,
    "run": journeys.run_,
    "attach": journeys.attach_,
    "keep": by_hand.keep_,
    "end": by_hand.end_,
    "list": by_hand.list_,
    "ssh": by_hand.ssh_,
    "secrets": by_hand.secrets_,
    "accelerators": by_hand.accelerators_,
    "doctor": by_hand.doctor_,
}
