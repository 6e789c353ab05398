"""One model per action: the only source of its inputs, their types, defaults and help, and of its outputs.

After a change here run `python tools/generate.py`: action.yml, docs and tables are written from these models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, TypeVar

from pydantic import Field

from accel_ci.domain import accelerators, check
from accel_ci.domain.machine import MachineSpec
from accel_ci.domain.workload import Caps, Source, Work
from accel_ci.inputs import fields, quantities, vocabulary
from accel_ci.inputs.by_hand import AcceleratorsInputs, AttachInputs, EndInputs, KeepInputs, ListInputs, SshInputs
from accel_ci.inputs.declaration import Inputs, Rule, given
from accel_ci.inputs.diagnosis import DoctorInputs
from accel_ci.inputs.fields import Accelerator, Boolean, Choice, Environment, Pattern, Text, Words
from accel_ci.inputs.quantities import Count, Duration, Size
from accel_ci.inputs.sealing import SecretsInputs
from accel_ci.inputs.vocabulary import AUTO, GLOB, LOCAL, ZONE

P = TypeVar("P", bound=Inputs)
SWEEPER = "sweep.yml"


def _fits(accelerator: str, backend: str) -> str:
    here = accelerator.split("-")[0] == LOCAL
    if backend == LOCAL and not here:
        return "is not on this computer: `backend: local` has `local`, or `local-2` for two workers"
    if here and backend not in (AUTO, LOCAL):
        return f"is this computer, which `backend: {backend}` cannot lease"
    return ""


def _outlives_boot(ttl: int, boot: int) -> str:
    return "" if ttl > boot else f"leaves no time after `boot-timeout`, {quantities.duration(boot)}"


def _one_fits(one: int, total: int) -> str:
    return "" if one <= total else "is more than `max-total-size` allows for all files together"


def _names_jobs(jobs: tuple[str, ...], mode: str) -> str:
    return f"names jobs, which `mode: {mode}` does not look at" if jobs and mode != "job" else ""


class GateInputs(Inputs):
    """Decide, before anything costs money, whether this commit may use an accelerator."""

    verb = "gate"
    outputs: ClassVar = {
        "allowed": "`true` when the commit may use an accelerator, else `false`.",
        "grant": "The permission for provision: which commit, on what evidence, until when.",
        "sha": "The granted commit.",
    }

    label: vocabulary.Label = given("run-tpu-tests")
    paths: Annotated[tuple[str, ...], Words(GLOB)] = given(
        "", "Pull requests: only those that change one of these files; empty: all."
    )
    branches: Annotated[tuple[str, ...], Words(Pattern("branch pattern", r"[^\s~^:?\\]{1,200}", "release/*"))] = given(
        "", "Branches that may use an accelerator; `*` stays within a path component, `**` crosses them; empty: all."
    )
    # Of a draft nobody asked for a review yet, so nobody should pay for one.
    drafts: Annotated[bool, Boolean()] = given("false", "Pull requests: drafts may use an accelerator too.")
    label_lasts: Annotated[str, Choice(("once", "until-push"))] = given(
        "once",
        "Pull requests of this repository: the label lasts for one run, or until new commits come; forks: one run.",
    )
    skip_words: Annotated[tuple[str, ...], Words(Pattern("skip word", r"[^,\x00-\x1f]{1,50}", "[skip accel-ci]"))] = (
        given(
            "[skip accel-ci]",
            "A pull request with one of these in its title, or a push with one in its message, is not run.",
        )
    )
    # Time for a person to see that the commit is another one than that which they looked at.
    quiet_period: Annotated[int, Duration("60s", "24h")] = given(
        "60s",
        "Pull requests: how old a commit must be for a label alone; forks always need an approval or a comment.",
    )
    max_running: Annotated[int, Count(0, 1000)] = given(
        "0", "Pull requests: how many granted runs may go on at a time (needs `actions: read`); 0: any number."
    )
    # 1,000 checks of a name are what GitHub keeps on a commit.
    max_per_day: Annotated[int, Count(0, 500)] = given(
        "0", "Pull requests: how many runs may be granted in a day (UTC), all events counted; 0: any number."
    )
    check: vocabulary.Check = given(check.NAME)


class MachineInputs(Inputs):
    """Which machine, from where, for how long."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(("accelerator", "backend"), _fits, "leave `backend` out, or name another accelerator"),
        vocabulary.SIGN_IN,
    )

    accelerator: Annotated[
        str,
        Accelerator(),
        Field(description="The accelerator type, such as `v6e-1` or `l4-1`; may be left out with `backend: local`."),
    ]
    backend: vocabulary.Backend = given(AUTO)
    zones: Annotated[tuple[str, ...], Words(ZONE)] = given(
        "", "Zones to try, the cheapest first; empty: every zone that has the accelerator."
    )
    # A fifth to a half of the price, and a run that the cloud ends is never held against the code.
    spot: Annotated[bool, Boolean()] = given("true", "Take a cheaper machine that the cloud may take back at any time.")

    @classmethod
    def completed(cls, given: Mapping[str, str]) -> Mapping[str, str]:
        """The given texts; `backend: local` alone means the accelerator `local`."""
        return {"accelerator": LOCAL, **given} if given.get("backend") == LOCAL else given

    @property
    def on_this_computer(self) -> bool:
        """True when no cloud is involved."""
        return self.accelerator.split("-")[0] == LOCAL


WORKFLOW = Pattern("workflow file", r"[A-Za-z0-9_.-]+\.ya?ml", "tests.yml")


class ProvisionInputs(MachineInputs):
    """Lease one machine with the accelerator, in the first place that has it."""

    verb = "provision"
    outputs: ClassVar = {
        "machine": "The machine's handle, a URI such as tpu://project/zone/name.",
        "name": "The machine's name.",
        "zone": "The zone that had it.",
    }
    rules: ClassVar[tuple[Rule, ...]] = (
        *MachineInputs.rules,
        Rule(("ttl", "boot_timeout"), _outlives_boot, "write a longer one, such as `45m`"),
    )

    # Boot 10m, setup 10m and run 20m at their longest, and 5m to bring files back.
    ttl: Annotated[int, Duration("10s", "24h")] = given(
        "45m", "How long the machine may live from its request on, whatever happens."
    )
    boot_timeout: Annotated[int, Duration("1s", "1h")] = given(
        "10m", "The most time for one zone to give a machine that answers."
    )
    options: vocabulary.Options = given("")
    grant: vocabulary.Grant = given("")
    project: vocabulary.Project = given("")
    workload_identity_provider: vocabulary.Provider = given("")
    service_account: vocabulary.ServiceAccount = given("")
    slot: vocabulary.Slot = given("")

    def spec(self) -> MachineSpec:
        """What to ask the backend for."""
        return MachineSpec(
            backend=LOCAL if self.on_this_computer else self.backend,
            accelerator=self.accelerator,
            zones=self.zones,
            spot=self.spot,
            workers=accelerators.hosts(self.accelerator),
            boot_limit_s=float(self.boot_timeout),
            options=self.options,
        )


class RunRemoteInputs(Inputs):
    """Send the source to the leased machine, set up, run the tests and judge them."""

    verb = "run-remote"
    outputs: ClassVar = {
        "verdict": vocabulary.VERDICT,
        "exit-code": vocabulary.EXIT_CODE,
        "tests": vocabulary.TESTS,
    }

    run: vocabulary.Run
    setup: vocabulary.Setup = given("")
    timeout: vocabulary.Timeout = given("20m")
    setup_timeout: Annotated[int, Duration("1s", "24h")] = given("10m", "The most time for `setup`.")
    directory: Annotated[str, Pattern("relative path", fields.RELATIVE, "packages/core")] = given(
        ".", "The directory of the repository to work in."
    )
    env: Annotated[dict[str, str], Environment()] = given(
        "", "Variables for the commands, one NAME=VALUE a line; not for secrets."
    )
    source: Annotated[str, Choice((AUTO, "commit", "merge", "workspace"))] = given(
        AUTO,
        "What to test: the `commit`, its `merge` into the base, or the `workspace`; `auto`: the commit in GitHub Actions.",
    )
    test_reports: Annotated[tuple[str, ...], Words(GLOB)] = given(
        "", "JUnit files to read, as globs relative to the repository; pytest needs none."
    )
    allow_no_tests: Annotated[bool, Boolean()] = given("false", "Let a run pass whose reports hold no test.")
    on_infrastructure: vocabulary.Infrastructure = given("fail")
    slot: vocabulary.Slot = given("")

    def work(self, source: Source) -> Work:
        """What to do on the machine with this source."""
        return Work(
            source=source,
            run=self.run,
            setup=self.setup,
            limit_s=float(self.timeout),
            setup_limit_s=float(self.setup_timeout),
            directory=self.directory,
            environment=self.env,
            report_patterns=self.test_reports,
            allow_no_tests=self.allow_no_tests,
        )


class CollectInputs(Inputs):
    """Bring files back from the machine by name, within limits, as plain data."""

    verb = "collect"
    outputs: ClassVar = {
        "directory": vocabulary.DIRECTORY,
        "files": "How many files came back.",
        "refused": "How many files matched but were refused.",
        "log": "The directory on the runner with the whole output of each phase and worker.",
        "record": "The path on the runner of the run's record as it is by now, a JSON document.",
        "artifact": "The name of the run's artifact that holds the files, the log and the record.",
    }
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(("max_file_size", "max_total_size"), _one_fits, "lower the one or raise the other"),
    )

    paths: vocabulary.Paths
    max_file_size: Annotated[int, Size("100GiB")] = given("100MiB", "The largest file; larger ones are refused.")
    max_total_size: Annotated[int, Size("100GiB")] = given("1GiB", "The size of all files of one worker together.")
    max_files: Annotated[int, Count(1, 100_000)] = given("1000", "The most files of one worker.")
    # For the action's own upload step; the program has no use for it.
    retention_days: Annotated[int, Count(0, 400)] = given(
        "0", "How many days GitHub keeps the artifact; `0`: as the repository's settings say, 90 unless changed."
    )
    slot: vocabulary.Slot = given("")

    def caps(self) -> Caps:
        """The limits, in bytes and files."""
        return Caps(file_bytes=self.max_file_size, total_bytes=self.max_total_size, files=self.max_files)


class CleanupInputs(Inputs):
    """End the machines of this job or run, and prove that they are gone."""

    verb = "cleanup"
    outputs: ClassVar = {
        "found": "The handles of the machines that existed, a JSON list.",
        "released": "The handles of the machines that were ended and are gone, a JSON list.",
        "left": "The handles of the machines that may still live, a JSON list; empty is the proof.",
    }
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(("for_", "mode"), _names_jobs, "leave one of them out"),
        vocabulary.SIGN_IN,
    )

    mode: Annotated[str, Choice(("job", "run", "sweep"))] = given(
        "job", "Whose machines end: this `job`'s, the whole `run`'s, or with `sweep` those that outlived their lease."
    )
    for_: Annotated[tuple[str, ...], Words(Pattern("job id", r"(?:run:)?[A-Za-z_][A-Za-z0-9_-]{0,99}", "tpu"))] = given(
        "",
        "Other jobs of this run, by id, whose machines end, or slots that all share (`run:NAME`); empty: this job.",
    )
    # Said again, not remembered: cleanup works on another runner and when nothing of the first one is left.
    backend: vocabulary.Backend = given(AUTO, vocabulary.SEARCHED)
    leased: Annotated[str, Text()] = given(
        "",
        "With `backend: auto`: the accelerator type that was leased; only its backends are looked through. Empty: all.",
    )
    project: vocabulary.Project = given("")
    workload_identity_provider: vocabulary.Provider = given("")
    service_account: vocabulary.ServiceAccount = given("")
    grace: Annotated[int, Duration("10m", "24h")] = given(
        "1h", "With `sweep`: how long past its lease, or its run's end, a machine is left; two periods of the schedule."
    )
    dry_run: vocabulary.DryRun = given("false")


class ReportInputs(Inputs):
    """Finish the run's record and show it: check, comment or issue, step summary, HTML report, outputs."""

    verb = "report"
    outputs: ClassVar = {
        "verdict": vocabulary.VERDICT,
        "exit-code": vocabulary.EXIT_CODE,
        "record": vocabulary.RECORD,
        "html": vocabulary.HTML,
    }

    html: vocabulary.HtmlCopy = given("")
    slot: vocabulary.Slot = given("")
    check: vocabulary.Check = given(check.NAME)
    grant: vocabulary.Grant = given("")
    failure_issue: Annotated[bool, Boolean()] = given(
        "true", "Runs without a pull request: keep one issue open while the tests of the branch fail."
    )
    sweeper: Annotated[str, WORKFLOW] = given(
        SWEEPER, "The workflow that sweeps: where the cloud has no limit of its own, its absence is a warning."
    )


class ReapQueuedInputs(Inputs):
    """Cancel runs that wait for a machine longer than they should."""

    verb = "reap-queued"
    outputs: ClassVar = {"cancelled": "The ids of the runs that were cancelled, a JSON list."}

    workflows: Annotated[
        tuple[str, ...],
        Words(WORKFLOW),
        Field(description="File names of the workflows to look at, below .github/workflows."),
    ]
    limit: Annotated[int, Duration("1m", "24h")] = given("1h", "How long a run may wait in the queue.")
    dry_run: vocabulary.DryRun = given("false")


RETURN_S = 300  # to bring files back, and to give the machine back


def _of(model: type[Inputs], field: str) -> int:
    return quantities.seconds(model.model_fields[field].default)


class JourneyInputs(MachineInputs):
    """The whole journey in one step: lease, run, bring back, report, and always give back."""

    verb = "run"
    outputs: ClassVar = {
        "verdict": vocabulary.VERDICT,
        "exit-code": vocabulary.EXIT_CODE,
        "tests": vocabulary.TESTS,
        "directory": vocabulary.DIRECTORY,
        "record": vocabulary.RECORD,
        "html": vocabulary.HTML,
    }

    run: vocabulary.Run
    setup: vocabulary.Setup = given("")
    timeout: vocabulary.Timeout = given("20m")
    paths: vocabulary.Paths = given("")
    label: vocabulary.Label = given("run-tpu-tests")
    check: vocabulary.Check = given(check.NAME)
    workload_identity_provider: vocabulary.Provider = given("")
    service_account: vocabulary.ServiceAccount = given("")

    def gate(self) -> GateInputs:
        """What the journey says to gate."""
        # Not its `paths`: those of the journey come back, gate's are changed by a pull request.
        return GateInputs(label=self.label, check=self.check)

    def provision(self) -> ProvisionInputs:
        """What the journey says to provision."""
        return self._part(ProvisionInputs, ttl=self.lifetime_s)

    @property
    def lifetime_s(self) -> int:
        """Seconds that the machine may live: boot, setup and run at their longest, and the way back."""
        boot, setup = _of(ProvisionInputs, "boot_timeout"), _of(RunRemoteInputs, "setup_timeout")
        return boot + setup + self.timeout + RETURN_S

    def run_remote(self) -> RunRemoteInputs:
        """What the journey says to run-remote."""
        return self._part(RunRemoteInputs)

    def collect(self) -> CollectInputs | None:
        """What the journey says to collect; None when nothing is to come back."""
        return self._part(CollectInputs) if self.paths else None

    def _part(self, model: type[P], **more: object) -> P:
        """What of the journey's inputs the action has under the same name, and `more`."""
        shared = {field: getattr(self, field) for field in model.model_fields if field in type(self).model_fields}
        return model(**shared, **more)


# The root action hands its inputs to the verb `run`, so this has to take all of them.
class RunInputs(JourneyInputs):
    """The whole journey in one command: lease, run, bring back, report, and always give back."""

    on_infrastructure: vocabulary.Infrastructure = given("fail")
    html: vocabulary.HtmlCopy = given("")
    options: vocabulary.Options = given("")
    project: vocabulary.Project = given("")


def _by_verb(*of: type[Inputs]) -> Mapping[str, type[Inputs]]:
    return {model.verb: model for model in of}


ACTIONS = _by_verb(
    GateInputs,
    ProvisionInputs,
    RunRemoteInputs,
    CollectInputs,
    CleanupInputs,
    ReportInputs,
    ReapQueuedInputs,
    JourneyInputs,
)
COMMAND_LINE = {
    **ACTIONS,
    **_by_verb(
        RunInputs,
        AttachInputs,
        KeepInputs,
        EndInputs,
        ListInputs,
        SshInputs,
        AcceleratorsInputs,
        SecretsInputs,
        DoctorInputs,
    ),
}
