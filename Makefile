# Recipes name no absolute path, so that a checkout whose path has spaces works.
.DEFAULT_GOAL := help
.PHONY: help setup test check lint types imports scripts lint-actions fresh demo image-test simulate adversary exhaust ablate bugs kills threats bench lock clean
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON := .venv/bin/python
WORLDS ?= 2000
SEED ?= 1
KILLS ?= 48
BOTH = --jobs "$$(getconf _NPROCESSORS_ONLN)"

# The first would make every tool compile itself anew each time; the others would mix in what is not in the lock.
unexport PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH

help:  ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

setup:  ## Make .venv from the lock (needs Python 3.11 or newer); quick when nothing changed
	@python="$$(bash actions/internal/setup/python.sh)" && "$$python" -I tools/develop.py

# Most tests wait for real processes, so more workers than cores pay.
test: setup check  ## Every check and every test
	$(PYTHON) -m pytest -n 4

check: lint types imports scripts lint-actions fresh  ## Style, types, layers, scripts, workflows, generated files

lint: setup
	.venv/bin/ruff check --quiet .
	.venv/bin/ruff format --check --quiet .

types: setup
	$(PYTHON) -m mypy
	.venv/bin/vermin --quiet --no-tips --violations --target=3.8- src/accel_ci/on_machine

imports: setup
	.venv/bin/lint-imports --no-cache

scripts: setup
	git ls-files -z --cached --others --exclude-standard -- '*.sh' .ci/run | xargs -0 .venv/bin/shellcheck

lint-actions: setup  ## Four judges on every workflow, action and example
	$(PYTHON) tools/lint_actions.py

fresh: setup
	$(PYTHON) tools/generate.py --check

demo: setup  ## From a label to the comment, GitHub and TPU simulated; DEMO=v6e-16 for a slice, DEMO=local for this computer
	tools/demo.sh

image-test: setup  ## Build the container image and try it (root; needs buildah and debootstrap); see docs/container.md
	$(PYTHON) tools/image_test.py

simulate: setup  ## Crash simulation, at each fault rate: make simulate WORLDS=20000; one again: WORLD=7 FAULTS=0.03
	$(PYTHON) -m accel_ci_sim simulate --seed $(SEED) $(if $(FAULTS),--faults $(FAULTS)) $(AIM) \
	  $(if $(WORLD),--world $(WORLD),--worlds $(WORLDS) --coverage $(BOTH))

adversary: setup  ## A stranger at every step of a pull request: make adversary WORLDS=100000
	$(PYTHON) -m accel_ci_sim adversary --seed $(SEED) --worlds $(WORLDS) $(BOTH)

exhaust: setup  ## Every fault at every call of the standard worlds, and every two
	$(PYTHON) -m accel_ci_sim exhaust --seed $(SEED) $(BOTH)

ablate: setup  ## Each layer alone, and the flow that people write by hand
	$(PYTHON) -m accel_ci_sim ablate --seed $(SEED) --worlds $(WORLDS) $(BOTH)
	$(PYTHON) -m accel_ci_sim peer --seed $(SEED) --worlds $(WORLDS) $(BOTH)

bugs: setup  ## Put each known bug in, and see how soon a rule breaks
	$(PYTHON) -m tests.world.bank $(BOTH)

kills: setup  ## Jobs killed at random moments, as real processes: make kills KILLS=96 SEED=7
	$(PYTHON) -m tests.end_to_end.kills --kills $(KILLS) --seed $(SEED)

threats: setup  ## Every threat of docs/security.md with its counter-measure, its test and the result
	$(PYTHON) tools/threats.py

bench: setup  ## Measure, side by side with what one would use instead
	for script in bench/[a-z]*.py; do $(PYTHON) -m "bench.$$(basename "$$script" .py)"; done

lock: setup  ## Take the newest versions into requirements/*.txt
	$(PYTHON) tools/lock.py

clean:  ## Remove whatever was made
	rm -rf .venv .work demo dist .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
