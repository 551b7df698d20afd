# Two commands for everybody: `make demo` and `make test`. Each sets up what it needs by itself, in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# One stamp a set of extras, so that `make demo` does not install the test tools.
demo-ready := $(VENV)/.demo-ready
develop-ready := $(VENV)/.develop-ready

.PHONY: demo test check bench statements scenarios-index kernel-page clean help

help:
	@echo "make demo   two network stacks, our router between them, and a divert socket in the router"
	@echo "make test   every test (the live ones skip, with a reason, where the privilege is missing)"
	@echo "make check  ruff and mypy --strict"
	@echo "make statements  docs/statements.md anew: which test checks which statement, in which profiles"
	@echo "make scenarios-index  docs/scenarios-index.md anew, from the first comments of the scripts"
	@echo "make kernel-page  docs/kernel.md anew: in what this machine's kernel may differ from ours"
	@echo "make fuzz   a million random steps on every profile, the ledger balanced after each; SEED=7 does other ones"
	@echo "make bench  speed, as ratios to a yardstick measured in the same run"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "divertsim needs Python 3.11 or newer, $(PYTHON) is older: try make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Where the TUN libraries cannot be had, the demo still runs, on memory links, and the live tests skip; so do the tests of
# filter expressions without libpcap, those in a browser without selenium, and the SARIF schema's.
$(demo-ready): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lab,scapy]' \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[scapy]' \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(develop-ready): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lab,filters,browser,sarif,test,check]' \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,check]'
	@touch $@ $(demo-ready)

demo: $(demo-ready)
	$(BIN)/divertsim demo

test: $(develop-ready)
	$(BIN)/python -m pytest

check: $(develop-ready)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

statements: $(develop-ready)
	$(BIN)/python -m tests.statements

scenarios-index: $(develop-ready)
	$(BIN)/python -m tests.scenarios

kernel-page: $(develop-ready)
	PYTHONPATH=.:tests $(BIN)/python tests/live/kernel_page.py

bench: $(develop-ready)
	$(BIN)/python -m benchmarks

SEED ?= 0
fuzz: $(develop-ready)
	$(BIN)/python -m benchmarks.fuzz --seed $(SEED)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
