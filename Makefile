# Every target sets up what it needs in this tree: Python 3.10 or newer is all that a machine must have.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# More than there are cores: half of a test's time goes by waiting for a database or a process.
WORKERS ?= 4
PYTEST_ARGS ?=
TORTURE_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-ecosystem torture mutations check docs rules bench stubs parity format coverage clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-15s %s\n", $$1, $$2}'

# --- environments, each built once per change of pyproject.toml

$(VENV)/.base: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "dbos needs Python 3.10 or newer: make PYTHON=/path/to/python3 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) -m venv failed: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }
	@echo "Installing dbos into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "Installing what tests and checks need into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,dev]'
	@touch $@

$(VENV)/.docs: $(VENV)/.base
	@echo "Installing what the documentation needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

.venv-upstream/.done: benchmarks/upstream.txt
	@$(PYTHON) -m venv .venv-upstream
	@echo "Installing the implementation to compare with into .venv-upstream ..."
	@.venv-upstream/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/upstream.txt
	@touch $@

# --- targets

demo: $(VENV)/.base ## Watch orders survive a SIGKILL (DBOS_SYSTEM_DATABASE_URL for Postgres)
	@$(BIN)/python examples/order_processing.py
	@$(BIN)/python examples/order_workflow_class.py

test: $(VENV)/.dev ## Run the tests, on SQLite and Postgres (WORKERS=4, PYTEST_ARGS=...)
	@$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

test-ecosystem: $(VENV)/.dev ## Run packages built on dbos, from PyPI, over this one, and kill them
	@$(BIN)/python tests/ecosystem/environments.py
	@$(BIN)/python -m pytest -n $(WORKERS) tests/ecosystem $(PYTEST_ARGS)

torture: $(VENV)/.dev ## Run every fault campaign at full scale (DBOS_TORTURE_POSTGRES_URL, TORTURE_ARGS=--seed 2)
	@$(BIN)/python tests/torture/series.py $(DBOS_TORTURE_POSTGRES_URL) $(TORTURE_ARGS)

mutations: $(VENV)/.dev ## Remove one guard after another and see that the tests notice
	@$(BIN)/python tools/mutations.py

check: $(VENV)/.dev ## Check format, lint, types, layers, sizes and stubs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src tools examples
	$(BIN)/mypy tests/typing
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/sizes.py
	$(BIN)/python tools/stubs.py --check

docs: $(VENV)/.docs ## Build the documentation into build/site, links checked
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

rules: ## Show which rules of docs/contract/ a test proves
	@$(PYTHON) tools/rules.py

bench: $(VENV)/.dev .venv-upstream/.done ## Compare speed with dbos 3.4.0 and write benchmarks/README.md (DBOS_BENCH_POSTGRES_URL)
	@$(BIN)/python benchmarks/runner.py --ours $(BIN)/python --theirs .venv-upstream/bin/python --write

stubs: $(VENV)/.dev ## Write the type stubs of DBOS from the running class
	@$(BIN)/python tools/stubs.py

parity: $(VENV)/.dev .venv-upstream/.done ## Write the list of 3.4.0's public names that tests/parity/ compares with
	@.venv-upstream/bin/python tools/public_api.py > tests/parity/api_3_4_0.json

format: $(VENV)/.dev ## Format the code and fix what lint can fix
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

coverage: $(VENV)/.dev ## Run the tests and report the branches that none takes
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(PYTEST_ARGS)
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage report

clean: ## Remove what the other targets made
	rm -rf .venv .venv-upstream .ecosystem .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage* build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
