"""Hosts of Google's clouds: what they are given at their creation, and what they tell of themselves at their boot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from accel_ci.domain.errors import BootError, UnhealthyError
from accel_ci.domain.machine_types import Kind
from accel_ci.formats import health, output

BOOT_SCRIPT = Path(__file__).parents[1] / "on_machine" / "boot.sh"
PROBE = Path(__file__).parents[1] / "on_machine" / "probe.py"
EXCERPT = Path(__file__).parents[1] / "on_machine" / "excerpt.py"
USER = "accel-ci"
BOOTED = "ready"
EXPECTED = "accel-ci-expects"
NO_PROBE = "off"
FRAMEWORKS = ("jax", "torch")
CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

Attributes = Mapping[tuple[str, str], str]


def metadata(*, public_key: str, sudo: bool, expected: Mapping[str, str]) -> dict[str, str]:
    """What a host is given, `expected` being what `probe` makes. Nothing secret: every process there can read it."""
    return {
        "enable-guest-attributes": "TRUE",
        # Whoever may log in on every machine of the project has nothing to do on this one.
        "block-project-ssh-keys": "TRUE",
        # With OS Login keys in the metadata count for nothing: the project may have it on for all.
        "enable-oslogin": "FALSE",
        "startup-script": BOOT_SCRIPT.read_text(encoding="utf-8"),
        "accel-ci-excerpt": EXCERPT.read_text(encoding="utf-8"),
        **({"ssh-keys": f"{USER}:{public_key}"} if public_key else {}),
        **({"accel-ci-sudo": "TRUE"} if sudo else {}),
        **expected,
    }


def with_key(told: Mapping[str, str], public_key: str) -> dict[str, str]:
    """What the host is given, with one more key that lets its holder in."""
    keys = [each for each in told.get("ssh-keys", "").splitlines() if each.strip()]
    wanted = f"{USER}:{public_key}"
    return {**told, "ssh-keys": "\n".join(keys if wanted in keys else [*keys, wanted])}


def probe(kind: Kind, chips: int, option: str) -> dict[str, str]:
    """The probe that boot.sh asks until the driver answers, and what it is to find on this host; {} when it is `off`."""
    if option == NO_PROBE:
        return {}
    framework = [option] if option in FRAMEWORKS else []
    words = [kind.value, str(chips), *framework]
    return {EXPECTED: " ".join(words), "accel-ci-probe": PROBE.read_text(encoding="utf-8")}


def host_keys(told: Attributes) -> tuple[str, ...]:
    """The public host keys that the host told, as lines of known_hosts have them."""
    return tuple(f"{kind} {key}" for (namespace, kind), key in told.items() if namespace == "hostkeys")


def unconfined(told: Attributes) -> bool:
    """True when boot.sh could not take root and the metadata from the user that runs the commands."""
    return told.get(("accel-ci", "confined")) == "no"


def booting(told: Attributes) -> str:
    """What the host still does, "" once boot.sh has ended. BootError when it says that it failed."""
    if failure := told.get(("accel-ci", "error")):
        raise BootError(f"the machine says: {output.one_line(failure, 300)}", what_to_do="see the console's last lines")
    stage = told.get(("accel-ci", "stage"), "")
    if stage == BOOTED:
        return ""
    return f"booting: {output.one_line(stage, 40)}" if stage else "booting"


def hardware(handle: str, given: Mapping[str, str], told: Sequence[Attributes]) -> Mapping[str, str]:
    """What the probe found on all hosts, {} where none was `given`. UnhealthyError when an accelerator is not well."""
    if EXPECTED not in given:
        return {}
    found = health.together([health.read(each.get(("accel-ci", "health"), "")) for each in told])
    if found.problems:
        raise UnhealthyError(
            f"{handle} is not well: {'; '.join(found.problems)}", what_to_do="run it again: another machine is taken"
        )
    return found.facts
