"""Builds the image as GitHub's runner does and runs it with the runner's mounts and variables: `make image-test`, as root.

Needs buildah and debootstrap (Debian: `apt-get install buildah debootstrap`) and no Docker engine. BUILDAH_OPTIONS is
added to the build, for instance to mount a pip.conf that says where packages come from.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASE, IMAGE = "localhost/accel-ci-base", "localhost/accel-ci"
USER = 1001
PACKAGES = "ca-certificates,python3,python3-venv"
PUSH = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_JOB": "tpu",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_REPOSITORY": "org/hello",
    "GITHUB_REPOSITORY_ID": "4711",
    "GITHUB_RUN_ID": "77",
    # In the place of https://github.com: a directory, so that no test needs the internet.
    "GITHUB_SERVER_URL": "/github/workspace",
    "HOME": "/github/home",
    "INPUT_ACCELERATOR": "local",
    "INPUT_BACKEND": "auto",
    "INPUT_MATRIX": "null",
    "INPUT_PATHS": "*.txt",
    "INPUT_RUN": "python3 -c 'import hello; print(hello.__doc__)' > told.txt",
    "INPUT_STRATEGY": "null",
    "INPUT_TEMP": '"/home/runner/work/_temp"',
    "RUNNER_TEMP": "/github/runner_temp",
}


def main() -> int:
    """0 when the image does what container/action.yml needs of it."""
    if not output("buildah", "images", "--quiet", "--filter", f"reference={BASE}"):
        make_base()
    more = shlex.split(os.environ.get("BUILDAH_OPTIONS", ""))
    call(
        "buildah",
        "bud",
        "--isolation",
        "chroot",
        "--pull-never",
        "--build-arg",
        f"BASE={BASE}",
        *more,
        "-t",
        IMAGE,
        ".",
    )
    container = output("buildah", "from", "--pull-never", IMAGE)
    try:
        check_contents(container)
        with tempfile.TemporaryDirectory() as temp:
            check_journey(container, Path(temp))
        with tempfile.TemporaryDirectory() as temp:
            check_other_user(container, Path(temp))
    finally:
        call("buildah", "rm", container)
    print("The image does what the action needs of it.")
    return 0


def make_base() -> None:
    """Debian with Python, in place of the image that the Dockerfile starts from."""
    with tempfile.TemporaryDirectory() as directory:
        call("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", directory)
        container = output("buildah", "from", "scratch")
        call("buildah", "add", "--quiet", container, directory, "/")
        call("buildah", "commit", "--quiet", container, BASE)
        call("buildah", "rm", container)


def check_contents(container: str) -> None:
    """The user is not root, and git, ssh and the program with the clouds' libraries are there."""
    config = json.loads(output("buildah", "inspect", "--type", "image", IMAGE))["OCIv1"]["config"]
    assert (config["User"], config["Entrypoint"]) == (f"{USER}:{USER}", ["/opt/accel-ci/bin/accel-ci"]), config
    script = "id -u; git --version; ssh -V 2>&1; accel-ci --version; test ! -w /opt/accel-ci"
    said = output("buildah", "run", "--isolation", "chroot", container, "--", "sh", "-ec", script)
    assert said.startswith(f"{USER}\ngit version") and "OpenSSH" in said and "accel-ci" in said, said


def check_journey(container: str, temp: Path) -> None:
    """The action's two entry points: a push is tested, files come back to the runner, cleanup finds nothing left."""
    sha = make_repository(temp / "workspace/org/hello")
    (temp / "runner_temp").mkdir()
    (temp / "home").mkdir()
    for name in ("event.json", "output", "summary"):
        (temp / "runner_temp" / name).write_text("{}" if name == "event.json" else "")
    call("chown", "--recursive", f"{USER}:{USER}", str(temp))
    temp.chmod(0o755)
    done = act(container, temp, "run", GITHUB_SHA=sha)
    assert done.returncode == 0, done.stdout
    # The runner rewrites paths in variables, not in what is written into files.
    told = (temp / "runner_temp/output").read_text()
    assert "/home/runner/work/_temp/accel-ci/runs/" in told and "/github/runner_temp" not in told, told
    assert "passed" in told and "Passed on local" in (temp / "runner_temp/summary").read_text(), told
    (back,) = (temp / "runner_temp/accel-ci/runs").glob("*/main/artifacts/w0/*-told.txt")
    assert back.read_text() == "Hello.\n"
    done = act(container, temp, "cleanup", GITHUB_SHA=sha)
    assert done.returncode == 0, done.stdout


def check_other_user(container: str, temp: Path) -> None:
    """On a runner of another user it says so, and what to use instead."""
    (temp / "runner_temp").mkdir(mode=0o755)
    for name in ("workspace", "home"):
        (temp / name).mkdir()
    temp.chmod(0o755)
    done = act(container, temp, "run")
    assert done.returncode == 2 and "Use org/accel-ci@v1 here" in done.stdout, done.stdout


def make_repository(place: Path) -> str:
    """A repository with one commit at the path; the commit."""
    place.mkdir(parents=True)
    (place / "hello.py").write_text('"""Hello."""\n')
    git = (
        "git",
        "-C",
        str(place),
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "-c",
        "init.defaultBranch=main",
    )
    call(*git, "init", "--quiet")
    call(*git, "add", "--all")
    call(*git, "commit", "--quiet", "--message", "hello")
    return output(*git, "rev-parse", "HEAD")


def act(container: str, temp: Path, entrypoint: str, **more: str) -> subprocess.CompletedProcess[str]:
    """What GitHub's runner does (actions/runner, ContainerActionHandler.cs): its directories below /github, its variables."""
    places = {"GITHUB_EVENT_PATH": "event.json", "GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary"}
    variables = PUSH | {name: f"/github/runner_temp/{file}" for name, file in places.items()} | more
    command = ["buildah", "run", "--isolation", "chroot", "--workingdir", "/github/workspace"]
    for name in ("runner_temp", "home", "workspace"):
        command += ["--volume", f"{temp / name}:/github/{name}"]
    command += [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    command += [container, "--", f"/opt/accel-ci/action/{entrypoint}"]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False
    )


def call(*command: str) -> None:
    """Run it; its failure is ours."""
    subprocess.run(command, cwd=ROOT, check=True)


def output(*command: str) -> str:
    """What it prints."""
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
