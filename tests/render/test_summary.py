"""The step summary: what it tells, what hostile text cannot do in it, and how it stays small."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from accel_ci.domain.record import Artifact, CaseFacts, DoorFacts, OpenDoor, SourceFacts, TestFacts
from accel_ci.domain.verdict import Verdict
from accel_ci.render import summary
from tests.render import samples

MARKDOWN = MarkdownIt("commonmark").enable("table")
OURS = re.compile(r"</?(?:details|summary|code)>")
HOSTILE = (
    "@octocat #1 <img src=x onerror=alert(1)> [x](https://evil.example) ![y](z) | a\n\n## forged\n\n- item\n```\n</code>"
    "</summary></details><script>alert(1)</script> www.evil.example `` _x_ ::error::no \x1b[31m \u202e &lt;b&gt; \\| ~~~"
)


def _tokens(text: str) -> list[Token]:
    return [token for block in MARKDOWN.parse(text) for token in (block, *(block.children or ()))]


def _headings(text: str) -> list[str]:
    blocks = MARKDOWN.parse(text)
    return [after.content for token, after in itertools.pairwise(blocks) if token.type == "heading_open"]


def test_a_passed_run_is_told() -> None:
    """Verdict, reason, counts, times, machine, cost, files with their digests, cleanup, the command to repeat it."""
    text = summary.render(samples.passed())
    assert text.startswith("## ✅ Passed on v6e-1\n\nRun ended with exit code 0.\n\n1,241 tests · 5 m 12 s · $0.10 ·")
    for said in (
        "| 0 | 1,204 | 31 | 6 | 1,241 |",
        "| run | passed | 2 m 30 s | peak memory 11.1 GiB |",
        f"`{samples.HANDLE}`",
        "| `traces/profile.json.gz` | w0 | 27.1 MiB | `c4c4c4",
        "refused: larger than 100 MiB",
        "✅ 1 machine released; looked again at",
        'accel-ci run --backend tpu --accelerator v6e-1 --zones us-central1-b --zones us-east5-b --setup "pip install',
    ):
        assert said in text


def test_failing_tests_are_named_and_their_texts_fold() -> None:
    """Every failing test is a line that unfolds its message; flaky tests and problems are listed."""
    text = summary.render(samples.failed())
    assert "#### 3 failing tests" in text
    for case in samples.failures():
        assert f"<details><summary><code>{case.name}</code>" in text
    assert "E        +  where Array(False, dtype=bool) = all()" in text
    assert "- `tests/test_io.py::test_reads_shards[gs]`, 2 attempts" in text
    assert "suite 'models' claims failures=0" in text


def test_a_run_without_machine_and_tests_is_told() -> None:
    """Each try and its answer; nothing pretends that tests ran."""
    text = summary.render(samples.no_capacity())
    assert "## ⚠️ No capacity" in text
    assert "no test ran" in text and "no test report" not in text
    assert text.count("| no-capacity | 30.0 s |") == 2


def test_machines_that_may_still_live_are_named() -> None:
    """The cleanup section is the alarm."""
    record = samples.passed()
    assert record.cleanup is not None
    record.cleanup.left, record.cleanup.verified_at = [samples.HANDLE], None
    record.cleanup.commands = ["gcloud delete that", "``` @everyone"]
    text = summary.render(record)
    assert f"❌ 1 machine may still live and cost money.\n\n- `{samples.HANDLE}`" in text
    assert "End by hand what may still live:\n\n````text\ngcloud delete that\n``` @everyone\n````" in text


def _check(text: str) -> None:
    """Read as Markdown, nothing of the hostile text is a link, an image, a heading or HTML, and none is plain text."""
    tokens = _tokens(text)
    assert not {token.type for token in tokens} & {"link_open", "image", "strikethrough_open"}
    ours = {"Tests", "3 failing tests", "Where the time went", "Machine", "Files", "Cleanup"}
    assert set(_headings(text)[1:]) == ours
    for token in tokens:
        if token.type in ("html_block", "html_inline"):
            assert "<" not in OURS.sub("", token.content)
        if token.type == "text":
            assert "@" not in token.content
            assert "www." not in token.content


@pytest.mark.parametrize(
    "text", [HOSTILE, "@octocat", "</details>", "```", "\n\n# x", "a|b|c", "|\n|", "<!--", "`", "\\"]
)
def test_hostile_text_stays_text(text: str) -> None:
    """No mention, link, image, HTML, heading or table cell of its own, in whatever field it comes."""
    _check(summary.render(samples.hostile(text)))


@given(st.text(alphabet=st.sampled_from("ab @#<>`|\\\n*_[]()!~-/:.&;1w\x1b\u202e"), max_size=30))
@settings(max_examples=60)
def test_any_text_stays_text(text: str) -> None:
    """The same for texts made of everything that Markdown reads."""
    _check(summary.render(samples.hostile(text)))


def _large(failures: int, message: int) -> str:
    record = samples.failed()
    cases = [
        CaseFacts(name=f"tests/test_{number}.py::" + "n|" * 400, outcome="failed", message="é`\n" * message)
        for number in range(failures)
    ]
    record.tests = TestFacts(counts={"failed": 12_345}, failures=cases, problems=["p" * 5000] * 100)
    record.artifacts = [Artifact(name="n" * 3000, sha256="0" * 64, refused="r" * 3000) for _ in range(3000)]
    record.target.run = "x" * 2_000_000
    record.tries = record.tries * 2000
    return summary.render(record)


@pytest.mark.parametrize(("failures", "message"), [(200, 1300), (200, 10), (5000, 1300)])
def test_the_summary_never_exceeds_what_github_takes(failures: int, message: int) -> None:
    """Above 1 MiB GitHub drops the whole text; what was left out is said, and failing tests keep their names."""
    text = _large(failures, message)
    assert len(text.encode()) <= summary.LIMIT < 1 << 20
    assert "tests/test_9.py::" in text
    assert "more failing tests" in text
    assert "see the record" in text.lower()


def test_messages_are_dropped_before_rows() -> None:
    """A limit that the texts break, but not the names, keeps all names."""
    record = samples.failed()
    cases = [CaseFacts(name=f"test_{n}", outcome="failed", message="m" * 4000) for n in range(200)]
    record.tests = TestFacts(counts={"failed": 200}, failures=cases)
    text = summary.render(record, limit=100_000)
    assert len(text.encode()) <= 100_000
    assert "test_199" in text
    assert "the failures' texts" in text


def test_a_merge_test_names_all_that_was_merged() -> None:
    """The heading has commit and base, the section all four names; a hostile conflict stays text."""
    record = samples.passed()
    record.source = SourceFacts(sha="a" * 40, base_sha="b" * 40, merge_sha="c" * 40, tree="d" * 40, submodules=2, lfs=3)
    text = summary.render(record)
    assert f"` merged into `{'b' * 12}`" in text.split("\n\n")[2]
    assert "### Code" in text and all(letter * 40 in text for letter in "abcd")
    assert "2, not fetched with the commit" in text and "3 files came as pointers" in text
    record.verdict, record.reason = Verdict.CONFLICT, f"it cannot be merged: conflicts in {HOSTILE}"
    text = summary.render(record)
    assert text.startswith("## 🔀 Merge conflict")
    assert all(OURS.fullmatch(token.content) for token in _tokens(text) if token.type == "html_inline")


def test_doors_are_told() -> None:
    """What was tried and shut, or what stood open and how it was found, as text; nothing where nobody tried."""
    record = samples.passed()
    assert "| doors |" not in summary.render(record)
    record.doors = DoorFacts(tried=["root", "sudo"])
    assert "tried from inside, and shut: root, sudo" in summary.render(record)
    record.doors.open = [OpenDoor(worker=1, name="sudo", detail=HOSTILE)]
    text = summary.render(record)
    assert "open: sudo (w1: @octocat" in text
    assert all(OURS.fullmatch(token.content) for token in _tokens(text) if token.type == "html_inline")
