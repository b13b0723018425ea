# Everything is installed into .venv of this checkout; `make PYTHON=python3.12 setup` picks another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

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

# The default options skip benchmarks, so they are replaced here.
bench: setup ## Measure speed and print the ratios
	$(BIN)/python -m pytest -o addopts= -p no:cacheprovider --benchmark-only tests/benchmarks/bench_*.py

clean: ## Remove caches and build output; .venv and results stay
	rm -rf build dist *.egg-info .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
