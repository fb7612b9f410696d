# `make` alone says what there is. It needs Python >= 3.11, and for a class Node.js.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
TOOLS := $(VENV)/tools-ready
PROXY := $(VENV)/hub/node_modules/.bin/configurable-http-proxy
export NB NAME TITLE  # what make notebook takes

.PHONY: help venv tools lab hub class proxy test offline refresh book check format bench measure lock
.PHONY: update newest committed notebook release

help:
	@echo "make lab        install into $(VENV) and open the course in JupyterLab"
	@echo "make test       install, and run every test and every cell of every notebook"
	@echo "make venv       install what learners need, and nothing else"
	@echo "make hub        start a JupyterHub for a class; CLASS_PASSWORD=… names its password"
	@echo "for maintainers:"
	@echo "make tools      install what tests the course and maintains it, too"
	@echo "make proxy      install what make hub needs from npm"
	@echo "make offline    make test, without a network, and an error if anything asks for one (Linux)"
	@echo "make refresh    run all notebooks again and store their outputs; NB=03 for one"
	@echo "make book       build a static site of the course, to read without Jupyter, into build/book"
	@echo "make check      format, lint and types"
	@echo "make format     mend of these what can be mended by itself"
	@echo "make bench      what BackgroundServer and the tap cost, and how fast recordings are decoded"
	@echo "make measure    seconds from a clone to the first call, and of the suite against its floor"
	@echo "make lock       compile requirements.txt from pyproject.toml"
	@echo "make update     pin the newest releases that pyproject.toml allows, and show what they change"
	@echo "make newest     the same for the newest of all, whatever pyproject.toml says"
	@echo "make notebook   begin a notebook: make notebook NB=15 NAME=security TITLE=\"Keep strangers out\""
	@echo "make release    the files of a release, for the tag of its version: make release TAG=v1.2.3"

venv: $(READY)

# Installed again only when the requirements have changed, or what comes with teams_lib.
$(READY): requirements.txt pyproject.toml $(wildcard teams_lib/alt_text/*.* teams_lib/alt_text/static/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "This course needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)."; \
	  echo "Name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This Python cannot make a virtual environment. On Debian and Ubuntu: sudo apt install python3-venv"; \
	  echo "Or name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing into $(VENV) (about a minute, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

tools: $(TOOLS)

$(TOOLS): $(READY) tools/requirements.txt
	@echo "Installing what tests the course and maintains it (half a minute, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tools/requirements.txt
	@touch $@

lab: venv
	$(BIN)/python -m jupyter lab --ServerApp.root_dir=. notebooks/00_start_here.ipynb

hub: class tools proxy
	$(BIN)/python -m jupyterhub -f tools/jupyterhub_config.py

# What would stop a class is said before minutes of installing.
class:
	@test "$${#CLASS_PASSWORD}" -ge 8 || { \
	  echo "Set CLASS_PASSWORD to what learners log in with, of 8 characters or more: CLASS_PASSWORD=… make hub"; exit 1; }
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || { \
	  echo "JupyterHub's proxy needs Node.js 20 or newer, and 'node' is $$(node --version 2>&1 || true)."; \
	  echo "Get one from https://nodejs.org/en/download: that of Debian 12, for one, is older."; exit 1; }

proxy: $(PROXY)

$(PROXY):
	@command -v npm >/dev/null || { \
	  echo "JupyterHub's proxy needs npm, and Node.js 20 or newer: https://nodejs.org/en/download"; exit 1; }
	npm install --silent --no-save --prefix $(VENV)/hub configurable-http-proxy@5.3.0

test: tools
	$(BIN)/python -m pytest --nbval -n auto

offline: tools
	$(BIN)/python -m tools.offline $(MAKE) test

refresh: tools
	$(BIN)/python -m tools.refresh $(NB)

book: tools
	$(BIN)/python -m tools.book

check: tools
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml

format: tools
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

bench: tools
	$(BIN)/python -m tools.bench

measure: tools
	$(BIN)/python -m tools.measure

# The smaller one follows the larger, so that both name the same versions.
COMPILE := -m uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate pyproject.toml

lock: tools
	$(BIN)/python $(COMPILE) $(UPGRADE) --group dev --output-file tools/requirements.txt
	$(BIN)/python $(COMPILE) $(UPGRADE) --group test --constraint tools/requirements.txt --output-file requirements.txt
	echo "-e ." >> requirements.txt

update: committed tools
	$(MAKE) lock UPGRADE=--upgrade
	$(MAKE) tools
	$(BIN)/python -m tools.update $(if $(REPORT),--report $(REPORT))

newest: committed tools
	$(BIN)/python -m tools.update --lift
	$(MAKE) lock UPGRADE=--upgrade
	$(MAKE) tools
	$(BIN)/python -m teams_lib.codegen
	$(BIN)/python -m tools.update $(if $(REPORT),--report $(REPORT))
	@echo "The limits in pyproject.toml are lifted, and teams_lib/teams_pb2* may be new. To go back, restore these, too."

# Git is the way back from an update.
committed:
	@changed=$$(git status --porcelain -- pyproject.toml requirements.txt tools/requirements.txt notebooks teams_lib) && \
	  test -z "$$changed" || { \
	  echo "Commit your changes first, or stash them: this rewrites files, and the last commit is the way back."; exit 1; }

notebook: tools
	@$(BIN)/python -m tools.new "$$NB" "$$NAME" "$$TITLE"

release: tools
	$(MAKE) book
	$(BIN)/python -m tools.release $(TAG)
