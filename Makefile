# Two commands are all a newcomer needs: `make demo` shows the main job, `make test` proves it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: bench soak fuzz demo test check unit docs format requirements clean

demo: .venv/runtime  ## watch an image update happen, on this machine alone
	@$(BIN)/updater demo

test: .venv/dev  ## run all tests; those that miss a real server skip and name its package
	@TESTS_PROFILE=thorough $(BIN)/pytest

check: .venv/dev  ## what must hold before a commit: style, types, architecture, quick tests
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@$(BIN)/pytest -q -n auto -m "not integration and not e2e"

unit: .venv/dev  ## tests of the core and the stages alone: seconds
	@$(BIN)/pytest -q -n auto tests/domain tests/formats tests/stages tests/config

bench: .venv/dev  ## measure: decisions, the git program beside us, the daemon among 10,000 Applications (ten minutes)
	@$(BIN)/python -m tests.bench.decide
	@$(BIN)/python -m tests.bench.against_git
	@$(BIN)/python -m tests.bench.scale

soak: .venv/dev  ## trouble everywhere for ten minutes, or SECONDS=…; SEED=… repeats a run
	@$(BIN)/python -m tests.soak --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED))

fuzz: .venv/dev  ## a minute of hostile input for each format, or SECONDS=…; guided by atheris where it is installed
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60)

docs: .venv/dev  ## write docs/configuration.md anew, from the settings' docstrings
	@$(BIN)/python scripts/configuration_reference.py > docs/configuration.md.new
	@mv docs/configuration.md.new docs/configuration.md

format: .venv/dev  ## bring all files into the house style
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

requirements: .venv/dev  ## pin the dependencies of pyproject.toml anew, with hashes
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  pyproject.toml --all-extras --group build -o requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  pyproject.toml --all-extras --group build --group dev -o requirements-dev.txt

clean:
	@rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

.venv/runtime: requirements.txt
	@sh scripts/install $(PYTHON) requirements.txt
	@touch $@

.venv/dev: requirements-dev.txt .venv/runtime
	@sh scripts/install $(PYTHON) requirements-dev.txt
	@touch $@
