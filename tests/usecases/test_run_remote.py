"""run-remote: the verdict is true, whatever the connection and the output do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from accel_ci.domain import errors
from accel_ci.domain.record import RunRecord
from accel_ci.domain.verdict import EndRecord, Reason, Verdict
from accel_ci.domain.workload import Work
from accel_ci.operations import follow, records
from accel_ci.usecases import provision, run_remote
from tests.fakes.credentials import FakeCredentials
from tests.fakes.files import FakeFiles
from tests.fakes.machines import Script as Zone
from tests.fakes.remote import Script
from tests.usecases import worlds
from tests.usecases.worlds import KEY, WORK, Fakes


def _run(fakes: Fakes, work: Work = WORK, *, workers: int = 1, ttl_s: float = 3600.0) -> RunRecord:
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order(workers=workers, ttl_s=ttl_s))
    return run_remote.run_remote(fakes.world, work, slot="")


def _log(fakes: Fakes, phase: str = "run", worker: int = 0) -> bytes:
    return fakes.files.read(follow.log_name("", phase, worker)) or b""


def test_exit_code_zero_passes() -> None:
    """Both phases ran in order, the verdict is passed and says why."""
    record = _run(Fakes({"setup": Script(output=b"ok\n"), "run": Script(output=b"1 passed\n")}))
    assert [(each.name, each.verdict) for each in record.phases] == [("setup", Verdict.PASSED), ("run", Verdict.PASSED)]
    assert (record.verdict, record.exit_code) == (Verdict.PASSED, 0)
    assert record.reason == "run ended with exit code 0"


def test_the_words_ok_and_passed_mean_nothing() -> None:
    """Output is never searched: exit code 1 with OK in it is failed, exit code 0 with FAILED in it is passed."""
    assert _run(Fakes({"run": Script(output=b"OK\ntest_lookOKup\n", exit_code=1)})).verdict is Verdict.FAILED
    assert _run(Fakes({"run": Script(output=b"FAILED\n", exit_code=0)})).verdict is Verdict.PASSED


def test_the_raw_exit_code_is_kept() -> None:
    """The command's own exit code stands in the record."""
    assert _run(Fakes({"run": Script(exit_code=42)})).exit_code == 42


def test_a_failing_setup_ends_it() -> None:
    """Tests do not run after a failed set-up, and the reason names the set-up."""
    fakes = Fakes({"setup": Script(exit_code=2)})
    record = _run(fakes)
    assert record.verdict is Verdict.FAILED and "setup" in record.reason
    assert ("start", "run") not in fakes.remote.calls


def test_no_setup_is_no_phase() -> None:
    """An empty set-up is left out."""
    assert [each.name for each in _run(Fakes(), replace(WORK, setup="")).phases] == ["run"]


def test_a_missing_end_record_is_never_a_pass() -> None:
    """A machine that ends without a record gives infra-error."""
    assert _run(Fakes({"run": Script(no_record=True)})).verdict is Verdict.INFRA_ERROR


def test_a_forged_end_record_is_never_a_pass() -> None:
    """A record with exit code 0 but another nonce is no proof."""
    forged = EndRecord(key=KEY.name, nonce="guessed", phase="run", reason=Reason.EXITED, exit_code=0)
    assert _run(Fakes({"run": Script(record=forged)})).verdict is Verdict.INFRA_ERROR


def test_the_time_limit_is_its_own_verdict() -> None:
    """A command that does not end is timed-out."""
    assert _run(Fakes({"run": Script(never_ends=True)}), replace(WORK, limit_s=30)).verdict is Verdict.TIMED_OUT


def test_a_broken_connection_is_made_again_where_it_broke() -> None:
    """The log is byte-identical, and the record counts the break."""
    output = bytes(range(256)) * 40
    fakes = Fakes({"run": Script(output=output, lose_after=1000)})
    record = _run(fakes)
    assert (_log(fakes), record.verdict, record.phases[1].reattached) == (output, Verdict.PASSED, 1)
    assert ("attach", "run", {0: 1000}) in fakes.remote.calls


def test_a_preempted_machine_is_not_a_failure() -> None:
    """When the cloud took the machine away, the verdict is preempted, not failed."""
    fakes = Fakes({"run": Script(output=b"x" * 10, dies_after=5)}, zones={"a": Zone(interrupted_after_s=1)})
    fakes.remote.scripts["setup"] = Script(lasts_s=2)
    assert _run(fakes).verdict is Verdict.PREEMPTED


def test_a_machine_that_is_not_reachable_any_more_is_given_up() -> None:
    """Without any sign of life for three minutes the run is an infra-error, long before its time limit."""
    fakes = Fakes({"run": Script(output=b"x" * 10, dies_after=5)})
    began = fakes.clock.now()
    record = _run(fakes)
    assert record.verdict is Verdict.INFRA_ERROR and "not reachable" in record.phases[1].workers[0].detail
    assert follow.UNREACHABLE_LIMIT_S <= fakes.clock.now() - began < WORK.limit_s


def test_the_first_failing_worker_fails_the_run_and_ends_the_others() -> None:
    """One worker exits 3 while its sibling would go on: the sibling is ended politely, the verdict is failed."""
    fakes = Fakes({"run": Script(workers={0: Script(never_ends=True), 1: Script(exit_code=3)})})
    record = _run(fakes, workers=2)
    assert (record.verdict, record.exit_code) == (Verdict.FAILED, 3)
    assert [end.verdict for end in record.phases[1].workers] == [Verdict.CANCELLED, Verdict.FAILED]
    assert "w1" in record.reason


def test_the_first_failing_worker_is_named_with_its_last_lines() -> None:
    """After all output of a slice comes who failed first, and how that worker's output ended; one worker needs no such."""
    output = b"".join(b"line %d\n" % number for number in range(30)) + b"::error::boom"
    failing = Script(exit_code=3, output=output)
    fakes = Fakes({"run": Script(workers={0: Script(output=b"noise\n", never_ends=True), 1: failing})})
    _run(fakes, workers=2)
    logged = fakes.job.of_kind("log")
    begun = next(index for index, line in enumerate(logged) if "w1 failed first" in line)
    shown = logged[begun + 1 : begun + 1 + follow.LAST_LINES]
    assert shown[0] == "[w1] line 21" and "boom" in shown[-1] and not shown[-1].startswith("::")
    alone = Fakes({"run": failing})
    _run(alone)
    assert not any("failed first" in line for line in alone.job.of_kind("log"))


def test_workers_have_their_own_logs_and_prefixes() -> None:
    """Each worker's bytes are kept apart; what people see is prefixed."""
    fakes = Fakes({"run": Script(workers={0: Script(output=b"zero\n"), 1: Script(output=b"one\n")})})
    _run(fakes, workers=2)
    assert (_log(fakes), _log(fakes, worker=1)) == (b"zero\n", b"one\n")
    assert "[w1] one\n" in "".join(fakes.job.of_kind("stream"))


def test_what_people_see_cannot_command_the_runner() -> None:
    """Remote output passes the sanitizer; the log keeps its bytes."""
    fakes = Fakes({"run": Script(output=b"::set-output name=x::y\n")})
    _run(fakes)
    assert _log(fakes) == b"::set-output name=x::y\n"
    assert not any(line.lstrip().startswith("::") for line in "".join(fakes.job.of_kind("stream")).splitlines())


def test_cancelling_ends_the_command_politely() -> None:
    """A signal stops the command, waits for its end record, and leaves as a cancellation."""
    fakes = Fakes({"run": Script(output=b"begun\n", never_ends=True)})
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    fakes.clock.cancel_at = fakes.clock.now() + 50
    with pytest.raises(errors.CancelledError):
        run_remote.run_remote(fakes.world, WORK, slot="")
    assert ("stop", "run", (0,)) in fakes.remote.calls
    assert records.load(fakes.files, "").verdict is Verdict.CANCELLED


class _Torn(FakeFiles):
    """A signal comes while a document is added to: before it is, or after, when nobody has heard of it yet."""

    def __init__(self, *, after: int, written: bool) -> None:
        super().__init__()
        self._left, self._written = after, written

    def append(self, name: str, content: bytes) -> None:
        """Torn once."""
        self._left -= "/log/run" in name
        if self._left or self._written:
            super().append(name, content)
        if not self._left:
            self._left = -1
            raise errors.CancelledError("SIGINT asked us to stop")


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("secret", ["", "a-secret-of-ours"])
def test_a_signal_while_output_is_kept_tears_no_log(secret: str, written: bool) -> None:
    """The log is the command's bytes, each once, wherever the signal struck; secrets in them stay hidden."""
    data = b"".join(f"{number} {secret or 'plain-text'} {number}\n".encode() for number in range(400))
    fakes = Fakes({"run": Script(output=[data[at : at + 999] for at in range(0, len(data), 999)])})
    fakes.files = _Torn(after=4, written=written)
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    with pytest.raises(errors.CancelledError):
        run_remote.run_remote(fakes.world, replace(WORK, secrets={"S": secret} if secret else {}), slot="")
    assert _log(fakes) == (data.replace(secret.encode(), b"*" * len(secret)) if secret else data)


def test_calling_again_goes_on_where_a_killed_client_stopped() -> None:
    """A second client attaches at the first one's offset with the same nonce, and starts nothing twice."""
    fakes = Fakes({"run": Script(output=[b"first ", b"second"], lasts_s=100)})
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    fakes.clock.cancel_at = None
    _killed_in_the_middle(fakes)
    record = run_remote.run_remote(fakes.world, WORK, slot="")
    assert (record.verdict, _log(fakes)) == (Verdict.PASSED, b"first second")
    assert len({started.phase.nonce for started in fakes.remote.started.values()}) == 2  # setup's and run's


def _killed_in_the_middle(fakes: Fakes) -> None:
    class Killed(BaseException):
        pass

    def sleep(seconds: float) -> None:
        raise Killed

    real, fakes.clock.sleep = fakes.clock.sleep, sleep  # type: ignore[method-assign]
    with pytest.raises(Killed):
        run_remote.run_remote(fakes.world, WORK, slot="")
    fakes.clock.sleep = real  # type: ignore[method-assign]


def test_what_ran_is_not_run_again() -> None:
    """A finished run is only told again."""
    fakes = Fakes({"run": Script(exit_code=1)})
    _run(fakes)
    starts = fakes.remote.calls.count(("start", "run"))
    assert run_remote.run_remote(fakes.world, WORK, slot="").verdict is Verdict.FAILED
    assert fakes.remote.calls.count(("start", "run")) == starts == 1


JUNIT = b'<testsuite tests="2"><testcase name="a"/><testcase name="b"><failure>no</failure></testcase></testsuite>'


def test_reports_can_only_worsen_the_verdict() -> None:
    """Exit code 0 with a failed test in the named report is failed; exit code 1 with only passes stays failed."""
    work = replace(WORK, report_patterns=("junit.xml",))
    record = _run(Fakes(files={"junit.xml": JUNIT}), work)
    assert record.verdict is Verdict.FAILED and record.tests is not None
    assert record.tests.counts == {"passed": 1, "failed": 1}
    green = b'<testsuite><testcase name="a"/></testsuite>'
    assert _run(Fakes({"run": Script(exit_code=1)}, files={"junit.xml": green}), work).verdict is Verdict.FAILED


def test_a_named_report_that_is_not_there_fails() -> None:
    """Who names a report expects one."""
    assert _run(Fakes(), replace(WORK, report_patterns=("junit.xml",))).verdict is Verdict.FAILED


def test_zero_tests_fail_unless_allowed() -> None:
    """A report without any test is a failure by default."""
    empty = {"junit.xml": b"<testsuites/>"}
    work = replace(WORK, report_patterns=("junit.xml",))
    assert _run(Fakes(files=empty), work).verdict is Verdict.FAILED
    assert _run(Fakes(files=empty), replace(work, allow_no_tests=True)).verdict is Verdict.PASSED


def test_the_commit_is_sent_once() -> None:
    """The exact commit is packed and put on the machine before anything runs."""
    fakes = Fakes()
    _run(fakes)
    assert fakes.sources.packed == [WORK.source]
    kinds = [call[0] for call in fakes.remote.calls]
    assert kinds.index("prepare") < kinds.index("put") < kinds.index("start")


def test_an_unreachable_machine_is_an_infra_error() -> None:
    """A machine that nobody can reach ends as a cloud error with its verdict in the record."""
    fakes = Fakes(unreachable=(0,))
    with pytest.raises(errors.ConnectionLostError):
        _run(fakes)
    assert records.load(fakes.files, "").verdict is Verdict.INFRA_ERROR


def test_without_a_machine_it_says_what_is_missing() -> None:
    """Calling run-remote without provision is a configuration error."""
    with pytest.raises(errors.ConfigurationError, match="no machine was provisioned"):
        run_remote.run_remote(Fakes().world, WORK, slot="")


def test_pytest_without_our_results_is_wondered_at() -> None:
    """When pytest ran and told us nothing, people learn why the counts are missing."""
    fakes = Fakes()
    assert _run(fakes, replace(WORK, run="python -m pytest")).tests is None
    assert any("PYTHONPATH" in warning for warning in fakes.job.of_kind("warning"))


def test_what_cleanup_signs_in_with_is_kept_fresh() -> None:
    """A command that says nothing for eight hours: at its end credentials are as fresh as at its beginning."""
    fakes = Fakes({"run": Script(never_ends=True)})
    fakes.credentials = FakeCredentials(fakes.clock)
    record = _run(fakes, replace(WORK, limit_s=8 * 3600.0), ttl_s=9 * 3600.0)
    assert record.verdict is Verdict.TIMED_OUT and fakes.credentials.renewed >= 8
    assert fakes.credentials.expires_at - fakes.clock.now() >= 900


def test_a_sign_in_that_cannot_be_renewed_is_told_once() -> None:
    """The run goes on, its verdict is not touched, and the same trouble is one warning."""
    fakes = Fakes({"run": Script(never_ends=True)})
    fakes.credentials = FakeCredentials(fakes.clock)
    fakes.credentials.refused = "GitHub refuses"
    record = _run(fakes, replace(WORK, limit_s=8 * 3600.0), ttl_s=9 * 3600.0)
    told = [text for text in fakes.job.of_kind("warning") if "GitHub refuses" in text]
    assert record.verdict is Verdict.TIMED_OUT and len(told) == 1


@pytest.mark.parametrize(("trust", "runs"), [("fork", False), ("trusted", True)])
def test_where_the_test_user_can_become_root(trust: str, runs: bool) -> None:
    """A fork's code is not even sent to a machine that could not confine it; our own runs there, with a warning."""
    fakes = Fakes()
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    record, machine = records.load(fakes.files, ""), records.load_machine(fakes.files, "")
    record.identity = record.identity.model_copy(update={"trust": trust})
    records.save(fakes.files, record)
    records.save_machine(fakes.files, "", replace(machine, workers=(replace(machine.workers[0], unconfined=True),)))
    if runs:
        assert run_remote.run_remote(fakes.world, WORK, slot="").verdict is Verdict.PASSED
        assert "w0 could not take administrator rights" in fakes.job.of_kind("warning")[0]
    else:
        with pytest.raises(errors.BootError, match="fork"):
            run_remote.run_remote(fakes.world, WORK, slot="")
        assert records.load(fakes.files, "").verdict is Verdict.BOOT_FAILED
        assert "put" not in [call[0] for call in fakes.remote.calls]


@pytest.mark.parametrize(
    "change", [{"run": "exit 1"}, {"setup": "false"}, {"environment": {"FAST": "1"}}, {"directory": "b"}]
)
def test_other_commands_never_take_over_a_verdict(change: dict[str, Any]) -> None:
    """A second step with other commands on the same machine is refused: the first one's pass is not its own."""
    fakes = Fakes()
    assert _run(fakes).verdict is Verdict.PASSED
    started = [call for call in fakes.remote.calls if call[0] == "start"]
    with pytest.raises(errors.ConfigurationError, match="were not run"):
        run_remote.run_remote(fakes.world, replace(WORK, **change), slot="")
    assert [call for call in fakes.remote.calls if call[0] == "start"] == started
    assert records.load(fakes.files, "").verdict is Verdict.INFRA_ERROR


def test_other_commands_never_hide_a_failure() -> None:
    """The first commands failed: that stays the verdict, whatever is asked for after them."""
    fakes = Fakes({"run": Script(exit_code=1)})
    assert _run(fakes).verdict is Verdict.FAILED
    with pytest.raises(errors.ConfigurationError):
        run_remote.run_remote(fakes.world, replace(WORK, run="true"), slot="")
    assert records.load(fakes.files, "").verdict is Verdict.FAILED
