# Two commands need nothing but Python 3.11, make and a package index: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-bench
PROOFS := $(VENV)/proofs.txt

.PHONY: demo test quick crash bench check format generate clean dev

demo: $(VENV)/.installed
	$(BIN)/python -m agentguard demo

test: $(VENV)/.installed
	$(BIN)/python -m tests.peers.install
	rm -f $(PROOFS)
	AGENTGUARD_PROOFS=$(PROOFS) $(BIN)/python -m pytest -n 2 --durations=5
	$(BIN)/python -m tests.proofs $(PROOFS)

quick: $(VENV)/.installed  ## what to run while editing: the core, and each connector's contract and cases
	$(BIN)/python -m pytest -q -n 2 tests/core tests/http tests/test_connectors.py tests/test_layout.py tests/*/test_cases.py

crash: $(VENV)/.installed  ## kill, drop and lose at every point of every scenario, and of what follows; `make test` has a part
	AGENTGUARD_CRASH=all $(BIN)/python -m pytest -q tests/crash

bench: $(VENV)/.installed $(PEERS)/.installed  ## what guarding costs, beside its limits and peers: less than ten minutes
	$(BIN)/python -m benchmarks --peers $(PEERS)/bin/python

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

generate: $(VENV)/.installed  ## the generated parts of the documents, and the lists of what is proved
	rm -f $(PROOFS)
	AGENTGUARD_PROOFS=$(PROOFS) $(BIN)/python -m pytest -q -n 2 -k test_undo
	$(BIN)/python -m tests.proofs $(PROOFS) --write
	$(BIN)/python -m tests.generated --write

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

dev: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "agentguard needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[all]" --group dev
	@touch $@

$(PEERS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(PEERS)/bin/python -m pip install --quiet --group bench
	@touch $@

clean:
	rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .import_linter_cache
