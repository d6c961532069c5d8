# Needs Python 3.11 (3.9 and 3.10 work too) and pip; everything else goes into
# .venv. `make` alone lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PY := $(VENV)/bin/python
# Installed: the package and what draws; what tests and compares; the site.
DRAWS := $(VENV)/.draws
ALL := $(VENV)/.all
DOCS := $(VENV)/.docs
LAMBDAS := 1e-4 1e-5 1e-6 1e-7
QPS := 50 45 40 30
LONG_EPOCHS := 400
DLIB_EPOCHS := 282 # As many updates of its smaller training set.
RESULTS := experiments/results
NETWORK ?= rank64

.DEFAULT_GOAL := help
.PHONY: help demo check test style format paper paper-short paper-smoke \
  choices checkpoints table report release-check benchmark study kill-test \
  docs clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | \
	  awk -F ':.*## ' '{sub(/:.*/, "", $$1); printf "  make %-14s %s\n", $$1, $$2}'

$(VENV):
	@$(PYTHON) setup.py check_platform
	$(PYTHON) -m venv $(VENV)

PIP := $(PY) -m pip install --quiet --disable-pip-version-check \
  --constraint constraints.txt

$(DRAWS): setup.py pyproject.toml constraints.txt | $(VENV)
	$(PIP) --editable '.[report]'
	@touch $@

$(ALL): setup.py pyproject.toml constraints.txt | $(VENV)
	$(PIP) --editable '.[paper,test]'
	@touch $@ $(DRAWS)

$(DOCS): $(ALL)
	$(PIP) --editable '.[docs]'
	@touch $@

demo: $(DRAWS) ## Train a codec, code LFW, evaluate, draw (about 4 min)
	@mkdir -p demo
	$(PY) -m tsenh.train_codec --lambda=1e-6 --output=demo/pro-1e-6 --overwrite
	$(PY) -m tsenh.encode --codec=demo/pro-1e-6 --input=lfw --output=demo/lfw.tsf
	$(PY) -m tsenh.decode --codec=demo/pro-1e-6 --input=demo/lfw.tsf \
	  --output=demo/lfw.npz
	$(PY) -m tsenh.evaluate --codec=none --output=demo/none.json
	$(PY) -m tsenh.evaluate --codec=demo/pro-1e-6 --method=pro-1e-6 \
	  --output=demo/pro-1e-6.json
	$(PY) -m experiments.report --results=demo --output=demo

check: $(ALL) ## Run the fast tests (under two minutes)
	$(PY) -m pytest -m "not slow"

test: $(ALL) ## Run all tests (about 15 min)
	$(PY) -m pytest

style: $(ALL) ## Check format and lint
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

format: $(ALL) ## Format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

paper: $(ALL) ## All experiments of one network, NETWORK=rank64, resumable
	$(PY) -m experiments.reproduce --network=$(NETWORK) \
	  --output=$(RESULTS)/paper/$(NETWORK)
	$(MAKE) table

paper-short: $(ALL) ## A few of them on dlib's features
	$(PY) -m experiments.reproduce --plan=short --network=dlib \
	  --output=$(RESULTS)/paper/dlib
	$(MAKE) table

paper-smoke: $(ALL) ## A few updates of all of that (3 min), into runs/smoke
	$(PY) -m experiments.reproduce --plan=smoke --network=$(NETWORK) \
	  --output=runs/smoke/results --runs=runs/smoke
	$(PY) -m experiments.report --results=runs/smoke/results \
	  --output=runs/smoke/page

choices: $(ALL) ## Try each teacher for each student on held-out people
	$(PY) -m experiments.reproduce --plan=choices --network=$(NETWORK) \
	  --output=$(RESULTS)/choices/$(NETWORK)

checkpoints: $(ALL) ## Make the shipped codecs again (about an hour)
	rm -rf build/checkpoints # Made apart, so that the checkout stays clean.
	for l in $(LAMBDAS); do \
	  $(PY) -m tsenh.train_codec --lambda=$$l \
	    --output=build/checkpoints/pro-$$l || exit 1; \
	  $(PY) -m tsenh.train_codec --lambda=$$l --epochs=$(LONG_EPOCHS) \
	    --output=build/checkpoints/pro-$$l-e$(LONG_EPOCHS) || exit 1; \
	  $(PY) -m tsenh.train_codec --lambda=$$l --epochs=$(DLIB_EPOCHS) \
	    --features=dlib-faces \
	    --output=build/checkpoints/dlib-pro-$$l-e$(strip $(DLIB_EPOCHS)) \
	    || exit 1; \
	done
	for q in $(QPS); do \
	  $(PY) -m tsenh.train_sq --qp=$$q --output=build/checkpoints/sq-$$q \
	    || exit 1; \
	done
	cp -r build/checkpoints/. checkpoints/

table: $(ALL) ## Rewrite the pages' tables and figures from the results
	$(PY) -m experiments.report
	$(PY) -m experiments.report.walkthrough --output=docs/figures

report: $(ALL) ## Build the page of the experiments as HTML, with PDF figures
	$(PY) -m experiments.report --html=build/report

release-check: $(ALL) ## Fail while a result or a page is older than its code
	$(PY) -m experiments.release_check

benchmark: $(ALL) ## Time training and coding (about 7 min, 12 GB of disk)
	$(PY) -m experiments.benchmarks.training \
	  --output=$(RESULTS)/benchmarks/training.json
	$(PY) -m experiments.benchmarks.coding \
	  --output=$(RESULTS)/benchmarks/coding.json
	$(PY) -m experiments.benchmarks.portable \
	  --output=$(RESULTS)/benchmarks/portable.json

study: $(ALL) ## Measure silent choices, SQ over QP, hashing (10 h or so)
	$(PY) -m experiments.studies.sq_sweep \
	  --output=$(RESULTS)/studies/sq_sweep.json
	$(PY) -m experiments.studies.hashing \
	  --output=$(RESULTS)/studies/hashing.json
	# The paper's 4.1 million updates, at one lambda.
	$(PY) -m tsenh.train_codec --lambda=1e-6 --epochs=2300 --resume \
	  --features=faces-train --validation=faces-validation \
	  --validate_every=46 --output=runs/sensitivity/default-1e-6
	$(PY) -m experiments.studies.sensitivity \
	  --output=$(RESULTS)/studies/sensitivity.json

kill-test: $(ALL) ## Kill a training run 20 times and compare (about 25 min)
	$(PY) -m experiments.benchmarks.kill_and_resume \
	  --output=$(RESULTS)/benchmarks/kill_and_resume.json

docs: $(DOCS) ## Build the documentation site, strictly, into build/site
	$(VENV)/bin/mkdocs build --strict --site-dir build/site

clean: ## Remove what the targets above made
	rm -rf $(VENV) demo runs build *.egg-info
