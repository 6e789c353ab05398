"""setup.sh for real: bash, uv and pip against a package index made of two tiny wheels on this computer."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BASE_PYTHON = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
UV = pathlib.Path(sys.executable).parent / "uv"

CLI = """\
import importlib.util
import json
import os
import sys

import pinned

def main() -> int:
    loaded = sorted(os.path.dirname(module.__file__) for module in list(sys.modules.values())
                    if getattr(module, "__file__", None) and "lib/python" not in module.__file__)
    print(json.dumps({
        "arguments": sys.argv, "pid": os.getpid(), "pinned": pinned.VERSION, "loaded": sorted(set(loaded)),
        "extra": importlib.util.find_spec("extra") is not None, "python": sys.executable,
        "file": os.path.abspath(__file__),
    }))
    return int(os.environ.get("CODE", "0"))
"""


class Runner:
    """A job on a runner: an action that was downloaded, a package index, and an environment with little in it."""

    def __init__(self, place: pathlib.Path) -> None:
        self.action = place / "my actions" / "accel ci"
        self.temp = place / "run ner" / "_temp"
        self.tools = place / "bin"
        self.index = place / "index"
        self.temp.mkdir(parents=True)
        shutil.copytree(REPOSITORY / "actions" / "internal" / "setup", self.action / "actions" / "internal" / "setup")
        self.write("src/accel_ci/__init__.py", "")
        self.write("src/accel_ci/cli.py", CLI)
        self.write("requirements/runtime.txt", self.publish("pinned", "VERSION = 1\n"))
        self.write("requirements/cloud.txt", self.publish("extra", ""))
        self.write("requirements/dev.txt", "")
        self.tools.mkdir()
        for name in ("bash", "sh", "dirname"):
            (self.tools / name).symlink_to(shutil.which(name) or name)
        (self.tools / "python3").symlink_to(BASE_PYTHON)
        (self.tools / "uv").symlink_to(UV)
        self.environment = {
            "PATH": str(self.tools),
            "RUNNER_TEMP": str(self.temp),
            "PIP_INDEX_URL": self.index.as_uri(),
            "UV_DEFAULT_INDEX": self.index.as_uri(),
        }

    def write(self, name: str, text: str) -> None:
        """Put a file into the action's directory."""
        path = self.action / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def publish(self, name: str, code: str) -> str:
        """Put a wheel of one module into the package index; the line of a lock file that pins it comes back."""
        info = f"{name}-1.0.dist-info"
        files = {
            f"{name}.py": code,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        rows = [f"{path},sha256={digest(text.encode())},{len(text)}" for path, text in files.items()]
        files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,\n"])
        wheel = self.index / name / f"{name}-1.0-py3-none-any.whl"
        wheel.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
        (wheel.parent / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
        return f"{name}==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"

    def command(self, *extras: str) -> list[str]:
        """What a step runs."""
        return ["bash", str(self.action / "actions" / "internal" / "setup" / "setup.sh"), *extras]

    def set_up(self, *extras: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run setup.sh to its end."""
        return run(self.command(*extras), cwd=self.temp, environment=self.environment | environment)

    def start(self, *arguments: str, **environment: str) -> dict[str, object]:
        """What the program says about itself."""
        done = run([str(self.launcher), *arguments], cwd=self.temp, environment=self.environment | environment)
        assert done.returncode == 0, done.stderr
        told: dict[str, object] = json.loads(done.stdout)
        return told

    @property
    def launcher(self) -> pathlib.Path:
        """Where later steps find the program."""
        return self.temp / "accel-ci" / "bin" / "accel-ci"

    def made(self) -> list[str]:
        """The directories of the program, finished or not, sorted."""
        program = self.temp / "accel-ci" / "program"
        return sorted(path.name for path in program.iterdir() if path.is_dir()) if program.exists() else []


def digest(data: bytes) -> str:
    """A hash as RECORD files write it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def run(command: Sequence[str], *, cwd: pathlib.Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The ended process, with what it wrote."""
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


def listing(top: pathlib.Path) -> dict[str, tuple[int, int]]:
    """Every file below `top`, with its size and when it was written."""
    files = (path for path in top.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def script(path: pathlib.Path, text: str) -> None:
    """An executable of a test, in the place of whatever was there."""
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def runner(tmp_path: pathlib.Path) -> Runner:
    """A runner in a directory of its own, whose names have spaces."""
    return Runner(tmp_path)


def test_the_program_runs_with_its_arguments_and_exit_code(runner: Runner) -> None:
    """After set-up the launcher passes arguments with spaces on, and the program's exit code back."""
    assert runner.set_up().returncode == 0
    assert runner.start("provision", "a b", "")["arguments"] == ["accel-ci", "provision", "a b", ""]
    failing = run([str(runner.launcher)], cwd=runner.temp, environment=runner.environment | {"CODE": "7"})
    assert failing.returncode == 7


def test_the_launcher_becomes_the_program(runner: Runner) -> None:
    """The program has the process id that the runner started, so that the runner's signals reach it."""
    runner.set_up()
    with subprocess.Popen([runner.launcher], env=runner.environment, stdout=subprocess.PIPE, text=True) as process:
        told, _ = process.communicate(timeout=60)
    assert f'"pid": {process.pid},' in told


def test_a_second_set_up_changes_nothing(runner: Runner) -> None:
    """The second step of a job writes no file and says nothing."""
    runner.set_up()
    runner.start()
    before = listing(runner.temp)
    again = runner.set_up()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert listing(runner.temp) == before


def test_the_action_directory_is_only_read(runner: Runner) -> None:
    """Nothing is written into the action's directory, not even byte code, for it may be read-only."""
    before = listing(runner.action)
    for path in [runner.action, *runner.action.rglob("*")]:
        path.chmod(0o555)
    assert runner.set_up().returncode == 0
    copied = pathlib.Path(str(runner.start()["file"])).parent
    assert copied.stat().st_mode & 0o200, "byte code could not be kept"
    assert listing(runner.action) == before
    for path in [runner.action, *runner.action.rglob("*")]:
        path.chmod(0o755)


def test_without_uv_pip_does_it(runner: Runner) -> None:
    """A runner that has no uv gets the same program from pip."""
    (runner.tools / "uv").unlink()
    assert runner.set_up("cloud").returncode == 0
    told = runner.start()
    assert (told["pinned"], told["extra"]) == (1, True)


def test_a_broken_uv_is_replaced_by_pip(runner: Runner) -> None:
    """When uv fails, pip is tried before giving up."""
    script(runner.tools / "uv", "echo uv is broken >&2; exit 2")
    done = runner.set_up()
    assert done.returncode == 0
    assert "uv is broken" in done.stderr
    assert runner.start()["pinned"] == 1


def test_a_python_without_pip_gets_one(runner: Runner, tmp_path: pathlib.Path) -> None:
    """Neither uv nor pip is needed when Python can make virtual environments."""
    (runner.tools / "uv").unlink()
    bare = tmp_path / "bare"
    venv.EnvBuilder(with_pip=False, symlinks=True).create(bare)
    install = runner.action / "actions" / "internal" / "setup" / "install.py"
    command = [str(bare / "bin" / "python"), "-I", "-S", str(install), str(runner.temp / "accel-ci")]
    done = run(command, cwd=runner.temp, environment=runner.environment)
    assert done.returncode == 0, done.stderr
    assert runner.start()["pinned"] == 1
    assert len(runner.made()) == 1


def test_an_extra_comes_when_it_is_asked_for(runner: Runner) -> None:
    """The first step has only what it needs; a later step adds an extra's libraries without touching the first's."""
    runner.set_up()
    assert runner.start()["extra"] is False
    first = runner.made()
    assert runner.set_up("", "cloud").returncode == 0
    assert runner.start()["extra"] is True
    assert runner.made() == [*first, f"{first[0]}+cloud"]
    assert runner.set_up().returncode == 0
    assert runner.start()["extra"] is True


@pytest.mark.parametrize("with_uv", [True, False])
def test_what_backends_share_is_installed_once(runner: Runner, *, with_uv: bool) -> None:
    """A pin that an earlier lock brought is left out of the next one's directory, and is found all the same."""
    if not with_uv:
        (runner.tools / "uv").unlink()
    shared = (runner.action / "requirements" / "cloud.txt").read_text() + "    # via the first\n"
    runner.write("requirements/second.txt", shared + runner.publish("more", "import extra\n"))
    runner.write("requirements/third.txt", shared + runner.publish("pinned", "VERSION = 1\n"))
    assert runner.set_up("cloud", "second", "third").returncode == 0
    program, _, second, third = runner.made()
    places = [runner.launcher.parents[1] / "program" / each for each in (second, third)]
    assert [sorted(each.stem for each in place.glob("*.py")) for place in places] == [["more"], []]
    assert runner.start()["extra"] is True and "+" not in program


def test_another_version_is_no_shared_library(runner: Runner) -> None:
    """A lock that pins other bytes under the name gets these: only what is the same to the hash is shared."""
    runner.write("requirements/second.txt", runner.publish("extra", "OTHER = True\n"))
    assert runner.set_up("second").returncode == 0
    assert runner.set_up("second", "cloud").returncode == 3  # the index has only one of them


def test_what_is_shared_cannot_be_slipped_in_again(runner: Runner, tmp_path: pathlib.Path) -> None:
    """A pip.conf that demands another wheel of a library that is left out is refused: it could stand in front."""
    (runner.tools / "uv").unlink()
    runner.write(
        "requirements/alpha.txt",
        (runner.action / "requirements" / "cloud.txt").read_text() + runner.publish("more", ""),
    )
    assert runner.set_up("cloud").returncode == 0
    more, home = tmp_path / "more.txt", tmp_path / "home"
    more.write_text(runner.publish("extra", "raise SystemExit('instead of the locked one')\n"))
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text(f"[install]\nrequirement = {more}\n")
    done = runner.set_up("alpha", HOME=str(home))
    assert done.returncode == 3 and "more than requirements/alpha.txt names here: extra" in done.stderr
    assert not any(each.endswith("+alpha") for each in runner.made())


def test_a_backend_without_libraries_costs_nothing(runner: Runner) -> None:
    """A backend that has no lock file of its own adds no directory."""
    assert runner.set_up("local").returncode == 0
    assert len(runner.made()) == 1


@pytest.mark.parametrize("name", ["../cloud", "dev", "runtime", "Cloud", "a b", "-r", "cloud\n"])
def test_what_is_no_backend_is_refused(runner: Runner, name: str) -> None:
    """A name that leaves requirements/, or means a lock that is no backend's, is a configuration error."""
    done = runner.set_up(name)
    assert done.returncode == 2
    assert "is not the name of a backend" in done.stderr
    assert runner.made() == []


@pytest.mark.parametrize("with_uv", [True, False])
def test_the_environment_has_no_say(runner: Runner, tmp_path: pathlib.Path, *, with_uv: bool) -> None:
    """Settings of Python, pip and uv that move or forbid an installation are overruled; an absent HOME is fine."""
    if not with_uv:
        (runner.tools / "uv").unlink()
    elsewhere = tmp_path / "elsewhere"
    hostile = {
        "PIP_REQUIRE_VIRTUALENV": "1", "PIP_TARGET": str(elsewhere), "PIP_PREFIX": str(elsewhere), "PIP_USER": "1",
        "PIP_NO_BINARY": ":all:", "PIP_CONSTRAINT": "/nonexistent", "PYTHONHOME": str(elsewhere),
        "PYTHONPATH": str(elsewhere), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1", "UV_SYSTEM_PYTHON": "1",
        "UV_PYTHON": "2.7", "UV_CONSTRAINT": "/nonexistent", "UV_EXCLUDE_NEWER": "2000-01-01",
        "VIRTUAL_ENV": "/nonexistent",
    }  # fmt: skip
    done = runner.set_up("cloud", **hostile)
    assert done.returncode == 0, done.stderr
    told = runner.start(**hostile)
    assert (told["pinned"], told["extra"]) == (1, True)
    assert not elsewhere.exists()


def test_a_pip_configuration_file_cannot_forbid_it(runner: Runner, tmp_path: pathlib.Path) -> None:
    """A pip.conf that demands a virtual environment, or installs for the user, does not stop the set-up."""
    (runner.tools / "uv").unlink()
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nrequire-virtualenv = true\n[install]\nuser = true\n")
    done = runner.set_up(PIP_CONFIG_FILE=str(settings))
    assert done.returncode == 0, done.stderr


def test_a_users_pip_configuration_cannot_add_a_library(runner: Runner, tmp_path: pathlib.Path) -> None:
    """An earlier job can leave a pip.conf that demands a package more, with its hash: it is refused by name, and gone."""
    (runner.tools / "uv").unlink()
    more, home = tmp_path / "more.txt", tmp_path / "home"
    more.write_text(runner.publish("json", "raise SystemExit('instead of the standard library')\n"))
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text(f"[install]\nrequirement = {more}\n")
    done = runner.set_up(HOME=str(home))
    assert done.returncode == 3 and "more than requirements/runtime.txt names here: json" in done.stderr
    assert runner.made() == [] and not runner.launcher.exists()


def test_an_installer_that_brings_more_is_refused(runner: Runner) -> None:
    """Whatever led it there: what the lock does not name is not put beside our code. Spellings of a name are one."""
    lock = runner.publish("pinned", "VERSION = 1\n").replace("pinned==", "Pin.Ned==")
    runner.write("requirements/runtime.txt", lock)
    brings = 'mkdir -p "$target/{0}-1.0.dist-info"'
    find = 'for word; do [ "$last" = --target ] && target=$word; last=$word; done'
    script(runner.tools / "uv", f"{find}; {brings.format('pin_ned')}; {brings.format('evil')}")
    (runner.tools / "mkdir").symlink_to(shutil.which("mkdir") or "mkdir")
    done = runner.set_up()
    assert done.returncode == 3 and "names here: evil. A" in done.stderr


def test_the_working_directory_cannot_slip_code_in(runner: Runner) -> None:
    """Modules that lie in the workspace under names that we import are never loaded, in set-up or afterwards."""
    for name in ("json", "pip", "pinned", "hashlib", "accel_ci", "sitecustomize", "usercustomize"):
        (runner.temp / f"{name}.py").write_text("raise SystemExit(99)\n")
    (runner.tools / "uv").unlink()
    environment = {"PYTHONPATH": str(runner.temp), "HOME": str(runner.temp)}
    done = runner.set_up(**environment)
    assert done.returncode == 0, done.stderr
    loaded = runner.start(**environment)["loaded"]
    program = str(runner.temp / "accel-ci" / "program" / runner.made()[0])
    assert isinstance(loaded, list)
    assert all(place.startswith(program) for place in loaded)


@pytest.mark.parametrize("with_uv", [True, False])
def test_a_wheel_with_another_hash_is_refused(runner: Runner, *, with_uv: bool) -> None:
    """A wheel that is not the locked one is not installed, nothing half-made stays, the error says what is needed."""
    if not with_uv:
        (runner.tools / "uv").unlink()
    runner.publish("pinned", "VERSION = 2  # not what was locked\n")
    done = runner.set_up(GITHUB_ACTIONS="true")
    assert done.returncode == 3
    assert (
        "::error title=accel-ci: set-up::The libraries of requirements/runtime.txt could not be installed"
        in done.stderr
    )
    assert runner.made() == []
    assert not runner.launcher.exists()


def test_a_failing_extra_leaves_the_program_usable(runner: Runner) -> None:
    """When an extra cannot be had the step fails, and what was there before still works."""
    runner.set_up()
    runner.publish("extra", "# another wheel")
    assert runner.set_up("cloud").returncode == 3
    assert runner.start()["extra"] is False
    assert len(runner.made()) == 1


def test_a_killed_set_up_does_not_spoil_the_next(runner: Runner) -> None:
    """SIGKILL in the middle leaves nothing that the next step could take for a finished program."""
    uv = (runner.tools / "uv").resolve()
    script(runner.tools / "uv", f'{uv} "$@"; kill -KILL $PPID')
    killed = runner.set_up()
    assert killed.returncode == -signal.SIGKILL
    assert not runner.launcher.exists()
    (runner.tools / "uv").unlink()
    (runner.tools / "uv").symlink_to(uv)
    assert runner.set_up().returncode == 0
    assert runner.start()["pinned"] == 1


def test_steps_at_the_same_time_do_not_disturb_each_other(runner: Runner) -> None:
    """Four set-ups at once all succeed, and one program is left."""
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(runner.command("cloud"), env=runner.environment, stdout=pipe, stderr=pipe, text=True)
        for _ in range(4)
    ]
    ends = [(process.communicate(timeout=120), process.returncode) for process in processes]
    assert [code for _, code in ends] == [0] * 4, ends
    (program,) = [name for name in runner.made() if "+" not in name]
    assert runner.made() == [program, f"{program}+cloud"]
    assert runner.start()["extra"] is True


def test_another_version_of_the_action_gets_its_own_program(runner: Runner) -> None:
    """A changed line of our code makes a new program; the old one, which a running step may use, stays."""
    runner.set_up()
    old = runner.made()
    runner.write("src/accel_ci/news.py", "")
    runner.set_up()
    assert len(runner.made()) == 2
    assert set(old) < set(runner.made())
    assert str(runner.start()["file"]).startswith(str(runner.temp / "accel-ci" / "program"))


def test_only_the_user_can_read_the_directory(runner: Runner) -> None:
    """The directory, in which keys and leases will lie too, is closed to other users."""
    runner.set_up()
    assert (runner.temp / "accel-ci").stat().st_mode & 0o777 == 0o700


def test_an_old_python_is_passed_over(runner: Runner) -> None:
    """A python3 that is too old does not stop the search: a newer one by another name is used."""
    script(runner.tools / "python3", "exit 1")
    (runner.tools / "python3.11").symlink_to(BASE_PYTHON)
    assert runner.set_up().returncode == 0
    assert runner.start()["python"] == BASE_PYTHON


def test_the_tool_cache_is_searched(runner: Runner, tmp_path: pathlib.Path) -> None:
    """A Python that only the runner's tool cache has is found, though the PATH has none."""
    (runner.tools / "python3").unlink()
    cached = tmp_path / "tool cache" / "Python" / "3.11.9" / "x64" / "bin"
    cached.mkdir(parents=True)
    (cached / "python3").symlink_to(BASE_PYTHON)
    assert runner.set_up(RUNNER_TOOL_CACHE=str(tmp_path / "tool cache")).returncode == 0
    assert runner.start()["pinned"] == 1


def test_without_a_python_it_says_what_to_do(runner: Runner) -> None:
    """When no Python is new enough the error names both ways out, as an annotation in Actions."""
    (runner.tools / "python3").unlink()
    done = runner.set_up(GITHUB_ACTIONS="true")
    assert done.returncode == 2
    assert "::error title=accel-ci: Python::No Python 3.11 or newer was found" in done.stderr
    assert "actions/setup-python" in done.stderr
    assert "ACCEL_CI_PYTHON" in done.stderr


def test_a_named_python_decides_alone(runner: Runner) -> None:
    """ACCEL_CI_PYTHON is used even when the PATH has none, and never silently replaced when it is wrong."""
    (runner.tools / "python3").unlink()
    assert runner.set_up(ACCEL_CI_PYTHON=BASE_PYTHON).returncode == 0
    wrong = runner.set_up(ACCEL_CI_PYTHON="/nonexistent/python")
    assert wrong.returncode == 2
    assert "ACCEL_CI_PYTHON is '/nonexistent/python'" in wrong.stderr


def test_a_later_python_on_the_path_changes_nothing(runner: Runner) -> None:
    """A step that puts another Python in front does not make the program anew."""
    runner.set_up()
    made = runner.made()
    script(runner.tools / "python3", "exit 1")
    assert runner.set_up().returncode == 0
    assert runner.made() == made


def test_outside_of_a_job_it_asks_for_a_directory(runner: Runner) -> None:
    """Without RUNNER_TEMP the error says what to set."""
    del runner.environment["RUNNER_TEMP"]
    done = runner.set_up()
    assert done.returncode == 2
    assert "RUNNER_TEMP is not set" in done.stderr


def test_the_locked_libraries_install_for_real(runner: Runner, tmp_path: pathlib.Path) -> None:
    """The repository's own locks and code become a program that starts, from the package index of this computer."""
    extras = sorted(path.stem for path in (REPOSITORY / "requirements").glob("*.txt"))
    names = [name for name in extras if name not in {"dev", "runtime"}]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment |= {"RUNNER_TEMP": str(tmp_path / "a job"), "PATH": f"{UV.parent}:{os.environ['PATH']}"}
    command = ["bash", str(REPOSITORY / "actions" / "internal" / "setup" / "setup.sh"), *names]
    done = run(command, cwd=tmp_path, environment=environment)
    assert done.returncode == 0, done.stderr
    launcher = str(tmp_path / "a job" / "accel-ci" / "bin" / "accel-ci")
    told = run([launcher, "--help"], cwd=tmp_path, environment=environment)
    assert told.returncode == 0, told.stderr
    assert "provision" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (("auto", "v6e-1"), {}, {"gce", "tpu"}),
        (("auto", "v6e-16"), {}, {"tpu"}),
        (("auto", "v5litepod-16", "github"), {}, {"tpu"}),
        (("auto", "l4-1", "github"), {}, {"gce"}),
        (("auto", "n1-standard-8+t4-1"), {}, {"gce"}),
        (("auto", "tpu7x-2"), {}, {"gce"}),
        (("gce", "e2-medium"), {}, {"gce"}),
        (("auto", "local-4"), {"GOOGLE_APPLICATION_CREDENTIALS": "key.json"}, set()),
        (("auto",), {}, set()),
        (("auto",), {"GOOGLE_APPLICATION_CREDENTIALS": "key.json"}, {"gce", "tpu"}),
        (("auto",), {"WORKLOAD_IDENTITY_PROVIDER": "projects/1/..."}, {"gce", "tpu"}),
        (("auto",), {"WORKLOAD_IDENTITY_PROVIDER": ""}, set()),
        (("local", "v6e-1"), {"GOOGLE_APPLICATION_CREDENTIALS": "key.json"}, set()),
    ],
)
def test_auto_brings_the_library_of_the_backend_it_means(
    runner: Runner, arguments: tuple[str, ...], environment: dict[str, str], expected: set[str]
) -> None:
    """`auto` is what the type's backends need, or all of Google Cloud where somebody signed in and no type is named."""
    for name in ("gce", "tpu"):
        runner.write(f"requirements/{name}.txt", (runner.action / "requirements/cloud.txt").read_text())
    assert runner.set_up(*arguments, **environment).returncode == 0
    assert {name.partition("+")[2] for name in runner.made()} - {""} == expected


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        (("auto", "l4-1"), ("auto", "own"), {"gce"}),
        (("auto", "v5p-8"), ("auto", "own"), {"tpu"}),
        (("auto", "v6e-1"), ("auto", "own"), {"gce", "tpu"}),
        (("github",), ("auto", "own"), {"gce", "tpu"}),
        (("auto", "l4-1"), ("auto",), {"gce", "tpu"}),
        (("auto", "l4-1"), ("auto", "v5p-8"), {"gce", "tpu"}),
    ],
)
def test_what_the_job_brought_is_enough_to_clean_up_after_it(
    runner: Runner, first: tuple[str, ...], then: tuple[str, ...], expected: set[str]
) -> None:
    """`own` adds nothing to the backends of the job's earlier steps; without any, and for other jobs, all are brought."""
    for name in ("gce", "tpu"):
        runner.write(f"requirements/{name}.txt", (runner.action / "requirements/cloud.txt").read_text())
    for arguments in (first, then):
        assert runner.set_up(*arguments, GOOGLE_APPLICATION_CREDENTIALS="key.json").returncode == 0
    assert {name.partition("+")[2] for name in runner.made()} - {""} == expected


@pytest.mark.parametrize(("key", "expected"), [("a key", True), ("", False)])
def test_who_opens_sealed_secrets_gets_their_library(runner: Runner, key: str, expected: bool) -> None:
    """The key in the environment is the sign; nobody else pays for it."""
    runner.write("requirements/secrets.txt", (runner.action / "requirements/cloud.txt").read_text())
    assert runner.set_up("local", ACCEL_CI_SECRETS_KEY=key).returncode == 0
    assert any(name.endswith("+secrets") for name in runner.made()) is expected
