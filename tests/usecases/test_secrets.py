"""Secrets from the runner to the machine: they get there, for whom they are meant, and come back nowhere."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from accel_ci import plans
from accel_ci.adapters import sealed_box
from accel_ci.domain import sealed
from accel_ci.domain.errors import CloudError, ConfigurationError
from accel_ci.domain.machine import Machine
from accel_ci.domain.sealed import Sealed
from accel_ci.domain.verdict import Verdict
from accel_ci.domain.workload import Package, Unpacked
from accel_ci.formats import plain_text
from accel_ci.operations import follow
from accel_ci.plans import Secrets
from accel_ci.usecases import provision, report, run_remote
from tests.fakes.remote import FakeRemote, Script
from tests.usecases import worlds
from tests.usecases.worlds import HERE, KEY, WORK, Fakes

SECRET = "hunter2-and-much-more"
PRIVATE = sealed_box.new_private_key()
NOW = 1_800_000_000.0


def open_(box: str) -> bytes:
    """With the repository's key."""
    return sealed_box.open_box(box, PRIVATE)


def box(**changes: object) -> str:
    """What `accel-ci secrets encrypt` prints for this repository."""
    inside = Sealed(repository_id=HERE.repository_id, name="TOKEN", value=SECRET).model_copy(update=changes)
    return sealed.MARK + sealed_box.seal(inside.model_dump_json().encode(), sealed_box.public_key(PRIVATE))


def handed(given: dict[str, str], *, trust: str = "trusted", repository_id: int = HERE.repository_id) -> Secrets:
    """What this run hands over."""
    record = worlds.record()
    record.identity.trust = trust
    return plans.secrets(replace(HERE, repository_id=repository_id), record, given, now=NOW, open_=open_)


def never(box: str) -> bytes:
    """A key that must not be used."""
    raise AssertionError("opened")


def test_a_sealed_value_and_a_plain_one() -> None:
    """Both reach the tests under their names."""
    assert handed({"TOKEN": box(), "OTHER": "in the clear"}).values == {"TOKEN": SECRET, "OTHER": "in the clear"}


@pytest.mark.parametrize("text", [box(), SECRET])
def test_a_stranger_gets_nothing(text: str) -> None:
    """For a fork's commit nothing is handed over, no box is even opened, and the names of what stays are told."""
    record = worlds.record()
    record.identity.trust = "fork"
    kept = plans.secrets(HERE, record, {"TOKEN": text}, now=NOW, open_=never)
    assert kept.values == {} and kept.kept_back == "TOKEN: not handed over, this is a stranger's commit"


def test_the_seeds_attack() -> None:
    """A box that was copied out of a public workflow is of no use in another repository, though its key is the same."""
    assert handed({"TOKEN": box()}).values == {"TOKEN": SECRET}
    with pytest.raises(ConfigurationError) as error:
        handed({"TOKEN": box()}, repository_id=666)
    assert "sealed for another repository" in str(error.value.mistakes[0]) and SECRET not in str(error.value.mistakes)


def test_what_is_sealed_for_nights_stays_out_of_a_push() -> None:
    """The run goes on without it, and says so."""
    kept = handed({"TOKEN": box(contexts=("schedule",))})
    assert kept.values == {} and "TOKEN: not handed over, they were not sealed for push" in kept.kept_back


@pytest.mark.parametrize("name", ["1ST", "WITH-DASH", "ACCEL_CI_RESULTS", "accel_ci_key"])
def test_names_that_tests_cannot_have(name: str) -> None:
    """What is no variable, or one of ours."""
    with pytest.raises(ConfigurationError) as error:
        handed({name: SECRET})
    assert str(error.value.mistakes[0]).startswith(f"{name}: is not a name that tests can have (letters")


def test_a_secret_that_cannot_be_hidden_is_refused() -> None:
    """Hiding `yes` would hide every yes; its name is told, it is not."""
    with pytest.raises(ConfigurationError) as error:
        handed({"TOKEN": "hush"})
    assert "shorter than 6 characters" in str(error.value.mistakes[0]) and "hush" not in str(error.value.mistakes[0])


@pytest.mark.parametrize("value", ["caf\udce9-secret", "zero\0byte-secret"])
def test_what_no_variable_can_hold_is_refused(value: str) -> None:
    """Bytes that are no UTF-8, and zero bytes: told by name instead of a crash on the way."""
    with pytest.raises(ConfigurationError) as error:
        handed({"TOKEN": value})
    assert "no UTF-8" in str(error.value.mistakes[0]) and "secret" not in str(error.value.mistakes[0])


def test_a_representation_shows_none() -> None:
    """Neither what is handed over nor work and phase do, so that no traceback can."""
    work = replace(WORK, secrets={"TOKEN": SECRET})
    assert SECRET not in repr(work) + repr(handed({"TOKEN": SECRET}))


def finished(output: bytes) -> Fakes:
    """A run on two workers whose commands print this; both phases get the secret."""
    fakes = Fakes({"setup": Script(output=output), "run": Script(output=output, exit_code=1)})
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order(workers=2))
    record = run_remote.run_remote(fakes.world, replace(WORK, secrets={"TOKEN": SECRET}), slot="")
    assert record.verdict is Verdict.FAILED
    report.report(fakes.world, record)
    return fakes


def sinks(fakes: Fakes) -> str:
    """Everything that people or later steps could see."""
    kept = b"\n".join([*fakes.files.documents.values(), *fakes.history.documents.values()])
    return fakes.job.text + "\n".join(fakes.job.summaries) + str(fakes.job.outputs) + kept.decode("utf-8", "replace")


def test_both_phases_are_given_them() -> None:
    """Set-up may need a token for packages as much as the tests do."""
    fakes = finished(b"")
    started = [each.phase for each in fakes.remote.started.values()]
    assert {(phase.name, phase.secrets["TOKEN"]) for phase in started} == {("setup", SECRET), ("run", SECRET)}


@pytest.mark.parametrize("printed", [SECRET, base64.b64encode(SECRET.encode()).decode(), f'"{SECRET}"'])
def test_output_shows_none(printed: str) -> None:
    """Printed as it is or encoded, on a line of its own or in one: not in the log, the kept log, summary, page or record."""
    fakes = finished(f"token={printed};\n{printed}\nthe end\n".encode())
    seen = sinks(fakes)
    assert "the end" in seen and "token=" in seen and "***" in seen
    assert SECRET not in seen and base64.b64encode(SECRET.encode()).decode() not in seen


def test_the_kept_log_keeps_its_offsets() -> None:
    """Byte for byte as long as what was written, so that a broken connection is made again where it broke."""
    output = b"x" * 1000 + SECRET.encode() + b"y" * 1000
    fakes = Fakes({"run": Script(output=[output[:1010], output[1010:]], lose_after=1010)})
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    run_remote.run_remote(fakes.world, replace(WORK, secrets={"TOKEN": SECRET}), slot="")
    assert fakes.files.read(follow.log_name("", "run", 0)) == output.replace(SECRET.encode(), b"*" * len(SECRET))


def test_reports_show_none() -> None:
    """What a failing test says of a secret ends up in a comment: not the secret."""
    junit = (
        '<testsuite><testcase classname="t" name="test_login"><failure message="401 for '
        f'{SECRET}">assert "{SECRET}" == "other"</failure></testcase></testsuite>'
    )
    fakes = Fakes({"run": Script(exit_code=1)}, files={"results.xml": junit.encode()})
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    work = replace(WORK, secrets={"TOKEN": SECRET}, report_patterns=("results.xml",))
    record = run_remote.run_remote(fakes.world, work, slot="")
    report.report(fakes.world, record)
    assert "test_login" in sinks(fakes) and "401 for ***" in record.model_dump_json()
    assert SECRET not in record.model_dump_json() + fakes.job.text


XML = '<testsuite name="{name}" tests="9"><testcase name="t"><failure>{text}</failure></testcase></testsuite>'


@pytest.mark.parametrize(
    "report_",
    [
        b"\xff\xfe" + XML.format(name="x", text=SECRET).encode("utf-16-le"),
        XML.format(name="x", text="".join(f"&#{ord(each)};" for each in SECRET)).encode(),
        XML.format(name="x", text=f"{SECRET[:9]}<![CDATA[{SECRET[9:]}]]>").encode(),
        XML.format(name="x", text=f"{SECRET[:9]}\u200d{SECRET[9:]}").encode(),
        XML.format(name=f"{SECRET[:9]}&#65279;{SECRET[9:]}", text="").encode(),
    ],
    ids=["utf-16", "references", "cdata", "joiner", "in a warning"],
)
def test_reports_show_none_however_they_write_it(report_: bytes) -> None:
    """Encodings, character references, sections and invisible characters are undone by reading: the secret stays hidden."""
    fakes = Fakes({"run": Script(exit_code=1)}, files={"results.xml": report_})
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    work = replace(WORK, secrets={"TOKEN": SECRET}, report_patterns=("results.xml",))
    record = run_remote.run_remote(fakes.world, work, slot="")
    report.report(fakes.world, record)
    assert record.tests is not None and sum(record.tests.counts.values()) == 1
    shown = plain_text.clean("\n".join([record.model_dump_json(), fakes.job.text, *fakes.job.summaries]).encode())
    assert SECRET not in shown


class Refusing(FakeRemote):
    """A machine that answers in words of its own."""

    def put(self, machine: Machine, package: Package) -> Unpacked:
        """Refused."""
        raise CloudError(f"worker w0 refuses: {SECRET}")


def test_errors_that_quote_the_machine_show_none() -> None:
    """What a machine answers to a call of ours, or last says on a broken connection, may be the tests' own words."""
    fakes = Fakes({"run": Script(output=b"x", lose_after=1, last_words=f"Permission denied: {SECRET}")})
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    work = replace(WORK, secrets={"TOKEN": SECRET})
    run_remote.run_remote(fakes.world, work, slot="")
    assert "Permission denied: ***" in fakes.job.text and SECRET not in fakes.job.text
    broken = Fakes()
    broken.remote = Refusing(clock=broken.clock)
    provision.provision(broken.world, worlds.record(), KEY, order=worlds.order())
    with pytest.raises(CloudError):
        run_remote.run_remote(broken.world, work, slot="")
    document = broken.files.read("main/record.json")
    assert document is not None and b"refuses: ***" in document and SECRET.encode() not in document


def test_names_of_reports_show_none() -> None:
    """A file may be named after what its test knows: the record names the report without it, and so does a refusal."""
    junit = f'<testsuite><testcase name="test_login"/><!-- {SECRET} --></testsuite>'.encode()
    fakes = Fakes({"run": Script()}, files={f"{SECRET}.xml": junit, f"big-{SECRET}.xml": b"x" * 1000})
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    work = replace(WORK, secrets={"TOKEN": SECRET}, report_patterns=("*.xml",))
    record = run_remote.run_remote(fakes.world, work, slot="")
    report.report(fakes.world, record)
    assert record.tests is not None and SECRET not in sinks(fakes).replace(f"<!-- {SECRET} -->", "")


def test_what_a_machine_says_of_an_end_shows_none() -> None:
    """An end record that the tests wrote themselves tells no secret, and is no pass."""
    fakes = Fakes({"run": Script(detail=f"killed: {SECRET}", exit_code=1)})
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    record = run_remote.run_remote(fakes.world, replace(WORK, secrets={"TOKEN": SECRET}), slot="")
    report.report(fakes.world, record)
    assert record.phases[-1].workers[0].detail == "killed: ***" and SECRET not in sinks(fakes)
