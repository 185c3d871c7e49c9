# Every target makes what it needs. A bare machine has python3 (3.11 or later) with pip and venv, and make.
PYTHON ?= python3
# More for pytest, say: make test ARGS="-k workflow"
ARGS ?=
# Of make audit: a folder with advisories, for where nobody may be asked.
ADVISORIES ?=
# Of make torture and make fuzz: seconds, and what the dice are thrown by (any, if none is given).
DURATION ?= 600
SEED ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LOCK := requirements/dev.txt
INTEROP := .venv-interop
MUTATION := .venv-mutation

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
# Each of hundreds of processes would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test coverage test-long interop lint bench bench-append bench-growth bench-projections bench-queue bench-reads bench-time lock clean bench-tracing bench-http bench-limits fuzz torture audit sbom versions mutate FORCE

help: ## Show this
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

demo: $(INSTALLED) ## Watch a DORA compliance assessment run on the embedded servers
	@$(BIN)/dora-state demo

test: $(INSTALLED) ## Run the tests, but for the long ones
	@$(BIN)/python -m pytest -m "not long" -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

coverage: $(INSTALLED) ## Run the same tests, show what they leave out, and fail below the limits of pyproject.toml; takes twice as long
	@rm -f build/coverage.json
	@tests=0; $(MAKE) --no-print-directory test ARGS="--timeout 600 --cov --cov-report=term --cov-report=json:build/coverage.json $(ARGS)" || tests=$$?; \
		$(BIN)/python -m tests.coverage_limits build/coverage.json && exit $$tests

test-long: $(INSTALLED) ## Run the long tests: the whole of the bank's log, memory of an import, an earlier release, more seeds of what may go wrong
	@$(BIN)/python -m pytest -m long tests/contract tests/e2e tests/integration tests/property tests/unit tests/long $(ARGS)

fuzz: $(INSTALLED) ## Give what nobody means to every way in, for DURATION seconds: commands, files, words, settings, HTTP
	@$(BIN)/python -m tests.fuzz --duration $(DURATION) $(if $(SEED),--seed $(SEED)) $(ARGS)

torture: $(INSTALLED) ## Break everything for DURATION seconds as SEED has it, and prove that nothing was lost: make torture DURATION=60 SEED=1
	@$(BIN)/python -m tests.torture --duration $(DURATION) $(if $(SEED),--seed $(SEED)) $(ARGS)

versions: $(INSTALLED) ## Run the integration and contract tests on other servers and other Pythons, as far as they are here
	@$(BIN)/python -m tests.versions $(ARGS)

mutate: $(MUTATION)/.installed ## Break the code in thousands of small ways, and ask which the tests miss, which takes hours: make mutate ARGS="--only domain"
	@$(MUTATION)/bin/python -m tests.mutation $(ARGS)

interop: $(INTEROP)/.installed ## Read our exports with pm4py, in an environment of its own (550 MB)
	@$(INTEROP)/bin/python -m pytest tests/interop $(ARGS)

lint: $(INSTALLED) ## Check style, format, types and layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

audit: $(INSTALLED) ## Ask whether anything is known against the packages that the locks pin; ADVISORIES=folder asks nobody
	@$(BIN)/python -m supply.audit $(if $(ADVISORIES),--advisories "$(ADVISORIES)") $(ARGS)

sbom: $(INSTALLED) ## Write the bill of materials, as CycloneDX JSON, to build/dora-state.cdx.json
	@$(BIN)/python -m supply.sbom $(ARGS)

bench: $(INSTALLED) ## Run all benchmarks against their peers; ARGS=--quick for a look
	@$(BIN)/python -m benchmarks $(ARGS)

bench-append: $(INSTALLED) ## Measure the write side: rates, latency, contention, memory
	@$(BIN)/python -m benchmarks append $(ARGS)

bench-time: $(INSTALLED) ## Measure what the past costs: folds, states at any moment, history, replays
	@$(BIN)/python -m benchmarks time $(ARGS)

bench-projections: $(INSTALLED) ## Measure the read models: rebuilds, how soon they know, what they cost the write side
	@$(BIN)/python -m benchmarks projections $(ARGS)

bench-reads: $(INSTALLED) ## Measure what is asked: documents at each level, lists and boards with a million tasks
	@$(BIN)/python -m benchmarks reads boards $(ARGS)

bench-queue: $(INSTALLED) ## Measure the queue of commands: from send to done when idle, and how many a second
	@$(BIN)/python -m benchmarks queue $(ARGS)

bench-tracing: $(INSTALLED) ## Measure what traces cost the write side
	@$(BIN)/python -m benchmarks tracing $(ARGS)

bench-http: $(INSTALLED) ## Measure HTTP: commands, arrays, cached reads, idle streams, the queue, beside the bare framework
	@$(BIN)/python -m benchmarks http queue $(ARGS)

bench-limits: $(INSTALLED) ## Measure what grows on the way to the limits: long streams, full workflows, many months and tenants
	@$(BIN)/python -m benchmarks limits $(ARGS)

bench-growth: $(INSTALLED) ## Measure the write side on the way to five million events
	@$(BIN)/python -m benchmarks growth $(ARGS)

# An environment holds absolute paths: one that came here with a moved or copied tree is made anew.
ifneq ($(shell cat $(INSTALLED) 2>/dev/null),$(CURDIR))
$(INSTALLED): FORCE
endif
ifneq ($(shell cat $(INTEROP)/.installed 2>/dev/null),$(CURDIR))
$(INTEROP)/.installed: FORCE
endif
ifneq ($(shell cat $(MUTATION)/.installed 2>/dev/null),$(CURDIR))
$(MUTATION)/.installed: FORCE
endif

$(INSTALLED): $(LOCK) pyproject.toml
	$(call set_up,$(VENV),$(LOCK),about a minute)

$(INTEROP)/.installed: requirements/interop.txt pyproject.toml
	$(call set_up,$(INTEROP),requirements/interop.txt,some minutes)

$(MUTATION)/.installed: requirements/mutation.txt pyproject.toml
	$(call set_up,$(MUTATION),requirements/mutation.txt,about a minute)

# An environment, its lock, and how long that takes.
define set_up
@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("dora-state needs Python 3.11 or later, and $(PYTHON) is " + sys.version.split()[0] + ": try make PYTHON=python3.12")'
@echo "Setting up $(1), once; $(3) ..."
@$(PYTHON) -m venv $$(test ! -e $(1)/.installed || test "$$(cat $(1)/.installed)" = "$(CURDIR)" || echo --clear) $(1)
@$(1)/bin/python -m pip install --quiet --no-deps --require-hashes -r $(2)
@PYTHONWARNINGS=ignore $(1)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
@echo "$(CURDIR)" > $(1)/.installed
endef

# Only the public index answers: what a machine's pip is configured with besides must not reach the locks.
COMPILE = env -u PIP_EXTRA_INDEX_URL -u PIP_FIND_LINKS PIP_CONFIG_FILE=/dev/null CUSTOM_COMPILE_COMMAND="make lock" \
	.venv-lock/bin/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras \
	--no-header --no-emit-options --newline lf

lock: ## Pin the newest versions that pyproject.toml allows, with hashes
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements/locking.txt
	@$(COMPILE) -o requirements/locking.txt requirements/locking.in
	@$(COMPILE) --extra embedded --extra telemetry --extra dev -o $(LOCK) pyproject.toml requirements/install.in
	@$(COMPILE) -c $(LOCK) --extra telemetry -o requirements/runtime.txt pyproject.toml requirements/install.in
	@$(COMPILE) -c $(LOCK) --extra embedded --extra telemetry --extra dev --extra interop -o requirements/interop.txt pyproject.toml requirements/install.in
	@$(COMPILE) -c $(LOCK) --extra embedded --extra telemetry --extra dev --extra mutation -o requirements/mutation.txt pyproject.toml requirements/install.in

clean: ## Remove what make made here
	@rm -rf $(VENV) $(INTEROP) $(MUTATION) .venv-lock .venv-3.* build dist *.egg-info .coverage .coverage.* htmlcov .hypothesis \
		.mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
