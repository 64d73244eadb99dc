# Everything this project does, from a fresh clone, with Python 3.11+ and make alone: see `make help`.
#
# Each CPython has an environment of its own, .venv/<X.Y>. The package goes in as a wheel built from the tree, so what
# is tested is what a user gets; `-P` below keeps the checkout itself off sys.path.

.DEFAULT_GOAL := help
.PHONY: help demo test test-uvloop test-dev test-integration cov check bench bench-quick stress mutants clean
.DELETE_ON_ERROR:

# The first interpreter that is new enough, python3 before the others. `make test PYTHON=python3.12` chooses one.
ifeq ($(origin PYTHON),undefined)
  PYTHON := $(or $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
      $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done),python3)
endif

# What PYTHON is: "3.12 new venv", "3.12 new" without venv, "3.9 old venv", or nothing if it does not run.
FOUND := $(shell $(PYTHON) -c 'import sys; v = sys.version_info; print("%d.%d" % v[:2] + getattr(sys, "abiflags", "")); \
    print("new" if v >= (3, 11) else "old"); import ensurepip, venv; print("venv")' 2>/dev/null)
X.Y := $(word 1,$(FOUND))

V := .venv/$(X.Y)
PY := $(V)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
PYTEST := -m pytest $(ARGS)
# What has a long form.
LONG := tests/stress $(addprefix tests/,leaks/test_dropped_tools.py test_loop.py test_memory.py)
# The directory itself stands for files that were removed.
SOURCES := aioutils $(wildcard aioutils/*.py aioutils/py.typed) setup.cfg pyproject.toml

# An environment whose interpreter is gone is made anew.
$(shell test ! -e $(V)/.created || $(PY) -I -c '' 2>/dev/null || rm -rf $(V))

help:
	@echo 'make demo     crawl a small site that the demo starts itself; URL=https://... crawls that host'
	@echo 'make test     run the tests; ARGS="-k pool" chooses'
	@echo 'make test-uvloop   the same with every tool on uvloop'
	@echo 'make test-integration   Jupyter, Flask, Django, FastAPI and Celery run a Pool; installs them first'
	@echo 'make cov      the tests under coverage, then once more with -X dev and PYTHONASYNCIODEBUG=1'
	@echo 'make check    ruff, mypy --strict, pyright --verifytypes, and no goal of bench-quick missed by far'
	@echo 'make bench-quick   the goals of speed and memory, and how far we are, in two minutes; ARGS="--row pool" chooses'
	@echo 'make bench    all contenders, tables and pictures of docs/performance.md; BENCH=fast: one round, no page'
	@echo 'make stress   the long stress campaign'
	@echo 'make mutants  which changes of the engine no test notices, in a night; ARGS="_loop" chooses a file'
	@echo 'make clean    remove what these targets made'
	@echo 'Each sets up .venv/<X.Y> first. PYTHON=python3.12 chooses the interpreter.'

demo: $(V)/.installed
	$(PY) examples/crawl.py $(URL)

test: $(V)/.installed
	$(PY) -P $(PYTEST)

# Scripts that tests start run there as well; benchmarks and examples choose their own loops. libuv does not survive a
# fork from inside of its loop.
test-uvloop: $(V)/.installed
	AIOUTILS_LOOP=uvloop $(PY) -P $(PYTEST) $(patsubst %,--ignore=tests/%,docs fork test_benchmarks.py)

# In asyncio's debug mode, as Python warns of whatever it can.
test-dev: $(V)/.installed
	PYTHONASYNCIODEBUG=1 $(PY) -P -X dev $(PYTEST)

test-integration: $(V)/.installed $(V)/.integration
	$(PY) -P $(PYTEST) --timeout=100 tests/integration

# Three files are left out: their signals come at any moment, and one that comes while coverage holds a lock of its own
# leaves it locked, and all of them wait.
COV := -m coverage run $(PYTEST) \
    $(patsubst %,--ignore=tests/stress/test_%.py,threads interrupted_helpers many_interrupts)

cov: $(V)/.installed
	$(PY) -m coverage erase
	$(PY) -P $(COV)
	PYTHONASYNCIODEBUG=1 $(PY) -P -X dev $(COV)
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report $(if $(filter 3.11,$(X.Y)),--fail-under=99)

# pyright's Node comes from PyPI too (pyright[nodejs]), so none need be installed. --verifytypes asks the Python on PATH
# where packages are, whatever --pythonpath says.
check: $(V)/.installed $(V)/.checkers
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy --strict aioutils $(wildcard tests/typing)
	PATH="$(CURDIR)/$(V)/bin:$$PATH" PYRIGHT_PYTHON_GLOBAL_NODE=0 $(PY) -m pyright --verifytypes aioutils --ignoreexternal
	$(PY) benchmarks/quick.py --check

bench-quick: $(V)/.installed
	$(PY) benchmarks/quick.py $(ARGS)

bench: $(V)/.installed $(V)/.contenders
	$(PY) benchmarks/bench.py $(if $(filter fast,$(BENCH)),--fast) $(ARGS)

stress: $(V)/.installed
	AIOUTILS_STRESS=long $(PY) -P $(PYTEST) --timeout=1800 $(LONG)

mutants: $(V)/.installed $(V)/.mutants
	$(PY) tests/mutants.py $(ARGS)

clean:
	rm -rf .venv benchmarks/results build dist *.egg-info .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(V)/.created:
	$(if $(X.Y),,$(error $(PYTHON) does not run: install Python 3.11 or later, or say PYTHON=/path/to/python3.12))
	$(if $(filter old,$(FOUND)),$(error $(PYTHON) is Python $(X.Y), aioutils needs 3.11 or later: say PYTHON=/path/to/it))
	$(if $(filter venv,$(FOUND)),,$(error $(PYTHON) lacks venv or ensurepip (Debian: apt install python$(X.Y)-venv)))
	$(PYTHON) -m venv --clear $(V)
	$(PIP) install --upgrade setuptools
	@touch $@

# Built from a copy, so that no build directory or egg-info of an earlier state gets in, or is left behind. With the
# environment's own setuptools: building after an edit takes one second, and no network.
$(V)/.installed: $(V)/.created $(SOURCES)
	@rm -rf $(V)/src && mkdir $(V)/src
	@cp -R aioutils $(wildcard setup.cfg pyproject.toml README.md LICENSE) $(V)/src
	$(PIP) install --no-build-isolation './$(V)/src[test,examples]'
	@touch $@

$(V)/.contenders: setup.cfg | $(V)/.installed
	$(PIP) install --no-build-isolation './$(V)/src[bench]'
	@touch $@

$(V)/.checkers: setup.cfg | $(V)/.installed
	$(PIP) install --no-build-isolation './$(V)/src[check]'
	@touch $@

$(V)/.integration: setup.cfg | $(V)/.installed
	$(PIP) install --no-build-isolation './$(V)/src[integration]'
	@touch $@

$(V)/.mutants: setup.cfg | $(V)/.installed
	$(PIP) install --no-build-isolation './$(V)/src[mutants]'
	@touch $@
