//! What a batch needs to know before anything is decided.

use std::collections::HashSet;

use super::draft::Draft;
use super::stored::read_runs;
use super::{Failure, Known, Lane};
use crate::store::{Claim, Needs, StoredEvent};
use crate::submission::Submission;

impl Lane {
    /// Loads what the decisions need, in one go for the whole batch.
    pub(super) async fn prepare<'a>(
        &mut self,
        known: &Known,
        requests: &[(&'a [Submission], bool)],
    ) -> Result<Draft<'a>, Failure> {
        let mut draft = Draft::new(self.workspace, known.clone(), self.inner.entropy.clone());
        let mut unknown = HashSet::new();
        for (submissions, _) in requests {
            for submission in *submissions {
                draft.expect(submission);
                let Some(id) = submission.command.run_id().filter(|id| !draft.knows_run(*id))
                else {
                    continue;
                };
                match self.runs.take(id) {
                    Some(run) => draft.give_run(id, run),
                    None => drop(unknown.insert(id)),
                }
            }
        }
        let needs = Needs {
            runs: unknown.into_iter().collect(),
            streams: draft.streams_to_count(),
            ids: draft.ids_to_know(),
            claims: draft.external_ids_to_know(),
            reservations: draft.keys_to_know(),
        };
        let found = self.inner.store.needs(self.workspace, &needs).await?;
        self.give_runs(&mut draft, found.events).await?;
        draft.give_sequences(found.sequences);
        draft.give_known(&found.ids);
        draft.give_holders(found.reservations);
        self.give_claims(&mut draft, &found.claims).await?;
        Ok(draft)
    }

    /// External ids, and the runs that they name.
    async fn give_claims(
        &mut self,
        draft: &mut Draft<'_>,
        claims: &[Claim],
    ) -> Result<(), Failure> {
        let mut unknown = HashSet::new();
        for (_, id) in claims {
            if !draft.knows_run(*id) {
                match self.runs.take(*id) {
                    Some(run) => draft.give_run(*id, run),
                    None => drop(unknown.insert(*id)),
                }
            }
        }
        draft.give_claims(claims);
        let needs = Needs { runs: unknown.into_iter().collect(), ..Needs::default() };
        let found = self.inner.store.needs(self.workspace, &needs).await?;
        self.give_runs(draft, found.events).await?;
        Ok(())
    }

    /// The runs of these events.
    async fn give_runs(
        &self,
        draft: &mut Draft<'_>,
        events: Vec<StoredEvent>,
    ) -> Result<(), Failure> {
        let (runs, unreadable) = read_runs(&self.inner.store, self.workspace, events).await?;
        runs.into_iter().for_each(|(id, run)| draft.give_run(id, run));
        unreadable.into_iter().for_each(|(id, archived)| draft.give_archived(id, archived));
        Ok(())
    }
}
