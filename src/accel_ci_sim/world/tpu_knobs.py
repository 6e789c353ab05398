"""What can be turned on a simulated Cloud TPU while it runs. Everything at rest is a cloud that never fails and never waits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from accel_ci_sim.world.dice import Dice

Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Chance = Annotated[float, Field(ge=0, le=1)]
Range = Number | tuple[Number, Number]
EVERYWHERE = "*"


class Knobs(BaseModel):
    """Times are seconds: a number, or [least, most] to draw from. Chances lie between 0 and 1. None means never."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(1, description="the same seed and the same calls give the same answers")
    boot_s: Range = Field(0.0, description="from the request for a node until it is READY, or until its creation fails")
    stop_s: Range = Field(0.0, description="how long a node is STOPPING")
    delete_s: Range = Field(0.0, description="how long a node is DELETING, or a queued resource SUSPENDING")
    queue_s: Range = Field(0.0, description="how long a queued resource waits before it is served")
    stockout: dict[str, Chance] = Field({}, description="by zone, `*` for any: chance that it has none left")
    quota: dict[str, int] = Field({}, description="by region, `*` for any: chips (cores before v5e, v5p) per family")
    closed_zones: tuple[str, ...] = Field((), description="zones that a policy keeps the project out of (403)")
    unreachable_zones: tuple[str, ...] = Field((), description="zones that do not answer (503, `unreachable` in lists)")
    hanging: tuple[str, ...] = Field(
        (), description="calls with one of these in their address (a zone, `/compute/`) are never answered"
    )
    unanswered: tuple[str, ...] = Field(
        (), description="calls with one of these in `METHOD address` are done, but their answer never comes"
    )
    preempt_after_s: Number | None = Field(None, description="spot nodes are PREEMPTED after so long in READY")
    preempt_creating: Chance = Field(0.0, description="chance that a spot node is taken away before it is READY")
    maintenance_after_s: Number | None = Field(None, description="nodes go into maintenance after so long in READY")
    maintenance_s: Number = Field(30.0, description="how long that takes; the machines restart")
    stuck_deleting: Chance = Field(0.0, description="chance that a delete hangs")
    stuck_deleting_s: Number = Field(600.0, description="for how long it hangs in DELETING")
    guest_boot_s: Range = Field(0.0, description="from RUNNING until an instance lets anybody in")
    boot_hangs: Chance = Field(0.0, description="chance that an instance runs and never comes up inside")
    driver_s: Range = Field(0.0, description="from then until its GPU driver is installed, where the image does that")
    lands_anyway: Chance = Field(0.0, description="chance that an instance whose creation failed runs all the same")
    quota_at_once: Chance = Field(0.0, description="chance that a quota refuses the call (403), not the operation")
    gpus_all_regions: int | None = Field(None, ge=0, description="GPUs that a project may have in all regions together")
    networks: tuple[str, ...] = Field(("default",), description="networks and subnetworks that projects have")
    not_ready: Chance = Field(0.0, description="chance that to delete what is still being made is refused (400)")
    partial_lists: Chance = Field(0.0, description="chance that a list only warns of silent zones, unasked")
    limit_late_s: Range = Field(0.0, description="how late `maxRunDuration` ends an instance; Google allows itself 30")
    limit_fails: Chance = Field(0.0, description="chance that `maxRunDuration` ends nothing at all")
    preempt_notice_s: Number = Field(0.0, description="an instance knows for so long that it is being preempted")
    rate_limited: Chance = Field(0.0, description="chance that Compute Engine finds the project too fast (403)")
    deletes_per_minute: int | None = Field(None, ge=0, description="more than these are refused (429)")
    list_lag_s: Number = Field(0.0, description="lists lack what is younger and still show what went since")
    latency_s: Range = Field(0.0, description="before each answer of the API")
    error_rate: Chance = Field(0.0, description="chance of 503 instead of doing it")
    lost_reply_rate: Chance = Field(
        0.0, description="chance that it is done and the connection breaks before the answer"
    )
    sign_in_required: bool = Field(False, description="calls need an access token that this simulator made (401)")
    sign_in_s: Number = Field(3600.0, description="how long new access tokens live")
    sign_in_refused: tuple[Literal["github", "google", "account"], ...] = Field(
        (),
        description="who refuses: `github` makes no identity token, `google` no exchange, `account` is nobody's to act as",
    )
    identity_condition: str = Field(
        "", description="the identity provider's attribute condition; empty: any job gets in"
    )
    identity_claims: dict[str, str] = Field({}, description="claims of the job, such as `repository_id` and `ref`")

    @field_validator("boot_s", "stop_s", "delete_s", "queue_s", "latency_s", "guest_boot_s", "driver_s", "limit_late_s")
    @classmethod
    def _ordered(cls, given: Range) -> Range:
        if isinstance(given, tuple) and given[0] > given[1]:
            raise ValueError("the least comes first")
        return given

    def stockout_chance(self, zone: str) -> float:
        """The chance that the zone has none left."""
        return self.stockout.get(zone, self.stockout.get(EVERYWHERE, 0.0))

    def quota_limit(self, region: str) -> int | None:
        """How much of each family the project may have in the region; None for no limit."""
        return self.quota.get(region, self.quota.get(EVERYWHERE))


def seconds(dice: Dice, given: Range) -> float:
    """A time drawn from the range."""
    return dice.uniform(*given) if isinstance(given, tuple) else given
