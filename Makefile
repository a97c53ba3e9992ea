# Thin names for the commands of daily work; .ci/run runs `make check`.
CARGO ?= cargo

.PHONY: demo test check python python-ray python-all install install-lib deb wheel package eval eval-quick golden slow other-cpu aarch64 wasm spec-check chaos fuzz fuzz-seeds measure tables

demo: ## build, then compress and restore the documents of this repository (seconds after the build)
	scripts/demo.sh

test: ## the quick tests
	$(CARGO) test

# One build of most dependencies serves all of it: trainer and experiments are tested unoptimised, too. What wants speed is tested
# apart. lmic-python has no tests in Rust; named here, it has the library built once, with
# the features of dependencies that scripts/python.sh comes to, and not a second time there.
# The command is built without link-time optimisation, too, which takes longer than all that is done with it here; `make demo` and
# `make spec-check` have it as it is shipped.
check: ## all that must pass before a merge
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test
	$(CARGO) test --package lmic-train --package lmic-eval --package lmic-baselines
	$(CARGO) test --package lmic-cuda
	scripts/cuda_emulated.sh quick
	$(CARGO) test $(FAST) --package lmic --package lmic-python
	$(CARGO) build $(FAST) --package lmic-cli --package lmic-python
	LMIC=$(BUILT) scripts/spec_check.py --quick
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
	LMIC=$(BUILT) scripts/aarch64.sh quick
	LMIC=$(BUILT) scripts/wasm.sh quick
	$(CARGO) test --package lmic-c
	LMIC=$(BUILT) scripts/c.sh
	scripts/python.sh

python: ## the Python package: builds it, installs it into target/python-package, runs its tests
	scripts/python.sh

python-ray: ## lmic.ray on clusters of this machine (some minutes the first time: it installs Ray, 500 MB)
	PYTHON_GROUPS="test ray" scripts/python.sh python/tests/test_ray.py

python-all: ## and with all that it works with, which takes minutes to install
	PYTHON_GROUPS="test ray eval" scripts/python.sh

install: ## the command, its manual pages and completions below DESTDIR and PREFIX (/usr/local)
	$(CARGO) build --release --package lmic-cli
	scripts/install.sh command

install-lib: ## the library for C, its header and file for pkg-config, there too
	$(CARGO) build --release --package lmic-c
	scripts/install.sh library

deb: ## packages for Debian in target/debian (needs cargo-deb)
	scripts/deb.sh

wheel: ## wheels of the Python package for x86-64 and AArch64, with the command in them, in target/wheels (needs maturin, cargo-zigbuild, ziglang)
	scripts/wheel.sh

package: ## the crates that are published are whole and small enough; publishes nothing
	scripts/package.sh

# Optimised without the link-time optimisation of the release: the trainer, the experiments (many codecs and formats; pages are
# looked at if there is a Chromium on the path), and tests that walk megabytes.
FAST = --profile fast
BUILT = $(or $(CARGO_TARGET_DIR),target)/fast/lmic
EVAL = $(FAST) --package lmic-eval
# Programs are measured as users have them: built for release. LMIC says where.
RUN_EVAL = LMIC=target/release/lmic $(CARGO) run $(EVAL) --
eval-quick: ## every experiment, small, on generated data: target/eval/report.html
	$(RUN_EVAL) run --quick --jobs 0
	$(RUN_EVAL) report --quick

# What one measures again after a change: the names of experiments/*.toml.
EXPERIMENTS ?= texts samples chunks lengths networks records states levels pipe
DATA ?= ../shared/data
measure: ## EXPERIMENTS on DATA, decoded and compared, and the tables; hours, on a quiet machine
	$(CARGO) build --release --package lmic-cli
	$(RUN_EVAL) run --data $(DATA) $(EXPERIMENTS)
	$(MAKE) tables

eval: ## every experiment on DATA, those of the paper, too
	$(MAKE) measure EXPERIMENTS=

tables: ## the generated parts of the documents, from records/ (the first time minutes: it builds lmic-eval)
	$(RUN_EVAL) report --drawings docs --markdown README.md --markdown docs/results.md --markdown docs/training.md --markdown docs/measurements/kinds.md --markdown docs/measurements/programs.md --markdown docs/security.md

golden: ## archives of every format version decode to the same bytes
	$(CARGO) test --release --package lmic --test it golden

spec-check: ## a decoder written from docs/format.md and docs/format/ alone restores what the release build writes (up to an hour; short ones in check)
	$(CARGO) build --release
	scripts/spec_check.py

slow: other-cpu aarch64 wasm ## the tests that take minutes (each says why it is ignored)
	$(CARGO) test --release -- --ignored

other-cpu: ## the same archives on CPUs without and with AVX2 (needs qemu-user)
	scripts/other_cpu.sh

aarch64: ## kernels and the same archives on AArch64 (needs qemu-user and the target; some 20 minutes)
	scripts/aarch64.sh

wasm: ## the module for WebAssembly: kernels and the same archives in Node (needs the targets)
	scripts/wasm.sh

CHAOS_STEPS ?= 10000
CHAOS_SEED ?= 1
chaos: ## CHAOS_STEPS random commands, killed at random moments: no content is ever lost (2 minutes)
	LMIC_CHAOS_STEPS=$(CHAOS_STEPS) LMIC_CHAOS_SEED=$(CHAOS_SEED) \
		$(CARGO) test --release --package lmic-cli --test it chaos -- --nocapture

FUZZ_SECONDS ?= 600
fuzz-seeds: ## small checkpoints as seeds of the fuzz targets that read them
	scripts/fuzz_seeds.py

fuzz: fuzz-seeds ## each fuzz target for FUZZ_SECONDS (needs a nightly toolchain and cargo-fuzz)
	for target in $$($(CARGO) +nightly fuzz list); do \
		$(CARGO) +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done
