//! What the command line says: answers on standard output, everything else on standard error. The
//! only place that prints.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

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
    // `eprintln!` would end the process if standard error is gone, and with it the verdict.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
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
        note(format!("runledger: {what}"));
    }
    for cause in causes {
        note(format!("  because: {cause}"));
    }
}

/// Whether what was to be said could be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    /// Everything so far.
    Heard,
    /// Whoever read has left, as after `| head`: what a command finds stays what it is.
    Alone,
    /// It could not be written: nobody may take what arrived for the whole answer.
    Lost,
}

static VOICE: Mutex<Voice> = Mutex::new(Voice::Heard);

/// Whether a part of an answer was lost on its way. That its reader left is no loss.
pub fn is_lost() -> bool {
    *VOICE.lock().unwrap_or_else(PoisonError::into_inner) == Voice::Lost
}

/// Whether anybody reads on.
pub fn is_heard() -> bool {
    *VOICE.lock().unwrap_or_else(PoisonError::into_inner) == Voice::Heard
}

fn text_of(text: &str) {
    let mut voice = VOICE.lock().unwrap_or_else(PoisonError::into_inner);
    if *voice != Voice::Heard {
        return;
    }
    let mut out = std::io::stdout().lock();
    let Err(failure) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) else { return };
    if failure.kind() == ErrorKind::BrokenPipe {
        *voice = Voice::Alone;
    } else {
        *voice = Voice::Lost;
        note(format!("runledger: the answer could not be written: {failure}"));
    }
}
