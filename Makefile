# `make help` lists the targets. Everything runs from .venv, which the first target makes.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# Options of a detector's run: make fssd300 DATA=/somewhere GPUS=0,1 ITERS=1000 BATCH=8 TARGET=fssd
DATA   ?= data
DATASET ?=
GPUS   ?=
ITERS  ?=
BATCH  ?=
TARGET ?= ssd
export DATA DATASET GPUS ITERS BATCH TARGET

.PHONY: help install demo test lint types check prototxt bench bench-netgen bench-data proto clean
.DEFAULT_GOAL := help

help:
	@echo "make fssd300            build, check, train and evaluate a detector (any zoo id below)"
	@echo "     DATA=DIR           where the data sets' LMDBs lie (default data/); without any, small drawn data are used"
	@echo "     DATASET=FILE       your own data: the dataset.json that data_prep wrote"
	@echo "     GPUS=0,1 ITERS=N BATCH=N TARGET=ssd|fssd      CAFFE_ROOT in the environment: train with that Caffe"
	@echo "make demo               a small detector learns the embedded data set, with pictures"
	@echo "make test               the test suite     make lint, types, check   what CI adds to it"
	@echo "make install            .venv only         make prototxt, proto      write the committed nets and cards, the schema"
	@echo "make bench              netrun's speed and memory beside OpenCV and plain PyTorch, into bench/results (QUICK=1: a look)"
	@echo "make bench-netgen       how long netgen takes, against its targets     make bench-data     how fast data are converted and loaded"
	@echo; echo "zoo ids (without a data set: _voc0712); their variants are in docs/zoo/README.md:"; ls prototxt | sed 's/^/  /'

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 10) <= v else "make: error: Python 3.10 or newer is needed, $(PYTHON) is %d.%d: try make PYTHON=python3.11" % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "make: error: no venv module: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing from constraints.txt into $(VENV) (once)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

demo: $(STAMP)
	@scripts/run.sh fssd_tiny_shapes

test: $(STAMP)
	@$(BIN)/python -m pytest

lint: $(STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check --quiet . && echo "lint: clean"

types: $(STAMP)
	@$(BIN)/mypy

check: $(STAMP)
	@$(BIN)/python -m tools.write_committed --check

prototxt: $(STAMP)
	@$(BIN)/python -m tools.write_committed

bench: $(STAMP)
	@$(BIN)/python -m bench $(if $(QUICK),--quick --out runs/bench)

bench-netgen: $(STAMP)
	@$(BIN)/python -m bench.building

bench-data: $(STAMP)
	@$(BIN)/python -m bench.conversion

# protoc 3.20 or newer writes modules that every protobuf runtime from 4.21 on accepts, as long as it is older than 26.
proto:
	protoc --python_out=. --pyi_out=. caffe_ir/caffe_ir.proto

clean:
	rm -rf $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache

# Every other name is a zoo id; an unknown one is refused before anything is installed.
# The shell gets the name in a variable, where it is one word and no command.
%: export NAME = $@
Makefile: ;
%:
	@id=$$($(PYTHON) -m tools.zoo_id "$$NAME") && $(MAKE) --no-print-directory install && scripts/run.sh "$$id"
