# make demo, make test: each sets up what it needs first. Also: quick, lint, docs, setup, clean.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What only tests need: the tools that build what mcuq export writes, in an environment of their own,
# and a browser that opens the reports and the site.
ECOSYSTEMS := .venv-packages/.ready
TEST_PROGRAMS := arduino-builder chromium chromedriver gdb-multiarch
TEST_PACKAGES := arduino-builder chromium chromium-driver fonts-dejavu-core gdb-multiarch

# The programs that are needed, and the Debian packages that bring them.
HOST_PROGRAMS := gcc clang cmake make
HOST_PACKAGES := gcc libc6-dev clang cmake make
PROGRAMS := ld.lld qemu-system-arm qemu-system-riscv32 arm-none-eabi-gcc riscv64-unknown-elf-gcc clang-format
PACKAGES := lld qemu-system-arm qemu-system-misc gcc-arm-none-eabi libnewlib-arm-none-eabi \
    gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf clang-format

.PHONY: demo test quick lint bench docs setup packages tools host-tools clean

demo: $(READY) tools
	$(BIN)/python examples/demo.py

test: $(READY) $(VENV)/.docs tools packages
	$(BIN)/python -m pytest -n 2 --dist worksteal

quick: $(READY) host-tools
	$(BIN)/python -m pytest -q -n 2 -m "not emulated and not slow"

# Executed instructions, flash and RAM of whole networks: benchmarks/RESULTS.md.
bench: $(READY) tools
	$(BIN)/python -m benchmarks.instructions

lint: $(READY) tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	clang-format --dry-run --Werror $$(git ls-files 'runtime_c/*.c' 'runtime_c/*.h')

# The site, in build/site; a warning is an error.
docs: $(VENV)/.docs
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

$(VENV)/.docs: $(READY)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

setup: $(READY) tools

# The virtual environment, made anew when the project's requirements change.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PYTHON): missing or too old. Run: make PYTHON=python3.11 (or newer)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	    { echo "$(PYTHON): cannot make virtual environments. Run: sudo apt-get install $(notdir $(PYTHON))-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[test,dev]'
	@touch $@

packages: $(ECOSYSTEMS)
	@missing=; for program in $(TEST_PROGRAMS); do \
	    command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	$(call install,$(TEST_PACKAGES))

$(ECOSYSTEMS): tests/support/packages.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@

# The compilers and emulators; where they cannot be installed, the command that does it.
tools:
	@missing=; for program in $(HOST_PROGRAMS) $(PROGRAMS); do \
	    command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	for c in arm-none-eabi-gcc "riscv64-unknown-elf-gcc --specs=picolibc.specs"; do \
	    $$c -E -include string.h -x c /dev/null >/dev/null 2>&1 || missing="$$missing libc-of-$${c%% *}"; done; \
	$(call install,$(HOST_PACKAGES) $(PACKAGES))

# Those of this computer alone.
host-tools:
	@missing=; for program in $(HOST_PROGRAMS); do \
	    command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	$(call install,$(HOST_PACKAGES))

# Install the packages $(1) if anything is in the shell's variable $missing.
define install
if [ -z "$$missing" ]; then exit 0; fi; \
	echo "missing:$$missing"; \
	if [ "$$(id -u)" = 0 ]; then sudo=; \
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo=sudo; \
	else echo "Run: sudo apt-get update && sudo apt-get install -y $(1)"; exit 1; fi; \
	$$sudo apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq $(1) || \
	    { echo "Run: sudo apt-get update && sudo apt-get install -y $(1)"; exit 1; }
endef

clean:
	rm -rf $(VENV) .venv-packages build dist .pytest_cache .mypy_cache .ruff_cache
