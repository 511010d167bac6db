# stembridge: `make demo` shows it, `make test` proves it. Both build .venv first; .venv/bin/stembridge is the command afterwards.

SHELL := /bin/sh
VENV := .venv/bin
SETUP := pyproject.toml .ci/constraints.txt .ci/setup

.PHONY: demo test lint bench clean

demo: .venv/ready-dev
	$(VENV)/stembridge demo --out demo-out

test: lint
	OMP_NUM_THREADS=1 $(VENV)/python -m pytest

lint: .venv/ready-dev
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy

bench: .venv/ready-dev
	$(VENV)/python -m tests.benchmarks

.venv/ready-dev: $(SETUP)
	.ci/setup '.[dev]' ready-dev

clean:
	rm -rf .venv demo-out runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
