//! What the command line says: answers on standard output, everything else on standard error. The
//! only place that prints.

#![expect(clippy::print_stderr, reason = "this is the command line's voice")]

use std::fmt::Display;
use std::io::Write;

use runledger_ledger::time::Moment;

/// A line of an answer.
pub fn line(text: impl Display) {
    text_of(&format!("{text}\n"));
}

/// An answer as it came; a last line break is added where there is none.
pub fn body(text: &str) {
    text_of(text);
    if !text.is_empty() && !text.ends_with('\n') {
        text_of("\n");
    }
}

/// Something that is worth knowing and no answer.
pub fn note(text: impl Display) {
    eprintln!("{text}");
}

/// How a list goes on after this page, if it does.
pub fn page_goes_on(next: Option<&str>, scanned_to: Option<Moment>) {
    if let Some(moment) = scanned_to {
        note(format!("looked back to {moment} and no further yet"));
    }
    if let Some(next) = next {
        note(format!("there are more: add --cursor {next}"));
    }
}

/// How wide the terminal is that answers go to; none if they go elsewhere.
pub fn terminal_width() -> Option<usize> {
    // What a terminal has that does not say.
    const USUAL: usize = 80;
    let terminal = console::Term::stdout();
    if !terminal.is_term() {
        return None;
    }
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let size = terminal.size_checked().map(|(_, columns)| usize::from(columns));
    Some(size.or(said).unwrap_or(USUAL))
}

/// Whether answers go to a terminal.
pub fn is_terminal() -> bool {
    console::Term::stdout().is_term()
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

fn text_of(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        // Nobody reads on, as after `| head`: end as quietly as every program of a pipe.
        std::process::exit(0);
    }
}
