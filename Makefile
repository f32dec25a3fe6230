# Everything runs in .venv with the versions of constraints.txt.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1

.PHONY: install demo test test-release check bench clean

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11"; exit 3; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -c 'import cv2' || { echo "OpenCV cannot load: install the system packages libgl1 and libglib2.0-0 (Debian, Ubuntu)"; exit 3; }
	@$(BIN)/faceswap models pull facemesh || echo "Without it faces are found by MTCNN alone; later: $(BIN)/faceswap models pull facemesh" >&2
	@touch $@

demo: install
	$(BIN)/faceswap demo --workspace demo

test: install
	$(BIN)/pytest -m "not release"

test-release: install
	$(BIN)/pytest

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	$(BIN)/python -m benchmarks.video_index
	$(BIN)/python -m benchmarks.video_recode
	$(BIN)/python -m benchmarks.provenance
	$(BIN)/python -m benchmarks.train_step
	$(BIN)/python -m benchmarks.detectors_synthetic
	$(BIN)/python -m benchmarks.swap_error
	$(BIN)/python -m benchmarks.curation

clean:
	rm -rf .venv build demo *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
