# Each target sets up what it needs, and does nothing twice. `make` alone explains them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LIKENESS := $(BIN)/likeness
# Only speechbrain's reader and its tests need torch. For a CPU-only one from PyTorch's own index:
#   make test TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH  ?= torch==2.13.0
UV     ?= uv==0.13.9
export LIKENESS_DATA ?= $(CURDIR)/../shared/data
# Weights that no registry carries, where somebody put them: the scorer of synthetic speech (MIT).
LIKENESS_WEIGHTS ?= $(CURDIR)/../shared/weights

.PHONY: help setup models system demo serve test lint bench readme lock clean

help:  ## explain the targets
	@echo "Likeness Watch. Every target sets up what it needs."
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready  ## a virtual environment with the locked, hash-checked libraries

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make setup PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip --version >/dev/null
	$(BIN)/pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --no-deps --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.speechbrain: $(VENV)/.ready
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps torchaudio==2.11.0
	@touch $@

models: setup  ## the model weights, hash-checked, in a cache outside this folder
	$(LIKENESS) models pull
	@if [ -e "$(LIKENESS_WEIGHTS)/AASIST.pth" ]; then \
	  $(LIKENESS) models pull --pack synthetic --from "$(LIKENESS_WEIGHTS)"; fi

demo: models  ## the main job on real input: enrol, crawl, match, tell (about a minute)
	$(LIKENESS) demo

serve: models  ## the web pages, a worker and the scheduler, with keys made for this machine
	$(LIKENESS) serve --dev

system:
	@deploy/test-system.sh

test: models system $(VENV)/.speechbrain  ## every test, on SQLite and PostgreSQL, with the real models
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal

lint: setup  ## style, types and the import rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: models  ## the measurements behind every number in README, written into README
	$(LIKENESS) bench demo --json monitor/bench/results/demo.json
	$(LIKENESS) bench faces --data $(LIKENESS_DATA)/faces/lfw-dev --pack registry \
	  --json monitor/bench/results/faces.json --plots bench-output/faces
	$(LIKENESS) bench faces --data $(LIKENESS_DATA)/faces/lfw-dev --pack edgeface \
	  --json monitor/bench/results/faces-edgeface.json --plots bench-output/faces || \
	  echo "The edgeface pack was not measured: its row in README stays as it is."
	cp bench-output/faces/*.svg monitor/bench/results/
	$(LIKENESS) bench voices --data $(LIKENESS_DATA)/voices --json monitor/bench/results/voices.json
	$(LIKENESS) bench match --json monitor/bench/results/match.json
	$(LIKENESS) bench pipeline --media $(LIKENESS_DATA)/faces/lfw-dev --limit 200 --json monitor/bench/results/pipeline.json
	$(LIKENESS) bench crawl --json monitor/bench/results/crawl.json
	$(LIKENESS) bench jetstream --json monitor/bench/results/jetstream.json
	$(LIKENESS) bench push --data $(LIKENESS_DATA)/faces/lfw-dev --json monitor/bench/results/push.json
	$(LIKENESS) bench enrollment --data $(LIKENESS_DATA) --json monitor/bench/results/enrollment.json
	$(LIKENESS) bench readme

readme: setup  ## README's tables again, from the kept results and the program
	$(LIKENESS) bench readme

lock: setup  ## write requirements.lock again from pyproject.toml
	printf "torch ; sys_platform == 'never'\ntorchaudio ; sys_platform == 'never'\nopencv-python ; sys_platform == 'never'\n" \
	  > $(VENV)/overrides.txt
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	  --extra cpu --extra speechbrain --extra bench --extra pull --extra downloads \
	  --extra javascript --extra dev --overrides $(VENV)/overrides.txt \
	  --custom-compile-command "make lock" -o requirements.lock

clean:  ## remove everything made here (never the model cache nor a home folder)
	rm -rf $(VENV) build dist *.egg-info bench-output demo-output
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
