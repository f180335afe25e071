//! The conformance kit: whether an adapter keeps the contract.
//!
//! An adapter cannot be registered without [`Specimens`]: examples of evidence that proves
//! something, and of evidence that must prove nothing. [`check`] holds every adapter of a registry
//! to the rules of DESIGN section 9 with them, and asks no source for anything.

mod check;
mod set;

pub use check::{Failure, Rule, check};
pub(crate) use set::ErasedSpecimens;
pub use set::{Set, Specimen};

use runledger_ledger::catalog::Lifecycle;
use runledger_ledger::run::Run;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, RunId, Status, Subject, WordError, WorkspaceId};
use uuid::Uuid;

use crate::adapter::{Adapter, Case};

/// What an adapter is tested with.
pub trait Specimens: Adapter {
    /// Examples of its evidence, of each sort.
    ///
    /// # Errors
    /// An example is no word of the ledger: a mistake of the adapter's, which the kit reports.
    fn specimens(&self) -> Result<Set<Self::Evidence>, WordError>;
}

/// A run of `operation` to make examples of: running and fresh, in the environment `production` of
/// the workspace `main`, with the subject `thing/1` and the fingerprint `f0`.
///
/// # Errors
/// `operation` is no name.
pub fn case(operation: &str) -> Result<Case, WordError> {
    let at = Moment::from_micros(1_767_225_600_000_000);
    let run = Run {
        operation: Some(Name::new(operation)?),
        environment: Some(Name::new("production")?),
        subject: Some(Subject { id: Name::new("1")?, kind: Name::new("thing")? }),
        fingerprint: Some(Name::new("f0")?),
        lifecycle: Lifecycle { run_window: Some(Span::from_secs(3_600)), ..Lifecycle::default() },
        status: Status::Running,
        attempt: 1,
        dispatched_at: at,
        dispatch_recorded_at: at,
        last_sign_of_life: Some(at),
        events: 2,
        ..Run::default()
    };
    Ok(Case {
        at: at.plus(Span::from_secs(60)),
        give_up_at: None,
        run,
        run_id: RunId(Uuid::from_u128(0x0c0f_fee0)),
        stale: false,
        workspace: WorkspaceId(Uuid::from_u128(0x0badc0de)),
        workspace_name: Name::new("main")?,
    })
}
