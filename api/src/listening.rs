//! When the ledger could not listen, silence means nothing (DESIGN section 5, *blind time*).
//!
//! The server keeps a mark of when it last could. When the mark is old, the ledger was blind since
//! then, and that is recorded in every workspace where silence would count, before the mark moves
//! on: a crash in between records the time twice, and overlapping times count once.

use std::time::Duration;

use runledger_ledger::ledger::{Ledger, SubmitError};
use runledger_ledger::store::StoreError;
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::WorkspaceId;
use runledger_ledger::workspace::{LedgerBlind, WorkspaceCommand};
use runledger_projections::{ProjectionError, Projections};
use tokio::sync::watch;

/// How often a server sets the mark.
pub const PACE: Duration = Duration::from_secs(5);
/// How long a gap between two marks means nothing.
pub const GAP: Span = Span::from_secs(30);

/// Why the mark was not set. The next try covers the time until then.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The mark could not be read or set.
    #[error("the listening mark could not be read or set")]
    Store(#[from] StoreError),
    /// The blind time could not be recorded.
    #[error("the blind time could not be recorded")]
    Submit(#[from] SubmitError),
    /// It could not be told where silence counts.
    #[error("the read models could not tell where silence counts")]
    Projections(#[from] ProjectionError),
}

/// The time in which the ledger was blind, if it last listened at `last` and listens again `now`.
pub fn blind(last: Option<Moment>, now: Moment) -> Option<LedgerBlind> {
    let from = last?;
    (now.since(from) > GAP).then_some(LedgerBlind { from, to: now })
}

/// Records the blind time that ends now, if there is one, and sets the mark.
///
/// `silence_counts` says of a workspace whether it had active runs or live leases when the blind
/// time began.
pub async fn mark<F>(
    ledger: &Ledger,
    silence_counts: impl Fn(WorkspaceId, Moment) -> F,
) -> Result<Option<LedgerBlind>, ListenError>
where
    F: Future<Output = Result<bool, ProjectionError>>,
{
    mark_after(ledger, silence_counts, None).await
}

/// The same for a server that last set the mark at `own`, by its clock; none if it starts.
///
/// A mark that lies far in the future was set by a clock that has stepped back since. Were it left
/// there, no blind time would be seen until the clock comes to it again. But it may also be that of
/// another server whose clock is ahead: then it is right to leave it to that one. So it is taken
/// back by a server that starts, or whose own clock has stepped back.
async fn mark_after<F>(
    ledger: &Ledger,
    silence_counts: impl Fn(WorkspaceId, Moment) -> F,
    own: Option<Moment>,
) -> Result<Option<LedgerBlind>, ListenError>
where
    F: Future<Output = Result<bool, ProjectionError>>,
{
    let store = ledger.writing_store();
    let now = ledger.now();
    // The mark is that of all servers over one database: while one listens, nothing is missed.
    let mark = store.listened_at().await?;
    let stepped = own.is_none_or(|own| now < own);
    if let Some(mark) = mark.filter(|mark| stepped && mark.since(now) > GAP) {
        tracing::warn!(%mark, %now, "the clock has stepped back; the listening mark goes with it");
        store.take_listening_back(mark, now).await?;
        return Ok(None);
    }
    let blind = blind(mark, now);
    if let Some(blind) = blind {
        for (workspace, _) in store.workspaces().await? {
            // A log that takes no events does not take this one, and must not keep it from others.
            if ledger.halted(workspace).is_none() && silence_counts(workspace, blind.from).await? {
                let note = Command::Workspace(WorkspaceCommand::NoteBlind(blind));
                ledger.submit(workspace, vec![Submission::new(note)], false).await?;
            }
        }
    }
    store.note_listening(now).await?;
    Ok(blind)
}

/// Whether silence from `from` on counts in a workspace: whether it has active runs, or had live
/// leases then, as far as its read models know. If they are behind it may have some; a blind time
/// too many changes nothing.
pub async fn silence_counts(
    projections: &Projections,
    workspace: WorkspaceId,
    from: Moment,
) -> Result<bool, ProjectionError> {
    let store = projections.ledger().store();
    let size = store.head(workspace).await?.map_or(0, |head| head.size());
    match projections.position(workspace).await {
        Ok(position) if position >= size => projections.listens(workspace, from).await,
        Ok(_) | Err(ProjectionError::NoModel) => Ok(size > 0),
        Err(error) => Err(error),
    }
}

/// Sets the mark once in every `pace` until `shutdown`.
pub async fn keep_marking<F>(
    ledger: Ledger,
    silence_counts: impl Fn(WorkspaceId, Moment) -> F,
    pace: Duration,
    mut shutdown: watch::Receiver<bool>,
) where
    F: Future<Output = Result<bool, ProjectionError>>,
{
    let mut failing = false;
    let mut own = None;
    loop {
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(pace) => {}
        }
        let now = ledger.now();
        match mark_after(&ledger, &silence_counts, own).await {
            Ok(blind) => {
                own = Some(now);
                if let Some(LedgerBlind { from, to }) = blind {
                    tracing::warn!(%from, %to, "the ledger could not listen; that is recorded");
                }
                failing = false;
            }
            Err(error) if !failing => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the listening mark was not set");
                failing = true;
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_of_half_a_minute_is_not_blindness_and_a_longer_one_is() {
        let last = Moment::from_micros(1_000);
        assert_eq!(blind(Some(last), last.plus(GAP)), None);
        let now = last.plus(GAP).plus(Span::from_micros(1));
        assert_eq!(blind(Some(last), now), Some(LedgerBlind { from: last, to: now }));
        assert_eq!(blind(None, now), None);
        assert_eq!(blind(Some(now), last), None);
    }
}
