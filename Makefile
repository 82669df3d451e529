# Everything installs itself: `make run` and `make test` work on a bare machine with Python 3.11 to 3.13, without root.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
RECIPES := $(VENV)/recipes-ready

.PHONY: run test test-long lint format bench clean

run: $(RECIPES)  ## train an OCR model on synthetic words, then measure it on 500 words not used in training
	$(BIN)/seqloss train ocr

test: $(READY) lint  ## lint, types, tests; Keras has one backend in a process, Triton is compiled or interpreted
	$(PYTEST) -m "not long"
ifeq ($(shell uname),Linux)
	TRITON_INTERPRET=1 $(PYTEST) -m "not long" $(TRITON_TESTS)
endif
	for backend in $(BACKENDS); do KERAS_BACKEND=$$backend $(PYTEST) -m "not long" $(KERAS_TESTS) || exit 1; done

test-long: $(READY)  ## the tests that take minutes
	$(BIN)/pytest -m long
ifeq ($(shell uname),Linux)
	TRITON_INTERPRET=1 $(BIN)/pytest -m long $(TRITON_TESTS)
endif
	for backend in $(BACKENDS); do KERAS_BACKEND=$$backend $(BIN)/pytest -m long $(KERAS_TESTS) || exit 1; done

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## loss and gradient beside torch, one thread
	$(BIN)/python benchmarks/ctc.py

# two processes; idle OpenMP threads do not spin against each other
PYTEST := GOMP_SPINCOUNT=3000 $(BIN)/pytest -n 2 --dist worksteal
BACKENDS := torch jax tensorflow
KERAS_TESTS := tests/contract tests/keras
TRITON_TESTS := tests/contract tests/kernels/triton \
	$(addprefix tests/torch/test_,gpu.py compile.py second_derivatives.py tracing.py)
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
