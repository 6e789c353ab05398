"""What a verb is called with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from accel_ci.adapters import registry
from accel_ci.adapters.stop_signals import StopSignals
from accel_ci.domain.errors import Mistake
from accel_ci.inputs import parsing
from accel_ci.inputs.declaration import Inputs
from accel_ci.ports.job import Job

M = TypeVar("M", bound=Inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a verb is called with: texts by input name, the environment, the job to talk to, and who may stop us.

    `mistakes` are those of the words and documents that the texts came in.
    """

    given: Mapping[str, str]
    environ: Mapping[str, str]
    job: Job
    stop: StopSignals
    mistakes: Sequence[Mistake] = ()

    def read(self, model: type[M], *, found: Sequence[Mistake] = ()) -> M:
        """The verb's inputs; ConfigurationError with all that is wrong and can be known without a call, all at once."""
        return parsing.parse(model, self.given, found=(*self.mistakes, *found), look=registry.mistakes)

    def tell(self, values: Mapping[str, str]) -> None:
        """Hand these values to later steps."""
        for name, value in values.items():
            self.job.output(name, value)
