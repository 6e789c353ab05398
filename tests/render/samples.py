"""Run records to show: small ones as they usually are, and hostile ones."""

from __future__ import annotations

from accel_ci.domain.record import (
    Artifact,
    CaseFacts,
    CleanupFacts,
    Cost,
    Identity,
    MachineFacts,
    PhaseFacts,
    RunRecord,
    Target,
    TestFacts,
    Try,
    WorkerEnd,
)
from accel_ci.domain.verdict import Reason, Verdict

BEGIN = 1_795_226_400.0
HANDLE = "tpu://tensor-lab/us-east5-b/accel-numerics-7001-1-3f9a2c71"
SHA = "4f0c2b7d9a8e6f5d4c3b2a190807060504030201"
TRACEBACK = """    def test_softmax_is_stable_for_large_inputs():
        x = jnp.array([1e4, 1e4 + 1.0], dtype=jnp.bfloat16)
>       assert jnp.isfinite(softmax(x)).all()
E       AssertionError: assert Array(False, dtype=bool)
E        +  where Array(False, dtype=bool) = all()

tests/test_layers.py:88: AssertionError"""


def identity() -> Identity:
    """A pull request's job."""
    return Identity(
        name="accel-numerics-7001-1-3f9a2c71",
        repository="tensor-lab/numerics",
        repository_id=4711,
        run_id=7001,
        attempt=1,
        job="tpu",
        event="pull_request_target",
        actor="ada",
        sha=SHA,
        pull_request=128,
        url="https://github.com/tensor-lab/numerics/actions/runs/7001",
    )


def target() -> Target:
    """One v6e chip, with a set-up."""
    return Target(
        backend="tpu",
        accelerator="v6e-1",
        zones=["us-central1-b", "us-east5-b"],
        setup="pip install -e '.[test]'",
        run="python -m pytest -n 4",
    )


def passed() -> RunRecord:
    """A whole run that went well."""
    return RunRecord(
        accel_ci="0.1.0",
        identity=identity(),
        target=target(),
        started_at=BEGIN,
        ended_at=BEGIN + 312,
        tries=tries(),
        machine=machine(),
        phases=[phase("setup", 95, 41), phase("run", 136, 150)],
        verdict=Verdict.PASSED,
        reason="run ended with exit code 0",
        exit_code=0,
        tests=TestFacts(counts={"passed": 1204, "skipped": 31, "xfailed": 6}, slowest=slowest(), duration_s=540.0),
        artifacts=artifacts(),
        cleanup=CleanupFacts(found=[HANDLE], released=[HANDLE], verified_at=BEGIN + 311),
        cost=Cost(machine_seconds=280.0, dollars_per_hour=1.35, dollars=0.105),
    )


def failed() -> RunRecord:
    """The same run with failing and flaky tests."""
    record = passed()
    record.verdict, record.reason, record.exit_code = Verdict.FAILED, "run ended with exit code 1", 1
    record.phases[-1] = phase("run", 136, 150, verdict=Verdict.FAILED)
    record.tests = TestFacts(
        counts={"passed": 1198, "failed": 2, "error": 1, "skipped": 31, "xfailed": 6, "xpassed": 1},
        failures=failures(),
        flaky=[
            CaseFacts(
                name="tests/test_io.py::test_reads_shards[gs]", outcome="passed", attempts=2, message="E   TimeoutError"
            )
        ],
        slowest=slowest(),
        duration_s=540.0,
        problems=["results/junit.xml: suite 'models' claims failures=0, its cases show 1"],
    )
    return record


def no_capacity() -> RunRecord:
    """A run that never got its machine."""
    full = "There is no more capacity in the zone; try again later"
    return RunRecord(
        accel_ci="0.1.0",
        identity=identity(),
        target=target(),
        started_at=BEGIN,
        ended_at=BEGIN + 64,
        tries=[
            Try(
                number=number,
                name=f"accel-numerics-7001-1-{number}",
                zone=zone,
                spot=True,
                started_at=BEGIN + 30 * number - 30,
                ended_at=BEGIN + 30 * number,
                outcome="no-capacity",
                message=full,
            )
            for number, zone in enumerate(("us-central1-b", "us-east5-b"), 1)
        ],
        verdict=Verdict.NO_CAPACITY,
        reason="none of 2 zones had a v6e-1",
        cleanup=CleanupFacts(verified_at=BEGIN + 63),
        cost=Cost(machine_seconds=0, dollars=0),
    )


def tries() -> list[Try]:
    """A full zone, then one that had the machine."""
    return [
        Try(
            number=1,
            name="accel-numerics-7001-1-aa",
            zone="us-central1-b",
            spot=True,
            started_at=BEGIN + 1,
            ended_at=BEGIN + 22,
            outcome="no-capacity",
            message="There is no more capacity in the zone",
        ),
        Try(
            number=2,
            name="accel-numerics-7001-1-3f9a2c71",
            zone="us-east5-b",
            spot=True,
            started_at=BEGIN + 22,
            ended_at=BEGIN + 94,
            outcome="ready",
        ),
    ]


def machine() -> MachineFacts:
    """The leased machine, gone again."""
    return MachineFacts(
        handle=HANDLE,
        zone="us-east5-b",
        accelerator="v6e-1",
        spot=True,
        workers=1,
        expires_at=int(BEGIN) + 2700,
        requested_at=BEGIN + 22,
        ready_at=BEGIN + 94,
        released_at=BEGIN + 308,
    )


def phase(name: str, after: float, took: float, *, verdict: Verdict = Verdict.PASSED) -> PhaseFacts:
    """A phase on one worker that began `after` seconds and took `took`."""
    end = WorkerEnd(
        worker=0,
        verdict=verdict,
        reason=Reason.EXITED,
        exit_code=0 if verdict is Verdict.PASSED else 1,
        peak_memory_bytes=11_900_000_000,
    )
    return PhaseFacts(
        name=name, started_at=BEGIN + after, ended_at=BEGIN + after + took, verdict=verdict, workers=[end]
    )


def failures() -> list[CaseFacts]:
    """Two failures and an error."""
    return [
        CaseFacts(
            name="tests/test_layers.py::test_softmax_is_stable_for_large_inputs",
            outcome="failed",
            duration_s=1.72,
            message=TRACEBACK,
        ),
        CaseFacts(
            name="tests/test_attention.py::TestFlash::test_matches_reference[bfloat16-causal-2048x128]",
            outcome="failed",
            duration_s=12.4,
            message="E       Mismatched elements: 14 / 262144 (0.00534%)\nE       Max absolute difference: 0.0625",
            attempts=2,
        ),
        CaseFacts(
            name="tests/test_checkpoint.py::test_restores", outcome="error", message="E   OSError: [Errno 28] No space"
        ),
    ]


def slowest() -> list[CaseFacts]:
    """The two slowest tests."""
    return [
        CaseFacts(name="tests/test_train.py::test_converges[adam]", outcome="passed", duration_s=74.2),
        CaseFacts(name="tests/test_attention.py::test_long_context", outcome="passed", duration_s=31.0),
    ]


def artifacts() -> list[Artifact]:
    """Two files that came back and one that was refused."""
    return [
        Artifact(name="results/junit.xml", path="w0/0001", size_bytes=482_133, sha256="9b" * 32),
        Artifact(name="traces/profile.json.gz", path="w0/0002", size_bytes=28_400_000, sha256="c4" * 32),
        Artifact(name="traces/core.1432", size_bytes=3_221_225_472, refused="larger than 100 MiB"),
    ]


def hostile(text: str) -> RunRecord:
    """A record in which everything that others can write is this text."""
    record = failed()
    case = CaseFacts(name=text, outcome="failed", message=text, worker=1, attempts=2, duration_s=2.0)
    record.tests = TestFacts(
        counts={"failed": 3, "passed": 1}, failures=[case] * 2, flaky=[case], slowest=[case], problems=[text, text]
    )
    record.artifacts = [Artifact(name=text, sha256=text), Artifact(name=text, refused=text)]
    record.reason = text
    record.cleanup = CleanupFacts(found=[text], left=[text])
    record.tries[0].message = record.tries[0].zone = record.tries[0].outcome = text
    record.phases[-1].workers[0].detail = text
    record.phases[-1].name = text
    for field in ("repository", "job", "instance", "actor", "sha", "ref", "url", "event", "name"):
        setattr(record.identity, field, text)
    for field in ("accelerator", "setup", "run", "backend"):
        setattr(record.target, field, text)
    if record.machine is not None:
        record.machine.handle = record.machine.zone = record.machine.accelerator = text
    return record
