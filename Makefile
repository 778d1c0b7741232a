# `make demo` and `make test` need python3 >= 3.11, make and nothing else; they build .venv by themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
COMPILED = $(BIN)/python -m compileall -q src tests  # jobs are started by the hundred, perhaps where none may write bytecode
LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml
EXTRAS := --extra postgres --extra numpy --extra safetensors --extra parquet --extra otel --extra server
# torch comes by pip alone: what it brings must not come from a lock file either.
NO_TORCH := $(foreach package,torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas \
	nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile \
	nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink \
	nvidia-nvshmem-cu13 nvidia-nvtx,--no-emit-package $(package))
MINUTES ?= 60
PYTEST_ARGS ?= --numprocesses logical --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test torture check bench docs dashboard lock clean

help:  ## say what can be made
	@sed -n 's/^\([a-z]*\):.*##/make \1 \t/p' Makefile

demo: $(VENV)/.run  ## kill a job over fourteen books again and again, resume it, show the proof
	@$(COMPILED)
	@$(BIN)/python examples/demo.py $(DEMO_ARGS)

# What pytest rewrites is kept: with several processes, else each of them rewrites every plugin anew, 10 s each.
test: $(VENV)/.test  ## the whole test suite
	@$(COMPILED)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest $(PYTEST_ARGS)

torture: $(VENV)/.test  ## every fault against every promise, for MINUTES=60, tried in the order of SEED=n
	@$(COMPILED)
	PYTHONPATH=src:tests $(BIN)/python -m programme --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

check: $(VENV)/.dev  ## style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.bench  ## our figures beside the floor and the peers, in one run
	@set -e; for script in $(filter-out bench/measuring.py,$(wildcard bench/*.py)); do \
		echo "$$script"; PYTHONPATH=tests $(BIN)/python $$script; done

docs: $(VENV)/.dev  ## the documentation, into docs/_build/html; a warning is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

dashboard:  ## test and build the page of `waycairn serve`, into src/waycairn/server/static
	@$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) dashboard/hatch_build.py

lock: $(VENV)/.uv  ## pin the newest versions by hash
	$(LOCK) $(EXTRAS) requirements/bench.in requirements/dev.in -o requirements/.all.txt
	$(LOCK) -c requirements/.all.txt requirements/run.in -o requirements/run.txt
	$(LOCK) -c requirements/.all.txt $(EXTRAS) requirements/test.in -o requirements/test.txt
	$(LOCK) -c requirements/.all.txt $(EXTRAS) requirements/dev.in -o requirements/dev.txt
	$(LOCK) -c requirements/.all.txt $(EXTRAS) requirements/bench.in -o requirements/bench.txt
	printf 'torch==2.13.0\n' > requirements/.torch.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links $(NO_TORCH) -c requirements/.torch.txt -c requirements/test.txt \
		requirements/integrations.in -o requirements/integrations.txt
	rm requirements/.all.txt requirements/.torch.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links requirements/uv.in -o requirements/uv.txt

clean:  ## remove what was built, .venv included
	rm -rf $(VENV) docs/_build build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# A stamp for each requirement file: built anew when the file changes, else instant.
$(VENV)/.run $(VENV)/.test $(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: requirements/%.txt pyproject.toml | $(VENV)/.uv
	@echo "installing requirements/$*.txt into $(VENV)"
	@$(UV) --require-hashes -r requirements/$*.txt
	@$(UV) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "waycairn needs Python 3.11 or newer; this is $$($(PYTHON) --version). Say which one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
		|| { echo "This Python cannot make virtual environments. Install that part: sudo apt-get install -y python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@
