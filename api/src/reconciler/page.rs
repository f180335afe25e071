//! One page of runs: asked about, judged, handed to the ledger in one submission, and looked at
//! again when that is worth it. The one place where an adapter's decision is submitted.

use std::collections::BTreeMap;

use runledger_adapters::adapter::Case;
use runledger_adapters::registry::{self, Ruling, Unjudged};
use runledger_ledger::run::{AdapterDecision, Reconcile, RunCommand};
use runledger_ledger::subject::{Observe, SubjectKey};
use runledger_ledger::submission::{Answer, Command, ReportId, Submission};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, WordError};
use runledger_projections::{Candidate, HealthNote, Rescheduled};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::schedule::{Found, Look};
use super::visit::{Owner, Place};
use super::{ReconcileError, Reconciler};

/// What came of a page.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Judged {
    /// Decisions that were recorded.
    pub(super) recorded: usize,
    /// Runs that moved meanwhile, and are to be judged again.
    pub(super) moved: usize,
}

/// What became of the decision on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// There was none, or it was no news.
    NoNews,
    /// At this position.
    Recorded(u64),
    Moved,
    Refused,
}

impl Reconciler {
    /// Judges these runs of `owner`, or of operation types that have none.
    pub(super) async fn page(
        &self,
        place: Place<'_>,
        owner: Option<&Owner>,
        candidates: Vec<Candidate>,
    ) -> Result<Judged, ReconcileError> {
        let began = Instant::now();
        let open = |found: &Candidate| found.run.is_active() || found.run.is_open_to_proof();
        let (open, settled): (Vec<_>, Vec<_>) = candidates.into_iter().partition(open);
        let cases = open.iter().map(|found| case(place, found)).collect::<Result<_, _>>()?;
        let judged = self.inner.registry.judge(cases).await;
        let fates = self.submit(place, &judged, began).await?;
        let mut next: Vec<Rescheduled> = settled.iter().map(done).collect();
        if let Some(owner) = owner {
            for ((found, judged), fate) in open.iter().zip(&judged).zip(&fates) {
                next.push(self.rescheduled(place.now, owner, found, judged, *fate));
            }
        }
        let health = health(&judged, place.now);
        unanswered(place, &judged);
        let name = owner.map_or("", |owner| owner.name.as_str());
        self.inner.projections.looked(place.workspace, name, &next, &health).await?;
        let recorded = fates.iter().filter(|fate| matches!(fate, Fate::Recorded(_))).count();
        let moved = fates.iter().filter(|fate| **fate == Fate::Moved).count();
        Ok(Judged { recorded, moved })
    }

    /// Hands in everything that is news, and says what became of the decision on each run.
    pub(super) async fn submit(
        &self,
        place: Place<'_>,
        judged: &[registry::Judged],
        began: Instant,
    ) -> Result<Vec<Fate>, ReconcileError> {
        let mut submissions = Vec::new();
        let mut of = Vec::new();
        for (at, one) in judged.iter().enumerate() {
            for asked in &one.asked {
                let ruling = asked.result.as_ref().ok();
                if let Some((key, seen)) = ruling.and_then(|found| found.commands.observe.as_ref())
                {
                    submissions.push(observation(&asked.adapter, key, seen)?);
                    of.push(None);
                }
            }
            if let Some(reconcile) = news(one) {
                let command = RunCommand::Reconcile(Box::new(reconcile.clone()));
                submissions.push(Submission::new(Command::Run(one.case.run_id, command)));
                of.push(Some((at, reconcile)));
            }
        }
        let answers = self.inner.projections.ledger();
        let answers = answers.submit(place.workspace, submissions, false).await?;
        let mut fates = vec![Fate::NoNews; judged.len()];
        for (of, answer) in of.into_iter().zip(answers) {
            let Some((at, reconcile)) = of else { continue };
            fates[at] = fate(&answer);
            log(&judged[at].case, reconcile, &answer, began);
        }
        Ok(fates)
    }

    pub(super) fn rescheduled(
        &self,
        now: Moment,
        owner: &Owner,
        found: &Candidate,
        judged: &registry::Judged,
        fate: Fate,
    ) -> Rescheduled {
        let no_answer = judged.asked.iter().find(|asked| asked.adapter == owner.name);
        let no_answer = no_answer.is_none_or(|asked| asked.result.is_err());
        let news = news(judged);
        let proven = news.is_some_and(|news| news.decision == AdapterDecision::Succeeded);
        let found_now = match fate {
            Fate::Moved => Found::Moved,
            Fate::Refused => Found::NoAnswer,
            Fate::Recorded(_) if proven => Found::Settled,
            _ if no_answer => Found::NoAnswer,
            // If it has just ended, its row says how when it is looked at next.
            Fate::Recorded(_) | Fate::NoNews if found.run.is_active() => Found::Active,
            Fate::Recorded(_) | Fate::NoNews => Found::Problem,
        };
        let Candidate { run_id, deadline, wake, .. } = *found;
        let look = Look { found: found_now, now, revisit: owner.revisit, deadline, wake };
        let after = look.next(self.chance());
        Rescheduled { run_id, before: wake.map(|wake| wake.due_at), after }
    }

    /// A number at random. Without one, retries are only less spread out.
    pub(super) fn chance(&self) -> u64 {
        let mut bytes = [0; 8];
        self.inner.entropy.fill(&mut bytes).map_or(0, |()| u64::from_le_bytes(bytes))
    }
}

/// A run as adapters are asked about it.
pub(super) fn case(place: Place<'_>, found: &Candidate) -> Result<Case, WordError> {
    let late = found.deadline.is_some_and(|deadline| deadline <= place.now);
    Ok(Case {
        at: place.now,
        give_up_at: found.give_up_at,
        run: found.run.clone(),
        run_id: found.run_id,
        stale: found.run.is_active() && late,
        workspace: place.workspace,
        workspace_name: Name::new(place.name)?,
    })
}

/// The decision on a run that the ledger would record.
pub(super) fn news(judged: &registry::Judged) -> Option<&Reconcile> {
    let reconcile = judged.ruling().map(|ruling: &Ruling| &ruling.commands.reconcile);
    reconcile.filter(|reconcile| judged.case.run.is_news(reconcile))
}

/// An observation as a submission that is the same each time that the same was seen.
pub(super) fn observation(
    adapter: &str,
    key: &SubjectKey,
    seen: &Observe,
) -> Result<Submission, WordError> {
    let content = serde_json::json!({
        "key": key,
        "state": seen.state,
        "verified_at": seen.verified_at,
        "evidence": seen.evidence,
    });
    let id = hex::encode(Sha256::digest(content.to_string()));
    Ok(Submission {
        source: Some(Name::new(format!("adapter/{adapter}"))?),
        id: Some(ReportId { id: Name::new(id)?, content }),
        ..Submission::new(Command::Subject(key.clone(), seen.clone()))
    })
}

fn fate(answer: &Answer) -> Fate {
    match answer {
        Answer::Recorded(receipt) => Fate::Recorded(receipt.position),
        Answer::Refused(refusal) if refusal.code() == "run_moved" => Fate::Moved,
        Answer::Refused(_) => Fate::Refused,
        _ => Fate::NoNews,
    }
}

/// What an operator reads: who decided what on which run, and nothing of the evidence.
fn log(case: &Case, reconcile: &Reconcile, answer: &Answer, began: Instant) {
    let (workspace, run, operation) = (case.workspace, case.run_id, case.operation());
    let (adapter, decision) = (&reconcile.adapter, reconcile.decision);
    let related = reconcile.related.as_ref().map(ToString::to_string);
    let took = began.elapsed();
    match answer {
        Answer::Recorded(_) => tracing::info!(
            %workspace, %run, operation, %adapter, %decision, related, ?took, "a run was reconciled"
        ),
        Answer::Refused(refusal) if refusal.code() == "run_moved" => tracing::debug!(
            %workspace, %run, operation, %adapter, %decision, "the run moved; it is judged again"
        ),
        Answer::Refused(refusal) => tracing::error!(
            %workspace, %run, operation, %adapter, %decision, %refusal, "a decision was refused"
        ),
        _ => {}
    }
}

/// A run of which nothing more can be proven is not looked at again.
pub(super) fn done(found: &Candidate) -> Rescheduled {
    let before = found.wake.map(|wake| wake.due_at);
    Rescheduled { run_id: found.run_id, before, after: None }
}

/// What an operator reads of an adapter that gave no answer: once for a page, and nothing that its
/// source said.
fn unanswered(place: Place<'_>, judged: &[registry::Judged]) {
    let mut errors: BTreeMap<(&str, &str), (usize, &Unjudged)> = BTreeMap::new();
    for asked in judged.iter().flat_map(|one| &one.asked) {
        if let Err(error) = &asked.result {
            errors.entry((&asked.adapter, error.code())).or_insert((0, error)).0 += 1;
        }
    }
    for ((adapter, class), (runs, error)) in errors {
        let (workspace, cause) = (place.workspace, std::error::Error::source(error));
        let cause = cause.map(ToString::to_string);
        match error {
            Unjudged::Source(_) => {
                tracing::warn!(%workspace, adapter, class, runs, cause, "a source gave no answer");
            }
            Unjudged::Refused(_) => {
                tracing::error!(%workspace, adapter, class, runs, cause, "decisions were refused");
            }
            Unjudged::Idle | Unjudged::Remote => {}
        }
    }
}

/// How each adapter that was asked answered for the page.
fn health(judged: &[registry::Judged], at: Moment) -> Vec<HealthNote> {
    let mut notes: BTreeMap<&str, HealthNote> = BTreeMap::new();
    for asked in judged.iter().flat_map(|one| &one.asked) {
        let note = notes.entry(&asked.adapter).or_insert_with(|| HealthNote {
            adapter: asked.adapter.clone(),
            at,
            answered: false,
            error: None,
        });
        match &asked.result {
            Ok(_) => note.answered = true,
            Err(Unjudged::Idle | Unjudged::Remote) => {}
            Err(error) => note.error = Some(error.code()),
        }
    }
    let asked = |note: &HealthNote| note.answered || note.error.is_some();
    notes.into_values().filter(asked).collect()
}
