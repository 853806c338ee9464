# Every target sets up what it needs: environments in .venv*, builds in build/. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON ?= python3
ifeq ($(origin CXX),default)
  CXX := g++
endif
CLANGXX ?= $(shell ls /usr/bin/clang++-[0-9]* 2>/dev/null | sort -V | tail -1 | grep . || command -v clang++)
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What can be set on the command line: make sim SEEDS=10000 FIRST_SEED=1, make test-python TESTS=tests/unit ARGS='-k view'
SEEDS ?= 1000
FIRST_SEED ?= 1
FUZZ_SECONDS ?= 60
FUZZ_RUNS ?=
FUZZERS ?= $(sort $(basename $(notdir $(wildcard fuzz/*_fuzz.cpp))))
EXAMPLES ?= 2000
TESTS ?= tests
ARGS ?=
CYCLES ?= 2000
OBJECTS ?= 1000000
KILLS ?= 1000
SEED ?= 1
STORE ?= both
DIR ?= $(firstword $(wildcard /dev/shm) /tmp)
ASAN_SEEDS ?= 10
TSAN_SEEDS ?= 10
ASAN_MARKERS ?=
PYTHON_VERSIONS ?= 3.10 3.11 3.12 3.13 3.14

# What the module and the C++ programs are made of. Folders are listed too: a file that is added or removed changes its folder.
CPP_SOURCES := $(shell find core bindings cmake -type d -o -name '*.cpp' -o -name '*.h' -o -name '*.cmake' 2>/dev/null)
MODULE_SOURCES := pyproject.toml CMakeLists.txt $(filter-out %_test.cpp,$(CPP_SOURCES)) \
  $(shell find object_database -type d -not -name __pycache__ 2>/dev/null)
FORMATTED_CPP = $$(find $(wildcard core bindings fuzz benchmarks tests) -name '*.cpp' -o -name '*.h')

.PHONY: help preflight build demo test test-core test-python test-asan test-asan-core test-asan-python test-tsan test-all fuzz properties sim leaks crashes \
  bench lint format docs clean

help:
	@echo 'build        install the package into .venv, ready to use: source .venv/bin/activate'
	@echo 'demo         server, producer and consumer together for a few seconds'
	@echo 'test         lint, C++ tests, simulator over 1,000 seeds, Python and repository tests (at most 10 minutes on 2 cores)'
	@echo 'test-core    C++ tests alone'
	@echo 'test-python  Python and repository tests alone          TESTS=tests/unit  ARGS="-k view"'
	@echo 'test-asan    everything under AddressSanitizer and UndefinedBehaviorSanitizer    ASAN_MARKERS=sanitizer for the short run'
	@echo 'test-tsan    C++ tests and simulator under ThreadSanitizer'
	@echo 'test-all     Python and repository tests on every CPython found of $(PYTHON_VERSIONS)'
	@echo 'fuzz         each of FUZZERS="$(FUZZERS)" for FUZZ_SECONDS=$(FUZZ_SECONDS), or over FUZZ_RUNS=10000000 inputs (needs clang)'
	@echo 'properties   field types and values that are made up: EXAMPLES=$(EXAMPLES) of each property'
	@echo 'sim          simulator over SEEDS=$(SEEDS) from FIRST_SEED=$(FIRST_SEED)'
	@echo 'leaks        CYCLES=$(CYCLES) connections and OBJECTS=$(OBJECTS) objects come and go; nothing may stay'
	@echo 'crashes      KILLS=$(KILLS) servers are killed under load from SEED=$(SEED); STORE=sqlite or redis alone, files in DIR=$(DIR)'
	@echo 'bench        benchmarks, each with its ratio to a probe of this machine'
	@echo 'lint         ruff, mypy, clang-format; changes nothing'
	@echo 'format       ruff and clang-format; changes files'
	@echo 'docs         check links, anchors and the code of the documents'
	@echo 'clean        remove build/, .venv* and caches'

# ---- what the machine must have ----------------------------------------------------------------------------------------------

preflight:
	@missing=0; say() { echo "missing: $$1. Debian, Ubuntu: apt-get install $$2" >&2; missing=1; }; \
	if ! command -v "$(PYTHON)" >/dev/null; then say 'python3 (3.10 or later)' 'python3 python3-venv python3-dev'; \
	elif ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then \
	  say "Python 3.10 or later ($(PYTHON) is $$("$(PYTHON)" -V 2>&1))" 'python3 python3-venv python3-dev, or set PYTHON=python3.12'; \
	else \
	  "$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || say "module venv of $(PYTHON)" python3-venv; \
	  "$(PYTHON)" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))' \
	    || say "C headers of $(PYTHON)" python3-dev; \
	fi; \
	if ! command -v "$(firstword $(CXX))" >/dev/null; then say 'C++20 compiler ($(CXX))' 'g++, or set CXX=clang++'; \
	elif [ -z "$${OPENSSL_ROOT_DIR:-}" ] && ! printf '%s\n' '#include <openssl/ssl.h>' '#if OPENSSL_VERSION_MAJOR < 3' '#error' '#endif' \
	  | $(CXX) -E -x c++ - >/dev/null 2>&1; then say 'OpenSSL 3 headers' libssl-dev; fi; \
	exit $$missing

# ---- environments: .venv-3.x are as .venv; .venv-asan lacks what only looks at files --------------------------------------------

LINTERS := ruff|mypy|clang-format|pyright
.venv/ready .venv-asan/ready: %/ready: requirements-dev.txt | preflight
	@echo '== environment $*'
	"$(PYTHON)" -m venv --clear $*
	$*/bin/pip install -q -r $(if $(filter .venv,$*),requirements-dev.txt,<(grep -vE '^($(LINTERS))\b' requirements-dev.txt))
	touch $@

INSTALL := pip install -q --no-build-isolation --no-deps

.venv/installed: .venv/ready $(MODULE_SOURCES)
	@echo '== building the module into .venv'
	PATH="$(CURDIR)/.venv/bin:$$PATH" CXX="$(CXX)" .venv/bin/$(INSTALL) -e .
	touch $@

.venv-asan/installed: .venv-asan/ready $(MODULE_SOURCES) $(filter %_test.cpp,$(CPP_SOURCES)) $(wildcard tests/simulation/*)
	@echo '== building the module into .venv-asan, and the C++ tests beside it'
	PATH="$(CURDIR)/.venv-asan/bin:$$PATH" CXX=g++ .venv-asan/bin/$(INSTALL) --config-settings=build-dir=build/core-asan \
	  --config-settings=cmake.build-type=RelWithDebInfo --config-settings=install.strip=false \
	  --config-settings=cmake.define.ODB_SANITIZE=address,undefined --config-settings=cmake.define.ODB_BUILD_TESTS=ON \
	  --config-settings=cmake.define.ODB_WERROR=ON -e .
	touch $@

build: .venv/installed

# ---- C++ builds: build/core-release, build/core-tsan, build/fuzz; build/core-asan is above ------------------------------------------

CMAKE := .venv/bin/cmake
CONFIGURE = $(CMAKE) -S . -B $(@D) -G Ninja -DCMAKE_MAKE_PROGRAM="$(CURDIR)/.venv/bin/ninja" \
  -DPython_EXECUTABLE="$(CURDIR)/.venv/bin/python" --log-level=WARNING
BUILD = $(CMAKE) --build

build/core-release/build.ninja: CMakeLists.txt | .venv/ready
	$(CONFIGURE) -DCMAKE_CXX_COMPILER="$(CXX)" -DODB_WERROR=ON -DCMAKE_BUILD_TYPE=Release -DODB_BUILD_TESTS=ON -DODB_BUILD_BENCH=ON
build/core-tsan/build.ninja: CMakeLists.txt | .venv/ready
	$(CONFIGURE) -DCMAKE_CXX_COMPILER="$(CXX)" -DODB_WERROR=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo -DODB_BUILD_TESTS=ON -DODB_SANITIZE=thread
build/fuzz/build.ninja: CMakeLists.txt | .venv/ready
	@[ -n "$(CLANGXX)" ] || { echo 'missing: clang++ 16 or later, for the fuzz targets. Debian, Ubuntu: apt-get install clang-19 libclang-rt-19-dev' >&2; exit 1; }
	$(CONFIGURE) -DCMAKE_CXX_COMPILER="$(CLANGXX)" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DODB_BUILD_FUZZ=ON

# $(call run_core,build folder,command prefix,simulator seeds,options of the core's tests): every C++ program that was built there, and the golden scripts
define run_core
for program in odb_core_tests odb_net_tests; do \
  skipped=''; if [ $$program = odb_core_tests ]; then skipped='$(4)'; fi; \
  if [ -x $(1)/$$program ]; then echo "-- $$program"; $(2) $(1)/$$program --color_output=no $$skipped; fi; \
done; \
if [ -x $(1)/odb_sim ]; then \
  echo '-- odb_sim'; $(2) $(1)/odb_sim --scripts tests/scripts --seeds 5; \
  if [ $(3) -gt 0 ]; then $(2) $(1)/odb_sim --first-seed $(FIRST_SEED) --seeds $(3) --jobs $(JOBS); fi; \
fi
endef

test-core: build/core-release/build.ninja
	@echo '== C++ tests'
	@$(BUILD) build/core-release
	@$(call run_core,build/core-release,,0)

# Types and values that no other run has tried: make test-python tries the same few hundred each time.
properties: .venv/installed
	@echo '== properties: $(EXAMPLES) examples of each'
	ODB_EXAMPLES=$(EXAMPLES) .venv/bin/python -m pytest -q -o timeout=0 tests/unit/test_types_generated.py $(ARGS)

# Far more connections and objects than `make test` takes the time for: CYCLES=10000 takes minutes.
leaks: .venv/installed
	@echo '== leaks: $(CYCLES) connections, $(OBJECTS) objects'
	ODB_LEAK_CYCLES=$(CYCLES) ODB_LEAK_OBJECTS=$(OBJECTS) .venv/bin/python -m pytest -q -o timeout=1800 tests/endtoend/test_leaks.py $(ARGS)

# A process that is killed loses nothing that the kernel has, so files in memory are as good, and far faster.
crashes: .venv/installed
	@echo '== crashes: $(KILLS) on each store, seed $(SEED), files in $(DIR)'
	.venv/bin/python -m tests.crashes --kills $(KILLS) --seed $(SEED) --store $(STORE) --dir $(DIR)

sim: build/core-release/build.ninja
	@echo '== simulator: $(SEEDS) seeds from $(FIRST_SEED)'
	@$(BUILD) build/core-release --target odb_sim
	@build/core-release/odb_sim --scripts tests/scripts --seeds 20
	@build/core-release/odb_sim --first-seed $(FIRST_SEED) --seeds $(SEEDS) --jobs $(JOBS)

# ---- tests ------------------------------------------------------------------------------------------------------------------------

test-python: .venv/installed
	@echo '== Python and repository tests'
	.venv/bin/python -m pytest -q $(TESTS) $(ARGS)

test:
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test-core
	@$(MAKE) --no-print-directory sim
	@$(MAKE) --no-print-directory test-python

test-asan: test-asan-core test-asan-python

test-asan-core: export UBSAN_OPTIONS := print_stacktrace=1
test-asan-core: .venv-asan/installed
	@echo '== C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	@$(call run_core,build/core-asan,,$(ASAN_SEEDS))

# Both libraries are preloaded, or the first C++ exception aborts. Without -s pytest swallows the reports. Memory of the interpreter
# that lives until exit would drown leaks of ours, so leaks are looked for in the C++ tests only.
test-asan-python: export UBSAN_OPTIONS := print_stacktrace=1
test-asan-python: .venv-asan/installed
	@echo '== Python tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
	  .venv-asan/bin/python -m pytest -q -s -o timeout=300 $(if $(ASAN_MARKERS),-m '$(ASAN_MARKERS)') --ignore=tests/typing $(TESTS) $(ARGS)

# Values, types and definitions know no threads, and their tests take minutes here.
TSAN_SKIPS := --run_test=!codec:!composite:!record:!kinds:!descriptor:!definition:!definition_limits

# gcc's ThreadSanitizer cannot place its shadow where addresses are fully random, hence setarch -R where it is allowed.
test-tsan: export TSAN_OPTIONS := halt_on_error=1 second_deadlock_stack=1
test-tsan: build/core-tsan/build.ninja
	@echo '== C++ tests under ThreadSanitizer'
	@$(BUILD) build/core-tsan
	@$(call run_core,build/core-tsan,$(shell setarch $$(uname -m) -R true 2>/dev/null && echo setarch $$(uname -m) -R),$(TSAN_SEEDS),$(TSAN_SKIPS))

# One environment for each version: from PATH, else the newest of pyenv. Versions that are not found are named at the end.
test-all: preflight
	@tested=''; untested=''; failed=''; \
	for version in $(PYTHON_VERSIONS); do \
	  python=''; \
	  for candidate in python$$version $$(ls -d "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python 2>/dev/null | sort -Vr); do \
	    if "$$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$$version')" 2>/dev/null; then python=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$python" ]; then untested="$$untested $$version"; continue; fi; \
	  echo "== CPython $$version: $$python"; venv=.venv-$$version; \
	  if { [ $$venv/ready -nt requirements-dev.txt ] || \
	        { "$$python" -m venv --clear $$venv && $$venv/bin/pip install -q -r requirements-dev.txt && touch $$venv/ready; }; } \
	      && PATH="$(CURDIR)/$$venv/bin:$$PATH" CXX="$(CXX)" $$venv/bin/$(INSTALL) -e . \
	      && $$venv/bin/python -m pytest -q $(TESTS) $(ARGS); \
	  then tested="$$tested $$version"; else failed="$$failed $$version"; fi; \
	done; \
	echo "passed:$${tested:- none}   failed:$${failed:- none}   no interpreter found, so untested:$${untested:- none}"; \
	[ -z "$$failed" ] && [ -n "$$tested" ]

# Findings are kept in build/fuzz, what covers new code in build/fuzz/corpus; fuzz/corpus/NAME holds seeds, if any. What the
# sanitizer's allocator has freed and keeps comes to 2 GiB after nine million inputs.
fuzz: build/fuzz/build.ninja
	@echo '== fuzz targets: $(if $(FUZZ_RUNS),$(FUZZ_RUNS) inputs,$(FUZZ_SECONDS) s) each'
	@$(BUILD) build/fuzz --target $(FUZZERS)
	@for name in $(FUZZERS); do \
	  echo "-- $$name"; mkdir -p build/fuzz/corpus/$$name; seeds=''; \
	  if [ -d fuzz/corpus/$$name ]; then seeds=fuzz/corpus/$$name; fi; \
	  build/fuzz/$$name $(if $(FUZZ_RUNS),-runs=$(FUZZ_RUNS),-max_total_time=$(FUZZ_SECONDS)) -timeout=10 -rss_limit_mb=4096 -print_final_stats=1 -verbosity=0 \
	    -artifact_prefix=build/fuzz/$$name- build/fuzz/corpus/$$name $$seeds; \
	done

# ---- the rest ---------------------------------------------------------------------------------------------------------------------

demo: build
	.venv/bin/python docs/examples/demo.py

bench: build build/core-release/build.ninja
	@$(BUILD) build/core-release --target bench_probe
	.venv/bin/python benchmarks/run.py $(ARGS)

lint: .venv/ready
	@echo '== lint'
	.venv/bin/ruff check -q .
	.venv/bin/ruff format -q --check .
	.venv/bin/mypy --no-error-summary
	@files=$(FORMATTED_CPP); [ -z "$$files" ] || .venv/bin/clang-format --dry-run -Werror $$files

format: .venv/ready
	.venv/bin/ruff check -q --fix-only .
	.venv/bin/ruff format -q .
	@files=$(FORMATTED_CPP); [ -z "$$files" ] || .venv/bin/clang-format -i $$files

docs: .venv/installed
	.venv/bin/python -m pytest -q tests/repository/test_links.py tests/repository/test_names.py $(wildcard tests/docs)

clean:
	rm -rf build dist .venv .venv-* .pytest_cache .mypy_cache .ruff_cache .hypothesis compile_commands.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
