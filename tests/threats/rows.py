"""The threats that accel-ci answers: where an attack enters, who makes it, what is against it. Each has a test by number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Threat:
    """One row of docs/security.md; its test is `test_threat_<number, two digits>_<what>` in tests/threats."""

    entry: str
    attacker: str
    against: str


STRANGER, INSIDER, MACHINE = "author of a fork", "somebody with write access", "code on the machine"
ROWS: dict[int, Threat] = {
    1: Threat(
        "code of the pull request on the runner",
        STRANGER,
        "bare fetch; nothing is checked out, extracted or run; no fork on the runner itself",
    ),
    2: Threat("a push after the approval", STRANGER, "one commit from the evidence to the machine; evidence in time"),
    3: Threat(
        "another label, a labelling bot", "triager or bot", "the event's own label, role at least write, used up"
    ),
    4: Threat("branch, title or text of a pull request", STRANGER, "the event file only; no expressions, no shell"),
    5: Threat("workflow commands in the output", MACHINE, "sanitizer, and commands stopped with a token"),
    6: Threat("forged outputs and environment of the job", MACHINE, "only our own values, behind a random delimiter"),
    7: Threat(
        "a forged verdict", MACHINE, "end record bound to a secret in the supervisor's memory; no record, no pass"
    ),
    8: Threat(
        "bombs and traversal in files that come back", MACHINE, "named regular files, caps, no extraction, no DTD"
    ),
    9: Threat(
        "the machine's own cloud identity",
        MACHINE,
        "no account, no scopes, no sudo, metadata closed; tried from inside",
    ),
    10: Threat("the machine as a miner", MACHINE, "a lease that ends on the machine itself and in every layer"),
    11: Threat("what an earlier run left on a machine", "another run", "a directory of its own, gone with the lease"),
    12: Threat("our hidden marker in a stranger's comment", STRANGER, "only what our own identity wrote counts"),
    13: Threat("mentions, markup, giant texts", MACHINE, "escaped, cut, fenced; size limits hold"),
    14: Threat(
        "a pull request that speaks for the branch", STRANGER, "only runs without one touch the branch's issues"
    ),
    15: Threat("poisoned artifacts and caches", STRANGER, "no cache anywhere; files are data with a schema and caps"),
    16: Threat(
        "moved tags, changed dependencies",
        "supply chain",
        "pinned actions, hashed locks, and nothing installed that they do not name",
    ),
    17: Threat("another host at the machine's address", "network", "host key from the cloud's own interface, pinned"),
    18: Threat("the repository's secrets", STRANGER, "none for a fork's grant; sealed for one repository"),
    19: Threat(
        "secrets in a public log",
        "readers",
        "our own redaction of every byte, over chunk borders, and of what readers see",
    ),
    20: Threat("the API budget, by label spam", STRANGER, "other labels cost no call; a step has 40"),
    21: Threat("our sweeper as a weapon", INSIDER, "only machines with our labels for this repository, past their end"),
}
