"""demo/report.html: what people see on GitHub of the run that just happened. One file, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tools import demo_markdown

CSS = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
ICONS = {"success": ("good", "✓"), "failure": ("bad", "✕"), "timed_out": ("bad", "✕"), "": ("wait", "•")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is to be seen: texts as GitHub keeps them."""

    repository: str
    number: int
    title: str
    author: str
    labeller: str
    label: str
    label_went_first: bool
    commit: str
    pending: str
    allowed: str
    conclusion: str
    check: str
    check_summary: str
    comments: tuple[str, ...]
    summary: str
    machines: str
    seconds: float
    calls: int
    where: str


def render(seen: Seen) -> str:
    """The whole page."""
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>accel-ci on a pull request</title>
<style>{CSS}</style>
</head>
<body>
{_top(seen)}
<main>
<div class="conversation">
{_conversation(seen)}
</div>
<div class="side">
{_check(seen)}
{_summary(seen)}
</div>
</main>
<footer>Made by <code>make demo</code> from what the simulated GitHub holds now. Comment, check and summary are the texts that
accel-ci sent to it; only the frame around them is this page&rsquo;s. Links to github.com lead to a repository that does not
exist.</footer>
</body>
</html>
"""


def _top(seen: Seen) -> str:
    facts = (
        (f"{seen.seconds:.1f} s", "from the label to the comment"),
        (seen.machines or "no machine", "is left" if not seen.machines else "still there"),
        (f"{seen.calls} calls", "to the API of GitHub"),
    )
    told = "".join(f"<li><strong>{escape(figure)}</strong> {escape(what)}</li>" for figure, what in facts)
    return f"""<header>
<p class="crumb">{escape(seen.repository)} · pull request</p>
<h1>{escape(seen.title)} <span class="number">#{seen.number}</span></h1>
<p class="about">This happened on this computer just now, with no account: GitHub and {escape(seen.where)} were simulated;
accel-ci, git and pytest are real. One of the three tests fails on purpose.</p>
<ul class="figures">{told}</ul>
<p class="more"><a href="run.html">The run&rsquo;s own report</a>, which every job keeps: time, machine, cost, failing tests</p>
</header>"""


def _conversation(seen: Seen) -> str:
    label = f'<span class="label">{escape(seen.label)}</span>'
    opened = f"<b>{escape(seen.author)}</b> pushed commit <code>{escape(seen.commit[:7])}</code>"
    removed = _event("", f"{_bot()} removed the label {label}", "<p>One label is one run of one commit.</p>")
    events = [
        _event("", opened),
        _event("", f"<b>{escape(seen.labeller)}</b> added the label {label}"),
        *([removed] if seen.label_went_first else []),
        _event("wait", f"Check <b>{escape(seen.pending)}</b>", demo_markdown.html(seen.allowed)),
    ]
    events += [_comment(each) for each in seen.comments]
    state, icon = ICONS.get(seen.conclusion, ("calm", "■"))
    blocked = "Required check passed" if state == "good" else "Merging is blocked where this check is required"
    sign = f'<span class="icon {state}">{icon}</span>'
    row = f'<p class="row">{sign} <b>accel-ci</b> <span class="muted">{escape(seen.check)}</span></p>'
    box = f'<div class="box merge {state}"><p>{sign} <b>{blocked}</b></p>{row}</div>'
    return f'<h2>The pull request</h2><ol class="timeline">{"".join(events)}</ol>{box}'


def _event(state: str, text: str, more: str = "") -> str:
    note = f'<div class="note">{more}</div>' if more else ""
    return f'<li class="event {state}"><div>{text}{note}</div></li>'


def _comment(text: str) -> str:
    head = f'<div class="head">{_bot()} <span class="muted">commented</span></div>'
    return f'<li class="said"><article>{_box(head, text)}</article></li>'


def _box(head: str, text: str, *, title: str = "") -> str:
    return f'<div class="box">{head}<div class="body markdown">{title}{demo_markdown.html(text)}</div></div>'


def _bot() -> str:
    return '<b>github-actions</b> <span class="bot">bot</span>'


def _check(seen: Seen) -> str:
    state, icon = ICONS.get(seen.conclusion, ("calm", "■"))
    name = (
        f'<span class="icon {state}">{icon}</span> <b>accel-ci</b> <span class="muted">{escape(seen.conclusion)}</span>'
    )
    title = f'<p class="title">{escape(seen.check)}</p>'
    box = _box(f'<div class="head">{name}</div>', seen.check_summary, title=title)
    return f"<h2>The commit&rsquo;s check</h2>{box}"


def _summary(seen: Seen) -> str:
    head = '<div class="head"><b>tpu</b> <span class="muted">summary</span></div>'
    return f"<h2>The job&rsquo;s summary</h2>{_box(head, seen.summary)}"
