# Needs Python 3.11 (3.9 and 3.10 work too) and pip; everything else goes into
# .venv. `make` alone lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PY := $(VENV)/bin/python
# Installed: the package and what draws; what tests and compares; the site.
DRAWS := $(VENV)/.draws
ALL := $(VENV)/.all
DOCS := $(VENV)/.docs
FUZZ := $(VENV)/.fuzz
LAMBDAS := 1e-4 1e-5 1e-6 1e-7
BETWEEN := 3e-5 3e-6 # The half decades where rate jumps.
QPS := 50 45 40 30
AHEAD_BITS := 64 78 101 128
LONG_EPOCHS := 400
DLIB_EPOCHS := 282 # Of its smaller set, as many updates as rank 64's 40.
RESULTS := experiments/results
NETWORK ?= fullrank
SEEDS ?= 5
# Where networks and photographs of the shipped sets lie.
SHARED ?= ../shared

.DEFAULT_GOAL := help
.PHONY: help demo check test style format paper recent paper-short paper-smoke \
  choices checkpoints table report rebuild replay release-check benchmark \
  benchmark-extraction enhancer-study study grains ablation ahead expression \
  scalable fuzz faults docs clean

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
	$(PIP) --editable '.[paper,export,test]'
	@touch $@ $(DRAWS)

$(DOCS): $(ALL)
	$(PIP) --editable '.[docs]'
	@touch $@

$(FUZZ): $(ALL)
	$(PIP) --editable '.[fuzz]'
	@touch $@

demo: $(DRAWS) ## Train a codec, code LFW, evaluate, draw (about 2 min)
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

test: $(ALL) ## Run all tests, files side by side (about 17 min)
	$(PY) -m pytest --numprocesses=auto --dist=loadfile

style: $(ALL) ## Check format and lint
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

format: $(ALL) ## Format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

paper: $(ALL) ## All experiments of NETWORK=fullrank or rank64, or of SET=mine
ifdef SET # The manifest mine.json of feature sets of your own.
	$(PY) -m experiments.reproduce --network=$(SET).json --seeds=$(SEEDS) \
	  --output=runs/$(notdir $(SET))/results --runs=runs/$(notdir $(SET))
	$(PY) -m experiments.report --network=$(SET).json \
	  --results=runs/$(notdir $(SET))/results --output=runs/$(notdir $(SET))/page
else
	$(PY) -m experiments.reproduce --network=$(NETWORK) \
	  --output=$(RESULTS)/paper/$(NETWORK)
	$(MAKE) table
endif

recent: $(ALL) ## Quantizers younger than the paper, of NETWORK (about 3 h)
	$(PY) -m experiments.reproduce --plan=recent --network=$(NETWORK) \
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

checkpoints: $(ALL) ## Make the shipped codecs again (about two hours)
	rm -rf build/checkpoints # Made apart, so that the checkout stays clean.
	train() { $(PY) -m tsenh.train_codec --output=build/checkpoints/$$1 \
	    --lambda=$$2 --epochs=$$3 --features=$$4 || exit 1; }; \
	for l in $(LAMBDAS) $(BETWEEN); do \
	  train pro-$$l $$l 40 faces; \
	done; \
	for l in $(LAMBDAS); do \
	  train pro-$$l-e$(LONG_EPOCHS) $$l $(LONG_EPOCHS) faces; \
	  train rank64-pro-$$l $$l 40 rank64-faces; \
	  train rank64-pro-$$l-e$(LONG_EPOCHS) $$l $(LONG_EPOCHS) rank64-faces; \
	  train dlib-pro-$$l-e$(strip $(DLIB_EPOCHS)) $$l $(DLIB_EPOCHS) dlib-faces; \
	done
	mkdir -p build/checkpoints/enhancers
	$(PY) -m tsenh.train_enhancer --low=build/checkpoints/pro-1e-4 \
	  --high=build/checkpoints/pro-1e-6 \
	  --output=build/checkpoints/enhancers/pro-e-1e-4
	for b in $(AHEAD_BITS); do \
	  $(PY) -m tsenh.train_ahead --bits=$$b --output=build/checkpoints/ahead-$$b \
	    || exit 1; \
	  $(PY) -m tsenh.train_ahead --bits=$$b --features=rank64-faces \
	    --shrinkage=3 --output=build/checkpoints/rank64-ahead-$$b || exit 1; \
	done
	for q in $(QPS); do \
	  $(PY) -m tsenh.train_sq --qp=$$q --output=build/checkpoints/sq-$$q \
	    || exit 1; \
	  $(PY) -m tsenh.train_sq --qp=$$q --features=rank64-faces \
	    --output=build/checkpoints/rank64-sq-$$q || exit 1; \
	done
	cp -r build/checkpoints/. checkpoints/

IMAGES := $(SHARED)/images/faces64.npz
RESIDUAL := --epochs=4 --batch_size=32
JUDGES := $(SHARED)/networks/mobilefacenet128.param \
  $(SHARED)/faces/MobileFaceNet.tflite
LEARNED := learned:0,learned:15,learned:30,learned:45,learned:60,$\
  learned:75,learned:100
LAYERS := ,$(LEARNED),avif:0:4,avif:0,avif:10,avif:20,avif:30,avif:40,$\
  webp:0,webp:10
CODECS := webp:0,webp:1,webp:5,webp:10,webp:15,avif:0,avif:5,avif:10,$\
  avif:20,avif:30,avif:35,avif:40,jpeg2000:10,jpeg2000:20,jpeg2000:30,$\
  jpeg:1,jpeg:5,jpeg:10
scalable: $(ALL) ## Train and measure the layered face codec, from SHARED (3 h)
	train() { $(PY) -m tsenh.train_scalable --images=$(IMAGES) --part=$$1 \
	  --output=$$2 --resume $$3; }; \
	train base runs/scalable "--epochs=20 --learning_rate=1e-3" && \
	train generator runs/scalable "--epochs=3 --batch_size=32 --width=24 \
	  --consistency=0.1 --learning_rate=1e-3" && \
	train residual runs/scalable "$(RESIDUAL)" && \
	mkdir -p runs/scalable-alone && \
	cp -r runs/scalable/base runs/scalable/generator runs/scalable-alone && \
	train residual runs/scalable-alone "$(RESIDUAL) --alone"
	mkdir -p $(RESULTS)/scalable
	for judge in $(JUDGES); do \
	  name=$$(basename $$judge | cut -d. -f1); \
	  measure="$(PY) -m tsenh.evaluate_scalable --images=$(SHARED)/faces/lfw_aligned.tar \
	    --network=$$judge --scale=128"; \
	  $$measure --model=runs/scalable --bases=sharp --layers=$(LAYERS) \
	    --output=$(RESULTS)/scalable/$$name-model.json && \
	  $$measure --model=runs/scalable-alone --layers=$(LEARNED) \
	    --output=$(RESULTS)/scalable/$$name-alone.json && \
	  $$measure --model=none --eigenfaces=$(IMAGES) --codecs=$(CODECS) \
	    --output=$(RESULTS)/scalable/$$name-codecs.json || exit 1; \
	done
	$(PY) -m experiments.benchmarks.images --model=runs/scalable \
	  --output=$(RESULTS)/benchmarks/images.json
	$(PY) -m experiments.scalable_pages --model=runs/scalable

table: $(ALL) ## Rewrite the pages' tables and figures from the results
	$(PY) -m experiments.report

report: $(ALL) ## Build the page of the experiments as HTML, with PDF figures
	$(PY) -m experiments.report --html=build/report

rebuild: $(ALL) ## Extract the shipped sets again, from SHARED, and compare
	$(PY) -m experiments.rebuild --output=$(RESULTS)/rebuild.json \
	  --crops=$(SHARED)/faces/lfw_aligned.tar \
	  --pairs=$(SHARED)/faces/pairs.txt \
	  --fullrank=$(SHARED)/networks/mobilefacenet128.param \
	  --rank64=$(SHARED)/faces/MobileFaceNet.tflite \
	  --projection=$(SHARED)/faces/projection.npz \
	  --samples=$(SHARED)/faces/samples
	$(MAKE) table

replay: $(ALL) ## Make results of older code again, as few as speak for all
	$(PY) -m experiments.replay

release-check: $(ALL) ## Fail while a result or a page is older than its code
	$(PY) -m experiments.release_check

benchmark: $(ALL) ## Time training and coding (about 30 min, 12 GB of disk)
	$(PY) -m experiments.benchmarks.training \
	  --output=$(RESULTS)/benchmarks/training.json
	$(PY) -m experiments.benchmarks.coding \
	  --output=$(RESULTS)/benchmarks/coding.json
	$(PY) -m experiments.benchmarks.growth --resume \
	  --output=$(RESULTS)/benchmarks/growth.json
	$(PY) -m experiments.benchmarks.peers \
	  --output=$(RESULTS)/benchmarks/peers.json
	$(PY) -m experiments.benchmarks.portable \
	  --output=$(RESULTS)/benchmarks/portable.json
	$(PY) -m experiments.benchmarks.exports \
	  --output=$(RESULTS)/benchmarks/exports.json
	$(PY) -m experiments.benchmarks.streaming \
	  --output=$(RESULTS)/benchmarks/streaming.json

benchmark-extraction: $(ALL) ## Time what photographs take, from SHARED
	$(PY) -m experiments.benchmarks.extraction \
	  --crops=$(SHARED)/faces/lfw_aligned.tar \
	  --network=$(SHARED)/networks/mobilefacenet128.param \
	  --output=$(RESULTS)/benchmarks/extraction.json
	$(PY) -m experiments.benchmarks.cluster \
	  --photographs=$(SHARED)/faces/samples/photos \
	  --output=$(RESULTS)/benchmarks/cluster.json

STUDIES := $(RESULTS)/studies/$(NETWORK)
enhancer-study: $(ALL) ## What NETWORK's enhancer is worth, and why
	# The codecs and enhancers that other targets have trained are used again.
	$(PY) -m experiments.reproduce --plan=enhancer --network=$(NETWORK) \
	  --output=$(RESULTS)/enhancer/$(NETWORK) --runs=runs/paper/$(NETWORK)
	$(PY) -m experiments.reproduce --plan=why --network=$(NETWORK) \
	  --output=$(RESULTS)/why/$(NETWORK) --runs=runs/choices/$(NETWORK)

study: $(ALL) ## NETWORK's silent choices, SQ over QP, hashing (10 h or so)
	mkdir -p $(STUDIES)
	$(PY) -m experiments.studies.sq_sweep --network=$(NETWORK) \
	  --output=$(STUDIES)/sq_sweep.json
	$(PY) -m experiments.studies.effort --network=$(NETWORK) \
	  --output=$(STUDIES)/effort.json
	$(PY) -m experiments.studies.hashing --network=$(NETWORK) \
	  --output=$(STUDIES)/hashing.json
	# The default at the paper's 4.1 million updates, the choices at a twelfth.
	$(PY) -m experiments.studies.sensitivity --network=$(NETWORK) \
	  --max_epochs=92 --output=$(STUDIES)/sensitivity.json
	$(PY) -m experiments.studies.sensitivity --network=$(NETWORK) \
	  --only=default --max_epochs=2300 --output=$(STUDIES)/sensitivity.json

grains: $(ALL) ## Coarse terms on held-out people, to choose one
	$(PY) -m experiments.reproduce --plan=grains --network=$(NETWORK) \
	  --output=$(RESULTS)/grains/$(NETWORK)
	mkdir -p $(STUDIES)
	$(PY) -m experiments.studies.seen_people --network=$(NETWORK) \
	  --output=$(STUDIES)/seen_people.json

ablation: $(ALL) ## Fine grain, coarse grain, both (about 3 h)
	$(PY) -m experiments.reproduce --plan=ablation --network=$(NETWORK) \
	  --output=$(RESULTS)/ablation/$(NETWORK)

ahead: $(ALL) ## Each part of the codec ahead, and what chose them (2 h)
	$(PY) -m experiments.reproduce --plan=ahead --network=$(NETWORK) \
	  --output=$(RESULTS)/paper/$(NETWORK)
	mkdir -p $(STUDIES)
	$(PY) -m experiments.studies.ahead --network=$(NETWORK) \
	  --output=$(STUDIES)/ahead.json
	$(PY) -m experiments.studies.trained --network=$(NETWORK) \
	  --output=$(STUDIES)/trained.json

expression: $(ALL) ## Expressions of half-hidden faces (about 3 h)
	$(PY) -m experiments.expressions --data=$(SHARED)/images/ferplus.npz \
	  --labels=$(SHARED)/images/fer2013new.csv --output=$(RESULTS)/expression
	$(MAKE) table

fuzz: $(FUZZ) ## A million damaged inputs for each reader (hours)
	$(PY) -m experiments.fuzzing --output=$(RESULTS)/fuzzing

faults: $(ALL) ## Kill, starve and fill the disk of each command (an hour)
	$(PY) -m experiments.faults --output=$(RESULTS)/faults

IMAGES ?= ../shared/images/faces64.npz
LFW ?= ../shared/faces/lfw_aligned.tar
TEACHER ?= ../shared/networks/mobilefacenet128.param
lowres: $(ALL) ## Students of 16 and 32 pixels on LFW, and their ablation (hours)
	$(PY) -m experiments.lowres --images=$(IMAGES) --lfw=$(LFW) \
	  --teacher_network=$(TEACHER)
	$(PY) -m experiments.benchmarks.students --teacher_network=$(TEACHER) \
	  --output=$(RESULTS)/benchmarks/students.json

students: $(ALL) ## Train the shipped students again from IMAGES (hours)
	rm -rf build/students
	train() { $(PY) -m tsenh.train_student --images=$(IMAGES) --size=$$2 \
	    --shrunken=build/shrunken$$2.npz --output=build/students/$$1 \
	    --widths=$$3 --epochs=$$4 || exit 1; \
	  mkdir -p checkpoints/students/$$1; \
	  for f in config.json float32.tflite int8.tflite; do \
	    cp build/students/$$1/$$f checkpoints/students/$$1/; done; }; \
	train student-16 16 16,48/48,52/128 100; \
	train student-32 32 32,48/48,46/112 40; \
	train student-16-quarter 16 8,24/24,24/64 30

docs: $(DOCS) ## Build the documentation site, strictly, into build/site
	$(VENV)/bin/mkdocs build --strict --site-dir build/site

clean: ## Remove what the targets above made
	rm -rf $(VENV) demo runs build *.egg-info
