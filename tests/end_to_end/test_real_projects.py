"""The test suites of three well-known projects, taken from their source distributions, through the whole journey."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from accel_ci.domain.verdict import Verdict
from tests.end_to_end.terminal import Terminal

HERE = Path(__file__).parent
PROJECTS = ("click", "idna", "more_itertools")
SUITE = "PYTHONPATH=src:.:$PYTHONPATH python -m pytest -q -p no:cacheprovider"


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The unpacked source distribution of the project that the test names, checked against its recorded hash."""
    wanted = next(
        line for line in (HERE / "projects.txt").read_text().splitlines() if line.startswith(_dashed(request))
    )
    (tmp_path / "only.txt").write_text(wanted)
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
    exact = ("--no-binary", ":all:", "--no-build-isolation", "--require-hashes", "-r", "only.txt", "-d", "sdist")
    subprocess.run([*pip, *exact], cwd=tmp_path, check=True, timeout=300, capture_output=True)
    (archive,) = (tmp_path / "sdist").iterdir()
    with tarfile.open(archive) as tar:
        # Python 3.11 has filters since 3.11.4; the archives are pinned by their hashes.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(tmp_path / "unpacked")
    (directory,) = (tmp_path / "unpacked").iterdir()
    return directory


def _dashed(request: pytest.FixtureRequest) -> str:
    return f"{request.param.replace('_', '-')}=="


def _pytests_own_counts(log: bytes) -> dict[str, int]:
    """What pytest itself says in the last line of its output."""
    found = re.findall(r"(\d+) (passed|failed|skipped|xfailed|xpassed|errors?)\b", log.decode().splitlines()[-1])
    return {outcome.removesuffix("s") if outcome == "errors" else outcome: int(number) for number, outcome in found}


@pytest.mark.parametrize("project", PROJECTS, indirect=True)
def test_a_real_suite_is_counted_and_survives_its_clients_death(project: Path, tmp_path: Path) -> None:
    """Counts equal pytest's own; after SIGKILL of the client and attach the log is byte-identical, the verdict right."""
    home = tmp_path / "home"
    home.mkdir()
    terminal = Terminal(project, home)
    client = terminal.start(
        "run", "--backend", "local", "--", f'set -o pipefail; {SUITE} | tee "$ACCEL_CI_RESULTS/../told"'
    )
    log = _killed_in_the_middle(terminal, client)
    at_kill = log.stat().st_size
    (run,) = terminal.runs()
    (told,) = (terminal.state / "local/machines").glob("*/worker-0/told")
    copy = home / "told"
    copy.hardlink_to(told)
    done = terminal("attach", run.name, timeout=600)
    record = terminal.record()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (record.verdict, record.exit_code, terminal.machines()) == (Verdict.PASSED, 0, [])
    assert log.read_bytes() == copy.read_bytes() and at_kill < log.stat().st_size
    assert record.tests is not None and record.tests.counts == _pytests_own_counts(log.read_bytes())


def _killed_in_the_middle(terminal: Terminal, client: subprocess.Popen[str]) -> Path:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and client.poll() is None:
        for log in terminal.state.glob("runs/*/main/log/run-w0.log"):
            if log.stat().st_size >= 100:
                client.kill()
                client.communicate()
                return log
        time.sleep(0.02)
    raise AssertionError(f"the suite wrote nothing in time: {client.communicate()[0]}")
