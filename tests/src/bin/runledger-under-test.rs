//! The program `runledger`, as the tests start, signal and kill it.

use std::process::ExitCode;

fn main() -> ExitCode {
    runledger::cli::run()
}
