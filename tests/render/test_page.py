"""report.html: complete in itself, and safe whatever it shows."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_ci.domain.record import RunRecord
from accel_ci.render import page, style
from tests.render import samples

VOID = {"meta", "rect"}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "href", "rel", "open", "tabindex", "role"}
ATTRIBUTES |= {"viewbox", "preserveaspectratio", "aria-label", "aria-hidden", "x", "width", "height"}
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=y> javascript:alert(1) </pre></style>\u202e\x00\x1b[31m&amp;"


class _Page(HTMLParser):
    """The elements of a page, and what is wrong with them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _checked(record: RunRecord) -> _Page:
    """The page, well-formed, with no element or attribute beyond those that we use."""
    read = _Page(page.render(record))
    assert read.open == []
    assert not set(read.tags) & {
        "script",
        "img",
        "iframe",
        "object",
        "embed",
        "link",
        "form",
        "base",
        "input",
        "style2",
    }
    assert read.tags.count("style") == 1
    assert {name for name, _ in read.attributes} <= ATTRIBUTES
    assert all(value.startswith(("https://", "http://")) for name, value in read.attributes if name == "href")
    return read


@pytest.mark.parametrize("sample", [samples.passed(), samples.failed(), samples.no_capacity()])
def test_the_page_is_whole_and_needs_nothing_else(sample: RunRecord) -> None:
    """Well-formed, without scripts, images, frames or links to other files."""
    _checked(sample)


def test_the_policy_admits_our_style_and_nothing_else() -> None:
    """The digest in the policy is that of the style sheet in the page, which loads nothing."""
    text = page.render(samples.passed())
    (inside,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'" in text
    assert not re.search(r"url\(|@import|expression|</", style.CSS)
    assert text.index("Content-Security-Policy") < text.index("<style>")


def test_the_page_tells_the_run() -> None:
    """Verdict, reason, counts, each failing test with its text, steps, machine, cost, files, cleanup, command."""
    text = " ".join(" ".join(_checked(samples.failed()).text).split())
    for said in (
        "Failed on v6e-1",
        "Run ended with exit code 1: 3 of 1,239 tests failed.",
        "1,198 passed",
        "tests/test_checkpoint.py::test_restores",
        "E OSError: [Errno 28] No space",
        "1 flaky test",
        "try 1: us-central1-b spot no-capacity",
        "collect and give back",
        samples.HANDLE,
        "$0.10 (4 m 40 s of machine time at $1.35 an hour)",
        "refused: larger than 100 MiB",
        "Nothing was left. 1 machine released",
        "git checkout " + samples.SHA,
    ):
        assert said in text


def test_a_few_failures_are_open_and_many_are_folded() -> None:
    """Up to three failing tests show their texts at once."""
    record = samples.failed()
    assert page.render(record).count("<details open>") == 3
    assert record.tests is not None
    record.tests.failures *= 2
    assert page.render(record).count("<details open>") == 0


def test_one_failure_among_thousands_can_be_seen() -> None:
    """No part of the bar is narrower than one per cent, and together they fill it."""
    record = samples.failed()
    assert record.tests is not None
    record.tests.counts = {"passed": 99_999, "failed": 1}
    found = re.findall(r'class="(?:failed|passed)" x="([\d.]+)" width="([\d.]+)"', page.render(record))
    (_, failed), (start, passed) = [(float(x), float(width)) for x, width in found]
    assert failed > 1
    assert (start, round(failed + passed)) == (failed, 100)


def test_a_machine_that_may_still_live_is_an_alarm() -> None:
    """Named, and never beside the word that says all is well."""
    record = samples.passed()
    assert record.cleanup is not None
    record.cleanup.left, record.cleanup.verified_at = [samples.HANDLE], None
    text = page.render(record)
    assert '<span class="state bad">Not clean.</span> 1 machine may still live and cost money.' in text
    assert "Nothing was left" not in text
    assert "End by hand" not in text


def test_what_ends_a_machine_by_hand_stands_beside_it() -> None:
    """The commands, a line each, as text: whoever wrote the record can close no element with them; not when all is gone."""
    record = samples.passed()
    assert record.cleanup is not None
    record.cleanup.commands = ["gcloud compute tpus tpu-vm delete n", "</pre><script>alert(1)</script>\n&"]
    assert "End by hand" not in page.render(record)
    record.cleanup.unseen, record.cleanup.verified_at = ["could not list the machines"], None
    shown = "gcloud compute tpus tpu-vm delete n\n&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt; &amp;</pre>"
    assert f'<p>End by hand what may still live:</p><pre tabindex="0">{shown}' in page.render(record)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//x.y", "https://x.y/<b>", "https://x y", ""]
)
def test_only_web_addresses_are_links(url: str) -> None:
    """Any other address is not followed."""
    record = samples.passed()
    record.identity.url = url
    assert "<a " not in page.render(record)


def test_hostile_text_stays_text() -> None:
    """Tags, quotes and entities of others are shown as they are, in every field."""
    read = _checked(samples.hostile(HOSTILE))
    assert any("<script>alert(1)</script>" in text for text in read.text)
    usual = _checked(samples.hostile("x"))
    assert read.tags == usual.tags


@given(st.text(max_size=40))
@settings(max_examples=60)
def test_any_text_stays_text(text: str) -> None:
    """No text makes an element or attribute that is not ours."""
    _checked(samples.hostile(text))


def test_long_lists_are_cut_and_say_so() -> None:
    """A thousand files are shown, and the number of the others."""
    record = samples.passed()
    record.artifacts = record.artifacts * 1000
    text = page.render(record)
    assert text.count("<tr>") == 1001
    assert "2,000 files more, see record.json." in text
