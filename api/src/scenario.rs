//! Scenarios (DESIGN section 12): what is reported, when, and what must then be true.
//!
//! A scenario runs through the real engine: the ledger, the read models, the lifecycle adapter, on
//! a real database. Only the clock is its own. The form of the files is in `specs/scenarios/README.md`.

mod expectation;
pub mod file;
mod run;
mod table;

use std::path::PathBuf;

use runledger_ledger::clock::NoEntropy;
use runledger_ledger::ledger::{CreateError, SubmitError};
use runledger_ledger::store::{ScratchError, StoreError};
use runledger_ledger::time::Span;
use runledger_ledger::words::WordError;
use runledger_projections::{ProjectionError, ViewError};
use serde::Serialize;

use crate::reconciler::ReconcileError;

pub use run::Engine;

/// What became of a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file.
    pub file: PathBuf,
    /// What it shows.
    pub name: String,
    /// How many steps it took.
    pub steps: usize,
    /// How many expectations it has.
    pub expectations: usize,
    /// What did not hold, in the order of the file.
    pub failures: Vec<Failure>,
}

impl Report {
    /// Whether everything held.
    pub fn holds(&self) -> bool {
        self.failures.is_empty()
    }
}

/// A step that was not answered as it must be, or an expectation that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Its line in the file.
    pub line: usize,
    /// The moment that it is about.
    pub at: Span,
    /// What it is about.
    pub about: String,
    /// When it was asked.
    pub asked: Asked,
    /// The key that does not hold, or `the answer` to a step.
    pub key: &'static str,
    /// What must be there.
    pub expected: String,
    /// What was there instead.
    pub found: String,
}

/// When a question was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// At its own moment, of the live read models.
    Then,
    /// After the last step, as a question about the past.
    Afterwards,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { line, at, about, key, expected, found, asked } = self;
        let when = match asked {
            Asked::Then => "",
            Asked::Afterwards => ", asked afterwards",
        };
        write!(f, "line {line}: {about} at {at}{when}: {key} must be {expected}, and is {found}")
    }
}

/// Why a scenario could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// There is no database to play it in.
    #[error("the scenarios have no database to be played in")]
    Scratch(#[from] ScratchError),
    /// The database failed.
    #[error("the database failed while a scenario was played")]
    Store(#[from] StoreError),
    /// Its workspaces could not be made.
    #[error("a workspace of the scenario could not be made")]
    Create(#[from] CreateError),
    /// A step could not be handed to the ledger.
    #[error("a step could not be handed to the ledger")]
    Submit(#[from] SubmitError),
    /// The read models did not follow.
    #[error("the read models could not follow the scenario")]
    Projection(#[from] ProjectionError),
    /// A question could not be answered.
    #[error("a question of the scenario could not be answered")]
    View(#[from] ViewError),
    /// What fell due could not be reconciled.
    #[error("what fell due could not be reconciled")]
    Reconcile(#[from] ReconcileError),
    /// A workspace had no name to be made with.
    #[error("a workspace of the scenario could not be named")]
    Word(#[from] WordError),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// What falls due at one moment never ends.
    #[error("at {0} after its beginning, runs fall due again and again")]
    Endless(Span),
}
