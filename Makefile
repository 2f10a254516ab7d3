# Everything a person types. `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DESTDIR ?=
BIN := build/release/bin

# One tree: $(call build,preset[,targets])
build = cmake --preset $(1) >/dev/null && cmake --build --preset $(1) -j $(JOBS) $(if $(2),--target $(2))

help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install what is missing (Debian packages)
	@scripts/setup

demo: setup ## the main job on real input: import, ask, follow, kill, reopen (REPO=path, DIR=path)
	@$(call build,release,varve_cli varve_history)
	@scripts/demo

build: setup ## build the release tree: build/release/bin/varve, varve-bench
	@$(call build,release)

test: build ## install what is missing, build, run all tests
	@scripts/test build/release -j $(JOBS)

check: setup ## format, house rules, clang-tidy, unit tests under asan and ubsan, fuzz corpus, shared library
	@scripts/check-format
	@python3 scripts/tidy.py
	@$(call build,release,varve_cli)
	@scripts/clang-tidy build/release $(JOBS)
	@$(MAKE) --no-print-directory asan
	@$(MAKE) --no-print-directory shared

asan: setup ## unit, damage, command line and fuzz corpus tests under the address and undefined-behaviour sanitizers
	@$(call build,asan)
	@scripts/test build/asan -j $(JOBS) -E '^(crash_|kill_minus_nine|power_cuts)'

tsan: setup ## the concurrency tests under the thread sanitizer
	@$(call build,tsan,varve_concurrency_tests)
	@scripts/test build/tsan -L concurrency

shared: setup ## the shared library: what it shows is enough for the command line and for other projects
	@$(call build,shared,varve varve_cli varve_bench)
	@python3 tests/install/install_test.py --build build/shared

crash: setup ## open what crashes leave of a store (SEED=, IMAGES=, BUG=)
	@$(call build,release,varve_crash)
	@$(BIN)/varve_crash --seed $(or $(SEED),1) --images $(or $(IMAGES),100000) $(if $(BUG),--bug $(BUG))

fuzz: setup ## let libFuzzer look for input that breaks us (TARGET=record_decoder|open_and_scan|sealed_index, SECONDS=60)
	@scripts/fuzz $(or $(TARGET),record_decoder) $(or $(SECONDS),60)

bench: setup ## a short run of varve-bench
	@$(call build,release,varve_cli varve_bench)
	@scripts/bench

tidy: ## the house rules: layers, sizes, unbuilt tests, banned calls
	@python3 scripts/tidy.py

format: ## format the sources in place
	@clang-format-16 -i $$(git ls-files '*.cpp' '*.hpp')

hooks: ## let git run the quick checks before each commit
	@git config core.hooksPath .githooks

install: setup ## install library, headers, programs, man page (PREFIX=/usr/local, DESTDIR=)
	@$(call build,release,varve varve_cli varve_bench)
	@DESTDIR='$(DESTDIR)' cmake --install build/release --prefix '$(PREFIX)' >/dev/null
	@echo "installed in $(DESTDIR)$(PREFIX)"

clean: ## remove the build trees
	@rm -rf build

.PHONY: help setup demo build test check asan tsan shared crash fuzz bench tidy format hooks install clean
