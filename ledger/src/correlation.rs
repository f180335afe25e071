//! Which run another system's id names (DESIGN section 9, "Correlation").
//!
//! A run *claims* every external id that it has, in its scope: its workspace, and its environment
//! or none. An id names the run that alone claims it there, and no run otherwise: none that is
//! likely, and none of another scope.
//!
//! What is claimed follows from the runs as they are, and nothing else, so it can be derived again
//! from the log. It is written with the events that it follows from, so it is never behind them.

mod check;
mod sums;

use std::fmt;

use sha2::{Digest, Sha256};

use crate::run::{EXTERNAL_IDS, ExternalId, Run, RunCommand};
use crate::store::{Store, StoreError};
use crate::words::{Name, RunId, WorkspaceId};

pub use check::{Discrepancy, check, restore};
pub use sums::agree;

/// Most claims of one id that are looked at. One more than this, and the id is ambiguous whatever
/// becomes of those within one batch.
pub(crate) const CLAIMS: usize = 8;

/// An external id in the scope in which it is used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Correlation {
    /// The environment; none is the workspace itself, and not any environment.
    pub environment: Option<Name>,
    /// The id.
    pub id: ExternalId,
}

impl Correlation {
    /// The key of its claims.
    pub fn key(&self) -> CorrelationKey {
        CorrelationKey::of(self.environment.as_ref(), &self.id)
    }
}

impl fmt::Display for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ExternalId { id, kind, source } = &self.id;
        write!(f, "the {source} {kind} {id} in ")?;
        match &self.environment {
            Some(environment) => write!(f, "the environment {environment}"),
            None => f.write_str("the workspace itself (no environment was named)"),
        }
    }
}

/// Environment, source, kind and id, hashed, so that its length does not depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CorrelationKey(pub [u8; 32]);

impl CorrelationKey {
    fn of(environment: Option<&Name>, id: &ExternalId) -> Self {
        let environment = environment.map_or("", Name::as_str);
        let mut hash = Sha256::new();
        for part in [environment, id.source.as_str(), id.kind.as_str(), id.id.as_str()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        CorrelationKey(hash.finalize().into())
    }
}

/// What an external id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// No run of its scope claims it.
    Nothing,
    /// This run alone claims it.
    Run(RunId),
    /// Several runs claim it, so it names none of them.
    Ambiguous,
}

/// The runs that claim an id, as far as they were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimants {
    /// Some of them, each once.
    pub runs: Vec<RunId>,
    /// Whether there may be more.
    pub more: bool,
}

impl Claimants {
    pub(crate) fn of(runs: Vec<RunId>) -> Self {
        Claimants { more: runs.len() >= CLAIMS, runs }
    }

    /// What the id names.
    pub fn named(&self) -> Named {
        match self.runs[..] {
            [] if !self.more => Named::Nothing,
            [run] if !self.more => Named::Run(run),
            _ => Named::Ambiguous,
        }
    }
}

/// A command on the run that an external id names.
#[derive(Clone, Debug, PartialEq)]
pub struct Correlated {
    correlation: Correlation,
    new_run: RunId,
    command: RunCommand,
}

impl Correlated {
    /// `command` on the run that `correlation` names. If it names none and the command opens a run,
    /// that run is `new_run`, in the scope and with the id of `correlation`. What the command itself
    /// says of its environment does not count.
    pub fn new(correlation: Correlation, new_run: RunId, mut command: RunCommand) -> Self {
        let named = match &mut command {
            RunCommand::Dispatch(dispatch) => Some(&mut dispatch.named),
            RunCommand::Signal(signal) => Some(&mut signal.named),
            _ => None,
        };
        if let Some(named) = named {
            named.environment.clone_from(&correlation.environment);
            if !named.external_ids.contains(&correlation.id) {
                named.external_ids.insert(0, correlation.id.clone());
            }
        }
        Correlated { correlation, new_run, command }
    }

    /// What names the run.
    pub const fn correlation(&self) -> &Correlation {
        &self.correlation
    }

    /// The run that is made if none is named.
    pub const fn new_run(&self) -> RunId {
        self.new_run
    }

    /// What is asked of the run.
    pub const fn command(&self) -> &RunCommand {
        &self.command
    }
}

impl Run {
    /// What the run claims.
    pub fn claims(&self) -> impl Iterator<Item = CorrelationKey> {
        self.external_ids.iter().map(|id| CorrelationKey::of(self.environment.as_ref(), id))
    }

    /// Those of `named` that the run does not have, as long as it has room: a report is not refused
    /// for an id too many.
    pub(crate) fn new_external_ids(&self, named: &[ExternalId]) -> Vec<ExternalId> {
        let mut new = Vec::new();
        for id in named {
            let room = self.external_ids.len() + new.len() < EXTERNAL_IDS;
            if room && !self.external_ids.contains(id) && !new.contains(id) {
                new.push(id.clone());
            }
        }
        new
    }
}

impl Store {
    /// What `correlation` names now.
    pub async fn named(
        &self,
        workspace: WorkspaceId,
        correlation: &Correlation,
    ) -> Result<Named, StoreError> {
        let key = correlation.key();
        let runs = self.claims(workspace, &[key]).await?.into_iter().map(|(_, run)| run);
        Ok(Claimants::of(runs.collect()).named())
    }
}
