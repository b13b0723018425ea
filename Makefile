# Everything is installed into .venv of this checkout; `make PYTHON=python3.12 setup` picks another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
MEASURED := .benchmarks/latest.json

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench clean

help: ## Show this list
	@echo "Usage: make TARGET"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(INSTALLED) ## Make .venv and install the project and its development tools

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --editable ".[dev]"
	@touch $@

demo: setup ## Train and evaluate all methods on embedded synthetic MSVR310, RGB queries against NIR + thermal
	$(BIN)/mdreid-bench run --dataset msvr310 --protocol R-to-NT

test: setup ## Run the tests
	$(BIN)/python -m pytest

lint: setup ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The default options skip benchmarks, so they are replaced here. The report is made even when a requirement is missed.
bench: setup ## Measure speed, print the ratios, write docs/performance.md; MDREID_BENCH_FULL=1 for full sizes
	@mkdir -p .benchmarks && rm -f $(MEASURED)
	@status=0; \
	$(BIN)/python -m pytest -o addopts= -o tmp_path_retention_policy=none -p no:cacheprovider \
		--basetemp=.benchmarks/tmp --benchmark-only --benchmark-json=$(MEASURED) \
		tests/benchmarks/bench_*.py || status=$$?; \
	$(BIN)/python -m tests.benchmarks.report $(MEASURED) docs/performance.md || status=1; exit $$status

clean: ## Remove caches and build output; .venv and results stay
	rm -rf build dist *.egg-info .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
