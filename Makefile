# Everything by one word. Needs Python 3.11 or newer (make PYTHON=… names another), make, and a package index.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help setup demo test lint format bench storm payments faults lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED)  ## make or refresh the environment in .venv

# Anew only when what is to be installed has changed.
$(INSTALLED): deploy/locks/dev.txt pyproject.toml deploy/bootstrap
	@PYTHON='$(PYTHON)' deploy/bootstrap $(VENV) deploy/locks/dev.txt
	@touch $@

demo: $(INSTALLED)  ## the whole of Lunas on this machine: Temporal and its UI, ledger, inbox, worker, API, pages
	$(BIN)/lunas up --demo

test: lint  ## all checks and all tests; what CI runs
	$(BIN)/pytest
	$(MAKE) --no-print-directory faults

lint: $(INSTALLED)  ## style, formatting, types, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)  ## put style and formatting right, as far as that goes by itself
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(INSTALLED)  ## measure: invoices a second, mails a second, what an invoice costs
	$(BIN)/python -m tests.benchmarks

storm: $(INSTALLED)  ## payments against reminders while everything is being killed: nothing twice, nothing after payment
	$(BIN)/python -m tests.storm

payments: $(INSTALLED)  ## 2,000 payments by webhook while the API is being killed: every one booked once
	$(BIN)/python -m tests.storm.payments

# One after another: they kill processes by the clock, and want the machine for themselves.
faults: $(INSTALLED)  ## the fault list, a short storm and the demo's story, on real parts
	$(BIN)/pytest -o addopts=--import-mode=importlib --durations=10 tests/e2e/test_faults.py tests/e2e/test_storm.py tests/e2e/test_demo.py

# The locks name no index, so that anybody's own is used; `runtime` is what an image gets, `embedded` adds `lunas up`.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate
lock: $(INSTALLED)  ## resolve pyproject.toml into deploy/locks anew (make lock UPGRADE=--upgrade takes newer versions)
	$(BIN)/$(COMPILE) $(UPGRADE) pyproject.toml deploy/locks/build.in deploy/locks/tools.in --extra dev -o deploy/locks/dev.txt
	$(BIN)/$(COMPILE) $(UPGRADE) pyproject.toml deploy/locks/build.in -c deploy/locks/dev.txt -o deploy/locks/runtime.txt
	$(BIN)/$(COMPILE) $(UPGRADE) pyproject.toml deploy/locks/build.in --extra embedded -c deploy/locks/dev.txt -o deploy/locks/embedded.txt
	@! grep -nE '://|--index|--extra-index|--find-links' deploy/locks/*.txt || { echo 'a lock names an index' >&2; exit 1; }

clean:  ## remove what building, testing and the demo left behind (the environment too)
	rm -rf $(VENV) build dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis htmlcov .coverage* var
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
