//! What the command line says: answers on standard output, everything else on standard error. The
//! only place that prints.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line's voice")]

use std::fmt::Display;

/// A line of an answer.
pub fn line(text: impl Display) {
    println!("{text}");
}

/// Why a command failed: what happened, and below it what it comes from.
pub fn error(error: &anyhow::Error) {
    let mut causes = error.chain();
    if let Some(what) = causes.next() {
        eprintln!("runledger: {what}");
    }
    for cause in causes {
        eprintln!("  because: {cause}");
    }
}
