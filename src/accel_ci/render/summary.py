"""The run as Markdown for GitHub's step summary, which takes 1 MiB a step and drops everything beyond."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from accel_ci.domain import clipping
from accel_ci.domain.record import Artifact, CaseFacts, RunRecord, TestFacts
from accel_ci.domain.verdict import Verdict
from accel_ci.formats import markup, output
from accel_ci.render import story, units

LIMIT = 1_000_000  # bytes; the rest of the 1 MiB is for whatever else the step writes
COMMANDS = 8000  # characters
ICONS = {
    Verdict.PASSED: "✅",
    Verdict.FAILED: "❌",
    Verdict.TIMED_OUT: "⏱️",
    Verdict.CONFLICT: "🔀",
    Verdict.CANCELLED: "🚫",
}


@dataclass(frozen=True, slots=True)
class Detail:
    """How much is shown: characters of each failure's message, and rows of each table."""

    message: int
    rows: int


# Messages go first, then rows: a failing test's name is worth more than its text.
DETAILS = (Detail(4000, 200), Detail(1000, 200), Detail(0, 200), Detail(0, 50), Detail(0, 10))


def render(record: RunRecord, *, limit: int = LIMIT, cleanup: bool = True) -> str:
    """Markdown of at most `limit` bytes (at least 100,000); whatever is left out is said in it.

    Without `cleanup` where the proof of that stands on the same page already.
    """
    for detail in DETAILS:  # the last level is small whatever the record holds: every text in it is clipped
        text = _document(record, detail, cleanup=cleanup)
        if len(text.encode()) <= limit:
            break
    return text


def _document(record: RunRecord, detail: Detail, *, cleanup: bool) -> str:
    story_ = story_of_the_run(record, detail, cleanup=cleanup)
    return "\n\n".join([head(record), *tests(record, detail), *story_]) + "\n"


def story_of_the_run(record: RunRecord, detail: Detail, *, cleanup: bool = True) -> list[str]:
    """The parts that tell where time and money went, what came back, what was left, and how to do it again."""
    parts = [*_time(record, detail), *_code(record), *_machine(record), *_files(record, detail)]
    return [*parts, *(_cleanup(record, detail) if cleanup else ()), *_repeat(record)]


def tests(record: RunRecord, detail: Detail) -> list[str]:
    """The parts that tell the tests: counts, failing ones with their messages, flaky and slow ones."""
    return _tests(record.tests, detail)


def head(record: RunRecord) -> str:
    """The verdict as a heading, why, and the run in figures."""
    # No icon of its own for the clouds' failures: one sign says "not your code".
    icon = ICONS.get(record.verdict, "⚠️") if record.verdict else "⏳"
    facts = [units.number(story.total(record.tests), "test")] if record.tests else [story.untested(record)]
    elapsed = story.elapsed(record)
    facts += [units.duration(elapsed)] if elapsed is not None else []
    facts += [units.dollars(record.cost.dollars)] if record.cost and record.cost.dollars is not None else []
    tested = " merged into ".join(markup.markdown(sha[:12]) for sha in story.commit(record))
    facts += [f"commit {tested}"] if tested else []
    why = [_plain(story.why(record), 600), *filter(None, [_plain(story.advice(record))])]
    return "\n\n".join([f"## {icon} {_plain(story.headline(record))}", *why, " · ".join(facts)])


def _tests(tests: TestFacts | None, detail: Detail) -> list[str]:
    if tests is None:
        return []
    columns = [*story.counts(tests), ("total", story.total(tests))]
    parts = ["### Tests", _table([name for name, _ in columns], [[f"{count:,}" for _, count in columns]], right=True)]
    parts += _failures(tests, detail)
    parts += _named("Flaky: failed, then passed on the same commit", tests.flaky, detail)
    problems = [_plain(problem, 300) for problem in tests.problems]
    parts += [f"**Problems with the reports**\n\n{_list(problems, detail.rows, 'problem')}"] if problems else []
    return [*parts, *_slowest(tests.slowest)]


def _failures(tests: TestFacts, detail: Detail) -> list[str]:
    bad = story.bad(tests)
    if not bad:
        return []
    shown = tests.failures[: detail.rows]
    parts = [f"#### {units.number(bad, 'failing test')}", *(_failure(case, detail) for case in shown)]
    cut = [f"{bad - len(shown):,} more failing tests"] if bad > len(shown) else []
    cut += ["the failures' texts"] if not detail.message else []
    too_long = any(len(case.message) > detail.message > 0 for case in shown)
    cut += ["the middle of long texts"] if too_long else []
    return [*parts, f"_Not shown here, for want of room: {', '.join(cut)}. See the record._"] if cut else parts


def _failure(case: CaseFacts, detail: Detail) -> str:
    """A test's name, which unfolds its message."""
    # GitHub reads no Markdown in a <summary>, and makes no mention or link inside <code>.
    name = f"<code>{markup.html(_short(output.single(case.name), 300))}</code>"
    notes = ["error"] if case.outcome == "error" else []
    notes += [f"w{case.worker}"] if case.worker else []
    notes += [units.duration(case.duration_s)] if case.duration_s >= 0.1 else []
    notes += [f"{case.attempts} attempts"] if case.attempts > 1 else []
    line = " · ".join([name, *notes])
    if not case.message or not detail.message:
        return f"- {line}"
    message = markup.block(clipping.clip(case.message, detail.message), limit=detail.message + 100)
    return f"<details><summary>{line}</summary>\n\n{message}\n</details>"


def _named(title: str, cases: Sequence[CaseFacts], detail: Detail) -> list[str]:
    if not cases:
        return []
    names = [f"{markup.markdown(case.name, 300)}, {case.attempts} attempts" for case in cases]
    return [f"**{title}**\n\n{_list(names, detail.rows, 'test')}"]


def _slowest(cases: Sequence[CaseFacts]) -> list[str]:
    slow = [case for case in cases if case.duration_s >= 1][:10]  # the slowest of quick tests interest nobody
    if not slow:
        return []
    rows = [[markup.markdown(case.name), units.duration(case.duration_s)] for case in slow]
    return [f"<details><summary>The slowest tests</summary>\n\n{_table(['test', 'took'], rows)}\n\n</details>"]


def _time(record: RunRecord, detail: Detail) -> list[str]:
    steps = story.steps(record)
    if not steps:
        return []
    rows = [
        [_plain(step.name), _plain(step.outcome), units.duration(step.ended_at - step.started_at), _plain(step.note)]
        for step in steps
    ]
    return ["### Where the time went", _cut_table(["step", "result", "took", ""], rows, detail.rows, "step")]


def _machine(record: RunRecord) -> list[str]:
    machine = record.machine
    rows = [["cost", story.cost(record)]]
    if machine is not None:
        kind = f"{_plain(machine.accelerator)}, {'spot' if machine.spot else 'on-demand'}"
        rows = [
            ["machine", markup.markdown(machine.handle)],
            ["kind", f"{kind}, {units.number(machine.workers, 'worker')} in {_plain(machine.zone)}"],
            *([["backend", _plain(story.chosen(record))]] if story.chosen(record) else []),
            *([["hardware", _plain(story.hardware(record))]] if story.hardware(record) else []),
            ["lease", f"until {units.moment(machine.expires_at)}"],
            *([["doors", _plain(story.doors(record), 600)]] if story.doors(record) else []),
            *rows,
        ]
    return ["### Machine", _table(["", ""], rows)]


def _code(record: RunRecord) -> list[str]:
    rows = [[name, markup.markdown(value)] for name, value in story.code(record)]
    return ["### Code", _table(["", ""], rows)] if rows else []


def _files(record: RunRecord, detail: Detail) -> list[str]:
    url = record.artifact_url
    download = [f"[Download files, log and record]({url})"] if url.startswith("https://") else []
    listed = _artifacts(record.artifacts, detail)
    return ["### Files", *download, *listed] if download or listed else []


def _artifacts(artifacts: Sequence[Artifact], detail: Detail) -> list[str]:
    if not artifacts:
        return []
    rows = [
        [
            markup.markdown(each.name),
            f"w{each.worker}",
            units.size(each.size_bytes),
            f"refused: {_plain(each.refused)}" if each.refused else markup.markdown(each.sha256),
        ]
        for each in artifacts
    ]
    return [_cut_table(["file", "worker", "size", "sha256"], rows, detail.rows, "file")]


def _cleanup(record: RunRecord, detail: Detail) -> list[str]:
    good, sentence = story.cleanup(record)
    icon = {True: "✅", False: "❌", None: "⚠️"}[good]
    left = [markup.markdown(handle) for handle in story.living(record)]
    parts = ["### Cleanup", f"{icon} {sentence}", *([_list(left, detail.rows, "machine")] if left else [])]
    commands = story.by_hand(record)
    return [*parts, *(["End by hand what may still live:", markup.block(commands, limit=COMMANDS)] if commands else [])]


def _repeat(record: RunRecord) -> list[str]:
    # The first line of the fence names the language: GitHub then colours it.
    commands = markup.block("\n".join(story.repeat(record)), limit=8000).replace("text\n", "sh\n", 1)
    return [f"<details><summary>Do it again</summary>\n\n{commands}\n</details>"] if record.target.run else []


def _plain(text: str, limit: int = 200) -> str:
    """Plain words as they are; anything that Markdown could take for more as a code span."""
    return _short(text, limit) if story.flat(text) else markup.markdown(text, limit)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: bool = False) -> str:
    lines = [header, ["--:" if right else "---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cut_table(header: Sequence[str], rows: Sequence[Sequence[str]], limit: int, thing: str) -> str:
    cut = len(rows) - limit
    return _table(header, rows[:limit]) + (f"\n\n_{units.number(cut, thing)} more, see the record._" if cut > 0 else "")


def _list(lines: Sequence[str], limit: int, thing: str) -> str:
    cut = len(lines) - limit
    more = [f"_{units.number(cut, thing)} more, see the record._"] if cut > 0 else []
    return "\n".join(f"- {line}" for line in [*lines[:limit], *more])
