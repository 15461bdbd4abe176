# make demo: install, train on real data, print the comparison, save a picture
# make test: install everything, run all tests on all three backends, build the site
# make features: the tests, then the table of features that they show
# make results: the tables and figures of the evidence, from examples/measured
# make test-oldest: with the oldest Keras and backends that we support
# make test-wheel: the wheel in clean environments, with each backend alone
# make docs: build the site in build/site, without a warning
# make lint: check style and format

PYTHON ?= python3
# Python compiles what it imports, less than half of what pip would compile, and keeps it,
# also where the environment forbids that.
INSTALL = -m pip install --quiet --disable-pip-version-check --no-compile
PIP = .venv/bin/python $(INSTALL)
export PYTHONDONTWRITEBYTECODE =
TORCH ?= torch==2.13.0
# Real MNIST, Fashion-MNIST and CIFAR-10 for the tests, where they lie ready.
DATASETS = $(abspath $(wildcard ../shared/tensorflow_datasets))
ifneq ($(DATASETS),)
export TFDS_DATA_DIR ?= $(DATASETS)
endif
# The log lines of TensorFlow's start, not its errors.
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: demo test test-jax test-tensorflow test-tensorflow-jit test-torch \
	numbers-jax numbers-tensorflow others-jax others-tensorflow \
	test-oldest test-oldest-jax test-oldest-tensorflow test-oldest-torch \
	test-wheel test-wheel-jax test-wheel-tensorflow test-wheel-torch \
	features results docs lint clean

demo: .venv/demo
	KERAS_BACKEND=jax .venv/bin/python -m examples.quickstart

# Many tests compile the same small programs: JAX keeps them, for other processes too.
export JAX_COMPILATION_CACHE_DIR = $(CURDIR)/build/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS = 0
# Each begins with half of the files: those of a file find what it has compiled.
IN_TWO = --numprocesses 2 --dist worksteal
# XLA makes code that runs slower, and makes it in a third of the time; a NaN still passes
# through a maximum.
XLA_IN_A_HURRY = --xla_backend_optimization_level=0 \
	--xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false \
	--xla_cpu_enable_fast_min_max=false
PYTEST = .venv/bin/python -m pytest $(IN_TWO)

test: docs test-jax test-tensorflow test-tensorflow-jit test-torch

# Steps beside NumPy's and the published ones, from the code that users get; all else from
# the other.
NUMBERS_tensorflow = tests/test_twin.py tests/test_golden.py
# And what counts the instructions of that code.
NUMBERS_jax = $(NUMBERS_tensorflow) tests/test_jax.py
test-jax test-tensorflow: test-%: numbers-% others-%

numbers-jax numbers-tensorflow: numbers-%: .venv/dev
	KERAS_BACKEND=$* $(PYTEST) $(NUMBERS_$*) --junitxml build/$*.numbers.xml

others-jax others-tensorflow: others-%: .venv/dev
	KERAS_BACKEND=$* XLA_FLAGS="$(XLA_IN_A_HURRY)" $(PYTEST) \
		$(addprefix --ignore=,$(NUMBERS_$*)) --junitxml build/$*.xml

# What surrounds a step once more, with the step compiled by XLA.
test-tensorflow-jit: .venv/dev
	KERAS_BACKEND=tensorflow JIT_COMPILE=1 XLA_FLAGS="$(XLA_IN_A_HURRY)" $(PYTEST) \
		tests/test_sparse.py tests/test_saving.py::test_keras_file \
		$(addprefix tests/test_precision.py::, test_mixed_precision_follows_float32 \
		test_an_overflowing_batch_leaves_every_slot_untouched test_float8 test_lora \
		test_a_fixed_loss_scale_changes_nothing) \
		$(addprefix tests/test_composition.py::, \
		test_clipping test_dynamic_loss_scale test_multi_optimizer_fit) \
		$(addprefix tests/test_averaging.py::, \
		test_between_real_updates_nothing_moves \
		test_a_learning_rate_set_later_takes_effect \
		test_a_scheduler_callback_takes_effect) --junitxml build/tensorflow-jit.xml

# Two test processes share the cores; two threads each would wait for one another. XLA is
# for the files that other backends write.
test-torch: .venv/dev
	KERAS_BACKEND=torch OMP_NUM_THREADS=1 XLA_FLAGS="$(XLA_IN_A_HURRY)" $(PYTEST) \
		--junitxml build/torch.xml

# The table of features by backend, also where a test fails.
features: .venv/dev
	rm -f build/*.xml
	-$(MAKE) --keep-going test
	.venv/bin/python docs/features.py build docs/features.md

# From the records that are there; it trains nothing.
results: .venv/dev
	.venv/bin/python -m examples.evidence

# The lower bounds of pyproject.toml, each backend in an environment of its own.
OLDEST_jax = jax==0.7.0
OLDEST_tensorflow = tensorflow==2.18.0
OLDEST_torch = torch==2.6.0
STEPS = $(addprefix tests/test_,twin.py golden.py contract.py statistics.py modulated.py)
SURROUNDINGS = $(addprefix tests/test_,saving.py monitor.py precision.py)
# Keras 3.10 cannot fit what lies on devices that it is not told of.
TESTS_jax = $(STEPS) $(SURROUNDINGS) tests/test_jax.py tests/test_transformations.py \
	-k "not sharded_training"
# The Muon of Keras 3.10 fails on TensorFlow, with and without us.
TESTS_tensorflow = $(STEPS) -k "not Muon"
# Without what counts launches, which old versions make more of, and what compiles models.
TESTS_torch = $(STEPS) $(SURROUNDINGS)

test-oldest: test-oldest-jax test-oldest-tensorflow test-oldest-torch

test-oldest-jax test-oldest-tensorflow test-oldest-torch: test-oldest-%: .venv-oldest-%/dev
	KERAS_BACKEND=$* .venv-oldest-$*/bin/python -m pytest $(IN_TWO) $(TESTS_$*)

test-wheel: test-wheel-jax test-wheel-tensorflow test-wheel-torch

# Isolated (-I), so that the package of this folder is not found.
test-wheel-jax test-wheel-tensorflow test-wheel-torch: test-wheel-%: build/dist
	rm -rf .venv-wheel-$* && $(PYTHON) -m venv .venv-wheel-$*
	.venv-wheel-$*/bin/python $(INSTALL) \
		$(filter $*==%,$(TORCH)) "$$(ls build/dist/*.whl)[$*]"
	KERAS_BACKEND=$* .venv-wheel-$*/bin/python -I tests/clean_environment.py
	rm -rf .venv-wheel-$*

.PHONY: build/dist
build/dist: | .venv/bin/python
	$(PIP) build
	rm -rf $@ && .venv/bin/python -m build --outdir $@ .

# The variable silences what the theme says of the next major version of mkdocs.
docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict --quiet

lint: .venv/lint
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

clean:
	rm -rf .venv .venv-* build

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/lint: pyproject.toml | .venv/bin/python
	$(PIP) '$(shell grep --only-matching 'ruff==[0-9.]*' pyproject.toml)'
	touch $@

.venv/demo: pyproject.toml | .venv/bin/python
	$(PIP) --editable '.[demo]'
	touch $@

.venv/dev: pyproject.toml | .venv/bin/python
	$(PIP) '$(TORCH)'
	$(PIP) --editable '.[tensorflow,jax,torch,monitor,examples,keras-hub,keras-cv,libraries,dev]'
	touch $@ .venv/demo .venv/lint

.venv/docs: pyproject.toml | .venv/bin/python
	$(PIP) --editable '.[docs]'
	touch $@

# scikit-learn has the digits that some tests train on.
.venv-oldest-%/dev: pyproject.toml Makefile
	$(PYTHON) -m venv .venv-oldest-$*
	.venv-oldest-$*/bin/python $(INSTALL) \
		keras==3.10.0 $(OLDEST_$*) --editable '.[$*,monitor,dev]' scikit-learn
	touch $@
