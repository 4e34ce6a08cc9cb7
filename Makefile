# Two commands need nothing but Python 3.11, make and a package index: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test quick check format bench clean dev

demo: $(VENV)/.installed
	$(BIN)/python -m agentguard demo

test: $(VENV)/.installed
	$(BIN)/python -m tests.peers.install
	$(BIN)/python -m pytest -n 2 --durations=5

quick: $(VENV)/.installed  ## what to run while editing
	$(BIN)/python -m pytest -n 2 -m "not slow and not peer"

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

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

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache
