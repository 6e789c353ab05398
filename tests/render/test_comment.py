"""Comments and issues: within GitHub's limits, and safe whatever the tests are called."""

from __future__ import annotations

import re

import markdown_it
import pytest

from accel_ci.domain.record import Artifact, CaseFacts, TestFacts
from accel_ci.render import comment, issue
from tests.render import samples

HOSTILE = "</details>\n# x\n@octocat <!-- accel-ci report --> ``` | [a](https://evil.example) <img src=x>"


def _huge(verdict_text: str) -> str:
    record = samples.hostile(verdict_text)
    case = CaseFacts(name=verdict_text * 400, outcome="failed", message=verdict_text * 400)
    record.tests = TestFacts(counts={"failed": 12_345}, failures=[case] * 60, flaky=[case] * 60, slowest=[case] * 50)
    record.tests.problems = [verdict_text * 100] * 100
    record.artifacts = [Artifact(name=verdict_text * 100, refused=verdict_text * 100)] * 50
    record.tries = record.tries * 50
    record.target.run = verdict_text * 10_000
    return comment.section(record)


@pytest.mark.parametrize("text", [HOSTILE, "\"'&<", "`", "|", "é\u202e", "n"])
def test_a_section_fits_whatever_it_holds(text: str) -> None:
    """However long names and messages are, a section is at most 60,000 bytes and still has its verdict."""
    section = _huge(text)
    assert len(section.encode()) <= comment.SECTION
    assert section.startswith("## ")


def test_many_sections_fit() -> None:
    """A matrix of 64 long sections is one comment within the limit: shortened, and said to be."""
    long = _huge(HOSTILE)
    text = comment.comment([(f"accel-ci ({number})", long) for number in range(64)])
    assert len(text.encode()) <= comment.LIMIT
    assert "accel-ci (0)" in text
    few = comment.comment([("a", "## one\n\n### Tests\n"), ("b", "## two")])
    assert "### Tests" in few and "## two" in few
    crowd = comment.comment([(f"accel-ci ({number})", "## " + "x" * 2000) for number in range(256)])
    assert len(crowd.encode()) <= comment.LIMIT and "more: see the checks of this commit" in crowd


def test_details_are_folded() -> None:
    """Verdict and failing tests are seen at once; times, machine, cost and the repeating command unfold."""
    section = comment.section(samples.failed())
    seen, folded = section.split("<details><summary>Time, machine, cost, cleanup</summary>")
    assert "test_softmax_is_stable" in seen and "Where the time went" not in seen
    assert all(told in folded for told in ("Where the time went", "### Machine", "### Cleanup", "Do it again"))
    assert section.count("<details>") == section.count("</details>")
    assert "Not shown here" not in section


def test_hostile_names_stay_text() -> None:
    """Read as Markdown, the only link is ours, and there is no image, no heading and no HTML but ours."""
    tokens = markdown_it.MarkdownIt().parse(comment.section(samples.hostile(HOSTILE)))
    inner = [token for each in tokens for token in [each, *(each.children or ())]]
    assert not [token for token in inner if token.type == "image"]
    assert {token.attrs["href"] for token in inner if token.type == "link_open"} <= {samples.identity().url}
    html = "".join(token.content for token in inner if token.type in ("html_block", "html_inline"))
    assert not re.findall("<!--|<img|octocat (?!&lt;)", html)


def test_titles_are_short_and_plain() -> None:
    """The title of a check says verdict, machine and how many tests failed."""
    assert comment.title(samples.failed()) == "Failed on v6e-1: 3 of 1,239 tests"
    assert comment.title(samples.passed()) == "Passed on v6e-1"
    assert len(comment.title(samples.hostile("x" * 5000))) <= comment.TITLE
    assert "\n" not in issue.title(samples.hostile("a\n::error::b"), name="accel-ci")


def test_an_issue_names_its_run() -> None:
    """The body carries its run's mark, once, and what will happen to the issue."""
    body = issue.body(samples.failed())
    assert body.count(issue.tag(samples.failed())) == 1
    assert "closed by the first that passes" in body
