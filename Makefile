# The two commands of the README. Both set up everything they need in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test stress lint docs results bench clean

demo: $(VENV)/installed
	$(BIN)/robench run --images 100
	$(BIN)/robench report --format html --output report.html

# One process per core and one thread per process: more would fight over the cores.
test: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto

# Kills, crowds, floods and falsifies for some minutes, and prints one table.
stress: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.stress

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The reference of the plugin interface, from its docstrings; a test fails when it is stale.
docs: $(VENV)/installed-dev
	$(BIN)/python tests/documentation/reference.py

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

# --editable, so that the commands run the code that is here.
$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --constraint constraints.txt --editable '.[dev]'
	touch $(VENV)/installed $@

# The paper's suites as far as time allows, then docs/results; RESULTS="--dataset mnist --minutes 9" for a part of it.
results: $(VENV)/installed-dev
	$(BIN)/python -m tests.results $(RESULTS)

# In an environment of its own: torchattacks pins old releases of what others need new.
bench: $(VENV)-bench/installed
	$(VENV)-bench/bin/python tests/benchmarks $(BENCH)

$(VENV)-bench/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/pip install --constraint constraints.txt --editable '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-bench build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
