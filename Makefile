# make run    install (first time) and start on this machine: files and SQLite below ./bridge-data
# make test   install everything the tests need, servers included, and run them all
# Both need Python 3.11 or newer on Debian or Ubuntu; whatever else is missing is installed.

VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?= -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help run test lint format soak demo bench lock servers docs clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

run: $(VENV)/.run ## start the archive on its embedded default
	$(BIN)/dicom-bridge serve

test: $(VENV)/.dev servers ## all tests but the long ones, against real servers
	$(BIN)/python -m pytest -m "not soak" $(PYTEST_ARGS)

lint: $(VENV)/.dev ## style, types, the door law
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

soak: $(VENV)/.dev servers ## the long tests; as root, the Dockerfile's steps too
	$(BIN)/python -m tests.servers.install debian
	$(BIN)/python -m pytest -m soak --timeout 3600

demo: $(VENV)/.run ## start, push made-up studies by C-STORE, print what to open
	$(BIN)/python -m sample_data.demo

bench: $(VENV)/.dev ## measure against Orthanc
	$(BIN)/python -m bench

lock: $(VENV)/.dev ## choose the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --upgrade $(LOCK) --extra build --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade $(LOCK) --extra build --extra dev --constraint requirements.lock \
		--output-file requirements-dev.lock
LOCK := pyproject.toml --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header

servers: $(VENV)/.dev
	$(BIN)/python -m tests.servers.install

docs: $(VENV)/.dev ## write the tables of the conformance statement anew
	$(BIN)/python -m tests.docs.tables

clean: ## remove the virtual environment and caches, keep the data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info build

$(VENV)/.run: requirements.lock pyproject.toml
	.ci/environment $(VENV) requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml
	.ci/environment $(VENV) requirements-dev.lock
	@touch $@ $(VENV)/.run
