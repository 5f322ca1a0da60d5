# Each target does its own set-up: system packages (as root, on Debian or Ubuntu) and .venv.
# `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.complete
PYSIDE_STAMP := .venv-pyside/.complete
# Where the benchmark images are, and more options for pytest and for the benchmark.
DATA ?= ../shared/data
ARGS ?=

# Real napari windows need a display; where there is none, Xvfb is one.
ifeq ($(shell uname -s)$(DISPLAY),Linux)
WITH_DISPLAY := xvfb-run -a -s "-screen 0 1400x1000x24"
endif

.PHONY: help setup packages demo test test-quick test-pyside lint types docs pretrain bench bench-accuracy bench-families \
  bench-learning bench-scribbles bench-next-stroke bench-objects bench-slider bench-scale bench-live bench-first-press bench-apply bench-gpu bench-throughput \
  bench-scale-out bench-peers bench-faults bench-volumes bench-volume-scale fuzz soak clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS=$$'\t' read -r name text; do \
	  printf '  make %-21s %s\n' "$$name" "$$text"; done

setup: packages $(STAMP) ## system packages and .venv; repeated calls do nothing

packages:
	@PYTHON='$(PYTHON)' scripts/setup.sh packages

$(STAMP): pyproject.toml constraints.txt scripts/setup.sh
	@PYTHON='$(PYTHON)' scripts/setup.sh environment

$(PYSIDE_STAMP): pyproject.toml constraints.txt scripts/setup.sh
	@PYTHON='$(PYTHON)' scripts/setup.sh pyside

demo: setup ## segment a sample image in a real napari window; writes demo-output/
	$(BIN)/napari-diffseg demo -o demo-output

# The images are small: on a busy machine several threads only wait for each other. Two processes
# test two files at a time; ARGS='-n 0' is one, for a debugger.
PYTEST = env OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test: setup ## all tests, in real napari windows too
	$(WITH_DISPLAY) $(PYTEST) $(ARGS)

test-quick: $(STAMP) ## the tests that are neither slow nor open a window
	$(PYTEST) -m 'not slow and not gui' $(ARGS)

test-pyside: BIN := .venv-pyside/bin
test-pyside: packages $(PYSIDE_STAMP) ## the tests of the window on PySide6, in .venv-pyside
	QT_API=pyside6 $(WITH_DISPLAY) $(PYTEST) tests/widgets $(ARGS)

lint: $(STAMP) ## ruff: rules, floors and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy, strict; but for some views of Qt
	$(BIN)/mypy

docs: $(STAMP) ## the documentation as a site in site/; fails on a link that leads nowhere
	$(BIN)/mkdocs build --strict

# Where the trained weights go; those that are shipped stay until somebody puts these there.
WEIGHTS ?= features.safetensors

pretrain: $(STAMP) ## train the feature network on simulated images: WEIGHTS=FILE ARGS='--seconds 530'
	$(BIN)/python -m pretraining.train '$(WEIGHTS)' $(ARGS)

bench: $(STAMP) ## speed and memory of the default against the paper preset
	$(BIN)/python -m benchmarks.compare $(ARGS)

bench-accuracy: $(STAMP) ## scores against classical methods: make bench-accuracy DATA=DIR
	$(BIN)/python -m benchmarks.accuracy --data '$(DATA)' $(ARGS)

bench-families: $(STAMP) ## micrographs by family against k-means; ARGS=--cross-fit: settings
	$(BIN)/python -m benchmarks.families --data '$(DATA)' $(ARGS)

bench-learning: $(STAMP) ## gradient steps on the image, loss by loss; ARGS=--block: network too
	$(BIN)/python -m benchmarks.learning --data '$(DATA)' $(ARGS)

bench-scribbles: $(STAMP) ## scribbles against classical methods: make bench-scribbles DATA=DIR
	$(BIN)/pip install -q -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks.scribbles --data '$(DATA)' $(ARGS)

bench-next-stroke: $(STAMP) ## strokes where the result is least sure, against anywhere: DATA=DIR
	$(BIN)/pip install -q -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks.next_stroke --data '$(DATA)' $(ARGS)

bench-objects: $(STAMP) ## nuclei counted, against Otsu and a forest: DATA=DIR
	$(BIN)/python -m benchmarks.objects --data '$(DATA)' --speed --frames 20 200 $(ARGS)

bench-slider: setup ## how soon the window's objects follow a slider
	$(WITH_DISPLAY) $(BIN)/python -m benchmarks.slider $(ARGS)

bench-scale: $(STAMP) ## time and memory of large images, simulated ones
	$(BIN)/python -m benchmarks.scale $(ARGS)

bench-live: setup ## how soon the window follows a stroke
	$(WITH_DISPLAY) $(BIN)/python -m benchmarks.live $(ARGS)

bench-first-press: setup ## the first press in a process that has done nothing
	$(WITH_DISPLAY) $(BIN)/python -m benchmarks.first_press $(ARGS)

bench-apply: $(STAMP) ## a model of three frames on the others, against a forest: DATA=DIR
	$(BIN)/python -m benchmarks.apply --data '$(DATA)' $(ARGS)

bench-gpu: $(STAMP) ## what a GPU gains; says so where there is none
	$(BIN)/python -m benchmarks.gpu $(ARGS)

bench-throughput: $(STAMP) ## how fast a model is applied; threads and processes
	$(BIN)/python -m benchmarks.throughput $(ARGS)

bench-scale-out: $(STAMP) ## cost against the number of frames, on threads, processes, dask
	$(BIN)/python -m benchmarks.scale_out $(ARGS)

# napari-convpaint and ilastik's filters: an environment of their own, with this package in it.
PEERS := .venv-peers

$(PEERS)/.complete: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install -q -c constraints.txt -e . napari-convpaint ilastik-napari PyQt6
	touch $@

bench-peers: $(PEERS)/.complete ## against napari-convpaint, forests, superpixels: DATA=DIR
	$(PEERS)/bin/python -m benchmarks.peers --data '$(DATA)' $(ARGS)

bench-faults: $(STAMP) ## killed and stopped runs, killed workers, full disks (as root, Linux)
	$(BIN)/python -m benchmarks.faults $(ARGS)
	$(BIN)/python -m benchmarks.fault_commands
	$(BIN)/python -m benchmarks.fault_interrupts

fuzz: $(STAMP) ## inputs that make no sense, through every door: ARGS='--inputs 100000'
	$(BIN)/python -m benchmarks.fuzz $(ARGS)

soak: setup ## the window, used at random: ARGS='--minutes 60'
	$(WITH_DISPLAY) $(BIN)/python -m benchmarks.soak $(ARGS)

bench-volumes: $(STAMP) ## as a volume against plane by plane, forests, thresholds: DATA=DIR
	$(BIN)/python -m benchmarks.volumes --data '$(DATA)' $(ARGS)

bench-volume-scale: $(STAMP) ## time and memory of a large volume and of a zarr, simulated
	$(BIN)/python -m benchmarks.volume_scale $(ARGS)

clean: ## remove .venv, caches and demo-output/
	rm -rf .venv .venv-peers .venv-pyside site .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist demo-output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
