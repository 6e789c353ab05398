"""One function per published action."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from accel_ci import journey, plans, wiring
from accel_ci.adapters import registry
from accel_ci.commands import handover, look, packing, showing
from accel_ci.commands.call import Call
from accel_ci.domain import accelerators, context, errors, grant, lease
from accel_ci.domain.context import Context
from accel_ci.domain.record import CleanupFacts
from accel_ci.inputs import models, parsing
from accel_ci.inputs.models import CleanupInputs
from accel_ci.operations import publish, records
from accel_ci.ports.world import World
from accel_ci.render import outputs
from accel_ci.usecases import cleanup, collect, gate, provision, reap_queued, report, run_remote

COLLECT_S = 60.0


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
    packing.check(call, here)
    with wiring.world(
        call.environ,
        here,
        backend=inputs.backend,
        accelerator=inputs.accelerator,
        cloud=look.cloud(inputs),
        talk=call.job,
    ) as world:
        # Before anything is leased: a killed client must leave what cleanup needs to sign in again.
        wiring.place(call.environ).remember(here, given=call.given)
        permission = grant.checked(inputs.grant, here, now=world.clock.now())
        record = plans.begun(here, inputs, permission, now=world.clock.now())
        order = plans.order(inputs, record, forks_here=wiring.forks_here(call.environ))
        record = provision.provision(world, record, here.key(slot=inputs.slot), order=order)
    call.tell(outputs.provision(record))
    return 0


def run_remote_(call: Call) -> int:
    """Run the tests on the leased machine; the exit code is the verdict's."""
    inputs, here = call.read(models.RunRemoteInputs, found=handover.mistakes(call)), wiring.continued(call.environ)
    with wiring.world(call.environ, here, slot=inputs.slot, talk=call.job) as world:
        known = records.load(world.files, inputs.slot)
        if known.machine is None and known.verdict is not None and known.verdict.is_infrastructure:
            # Only where the provision step has `continue-on-error`, so that `on-infrastructure` can decide.
            call.job.warning("run-remote", f"nothing was run, there is no machine: {known.reason}")
            call.tell(outputs.run_remote(known))
            return showing.exit_code(known, inputs.on_infrastructure)
        source = plans.source(here, known, wanted=inputs.source, directory=wiring.directory(call.environ))
        work = replace(inputs.work(source), secrets=handover.secrets(call, world, here, record=known).values)
        record = run_remote.run_remote(world, work, slot=inputs.slot)
    call.tell(outputs.run_remote(record))
    return showing.exit_code(record, inputs.on_infrastructure)


def collect_(call: Call) -> int:
    """Bring files back from the leased machine."""
    inputs, here = call.read(models.CollectInputs), wiring.continued(call.environ)
    with wiring.world(call.environ, here, slot=inputs.slot, talk=call.job) as world:
        known = records.load(world.files, inputs.slot)
        # Said first: of a machine that does not answer any more there is still the log to keep.
        call.tell(outputs.upload(known, **_places(world, inputs.slot)))
        secrets = handover.opened(call, world, here, record=known).values.values()
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
    inputs = call.read(CleanupInputs)
    if inputs.mode == "sweep":
        return _cleanup(call, inputs)
    # A signal does not stop it: whoever sent one wants the machine gone all the more.
    return journey.to_the_end(lambda: _cleanup(call, inputs))


def _cleanup(call: Call, inputs: CleanupInputs) -> int:
    here = wiring.continued(call.environ)
    # What no backend has was never leased: a slip in it must not keep the search from the rest.
    leased = inputs.leased if accelerators.backends_of(inputs.leased) else ""
    if not leased:
        look.tell_unseen(call, here, inputs, loud=inputs.mode == "sweep")
    cloud = look.cloud(inputs)
    with wiring.world(
        call.environ, here, backend=inputs.backend, accelerator=leased, cloud=cloud, talk=call.job
    ) as world:
        limit_s = cleanup.HURRIED_LIMIT_S if _cancelled(call) else cleanup.LIMIT_S
        call.tell(outputs.cleanup(_ended(world, here, inputs, limit_s=limit_s)))
    return 0


def _ended(world: World, here: Context, inputs: CleanupInputs, *, limit_s: float) -> CleanupFacts:
    if inputs.mode == "sweep":
        return cleanup.sweep(
            world, here.repository_id, grace_s=float(inputs.grace), dry_run=inputs.dry_run, url=here.run_url
        )
    jobs, key = tuple(map(here.job_of, inputs.for_)), here.key()
    owner = lease.of_run(key, jobs=jobs) if jobs or inputs.mode == "run" else lease.of_job(key)
    return cleanup.cleanup(world, key, owner=owner, jobs=jobs, dry_run=inputs.dry_run, limit_s=limit_s)


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
        showing.show(call, world, record, html=inputs.html)
        call.tell(outputs.report(record, **showing.documents(world, record)))
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
