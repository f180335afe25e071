//! Following the log: events and deadlines become wakes. A wake that is lost is found again by a
//! round over what is active.

use std::collections::BTreeMap;

use runledger_adapters::adapter::Wake;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, RunId};
use runledger_projections::{Agenda, Followed, Round, RunNews};

use super::visit::Place;
use super::{ReconcileError, Reconciler};

/// Events that are looked through in one go.
const WINDOW: u64 = 5_000;
/// Windows of one visit; a log that is new to an adapter is followed in several.
const MOST_WINDOWS: usize = 20;
/// How often a piece of the active runs is looked through for lost wakes.
const SWEEP: Span = Span::from_secs(30);
/// Active runs in a piece.
const PIECE: u32 = 5_000;

/// By adapter: the runs that it should look at, and when.
type Due = BTreeMap<String, BTreeMap<RunId, Moment>>;

impl Reconciler {
    /// Whether there are events that nobody looked at for the adapters, or a piece of the active
    /// runs is to be looked through.
    pub(super) fn has_news(&self, agenda: &Agenda, now: Moment) -> bool {
        let round = agenda.followed.round.swept_at;
        !self.inner.owners.is_empty()
            && (agenda.size > self.begin(&agenda.followed).position || is_due(round, now))
    }

    /// Makes wakes of what the log and the deadlines say. Returns whether there is more.
    pub(super) async fn follow(
        &self,
        place: Place<'_>,
        agenda: &Agenda,
    ) -> Result<bool, ReconcileError> {
        if self.inner.owners.is_empty() {
            return Ok(false);
        }
        let projections = &self.inner.projections;
        let size = projections.position(place.workspace).await?;
        let mut followed = self.begin(&agenda.followed);
        for _ in 0..MOST_WINDOWS {
            let swept = self.sweep(place, &mut followed).await?;
            let to = size.min(followed.position.saturating_add(WINDOW));
            if to <= followed.position && swept.is_none() {
                return Ok(false);
            }
            let (from, operations) = (followed.position, &followed.watched);
            let news = projections.run_news(place.workspace, operations, from, to).await?;
            let mut due = self.wakes(&news, place.now);
            for (adapter, runs) in swept.unwrap_or_default() {
                due.entry(adapter).or_default().extend(runs);
            }
            followed.position = to.max(followed.position);
            projections.wake(place.workspace, &due, &followed).await?;
        }
        Ok(followed.position < size)
    }

    /// Where following begins. What was looked at for other operation types counts as long as all
    /// of today's were among them; otherwise the log is looked through again.
    fn begin(&self, followed: &Followed) -> Followed {
        let mut watched: Vec<String> =
            self.inner.owners.iter().flat_map(|owner| owner.operations.clone()).collect();
        watched.sort_unstable();
        if watched.iter().all(|operation| followed.watched.contains(operation)) {
            return Followed { watched, ..followed.clone() };
        }
        Followed { position: 0, watched, round: Round::default() }
    }

    /// Events that an adapter handles wake their runs now, and active runs wake when they become
    /// stale.
    fn wakes(&self, news: &RunNews, now: Moment) -> Due {
        let registry = &self.inner.registry;
        let mut due = Due::new();
        let mut wake = |run: RunId, operation: &str, at: Moment| {
            let Some(owner) = registry.owner(operation) else { return };
            let runs = due.entry(owner.manifest.name.clone()).or_default();
            runs.entry(run).and_modify(|known| *known = at.min(*known)).or_insert(at);
        };
        for (id, candidate) in &news.runs {
            let operation = candidate.run.operation.as_ref().map_or("", Name::as_str);
            if let Some(deadline) = candidate.deadline.filter(|_| candidate.run.is_active()) {
                wake(*id, operation, deadline);
            }
        }
        for (id, event) in &news.events {
            let Some(candidate) = news.runs.get(id) else { continue };
            let operation = candidate.run.operation.as_ref().map_or("", Name::as_str);
            if registry.handle(event, &candidate.run) == Wake::Wake {
                wake(*id, operation, now);
            }
        }
        due
    }

    /// A piece of a round over the active runs, if it is time for one.
    async fn sweep(
        &self,
        place: Place<'_>,
        followed: &mut Followed,
    ) -> Result<Option<Due>, ReconcileError> {
        let Place { workspace, now, .. } = place;
        if !is_due(followed.round.swept_at, now) {
            return Ok(None);
        }
        let (operations, after) = (&followed.watched, followed.round.after);
        let projections = &self.inner.projections;
        let found = projections.forgotten(workspace, operations, now, after, PIECE).await?;
        if !found.runs.is_empty() {
            let runs = found.runs.len();
            tracing::debug!(%workspace, runs, "stale runs without a wake were found");
        }
        let mut due = Due::new();
        for (run, operation) in found.runs {
            if let Some(owner) = self.inner.registry.owner(&operation) {
                due.entry(owner.manifest.name.clone()).or_default().insert(run, now);
            }
        }
        followed.round = Round { swept_at: Some(now), after: found.after };
        Ok(Some(due))
    }
}

fn is_due(swept_at: Option<Moment>, now: Moment) -> bool {
    swept_at.is_none_or(|at| now.since(at) >= SWEEP)
}
