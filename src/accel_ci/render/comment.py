"""The run as Markdown where GitHub takes 65,536 characters: comments, issues, and the text of checks."""

from __future__ import annotations

from collections.abc import Sequence

from accel_ci.domain.record import RunRecord
from accel_ci.formats import markup, output
from accel_ci.render import story, summary, units
from accel_ci.render.summary import Detail

LIMIT = 65_000  # bytes, though GitHub counts characters: less is certainly taken
SECTION = 60_000  # of one job, so that a comment of one has room for its frame
TITLE = 200
DETAILS = (Detail(1000, 25), Detail(300, 25), Detail(0, 25), Detail(0, 10), Detail(0, 3))


def title(record: RunRecord) -> str:
    """The verdict in a few words, plain text: `Failed on v6e-1: 3 of 1,240 tests`."""
    told = record.tests
    counts = f": {story.bad(told):,} of {units.number(story.total(told), 'test')}" if told and story.bad(told) else ""
    return output.one_line(f"{story.headline(record)}{counts}", TITLE)


def section(record: RunRecord) -> str:
    """One job's run, at most SECTION bytes: verdict and failing tests at once, everything else folded."""
    for detail in DETAILS:
        shown = [summary.head(record), *_links(record), *summary.tests(record, detail)]
        rest = "\n\n".join(summary.story_of_the_run(record, detail))
        folded = f"<details><summary>Time, machine, cost, cleanup</summary>\n\n{rest}\n\n</details>"
        text = "\n\n".join([*shown, folded]) + "\n"
        if len(text.encode()) <= SECTION:
            break
    return text


def _links(record: RunRecord) -> list[str]:
    told = (("Log of this run", record.identity.url), ("Files, log and record", record.artifact_url))
    # Records are also read from disk, where others may have written: no other address becomes a link.
    links = [f"[{text}]({url})" for text, url in told if url.startswith("https://")]
    return [" · ".join(links)] if links else []


def comment(sections: Sequence[tuple[str, str]]) -> str:
    """The comment made of each job's (name, section), at most LIMIT bytes; what does not fit is shortened, and said."""
    if len(sections) == 1:
        return sections[0][1]
    whole = _joined(sections)
    if len(whole.encode()) <= LIMIT:
        return whole
    # Heads only: which job failed is worth more than how the first one did.
    short = [(name, text.split("\n\n#", 1)[0]) for name, text in sections]
    while len((whole := _joined(short, left_out=len(sections) - len(short))).encode()) > LIMIT:
        short.pop()
    return whole


def _joined(sections: Sequence[tuple[str, str]], *, left_out: int = 0) -> str:
    parts = [f"# {markup.markdown(name)}\n\n{text}" for name, text in sections]
    more = [f"_{units.number(left_out, 'job')} more: see the checks of this commit._"] if left_out else []
    return "\n\n".join([*parts, *more])
