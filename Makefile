# `make demo` and `make test` set everything up by themselves; `make help` lists what else there is.
PYTHON ?= python3
VENV := .venv
# The stamp's name carries a digest of all that the environment is made from. It is written last: no stamp of that name,
# no (whole) environment.
DIGEST := $(shell { cat requirements/*.txt requirements/detectron2.in tools/*.py setup.py; pwd; $(PYTHON) --version; } | sha256sum | cut -c 1-16)
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
READY := $(VENV)/.ready-$(DIGEST)
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --custom-compile-command 'make lock'

.PHONY: help setup demo test test-browser chromium docs lint format lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

setup: $(READY)  ## make the environment in .venv (demo and test do it by themselves)
	@echo "ready; . $(VENV)/bin/activate puts avsf-det and ava-eval on your PATH"

$(READY):
	@$(PYTHON) tools/environment.py $@

demo: $(READY)  ## see it work on synthetic scenes; VIDEO=path annotates a video of yours
	@$(VENV)/bin/avsf-det demo $${VIDEO:+--video "$$VIDEO"}

test: lint  ## run the linters and all tests
	@$(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-browser: $(READY) chromium  ## run the tests of pages, in Debian's chromium (installed if need be)
	@$(VENV)/bin/python -m pytest -m browser tests/browser

chromium:
	@for name in chromium chromium-browser google-chrome chrome; do command -v $$name >/dev/null && exit; done; \
		$(AS_ROOT) apt-get -qq update && $(AS_ROOT) apt-get -qq install --yes --no-install-recommends chromium >/dev/null

docs: $(READY)  ## build the documentation into site/
	@$(VENV)/bin/python -m mkdocs build --quiet --site-dir site

lint: $(READY)  ## check style and format
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

format: $(READY)  ## mend style and format
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

lock: $(READY)  ## pin the versions anew after a change in requirements/*.in
	@cd requirements && ../$(LOCK) bootstrap.in --output-file bootstrap.txt
	@cd requirements && ../$(LOCK) runtime.in detectron2.in serve.in ray.in export.in dev.in --output-file lock.txt

clean:  ## remove the environment and what builds and tests leave behind; never your results
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .hypothesis .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
