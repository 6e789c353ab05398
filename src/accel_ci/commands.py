"""One function per verb: texts in, exit code out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TypeVar

from accel_ci import journey, plans, wiring
from accel_ci.adapters import one_client, registry, sealed_box, typed_value, workflow_files
from accel_ci.adapters.stop_signals import StopSignals
from accel_ci.doctor import examine, findings
from accel_ci.domain import accelerators, context, errors, grant, lease, verdict
from accel_ci.domain.context import Context
from accel_ci.domain.errors import Mistake
from accel_ci.domain.grant import Grant
from accel_ci.domain.lease import Owner
from accel_ci.domain.record import CleanupFacts, RunRecord
from accel_ci.domain.verdict import OnInfrastructure, Verdict
from accel_ci.inputs import by_hand, models, parsing
from accel_ci.inputs.by_hand import KeepInputs, ListInputs
from accel_ci.inputs.declaration import Inputs
from accel_ci.inputs.diagnosis import DoctorInputs
from accel_ci.inputs.models import CleanupInputs, ProvisionInputs, RunInputs
from accel_ci.inputs.sealing import SecretsInputs
from accel_ci.operations import publish, records
from accel_ci.plans import Secrets
from accel_ci.ports.job import Job
from accel_ci.ports.world import World
from accel_ci.render import catalogue, outputs, sealing, terminal
from accel_ci.usecases import cleanup, collect, gate, keep, provision, reap_queued, report, run_remote, ssh
from accel_ci.wiring import Cloud

COLLECT_S = 60.0
KEY_FILE = "accel-ci.key"
M = TypeVar("M", bound=Inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a verb is called with: texts by input name, the environment, the job to talk to, and who may stop us.

    `mistakes` are those of the words and documents that the texts came in.
    """

    given: Mapping[str, str]
    environ: Mapping[str, str]
    job: Job
    stop: StopSignals
    mistakes: Sequence[Mistake] = ()

    def read(self, model: type[M], *, found: Sequence[Mistake] = ()) -> M:
        """The verb's inputs; ConfigurationError with all that is wrong and can be known without a call, all at once."""
        return parsing.parse(model, self.given, found=(*self.mistakes, *found), look=registry.mistakes)

    def tell(self, values: Mapping[str, str]) -> None:
        """Hand these values to later steps."""
        for name, value in values.items():
            self.job.output(name, value)


def gate_(call: Call) -> int:
    """Decide on the event that started the run."""
    _called(call)
    inputs, here = call.read(models.GateInputs), wiring.here(call.environ)
    with wiring.world(call.environ, here, talk=call.job) as world:
        event = wiring.event(call.environ)
        gate.gate(world, here, event=event, policy=plans.policy(inputs), check_name=inputs.check)
    return 0


def _called(call: Call) -> None:
    """In a called workflow gate comes first: what its later jobs are given is judged before anything costs."""
    called = call.environ.get(context.CALLED, "")
    if called.startswith("{"):
        parsing.ahead(models.JourneyInputs, parsing.from_json(called)[0], look=registry.mistakes)


def provision_(call: Call) -> int:
    """Lease a machine; the steps that follow find it."""
    inputs, here = call.read(models.ProvisionInputs), wiring.here(call.environ)
    with wiring.world(
        call.environ,
        here,
        backend=inputs.backend,
        accelerator=inputs.accelerator,
        cloud=_cloud(inputs),
        talk=call.job,
    ) as world:
        # Before anything is leased: a killed client must leave what cleanup needs to sign in again.
        wiring.place(call.environ).remember(here, given=call.given)
        permission = grant.checked(inputs.grant, here, now=world.clock.now())
        record = plans.begun(here, inputs, permission, now=world.clock.now())
        record = provision.provision(world, record, here.key(slot=inputs.slot), order=plans.order(inputs, record))
    call.tell(outputs.provision(record))
    return 0


def run_remote_(call: Call) -> int:
    """Run the tests on the leased machine; the exit code is the verdict's."""
    inputs, here = call.read(models.RunRemoteInputs, found=_secret_mistakes(call)), wiring.continued(call.environ)
    with wiring.world(call.environ, here, slot=inputs.slot, talk=call.job) as world:
        known = records.load(world.files, inputs.slot)
        if known.machine is None and known.verdict is not None and known.verdict.is_infrastructure:
            # Only where the provision step has `continue-on-error`, so that `on-infrastructure` can decide.
            call.job.warning("run-remote", f"nothing was run, there is no machine: {known.reason}")
            call.tell(outputs.run_remote(known))
            return _code(known, inputs.on_infrastructure)
        source = plans.source(here, known, wanted=inputs.source, directory=wiring.directory(call.environ))
        work = replace(inputs.work(source), secrets=_secrets(call, world, here, record=known).values)
        record = run_remote.run_remote(world, work, slot=inputs.slot)
    call.tell(outputs.run_remote(record))
    return _code(record, inputs.on_infrastructure)


def _secrets(call: Call, world: World, here: Context, *, record: RunRecord) -> Secrets:
    """What the tests are handed; from now on no log shows it, in this process and in whichever goes on with the run."""
    handed = _opened(call, world, here, record=record)
    records.same_secrets(world.files, record.identity.slot, handed.values)
    for value in handed.values.values():
        call.job.mask(value)  # GitHub hides what it is told from here on, in later steps too
    if handed.kept_back:
        call.job.notice("secrets", handed.kept_back)
    return handed


def _secret_mistakes(call: Call) -> list[Mistake]:
    return plans.unfit(wiring.handed(call.environ))


def _opened(call: Call, world: World, here: Context, *, record: RunRecord) -> Secrets:
    # For a stranger's commit not even the file is read: whatever goes wrong there would be seen in their log.
    trusted = record.identity.trust == grant.Trust.TRUSTED.value
    given, open_ = wiring.secrets(call.environ, here, read_file=trusted), wiring.opener(call.environ)
    return plans.secrets(here, record, given, now=world.clock.now(), open_=open_)


def collect_(call: Call) -> int:
    """Bring files back from the leased machine."""
    inputs, here = call.read(models.CollectInputs), wiring.continued(call.environ)
    with wiring.world(call.environ, here, slot=inputs.slot, talk=call.job) as world:
        known = records.load(world.files, inputs.slot)
        # Said first: of a machine that does not answer any more there is still the log to keep.
        call.tell(outputs.upload(known, **_places(world, inputs.slot)))
        secrets = _opened(call, world, here, record=known).values.values()
        with _hurried(call):
            record = collect.collect(world, inputs.paths, caps=inputs.caps(), slot=inputs.slot, secrets=secrets)
        call.tell(outputs.collect(record))
    return 0


def _hurried(call: Call) -> AbstractContextManager[None]:
    """In a cancelled job, which has 285 s for all that is left to do, what is inside keeps to its part of them."""
    if not _cancelled(call):
        return nullcontext()
    return call.stop.within(
        COLLECT_S, why=f"the job was cancelled, and {COLLECT_S:.0f} s are over: cleanup comes first"
    )


def _cancelled(call: Call) -> bool:
    return call.environ.get("ACCEL_CI_JOB_STATUS") == "cancelled"


def _places(world: World, slot: str) -> dict[str, str]:
    names = {"directory": "artifacts", "log": "log", "document": "record.json"}
    return {each: world.files.path(records.place(slot, name)) for each, name in names.items()}


def cleanup_(call: Call) -> int:
    """End machines and prove it."""
    inputs, here = call.read(CleanupInputs), wiring.continued(call.environ)
    # What no backend has was never leased: a slip in it must not keep the search from the rest.
    leased = inputs.leased if accelerators.backends_of(inputs.leased) else ""
    if not leased:
        _tell_unseen(call, here, inputs, loud=inputs.mode == "sweep")
    cloud = _cloud(inputs)
    with wiring.world(
        call.environ, here, backend=inputs.backend, accelerator=leased, cloud=cloud, talk=call.job
    ) as world:
        limit_s = cleanup.HURRIED_LIMIT_S if _cancelled(call) else cleanup.LIMIT_S
        call.tell(outputs.cleanup(_ended(world, here, inputs, limit_s=limit_s)))
    return 0


def _tell_unseen(call: Call, here: Context, inputs: CleanupInputs | ListInputs, *, loud: bool = False) -> None:
    """Say which clouds are not looked into: "no machine" must not be read as the proof of more than was seen."""
    left_out = wiring.unseen(call.environ, here, backend=inputs.backend, cloud=_cloud(inputs))
    if left_out:
        text = f"not looked through, for nothing here signs in there, or its library is not here: {', '.join(left_out)}"
        # A sweeper that sees no cloud would be green for ever.
        call.job.warning(inputs.verb, text) if loud else call.job.log(text)


def _ended(world: World, here: Context, inputs: CleanupInputs, *, limit_s: float) -> CleanupFacts:
    if inputs.mode == "sweep":
        return cleanup.sweep(
            world, here.repository_id, grace_s=float(inputs.grace), dry_run=inputs.dry_run, url=here.run_url
        )
    jobs, key = tuple(map(here.job_of, inputs.for_)), here.key()
    owner = lease.of_run(key, jobs=jobs) if jobs or inputs.mode == "run" else lease.of_job(key)
    # A signal does not stop it: whoever sent one wants the machine gone all the more.
    return journey.to_the_end(
        lambda: cleanup.cleanup(world, key, owner=owner, jobs=jobs, dry_run=inputs.dry_run, limit_s=limit_s)
    )


def _cloud(inputs: ProvisionInputs | CleanupInputs | KeepInputs | ListInputs) -> Cloud:
    return Cloud(
        project=inputs.project,
        provider=inputs.workload_identity_provider,
        service_account=inputs.service_account,
    )


def report_(call: Call) -> int:
    """Finish the record and show it."""
    inputs, here = call.read(models.ReportInputs), wiring.continued(call.environ)
    with wiring.world(call.environ, here, slot=inputs.slot, talk=call.job) as world:
        now, known = world.clock.now(), records.find(world.files, inputs.slot)
        permission = grant.checked(inputs.grant, here, now=now) if inputs.grant else None
        if known is None and _reported(world, here, sha=plans.commit(here, permission), name=inputs.check):
            call.job.log("the job that tested has reported: there is nothing to add")
            return 0
        record = report.report(
            world,
            known or plans.nothing(here, permission, slot=inputs.slot, now=now),
            cancelled=_cancelled(call),
            publication=plans.publication(
                here, name=inputs.check, failure_issue=inputs.failure_issue, sweeper=inputs.sweeper
            ),
        )
        _show(call, world, record, html=inputs.html)
        call.tell(outputs.report(record, **_documents(world, record)))
    return 0


def _reported(world: World, here: Context, *, sha: str, name: str) -> bool:
    """True when another job of the run ended the check: then this one is the second line, and was not needed."""
    if world.github is None or not sha:
        return False
    try:
        # Asked, and not remembered: this is another runner than the one that tested.
        return publish.concluded(world.github, sha=sha, run_id=here.run_id, attempt=here.attempt, name=name)
    except errors.CloudError:
        return False


def reap_queued_(call: Call) -> int:
    """Cancel runs that wait too long."""
    inputs, here = call.read(models.ReapQueuedInputs), wiring.here(call.environ)
    with wiring.world(call.environ, here, talk=call.job) as world:
        cancelled = reap_queued.reap_queued(
            world, here, inputs.workflows, limit_s=float(inputs.limit), dry_run=inputs.dry_run
        )
    call.tell(outputs.reap_queued(cancelled))
    return 0


def run_(call: Call) -> int:
    """The whole journey."""
    inputs, here = call.read(RunInputs, found=_secret_mistakes(call)), wiring.here(call.environ)
    with wiring.world(
        call.environ,
        here,
        backend=inputs.backend,
        accelerator=inputs.accelerator,
        cloud=_cloud(inputs.provision()),
        talk=call.job,
    ) as world:
        permission = _gate(call, world, here, inputs=inputs) if here.on_github else None
        if here.on_github and permission is None:
            return 0
        wiring.place(call.environ).remember(here, given=call.given)
        # A second journey of the same job has a machine and a record of its own.
        leases = inputs.provision().model_copy(update={"slot": records.free_slot(world.files)})
        record = plans.begun(here, leases, permission, now=world.clock.now())
        if not here.on_github:
            call.job.log(
                f"{here.key().name}: should this be interrupted, go on with: accel-ci attach {here.key().name}"
            )
        return _journey(call, world, here, inputs=inputs, record=record)


def _gate(call: Call, world: World, here: Context, *, inputs: RunInputs) -> Grant | None:
    event, wanted = wiring.event(call.environ), inputs.gate()
    return gate.gate(world, here, event=event, policy=plans.policy(wanted), check_name=wanted.check)


def attach_(call: Call) -> int:
    """Go on with a run whose client is gone."""
    wanted = call.read(by_hand.AttachInputs)
    here, given = wiring.recalled(call.environ, wanted.name)
    if "run" not in given:  # what `provision` was given is kept in the same place
        raise errors.ConfigurationError(
            f"{here.key().name} is only a lease, and no run to go on with",
            what_to_do="go on with `accel-ci run-remote`, or end it with `accel-ci cleanup`",
        )
    inputs = parsing.parse(RunInputs, given)
    with wiring.world(
        call.environ, here, backend=inputs.backend, accelerator=inputs.accelerator, talk=call.job
    ) as world:
        record = records.load(world.files, "")
        return _journey(call, world, here, inputs=inputs, record=record)


def _journey(call: Call, world: World, here: Context, *, inputs: RunInputs, record: RunRecord) -> int:
    handed = _secrets(call, world, here, record=record)
    plan = plans.plan(here, inputs, record, directory=wiring.directory(call.environ), handed=handed)
    with one_client.alone(world.files.path("client.lock")):
        record = journey.run(world, record, here.key(slot=record.identity.slot), plan=plan)
    _show(call, world, record, html=inputs.html)
    directory = world.files.path(records.place(record.identity.slot, "artifacts"))
    call.tell(outputs.journey(record, directory=directory, **_documents(world, record)))
    return _code(record, inputs.on_infrastructure)


def keep_(call: Call) -> int:
    """Keep a machine."""
    inputs, here = call.read(by_hand.KeepInputs), wiring.continued(call.environ)
    wanted = inputs.machine or _last(call)
    scheme = wanted.partition("://")[0] if "://" in wanted else inputs.backend
    with wiring.world(call.environ, here, backend=scheme, cloud=_cloud(inputs), talk=call.job) as world:
        keep.keep(world, wanted, repository_id=here.repository_id, seconds=float(inputs.until))
    return 0


def _last(call: Call) -> str:
    """The handle of what was leased last from here."""
    _, files, slot = wiring.leased(call.environ, "", slot="")
    return records.load_machine(files, slot).handle


def list_(call: Call) -> int:
    """Name the machines of this repository that exist now."""
    asked, here = call.read(by_hand.ListInputs), wiring.continued(call.environ)
    # Where the last run leased is not where all machines are.
    inputs = asked.model_copy(update={"backend": registry.EVERY}) if asked.backend == "auto" else asked
    if not here.on_github:
        call.job.log(f"leased from {wiring.directory(call.environ)}:")  # each directory has its own machines
    _tell_unseen(call, here, inputs)
    with wiring.world(call.environ, here, backend=inputs.backend, cloud=_cloud(inputs), talk=call.job) as world:
        machines = list(world.machines.list_owned(Owner(repository_id=here.repository_id)))
        call.job.stream("".join(f"{line}\n" for line in terminal.machines(machines, now=world.clock.now())))
    return 0


def ssh_(call: Call) -> int:
    """Open a shell on a leased machine, or run a command there; the exit code is the command's."""
    inputs = call.read(by_hand.SshInputs)
    here, files, slot = wiring.leased(call.environ, inputs.machine, slot=inputs.slot)
    machine = ssh.leased(files, slot)
    with wiring.doors(call.environ, here, machine) as (machines, shell):
        visit = ssh.Visit(machine=machine, worker=inputs.worker, command=inputs.run)
        # What a machine says may command a CI's runner: only a person's terminal gets it as it is.
        return ssh.ssh(machines, shell, call.job, visit=visit, sanitized=here.on_github)


def secrets_(call: Call) -> int:
    """Make keys, seal a value, or see what is sealed in a file."""
    inputs = call.read(SecretsInputs)
    match inputs.action:
        case "keygen":
            private, file = sealed_box.new_private_key(), inputs.key_file or KEY_FILE
            sealed_box.keep(private, file)
            call.job.stream(sealing.keys(sealed_box.public_key(private), file=file))
        case "encrypt":
            content = inputs.content(typed_value.read(inputs.variable)).model_dump_json().encode()
            call.job.stream(sealing.box(inputs.variable, sealed_box.seal(content, inputs.public_key)))
        case "list":
            key = wiring.private_key(call.environ, inputs.key_file)
            open_ = functools.partial(sealed_box.open_box, private=key) if key else None
            call.job.stream(sealing.table(wiring.text_of(inputs.file), open_=open_))
    return 0


def accelerators_(call: Call) -> int:
    """Show the catalogue."""
    inputs = call.read(by_hand.AcceleratorsInputs)
    rows = accelerators.rows(zone=inputs.zone)
    call.job.stream(catalogue.document(rows) if inputs.json_ else catalogue.table(rows))
    return 0


def doctor_(call: Call) -> int:
    """Say what is wrong with workflows, and what mends it: 1 when there is something."""
    inputs = call.read(DoctorInputs)
    found = [each for path, content in workflow_files.read(inputs.files) for each in examine.examine(path, content)]
    call.job.stream(findings.document(found) if inputs.json_ else findings.text(found))
    return 1 if found else 0


def _documents(world: World, record: RunRecord) -> dict[str, str]:
    slot = record.identity.slot
    return {
        "document": world.files.path(records.place(slot, "record.json")),
        "html": world.files.path(records.place(slot, "report.html")),
    }


def _show(call: Call, world: World, record: RunRecord, *, html: str) -> None:
    for line in terminal.render(record).splitlines():
        call.job.log(line)
    failed = wiring.copy_page(world.files, record.identity.slot, to=html) if html else ""
    if failed:
        call.job.warning("report", failed)


def _code(record: RunRecord, policy: OnInfrastructure) -> int:
    return verdict.exit_code(record.verdict or Verdict.INFRA_ERROR, policy)


VERBS: Mapping[str, Callable[[Call], int]] = {
    "gate": gate_,
    "provision": provision_,
    "run-remote": run_remote_,
    "collect": collect_,
    "cleanup": cleanup_,
    "report": report_,
    "reap-queued": reap_queued_,
    "run": run_,
    "attach": attach_,
    "keep": keep_,
    "list": list_,
    "ssh": ssh_,
    "secrets": secrets_,
    "accelerators": accelerators_,
    "doctor": doctor_,
}
