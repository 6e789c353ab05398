"""What cleanup proved and what the sweeper found, as Markdown for the step summary and for an issue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from accel_ci.domain.record import CleanupFacts
from accel_ci.formats import markup
from accel_ci.render import units

MOST = 200
INCIDENT = "Machines outlived their runs"


def cleanup(facts: CleanupFacts, commands: Sequence[str]) -> str:
    """What existed, what became of it, and the listing afterwards; `commands` end by hand what may still live."""
    parts = ["### 🧹 Cleanup", f"{_outcome(facts)} {_listing(facts)}"]
    parts += [f"❌ Not seen: {markup.markdown(each)}" for each in facts.unseen]
    if facts.found:
        # Handles hold names that others may have given, where machines are shared.
        rows = [f"| {markup.markdown(handle)} | {_fate(facts, handle)} |" for handle in facts.found[:MOST]]
        parts.append("\n".join(["| Machine | Now |", "| --- | --- |", *rows]))
    if commands:
        parts += ["End by hand what may still live:", markup.block("\n".join(commands), limit=8000)]
    return "\n\n".join(parts) + "\n"


def incident(finds: Mapping[str, str], facts: CleanupFacts, *, url: str) -> str:
    """The comment on one sweep: each machine, why it was ended, and what became of it."""
    rows = [
        f"| {markup.markdown(handle)} | {markup.markdown(why)} | {_fate(facts, handle)} |"
        for handle, why in finds.items()
    ]
    where = f"[this sweep]({url})" if url.startswith("https://") else "a sweep"
    head = f"🧯 {where} found {units.number(len(finds), 'machine')} that nothing had ended:"
    return "\n".join([head, "", "| Machine | Why it was ended | Now |", "| --- | --- | --- |", *rows[:MOST], ""])


def incident_body() -> str:
    """What the issue is for."""
    return (
        "The sweeper ends machines that outlived their lease. It should never find one: the job, its post step and the "
        "cleanup job all failed to end what is named below, so one of them has a bug, or could not sign in.\n\n"
        "_This issue gets a comment for every sweep that finds something new, and is closed by the first that finds "
        "nothing._\n"
    )


def clean() -> str:
    """What is said when the issue is closed."""
    return "✅ A sweep found nothing: no machine of this repository is past its lease.\n"


def _outcome(facts: CleanupFacts) -> str:
    if facts.left:
        return f"❌ {units.number(len(facts.left), 'machine')} may still live, and cost money."
    if facts.unseen:
        return "❌ Not everything could be looked at: a machine may still live, and cost money."
    ended = f"{units.number(len(facts.released), 'machine')} existed and ended." if facts.found else ""
    if facts.kept:
        kept = f"{units.number(len(facts.kept), 'machine')} kept on purpose, which costs money until its end:"
        return " ".join([f"⚠️ {kept}", *map(markup.markdown, _few(facts.kept)), *([ended] if ended else [])])
    return f"✅ {ended or 'There was no machine.'}"


def _fate(facts: CleanupFacts, handle: str) -> str:
    if handle in facts.left:
        return "❌ may still live"
    return "gone" if handle in facts.released else "left alone"


def _listing(facts: CleanupFacts) -> str:
    # Listings of clouds lag by minutes: a proof that rests on one would be none.
    if facts.listed is None:
        return "There is no listing afterwards: the proof is that each machine was looked up by name."
    if not facts.listed:
        return "The listing afterwards shows none."
    shown = ", ".join(map(markup.markdown, _few(facts.listed)))
    return f"The listing afterwards shows {shown}: what was looked up by name and is gone may stay listed for a while."


def _few(handles: Sequence[str]) -> list[str]:
    return [*handles[:5], *([f"and {len(handles) - 5} more"] if len(handles) > 5 else [])]
