# make run: install into .venv, measure the suite 'smoke', print its table.
# make check: the same, and fail if one of the suite's thresholds falls short.
# make test: install into .venv, run the tests, then every linter and the type checker.
# make test-engines: install PyTorch, ONNX Runtime, OpenVINO and the other peers too, run the tests that skip without them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py README.md $(wildcard pyx/*) $(wildcard suites/* suites/*/*) \
	$(shell find sparsebench -name '*.py' -not -name '_build_info.py')

# cython-lint calls pycodestyle by its bare name.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# An index or a version of one's own choice for PyTorch: from PyPI, pip takes a CUDA build of several GB on x86-64.
TORCH ?= torch
ENGINE_TESTS = $(addprefix tests/test_,baselines_peers.py engine.py engines.py nets_onnx.py models_prune.py models_real.py \
	models_what_if.py accuracy_cli.py accuracy_report.py datasets.py train_fit.py train_modules.py)

.PHONY: run check test test-engines lint format clean

run: $(VENV)/installed
	$(BIN)/sparsebench run smoke

check: $(VENV)/installed
	$(BIN)/sparsebench run smoke --check --confirm 2

test: $(VENV)/installed-for-tests
	$(BIN)/pytest
	$(MAKE) --no-print-directory lint

test-engines: $(VENV)/installed-with-engines
	$(BIN)/pytest $(ENGINE_TESTS)

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cython-lint pyx
	$(BIN)/clang-format --dry-run --Werror pyx/*.h

format: $(VENV)/installed-for-tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i pyx/*.h

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Not editable: what is tested is what a user installs, suites included.
$(VENV)/installed: $(BIN)/python $(SOURCES)
	$(BIN)/pip install --quiet .
	touch $@

$(VENV)/installed-for-tests: $(BIN)/python $(SOURCES)
	$(BIN)/pip install --quiet '.[test,lint]'
	touch $@ $(VENV)/installed

$(VENV)/installed-with-engines: $(VENV)/installed-for-tests
	$(BIN)/pip install --quiet $(TORCH) 'sparsebench[peers,train]'
	touch $@

clean:
	rm -rf build $(VENV) *.egg-info
