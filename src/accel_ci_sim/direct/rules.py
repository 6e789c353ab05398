"""The rules that hold in every world, by name."""

from __future__ import annotations

RULES = {
    "I0": "whatever leaves a process is an error of accel-ci's own",
    "I1": "no machine lives past its bound: its own limit + 30 s, or expiry + grace + two sweeps once faults have stopped",
    "I2": "nobody ends a machine but its job, its run's cleanup job, or a sweep that may; no cleanup while somebody keeps it",
    "I3": "the output that was kept is what the command wrote, byte by byte from the first",
    "I4": "one verdict for each run, the same in record, history and check; no check is green without proof",
    "I5": "a pull request has at most one comment of ours of each kind, once GitHub's lists tell of all of them",
    "I6": "one open issue for what fails, none once it is green again, as far as GitHub's lists tell of it",
    "I7": "no code starts but the commit that a maintainer's label granted, and a label grants once",
    "I8": "no secret is in a record, a log, a summary, a comment, a check or an issue",
    "I9": "one machine for each slot of a job, or of the run where jobs share it, and none for a run whose verdict is known",
    "I10": "the bill has every second that the leased machine cost since the job had it, and in a quiet world less than a"
    " minute more",
    "I11": "every process ends by itself within its limits; cleanup within 285 s",
    "I12": "once faults stop, nothing is left that costs money, and no check of a finished run is pending",
    "I-pass": "passed needs an end record with our nonce and exit code 0 from every worker",
    "I-clean": "a proof of cleanup is true of all that could be seen; without one, all that was seen was asked to end",
    "I-true": "in a world where only the commands fail, the verdict is the one that they deserve",
    "I-signal": "a provision that is told to stop asks for the machine's end within a second",
    "I-beside": "what is overdue ends beside the next provision",
    "I-queue": "only a run that waits in the queue for too long is cancelled there, and in the end every such run",
}
