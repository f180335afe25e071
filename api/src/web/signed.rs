//! How far the log is signed, by whom, and whether it still is what was signed.

use runledger_ledger::store::{Head, SignedCheckpoint};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::WorkspaceId;
use runledger_projections::rules::guidance::Severity;
use runledger_projections::texts::Phrase;
use runledger_proof::note::Note;

use crate::app::App;
use crate::problem::{ApiError, ApiResult};

/// How long an event may wait for its signature. Servers sign within ten seconds.
const PATIENCE: Span = Span::from_secs(60);

/// What is known of the signatures of a log.
#[derive(Clone, Debug, Default)]
pub(super) struct Signed {
    /// Events in the log.
    pub(super) size: u64,
    /// Events that the last checkpoint is about, and when it was signed.
    pub(super) last: Option<(u64, Moment)>,
    /// Who else signed it.
    pub(super) witnesses: Vec<String>,
    /// Why the log takes no more events.
    pub(super) halted: Option<String>,
    /// Whether events wait for a signature longer than they should.
    pub(super) behind: bool,
}

impl Signed {
    /// Reads it. One statement.
    pub(super) async fn read(
        app: &App,
        workspace: WorkspaceId,
        head: Option<&Head>,
    ) -> ApiResult<Signed> {
        let last = app.ledger().store().last_checkpoint(workspace).await?;
        let halted = app.ledger().halted(workspace).map(|why| why.to_string());
        let size = head.map_or(0, Head::size);
        let covered = last.as_ref().map_or(0, |last| last.size);
        let oldest = head.map(|head| head.last_recorded_at.plus(PATIENCE));
        let behind = covered < size && oldest.is_some_and(|oldest| oldest < app.ledger().now());
        Ok(Signed {
            size,
            witnesses: last.as_ref().map(witnesses).transpose()?.unwrap_or_default(),
            last: last.map(|last| (last.size, last.signed_at)),
            halted,
            behind,
        })
    }

    /// What is to be said of it, and how loud.
    fn state(&self) -> (Severity, Phrase) {
        match self {
            Signed { halted: Some(_), .. } => (Severity::Attention, Phrase::LogHalted),
            Signed { last: None, .. } => (Severity::Notice, Phrase::LogUnsigned),
            Signed { behind: true, .. } => (Severity::Warning, Phrase::LogBehind),
            Signed { .. } => (Severity::Calm, Phrase::LogSigned),
        }
    }

    /// How loud it is.
    pub(super) fn severity(&self) -> Severity {
        self.state().0
    }

    /// What is to be said of it.
    pub(super) fn phrase(&self) -> Phrase {
        self.state().1
    }
}

/// The names in a checkpoint beside that of the log, which stands in its first line.
fn witnesses(checkpoint: &SignedCheckpoint) -> ApiResult<Vec<String>> {
    let note = Note::parse(&checkpoint.note).map_err(ApiError::internal)?;
    let origin = note.text.lines().next().unwrap_or_default();
    let names = note.signatures.iter().map(|signature| signature.name.clone());
    let mut names: Vec<String> = names.filter(|name| name != origin).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_not_what_was_signed_is_told_before_everything_else() {
        let at = Moment::from_micros(0);
        let signed = Signed { size: 7, last: Some((7, at)), ..Signed::default() };
        let of = |signed: &Signed| (signed.severity(), signed.phrase());
        assert_eq!(of(&signed), (Severity::Calm, Phrase::LogSigned));
        let behind = Signed { behind: true, ..signed.clone() };
        assert_eq!(of(&behind), (Severity::Warning, Phrase::LogBehind));
        let halted = Signed { halted: Some("a fork".into()), ..behind };
        assert_eq!(of(&halted), (Severity::Attention, Phrase::LogHalted));
        let unsigned = Signed { last: None, ..signed };
        assert_eq!(of(&unsigned), (Severity::Notice, Phrase::LogUnsigned));
    }
}
