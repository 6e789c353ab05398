"""Every failure accel-ci can report, in three families, each with an exit code and what to do next."""

from __future__ import annotations

import errno
from enum import StrEnum

DOCS = "https://github.com/org/accel-ci/blob/main/docs/errors.md"

ROOM = "make room on the disk, or keep our documents on another one: ACCEL_CI_STATE=DIRECTORY; then run it again"
RIGHTS = "let yourself write there, or keep our documents elsewhere: ACCEL_CI_STATE=DIRECTORY; then run it again"
HANDLES = "let the process open more files, such as `ulimit -n 1024`, and run it again"
MENDS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), ROOM),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG), RIGHTS),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), HANDLES),
    **dict.fromkeys((errno.ENOMEM, errno.EAGAIN), "end other programs, and run it again"),
    errno.EIO: "look after the disk, and run it again",
}


class Family(StrEnum):
    """Whose turn it is: the reader's, the cloud's, or ours."""

    CONFIGURATION = "your configuration"
    CLOUD = "the cloud"
    BUG = "our bug"


class AccelError(Exception):
    """A failure with a title, what happened, and one thing to do; `exit_code` ends the process."""

    family = Family.BUG
    exit_code = 70
    title = "accel-ci failed"
    anchor = "our-bug"

    def __init__(self, what_happened: str, *, what_to_do: str = "") -> None:
        super().__init__(what_happened)
        self.what_happened = what_happened
        self.what_to_do = what_to_do

    @property
    def docs(self) -> str:
        """The address of the page that explains this error."""
        return f"{DOCS}#{self.anchor}"


class ConfigurationError(AccelError):
    """The inputs, the workflow or the event cannot work as written (exit 2)."""

    family = Family.CONFIGURATION
    exit_code = 2
    title = "configuration"
    anchor = "configuration"

    def __init__(self, what_happened: str, *, what_to_do: str = "", mistakes: tuple[Mistake, ...] = ()) -> None:
        super().__init__(what_happened, what_to_do=what_to_do)
        self.mistakes = mistakes


class Mistake:
    """One wrong input: its `name`, what is wrong with it, and a suggestion ("" for none). Never holds a secret."""

    __slots__ = ("name", "problem", "suggestion")

    def __init__(self, name: str, problem: str, suggestion: str = "") -> None:
        self.name = name
        self.problem = problem
        self.suggestion = suggestion

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}" + (f" ({self.suggestion})" if self.suggestion else "")


class CloudError(AccelError):
    """A cloud, a machine or a connection did not do its part (exit 3)."""

    family = Family.CLOUD
    exit_code = 3
    title = "the cloud"
    anchor = "cloud"


class TransientError(CloudError):
    """A call may have worked or not: look before repeating it."""

    anchor = "transient"


class NoCapacityError(CloudError):
    """The zone has no such machine now: the next zone may."""

    title = "no capacity"
    anchor = "no-capacity"


class QuotaError(CloudError):
    """The project may not have more of these in the region: another region may allow it, unless this is so `everywhere`."""

    title = "quota"
    anchor = "quota"

    def __init__(self, what_happened: str, *, what_to_do: str = "", everywhere: bool = False) -> None:
        super().__init__(what_happened, what_to_do=what_to_do)
        self.everywhere = everywhere


class AccessError(CloudError):
    """The identity may not do this: trying elsewhere will not help."""

    title = "access denied"
    anchor = "access"


class BootError(CloudError):
    """The machine exists but never became usable."""

    title = "boot failed"
    anchor = "boot-failed"


class UnhealthyError(BootError):
    """The machine runs, but its accelerators are not well."""

    title = "unhealthy machine"


class ConnectionLostError(TransientError):
    """A worker could not be reached, or stopped answering."""

    title = "connection lost"
    anchor = "connection-lost"


class CleanupUnverifiedError(AccelError):
    """A machine may still live; `commands` end it by hand (exit 5)."""

    family = Family.CLOUD
    exit_code = 5
    title = "cleanup unverified"
    anchor = "cleanup-unverified"

    def __init__(self, what_happened: str, *, commands: tuple[str, ...]) -> None:
        super().__init__(what_happened, what_to_do="Run by hand: " + " ; ".join(commands))
        self.commands = commands


class ComputerError(AccelError):
    """The computer that we run on did not do its part: a full disk, a directory that it may not write (exit 3)."""

    family = Family.CLOUD
    exit_code = 3
    title = "this computer"
    anchor = "this-computer"

    @classmethod
    def of(cls, error: OSError, place: str = "") -> ComputerError | None:
        """What people can mend about a failed call of the system; None for anything that may be our own mistake."""
        what_to_do = MENDS.get(error.errno or 0)
        if what_to_do is None:
            return None
        named = place or error.filename or ""
        return cls(f"{error.strerror}{f': {named}' if named else ''}", what_to_do=what_to_do)


def damaged(document: str) -> ComputerError:
    """The error for a document of ours that cannot be understood: half of one, or another version's."""
    return ComputerError(
        f"{document} is damaged, or was written by another version of accel-ci",
        what_to_do="begin anew; what still lives, and what ends it, says `accel-ci list`",
    )


class CancelledError(AccelError):
    """Somebody asked us to stop: SIGINT or SIGTERM arrived (exit 130)."""

    family = Family.CONFIGURATION
    exit_code = 130
    title = "cancelled"
    anchor = "cancelled"
