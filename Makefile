# Kurant. `make help` lists what there is. Everything below needs Python 3.11 or newer and nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.prepared
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo "$$name"; break; fi; done)
ARGS ?=

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock cli/prepare.py cli/local/kafka-4.3.0.lock
	@test -n "$(PYTHON)" || { echo "Kurant needs Python 3.11 or newer: install it (Debian, Ubuntu: apt install python3 python3-venv)" \
		"or name it: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "preparing $(VENV) with $(PYTHON)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r requirements.lock \
		| grep --line-buffered -v -e '^Requirement already satisfied' -e '^  Using cached' || test $${PIPESTATUS[0]} -eq 0
	@$(BIN)/python -m cli.prepare
	@touch $@

.PHONY: setup
setup: $(STAMP) ## prepare .venv from requirements.lock, and the local parts

.PHONY: run
run: setup ## start everything and play a demo day; more options: make run ARGS="--port-base 20000 --data DIR"
	@exec $(BIN)/kurant up --demo $(ARGS)

.PHONY: test
test: setup ## every test that CI runs; fewer: make test ARGS="-k cart"
	@$(BIN)/python -m pytest tests $(ARGS)

.PHONY: check
check: setup ## format, lint, types, import contracts, generated files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy --strict
	@$(BIN)/lint-imports
	@$(BIN)/python -m libs.contracts.generate --check

.PHONY: bench
bench: setup ## the measured claims, against bare loops; results in bench/results
	@$(BIN)/python -m bench $(ARGS)

.PHONY: faults
faults: setup ## the long kill test: nothing lost, nothing sent twice, nothing without consent
	@KURANT_FAULTS=full $(BIN)/python -m pytest tests/faults -s $(ARGS)

.PHONY: proof
proof: setup ## the long proof of the engine: 100,000 random histories against a model, every time zone at every edge
	@KURANT_PROOF=full $(BIN)/python -m pytest tests/reference tests/replay -s $(ARGS)

.PHONY: format
format: setup ## put all code in the house's shape
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: generate
generate: setup ## write the JSON Schemas and AsyncAPI of libs/contracts anew
	@$(BIN)/python -m libs.contracts.generate

.PHONY: lock
lock: setup ## turn requirements.in into requirements.lock (hashes, no addresses)
	@$(BIN)/uv pip compile -q --generate-hashes --python-version 3.11 --universal --no-emit-index-url \
		requirements.in -o requirements.lock

.PHONY: clean
clean: ## remove .venv and caches; keeps data (see kurant reset)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
