//! Looking at subjects on a schedule, without a run. Which subjects: those on which the verdict of an
//! open problem hangs. What is seen is recorded only where it is news.

use runledger_adapters::adapter::Watched;
use runledger_adapters::registry::{Registered, Registry, Seen, Unjudged};
use runledger_ledger::subject::{Observe, SubjectState};
use runledger_ledger::submission::Answer;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, WordError};
use runledger_projections::{Agenda, Due, HealthNote, Looked};
use tokio::time::Instant;

use super::page::observation;
use super::schedule::retry;
use super::visit::{MOST_PAGES, Place};
use super::{ReconcileError, Reconciler};

/// Subjects that are looked at in one go. Less than runs: a service is asked about each by itself.
const PAGE: u32 = 100;
/// How often a piece of the open problems is looked through for subjects.
const SWEEP: Span = Span::from_secs(30);
/// Open problems in a piece.
const PIECE: u32 = 5_000;

/// An adapter that looks at subjects by itself.
#[derive(Clone, Debug)]
pub(super) struct Observer {
    pub(super) name: String,
    subjects: Vec<String>,
    every: Span,
    refresh: Span,
}

/// The observers of a registry.
pub(super) fn observers(registry: &Registry) -> Vec<Observer> {
    let working = registry.observers().filter(|(adapter, _)| adapter.idle().is_none());
    let observer =
        |(adapter, observes): (&Registered, &runledger_adapters::adapter::Observes)| Observer {
            name: adapter.manifest.name.clone(),
            subjects: observes.subjects.iter().cloned().collect(),
            every: observes.every,
            refresh: observes.refresh,
        };
    working.map(observer).collect()
}

impl Reconciler {
    /// Whether a piece of the open problems is to be looked through for subjects.
    pub(super) fn seeks_subjects(&self, agenda: &Agenda, now: Moment) -> bool {
        let swept_at = agenda.subjects.swept_at;
        !self.inner.observers.is_empty() && swept_at.is_none_or(|at| now.since(at) >= SWEEP)
    }

    /// Finds subjects that nobody looks at yet.
    pub(super) async fn seek_subjects(
        &self,
        place: Place<'_>,
        agenda: &Agenda,
    ) -> Result<(), ReconcileError> {
        if !self.seeks_subjects(agenda, place.now) {
            return Ok(());
        }
        let of = |observer: &Observer| {
            let name = observer.name.clone();
            observer.subjects.clone().into_iter().map(move |kind| (kind, name.clone()))
        };
        let types: Vec<(String, String)> = self.inner.observers.iter().flat_map(of).collect();
        let (projections, now) = (&self.inner.projections, place.now);
        let round = &agenda.subjects;
        Ok(projections.watch_subjects(place.workspace, &types, round, now, PIECE).await?)
    }

    /// Looks at what is due for one observer. Returns whether there is more.
    pub(super) async fn observe(
        &self,
        place: Place<'_>,
        observer: &Observer,
    ) -> Result<bool, ReconcileError> {
        let projections = &self.inner.projections;
        for _ in 0..MOST_PAGES {
            let (workspace, name) = (place.workspace, &observer.name);
            let due = projections.subjects_due(workspace, name, place.now, PAGE).await?;
            if due.is_empty() {
                return Ok(false);
            }
            self.look_at(place, observer, due).await?;
            if !self.is_still_ours(workspace).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn look_at(
        &self,
        place: Place<'_>,
        observer: &Observer,
        due: Vec<Due>,
    ) -> Result<(), ReconcileError> {
        let Some(adapter) = self.inner.registry.adapter(&observer.name) else { return Ok(()) };
        let began = Instant::now();
        let (open, settled): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|due| due.settled_at.is_some());
        let watched = open.iter().map(|due| watched(place, due)).collect::<Result<_, _>>()?;
        let seen = adapter.look(watched, self.inner.registry.time_limit()).await;
        let recorded = self.record(place, observer, &open, &seen).await?;
        let mut looked: Vec<Looked> = settled.into_iter().map(forget).collect();
        for (due, seen) in open.iter().zip(&seen) {
            looked.push(self.again(place.now, observer, due, seen));
        }
        let health = health(&observer.name, place.now, &seen);
        unanswered(place, &observer.name, &seen);
        let (workspace, subjects, took) = (place.workspace, seen.len(), began.elapsed());
        let adapter = &observer.name;
        tracing::debug!(%workspace, adapter, subjects, recorded, ?took, "subjects were looked at");
        Ok(self.inner.projections.looked_at(workspace, &looked, &health).await?)
    }

    /// Hands in what is news, and says how much of it was recorded.
    async fn record(
        &self,
        place: Place<'_>,
        observer: &Observer,
        due: &[Due],
        seen: &[Result<Option<Seen>, Unjudged>],
    ) -> Result<usize, ReconcileError> {
        let mut news = Vec::new();
        for (due, seen) in due.iter().zip(seen) {
            if let Ok(Some((key, seen))) = seen
                && is_news(due, seen, observer.refresh)
            {
                news.push(observation(&observer.name, key, seen)?);
            }
        }
        let answers = self.inner.projections.ledger().submit(place.workspace, news, false).await?;
        for answer in &answers {
            if let Answer::Refused(refusal) = answer {
                let (workspace, adapter) = (place.workspace, &observer.name);
                tracing::error!(%workspace, adapter, %refusal, "an observation was refused");
            }
        }
        Ok(answers.iter().filter(|answer| matches!(answer, Answer::Recorded(_))).count())
    }

    fn again(
        &self,
        now: Moment,
        observer: &Observer,
        due: &Due,
        seen: &Result<Option<Seen>, Unjudged>,
    ) -> Looked {
        let after = match seen {
            Ok(_) => (now.plus(observer.every), 0),
            Err(_) => {
                let wait = retry(due.attempt, self.chance());
                (now.plus(wait), due.attempt.saturating_add(1))
            }
        };
        Looked { key: due.key.clone(), before: due.due_at, after: Some(after) }
    }
}

/// Whether what was seen is worth an event. It is where it says something of now that the log does
/// not say yet: another state, the first healthy sight since a problem settled, or that the same
/// still holds after the last word on it has stood for `refresh`.
fn is_news(due: &Due, seen: &Observe, refresh: Span) -> bool {
    let (Some((state, said_at)), Some(verified_at)) = (due.latest, seen.verified_at) else {
        return true;
    };
    if verified_at < said_at {
        return false;
    }
    let settles = seen.state == SubjectState::Healthy
        && due.settled_at.is_some_and(|settled| settled >= said_at && verified_at > settled);
    seen.state != state || settles || verified_at.since(said_at) >= refresh
}

fn watched(place: Place<'_>, due: &Due) -> Result<Watched, WordError> {
    Ok(Watched {
        at: place.now,
        environment: due.key.environment.clone(),
        subject: due.key.subject.clone(),
        workspace: place.workspace,
        workspace_name: Name::new(place.name)?,
    })
}

/// No open problem acts on it any more.
fn forget(due: Due) -> Looked {
    Looked { key: due.key, before: due.due_at, after: None }
}

fn health(adapter: &str, at: Moment, seen: &[Result<Option<Seen>, Unjudged>]) -> Vec<HealthNote> {
    if seen.is_empty() {
        return Vec::new();
    }
    let error = seen.iter().find_map(|one| one.as_ref().err());
    vec![HealthNote {
        adapter: adapter.to_owned(),
        at,
        answered: seen.iter().any(Result::is_ok),
        error: error.map(Unjudged::code),
    }]
}

/// What an operator reads of a page that had no answer for some: once, and nothing that the source
/// said.
fn unanswered(place: Place<'_>, adapter: &str, seen: &[Result<Option<Seen>, Unjudged>]) {
    let subjects = seen.iter().filter(|one| one.is_err()).count();
    if let Some(error) = seen.iter().find_map(|one| one.as_ref().err()) {
        let (workspace, class) = (place.workspace, error.code());
        tracing::warn!(%workspace, adapter, class, subjects, "subjects could not be looked at");
    }
}

#[cfg(test)]
mod tests {
    use runledger_ledger::run::Fields;
    use runledger_ledger::subject::SubjectKey;

    use super::*;

    const DAY: Span = Span::from_secs(86_400);

    fn at(seconds: i64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    fn news(latest: Option<(SubjectState, i64)>, settled: i64, seen: (SubjectState, i64)) -> bool {
        let subject = "provider_connection/1".parse().unwrap();
        let due = Due {
            key: SubjectKey { environment: None, subject },
            due_at: at(0),
            attempt: 0,
            latest: latest.map(|(state, said)| (state, at(said))),
            settled_at: Some(at(settled)),
        };
        let seen = Observe {
            evidence: Fields::new(),
            state: seen.0,
            verified_at: Some(at(seen.1)),
            verifier: None,
        };
        is_news(&due, &seen, DAY)
    }

    #[test]
    fn only_what_the_log_does_not_say_yet_is_news() {
        use SubjectState::{Absent, Healthy, Unhealthy};
        assert!(news(None, 5, (Unhealthy, 10)), "the first sight");
        assert!(!news(Some((Unhealthy, 10)), 5, (Unhealthy, 20)), "the same");
        assert!(news(Some((Unhealthy, 10)), 5, (Healthy, 20)), "it recovered");
        assert!(!news(Some((Healthy, 20)), 5, (Healthy, 30)), "it is still well");
        assert!(news(Some((Healthy, 20)), 25, (Healthy, 30)), "well after another problem");
        assert!(!news(Some((Healthy, 20)), 35, (Healthy, 30)), "seen before that problem");
        assert!(!news(Some((Unhealthy, 20)), 25, (Unhealthy, 30)), "as bad as before");
        assert!(news(Some((Healthy, 20)), 5, (Absent, 30)), "it went away");
        assert!(!news(Some((Healthy, 20)), 5, (Unhealthy, 19)), "older than what is known");
        assert!(news(Some((Healthy, 20)), 5, (Healthy, 20 + 86_400)), "due to be said again");
    }
}
