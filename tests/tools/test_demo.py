"""The demo: one command, and a page that shows what people see on GitHub."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import demo_label, demo_markdown

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<details ontoggle=alert(1) open><summary>x</summary></details>",
    "a <b onclick=x>b</b> <style>*{}</style>",
    "[x](javascript:alert(1)) [y](http://evil.example) ![z](https://evil.example/beacon)",
    "<code\n/onfocus=alert(1) autofocus>",
    "<!-- --><svg/onload=alert(1)>",
    '<https://evil.example/"onmouseover=x>',
    "<summary><a href='javascript:x'>y</a></summary>",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_markup_that_is_not_ours(text: str) -> None:
    """Only bare details, summary and code tags, Markdown's own tags and https links come out, whatever goes in."""
    html = demo_markdown.html(text) + demo_markdown.html(f"| a |\n| --- |\n| {text} |\n")
    tags = re.findall(r"<(/?[A-Za-z!][^>]*)>", html)
    allowed = (
        r"/?(details|summary|code|p|pre|ul|li|em|strong|table|thead|tbody|tr|th|td|div|a)|div class=\"scroll\"|br /"
    )
    assert not [tag for tag in tags if not re.fullmatch(rf"{allowed}|a href=\"https://[^\"<>]*\"", tag)]


def test_a_folded_part_is_folded() -> None:
    """Our own details with a code name and a table inside stay what they are."""
    html = demo_markdown.html(
        "<details><summary><code>a&lt;b</code></summary>\n\n| x |\n| --- |\n| 1 |\n\n</details>\n"
    )
    assert "<details><summary><code>a&lt;b</code></summary>" in html and "<td>1</td>" in html


def test_the_log_is_shown_as_github_shows_it() -> None:
    """Groups and annotations are readable; masks, stopped commands and ends of groups are not there."""
    lines = [
        "::add-mask::x\n",
        "::group::run\n",
        "hello\n",
        "::endgroup::\n",
        "::error title=accel-ci%3A tests::no%0Ago\n",
        "::abc::\n",
    ]
    assert list(demo_label.shown(lines)) == ["  ▸ run", "  hello", "  error: accel-ci: tests: no go"]


def test_a_pipe_gets_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pytest colours on the machine stays coloured on a terminal only."""
    line = "\x1b[32m1 passed\x1b[0m\n"
    assert list(demo_label.shown([line])) == ["  1 passed"]
    monkeypatch.setattr(demo_label, "COLOURED", True)
    assert list(demo_label.shown([line])) == ["  \x1b[32m1 passed\x1b[0m"]


def test_the_whole_demo(tmp_path: Path) -> None:
    """On this computer as the machine: the label is consumed, the comment and the check are on the page, nothing is left."""
    environ = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "tools.demo_label", "local", "this computer", str(tmp_path / "demo")]
    environ["ACCEL_CI_STATE"] = str(tmp_path / "state")
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "check accel-ci failure (Failed on local: 1 of 3 tests), 1 comment, the label is consumed" in done.stdout
    page = (tmp_path / "demo/report.html").read_text(encoding="utf-8")
    for told in (
        "removed the label",
        "Waiting for an accelerator",
        "test_fails_on_purpose",
        "no machine</strong> is left",
    ):
        assert told in page
    assert page.index("removed the label") < page.index("Waiting for an accelerator") < page.index("commented")
    assert "<script" not in page and "default-src 'none'" in page
    assert "Failed on local" in (tmp_path / "demo/run.html").read_text(encoding="utf-8")
