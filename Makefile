# One word runs everything. `make demo` and `make test` set up all they need: python3 (3.10 or newer) with venv and pip.
#
#   demo    routes real questions among the shipped models; a light environment of its own, without torch
#   test    what CI runs: check, then pytest on all cores, up to 4
#   check   ruff, mypy, the import contract
#   bench   every experiment of the benchmark page; DATA is the folder of outcome tables; a run that was stopped goes on.
#           First the network that ships is trained again, with those that leave tables out to be judged on them (an hour)
#   docs    runs every block and command of README.md and docs/
#   upstream  LangChain's and LlamaIndex's own tests with the router in them; they are downloaded, the latter by git
#   cases   public bug reports as programs, one line each; CASES is their folder
#   lowest, highest  the ends of the declared version ranges, each in a throw-away environment, smoke-tested
#   clean   removes both environments; the next run makes them anew

PYTHON ?= python3
DATA ?= ../shared/data
# The last commit with the second checkpoint, which the third goes on from.
SECOND = 59496f8
CASES ?= ../shared/cases
SUITES ?= core agents-middleware agents-model decisions llamaindex
VENV := .venv
DEMO_VENV := .venv-demo
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := test
.DELETE_ON_ERROR:
.PHONY: demo test check bench docs upstream cases lowest highest clean

demo: $(DEMO_VENV)/.ready
	@$(DEMO_VENV)/bin/cit demo

test: check
	$(VENV)/bin/pytest -n logical --maxprocesses 4 --dist worksteal

check: $(VENV)/.ready
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(VENV)/.ready runs/mini/checkpoint/agreement.json
	$(VENV)/bin/cit bench --data $(DATA) --unseen runs/mini --work runs/bench --output benchmarks/results
	$(VENV)/bin/python -m benchmarks.goals benchmarks/results docs

runs/mini/checkpoint/agreement.json: | $(VENV)/.ready
	mkdir -p runs/second
	git archive $(SECOND) core/cit_core/runtime/checkpoints/mini | tar -x -C runs/second
	$(VENV)/bin/cit train --data $(DATA) --out runs/mini --from runs/second/core/cit_core/runtime/checkpoints/mini \
		--without zeroeval,llmrouter --without korbench,pmllm2,tinybird --without bfcl2024,reasoninggym --without medagents,bullshit

docs: $(VENV)/.ready
	$(VENV)/bin/pytest tests/test_docs.py

upstream: $(VENV)/.ready
	$(VENV)/bin/python -m pip install -q -q -c constraints.txt --group upstream
	@set -e; export PYTHON=$(abspath $(VENV))/bin/python SUITES_DIR=$${SUITES_DIR:-$$(mktemp -d)}; \
		for suite in $(SUITES); do echo "upstream: $$suite"; tests/upstream/run $$suite || [ $$? -eq 69 ]; done  # 69: no git

cases: $(VENV)/.ready
	@PY=$(abspath $(VENV))/bin/python .ci/cases $(CASES)

lowest highest:
	@PYTHON=$(PYTHON) .ci/versions $@

clean:
	rm -rf $(VENV) $(DEMO_VENV)

# Debian's python3 has pip but no ensurepip: there, pip puts itself into the environment.
# A stamp is younger than what it was installed from. `pip -q`: local package folders make it warn at every name.

$(DEMO_VENV)/.ready: pyproject.toml constraints.txt
	$(call make_venv,$(DEMO_VENV))
	@echo "installing what routing needs into $(DEMO_VENV)"
	@$(DEMO_VENV)/bin/python -m pip install -q -q -c constraints.txt -e .
	@touch $@

$(VENV)/.ready: pyproject.toml constraints.txt
	$(call make_venv,$(VENV))
	@echo "installing the development environment into $(VENV): some minutes the first time"
	@$(VENV)/bin/python -m pip install -q -q -U 'pip>=25.1'  # the first that knows dependency groups
	@$(VENV)/bin/python -m pip install -q -q -c constraints.txt -e '.[all]' --group dev
	@touch $@

define make_venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	{ echo "cit-router needs Python 3.10 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1); try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
@$(1)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(1) >/dev/null 2>&1 || \
	{ $(PYTHON) -m venv --clear --without-pip $(1) && $(PYTHON) -m pip -q --python $(1)/bin/python install pip; } || \
	{ echo "$(PYTHON) can make no environment: it needs the venv module, and pip 22.3 or newer" >&2; exit 1; }
endef
