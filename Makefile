# voiceagent: the verbs. Everything lives in .venv; each verb sets up what it needs.
PY := .venv/bin/python
ARGS ?=

.PHONY: help demo run test check fmt setup clean

help: ## show the verbs
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## set up, place a real SIP call to the service, show what happened (ARGS="--hosted", "--json")
	@scripts/setup demo
	@.venv/bin/voiceagent demo $(ARGS)

run: ## set up, serve and stay (ARGS="--sip-port 5070")
	@scripts/setup demo
	@exec .venv/bin/voiceagent serve $(ARGS)

test: ## set up, check types, lint and layers, run all tests (ARGS="-k sequencer")
	@scripts/setup test
	@scripts/check
	@$(PY) -m pytest $(or $(ARGS),-n 2)

check: ## types (strict), lint, format, import layers
	@scripts/setup test
	@scripts/check

fmt: ## format and sort imports
	@scripts/setup test
	@.venv/bin/ruff check --fix-only --quiet voiceagent tests examples
	@.venv/bin/ruff format voiceagent tests examples

setup: ## make the environment only
	@scripts/setup test

clean: ## remove the environment and everything the verbs left
	rm -rf .venv demo-out .pytest_cache .ruff_cache .hypothesis .import_linter_cache
