"""The run as one HTML file that needs nothing else: no script, no outside resource, everything hostile escaped."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from itertools import accumulate

from accel_ci.domain.record import Artifact, CaseFacts, RunRecord, TestFacts
from accel_ci.domain.verdict import Verdict
from accel_ci.formats import markup, output
from accel_ci.render import story, units
from accel_ci.render.story import Step
from accel_ci.render.style import CSS

MAX_ROWS = 1000  # browsers scroll more slowly beyond; the record has all of them
MIN_SHARE = 0.012  # of a bar: narrower parts cannot be seen
OPEN_FAILURES = 3
COMMANDS = 8000  # characters
_DIGEST = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
# Should something hostile get past the escaping, the browser still runs and loads nothing.
POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
_STATES = {True: "good", False: "bad", None: "warn"}


def render(record: RunRecord) -> str:
    """A complete HTML document."""
    title = f"{story.headline(record)} · {record.identity.repository}"
    parts = [_tests(record), _time(record), _machine(record), _files(record)]
    parts += [_cleanup(record), _repeat(record)]
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{_text(title)}</title>
<style>{CSS}</style>
</head>
<body>
{_head(record)}
<main>
{"".join(parts)}</main>
<footer>Written by accel-ci {_text(record.accel_ci)}. The same facts, for programs: record.json.</footer>
</body>
</html>
"""


def _head(record: RunRecord) -> str:
    state = "good" if record.verdict is Verdict.PASSED else "bad"
    # Amber is nobody's fault in the repository.
    if record.verdict is None or record.verdict.is_infrastructure or record.verdict is Verdict.CANCELLED:
        state = "warn"
    verdict = record.verdict.value if record.verdict else "running"
    return f"""<header>
<span class="pill {state}">{verdict}</span>
<h1>{_text(story.headline(record))}</h1>
<p class="why">{_text(story.why(record), 600)}</p>
{_advice(record)}{_list(_about(record), "about")}
{_tiles(record)}
</header>"""


def _advice(record: RunRecord) -> str:
    advice = story.advice(record)
    return f"<p>{_text(advice)}</p>\n" if advice else ""


def _about(record: RunRecord) -> list[str]:
    who = record.identity
    run = f"run {who.run_id}" + (f", attempt {who.attempt}" if who.attempt > 1 else "")
    tested = " merged into ".join(_code(sha[:12]) for sha in story.commit(record))
    facts = [_text(who.repository), f"commit {tested}" if tested else "this computer's workspace"]
    facts += [f"pull request {who.pull_request}"] if who.pull_request else []
    facts += [f"job {_text(who.job)}" + (f" {_text(who.instance)}" if who.instance else ""), _link(who.url, run)]
    return [*facts, units.moment(record.started_at)]


def _tiles(record: RunRecord) -> str:
    tests, elapsed = record.tests, story.elapsed(record)
    failing = story.bad(tests) if tests else 0
    dollars = units.dollars(record.cost.dollars) if record.cost else "unknown"
    tiles = [
        ("Tests", f"{story.total(tests):,}" if tests else "none", ""),
        # "None" would read like none that failed.
        ("Failing", f"{failing:,}" if tests else "unknown", "bad" if failing else ""),
        ("Time", units.duration(elapsed) if elapsed is not None else "going on", ""),
        ("Cost", dollars, ""),
    ]
    cells = (f'<div class="tile {state}"><dt>{name}</dt><dd>{value}</dd></div>' for name, value, state in tiles)
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def _tests(record: RunRecord) -> str:
    tests = record.tests
    if tests is None:
        return _section("Tests", f'<p class="more">{story.untested(record).capitalize()}.</p>')
    counts = story.counts(tests)
    legend = "".join(f'<li class="{name if count else "none"}">{count:,} {name}</li>' for name, count in counts)
    share = _bar(_shares(counts), "share", label=", ".join(f"{count:,} {name}" for name, count in counts))
    parts = [_section("Tests", f'{share}<ul class="legend">{legend}</ul>{_problems(tests)}')]
    unshown = story.bad(tests) - len(tests.failures)
    if story.bad(tests):
        few = len(tests.failures) <= OPEN_FAILURES  # many open ones would hide that there are many
        cases = "".join(_failure(case, opened=few) for case in tests.failures)
        parts.append(_section(units.number(story.bad(tests), "failing test"), _unshown(cases, unshown, "failing test")))
    if tests.flaky:
        about = "<p>Failed, then passed, on the same commit.</p>"
        parts.append(
            _section(units.number(len(tests.flaky), "flaky test"), about + "".join(map(_failure, tests.flaky)))
        )
    slow = [case for case in tests.slowest if case.duration_s >= 1]
    return "".join(parts) + (_section("Slowest tests", "".join(map(_bare, slow))) if slow else "")


def _shares(counts: Sequence[tuple[str, int]]) -> list[tuple[str, float, float]]:
    """Parts of a bar; even one failure among thousands is wide enough to be seen."""
    total = sum(count for _, count in counts) or 1
    widths = [max(MIN_SHARE, count / total) if count else 0.0 for _, count in counts]
    starts = accumulate(widths, initial=0.0)
    scale = 100 / (sum(widths) or 1)
    return [
        (name, scale * start, scale * width) for (name, _), start, width in zip(counts, starts, widths, strict=False)
    ]


def _problems(tests: TestFacts) -> str:
    return _list([_text(problem, 300) for problem in tests.problems], "plain") if tests.problems else ""


def _failure(case: CaseFacts, *, opened: bool = False) -> str:
    if not case.message:
        return _bare(case)
    message = f'<pre tabindex="0">{markup.html(case.message)}</pre>'
    return f"<details{' open' if opened else ''}><summary>{_case(case)}</summary>{message}</details>"


def _bare(case: CaseFacts) -> str:
    return f'<div class="bare">{_case(case)}</div>'


def _case(case: CaseFacts) -> str:
    tags = ['<span class="tag bad">error</span>'] if case.outcome == "error" else []
    tags += [f'<span class="tag">w{case.worker}</span>'] if case.worker else []
    tags += [f'<span class="tag">{case.attempts} attempts</span>'] if case.attempts > 1 else []
    tags += [f'<span class="tag">{units.duration(case.duration_s)}</span>'] if case.duration_s >= 0.1 else []
    return f"<span>{_code(case.name, 1000)}{''.join(tags)}</span>"


def _time(record: RunRecord) -> str:
    steps = story.steps(record)
    if not steps:
        return ""
    begin = min(record.started_at, *(step.started_at for step in steps))
    whole = max(step.ended_at for step in steps) - begin or 1.0
    rows = "".join(_step(step, begin, whole=whole) for step in steps[:MAX_ROWS])
    return _section("Where the time went", _unshown(f'<ol class="steps">{rows}</ol>', len(steps) - MAX_ROWS, "step"))


def _step(step: Step, begin: float, *, whole: float) -> str:
    state = "good" if step.good else "bad" if step.outcome in ("failed", "timed-out") else "warn"
    start = 100 * (step.started_at - begin) / whole
    # A step of a second in an hour can still be seen.
    width = max(0.6, 100 * (step.ended_at - step.started_at) / whole)
    outcome = "" if step.good else f' <span class="state {state}">{_text(step.outcome)}</span>'
    note = f'<span class="note">{_text(step.note, 500)}</span>' if step.note else ""
    took = units.duration(step.ended_at - step.started_at)
    bar = _bar([(state, min(start, 99.4), width)], "span", label="")
    return f'<li><span>{_text(step.name)}{outcome}</span>{bar}<span class="took">{took}</span>{note}</li>'


def _machine(record: RunRecord) -> str:
    machine = record.machine
    facts = [("Cost", _text(story.cost(record)))]
    if machine is not None:
        kind = f"{_text(machine.accelerator)}, {'spot' if machine.spot else 'on-demand'}"
        place = f"{units.number(machine.workers, 'worker')} in {_text(machine.zone)}"
        facts = [
            ("Machine", _code(machine.handle, 500)),
            ("Kind", f"{kind}, {place}"),
            ("Lease until", units.moment(machine.expires_at)),
            *facts,
        ]
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
    return _section("Machine", f'<dl class="facts">{rows}</dl>')


def _files(record: RunRecord) -> str:
    artifacts, url = record.artifacts, record.artifact_url
    download = f"<p>{_link(url, 'Download files, log and record')}</p>" if url else ""
    if not artifacts:
        return _section("Files", download) if download else ""
    head = "<tr><th>file</th><th>worker</th><th>size</th><th>sha256</th></tr>"
    table = f"<table><thead>{head}</thead><tbody>{''.join(map(_file, artifacts[:MAX_ROWS]))}</tbody></table>"
    return _section("Files", download + _unshown(table, len(artifacts) - MAX_ROWS, "file"))


def _file(artifact: Artifact) -> str:
    proof = f'<span class="state bad">refused: {_text(artifact.refused)}</span>' if artifact.refused else ""
    return (
        f"<tr><td>{_code(artifact.name, 500)}</td><td>w{artifact.worker}</td>"
        f'<td class="size">{units.size(artifact.size_bytes)}</td>'
        f'<td class="hash">{proof or _code(artifact.sha256)}</td></tr>'
    )


def _cleanup(record: RunRecord) -> str:
    good, sentence = story.cleanup(record)
    word = {True: "Nothing was left.", False: "Not clean.", None: "No proof yet."}[good]
    if good is None and record.cleanup and record.cleanup.kept:
        word = "Kept."
    left = [_code(handle, 500) for handle in story.living(record)]
    told = f'<p class="why"><span class="state {_STATES[good]}">{word}</span> {_text(sentence)}</p>'
    return _section("Cleanup", told + (_list(left, "plain") if left else "") + _by_hand(record))


def _by_hand(record: RunRecord) -> str:
    commands = story.by_hand(record)
    shown = f'<pre tabindex="0">{markup.html(commands[:COMMANDS])}</pre>'
    return f"<p>End by hand what may still live:</p>{shown}" if commands else ""


def _repeat(record: RunRecord) -> str:
    commands = markup.html("\n".join(story.repeat(record)))
    return _section("Do it again", f'<pre tabindex="0">{commands}</pre>') if record.target.run else ""


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>\n"


def _unshown(content: str, count: int, thing: str) -> str:
    return content + (f'<p class="more">{units.number(count, thing)} more, see record.json.</p>' if count > 0 else "")


def _list(items: Iterable[str], kind: str) -> str:
    return f'<ul class="{kind}">{"".join(f"<li>{item}</li>" for item in items)}</ul>'


def _bar(parts: Iterable[tuple[str, float, float]], kind: str, *, label: str) -> str:
    """A bar of coloured parts (class, start and width in per cent of the whole)."""
    # Drawn with attributes of SVG, which are no style: the policy needs no exception for inline styles.
    said = f'role="img" aria-label="{label}"' if label else 'aria-hidden="true"'
    rects = "".join(f'<rect class="{name}" x="{x:.2f}" width="{width:.2f}" height="1"/>' for name, x, width in parts)
    return f'<svg class="{kind}" viewBox="0 0 100 1" preserveAspectRatio="none" {said}>{rects}</svg>'


def _link(url: str, text: str) -> str:
    # A javascript: address would run in the reader's browser.
    safe = re.fullmatch(r"https?://[A-Za-z0-9._~:/?#@!$&()*+,;=%-]+", url)
    return f'<a href="{markup.html(url)}" rel="noopener noreferrer nofollow">{text}</a>' if safe else text


def _text(text: str, limit: int = 300) -> str:
    line = output.single(text)
    return markup.html(line if len(line) <= limit else f"{line[: limit - 1]}…")


def _code(text: str, limit: int = 300) -> str:
    return f"<code>{_text(text, limit)}</code>"
