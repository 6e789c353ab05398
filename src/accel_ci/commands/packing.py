"""Whether the code can be packed here at all, asked before a machine is leased that would wait for it in vain."""

from __future__ import annotations

from accel_ci import wiring
from accel_ci.adapters import git_command, workspace_tar
from accel_ci.commands.call import Call
from accel_ci.domain.context import Context


def check(call: Call, here: Context, *, wanted: str = "") -> None:
    """ConfigurationError where git is missing and needed: for a commit, and for a directory that git knows.

    `wanted` is the input `source`; "" where only a later step says it: then a directory that needs no git is a warning.
    """
    missing = git_command.missing(wiring.harmless(call.environ))
    if missing is None:
        return
    directory = wiring.directory(call.environ)
    alone = workspace_tar.needs_no_git(directory)
    if wanted == "workspace" or (wanted in ("", "auto") and not here.on_github):
        if alone:
            return
    elif not wanted and alone and not workspace_tar.is_empty(directory):
        call.job.warning("git", f"{missing}: run-remote can only send the directory as it is (`source: workspace`)")
        return
    raise missing
