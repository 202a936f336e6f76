# One virtual environment in .venv, installed from requirements.lock.
# PYTHON=/path/to/python3.12 chooses the interpreter; PYTEST_ARGS adds to the test run.

SHELL := /bin/sh
BIN := .venv/bin
STAMP := .venv/installed
# for two cores: a third of the tests' time they wait, for processes that start and for seconds
PYTEST_WORKERS ?= 3
# the tests start some hundred processes: each would compile all modules anew
export PYTHONDONTWRITEBYTECODE :=
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install spark demo test suite lint format docs fuzz plans bench bench-realtime bench-scale lock audit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

install: $(STAMP) ## create .venv with the locked versions and the project in it

$(STAMP): requirements.lock setup.cfg pyproject.toml
	@PYTHON="$(PYTHON)" sh .ci/create_venv
	@echo "installing the locked packages into .venv (1.1 GB, a minute or two) ..."
	@# what is used is compiled when it is first imported; all of it takes 34 s of one core
	@$(PIP) install --quiet --no-compile --requirement requirements.lock
	@$(PIP) install --quiet --no-build-isolation --no-deps --editable .
	@touch $(STAMP)

spark: install ## add the extra `spark` to .venv: figures on Spark, and its tests; needs Java
	@command -v java > /dev/null || { echo "Java 17 or newer is needed: apt install default-jre-headless" >&2; exit 1; }
	@echo "installing pyspark (430 MB) ..."
	@$(PIP) install --quiet --requirement requirements-spark.lock

demo: install ## start everything on this machine, with a shop that lives
	$(BIN)/shop-api demo

test: install ## lint, types, import contracts and all tests
	@$(MAKE) --no-print-directory --jobs 2 lint suite

# beside lint: half a minute of types on one core, while tests that wait leave the other
suite: install
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: install ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: install ## bring the code to the one style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## make the pages that are made from code
	$(BIN)/shop-api settings > docs/guides/settings.md
	$(BIN)/python -m analytics.metrics.page > docs/guides/metrics.md

fuzz: install ## ask every operation a hundred generated questions; takes minutes
	SHOP_TEST_EXAMPLES=100 $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --timeout 1800 tests/api/test_schemathesis.py

plans: install ## prove that lists are read along their indexes, at a million rows; takes minutes
	SHOP_TEST_HOT_ROWS=1000000 $(BIN)/python -m pytest --timeout 1800 tests/integration/test_list_plans.py

bench: install ## measure the budgets, each against its floor
	$(BIN)/python -m benchmarks

bench-realtime: install ## measure what becomes of an event: sockets, webhooks, the dashboard
	$(BIN)/python -m benchmarks realtime push webhooks

bench-scale: install ## measure the lake at ten million orders (SHOP_BENCH_ORDERS); takes half an hour
	$(BIN)/python -m benchmarks.bench_scale

lock: install ## pin the newest versions that setup.cfg allows
	$(PIP) install --quiet 'pip-tools>=7.5'
	$(BIN)/python -m piptools compile --quiet --upgrade --extra test --build-deps-for editable \
		--strip-extras --allow-unsafe --annotation-style line --no-header --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host --no-emit-options \
		--output-file requirements.lock setup.cfg
	echo 'pyspark>=4.1,<5' | $(BIN)/python -m piptools compile --quiet --upgrade \
		--constraint requirements.lock --annotation-style line --no-header --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host --no-emit-options --no-annotate \
		--output-file requirements-spark.lock -

audit: install ## look up the locked versions among the known vulnerabilities; asks pypi.org
	$(PIP) install --quiet 'pip-audit>=2.9'
	$(BIN)/python -m pip_audit --requirement requirements.lock --no-deps --disable-pip --strict

clean: ## remove .venv and what the tools leave; the data in var/ stays
	rm -rf .venv .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf .schemathesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
