"""The issue that stays open while a branch's runs fail."""

from __future__ import annotations

from accel_ci.domain.record import RunRecord
from accel_ci.formats import output
from accel_ci.render import comment, story

TITLE = 200


def title(record: RunRecord, *, name: str) -> str:
    """What fails and where, plain text."""
    # Whoever pushes names branches: the title is hostile text.
    branch = record.identity.ref.removeprefix("refs/heads/")
    where = f" on {branch}" if branch else ""
    return output.one_line(f"{name}: {story.headline(record).lower()}{where}", TITLE)


def body(record: RunRecord) -> str:
    """What is known when it is opened."""
    explained = "This issue gets a comment for every further run that fails, and is closed by the first that passes."
    return f"{tag(record)}\n{comment.section(record)}\n\n_{explained}_\n"


def green(record: RunRecord) -> str:
    """What is said when it is closed."""
    url = record.identity.url
    run = f"[the run]({url})" if url.startswith("https://") else f"run {record.identity.run_id}"
    return f"✅ Passed again: {run} was green.\n"


def tag(record: RunRecord) -> str:
    """What marks a text as this attempt's."""
    # A step that is run again finds what it wrote by this, and does not write it twice.
    return f"<!-- run {record.identity.run_id}.{record.identity.attempt} -->"
