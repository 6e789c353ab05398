"""The workflows of an RFC for TPU tests on pull requests, as it proposes them: what doctor is for."""

from __future__ import annotations

from accel_ci.doctor import examine
from accel_ci.doctor.rule import Finding

STEPS = """
      - uses: actions/checkout@v4

      - name: Authenticate to GCP
        uses: google-github-actions/auth@v2
        with:
          credentials_json: ${{ secrets.GCP_SERVICE_ACCOUNT_KEY }}

      - name: Set up Cloud SDK
        uses: google-github-actions/setup-gcloud@v2

      - name: Create TPU VM
        run: |
          gcloud compute tpus tpu-vm create $TPU_NAME \\
            --zone=$TPU_ZONE \\
            --accelerator-type=$TPU_TYPE \\
            --version=v2-alpha-tpuv6e \\
            --preemptible \\
            --quiet

          # Wait for VM to be ready
          sleep 30

      - name: Setup and run tests
        id: tests
        run: |
          # Helper function
          tpu_ssh() {
            gcloud compute tpus tpu-vm ssh $TPU_NAME \\
              --zone=$TPU_ZONE \\
              --command="$1"
          }

          # Clone repo
          tpu_ssh "git clone https://github.com/${{ github.repository }} ~/code"
          tpu_ssh "cd ~/code && git checkout ${{ github.sha }}"

          # Setup environment
          tpu_ssh "cd ~/code && python3 -m venv .venv"
          tpu_ssh "cd ~/code && source .venv/bin/activate && pip install -e ."

          # Run tests
          tpu_ssh "cd ~/code && source .venv/bin/activate && \\
                   python3 -m unittest test.srt.test_score_api.TestScoreAPI -v" \\
                   > test_output.txt 2>&1

          # Check results
          cat test_output.txt
          grep -q "OK" test_output.txt

      - name: Upload test results
        if: always()
        uses: actions/upload-artifact@v4
        with:
          name: test-results-${{ github.run_id }}
          path: test_output.txt

      - name: Cleanup TPU
        if: always()
        run: |
          gcloud compute tpus tpu-vm delete $TPU_NAME \\
            --zone=$TPU_ZONE \\
            --quiet || true
"""
ENVIRONMENT = """
env:
  TPU_ZONE: us-central1-b
  TPU_TYPE: v6e-1
  TPU_NAME: ci-tpu-${{ github.run_id }}
"""
NIGHTLY = f"""name: TPU Tests (Nightly)

on:
  schedule:
    - cron: '0 2 * * *'  # 2 AM UTC daily
  workflow_dispatch:      # Manual trigger
{ENVIRONMENT}
jobs:
  tpu-tests:
    runs-on: ubuntu-latest
    timeout-minutes: 20

    steps:{STEPS}
      - name: Report failure
        if: failure()
        uses: actions/github-script@v7
        with:
          script: |
            github.rest.issues.create({{
              owner: context.repo.owner,
              repo: context.repo.repo,
              title: '\u00f0\u0178\u0161\u00a8 Nightly TPU tests failed',
              body: `TPU tests failed on commit ${{context.sha}}`,
              labels: ['ci-failure', 'tpu-tests']
            }})
"""
# As the RFC's own comment says, "same as nightly, but post comment on PR".
PULL_REQUEST = f"""name: TPU Tests (PR)

on:
  pull_request:
    types: [labeled]
{ENVIRONMENT}
jobs:
  check-label:
    if: contains(github.event.pull_request.labels.*.name, 'run-tpu-tests')
    runs-on: ubuntu-latest

    steps:{STEPS}
      - name: Post success comment
        if: success()
        uses: actions/github-script@v7
        with:
          script: |
            github.rest.issues.createComment({{
              issue_number: context.issue.number,
              owner: context.repo.owner,
              repo: context.repo.repo,
              body: '\u00e2\u0153\u2026 TPU tests passed! Safe to merge.'
            }})
"""
PERFORMANCE = """on: {schedule: [{cron: "0 2 * * *"}]}
jobs:
  tpu-tests:
    runs-on: ubuntu-latest
    steps:
      - name: Check performance regression
        run: |
          CURRENT=$(cat /tmp/test_timing.json | jq .elapsed_seconds)
          BASELINE=105  # Known good baseline

          if (( $(echo "$CURRENT > $BASELINE * 1.2" | bc -l) )); then
            echo "::warning::Performance regression detected: ${CURRENT}s vs ${BASELINE}s"
          fi
"""


def found(text: str, rule: str) -> list[tuple[str, Finding]]:
    """The rule's findings, each with the line of the file that it points to."""
    lines = text.split("\n")
    findings = examine.examine("tpu.yml", text.encode())
    return [(lines[each.line - 1][each.column - 1 :], each) for each in findings if each.rule == rule]
