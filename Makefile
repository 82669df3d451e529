# Everything installs itself: `make run` and `make test` work on a bare machine with Python 3.11 to 3.13, without root.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
RECIPES := $(VENV)/recipes-ready

.PHONY: run test test-long lint format bench clean

run: $(RECIPES)  ## train a reader of painted words, then let it read 500 that training never saw
	$(BIN)/seqloss train ocr

test: $(READY) lint  ## lint, types, tests
	$(BIN)/pytest -m "not long"

test-long: $(READY)  ## the tests that take minutes
	$(BIN)/pytest -m long

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## loss and gradient beside torch, one thread
	$(BIN)/python benchmarks/ctc.py

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

$(RECIPES): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e '.[train]'
	touch $@

$(READY): $(RECIPES)
	$(INSTALL) -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV)
