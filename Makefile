# `make demo` and `make test` set up all they need, and are quick the second time.

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CACHE := .cache
MODELS := $(CACHE)/models/smollm2-135m/pulled.json $(CACHE)/models/minilm-l6-v2/pulled.json
QUESTION := What happens to a broken download?

# The first Python that is new enough and can make a virtual environment.
FIND_PYTHON := for p in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	2>/dev/null && echo $$p && exit; done; \
	echo "no Python 3.11 to 3.13 with venv found; install one or say make PYTHON=..." >&2; exit 1

.PHONY: help demo test lint format models bench reference test-vllm clean
.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { python=$$($(FIND_PYTHON)) && $$python -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(CACHE)/models/%/pulled.json: | $(READY)
	TRIVIUM_HOME=$(CACHE) $(BIN)/trivium models pull $*

models: $(MODELS) ## Pull the default chat model and embedder into .cache

demo: $(READY) $(MODELS) ## Index docs/ and ask it a question
	@export TRIVIUM_HOME=$(CACHE) PATH="$(CURDIR)/$(BIN):$$PATH"; \
	echo '$$ trivium index add docs/'; trivium index add docs/ && echo && \
	echo '$$ trivium ask "$(QUESTION)"'; trivium ask "$(QUESTION)"

test: $(READY) $(MODELS) ## Run every test
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(READY) ## Check style, types, the layers and the command reference
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/reference.py --check

format: $(READY) ## Format the code and mend what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

reference: $(READY) ## Write docs/reference.md from the commands
	$(BIN)/python scripts/reference.py

bench: $(READY) $(MODELS) ## Run every benchmark; each prints both sides and the ratio
	@for file in $$(grep -l __main__ benchmarks/*.py); do \
	name=benchmarks.$$(basename $$file .py); echo "== $$name"; \
	TRIVIUM_HOME=$(CACHE) $(BIN)/python -m $$name || exit 1; done

test-vllm: $(READY) $(MODELS) ## Test against a vLLM server, started here or at TRIVIUM_VLLM_URL
	scripts/test_vllm.sh

clean: ## Delete the virtual environment, the models and all that was built
	rm -rf $(VENV) .venv-vllm $(CACHE) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache
