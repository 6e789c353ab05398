"""JUnit XML, as dozens of test runners write it: cases at any depth, counted from their own children."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from defusedxml import DefusedXmlException, ElementTree

from accel_ci.domain.results import BAD, Kind, Outcome, Report, TestCase
from accel_ci.formats import limits, xml_text
from accel_ci.formats.limits import Limits

SUITES = frozenset({"testsuite", "testsuites"})
RESULTS = {"failure": Outcome.FAILED, "error": Outcome.ERROR, "skipped": Outcome.SKIPPED}
UNRUN = frozenset({"notrun", "disabled"})  # gtest and ctest say it in an attribute only
MAX_TAG = 16 * limits.MIB
# A failed attempt of a case that was run again: Surefire and nextest write one of these for each.
ATTEMPTS = frozenset({"flakyFailure", "flakyError", "rerunFailure", "rerunError"})
WORST_FIRST = (Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED)
CLAIMS = {
    "failures": frozenset({Outcome.FAILED}),
    "errors": frozenset({Outcome.ERROR}),
    "skipped": frozenset({Outcome.SKIPPED}),
    "tests": frozenset(Outcome),
}


def parse(content: bytes, *, source: str, worker: int = 0, limit: Limits = limits.USUAL) -> Report:
    """The report of one file. Never raises: a broken file keeps the cases before the break and is incomplete."""
    reader = _Reader(worker, limit)
    incomplete = _fed(reader, content[: limit.size])
    if incomplete:
        reader.salvage()
    if len(content) > limit.size:
        incomplete = f"it has more than {limit.size:,} bytes, the rest was not read"
    return Report(
        source=source,
        kind=Kind.JUNIT,
        worker=worker,
        cases=tuple(reader.cases),
        incomplete=incomplete,
        warnings=tuple(reader.warnings),
    )


class _TooMuchError(Exception):
    """The document goes beyond a limit."""


def _fed(reader: _Reader, content: bytes) -> str:
    """Why the document could not be read to its end; "" when it could."""
    parser = ElementTree.XMLParser(target=reader, forbid_dtd=True)
    fed = 0
    try:
        for piece in xml_text.pieces(content):
            parser.feed(piece)
            fed += len(piece)
            if fed - parser.parser.CurrentByteIndex > MAX_TAG:  # expat reads an unfinished tag again with every piece
                raise _TooMuchError("one of its tags has no end for 16 MiB, the rest was not read")
        parser.close()
    except ElementTree.ParseError as error:
        return f"it is not well-formed XML: {error}"
    except DefusedXmlException:
        return "it has a document type definition, which is not read"
    except _TooMuchError as error:
        return str(error)
    return ""


@dataclass(slots=True)
class _Suite:
    """An open suite: what it claims, and what its cases show: its own ones, and those of suites below it as well.

    `outside` counts the errors that belong to no case; some writers include them in their claims, some do not.
    """

    name: str
    attributes: dict[str, str]
    own: Counter[Outcome] = field(default_factory=Counter)
    below: Counter[Outcome] = field(default_factory=Counter)
    outside: int = 0


@dataclass(slots=True)
class _Case:
    """An open case: which results its children gave it, and how many failed attempts they tell of."""

    name: str
    duration_s: float
    said_unrun: bool = False
    results: list[Outcome] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    failed_attempts: int = 0


class _Reader:
    """The target of the XML parser: keeps finished cases, and the open elements only."""

    def __init__(self, worker: int, limit: Limits) -> None:
        self.worker = worker
        self.limit = limit
        self.cases: list[TestCase] = []
        self.warnings: list[str] = []
        self.open: list[_Suite | _Case | None] = []
        self.text: list[str] | None = None
        self.room = 0
        self.unrun = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Open an element."""
        name = tag.rpartition("}")[2]  # whatever the namespace
        parent = self.open[-1] if self.open else None
        opened: _Suite | _Case | None = None
        if name == "testcase":
            opened = self.case(attributes, parent)
        elif name in SUITES:
            opened = _Suite(limits.text(attributes.get("name"), self.limit.name), attributes)
        elif isinstance(parent, _Case):
            self.result(parent, name, attributes)
        # Surefire and jest report a broken fixture or file on the suite: without this it would look green.
        elif isinstance(parent, _Suite) and name in ("failure", "error"):
            opened = _Case(f"{parent.name or 'suite'} (outside of its tests)", 0.0, results=[Outcome.ERROR])
            parent.outside += 1
            self.collect(attributes)
        elif not self.open:
            self.warn(f"its root element is <{limits.text(name, 80)}>, not <testsuites>")
        self.open.append(opened)
        if len(self.open) > self.limit.depth:
            raise _TooMuchError(f"its elements are nested more than {self.limit.depth} deep, the rest was not read")

    def data(self, text: str) -> None:
        """Keep the text of a failure; system-out and everything else is not looked at."""
        if self.text is not None and self.room > 0:
            self.text.append(text[: self.room])
            self.room -= len(text)

    def end(self, tag: str) -> None:
        """Close an element."""
        closed = self.open.pop()
        parent = self.open[-1] if self.open else None
        if closed is None and self.text is not None and isinstance(parent, _Case):
            parent.messages.append(self.collected())
        elif isinstance(closed, _Case):
            if self.text is not None:  # an error of the suite: its claims need not include that
                closed.messages.append(self.collected())
                parent = None
            self.finish(closed, parent)
        elif isinstance(closed, _Suite):
            self.check(closed, parent)

    def close(self) -> None:
        """The document is whole."""
        if self.unrun:
            self.warn(f"{self.unrun} cases count as passed, but say that they did not run")

    def salvage(self) -> None:
        """Keep the open cases that are known to be bad: what follows the break cannot make them better."""
        for case in reversed(self.open):
            if isinstance(case, _Case) and not BAD.isdisjoint(case.results) and len(self.cases) < self.limit.cases:
                case.messages.append(self.collected())
                self.finish(case, None)

    def case(self, attributes: dict[str, str], parent: _Suite | _Case | None) -> _Case:
        """A case that was opened, named as far as its attributes and its suite can."""
        place = attributes.get("classname") or (parent.name if parent else "")
        name = attributes.get("name") or "(unnamed)"
        return _Case(
            limits.text(f"{place}::{name}" if place else name, self.limit.name),
            _duration(attributes.get("time", "")),
            said_unrun=attributes.get("status") in UNRUN,
        )

    def result(self, case: _Case, name: str, attributes: dict[str, str]) -> None:
        """Note what a child says about its case."""
        if name in ATTEMPTS:
            case.failed_attempts += 1
        elif name in RESULTS:
            case.results.append(RESULTS[name])
        else:
            return
        self.collect(attributes)

    def collect(self, attributes: dict[str, str]) -> None:
        """Begin to keep text, with the message attribute in front."""
        self.room = 16 * self.limit.message  # enough to clip from; not enough to fill the memory
        self.text = []
        if attributes.get("message"):
            self.data(attributes["message"] + "\n")

    def collected(self) -> str:
        """The text that was kept, clipped."""
        parts, self.text = self.text or [], None
        # Most writers repeat the message at the beginning of the text.
        if len(parts) > 1 and "".join(parts[1:]).lstrip().startswith(parts[0].rstrip("\n")):
            parts = parts[1:]
        return limits.text("".join(parts).strip("\n"), self.limit.message)

    def finish(self, case: _Case, parent: _Suite | _Case | None) -> None:
        """Keep a case whose children are all known, and count it for its suite."""
        if len(self.cases) >= self.limit.cases:
            raise _TooMuchError(f"it has more than {self.limit.cases:,} cases, the rest was not read")
        outcome = next((known for known in WORST_FIRST if known in case.results), Outcome.PASSED)
        self.unrun += case.said_unrun and outcome is Outcome.PASSED
        if isinstance(parent, _Suite):
            parent.own[outcome] += 1
        self.cases.append(
            TestCase(
                name=case.name,
                outcome=outcome,
                duration_s=case.duration_s,
                message=limits.text("\n".join(filter(None, case.messages)), self.limit.message),
                worker=self.worker,
                attempts=1 + case.failed_attempts,
            )
        )

    def check(self, suite: _Suite, parent: _Suite | _Case | None) -> None:
        """Warn when a suite claims other numbers than its cases show."""
        suite.below.update(suite.own)
        if isinstance(parent, _Suite):
            parent.below.update(suite.below)
            parent.outside += suite.outside
        for claim, outcomes in CLAIMS.items():
            claimed = suite.attributes.get(claim, "")
            shown = [sum(counts[outcome] for outcome in outcomes) for counts in (suite.own, suite.below)]
            # A claim may be of the suite alone or of everything below it, with or without its own errors.
            possible = {number + extra for number in shown for extra in (0, suite.outside)}
            if claimed.isascii() and claimed.isdigit() and len(claimed) < 10 and int(claimed) not in possible:
                self.warn(f"suite {suite.name!r} claims {claim}={claimed}, its cases show {max(shown)}")

    def warn(self, warning: str) -> None:
        """Note a contradiction, unless there are many already."""
        if len(self.warnings) < self.limit.warnings:
            self.warnings.append(warning)


def _duration(text: str) -> float:
    try:
        return limits.seconds(float(text.replace(",", "")))
    except ValueError:
        return 0.0
