# The commands of this project. Each works in a fresh clone: what it needs is installed into .venv first.
# Python 3.11, 3.12 or 3.13 is found on the PATH; `make PYTHON=/path/to/python3.12 lab` chooses one.

.DEFAULT_GOAL := help
.PHONY: help setup lab student slides test notebooks lint html bench clean lock

PYTHON ?=
ARGS ?=
COPIES := my_lessons
BIN := .venv/bin
READY := .venv/.ready
export UV_PYTHON_DOWNLOADS := never
export TF_CPP_MIN_LOG_LEVEL ?= 3

CANDIDATES = $(if $(PYTHON),$(PYTHON),python3.13 python3.12 python3.11 python3)
FITS = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
AS_ROOT = $(if $(filter 0,$(shell id -u)),--allow-root)

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

setup: $(READY)  ## install everything into .venv (the other commands do it when needed)

lab: $(READY)  ## open copies of the lessons in JupyterLab; ARGS="--no-browser --port 9000" passes options on
	@$(BIN)/python -m jointnet.teach lab notebooks $(COPIES)
	$(BIN)/jupyter lab $(AS_ROOT) --notebook-dir=$(COPIES) --LabApp.default_url=/lab/tree/00_start_here.ipynb $(ARGS)

student: $(READY)  ## write the lessons without their solutions into build/student
	$(BIN)/python -m jointnet.teach student notebooks build/student

slides: $(READY)  ## run the lessons and write slides of them, which open offline; ARGS="--no-run" leaves the figures out
	$(BIN)/python -m jointnet.teach slides notebooks build/slides $(ARGS)

test: lint  ## lint, then run the tests and the lessons on small settings; ARGS="-k raster" picks some
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

notebooks: $(READY)  ## run the lessons as a reader does, at full size, and print the time of each
	$(BIN)/python -m pytest tests/notebooks/test_lessons.py --full-size --durations=0 --durations-min=0.1 $(ARGS)

lint: $(READY)  ## check the style of the code, and its types
	$(BIN)/ruff check .
	$(BIN)/mypy

html: $(READY)  ## run the lessons and write the course as a web site into build/html; ARGS="--small" in less time
	$(BIN)/python docs/site/build.py build/html $(ARGS)

bench: $(READY)  ## measure speed and memory; JOINTNET_TORCH=/path/to/python compares with PyTorch and geoai there
	@began=$$(date +%s); for file in benchmarks/*.py; do \
	  echo "== $$file"; $(BIN)/python "$$file" || exit 1; echo "   after $$(( $$(date +%s) - began )) seconds"; done

lock: $(READY)  ## choose the newest versions that pyproject.toml allows, and write requirements.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --extra dev --extra site --extra dask --extra onnx --extra parquet --extra slides --extra tensorboard --upgrade --quiet pyproject.toml -o requirements.lock

clean:  ## remove what these commands made, but keep .venv
	rm -rf build data/sample jointnet.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@for python in $(CANDIDATES); do \
	  if "$$python" -c '$(FITS)' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "no Python 3.11, 3.12 or 3.13 among: $(CANDIDATES). Install one, or name it: make PYTHON=/path/to/python3" >&2; \
	  exit 1; \
	fi; \
	echo "making .venv with $$("$$found" --version)"; \
	"$$found" -m venv .venv || { rm -rf .venv; echo "$$found cannot make environments; on Debian and Ubuntu:" \
	  "apt install python3-venv" >&2; exit 1; }

# The lock decides every version; the hashes in it are checked. A second run has nothing to do.
$(READY): requirements.lock pyproject.toml | $(BIN)/python
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet 'uv>=0.5'
	$(BIN)/uv pip sync --python $(BIN)/python --compile-bytecode requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation --quiet --editable .
	@mkdir -p .venv/share/jupyter/lab/settings
	@echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}' \
	  > .venv/share/jupyter/lab/settings/overrides.json
	@touch $(READY)
