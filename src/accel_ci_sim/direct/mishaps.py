"""What happens to a job from outside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishaps:
    """In seconds after the job's start; None: never. A calm run has only `kill_s`.

    `cancel_s`: the user cancels; `patient`: with Ctrl-C, so that neither SIGTERM nor SIGKILL follows SIGINT.
    `force_s`: that long after it somebody force-cancels.
    `lose_s`: the runner is lost; `zombie`: only GitHub believes so.
    `kill_s`: SIGKILL for the client; `resume_s`: somebody starts it again that much later, as long as it crashes.
    `post`, `cleanup_job`: the workflow has that layer.
    `keep_s`: a person asks to keep the machine for `kept_for_s`.
    `push_s`: a new commit comes, in seconds after the gate began; `label`: who set it, or what else is wrong with it.
    """

    cancel_s: float | None = None
    force_s: float | None = None
    patient: bool = False
    lose_s: float | None = None
    zombie: bool = False
    kill_s: float | None = None
    resume_s: float | None = None
    post: bool = True
    cleanup_job: bool = True
    keep_s: float | None = None
    kept_for_s: float = 0.0
    push_s: float | None = None
    label: str = ""
