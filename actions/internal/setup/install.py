"""Puts the program and its locked libraries into a directory of the job; setup.sh calls install.py HOME [EXTRA ...].

HOME/program/<digest>/        the libraries of requirements/runtime.txt, our own code beside them, and a __main__.py
HOME/program/<digest>+EXTRA/  the libraries of requirements/EXTRA.txt that are not in one of the others already
HOME/program/python           the interpreter that all of it was made for
HOME/bin/accel-ci             the launcher

A directory is made under another name and then renamed, so what exists is whole, and of two steps at once one wins.
Only the standard library is used, and on the quick path as little of it as possible: every step of a job passes here.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence

REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
REQUIREMENTS = os.path.join(REPOSITORY, "requirements")
SOURCE = os.path.join(REPOSITORY, "src", "accel_ci")
RESERVED = {"build", "dev", "runtime"}
EXTRA = re.compile(r"[a-z][a-z0-9+-]{0,62}")
# Which backends have a type: TPUs of one host from v6e on both, newer TPUs and all that is no TPU Compute Engine alone.
BACKENDS = (
    (re.compile(r"local(-[0-9]+)?"), ()),
    (re.compile(r"v6e-[148]"), ("gce", "tpu")),
    (re.compile(r"v[0-9][a-z0-9]*-[0-9]+"), ("tpu",)),
    (re.compile(r"[a-z][a-z0-9]*(-[a-z0-9+]+)+"), ("gce",)),
)
GOOGLE = ("gce", "tpu")
OWN = "own"
GOOGLE_SIGN_IN = ("WORKLOAD_IDENTITY_PROVIDER", "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE")

# What says where packages come from and how to get there stays; what could change the place or the choice goes.
KEPT = re.compile(
    r"(?:PIP|UV)_.*(?:CACHE|CERT|CONFIG_FILE|FIND_LINKS|HOST|INDEX|KEYRING|LINK_MODE|OFFLINE|PROXY|RETRIES|TIMEOUT|TLS)"
)
DROPPED = re.compile(r"(?:PIP|UV|PYTHON)|(?:VIRTUAL_ENV|CONDA_PREFIX)$")

# A directory given to Python is its sys.path[0], with -I too; the extras' directories stand beside it.
MAIN = """\
import os
import sys

sys.argv[0] = "accel-ci"
parent, own = os.path.split(sys.path[0])
sys.path += [os.path.join(parent, name) for name in sorted(os.listdir(parent)) if name.startswith(own + "+")]

from accel_ci.cli import main

sys.exit(main())
"""


class SetupError(Exception):
    """Why the program could not be put on disk, and what to do about it."""


def main(home: str, *extras: str) -> int:
    """Make what is missing; 0 when the launcher can be used, 2 for a wrong argument, 3 when libraries cannot be had."""
    wrong = [extra for extra in extras if extra and (extra in RESERVED or not EXTRA.fullmatch(extra))]
    if wrong:
        return report(f"{wrong[0]!r} is not the name of a backend.", code=2)
    program = os.path.join(home, "program", digest())
    try:
        if not os.path.isdir(program):
            make(program, "runtime", own_code=True)
        for extra in wanted(extras, brought(program)):
            place = f"{program}+{extra}"
            if os.path.isfile(lock_of(extra)) and not os.path.isdir(place):
                make(place, extra, there=made(program))
    except (OSError, SetupError) as error:
        return report(str(error), code=3)
    write(os.path.join(home, "program", "python"), f"{sys.executable}\n")
    write(os.path.join(home, "bin", "accel-ci"), launcher(program), mode=0o700)
    return 0


def wanted(arguments: tuple[str, ...], brought: tuple[str, ...] = ()) -> list[str]:
    """The extras that the arguments mean: `auto` is the backends that have the type beside it, or all of Google Cloud's

    where no type is and somebody signed in; beside `own` what was `brought` is enough, if anything was. Who has the key to
    sealed secrets needs their library.
    """
    signed_in = any(os.environ.get(name) for name in GOOGLE_SIGN_IN)
    sealed = ["secrets"] if os.environ.get("ACCEL_CI_SECRETS_KEY") else []
    found: tuple[str, ...] = ()
    if "auto" in arguments:
        known = [extras for text in arguments for form, extras in BACKENDS if form.fullmatch(text)]
        everything = (OWN in arguments and brought) or (GOOGLE if signed_in else ())
        found = known[0] if known else everything
    return [*filter(None, arguments), *found, *sealed]


def brought(program: str) -> tuple[str, ...]:
    """The backends whose libraries earlier steps of the job brought."""
    return tuple(name for name in GOOGLE if os.path.isdir(f"{program}+{name}"))


def digest() -> str:
    """16 hex digits over the interpreter, the locks and every byte of our own code."""
    total = hashlib.sha256(f"{sys.executable}\0{sys.version}\0{MAIN}".encode())
    for top in (REQUIREMENTS, SOURCE):
        for folder, folders, names in os.walk(top):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(names):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    content = file.read()
                total.update(f"{os.path.relpath(path, REPOSITORY)}\0{len(content)}\0".encode())
                total.update(content)
    return total.hexdigest()[:16]


def launcher(program: str) -> str:
    """The text of bin/accel-ci. -I and -S keep PYTHON* variables, the working directory and site-packages out."""
    import shlex

    return f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S -X utf8 {shlex.quote(program)} "$@"\n'


def make(place: str, name: str, *, there: Sequence[str] = (), own_code: bool = False) -> None:
    """Fill the directory `place` from the lock of that name but for what the locks `there` brought, and with our own

    code, or leave nothing of it behind.
    """
    import shutil
    import tempfile

    os.makedirs(os.path.dirname(place), exist_ok=True)
    unfinished = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(place))
    try:
        install(name, lacking(name, there), unfinished)
        if own_code:
            copy(SOURCE, os.path.join(unfinished, "accel_ci"))
            write(os.path.join(unfinished, "__main__.py"), MAIN)
        try:
            os.rename(unfinished, place)
        except OSError:
            if not os.path.isdir(place):
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def copy(source: str, target: str) -> None:
    """Copy the directory's contents but not its modes: what was copied from a read-only action can be written to."""
    import shutil

    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, target, copy_function=shutil.copyfile, ignore=ignored)
    for folder, _, _ in os.walk(target):
        os.chmod(folder, 0o700)


def lock_of(name: str) -> str:
    """The path of the lock file."""
    return os.path.join(REQUIREMENTS, f"{name}.txt")


def made(program: str) -> list[str]:
    """The names of the locks whose libraries are there, whole."""
    parent, own = os.path.split(program)
    return ["runtime", *(name[len(own) + 1 :] for name in os.listdir(parent) if name.startswith(own + "+"))]


def lacking(name: str, there: Sequence[str]) -> list[str]:
    """The pins of the lock of that name that are in none of the locks `there`: half of a cloud's library is in others."""
    known = {pin for each in there for pin in pins(each)}
    return [pin for pin in pins(name) if pin not in known]


def pins(name: str) -> list[str]:
    """Each library of the lock with its version and hashes, as a lock file says it, without comments."""
    with open(lock_of(name), encoding="utf-8") as file:
        lines = "".join(line for line in file if not line.lstrip().startswith("#"))
    return re.findall(r"^\S.*\n(?:[ \t].*\n)*", lines, re.MULTILINE)


def install(name: str, wheels: Sequence[str], target: str) -> None:
    """Install these pins of the lock of that name into `target` with the first installer that can."""
    import subprocess
    import tempfile

    if not wheels:
        return None
    variables = environment(os.environ)
    tried = []
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=os.path.dirname(target)) as scratch:
        lock = os.path.join(scratch, f"{name}.txt")
        write(lock, "".join(wheels))
        options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", target, "-r", lock]
        for command in installers(scratch, variables):
            # The scratch directory, for the configuration files of a checkout are not ours to follow.
            done = subprocess.run([*command, *options], cwd=scratch, env=variables, stdout=sys.stderr, check=False)
            if done.returncode == 0:
                return refuse_more(target, name, wheels)
            tried.append(os.path.basename(command[0]))
    raise SetupError(
        f"The libraries of requirements/{name}.txt could not be installed ({' and '.join(tried)} failed, "
        "see the lines above). Needed is a package index that can be reached, and either uv on the PATH or pip or venv "
        f"for {sys.executable}."
    )


def refuse_more(target: str, lock: str, wheels: Sequence[str]) -> None:
    """SetupError when something was installed that these pins of the lock of that name do not have."""
    named = {plain(re.split(r"\[|==", each)[0]) for each in wheels}
    there = {plain(name.partition("-")[0]) for name in os.listdir(target) if name.endswith(".dist-info")}
    # A pip.conf or uv.toml of the user, which an earlier job may have left, can demand more: with hashes of its own.
    if more := sorted(there - named):
        raise SetupError(
            f"The installer brought more than requirements/{lock}.txt names here: {', '.join(more)}. A "
            "configuration file of pip or uv on this runner asks for it: look at `pip config debug`, and take it out."
        )


def plain(name: str) -> str:
    """A distribution's name in the one spelling that stands for all: https://peps.python.org/pep-0503/#normalized-names"""
    return re.sub(r"[-_.]+", "-", name).lower()


def installers(scratch: str, variables: Mapping[str, str]) -> Iterator[list[str]]:
    """The commands that install, the quickest first: uv, then pip; a Python without pip gets one in `scratch`."""
    import shutil
    import subprocess

    if uv := shutil.which("uv"):
        # uv believes what lies in its cache, and an earlier job on this machine could have put it there.
        yield [uv, "pip", "install", "--no-cache", "--python", sys.executable]
    python = sys.executable
    probe = subprocess.run([python, "-I", "-c", "import pip"], env=variables, stderr=subprocess.DEVNULL, check=False)
    if probe.returncode:
        subprocess.run([python, "-I", "-m", "venv", scratch], env=variables, stdout=sys.stderr, check=False)
        python = os.path.join(scratch, "bin", "python")
    if os.path.exists(python):
        yield [python, "-I", "-m", "pip", "install", "--no-compile", "--root-user-action=ignore"]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment for an installer: only the settings of pip and uv that say where packages come from."""
    kept = {name: value for name, value in variables.items() if KEPT.match(name) or not DROPPED.match(name)}
    # These override a pip.conf, which may forbid installing outside of a virtual environment.
    return kept | {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def write(path: str, text: str, *, mode: int = 0o600) -> None:
    """Make the file say `text`; a reader sees the old or the new text, never a part."""
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    except OSError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    unfinished = f"{path}.{os.getpid()}"
    with open(unfinished, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(unfinished, mode)
    os.replace(unfinished, path)


def report(problem: str, *, code: int) -> int:
    """Tell the job's reader what is wrong; the exit code comes back."""
    text = problem.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    in_actions = os.environ.get("GITHUB_ACTIONS") == "true"
    print(f"::error title=accel-ci: set-up::{text}" if in_actions else f"accel-ci: {problem}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
