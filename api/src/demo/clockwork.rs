//! The demo's time.
//!
//! The server of the demo runs on a clock that begins more than a day behind the machine's and is
//! moved forward from step to step, until it is the machine's clock (`Clock::behind`). So every
//! event is recorded at the time at which the day says that it happened, nothing is recorded in
//! the future, and `recorded_at` never goes back; nobody writes into the ledger by another way.

use std::time::Duration;

use anyhow::Context;
use runledger_ledger::clock::Clock;
use runledger_ledger::ledger::Ledger;
use runledger_ledger::time::{Moment, Span};

/// The clock of a demo's server, and the present that it is on its way to.
#[derive(Clone, Debug)]
pub(super) struct Clockwork {
    clock: Clock,
    /// The machine's time when the demo began.
    present: Moment,
}

impl Clockwork {
    /// A clock that is `behind` the machine's.
    pub(super) fn behind(behind: Span) -> Self {
        Clockwork { present: Clock::system().now(), clock: Clock::behind(behind) }
    }

    /// The clock for the server.
    pub(super) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// The moment that is this many minutes from the present; negative is before it.
    pub(super) fn moment(&self, minutes: i64) -> Moment {
        let micros = minutes.saturating_mul(60_000_000);
        Moment::from_micros(self.present.micros().saturating_add(micros))
    }

    /// Moves the server's time to `moment`; once it is the machine's, it goes by itself.
    ///
    /// A server that finds its clock half an hour ahead of its last mark takes the time between
    /// for blind. This one has not been away, so it marks the moment before it gets there.
    pub(super) async fn pass_to(&self, ledger: &Ledger, moment: Moment) -> anyhow::Result<()> {
        if self.clock.lag() == Span::ZERO {
            return Ok(());
        }
        let marked = ledger.store().note_listening(moment).await;
        marked.context("the demo's clock could not be moved")?;
        self.clock.advance(moment.since(self.clock.now()));
        Ok(())
    }

    /// Moves the server's time to the machine's, for good.
    pub(super) async fn arrive(&self, ledger: &Ledger) -> anyhow::Result<()> {
        // The first step leaves what the second one takes: a moment.
        self.pass_to(ledger, Clock::system().now()).await?;
        self.clock.advance(self.clock.lag());
        Ok(())
    }
}

/// Looks until `there` finds something, for a while.
pub(super) async fn until<T, F>(mut there: impl FnMut() -> F, what: &str) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    const OFTEN: Duration = Duration::from_millis(20);
    const PATIENCE: Duration = Duration::from_secs(60);
    let look = async {
        loop {
            if let Some(found) = there().await? {
                return Ok(found);
            }
            tokio::time::sleep(OFTEN).await;
        }
    };
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(found) => found,
        Err(_) => anyhow::bail!("{what} did not happen within {} seconds", PATIENCE.as_secs()),
    }
}
