//! The program `runledger`.

use std::process::ExitCode;

fn main() -> ExitCode {
    runledger::cli::run()
}
