"""Who we are to a cloud, for as long as the job takes and for the minutes after it was cancelled."""

from __future__ import annotations

from typing import Protocol


class Credentials(Protocol):
    """What was signed in to is kept in the job's private directory, so that cleanup can act when nobody signs in any more."""

    def keep_fresh(self) -> str:
        """See to it that what is kept goes on to live; why that did not work now, "" when all is well.

        To be called often while nothing else speaks to the cloud: it acts only when the time has come, takes less than
        a minute then, and raises nothing. Where nobody signed in there is nothing to do.
        """
