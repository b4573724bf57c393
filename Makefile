# Bare `make` lists what there is. Everything works in a folder whose name has a space.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PEERS := .venv-peers/.installed
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help install demo test check test-references bench docs-pictures clean

help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 26

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-cache-dir --constraint constraints.txt --editable '.[dev,huggingface,export,diffusion,tracking,video]'
	@touch $(STAMP)

install: $(STAMP) ## Install robustdx and what it is developed with into .venv

demo: $(STAMP) ## Audit the built-in model on the built-in data, and print where the report is
	$(BIN)/robustdx demo --out runs/demo

test: $(STAMP) ## Run the tests (about 10 minutes from nothing on 2 cores)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

check: $(STAMP) ## ruff, types, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

$(PEERS): pyproject.toml constraints.txt peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --no-cache-dir --constraint constraints.txt --editable '.[dev]'
	.venv-peers/bin/python -m pip install --quiet --no-cache-dir --no-deps --requirement peers/requirements.txt
	@touch $(PEERS)

test-references: $(PEERS) ## Compare with torchattacks, foolbox, ART, scikit-learn and scipy
	.venv-peers/bin/python -m pytest tests/references tests/metrics

bench: $(PEERS) ## Our attacks and the peers' side by side: PGD's time, strength (resumes), the others' time, training; hours
	.venv-peers/bin/python -W ignore -m benchmarks.attacks
	.venv-peers/bin/python -W ignore -m benchmarks.strength
	.venv-peers/bin/python -W ignore -m benchmarks.speed
	.venv-peers/bin/python -W ignore -m benchmarks.training

docs-pictures: $(STAMP) ## Make docs/perturbations.md and its pictures anew, from the built-in image
	$(BIN)/python -W ignore docs/make_pictures.py

clean: ## Remove the environments and runs/
	rm -rf .venv .venv-peers runs
