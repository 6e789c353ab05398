"""Rules about what people are told."""

from __future__ import annotations

import re

from accel_ci.doctor.rule import Found, rule
from accel_ci.doctor.workflow import Job, Step, Workflow

NEW_ISSUE = re.compile(r"\bissues\.create\(|\bgh issue create\b")
# `--edit-last` writes the same comment anew.
NEW_COMMENT = re.compile(r"\bissues\.createComment\(|\bgh (?:pr|issue) comment\b(?!.{0,300}--edit-last)")
GARBLED = re.compile(r"(?:\u00f0\u0178|\u00e2[\u0153\u20ac\u0161\u2020\u02dc\u201e])\S?")
PASSED = re.compile(r"\b(?:pass(?:ed|es)?|succe(?:ss|eded)|safe to merge)\b", re.IGNORECASE)
LOOKS_FIRST = re.compile(r"\blistForRepo\b|\bgh issue list\b|\bissuesAndPullRequests\b|\blistComments\b|\bgh api\b")
TELLS = re.compile(r"issue|comment|slack|notif|mail|discord|teams|telegram|webhook|curl|pager|lark", re.IGNORECASE)
KEEPS = re.compile(r"upload-artifact|upload-pages|/cache\b")
REPORT = """
    steps:
      - if: always()
        uses: org/accel-ci/report@v1
    """


@rule(
    why="""A job that is cancelled or runs into its `timeout-minutes` is not failed to GitHub: `failure()` is false, and
    nobody is told. A hanging test is the commonest failure of a night.""",
    mend="""
    steps:
      - if: always() && job.status != 'success'
        run: echo "tell somebody"
    """,
)
def failure_blind_to_cancel(workflow: Workflow) -> Found:
    """`failure()` alone, in the condition of what tells people or keeps files."""
    for part in workflow.conditional:
        # `failure() && steps.diff.outcome == 'failure'` means that one step, and says so.
        if "failure()" in part.condition and not re.search(r"cancelled\(\)|always\(\)|\bsteps\.", part.condition):
            lost = _lost(part)
            if lost:
                yield part.tree.get("if"), f"is false after a cancel and after the job's own time limit: {lost}"


def _lost(part: Job | Step) -> str:
    if isinstance(part, Step):
        if KEEPS.search(part.uses):
            return "what it would keep is lost"
        if not TELLS.search(f"{part.uses} {part.script.text}"):
            return ""  # a look at a file for whoever reads the log
    return "nobody is told"


@rule(
    why="""Each red night opens another issue, and no green night closes any: after a week nobody reads them. One open
    issue per failing branch, with a comment for each further night and closed by the first green one, is what `report`
    keeps.""",
    mend=REPORT,
)
def new_issue_every_night(workflow: Workflow) -> Found:
    """An issue that is opened without a look for an open one."""
    for step in workflow.steps:
        if NEW_ISSUE.search(step.script.text) and not LOOKS_FIRST.search(step.script.text):
            yield step.tree, "opens another issue at every failure, and closes none"


@rule(
    why="""Each run adds another comment, and people lose the newest among them. One comment that is written anew tells
    the state of the newest commit; `report` keeps one, for pass and fail alike.""",
    mend=REPORT,
)
def new_comment_every_run(workflow: Workflow) -> Found:
    """A comment that is added without a look for an earlier one."""
    # A comment by hand, or on an issue, may well be a new one.
    for step in workflow.steps if workflow.for_pull_requests else ():
        if NEW_COMMENT.search(step.script.text) and not LOOKS_FIRST.search(step.script.text):
            yield step.tree, "adds another comment at every run"


@rule(
    why="""Who set the label and waits reads "passed" or nothing at all: a failed, cancelled or never started run looks
    as if it went on. An old "passed" stays below a new commit that failed.""",
    mend=REPORT,
)
def only_success_is_told(workflow: Workflow) -> Found:
    """A comment that only a pass writes."""
    comments = [(job, step) for job in workflow.jobs for step in job.steps if NEW_COMMENT.search(step.script.text)]
    if all(not job.condition.count("failure()") and not job.always and _on_success(step) for job, step in comments):
        for _, step in comments:
            if PASSED.search(step.script.text):
                yield step.tree, "says so when the tests pass, and nothing when they do not"


def _on_success(step: Step) -> bool:
    return not step.condition or step.condition.strip("${} ") == "success()"


@rule(
    why="""The file was read in one encoding and saved in another: where an icon should be, people read four odd
    letters, in every title and comment for ever. Save it as UTF-8.""",
    mend="""
    name: "\\U0001F6A8 Nightly TPU tests failed" # in double quotes, an escape survives any editor
    """,
)
def garbled_text(workflow: Workflow) -> Found:
    """What is left of an icon that was saved in the wrong encoding."""
    for step in workflow.steps:
        if GARBLED.search(step.script.text):
            yield step.tree, "holds letters that were an icon before the file was saved in the wrong encoding"
