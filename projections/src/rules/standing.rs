//! The standing: everything that is true of one run at one moment (DESIGN section 1).
//!
//! Its two halves are never mixed. [`Recorded`] is history, and nothing rewrites it; [`Now`] is
//! derived from it at a moment, and may be thrown away and derived again.

mod recorded;

pub use recorded::{FollowUpView, LateView, ReconciliationView, Recorded};

use runledger_ledger::catalog::Operation;
use runledger_ledger::run::{Related, Run};
use runledger_ledger::time::Moment;
use runledger_ledger::words::RunId;
use serde::{Deserialize, Serialize};

use super::actionability::{Evidence, Verdict, actionability, is_follow_up};
use super::actions::{Action, actions};
use super::blind::BlindTime;
use super::freshness::{Freshness, abandon_at, deadline, freshness};
use super::guidance::{GuidanceKey, Severity, guidance};
use super::progress::{ProgressView, progress};
use super::queue::QueueTruth;
use super::related;
use super::rfc3339;
use crate::texts::Texts;

/// Everything that is true of one run at one moment. Its times are RFC 3339 texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Which run.
    pub run_id: RunId,
    /// Historical truth.
    pub recorded: Recorded,
    /// Current truth.
    pub now: Now,
}

/// What is derived of a run for one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// The moment.
    #[serde(with = "rfc3339")]
    pub at: Moment,
    /// Whether it is inside its window.
    pub freshness: Freshness,
    /// When it becomes or became stale; none if it has ended or knows no window.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub deadline: Option<Moment>,
    /// When time alone changes its freshness next: its deadline, or its giving up once stale.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub next_change: Option<Moment>,
    /// The queue that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueTruth>,
    /// How far it is.
    pub progress: ProgressView,
    /// Whether it needs a person, why, and what proves it.
    pub actionability: Verdict,
    /// The thing to look at first: what the verdict rests on, or else what is recorded as related.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
    /// Whether it is a current follow-up.
    pub follow_up: bool,
    /// What a person is told.
    pub guidance: GuidanceText,
    /// What a person may do.
    pub actions: Vec<Action>,
}

/// Guidance with its sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuidanceText {
    /// What is told.
    pub key: GuidanceKey,
    /// How loud it is.
    pub severity: Severity,
    /// The sentence, in the language asked for.
    pub text: String,
}

/// What a standing is put together from: recorded values, all up to the same moment.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Which run.
    pub run_id: RunId,
    /// What is recorded of it.
    pub run: &'a Run,
    /// Its operation, in the catalog in force at the moment.
    pub operation: &'a Operation<'a>,
    /// Blind time recorded up to the moment.
    pub blind: &'a BlindTime,
    /// The truth about the queue that it names, if it names one.
    pub queue: Option<QueueTruth>,
    /// What may make a problem of it good.
    pub evidence: &'a Evidence,
    /// Whether its operation has an adapter that can be asked.
    pub has_adapter: bool,
    /// The moment.
    pub at: Moment,
}

impl Standing {
    /// Puts a standing together, with its sentence in the language of `texts`.
    pub fn assemble(parts: &Parts<'_>, texts: &Texts) -> Standing {
        let recorded = Recorded::of(parts.run, parts.operation);
        let now = Now::derive(parts, recorded.related.as_ref(), texts);
        Standing { run_id: parts.run_id, recorded, now }
    }
}

impl Now {
    fn derive(parts: &Parts<'_>, recorded: Option<&Related>, texts: &Texts) -> Now {
        let Parts { run, blind, at, .. } = *parts;
        let deadline = deadline(run, blind);
        let freshness = freshness(run, deadline, at);
        let progress = progress(run, freshness);
        let verdict = actionability(run, parts.operation, parts.evidence);
        let guidance = guidance(
            freshness,
            parts.queue.map(|queue| queue.verdict),
            progress.kind,
            verdict.status,
            run.outcome,
            run.is_reconciled(),
        );
        Now {
            at,
            freshness,
            deadline,
            next_change: [deadline, abandon_at(run, blind)]
                .into_iter()
                .flatten()
                .find(|change| *change > at),
            queue: parts.queue,
            progress,
            related: related::first(&verdict, recorded),
            follow_up: is_follow_up(verdict.status),
            guidance: GuidanceText {
                key: guidance.key,
                severity: guidance.severity,
                text: texts.guidance(&guidance),
            },
            actions: actions(run, &verdict, parts.has_adapter),
            actionability: verdict,
        }
    }
}

#[cfg(test)]
mod tests;
