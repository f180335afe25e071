# Shorthand for the commands that developers use. `just` lists them.

_default:
    @just --list --unsorted

# Start the server.
run *args:
    cargo run --release -- serve {{args}}

# Run every test, on a PostgreSQL started for them. Arguments go to the test runner.
test *args:
    cargo test-all {{args}}

# Hold a PostgreSQL for tests run one by one: set RUNLEDGER_TEST_PG to the URL it prints.
postgres:
    cargo run --quiet -p runledger-tests --bin hold-postgres

# Check the format, the lints and the documentation.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo fmt --manifest-path tests/postgres-es/Cargo.toml --check
    cargo clippy --manifest-path tests/postgres-es/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/postgres-es" --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Everything a change must pass.
ci:
    .ci/run

# Run the benchmarks. Arguments go to them.
bench *args:
    cargo bench-ledger {{args}}
