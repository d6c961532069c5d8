# Needs Python 3.11 (3.9 and 3.10 work too) and pip; everything else goes into
# .venv. `make` alone lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
LAMBDAS := 1e-4 1e-5 1e-6 1e-7
LONG_EPOCHS := 400
DLIB_EPOCHS := 282 # As many updates of its smaller training set.
RESULTS := experiments/results

.DEFAULT_GOAL := help
.PHONY: help demo test paper paper-smoke choices style format checkpoints \
  results table benchmark study kill-test clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | \
	  awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(INSTALLED): setup.py pyproject.toml constraints.txt
	@$(PYTHON) setup.py check_platform
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[test,paper]'
	@touch $@

demo: export TSENH_TEST_LOG = demo/test_log.jsonl
demo: $(INSTALLED) ## Train a codec, code LFW, evaluate, draw (about 4 min)
	@mkdir -p demo
	$(PY) -m tsenh.train_codec --lambda=1e-6 --output=demo/pro-1e-6 --overwrite
	$(PY) -m tsenh.encode --codec=demo/pro-1e-6 --input=lfw --output=demo/lfw.tsf
	$(PY) -m tsenh.decode --codec=demo/pro-1e-6 --input=demo/lfw.tsf \
	  --output=demo/lfw.npz
	$(PY) -m tsenh.evaluate --codec=none --output=demo/none.json
	$(PY) -m tsenh.evaluate --codec=demo/pro-1e-6 --method=pro-1e-6 \
	  --output=demo/pro-1e-6.json
	$(PY) -m experiments.table --results=demo
	$(PY) -m experiments.figures --results=demo

test: $(INSTALLED) ## Run all tests (about 10 min)
	$(PY) -m pytest

paper: $(INSTALLED) ## Table 1, Figures 2, 4, 5 and peers (about 2 h), resumable
	$(PY) -m experiments.reproduce --output=$(RESULTS)/paper
	$(PY) -m experiments.report --results=$(RESULTS)/paper \
	  --output=docs/paper.html

paper-smoke: $(INSTALLED) ## A few updates of all of that (3 min), into runs/smoke
	$(PY) -m experiments.reproduce --plan=smoke --output=runs/smoke/results \
	  --runs=runs/smoke
	$(PY) -m experiments.report --results=runs/smoke/results --smoke \
	  --output=runs/smoke/paper.html

choices: $(INSTALLED) ## Try each teacher for each student on held-out people
	$(PY) -m experiments.reproduce --plan=choices --output=$(RESULTS)/choices

style: $(INSTALLED) ## Check format and lint
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

format: $(INSTALLED) ## Format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

checkpoints: $(INSTALLED) ## Retrain the shipped codecs (about an hour)
	for l in $(LAMBDAS); do \
	  $(PY) -m tsenh.train_codec --lambda=$$l --output=checkpoints/pro-$$l \
	    --overwrite || exit 1; \
	  $(PY) -m tsenh.train_codec --lambda=$$l --epochs=$(LONG_EPOCHS) \
	    --output=checkpoints/pro-$$l-long --overwrite || exit 1; \
	  $(PY) -m tsenh.train_codec --lambda=$$l --epochs=$(DLIB_EPOCHS) \
	    --features=dlib-faces --output=checkpoints/dlib-pro-$$l \
	    --overwrite || exit 1; \
	done

results: $(INSTALLED) ## Evaluate the shipped codecs, SQ and no codec on LFW
	@mkdir -p $(RESULTS)
	for c in none sq:50 sq:45 sq:40 sq:30 \
	  $(foreach l,$(LAMBDAS),pro-$(l) pro-$(l)-long); do \
	  $(PY) -m tsenh.evaluate --codec=$$c \
	    --output=$(RESULTS)/lfw-$$(echo $$c | tr : -).json || exit 1; \
	done
	$(PY) -m tsenh.evaluate --codec=none --features=faces-validation \
	  --output=$(RESULTS)/validation-none.json
	for c in none $(foreach l,$(LAMBDAS),dlib-pro-$(l)); do \
	  $(PY) -m tsenh.evaluate --codec=$$c --features=dlib-lfw \
	    --output=$(RESULTS)/dlib-lfw-$$c.json || exit 1; \
	done
	for c in pq:128 pq:256 opq:128 opq:256 pca:0.14 pca:0.1 pca:0.07 pca:0.05; do \
	  $(PY) -m tsenh.evaluate --codec=$$c:dlib-faces --features=dlib-lfw \
	    --method=$$c --output=$(RESULTS)/dlib-lfw-$$(echo $$c | tr : -).json \
	    || exit 1; \
	done
	$(PY) -m experiments.measure_portable --output=$(RESULTS)/portable.json

table: $(INSTALLED) ## Rewrite the pages' tables and figures from the results
	$(PY) -m experiments.table --results=$(RESULTS) --update
	$(PY) -m experiments.figures --results=$(RESULTS)
	$(PY) -m experiments.report --results=$(RESULTS)/paper \
	  --output=docs/paper.html
	$(PY) -m experiments.walkthrough --output=docs/figures

benchmark: $(INSTALLED) ## Time training and coding (about 7 min, 12 GB of disk)
	@mkdir -p $(RESULTS)
	$(PY) -m experiments.benchmark_training \
	  --output=$(RESULTS)/benchmark_training.json
	$(PY) -m experiments.benchmark_coding \
	  --output=$(RESULTS)/benchmark_coding.json

study: $(INSTALLED) ## Measure silent choices, SQ over QP, hashing (10 h or so)
	$(PY) -m experiments.sq_sweep --output=$(RESULTS)/sq_sweep.json
	$(PY) -m experiments.hashing --output=$(RESULTS)/hashing.json
	# The paper's 4.1 million updates, at one lambda.
	$(PY) -m tsenh.train_codec --lambda=1e-6 --epochs=2300 --resume \
	  --features=faces-train --validation=faces-validation \
	  --validate_every=46 --output=runs/sensitivity/default-1e-6
	$(PY) -m experiments.sensitivity --output=$(RESULTS)/sensitivity.json

kill-test: $(INSTALLED) ## Kill a training run 20 times and compare (about 10 min)
	@mkdir -p $(RESULTS)
	$(PY) -m experiments.kill_and_resume --output=$(RESULTS)/kill_and_resume.json

clean: ## Remove what the targets above made
	rm -rf $(VENV) demo runs build *.egg-info
