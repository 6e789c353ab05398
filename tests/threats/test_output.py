"""Threats in what comes back from a machine: its output, its files, and texts that end up before people."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import gzip
import io
import json
import re
from itertools import islice
from pathlib import Path
from urllib import parse

import markdown_it
import pydantic
import pytest

from accel_ci.adapters.actions_job import ActionsJob
from accel_ci.adapters.entropy_os import SystemEntropy
from accel_ci.adapters.landing import Landing
from accel_ci.domain.errors import AccelError
from accel_ci.domain.machine import Worker
from accel_ci.domain.record import Artifact, CaseFacts, RunRecord
from accel_ci.domain.workload import Caps
from accel_ci.formats import junit, limits
from accel_ci.formats.output import Sanitizer
from accel_ci.formats.redaction import Masker
from accel_ci.render import comment, summary
from accel_ci.usecases import provision, report, run_remote
from tests.fakes.clock import FakeClock
from tests.fakes.entropy import FakeEntropy
from tests.fakes.remote import Script
from tests.formats import hostile_lines, runner_parser
from tests.render import samples
from tests.usecases import worlds
from tests.usecases.worlds import Fakes

MIB = 1024 * 1024
SECRET = b"correct-horse-battery-staple"
MARKUP = "@everyone #1 <img src=http://evil/x.png> ![x](http://evil) ``` <!-- accel-ci gate --> | a | [y](javascript:1)"


def test_threat_05_workflow_commands_in_the_output() -> None:
    """Hostile lines that fire commands as they are fire none after us, in whatever pieces they come."""
    raw = b"".join(islice(hostile_lines.lines(5), 5000))
    assert sum(hostile_lines.commands(line) > 0 for line in raw.splitlines(keepends=True)) > 500
    for seed in range(3):
        assert hostile_lines.faults(hostile_lines.sanitized(hostile_lines.chunks(raw, seed))) == 0


def _job(directory: Path) -> tuple[ActionsJob, io.StringIO]:
    """A step that writes as on a runner, with tokens that a test can foretell."""
    out, (outputs, page) = io.StringIO(), (str(directory / name) for name in ("output", "summary"))
    return ActionsJob(out, output_file=outputs, summary_file=page, clock=FakeClock(), entropy=FakeEntropy()), out


def test_threat_05_commands_are_stopped_as_well(tmp_path: Path) -> None:
    """Were the sanitizer blind, the runner would still obey nothing: commands stop under another token for each stretch."""
    (job, out), entropy, runner = _job(tmp_path), FakeEntropy(), runner_parser.Runner()
    hostile = "::set-output name=allowed::true\n##[add-path]/tmp\n::stop-commands::x\n::x::\n::add-mask::y\n"
    first, second = entropy.token(), entropy.token()
    job.stream(hostile)
    job.notice("ours", "text")
    job.stream(hostile)
    fired = [(each.name, each.data) for each in runner.read(out.getvalue().encode())]
    stopped = [("add-mask", first), ("stop-commands", first), (first, ""), ("notice", "text")]
    assert fired == [*stopped, ("add-mask", second), ("stop-commands", second)] and runner.stopped
    assert len({SystemEntropy().token() for _ in range(100)}) == 100 and len(SystemEntropy().token()) >= 32


def test_threat_06_a_value_that_knows_the_delimiter(tmp_path: Path) -> None:
    """Whoever foretold the random delimiter would end the entry: such a value is no output at all."""
    job, _ = _job(tmp_path)
    with pytest.raises(AccelError):
        job.output("tests", f"x\n{FakeEntropy().token()}\nallowed=true\n")
    assert not (tmp_path / "output").exists() or (tmp_path / "output").read_bytes() == b""


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\u2028", "EOF\n", "ghadelimiter\n"])
def test_threat_06_forged_outputs(end: str, tmp_path: Path) -> None:
    """A value that tries to end its own entry and begin another stays one value of one name."""
    outputs, (job, _) = tmp_path / "output", _job(tmp_path)
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
        b"<testsuite>" * 5_000 + b"</testsuite>" * 5_000,
        b"<testsuites>" + b'<testcase name="x"/>' * 300_000,
        b'<testsuite tests="999999999"><testcase name="' + b"n" * 3_000_000 + b'"/></testsuite>',
        gzip.compress(b"<testsuite/>"),
    ],
    ids=["entities", "external", "endless", "deep", "many", "long", "compressed"],
)
def test_threat_08_bombs_in_reports(bomb: bytes) -> None:
    """A hostile report is read within its caps: it may say that tests failed or warn, and never that all is well."""
    report = junit.parse(bomb, source="report.xml")
    assert report.incomplete or report.warnings
    assert len(report.cases) <= limits.USUAL.cases
    assert max((len(case.name) for case in report.cases), default=0) <= limits.USUAL.name + 10


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "a\nb", "a\0b", "\u202egpj.exe", ".bashrc", "-rf", 'C:"<>|*?', "x" * 900]
)
def test_threat_08_names_and_lies_of_a_courier(name: str, tmp_path: Path) -> None:
    """Under any name a file lands below its worker under a name of ours; a size beyond the caps ends it all."""
    caps = Caps(file_bytes=10, total_bytes=15, files=2)

    def landed(*sizes: int) -> list[str]:
        told = [
            f"F {json.dumps({'name': name, 'size': size, 'refused': ''})}\n".encode() + b"x" * min(size, 20)
            for size in sizes
        ]

        async def receiving() -> list[str]:
            stream = asyncio.StreamReader()
            stream.feed_data(b"".join([*told, b"Z {}\n"]))
            stream.feed_eof()
            got = await Landing(str(tmp_path), Worker(index=0, address=""), caps).receive(stream)
            return [each.path for each in got]

        return asyncio.run(receiving())

    (path,) = landed(3)
    assert re.fullmatch(r"w0/0001-[A-Za-z0-9_][A-Za-z0-9._-]*", path)
    for lie in ((11,), (8, 8), (1, 1, 1), (10**15,)):
        with pytest.raises(ValueError, match="beyond the caps"):
            landed(*lie)
    assert [each.name for each in tmp_path.rglob("*") if each.is_file()] == [path[3:]]


def test_threat_13_mentions_markup_and_giant_texts() -> None:
    """Names full of markup become text in comment and summary: no link, no picture, no mention; sizes are GitHub's."""
    for text in (
        MARKUP,
        MARKUP * 2000,
        f"a\n```\n~~~\n</details>\n{MARKUP}",
        "GH-1",
        "a fixes GH-26, www.evil.example",
    ):
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
            assert not re.search(r"\bGH-\d|www\.", said)


def test_threat_13_many_long_failures() -> None:
    """However many tests fail and however much they say, summary and comment keep to what GitHub takes."""
    record = samples.hostile(MARKUP)
    assert record.tests is not None
    case = CaseFacts(name="n" * 1000, outcome="failed", message="é" * 4000)
    record.tests.failures = record.tests.flaky = record.tests.slowest = [case] * 300
    record.artifacts = [Artifact(name="a" * 1000, refused="r" * 1000)] * 3000
    assert len(summary.render(record).encode()) <= summary.LIMIT < MIB
    sections = [("tpu (1)", comment.section(record))] * 40
    assert len(sections[0][1].encode()) <= comment.SECTION < 65_536 and len(comment.comment(sections)) < 65_000 < 65_536
    assert len(comment.title(record)) <= 255 and "\n" not in comment.title(record)


def test_threat_15_poisoned_artifacts() -> None:
    """A record out of a file is data with a schema: unknown members, wrong types and giants are refused."""
    good = samples.passed().model_dump_json()
    assert RunRecord.model_validate_json(good).verdict is not None
    poisons = (
        good.replace('"verdict"', '"surprise"', 1),
        good[:-2],
        "[]",
        '{"version": 99}',
        "null",
        f'{{"x":1,{good[1:]}',
    )
    for poison in poisons:
        with pytest.raises(pydantic.ValidationError):
            RunRecord.model_validate_json(poison)


@pytest.mark.parametrize(
    "told",
    [
        "javascript:alert(1)",
        "https://evil.example/x",
        "https://github.com/o/r/actions/runs/1/artifacts/2) [x](http://evil",
        "https://github.com/o/r/actions/runs/1/artifacts/2\n\n@everyone",
        "\xff",
    ],
)
def test_threat_15_a_poisoned_address(told: str) -> None:
    """What lies in the file that the upload step leaves becomes a link only when it is an artifact's address."""
    fakes, record = Fakes(), samples.passed()
    fakes.files.write("main/artifact-url", told.encode("latin-1"))
    assert report.report(fakes.world, record).artifact_url == ""
    assert "evil" not in "".join(fakes.job.summaries) and "@everyone" not in "".join(fakes.job.summaries)
    fakes.files.write("main/artifact-url", b"https://github.com/o/r/actions/runs/1/artifacts/2\n")
    assert report.report(fakes.world, record).artifact_url.endswith("/artifacts/2")


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
    coloured = b"\x1b[1mcorrect-\x1b[m\x1b[Khorse-battery-staple\n"
    masker = Masker([SECRET])
    assert b"horse" not in masker.feed(coloured) + masker.flush()


def test_threat_19_secrets_in_reports_and_in_what_we_say() -> None:
    """A failing test's words end in a comment, however its report spells them; and no line of ours quotes a secret."""
    spelled = "".join(f"&#{ord(each)};" for each in SECRET.decode())
    xml = f'<testsuite><testcase name="t[{spelled}]"><failure>{spelled}</failure></testcase></testsuite>'
    fakes = Fakes({"run": Script(exit_code=1, detail=SECRET.decode())}, files={"r.xml": xml.encode()})
    provision.provision(fakes.world, worlds.record(), worlds.KEY, order=worlds.order())
    work = dataclasses.replace(worlds.WORK, secrets={"T": SECRET.decode()}, report_patterns=("r.xml",))
    record = run_remote.run_remote(fakes.world, work, slot="")
    assert record.tests is not None and record.tests.failures[0].name == "t[***]"
    shown = f"{record.model_dump_json()} {fakes.job.text} {comment.section(record)} {summary.render(record)}"
    assert SECRET.decode() not in shown
    out = io.StringIO()
    job = ActionsJob(out, output_file="", summary_file="", clock=FakeClock(), entropy=FakeEntropy())
    job.mask(SECRET.decode())
    job.error("it failed", f"refused: {base64.b64encode(SECRET).decode()}")
    assert out.getvalue().endswith("::error title=it failed::refused: ***==\n")
