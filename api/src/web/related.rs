//! Links to what runs and verdicts are related to: the first ones everywhere.

use std::collections::BTreeSet;

use runledger_ledger::run::Related;
use runledger_ledger::time::Moment;
use runledger_ledger::words::RunId;
use runledger_projections::View;
use runledger_projections::rules::actionability::Proof;
use runledger_projections::rules::related::{Leads, leads, of_proof};
use runledger_projections::rules::standing::Standing;

use super::fault::Page;
use super::shell::Shell;

impl Shell {
    /// Learns which of the runs that these standings relate to are there, and when they settled, and
    /// when these left the list. Two statements. That a superseding run is there goes without saying.
    pub(super) async fn relate<'a>(
        &mut self,
        view: &View,
        standings: impl IntoIterator<Item = &'a Standing>,
    ) -> Page<()> {
        let (mut unsure, mut left) = (BTreeSet::new(), Vec::new());
        for standing in standings {
            let proof = standing.now.actionability.proof.as_ref();
            left.extend(proof.map(|_| standing.run_id));
            match proof {
                Some(Proof::Run(run)) => {
                    self.known.entry(*run).or_default();
                    unsure.insert(*run);
                }
                _ => unsure.extend(of_proof(proof).as_ref().and_then(run)),
            }
            let recorded = &standing.recorded;
            let decided = recorded.reconciliation.as_ref().and_then(|word| word.related.as_ref());
            let things = recorded.related.iter().chain(decided).chain(&recorded.artifacts);
            unsure.extend(things.filter_map(run));
        }
        self.left.extend(view.leavings(&left).await?);
        self.relate_to(view, unsure).await
    }

    /// When a run left the list of what needs a person.
    pub(super) fn left_at(&self, run: &Standing) -> Option<Moment> {
        self.left.get(&run.run_id).copied()
    }

    /// Learns which of these things are runs that are there.
    pub(super) async fn relate_things<'a>(
        &mut self,
        view: &View,
        things: impl IntoIterator<Item = &'a Related>,
    ) -> Page<()> {
        let runs: BTreeSet<RunId> = things.into_iter().filter_map(run).collect();
        match runs.iter().all(|run| self.known.contains_key(run)) {
            true => Ok(()),
            false => self.relate_to(view, runs).await,
        }
    }

    async fn relate_to(&mut self, view: &View, runs: BTreeSet<RunId>) -> Page<()> {
        let unsure = |run: &RunId| !matches!(self.known.get(run), Some(Some(_)));
        let asked: Vec<RunId> = runs.into_iter().filter(unsure).collect();
        self.known.extend(view.ends(&asked).await?);
        Ok(())
    }

    /// Where a thing can be looked at: a run of this workspace, or an address of the web.
    pub(super) fn link(&self, thing: &Related) -> Option<String> {
        match leads(thing) {
            Leads::Run(run) => self.known.contains_key(&run).then(|| self.run(run)),
            Leads::Web(address) => Some(address),
            Leads::Nowhere => None,
        }
    }

    /// Since when what proves the verdict on a run is there.
    pub(super) fn proved_at(&self, run: &Standing) -> Option<Moment> {
        match run.now.actionability.proof.as_ref()? {
            Proof::Run(run) => self.known.get(run).copied().flatten(),
            Proof::Observation { verified_at, .. } => Some(*verified_at),
            Proof::Reconciliation { recorded_at, .. } | Proof::Operator { recorded_at, .. } => {
                Some(*recorded_at)
            }
            Proof::LateSignal => run.recorded.late_signals.iter().map(|one| one.effective_at).max(),
        }
    }

    /// Whether a link leads to another site.
    pub(super) fn leads_away(&self, href: &str) -> bool {
        !href.starts_with('/')
    }

    /// What a thing is called.
    pub(super) fn thing(&self, thing: &Related) -> String {
        match leads(thing) {
            Leads::Run(run) => format!("{} {}", thing.kind, self.short(run)),
            Leads::Web(address) => format!("{} {address}", thing.kind),
            Leads::Nowhere => thing.to_string(),
        }
    }
}

fn run(thing: &Related) -> Option<RunId> {
    match leads(thing) {
        Leads::Run(run) => Some(run),
        Leads::Web(_) | Leads::Nowhere => None,
    }
}
