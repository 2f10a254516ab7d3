# Everything a person types. `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
JOBS ?= $(shell nproc)
PRESET ?= release

help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install what is missing (Debian packages)
	@scripts/setup

build: setup ## build the release tree: build/release
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS)

demo: build ## the main job on real input: import, ask, follow, kill, reopen (REPO=path, DIR=path)
	@scripts/demo

test: build ## install what is missing, build, run all tests
	@ctest --test-dir build/release --output-on-failure -j $(JOBS)

asan: setup ## unit tests under the address and undefined-behaviour sanitizers
	@cmake --preset asan >/dev/null && cmake --build --preset asan -j $(JOBS)
	@ctest --test-dir build/asan --output-on-failure -j $(JOBS)

tsan: setup ## the concurrency tests under the thread sanitizer
	@cmake --preset tsan >/dev/null && cmake --build --preset tsan -j $(JOBS)
	@ctest --test-dir build/tsan --output-on-failure -L concurrency

crash: build ## open what crashes leave of a store (SEED=, IMAGES=)
	@build/release/bin/varve_crash --seed $(or $(SEED),1) --images $(or $(IMAGES),100000)

tidy: ## the house rules: layers, sizes, unbuilt tests, banned calls
	@python3 scripts/tidy.py

format: ## format the sources in place
	@clang-format-16 -i $$(git ls-files '*.cpp' '*.hpp')

clean: ## remove the build trees
	@rm -rf build

.PHONY: help setup build demo test asan tsan crash tidy format clean
