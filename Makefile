# Everything installs itself: `make run` and `make test` work on a bare machine with Python 3.11 to 3.13, without root.
PYTHON ?= python3
VENV := .venv
MINIMUM := .venv-minimum
BIN := $(VENV)/bin
READY := $(VENV)/ready
RECIPES := $(VENV)/recipes-ready
SITE := $(VENV)/docs-ready

.PHONY: run check test test-long test-minimum lint format bench docs clean

run: $(RECIPES)  ## train an OCR model on synthetic words, then measure it on 500 words not used in training
	$(BIN)/seqloss train ocr

check: $(READY) lint  ## between edits: lint, types, and the tests that need neither JAX, Keras, Triton nor a training
	$(PYTEST) -m "not long" -k "not jax" $(CHECK_TESTS) $(CHECK_LATER)

test: $(READY) lint  ## lint, types, tests; Keras has one backend in a process, Triton is compiled or interpreted
	@rm -f $(TIMES)
	$(call timed,base) $(PYTEST) -m "not long"
ifeq ($(shell uname),Linux)
	$(call timed,Triton) TRITON_INTERPRET=1 $(PYTEST) -m "not long" $(TRITON_TESTS)
endif
	for backend in $(BACKENDS); do \
		$(call timed,Keras on $$backend) KERAS_BACKEND=$$backend $(PYTEST) -m "not long" $(KERAS_TESTS) || exit 1; done
	@$(BIN)/python tests/processor_time.py $(TIMES)

test-long: $(READY)  ## the tests that take minutes
	$(BIN)/pytest -m long
ifeq ($(shell uname),Linux)
	TRITON_INTERPRET=1 $(BIN)/pytest -m long $(TRITON_TESTS)
endif
	for backend in $(BACKENDS); do KERAS_BACKEND=$$backend $(BIN)/pytest -m long $(KERAS_TESTS) || exit 1; done

test-minimum: $(MINIMUM)/ready  ## with the lowest version that pyproject.toml admits of each package
	$(MINIMUM_ENV) $(MINIMUM)/bin/pytest -m "not long" $(MINIMUM_TESTS)
	$(MINIMUM_ENV) KERAS_BACKEND=torch $(MINIMUM)/bin/pytest -m "not long" tests/contract/test_values.py
	$(MINIMUM_ENV) $(MINIMUM)/bin/seqloss verify seqloss.numpy
	$(MINIMUM_ENV) $(MINIMUM)/bin/seqloss verify seqloss.torch

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## loss and gradient beside torch, one thread
	$(BIN)/python benchmarks/ctc.py

docs: $(SITE)  ## the documentation site, in build/site; warnings and broken links are errors
	$(BIN)/python website/stage.py
	$(BIN)/python website/build.py
	$(BIN)/python website/check.py

# two processes; idle OpenMP threads do not spin against each other
PYTEST := GOMP_SPINCOUNT=3000 $(BIN)/pytest -n 2 --dist worksteal
CHECK_TESTS := tests/contract tests/numpy tests/torch tests/reference tests/data tests/kernels/ctc tests/formulas \
	tests/test_layering.py tests/test_errors.py tests/test_contract.py
# of these, what starts processes, compiles programs or trains
CHECK_LATER := $(patsubst %,--ignore=tests/torch/test_%.py,transformers huggingface big_batches tracing memory \
	pytorchs_own module_agreement linear)
# processor seconds per suite, over all runs of `make test`
TIMES := $(VENV)/processor-times.jsonl
timed = SEQLOSS_PROCESSOR_TIMES=$(TIMES) SEQLOSS_RUN="$(1)"
BACKENDS := torch jax tensorflow
KERAS_TESTS := tests/contract tests/keras
TRITON_TESTS := tests/contract tests/kernels/triton \
	$(addprefix tests/torch/test_,gpu.py compile.py second_derivatives.py tracing.py transforms.py)
# all frontends, the command line, a training with its report, and the decoders of sounds
MINIMUM_TESTS := tests/contract/test_values.py tests/contract/test_reductions.py tests/contract/test_align.py \
	tests/contract/test_greedy.py tests/training tests/recipes tests/report tests/cli tests/data/sounds
MINIMUM_ENV := GOMP_SPINCOUNT=3000
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

$(RECIPES): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e '.[train]'
	touch $@

$(READY): $(RECIPES)
	$(INSTALL) -e '.[dev]'
	touch $@

# docstrings are read, not imported, so that no framework is needed
$(SITE): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e '.[docs]'
	touch $@

$(MINIMUM)/ready: pyproject.toml constraints-minimum.txt
	$(PYTHON) -m venv $(MINIMUM)
	$(MINIMUM)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-minimum.txt \
		-e '.[torch,jax,keras,train,speech,stems,verify]' ml_dtypes pytest pytest-xdist
	touch $@

clean:
	rm -rf $(VENV) $(MINIMUM) build .cache
