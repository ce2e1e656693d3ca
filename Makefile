# Haat. `make up` runs the whole platform on this machine; `make test` runs every test. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
CLUSTER ?= devcluster
LOCK := --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header -q

.PHONY: help up down test check fmt bench gates docs images crds web lock audit clean doctor setup setup-dev

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## Install what the platform needs (wheels and npm packages only)
	@$(PYTHON) hack/bootstrap.py runtime

setup-dev:
	@$(PYTHON) hack/bootstrap.py dev

up: setup ## Start the platform here and keep it in the foreground (CLUSTER=devcluster|kind|current)
	@exec $(PY) -m hack.cli up --cluster $(CLUSTER)

down: ## Stop a platform that was started in this checkout
	@test -x $(PY) && $(PY) -m hack.cli down || true

doctor: ## Check this machine and say what is missing
	@$(PYTHON) hack/bootstrap.py doctor

web: setup ## Build the web application
	@$(PY) -m hack.cli web-build

test: setup-dev ## Run all tests; installs Chromium and kubectl where it may
	@$(PY) -m hack.cli web-build
	@$(PY) -m hack.cli test-tools
	@if [ "$(CLUSTER)" = devcluster ]; then exec $(PY) -m pytest; else exec hack/kind/test; fi

check: setup-dev ## ruff, mypy --strict, import-linter, generated files, web types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	hack/generate-crds --check
	@$(PY) -m hack.chart --check
	@$(PY) -m hack.dashboards --check
	@$(PY) -m hack.images.locks --check
	@$(PY) -m hack.cli web-check

fmt: ## Format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

crds: ## Write crds/ and their chart from operators/api
	hack/generate-crds

bench: setup-dev ## Measure (NAME=cluster|media|fanout|commerce|models|web)
	$(PY) -m benchmarks $(NAME)

docs: setup-dev ## Build the documentation into site/
	$(VENV)/bin/mkdocs build --strict

lock: setup-dev ## Write the lock files from pyproject.toml
	$(VENV)/bin/uv pip compile pyproject.toml --python-version 3.11 --extra models $(LOCK) -o hack/requirements/runtime.lock
	$(VENV)/bin/uv pip compile pyproject.toml --python-version 3.11 --extra models --extra dev \
	  -c hack/requirements/runtime.lock $(LOCK) -o hack/requirements/dev.lock
	$(VENV)/bin/uv pip compile hack/requirements/s3.in --python-version 3.11 $(LOCK) -o hack/requirements/s3.lock

images: ## Build the container images (needs Docker)
	hack/images/build

audit: setup-dev ## Look for known vulnerabilities in the pinned packages
	$(VENV)/bin/pip-audit --require-hashes --disable-pip -r hack/requirements/runtime.lock
	@$(PY) -m hack.cli web-audit

clean: ## Remove what was built (not the platform's data in .haat)
	rm -rf $(VENV) $(VENV)-s3 workloads/web/dist workloads/web/node_modules site
