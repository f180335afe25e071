//! Which run an external id names within a batch: what was claimed before it, and what the batch
//! itself has claimed so far.

use std::collections::HashMap;

use super::Draft;
use crate::correlation::{Claimants, Correlated, CorrelationKey, Named};
use crate::run::{Run, RunCommand};
use crate::store::Claim;
use crate::submission::{Command, Refusal};
use crate::words::RunId;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Claims {
    /// Who claims the keys that the batch asks for.
    asked: HashMap<CorrelationKey, Claimants>,
    /// What the batch changes, in order: whether the run claims the key from then on.
    changes: Vec<(Claim, bool)>,
}

/// What a run claimed before an event.
pub(super) struct Before {
    claims: usize,
    had_environment: bool,
}

impl Claims {
    pub(super) fn ask(&mut self, correlated: &Correlated) {
        self.asked.entry(correlated.correlation().key()).or_default();
    }

    pub(super) fn keys_to_know(&self) -> Vec<CorrelationKey> {
        self.asked.keys().copied().collect()
    }

    pub(super) fn give(&mut self, claims: &[Claim]) {
        let mut runs: HashMap<CorrelationKey, Vec<RunId>> = HashMap::new();
        for (key, run) in claims {
            runs.entry(*key).or_default().push(*run);
        }
        for (key, runs) in runs {
            self.asked.insert(key, Claimants::of(runs));
        }
    }

    /// The claims that hold once the batch is in the log, and those that do not any more.
    pub(super) fn changed(&self) -> (Vec<Claim>, Vec<Claim>) {
        let last: HashMap<Claim, bool> = self.changes.iter().copied().collect();
        let mut claimed = Vec::new();
        let mut dropped = Vec::new();
        for (claim, holds) in last {
            if holds { claimed.push(claim) } else { dropped.push(claim) }
        }
        (claimed, dropped)
    }

    pub(super) fn mark(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn put_back(&mut self, mark: usize) {
        while self.changes.len() > mark
            && let Some((claim, holds)) = self.changes.pop()
        {
            self.turn(claim, !holds);
        }
    }

    /// Takes in that `run` has had one more event.
    pub(super) fn follow(&mut self, id: RunId, run: &Run, before: &Before) {
        if before.had_environment == run.environment.is_some() {
            for key in run.claims().skip(before.claims) {
                self.change((key, id), true);
            }
            return;
        }
        // It belonged to the workspace as long as its environment was open. What it claimed there
        // is no claim of its scope.
        let was =
            Run { environment: None, external_ids: run.external_ids.clone(), ..Run::default() };
        for key in was.claims().take(before.claims) {
            self.change((key, id), false);
        }
        for key in run.claims() {
            self.change((key, id), true);
        }
    }

    fn change(&mut self, claim: Claim, holds: bool) {
        self.changes.push((claim, holds));
        self.turn(claim, holds);
    }

    fn turn(&mut self, (key, run): Claim, holds: bool) {
        let Some(claimants) = self.asked.get_mut(&key) else { return };
        claimants.runs.retain(|claimant| *claimant != run);
        if holds {
            claimants.runs.push(run);
        }
    }
}

impl Before {
    pub(super) fn of(run: &Run) -> Self {
        Before { claims: run.external_ids.len(), had_environment: run.environment.is_some() }
    }
}

impl Draft<'_> {
    /// The run that `correlated` is about: the one that its id names, or the one that it may open.
    pub(super) fn run_of(&self, correlated: &Correlated) -> Result<RunId, Refusal> {
        let claimants = self.claims.asked.get(&correlated.correlation().key());
        match claimants.map_or(Named::Nothing, Claimants::named) {
            Named::Run(run) => Ok(run),
            Named::Nothing => Ok(correlated.new_run()),
            Named::Ambiguous => Err(Refusal::AmbiguousExternalId(correlated.correlation().clone())),
        }
    }

    /// Every run that a command may change, as far as that is known before it is decided on.
    pub(super) fn runs_of(&self, command: &Command) -> Vec<RunId> {
        let Command::Correlated(correlated) = command else {
            return command.run_id().into_iter().collect();
        };
        let claimants = self.claims.asked.get(&correlated.correlation().key());
        let claimants = claimants.map(|claimants| claimants.runs.clone());
        let mut runs = claimants.unwrap_or_default();
        runs.push(correlated.new_run());
        runs
    }
}

/// The command on a run, whichever way the run is named.
pub(super) fn run_command(command: &Command) -> Option<&RunCommand> {
    match command {
        Command::Run(_, command) => Some(command),
        Command::Correlated(correlated) => Some(correlated.command()),
        Command::Subject(..)
        | Command::Worker(..)
        | Command::Workspace(_)
        | Command::Decided(_) => None,
    }
}
