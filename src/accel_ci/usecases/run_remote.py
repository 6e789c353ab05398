"""run-remote: set up and run the tests on the leased machine, and judge them."""

from __future__ import annotations

from accel_ci.domain import errors, judgement, results, verdict
from accel_ci.domain.machine import Machine
from accel_ci.domain.record import RunRecord
from accel_ci.domain.verdict import Verdict
from accel_ci.domain.workload import Phase, Work
from accel_ci.formats import output, redaction
from accel_ci.operations import follow, reach, records, reports, sending
from accel_ci.ports.world import World


def run_remote(world: World, work: Work, *, slot: str) -> RunRecord:
    """The record with its phases, tests and verdict. What ran already is not run again: calling twice goes on.

    ConfigurationError when other commands ran there before: what they said is no verdict on these.
    """
    record, machine = records.load(world.files, slot), records.load_machine(world.files, slot)
    _same(world, record, work)
    record.target.setup, record.target.run = work.setup, work.run
    try:
        sending.send(world, machine, work, record=record)
        if record.verdict is not Verdict.CONFLICT:
            _phases(world, machine, work, record=record)
            _conclude(world, machine, work, record=record)
    except errors.AccelError as error:
        # It may quote what the machine answered, and be shown in a comment.
        hidden = redaction.Redactor(value.encode() for value in work.secrets.values()).hidden(str(error))
        _judge(record, verdict.of_error(error), hidden)
        raise
    finally:
        records.save(world.files, record)
    return record


def _same(world: World, record: RunRecord, work: Work) -> None:
    try:
        records.same_work(world.files, record.identity.slot, work)
    except errors.ConfigurationError as error:
        # What was asked for did not run: the check must not be green for it, nor may it hide a failure.
        if record.verdict in (None, Verdict.PASSED):
            _judge(record, Verdict.INFRA_ERROR, str(error))
            records.save(world.files, record)
        raise


def _phases(world: World, machine: Machine, work: Work, *, record: RunRecord) -> None:
    done = {facts.name: facts for facts in record.phases}
    for name, command, limit_s in (("setup", work.setup, work.setup_limit_s), ("run", work.run, work.limit_s)):
        if command and name not in done:
            phase = _phase(world, work, record=record, name=name, command=command, limit_s=limit_s)
            with world.job.group(f"{name}: {output.one_line(command, 120)}"):
                done[name] = follow.phase(world, machine, phase, slot=record.identity.slot)
            record.phases.append(done[name])
            records.save(world.files, record)
        if name in done and done[name].verdict is not Verdict.PASSED:
            return


def _phase(world: World, work: Work, *, record: RunRecord, name: str, command: str, limit_s: float) -> Phase:
    assert record.machine is not None
    return Phase(
        name=name,
        command=command,
        key=record.identity.name,
        nonce=_nonce(world, slot=record.identity.slot, phase=name),
        limit_s=limit_s,
        lease_expires_at=record.machine.expires_at,
        environment=work.environment,
        secrets=work.secrets,
        directory=work.directory,
    )


def _nonce(world: World, *, slot: str, phase: str) -> str:
    """The secret that binds the phase's end record to us; kept before the start, so that a later client knows it too."""
    place = records.place(slot, f"nonce-{phase}")
    known = world.files.read(place)
    if known is None:
        known = world.entropy.token().encode()
        world.files.write(place, known)
    return known.decode()


def _conclude(world: World, machine: Machine, work: Work, *, record: RunRecord) -> None:
    last = record.phases[-1]
    record.exit_code = next((end.exit_code for end in last.workers if end.verdict is last.verdict), None)
    given = last.verdict
    reason = judgement.sentence(last)
    if last.name == "run" and given is not Verdict.PREEMPTED:  # nobody is there any more to ask for reports
        given, reason = _with_results(world, machine, work, record=record, given=given, reason=reason)
    _judge(record, given, reason)
    world.job.log(f"verdict: {given.value}: {reason}")


def _with_results(
    world: World, machine: Machine, work: Work, *, record: RunRecord, given: Verdict, reason: str
) -> tuple[Verdict, str]:
    """The verdict after the test reports had their say: they can only make it worse."""
    try:
        patterns, secrets = work.report_patterns, work.secrets.values()
        found = reach.retried(
            world,
            lambda: reports.fetched(world, machine, patterns, slot=record.identity.slot, secrets=secrets),
            what="get",
        )
    except errors.CloudError as error:
        redactor = redaction.Redactor(value.encode() for value in work.secrets.values())
        unknown = redactor.hidden(f"the test reports could not be fetched: {error}")
        # A pass that no report could contradict is not yet true.
        return (Verdict.INFRA_ERROR, unknown) if given is Verdict.PASSED else (given, reason)
    if not found and not work.report_patterns:
        _wonder(world, work)
        return given, reason
    merged = results.merge(found)
    record.tests = judgement.facts(merged)
    return judgement.worsened(
        given, merged, reason=reason, expected=bool(work.report_patterns), allow_no_tests=work.allow_no_tests
    )


def _wonder(world: World, work: Work) -> None:
    """Say what most likely kept our pytest plugin away, where pytest seems to have run without it."""
    if "pytest" in work.run:
        world.job.warning(
            "no test results",
            "the verdict is the exit code's alone: our pytest plugin wrote nothing. Where the command sets PYTHONPATH,"
            " let it keep the old value (PYTHONPATH=src:$PYTHONPATH), or name JUnit files in `test-reports`.",
        )


def _judge(record: RunRecord, given: Verdict, reason: str) -> None:
    record.verdict, record.reason = given, reason
