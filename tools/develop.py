"""Makes .venv what requirements/dev.txt says, with the package installed editable. Quick when nothing changed."""

from __future__ import annotations

import hashlib
import pathlib
import re
import subprocess
import sys
import venv

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
VENV = REPOSITORY / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "made-from"
LOCK = REPOSITORY / "requirements" / "dev.txt"


def main() -> None:
    """Do nothing when the stamp matches; else sync what is there, or begin anew for another interpreter or place."""
    interpreter = f"{sys.version}\n{REPOSITORY}\n"
    wanted = interpreter + hashlib.sha256(LOCK.read_bytes() + (REPOSITORY / "pyproject.toml").read_bytes()).hexdigest()
    made_from = STAMP.read_text() if STAMP.exists() else ""
    if made_from == wanted:
        return
    if not made_from.startswith(interpreter):
        begin()
    # First: a set-up that breaks off in the middle must begin again.
    STAMP.unlink(missing_ok=True)
    uv("sync", "--require-hashes", str(LOCK))
    uv("install", "--no-deps", "--no-build-isolation", "--editable", str(REPOSITORY))
    STAMP.write_text(wanted)
    print(f"{VENV.name} is ready ({sys.version.split()[0]})")


def begin() -> None:
    """A new .venv that holds only uv, in the version and with the hashes of the lock."""
    try:
        # Another interpreter's leftovers would be imported silently.
        venv.EnvBuilder(clear=True, symlinks=True, with_pip=True).create(VENV)
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"{sys.executable} cannot make a virtual environment: {error}. On Debian: apt-get install python3-venv"
        )
    entry = re.search(r"^uv==.*?[^\\]$", LOCK.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert entry, f"{LOCK.name} does not pin uv"
    only_uv = VENV / "uv.txt"
    only_uv.write_text(entry.group() + "\n")
    run(PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", only_uv)


def uv(command: str, *arguments: str) -> None:
    """Run `uv pip COMMAND` on .venv: no cache, so that HOME does not matter, and the computer's own certificates."""
    run(VENV / "bin" / "uv", "pip", command, "--quiet", "--no-cache", "--system-certs", "--python", PYTHON, *arguments)


def run(*command: str | pathlib.Path) -> None:
    """Run the command in the repository; its failure, already explained by itself, ends this program."""
    done = subprocess.run(command, cwd=REPOSITORY, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
