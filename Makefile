# Verbs only; `make help` says what each does. Everything runs on loopback.
CARGO ?= cargo
SEEDS ?= 1000
# PROFILE=dev makes `sim` and `scenarios` reuse the tests' build: slower runs, no second build.
PROFILE ?= release
export CARGO_TERM_PROGRESS_WHEN ?= never

.PHONY: help demo test check sim scenarios bench bench-route install clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: ## one centre on this machine; ONCE=1 runs one call and checks it, LOAD=20 makes a busy evening, HOST=addr admits a real phone
	@tools/need.sh demo
	@tools/slow.sh "building firstring (the first time takes some minutes)" $(CARGO) build --locked --quiet
	@target=$$($(CARGO) metadata --format-version 1 --no-deps --offline | sed -E 's/.*"target_directory":"([^"]+)".*/\1/'); \
	exec $$target/debug/firstring demo $(if $(ONCE),--once) $(if $(LOAD),--load $(LOAD)) $(if $(HOST),--host $(HOST))

test: ## all tests, with real SIP peers and both databases (installs what they need)
	@tools/need.sh test
	@if $(CARGO) nextest --version >/dev/null 2>&1; then exec $(CARGO) nextest run --locked --profile ci; else exec $(CARGO) test --locked; fi

check: ## format, lints, docs, dependency table, licences
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet
	$(CARGO) test --locked --quiet --test suite -- tidy
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check bans licenses sources; else python3 tools/licences.py; fi

sim: ## SEEDS=1000 simulated hours of a centre with its faults, invariants checked after every step; a failing seed is kept in failing-seeds/
	@tools/slow.sh "building the simulator" $(CARGO) build --profile $(PROFILE) --locked --quiet
	@$(CARGO) run --profile $(PROFILE) --locked --quiet -- simulate --seeds $(SEEDS)

scenarios: ## SIPp carriers against a running server: bursts and anomalies
	@tools/need.sh test
	@tools/slow.sh "building the scenarios" $(CARGO) test --profile $(PROFILE) --no-run --locked --quiet
	@FIRSTRING_SCENARIOS=1 $(CARGO) test --profile $(PROFILE) --locked --quiet --test suite -- --nocapture scenarios:: | tools/tally.sh scenarios

bench: ## CPU per recorded call, delay and system calls, against a forwarding probe in the same run; CALLS=20 ROUNDS=1 WINDOW=3 is short
	@tools/slow.sh "building the bench" $(CARGO) bench --no-run --locked --quiet --bench load
	@$(CARGO) bench --locked --quiet --bench load

bench-route: ## from a free seat to the offer, and the steps between: 1,000 calls wait, 500 seats; fails when p99 of CPU time is above 1 ms
	@tools/slow.sh "building the bench" $(CARGO) bench --no-run --locked --quiet --bench route
	@$(CARGO) bench --locked --quiet --bench route

install: ## build and install under /usr/local with a systemd unit (needs root)
	$(CARGO) build --release --locked
	tools/install.sh

clean: ## forget what was built
	$(CARGO) clean
