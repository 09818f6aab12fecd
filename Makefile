# Two commands do everything: `make up` and `make test`. They need Python 3.12+ and nothing else.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
COMPILE := pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header --extra local-model

# uv installs the rest and goes again with pip: together they would be an eighth of the installation.
get_uv = echo "Installing into $(VENV)…" \
	&& $(PYTHON) -c 'import sys; sys.version_info >= (3, 12) or sys.exit("Daehwa needs Python 3.12 or newer, and this one is " + sys.version.split()[0] + ".")' \
	&& $(PYTHON) -m venv $(VENV) \
	&& $(VENV)/bin/pip install --quiet --disable-pip-version-check uv
sync = $(VENV)/bin/uv pip sync --quiet --require-hashes $(1) && $(VENV)/bin/uv pip uninstall --quiet pip uv

.PHONY: up test lint campaign screenshots i18n lock

up: $(VENV)/.synced-up ## Start everything (make up ARGS="--port 9000")
	@exec $(RUN) manage.py up $(ARGS)

test: $(VENV)/.synced-test lint ## Run the whole suite, on three processes: much of it waits
	$(RUN) -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.synced-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	SECRET_KEY=unused DATABASE_URL=postgresql:///unused $(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

campaign: $(VENV)/.synced-test ## The long runs: workers killed before and after every step
	$(RUN) -m pytest -m campaign $(ARGS)

screenshots: $(VENV)/.synced-test ## Write docs/screenshots/
	$(RUN) -m pytest tests/screenshots.py $(ARGS)

i18n: $(VENV)/.synced-test ## Bring the catalogs up to date and compile them
	$(RUN) -m conversations.locale.extract

lock: ## Compile the lock files from pyproject.toml
	$(get_uv)
	$(VENV)/bin/uv $(COMPILE) pyproject.toml --output-file requirements.txt
	$(VENV)/bin/uv $(COMPILE) --group dev pyproject.toml --output-file requirements-dev.txt

# The development packages contain the others, so `make up` after `make test` installs nothing.
$(VENV)/.synced-up: requirements.txt
	@test -e $(VENV)/.synced-test || { $(get_uv) && $(call sync,requirements.txt); }
	@touch $@

$(VENV)/.synced-test: requirements-dev.txt
	@$(get_uv) && $(call sync,requirements-dev.txt)
	@touch $@
