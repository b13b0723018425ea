# Everything is installed into .venv of this checkout; `make PYTHON=python3.12 setup` picks another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := 3.11
# The versions that the tests passed with.
LOCK := requirements.lock
PIP := $(BIN)/python -m pip --disable-pip-version-check
# PyTorch's own index of wheels without CUDA, used on Linux where neither a card of NVIDIA nor its driver is found;
# `make TORCH_CPU= setup` asks for the usual wheels, with 5 GB of CUDA libraries.
TORCH_CPU ?= https://download.pytorch.org/whl/cpu
NVIDIA := $(wildcard /dev/nvidia* /dev/dxg)$(shell command -v nvidia-smi)
MEASURED := .benchmarks/latest.json
PEERS := .benchmarks/peers
BENCHMARKS := tests/benchmarks/bench_*.py
PAGE := docs/performance.md

.DEFAULT_GOAL := help
.PHONY: help python torch setup lock demo test lint bench gpu-check clean

help: ## Show this list
	@echo "Usage: make TARGET"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.installed-dev ## Make .venv and install the project and its development tools

# pip finds out only after it has fetched half a gigabyte that there is no torch for an older Python.
python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < tuple(map(int, "$(OLDEST)".split("."))))' || { \
		echo "mdreid-bench needs Python $(OLDEST) or newer, and '$(PYTHON)' is not; name another interpreter:" \
		"make PYTHON=python$(OLDEST) $(or $(MAKECMDGOALS),setup)" >&2; exit 2; }

# What is installed beside the package: nothing for the demonstration, the extra "test", or "dev" with the linters too.
$(VENV)/.installed: EXTRA =
$(VENV)/.installed-test: EXTRA = [test]
$(VENV)/.installed-dev: EXTRA = [dev]
$(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-dev: pyproject.toml $(LOCK) | python
	$(PYTHON) -m venv $(VENV)
	@$(MAKE) --no-print-directory torch
	$(PIP) install --constraint $(LOCK) --editable ".$(EXTRA)"
	@touch $@

# One short look at the index comes first, because pip would try for minutes where it cannot be reached.
PATIENCE := 5
LOOK = import signal, urllib.request; signal.alarm($(PATIENCE)); urllib.request.urlopen("$(TORCH_CPU)/torch/")
torch: CPU_ONLY = $(shell sed -nE 's/^(torch|torchvision)==([0-9.]+).*/\1==\2+cpu/p' $(LOCK))
torch:
ifneq ($(and $(TORCH_CPU),$(filter Linux,$(shell uname)),$(if $(NVIDIA),,none)),)
	@echo "There is no NVIDIA card here: looking for $(CPU_ONLY)"; \
	index=; { $(BIN)/python -c '$(LOOK)' && index="--extra-index-url $(TORCH_CPU)"; } 2>/dev/null; \
	$(PIP) install --quiet --no-deps $$index $(CPU_ONLY) 2>/dev/null || echo "Not to be had; the usual wheels follow."
else
	@:
endif

# What must change is changed in .venv first (`.venv/bin/pip install --upgrade NAME`), then come the tests, then this.
lock: $(VENV)/.installed-dev ## Write requirements.lock: the versions in .venv, and their like for other systems
	$(PIP) install uv
	$(PIP) freeze --exclude-editable | sed 's/+cpu$$//' > $(LOCK)
	$(BIN)/uv pip compile --quiet --universal --all-extras --no-header --no-annotate pyproject.toml --output-file $(LOCK)

# Named, so that further methods and datasets do not make it longer.
DEMO := $(foreach dataset,rgbnt100 msvr310,--dataset $(dataset)) --preset tiny --seed 1 \
	$(foreach method,mdreid single-classifier top-reid editor clip-zero-shot random,--method $(method))

demo: $(VENV)/.installed ## Train and evaluate MDReID and baselines on two embedded synthetic datasets, end in one table
	$(BIN)/mdreid-bench run $(DEMO) --protocol overview
	$(BIN)/mdreid-bench report $(DEMO) --suite overview

# Memory that is given back is cleared anew when it is asked for again: a tenth of the time of tests of networks (glibc).
KEEP_MEMORY := MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=2147483647

# Files of tests side by side, each on one thread; those of one file stay together, because they share what is expensive.
test: $(VENV)/.installed-test ## Run the tests
	$(KEEP_MEMORY) OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= \
		$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/.installed-dev ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Rankers of others, which ask for older versions of what we have: without their dependencies, apart from .venv, one by
# one, because the benchmarks go on without those that are not to be had.
$(PEERS)/.installed: tests/benchmarks/peers.txt $(VENV)/.installed-test
	@rm -rf $(PEERS) && mkdir -p $(PEERS)
	@grep -v '^#' $< | while read -r peer; do rm -rf $(PEERS)/bin; \
		$(PIP) install --quiet --no-deps --target $(PEERS) "$$peer" || echo "$$peer cannot be installed; its row says so" >&2; done
	@cd $(PEERS)/fastreid/evaluation/rank_cylib && PYTHONPATH=$(abspath $(PEERS)) \
		$(abspath $(BIN))/python setup.py build_ext --inplace >build.log 2>&1 \
		|| echo "fast-reid's Cython ranker cannot be built; its row says so" >&2
	@touch $@

# The default options skip benchmarks, so they are replaced here. The report is made even when a requirement is missed.
bench: $(VENV)/.installed-test $(PEERS)/.installed ## Measure speed, print pass or fail, write docs/performance.md; MDREID_BENCH_FULL=1 for full sizes
	@mkdir -p .benchmarks && rm -f $(MEASURED)
	@status=0; \
	$(BIN)/python -m pytest -q --tb=short -o addopts= -o tmp_path_retention_policy=none -p no:cacheprovider \
		--basetemp=.benchmarks/tmp --benchmark-only --benchmark-quiet --benchmark-json=$(MEASURED) \
		$(BENCHMARKS) || status=$$?; \
	$(BIN)/python -m tests.benchmarks.report $(MEASURED) $(PAGE) || status=1; exit $$status

gpu-check: $(VENV)/.installed-test ## Check and measure everything on one GPU in 8 minutes, write docs/performance-gpu.md
	$(BIN)/python -m tests.gpu.check

clean: ## Remove caches and build output; .venv and results stay
	rm -rf build dist *.egg-info .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
