# Every target makes .venv and installs into it, once, if that has not been done.
# Another environment: make test VENV=/path/to/venv. Another interpreter: make demo PYTHON=/path/to/python3.11

VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Two trials or test processes share the cores; more threads each only get in each other's way.
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-cluster check docs wheel bench

help:
	@echo 'make demo         the whole story on the built-in corpus: launch, promote, evaluate (minutes)'
	@echo 'make test         the tests (under ten minutes on two cores), the same every day'
	@echo 'make test-slow    the tests that take minutes each, and those that draw other cases every time'
	@echo 'make test-cluster real clusters on this machine: hosts from namespaces (root; minutes)'
	@echo 'make check        layout, lint, types, import rules, declared dependencies, structure, names, docs'
	@echo 'make docs         the documentation site, in site/'
	@echo 'make wheel        the wheel, in dist/'
	@echo 'make bench        the published figures, measured again'

demo: $(INSTALLED)
	$(BIN)/spksearch demo

test: $(INSTALLED)
	$(BIN)/python -m pytest -m 'not long and not cluster and not serial' -n 2 --dist worksteal
	$(BIN)/python -m pytest -m 'not long and not cluster and serial'

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m 'long or hypothesis' --hypothesis-profile drawn --timeout 3600

# Figures also go to a file: make test-cluster SPKSEARCH_CLUSTER_RESULTS=bench/results/cluster.json
test-cluster: $(INSTALLED)
	$(BIN)/python -m pytest -m cluster tests/cluster

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/python -m bench.structure
	$(BIN)/python -m pytest -q tests/test_names.py tests/test_decisions.py
	$(MAKE) docs

# Strict: a broken link, a page that the index does not reach or a request to another host is an error.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

# Built from a copy: a build leaves folders in the tree it is built from.
wheel: $(INSTALLED)
	$(BIN)/python -m bench.site.wheel dist

bench: $(INSTALLED)
	$(BIN)/python -m bench

# A virtual environment that is there is used as it is; one without pip (an install that was
# interrupted) is completed.
$(INSTALLED): pyproject.toml constraints.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	  for python in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3; do \
	    $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
	      2>/dev/null && break; \
	    python=; \
	  done; \
	  test -n "$$python" || { echo 'Python 3.11 to 3.14 with venv is needed, and none was found;' \
	    'install one, or name it: make PYTHON=/path/to/python3.11' >&2; exit 3; }; \
	  echo "making $(VENV) with $$python"; \
	  $$python -m venv $(VENV); }
	@echo 'installing (a few minutes the first time)'
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[demo,cluster,server,test,dev]'
	@touch $@
