"""Threats in what comes back from a machine: its output, its files, and texts that end up before people."""

from __future__ import annotations

import base64
import gzip
import io
from itertools import islice
from pathlib import Path
from urllib import parse

import markdown_it
import pydantic
import pytest

from accel_ci.adapters.actions_job import ActionsJob
from accel_ci.domain.record import RunRecord
from accel_ci.formats import junit, limits
from accel_ci.formats.output import Sanitizer
from accel_ci.formats.redaction import Masker
from accel_ci.render import comment, summary
from tests.fakes.clock import FakeClock
from tests.fakes.entropy import FakeEntropy
from tests.formats import hostile_lines, runner_parser
from tests.render import samples

MIB = 1024 * 1024
SECRET = b"correct-horse-battery-staple"
MARKUP = "@everyone #1 <img src=http://evil/x.png> ![x](http://evil) ``` <!-- accel-ci gate --> | a | [y](javascript:1)"


def test_threat_05_workflow_commands_in_the_output() -> None:
    """Hostile lines that fire commands as they are fire none after us, in whatever pieces they come."""
    raw = b"".join(islice(hostile_lines.lines(5), 5000))
    assert sum(hostile_lines.commands(line) > 0 for line in raw.splitlines(keepends=True)) > 500
    for seed in range(3):
        assert hostile_lines.faults(hostile_lines.sanitized(hostile_lines.chunks(raw, seed))) == 0


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\u2028", "EOF\n", "ghadelimiter\n"])
def test_threat_06_forged_outputs(end: str, tmp_path: Path) -> None:
    """A value that tries to end its own entry and begin another stays one value of one name."""
    outputs = tmp_path / "output"
    clock, entropy = FakeClock(), FakeEntropy()
    job = ActionsJob(io.StringIO(), output_file=str(outputs), summary_file="", clock=clock, entropy=entropy)
    job.output("tests", f"x{end}allowed=true{end}verdict<<x{end}passed{end}x{end}")
    assert set(runner_parser.output_file(outputs.read_bytes().decode())) == {"tests"}


@pytest.mark.parametrize(
    "bomb",
    [
        b'<!DOCTYPE x [<!ENTITY a "'
        + b"a" * 1000
        + b'"><!ENTITY b "'
        + b"&a;" * 1000
        + b'">]><testsuite>&b;</testsuite>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>',
        b"<testsuite>" * 100_000,
        b"<testsuites>" + b'<testcase name="x"/>' * 300_000,
        b'<testsuite tests="999999999"><testcase name="' + b"n" * 3_000_000 + b'"/></testsuite>',
        gzip.compress(b"<testsuite/>"),
    ],
    ids=["entities", "external", "deep", "many", "long", "compressed"],
)
def test_threat_08_bombs_in_reports(bomb: bytes) -> None:
    """A hostile report is read within its caps: it may say that tests failed or warn, and never that all is well."""
    report = junit.parse(bomb, source="report.xml")
    assert report.incomplete or report.warnings
    assert len(report.cases) <= limits.USUAL.cases
    assert max((len(case.name) for case in report.cases), default=0) <= limits.USUAL.name + 10


def test_threat_13_mentions_markup_and_giant_texts() -> None:
    """Names full of markup become text in comment and summary: no link, no picture, no mention; sizes are GitHub's."""
    for text in (MARKUP, MARKUP * 2000):
        record = samples.hostile(text)
        for shown, limit in (
            (comment.comment([("tpu", comment.section(record))]), 65_536),
            (summary.render(record), MIB),
        ):
            assert len(shown.encode()) < limit
            parsed = markdown_it.MarkdownIt().parse(shown)
            tokens = [each for token in parsed for each in (token, *(token.children or ()))]
            assert not [each for each in tokens if each.type == "image"]
            links = [str(each.attrGet("href")) for each in tokens if each.type == "link_open"]
            assert not [link for link in links if "evil" in link or link.startswith("javascript")]
            read_as_html = "".join(each.content for each in tokens if each.type.startswith("html"))
            assert "<img" not in read_as_html and "<!-- accel-ci gate" not in read_as_html
            said = "".join(each.content for each in tokens if each.type == "text")
            assert "@everyone" not in said and "#1 " not in said


def test_threat_15_poisoned_artifacts() -> None:
    """A record out of a file is data with a schema: unknown members, wrong types and giants are refused."""
    good = samples.passed().model_dump_json()
    assert RunRecord.model_validate_json(good).verdict is not None
    for poison in (good.replace('"verdict"', '"surprise"', 1), good[:-2], "[]", '{"version": 99}', "null"):
        with pytest.raises(pydantic.ValidationError):
            RunRecord.model_validate_json(poison)


def test_threat_19_secrets_in_a_public_log() -> None:
    """A secret is hidden in every usual spelling, wherever a chunk ends, between colours, in log and in bytes kept."""
    spellings = [SECRET, base64.b64encode(b"user:" + SECRET), parse.quote(SECRET.decode() + "/").encode()]
    line = b"\x1b[31mtoken: " + b" and ".join(spellings) + b"\x1b[0m\n"
    for cut in range(len(line)):
        sanitizer, masker = Sanitizer([SECRET]), Masker([SECRET])
        shown = sanitizer.feed(line[:cut]) + sanitizer.feed(line[cut:]) + sanitizer.flush()
        kept = masker.feed(line[:cut]) + masker.feed(line[cut:]) + masker.flush()
        for needle in (SECRET, SECRET[1:-1], base64.b64encode(SECRET)[4:-6]):
            assert needle.decode() not in shown and needle not in kept
