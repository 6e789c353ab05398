"""Rules about a verdict that is not true, and output that can do more than be read."""

from __future__ import annotations

import re

from accel_ci.doctor.rule import Found, rule
from accel_ci.doctor.workflow import Line, Step, Workflow

GREP = re.compile(r"(?:^|[|;&!]\s*|\bif\s+)!?\s*e?grep\b")
# Of errors alone (`2>`), and into another stream (`>&1`), nothing is lost.
REDIRECT = re.compile(r"(?<![0-9&])>{1,2}\s*([\w./$\{\}-]+\.(?:txt|log|out))")
REMOTE = re.compile(r"\bgcloud\b.*\bssh\b|\bssh\b\s|\bkubectl\b.*\bexec\b|\btpu_ssh\b|\bsky\s+(?:exec|launch|logs)\b")
BELIEVED = re.compile(r"StrictHostKeyChecking[= ]\s*(?:no|off|accept-new)\b|\bssh-keyscan\b")
# What tells facts and tests nothing: its output is no test's.
WRITES = re.compile(
    r"(?:echo|cat|printf|git|gh|find|ls|jq|sed|awk|sort|date|env|curl|head|tail|grep|diff|gcloud|aws)\b"
)
# A search in a file of the repository looks for what people wrote there.
SOURCES = re.compile(r"\.(?:toml|py|ya?ml|json|cfg|ini|md|rst|sh|bzl|lock|h|cc|cpp|cu)\b|\s(?:-\w*[rR]\w*\s)")
OUTCOME = re.compile(r"\b(?:OK|PASS(?:ED)?|SUCCESS|DONE|FAIL(?:ED|URE)?S?|ERRORS?)\b(?!-)", re.IGNORECASE)
SHOWS = re.compile(r"^(?:cat|tail|head|tee)\b")
RUN_REMOTE = """
    steps:
      - uses: org/accel-ci/run-remote@v1
        with: {run: "python -m pytest"} # the command's own exit code is the verdict
    """


@rule(
    why="""A word in the output proves nothing: a test named `test_lookOKup` that fails prints "OK" too, and so can
    whoever wrote the code under test. The exit code, read from a record that the command cannot write, is the verdict.""",
    mend=RUN_REMOTE,
)
def verdict_by_grep(workflow: Workflow) -> Found:
    """A search for a word of success in a test's output."""
    for step in workflow.steps:
        for line in step.lines:
            found = GREP.search(line.text)
            if found and OUTCOME.search(line.text) and not SOURCES.search(line.text, found.start()):
                yield line, "the verdict hangs on a word in the output, which any test can print"


@rule(
    why="""GitHub runs scripts with `bash -e`: when the tests fail the script ends at that line, before the one that
    shows the output. So the log is lost exactly when somebody needs it. accel-ci streams the output while it comes, and
    keeps all of it.""",
    mend=RUN_REMOTE,
)
def output_lost_on_failure(workflow: Workflow) -> Found:
    """Output in a file that is shown by a later line of the same script."""
    for step in workflow.steps:
        # The script goes on, so what comes later is shown.
        if any(re.match(r"set \+e", each.text) for each in step.lines):
            continue
        for number, line in enumerate(step.lines):
            file = REDIRECT.search(line.text)
            if (
                file
                and not WRITES.match(line.text)
                and "||" not in line.text
                and _shown(step.lines[number + 1 :], file[1])
            ):
                yield line, f"when this fails the script ends here, and `{file[1]}` is never shown"


def _shown(later: tuple[Line, ...], file: str) -> bool:
    return any(SHOWS.match(each.text) and file in each.text for each in later)


@rule(
    why="""GitHub obeys commands in a step's output: a line with `::` at its start, or `##[` anywhere in it. Code under
    test can so mask words, forge errors and, with `set-output`, feed later steps. accel-ci stops commands while remote
    output is shown, and cleans every line.""",
    mend=RUN_REMOTE,
)
def commands_in_remote_output(workflow: Workflow) -> Found:
    """Output of a remote machine in the log of a script that does not stop workflow commands."""
    for step in workflow.steps:
        # The one way to make a runner deaf; whether the token is a good one is not looked at.
        if step.script and "::stop-commands::" not in step.script.text:
            place = _remote_output(step)
            if place:
                yield place, "the machine's output reaches the log as it is, and GitHub obeys commands in it"


def _remote_output(step: Step) -> Line | None:
    return next((each for each in step.lines if REMOTE.search(each.text) and "()" not in each.text), None)


@rule(
    why="""Whoever answers at the machine's address is believed, and gets the code, the secrets and the last word on the
    tests. Addresses are used again by other customers within minutes. accel-ci reads the machine's own key through
    the cloud's interface, before any code runs there, and pins it.""",
    mend=RUN_REMOTE,
)
def host_not_proven(workflow: Workflow) -> Found:
    """ssh to a machine whose key nobody has compared."""
    for step in workflow.steps:
        for line in step.lines:
            if BELIEVED.search(line.text):
                yield line, "any host that answers there is taken for the machine"


@rule(
    why="""In a condition bash ignores errors: a missing file, an empty number, a syntax error of `bc` all count as
    "no", and the step is green. A check that could not look has to fail. Compute first, on lines of their own, and let
    the error end the script.""",
    mend="""
    steps:
      - run: |
          current=$(jq --exit-status .elapsed_seconds timing.json)
          slower=$(echo "$current > 126" | bc -l)
          test "$slower" = 0
    """,
)
def check_that_cannot_fail(workflow: Workflow) -> Found:
    """A comparison whose errors count as fine, or whose finding is only a warning."""
    for step in workflow.steps:
        for line in step.lines:
            if re.match(r"(?:if|while)\b.*\$\(.*\b(?:bc|jq|awk|python3?)\b", line.text):
                yield line, "an error in this condition counts as fine: the file may be missing, and the step is green"
            piped = re.search(r"\$\(\s*cat\s.*\|\s*jq\b", line.text)
            if piped and "pipefail" not in step.script.text:
                yield line, "without `pipefail` a file that is not there gives an empty value and no error"


@rule(
    why="""A time from one machine on one day is no baseline: of real series, a limit of 1.2 times a fixed value found
    one change in ten, and of its alarms one in fifty was real. Compare with the runs before, and only believe what two
    runs in a row show.""",
    mend="""
    steps:
      - {if: always(), uses: org/accel-ci/collect@v1, with: {paths: "benchmarks/*.json"}} # kept with each run's record
    """,
)
def constant_baseline(workflow: Workflow) -> Found:
    """A performance limit that is a number in the script."""
    for step in workflow.steps:
        for line in step.lines:
            if re.match(r"(?:export\s+)?\w*(?:BASELINE|THRESHOLD)\w*=[0-9.]+\s*$", line.text, re.IGNORECASE):
                yield line, "one number from one machine stands for how fast it should be"
