//! What a batch decides on runs, and what follows from it for the keys and ids of theirs.

use super::correlated::Before;
use super::{Decided, Draft};
use crate::fact::Fact;
use crate::run::{Decision, ReservationKey, RunCommand, RunContext, RunEvent, RunRefusal};
use crate::submission::{Answer, Found, Submission};
use crate::words::RunId;

impl Draft<'_> {
    pub(super) fn decide_run(
        &mut self,
        id: RunId,
        command: &RunCommand,
        submission: &Submission,
    ) -> Result<Decided, RunRefusal> {
        let context = RunContext {
            catalog: &self.known.catalog,
            holder: match submission.found {
                Some(Found::Held(holder)) => Some(holder),
                _ => self.holder(command),
            },
            occurred_at: submission.occurred_at.unwrap_or(self.recorded_at),
            recorded_at: self.recorded_at,
            run_id: id,
            strict: submission.strict,
        };
        let run = self.runs.entry(id).or_default();
        let decision = run.decide(command, &context)?;
        // What a dispatch of a run that is there already says, no proof changes.
        if let Some(Found::Proven(proven)) = &submission.found
            && matches!(command, RunCommand::Dispatch(_))
            && !run.exists()
        {
            return Ok(Decided::Answer(Answer::AlreadyProven(proven.clone())));
        }
        Ok(match decision {
            Decision::Record(facts) => Decided::Record(facts.into_iter().map(Fact::any).collect()),
            Decision::Duplicate => {
                Decided::Answer(Answer::Duplicate { position: None, run: Some(id) })
            }
            Decision::Coalesced => Decided::Answer(Answer::Coalesced { run: Some(id) }),
            Decision::NoChange => Decided::Answer(Answer::NoChange),
            Decision::Existing(holder) => Decided::Answer(Answer::Existing(holder)),
        })
    }

    /// The active run that holds the key that a dispatch asks for.
    fn holder(&self, command: &RunCommand) -> Option<RunId> {
        let RunCommand::Dispatch(dispatch) = command else { return None };
        let operation = self.known.catalog.canonical(dispatch.operation.as_str());
        self.held(&ReservationKey::asked(dispatch, operation)?)
    }

    /// A run that becomes active takes its key, and one that completes frees it. What it claims
    /// follows it.
    pub(super) fn apply_to_run(&mut self, id: RunId, fact: &Fact<RunEvent>) {
        let run = self.runs.entry(id).or_default();
        let was_active = run.is_active();
        let before = Before::of(run);
        run.apply(fact);
        self.claims.follow(id, run, &before);
        let Some(key) = ReservationKey::of_run(run) else { return };
        let holder = match (was_active, run.is_active()) {
            (false, true) => Some(id),
            (true, false) => None,
            _ => return,
        };
        self.key_changes.push((key, self.changed_keys.insert(key, holder)));
    }
}
