"""Each rule by itself: what it finds, and what it leaves alone."""

from __future__ import annotations

import textwrap

import pytest
import yaml

from accel_ci.doctor import examine
from accel_ci.doctor.rule import Rule
from accel_ci.doctor.workflow import Workflow
from accel_ci.formats import yaml_tree
from accel_ci.inputs import models, parsing
from tests.actions.test_workflows import spelled

PINNED = "actions/checkout@df4cb1c069e1874edd31b4311f1884172cec0e10"
CREATE, DELETE = "gcloud compute instances create x", "gcloud compute instances delete x"
LABELED = "pull_request_target: {types: [labeled]}"


def job(*steps: str, head: str = "") -> str:
    """A workflow's jobs, of which there is one, `a`."""
    lines = "".join(f"      - {step}\n" for step in steps)
    return f"jobs:\n  a:\n    runs-on: x\n{head}    steps:\n{lines}"


def ours(action: str, given: str = "{}", more: str = "") -> str:
    """A step with one of our actions."""
    return f"{{{more}uses: org/accel-ci/{action}@v1, with: {given}}}"


CLEAN = ours("cleanup", more='if: "always()", ')
GRANT = '{grant: "${{ needs.gate.outputs.grant }}"}'
STARTED = "${{ needs.start.outputs.id }}"
WRONG = {
    "any-label": [
        f"on: {{{LABELED}}}\n"
        + job("run: x", head="    if: contains( github.event.pull_request.labels.*.name, 'x')\n"),
        "on: pull_request_target\n"
        + job("run: x", head="    if: contains(join(github.event.pull_request.labels.*.name, ' '), 'x')\n"),
        "on: {pull_request: {types: [opened, labeled]}}\n"
        + job("{if: \"contains(github.event.pull_request.labels.*.name, 'x')\", run: x}"),
    ],
    "skipped-is-green": [f"on: {{{LABELED}}}\n" + job("run: x", head="    if: github.event.label.name == 'x'\n")],
    "no-secrets-for-forks": ["on: pull_request\n" + job('{run: x, env: {A: "${{ secrets.KEY }}"}}')],
    "strangers-code-with-secrets": [
        f"on: {{{LABELED}}}\n"
        + job(f'{{uses: {PINNED}, with: {{ref: "${{{{ github.event.pull_request.head.sha }}}}"}}}}'),
        "on: workflow_run\n" + job('run: git fetch origin "$X" ${{ github.event.workflow_run.head_sha }}'),
        "on: issue_comment\n" + job("run: git fetch origin refs/pull/7/head"),
        "on: issue_comment\n" + job("run: gh pr checkout 7"),
        "on: issue_comment\n" + job(f'{{uses: {PINNED}, with: {{ref: "${{{{ steps.pr.outputs.sha }}}}"}}}}'),
        f"on: {{{LABELED}}}\nenv: {{N: '${{{{ github.event.number }}}}'}}\n"
        + job("run: git fetch origin pull/$N/head:pr"),
        f"on: {{{LABELED}}}\n"
        + job('{run: \'git checkout "$SHA"\', env: {SHA: "${{ github.event.pull_request.head.sha }}"}}'),
        f"on: {{{LABELED}}}\n"
        + job(f'{{uses: {PINNED}, with: {{ref: "${{{{ github.event.pull_request.merge_commit_sha }}}}"}}}}'),
        f"on: {{{LABELED}}}\npermissions: {{contents: read}}\n"
        + job('run: git fetch origin "${{ github.head_ref }}"', head="    runs-on: [self-hosted, gpu]\n").replace(
            "    runs-on: x\n", ""
        ),
        f"on: {{{LABELED}}}\npermissions: {{}}\n"
        + job('{run: "git fetch origin ${{ github.head_ref }}", env: {A: "${{ secrets.KEY }}"}}'),
    ],
    "hidden-failure-of-delete": [
        "on: push\n" + job(f"run: {DELETE} || true"),
        "on: push\n" + job('run: "aws ec2 terminate-instances --instance-ids i || :"'),
        "on: push\n" + job(f"{{run: {DELETE}, continue-on-error: true}}"),
    ],
    "cleanup-not-always": [
        "on: push\n" + job(f"run: {CREATE}", f"run: {DELETE}"),
        "on: push\n" + job(ours("provision"), f"{{if: failure(), run: {DELETE}}}"),
        "on: push\n" + job(ours("provision"), ours("cleanup")),
        "on: push\n" + job(ours("provision")) + "  b:\n    needs: a\n    steps: [{uses: org/accel-ci/cleanup@v1}]\n",
    ],
    "no-second-defence": ["on: push\n" + job(f"run: {CREATE}", f"{{if: always(), run: {DELETE}}}")],
    "machine-known-by-output": [
        "on: push\n"
        + job(f'{{uses: machulav/ec2-github-runner@v2, with: {{mode: stop, ec2-instance-id: "{STARTED}"}}}}'),
        "on: push\n" + job(f"run: {DELETE} ${{{{ needs.start.outputs.id }}}}"),
        "on: push\n" + job(f'{{run: {DELETE} $ID, env: {{ID: "${{{{ needs.start.outputs.id }}}}"}}}}'),
    ],
    "name-clash-on-rerun": [
        "on: push\nenv: {N: 'x-${{ github.run_id }}'}\n" + job(f"run: {CREATE}"),
        "on: push\n" + job(f"run: {CREATE}-$GITHUB_RUN_ID"),
    ],
    "one-zone-one-try": [
        "on: push\n" + job(f"run: {CREATE} --zone a"),
        "on: push\n" + job(f"run: |\n          {CREATE}\n          while ! ready; do sleep 9; done"),
        "on: push\n" + job("run: cml runner launch --cloud=aws"),
    ],
    "sleep-for-readiness": [
        "on: push\n" + job(f"run: |\n          {CREATE}\n          sleep 60"),
        "on: push\n" + job(f"run: {CREATE}", "run: sleep 60"),
    ],
    "verdict-by-grep": [
        "on: push\n" + job("run: grep -q PASSED out.txt"),
        "on: push\n" + job("run: pytest | grep passed"),
        "on: push\n" + job("run: if ! grep -c FAILED log; then exit 0; fi"),
    ],
    "output-lost-on-failure": ["on: push\n" + job("run: |\n          pytest > out.log\n          tail out.log")],
    "commands-in-remote-output": [
        "on: push\n" + job("run: ssh host pytest"),
        "on: push\n" + job("run: kubectl exec pod -- pytest"),
    ],
    "check-that-cannot-fail": ["on: push\n" + job('run: if (( $(echo "$A > 1" | bc -l) )); then exit 1; fi')],
    "constant-baseline": ["on: push\n" + job("run: |\n          THRESHOLD_S=12.5\n          true")],
    "failure-blind-to-cancel": [
        "on: push\n" + job("{if: failure(), run: mail x}"),
        "on: push\n" + job("{if: failure(), uses: actions/upload-artifact@v1}"),
        "on: push\n" + job("run: x", head="    if: failure()\n"),
    ],
    "host-not-proven": [
        "on: push\n" + job("run: ssh -o StrictHostKeyChecking=no host pytest"),
        "on: push\n" + job("run: ssh-keyscan host >> known_hosts"),
    ],
    "anybody-may-comment": [
        "on: issue_comment\npermissions: {}\n"
        + job("run: x", head="    if: contains(github.event.comment.body, '/gpu')\n"),
        "on: issue_comment\n" + job('{run: \'test "$BODY" = /gpu\', env: {BODY: "${{ github.event.comment.body }}"}}'),
    ],
    "new-issue-every-night": ["on: push\n" + job("run: gh issue create --title x")],
    "new-comment-every-run": ["on: pull_request\n" + job("{if: always(), run: gh pr comment 7 --body x}")],
    "only-success-is-told": ["on: push\n" + job("run: gh pr comment 7 --body passed")],
    "garbled-text": ["on: push\n" + job("run: echo \u00e2\u0153\u2026")],
    "missing-permissions": ["on: push\n" + job("run: x")],
    "unpinned-action": [
        "on: push\n" + job("uses: actions/checkout@v6"),
        "on: push\n" + job("uses: docker://alpine"),
        "on: push\njobs:\n  a:\n    uses: other/repository/.github/workflows/x.yml@main\n",
    ],
    "key-in-a-secret": [
        "on: push\n" + job('{uses: x/y@v1, with: {credentials_json: "${{ secrets.KEY }}"}}'),
        "on: push\nenv: {AWS_SECRET_ACCESS_KEY: '${{ secrets.KEY }}'}\n" + job("run: x"),
    ],
    "missing-timeout": ["on: push\n" + job("run: x")],
    "missing-concurrency": ["on: push\n" + job(ours("provision"), CLEAN)],
    "provision-without-gate": [f"on: {{{LABELED}}}\n" + job(ours("provision"), CLEAN)],
    "provision-without-cleanup": ["on: push\n" + job(CLEAN, ours("provision"))],
    "check-names-differ": [
        f"on: {{{LABELED}}}\n" + job(ours("gate", "{check: tpu}"), ours("report", more='if: "always()", '))
    ],
    "permission-not-given": [
        f"on: {{{LABELED}}}\npermissions: {{}}\n" + job(ours("gate")),
        f"on: {{{LABELED}}}\n" + job(ours("gate"), head="    permissions: {checks: write, contents: read}\n"),
        "on: push\npermissions: read-all\n" + job(ours("report", more="if: always(), ")),
        "on: push\npermissions: {checks: write}\n" + job(ours("gate", "{max-running: 2}")),
        "on: push\n"
        + job(ours("cleanup", "{workload-identity-provider: p}"), head="    permissions: {checks: write}\n"),
        "on: push\npermissions: {}\njobs:\n  a:\n    uses: org/accel-ci/.github/workflows/test.yml@v1\n",
    ],
    "report-not-always": [
        "on: push\n" + job(ours("run-remote"), ours("report")),
        "on: push\n" + job("run: x", ours("collect")),
    ],
}
RIGHT = {
    "any-label": [f"on: {{{LABELED}}}\n" + job("run: x", head="    if: github.event.label.name == 'x'\n")],
    "skipped-is-green": [
        f"on: {{{LABELED}}}\n" + job(ours("gate"), head="    if: github.event.label.name == 'x'\n"),
        "on: push\n" + job("run: x", head="    if: github.event.label.name == 'x'\n"),
    ],
    "no-secrets-for-forks": [
        "on: pull_request\n"
        + job('{run: x, if: "github.event_name == \'push\'", env: {A: "${{ secrets.KEY }}"}}')
        + "    env: {B: b}\n",
        "on: pull_request\n" + job('{uses: codecov/codecov-action@v1, with: {token: "${{ secrets.CODECOV_TOKEN }}"}}'),
        "on: [push, pull_request]\n"
        + job('{run: x, env: {A: "${{ secrets.KEY }}"}}', head="    if: github.ref == 'refs/heads/main'\n"),
        "on: pull_request\n"
        + job('{run: x, env: {A: "${{ secrets.KEY }}"}}', head="    if: '!github.event.pull_request.head.repo.fork'\n"),
        "on: pull_request\n" + job('{run: x, env: {A: "${{ secrets.GITHUB_TOKEN }}"}}'),
    ],
    "strangers-code-with-secrets": [
        f"on: {{{LABELED}}}\n" + job(f"uses: {PINNED}"),
        "on: pull_request\n" + job('run: git fetch origin "${{ github.event.pull_request.head.sha }}"'),
        f"on: {{{LABELED}}}\n" + job('run: git log --format=%an "${{ github.event.pull_request.head.sha }}"'),
        f"on: {{{LABELED}}}\npermissions: {{contents: read}}\n"
        + job('run: git fetch origin "${{ github.head_ref }}"').replace("runs-on: x", "runs-on: ubuntu-latest"),
    ],
    "hidden-failure-of-delete": [
        "on: push\n" + job(f"run: {DELETE}", "run: rm -f x || true", "run: aws s3api delete-object --key k || true")
    ],
    "cleanup-not-always": [
        "on: push\n" + job(f"run: {CREATE}", f"{{if: always(), run: {DELETE}}}"),
        "on: push\n" + job(ours("provision"), CLEAN),
        "on: {schedule: [{cron: x}]}\n" + job(ours("cleanup", "{mode: sweep}")),
        "on: push\n" + job(f"run: {DELETE}", f"run: {CREATE}"),
        "on: push\n"
        + job(ours("provision"))
        + "  b:\n    needs: a\n    if: always()\n    steps: [{uses: o/accel-ci/cleanup@v1}]\n",
    ],
    "no-second-defence": [
        "on: push\n"
        + job(ours("provision"), CLEAN)
        + "  b:\n    needs: [a]\n    if: always()\n    steps: [{uses: org/accel-ci/cleanup@v1, with: {for: a}}]\n",
        "on: push\n" + job("uses: org/accel-ci@v1"),
    ],
    "machine-known-by-output": ["on: push\n" + job(f"run: {DELETE} $NAME")],
    "name-clash-on-rerun": [
        "on: push\nenv: {N: 'x-${{ github.run_id }}-${{ github.run_attempt }}'}\n" + job(f"run: {CREATE}"),
        "on: push\nenv: {N: 'x-${{ github.run_id }}'}\n" + job("run: x"),
    ],
    "one-zone-one-try": [
        "on: push\n" + job("run: kubectl auth can-i create jobs", "run: gcloud storage buckets create b"),
        "on: push\n"
        + job(f"run: |\n          for zone in a b; do\n          {CREATE} --zone $zone && break\n          done"),
    ],
    "sleep-for-readiness": [
        "on: push\n" + job("run: sleep 60"),
        "on: push\n" + job(f"run: |\n          {CREATE}\n          until ready; do\n          sleep 9\n          done"),
    ],
    "verdict-by-grep": [
        "on: push\n" + job("run: grep -q name pyproject.toml"),
        "on: push\n" + job("run: grep -q 'Exit code ERROR' src/errors.py"),
        "on: push\n" + job("run: grep -rn done src"),
        "on: push\n" + job("run: |\n          # grep OK\n          x"),
    ],
    "output-lost-on-failure": [
        "on: push\n" + job("run: |\n          pytest > out.log || code=$?\n          cat out.log"),
        "on: push\n" + job("run: |\n          set +e\n          pytest > out.log\n          cat out.log"),
        "on: push\n" + job("run: |\n          echo a > out.log\n          cat out.log"),
        "on: push\n" + job("run: |\n          git diff --name-only > out.txt\n          cat out.txt"),
    ],
    "commands-in-remote-output": [
        "on: push\n" + job('run: |\n          echo "::stop-commands::$TOKEN"\n          ssh host pytest')
    ],
    "check-that-cannot-fail": [
        "on: push\n" + job("run: |\n          slower=$(jq .x a.json)\n          test $slower = 0")
    ],
    "constant-baseline": ["on: push\n" + job("run: THRESHOLD=$(cat limits.txt)")],
    "host-not-proven": ["on: push\n" + job("run: ssh -o StrictHostKeyChecking=yes host pytest")],
    "anybody-may-comment": [
        "on: issue_comment\n"
        + job(
            "run: x",
            head="    if: github.event.comment.author_association == 'MEMBER' && github.event.comment.body == '/gpu'\n",
        ),
        "on: issue_comment\n" + job("run: gh api repos/o/r/collaborators/$WHO/permission; echo comment.body"),
        "on: issue_comment\n" + job(ours("gate"), head="    if: startsWith(github.event.comment.body, '/accel-ci')\n"),
        "on: issues\n" + job("run: echo comment.body"),
    ],
    "failure-blind-to-cancel": [
        "on: push\n" + job("{if: failure(), run: cat log}"),
        "on: push\n" + job("{if: \"failure() && steps.diff.conclusion == 'failure'\", run: x}"),
        "on: push\n" + job("{if: failure() || cancelled(), run: x}"),
    ],
    "new-issue-every-night": ["on: push\n" + job("run: gh issue list | grep -q x || gh issue create --title x")],
    "new-comment-every-run": [
        "on: issue_comment\n" + job("run: gh pr comment 7 --body x"),
        "on: pull_request\n" + job("run: gh pr comment 7 --body x --edit-last"),
    ],
    "only-success-is-told": [
        "on: push\n" + job("run: gh pr comment 7 --body hello"),
        "on: push\n" + job("{if: always(), run: gh pr comment 7 --body x}"),
    ],
    "garbled-text": ["on: push\n" + job("run: echo \U0001f6a8 caf\u00e9")],
    "missing-permissions": [
        "on: push\npermissions: {}\n" + job("run: x"),
        "on: push\n" + job("run: x", head="    permissions: {}\n"),
    ],
    "unpinned-action": [
        "on: push\n"
        + job(f"uses: {PINNED}", "uses: ./here", "uses: $/gate", "uses: org/accel-ci/gate@v1", "uses: org/accel-ci@v1"),
        "on: push\njobs:\n  a:\n    uses: org/accel-ci/.github/workflows/test.yml@v1\n",
    ],
    "key-in-a-secret": ["on: push\n" + job("{uses: x/y@v1, with: {workload_identity_provider: p}}")],
    "missing-timeout": [
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{run: x}]\n",
        "on: push\n" + job("run: x", head="    timeout-minutes: 5\n"),
        "on: push\n" + job(ours("provision"), CLEAN),
    ],
    "missing-concurrency": [
        "on: push\nconcurrency: x\n" + job(ours("provision"), CLEAN),
        "on: push\n" + job("run: x"),
    ],
    "provision-without-gate": [
        f"on: {{{LABELED}}}\n" + job(ours("provision", GRANT)),
        "on: push\n" + job(ours("provision")),
    ],
    "provision-without-cleanup": [
        "on: push\n" + job(ours("provision"), CLEAN),
        "on: push\n" + job(ours("provision", '{slot: "run:all"}')),
    ],
    "check-names-differ": [
        f"on: {{{LABELED}}}\n" + job(ours("gate", "{check: tpu}"), ours("report", "{check: tpu}")),
        "on: push\n" + job(ours("report")),
    ],
    "permission-not-given": [
        f"on: {{{LABELED}}}\n" + job(ours("gate")),
        f"on: {{{LABELED}}}\npermissions: write-all\n" + job(ours("gate", "{max-running: 2}")),
        "on: push\npermissions: {checks: write}\n" + job(ours("gate", "{max-running: 0}")),
        "on: push\npermissions: {}\n" + job(ours("cleanup"), ours("run-remote")),
    ],
    "report-not-always": [
        "on: push\n" + job(ours("run-remote"), ours("report", more='if: "always()", ')),
        "on: push\n" + job(ours("report")),
    ],
}


def rules(text: str) -> set[str]:
    """The names of the rules that find something."""
    return {each.rule for each in examine.examine("x.yml", text.encode())}


def _cases(table: dict[str, list[str]]) -> list[object]:
    return [
        pytest.param(name, text, id=f"{name}-{number}")
        for name, texts in table.items()
        for number, text in enumerate(texts)
    ]


@pytest.mark.parametrize(("name", "text"), _cases(WRONG))
def test_it_is_found(name: str, text: str) -> None:
    """The smallest workflow that has the mistake has the finding."""
    assert name in rules(text)


@pytest.mark.parametrize(("name", "text"), _cases(RIGHT))
def test_what_is_right_is_left_alone(name: str, text: str) -> None:
    """The nearest workflow without the mistake has no finding of the rule, and is one that can be read."""
    assert rules(text).isdisjoint({name, "unreadable"})


def test_every_rule_is_tried_both_ways() -> None:
    """No rule is without its wrong and its right workflows, and no name stands for two."""
    names = [rule.name for rule in examine.RULES]
    assert len(set(names)) == len(names)
    assert set(names) == WRONG.keys() == RIGHT.keys()


@pytest.mark.parametrize("rule", examine.RULES, ids=lambda rule: str(rule.name))
def test_a_mend_mends(rule: Rule) -> None:
    """Each mend is YAML, and brings back neither what it mends nor a hidden delete."""
    assert yaml.safe_load(rule.mend) is None or isinstance(yaml.safe_load(rule.mend), dict)
    text = rule.mend if "jobs:" in rule.mend else f"jobs:\n  a:\n{textwrap.indent(rule.mend, '    ')}"
    assert rules(f"on: push\n{text}\n").isdisjoint({rule.name, "unreadable", "hidden-failure-of-delete"})
    assert rule.why.endswith(".") and rule.check.__doc__


@pytest.mark.parametrize("rule", examine.RULES, ids=lambda rule: str(rule.name))
def test_a_mend_can_be_pasted(rule: Rule) -> None:
    """What it gives our actions and our workflow is what they take, values included."""
    text = rule.mend if "jobs:" in rule.mend else f"jobs:\n  a:\n{textwrap.indent(rule.mend, '    ')}"
    workflow = Workflow("x.yml", yaml_tree.read(text.encode()))
    for step in workflow.steps:
        if step.ours:
            given = {name: each.text for name, each in step.tree.get("with").members.items()}
            parsing.parse(models.ACTIONS[step.ours], spelled(given))
    for job in workflow.jobs:
        if job.calls_us:
            called = {name: each.text for name, each in job.tree.get("with").members.items()}
            parsing.parse(models.JourneyInputs, spelled(called))
