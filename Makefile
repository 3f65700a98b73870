# Each of `make demo` and `make test` does all of its own set-up on a Debian or Ubuntu machine with git, make and Python 3.11.
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run-ready
DEV := $(VENV)/.dev-ready
JOBS ?= 2
PYTEST ?= $(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup

.PHONY: demo test check bench docs peers wheel-test lint clean

demo: $(RUN)
	$(BIN)/forensiq demo

test: $(DEV) peers lint wheel-test
	$(PYTEST)

# Quick: what a change should pass before anything else.
check: $(DEV) lint
	$(PYTEST) tests/architecture tests/unit tests/contracts

lint: $(DEV)
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-cache

# The built wheel, installed elsewhere, with the source out of sight.
wheel-test: $(DEV) peers
	sh scripts/test_wheel.sh $(BIN)/python $(JOBS)

bench: $(DEV) peers
	$(BIN)/python -m tests.benchmarks.bench

docs: $(DEV)
	$(BIN)/python -m docs.generate

peers:
	sh scripts/peers.sh

$(RUN): pyproject.toml scripts/venv.sh
	sh scripts/venv.sh $(VENV)
	touch $@

$(DEV): pyproject.toml scripts/venv.sh
	sh scripts/venv.sh $(VENV) --group dev
	touch $@ $(RUN)

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
