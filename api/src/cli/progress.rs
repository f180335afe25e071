//! Progress bars: on standard error, on a terminal, and only of what takes longer than a second.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

/// How long work may take without showing how far it is.
const QUIET: Duration = Duration::from_secs(1);

/// How far one piece of work is.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    since: Instant,
}

impl Bar {
    /// A bar of work that begins now, shown once it takes long.
    pub(super) fn new(what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_message(what.to_owned());
        let shape = "{msg}  {bar:30}  {human_pos} of {human_len}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(shape) {
            bar.set_style(style);
        }
        Bar { bar, since: Instant::now() }
    }

    /// What is being done from here on.
    pub(super) fn step(&self, what: String) {
        self.bar.set_message(what);
    }

    /// So much is done, of so much.
    pub(super) fn at(&self, done: u64, of: u64) {
        if self.bar.is_hidden() && self.since.elapsed() >= QUIET {
            // Hidden all the same where standard error is no terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_length(of);
        self.bar.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
