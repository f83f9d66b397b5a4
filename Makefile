# make chat | test | check | bench: each sets up what it needs. `make help` lists all.
SHELL       := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
MODEL  := smollm2-135m-instruct

# llama.cpp's AMX kernels end the process when built by common compilers (ggml-org/llama.cpp issue 20824).
ifeq ($(shell uname -m),x86_64)
NO_AMX := -DCMAKE_C_FLAGS=-mno-amx-int8 -DCMAKE_CXX_FLAGS=-mno-amx-int8
endif

LLAMA := $(shell sed -n 's/^ *"\(llama-cpp-python[^"]*\)".*/\1/p' pyproject.toml)
define SHOW_STEPS
match($$0, /\[[0-9]+\/[0-9]+\]/) { split(substr($$0, RSTART + 1, RLENGTH - 2), step, "/"); \
  if (tty) printf "\r  compiling %d of %d ", step[1], step[2]; \
  else if (step[1] % 20 == 0) printf "  compiling %d of %d\n", step[1], step[2]; fflush() } \
END { if (tty) printf "\r%30s\r", "" }
endef

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup setup-speech whisper model chat test check bench clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.edgeai model  ## make .venv, compile llama.cpp once, pull the default model

setup-speech: setup  ## hear and speak: the extra (0.5 GB installed) and Whisper base (148 MB), once
	$(BIN)/python -m pip install --quiet --editable '.[hub,quantize,documents,plot,speech]'
	@$(BIN)/edgeai models pull whisper-base

whisper: $(VENV)/.edgeai-dev
	@$(BIN)/edgeai models pull whisper-base

chat: setup  ## talk to the default model
	@$(BIN)/edgeai chat

test: $(VENV)/.edgeai-dev model whisper  ## all tests, on the real model too
	$(BIN)/pytest -n 2 --dist loadfile

check: $(VENV)/.edgeai-dev  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.edgeai-dev model  ## measure against peers, side by side
	$(BIN)/python -m benchmarks

clean:  ## remove .venv and caches (not your models and conversations)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "edgeai needs Python 3.10 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.llama: | $(VENV)/bin/python
	@echo "Installing llama.cpp. The first time on a machine it is compiled: 4 to 10 minutes on two cores."
	@CMAKE_BUILD_PARALLEL_LEVEL=$(JOBS) CMAKE_ARGS="$(CMAKE_ARGS) $(NO_AMX)" \
	  $(BIN)/python -m pip install --verbose '$(LLAMA)' 2>&1 | tee $(VENV)/llama.log | \
	  awk -v tty=$$([ -t 1 ] && echo 1 || echo 0) '$(SHOW_STEPS)' || { tail -n 40 $(VENV)/llama.log; exit 1; }
	@touch $@

$(VENV)/.edgeai: pyproject.toml $(VENV)/.llama
	$(BIN)/python -m pip install --quiet --editable '.[hub,quantize,documents,plot]'
	@touch $@

$(VENV)/.edgeai-dev: pyproject.toml $(VENV)/.edgeai
	$(BIN)/python -m pip install --quiet --editable '.[hub,dev]'
	@touch $@

model: $(VENV)/.edgeai
	@$(BIN)/edgeai models pull $(MODEL)
