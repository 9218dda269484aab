# The ways to run and to check Cardinal. They need Python 3.11 or newer with pip, and make; `make help` lists them.

PYTHON ?= python3
# Where nobody has named a Python, a newer one beside an old python3 will do.
PYTHONS := $(PYTHON) $(if $(filter file,$(origin PYTHON)),python3.14 python3.13 python3.12 python3.11)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup runtime up demo test test-all check drills bench lock

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make the environment in .venv, with the tools for development
	@sh -c "$$SETUP" setup dev requirements-dev.txt

runtime:
	@sh -c "$$SETUP" setup runtime requirements.txt

up: runtime ## Start Cardinal with everything it needs; Ctrl-C stops it
	@exec .venv/bin/cardinal up

test: setup ## Run the tests that need PyPI only
	@.venv/bin/python -m pytest -m "not drill"

test-all: setup ## Run all tests, also those that install what they need or take long
	@.venv/bin/python -m pytest --durations=40

drills: setup ## Run the drills that kill and race as often as is promised, and nothing else
	@CARDINAL_DRILLS=full .venv/bin/python -m pytest --durations=20 -m drill \
		tests/drills tests/infrastructure tests/application/test_points_postings.py tests/simulation

check: setup ## Run every gate that reads the code: format, lint, types, imports, dependencies, tidiness
	@failed=; \
	for gate in "ruff format --check ." "ruff check ." mypy lint-imports "deptry ." "pytest tests/test_tidy.py"; do \
		echo "== $$gate"; \
		.venv/bin/$$gate || failed="$$failed [$$gate]"; \
	done; \
	test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

demo: runtime ## Play one whole campaign on a private installation; DATA=<folder> takes your own purchases
	@.venv/bin/python -m demo "$(DATA)"

bench: setup ## Measure against the limits that docs/performance.md names
	@.venv/bin/python -m bench

lock: ## Pin all dependencies with hashes; delete the two files first to take newer versions
	@sh -c "$$SETUP" setup uv
	@$(COMPILE) --group build --output-file requirements.txt >/dev/null
	@$(COMPILE) --group build --group dev --constraint requirements.txt --output-file requirements-dev.txt >/dev/null

# No address of a registry and no path gets into the files: a mirror that pip is told of serves as well.
COMPILE = .tools/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# .venv/ready tells what the environment was made of and where; .venv/unfinished stands while packages go in, so
# that an environment in whose making somebody interfered is made anew.
define SETUP
set -eu

find_python() {
	for python in $(PYTHONS); do
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then return; fi
	done
	echo "Cardinal needs Python 3.11 or newer, but '$(PYTHON)' is not: install one, or name it: make PYTHON=/path/to/python3" >&2
	echo "Cardinal 需要 Python 3.11 或更高版本，而 “$(PYTHON)” 不符合。请安装，或指定：make PYTHON=/path/to/python3" >&2
	exit 1
}

need_uv() {
	if .tools/bin/uv --version >/dev/null 2>&1; then return; fi
	rm -rf .tools/bin .tools/uv .tools/uv-*
	if "$$python" -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target .tools uv; then return; fi
	echo "'$$python' could not fetch uv with pip. Install python3-venv, or python3-pip and see to the network." >&2
	echo "“$$python” 无法用 pip 取得 uv。请安装 python3-venv，或安装 python3-pip 并检查网络。" >&2
	exit 1
}

remove_environment() {
	rm -rf .tools/removed
	if [ -e .venv ] || [ -L .venv ]; then mv .venv .tools/removed; fi
	rm -rf .tools/removed
}

make_environment() {
	remove_environment
	mkdir .venv
	touch .venv/unfinished
	if "$$python" -m venv .venv >/dev/null 2>&1; then return; fi
	remove_environment
	mkdir .venv
	touch .venv/unfinished
	need_uv
	.tools/bin/uv venv --quiet --no-config --no-cache --allow-existing --python "$$("$$python" -c 'import sys; print(sys.executable)')" .venv
}

install() {
	if .venv/bin/python -m pip --version >/dev/null 2>&1; then
		.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-compile "$$@"
	else
		"$$python" -m pip --python .venv/bin/python install --quiet --disable-pip-version-check --no-input --no-compile "$$@"
	fi
}

is_ready() {
	if [ -e .venv/unfinished ] || ! .venv/bin/python -c '' 2>/dev/null; then return 1; fi
	case "$$(cat .venv/ready 2>/dev/null)" in "$$1 $$made_of $$here"|"dev $$made_of $$here") ;; *) return 1 ;; esac
}

is_usable() {
	if [ -e .venv/unfinished ] || ! .venv/bin/python -c '' 2>/dev/null; then return 1; fi
	case "$$(cat .venv/ready 2>/dev/null)" in ""|*" $$here") ;; *) return 1 ;; esac
}

mkdir -p .tools
exec 9>.tools/lock
flock 9 2>/dev/null || true
if [ "$$1" = uv ]; then find_python; need_uv; exit; fi
here=$$(pwd -P)
made_of=$$(cat requirements.txt requirements-dev.txt pyproject.toml | cksum)
if is_ready "$$1"; then exit; fi
echo "Cardinal: making .venv ready ($$1) 正在准备运行环境"
find_python
if ! is_usable; then make_environment; fi
touch .venv/unfinished
rm -f .venv/ready
install --require-hashes -r "$$2"
install --no-deps --no-build-isolation --editable .
rm .venv/unfinished
echo "$$1 $$made_of $$here" >.venv/ready
endef
export SETUP
