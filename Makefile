# Two commands: `make run` shows the whole method on the embedded set, `make test` checks everything.
# Options: PYTHON=python3.12, EXTRAS="gpu" on a GPU machine, ARGS="data=... name=..." for `make run`.

PYTHON ?= python3
EXTRAS ?= cpu
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

# Where this is set, every one of the run's many short-lived workers would compile torch anew.
unexport PYTHONDONTWRITEBYTECODE

# The reports are opened in a browser where there is one.
BROWSER := $(shell command -v chromium && command -v chromedriver)
NO_BROWSER := $(if $(BROWSER),,not browser)
AND_NO_BROWSER := $(if $(BROWSER),,and not browser)
tell-of-browser = $(if $(BROWSER),,@echo "The tests in a browser are left out: there is no chromium with chromedriver. On Debian: apt-get install chromium chromium-driver")

.PHONY: run s3-demo test test-all fast-test lint install clean

# Two workers wait for processes that start while the other computes; a file's tests stay together,
# for they share servers and a Ray.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

run: $(VENV)/.run-installed
	$(BIN)/gist-ray run $(ARGS)

# The whole method from s3:// to s3://, with an S3 server on this machine (docs/s3.md).
s3-demo: $(VENV)/.test-installed
	$(BIN)/python tools/s3_demo.py $(ARGS)

test: $(VENV)/.test-installed
	$(tell-of-browser)
	$(PYTEST) -m "not long $(AND_NO_BROWSER)"

# Also the longest: deaths on a cluster of several nodes, every job by submission, a faulty S3,
# whole sweeps.
test-all: $(VENV)/.wandb-installed
	$(tell-of-browser)
	$(PYTEST) -m "$(NO_BROWSER)"

# Without the ring that runs vLLM, two-process training and the whole pipeline.
fast-test: $(VENV)/.test-installed
	$(tell-of-browser)
	$(PYTEST) -m "not slow $(AND_NO_BROWSER)"

lint: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: $(VENV)/.run-installed

$(VENV)/.run-installed: pyproject.toml tools/install.py | $(VENV)
	$(BIN)/python tools/install.py $(EXTRAS) demo
	@touch $@

$(VENV)/.test-installed: pyproject.toml tools/install.py | $(VENV)
	$(BIN)/python tools/install.py $(EXTRAS) demo test
	@touch $@ $(VENV)/.run-installed

# Only for the longest ring: where wandb is installed, timm imports it in every process that loads
# CLIP (4 CPU seconds).
$(VENV)/.wandb-installed: $(VENV)/.test-installed
	$(BIN)/python tools/install.py $(EXTRAS) demo test wandb
	@touch $@

$(VENV):
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	    sys.exit(v not in [(3, 11), (3, 12)] and f"needs Python 3.11 or 3.12, found {v}: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV)
