//! What a page of the log makes of the read models, in memory.
//!
//! A page is folded whole, and each row that it touched is written once: the cost is per changed
//! row, not per event. Nothing here reads or writes a database.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use runledger_ledger::catalog::{Catalog, CurrentState};
use runledger_ledger::event::{AnyEvent, Recorded, Stream};
use runledger_ledger::fact::Fact;
use runledger_ledger::run::{Run, RunEvent};
use runledger_ledger::store::StoreError;
use runledger_ledger::subject::{SubjectEvent, SubjectKey};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, Outcome, RunId, Status, Subject};
use runledger_ledger::worker::{WorkerEvent, WorkerKey};
use runledger_ledger::workspace::WorkspaceEvent;
use uuid::Uuid;

use crate::rules::actionability::{
    Actionability, Evidence, Verdict, actionability, is_follow_up, item_key, left_at,
    supersession_key,
};
use crate::rules::blind::BlindTime;
use crate::rules::freshness::{abandon_at, deadline};
use crate::rules::queue::lease_until;
use crate::tables::{RunRow, code};

/// A queue of a workspace: connection and name, '' for no connection.
pub(crate) type QueueKey = (String, String);

/// The end of a run: which one, how, and when it was recorded.
pub(crate) type End = (RunId, Outcome, Moment);

/// One run that a page touches: before it, and as the page goes on.
pub(crate) struct Tracked {
    pub(crate) before: Option<RunRow>,
    pub(crate) run: Run,
    pub(crate) first_position: u64,
    pub(crate) last_position: u64,
}

/// The latest observation of a subject that a page holds.
pub(crate) struct Seen {
    pub(crate) key: SubjectKey,
    pub(crate) state: &'static str,
    pub(crate) verified_at: Moment,
    pub(crate) position: u64,
}

/// A worker's last report in a page.
pub(crate) struct WorkerNow {
    pub(crate) queues: BTreeSet<Name>,
    pub(crate) seen_at: Moment,
    pub(crate) lease_seconds: u32,
    pub(crate) lease_until: Moment,
    pub(crate) stopped: bool,
}

/// What a page says of a queue.
#[derive(Default)]
pub(crate) struct QueueNow {
    pub(crate) named_by_worker: bool,
    pub(crate) last_start: Option<Moment>,
    pub(crate) waits: Vec<i64>,
}

/// A page in the making.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) runs: HashMap<RunId, Tracked>,
    pub(crate) subjects: HashMap<Uuid, Seen>,
    pub(crate) workers: BTreeMap<WorkerKey, WorkerNow>,
    pub(crate) queues: BTreeMap<QueueKey, QueueNow>,
    /// By operation and environment: run, outcome and when it was recorded.
    pub(crate) ends: BTreeMap<(String, String), Vec<End>>,
    /// From when on the page knows of blind time that the rows in the database do not.
    pub(crate) blind_since: Option<Moment>,
}

impl Page {
    /// Takes in a row that the page will touch, as it is before it.
    pub(crate) fn give(&mut self, row: RunRow) -> Result<(), StoreError> {
        let tracked = Tracked {
            run: row.run()?,
            first_position: u64::try_from(row.first_position).unwrap_or_default(),
            last_position: u64::try_from(row.last_position).unwrap_or_default(),
            before: Some(row),
        };
        if let Some(row) = &tracked.before {
            self.runs.insert(row.id(), tracked);
        }
        Ok(())
    }

    /// Folds one event.
    pub(crate) fn fold(&mut self, recorded: Recorded, blind: &mut BlindTime) {
        let Fact { occurred_at, recorded_at, event } = recorded.fact;
        match event {
            AnyEvent::Run(event) => {
                let fact = Fact { occurred_at, recorded_at, event };
                self.fold_run(RunId(recorded.stream.id), recorded.position, &fact);
            }
            AnyEvent::Subject(SubjectEvent::Observed(seen)) => {
                // A claim later than its recording counts as that.
                let verified_at = seen.verified_at.min(recorded_at);
                let subject = Stream::subject(&seen.key).id;
                let newer = |last: &Seen| verified_at >= last.verified_at;
                if self.subjects.get(&subject).is_none_or(newer) {
                    let state = seen.state.as_str();
                    let (key, position) = (seen.key, recorded.position);
                    self.subjects.insert(subject, Seen { key, state, verified_at, position });
                }
            }
            AnyEvent::Worker(event) => self.fold_worker(&event, recorded_at, blind),
            AnyEvent::Workspace(WorkspaceEvent::LedgerBlind(interval)) => {
                blind.add(interval.from, interval.to);
                let since = self.blind_since.map_or(interval.from, |at| at.min(interval.from));
                self.blind_since = Some(since);
                for worker in self.workers.values_mut().filter(|worker| !worker.stopped) {
                    worker.lease_until = lease_until(worker.seen_at, worker.lease_seconds, blind);
                }
            }
            AnyEvent::Workspace(_) | AnyEvent::Erasure(_) | AnyEvent::Archive(_) => {}
        }
    }

    fn fold_run(&mut self, id: RunId, position: u64, fact: &Fact<RunEvent>) {
        let tracked = self.runs.entry(id).or_insert_with(|| Tracked {
            before: None,
            run: Run::default(),
            first_position: position,
            last_position: position,
        });
        let run = &mut tracked.run;
        let (named_before, ended_before) = (run.queue.is_some(), run.status == Status::Completed);
        run.apply(fact);
        tracked.last_position = position;
        if let Some(queue) = &run.queue {
            let connection = run.connection.as_ref().map_or("", Name::as_str).to_owned();
            let now = self.queues.entry((connection, queue.as_str().to_owned())).or_default();
            let begins = matches!(fact.event, RunEvent::Started(_));
            // A run belongs to the queue that it names, whenever it came to name it. A start that
            // was told after the end is none of its queue.
            if let Some(start) = run.start.as_ref().filter(|start| !start.after_completion)
                && (begins || !named_before)
            {
                now.last_start = now.last_start.max(Some(start.recorded_at));
                // Of a run that was first heard of when it began, nobody knows how long it waited.
                if begins && !run.inferred {
                    let waited = start.recorded_at.since(run.dispatch_recorded_at);
                    now.waits.push(waited.micros());
                }
            }
        }
        if !ended_before && run.status == Status::Completed {
            let operation = run.operation.as_ref().map_or("", Name::as_str).to_owned();
            let environment = run.environment.as_ref().map_or("", Name::as_str).to_owned();
            let end = (id, run.outcome, fact.recorded_at);
            self.ends.entry((operation, environment)).or_default().push(end);
        }
    }

    fn fold_worker(&mut self, event: &WorkerEvent, recorded_at: Moment, blind: &BlindTime) {
        match event {
            WorkerEvent::Seen(seen) => {
                let connection = seen.key.connection.as_ref().map_or("", Name::as_str);
                for queue in &seen.queues {
                    let key = (connection.to_owned(), queue.as_str().to_owned());
                    self.queues.entry(key).or_default().named_by_worker = true;
                }
                let now = WorkerNow {
                    queues: seen.queues.clone(),
                    seen_at: recorded_at,
                    lease_seconds: seen.lease_seconds,
                    lease_until: lease_until(recorded_at, seen.lease_seconds, blind),
                    stopped: false,
                };
                self.workers.insert(seen.key.clone(), now);
            }
            WorkerEvent::Stopped(stopped) => {
                let now = WorkerNow {
                    queues: BTreeSet::new(),
                    seen_at: recorded_at,
                    lease_seconds: 0,
                    lease_until: recorded_at,
                    stopped: true,
                };
                self.workers.insert(stopped.key.clone(), now);
            }
        }
    }
}

/// The row of a run, with the verdict as far as the run alone decides it. An `open` one depends on
/// other runs or on its subject; `evidence` is then what is known of them.
pub(crate) fn row(
    id: RunId,
    tracked: &Tracked,
    catalog: &Catalog,
    blind: &BlindTime,
    evidence: &Evidence,
) -> Result<RunRow, StoreError> {
    let run = &tracked.run;
    let name = run.operation.as_ref().map_or("", Name::as_str);
    let operation = catalog.operation(name);
    let key = supersession_key(run, &operation);
    let alone = actionability(run, &operation, &Evidence::default());
    let subject_counts =
        operation.family.current_state == CurrentState::Subject && run.subject.is_some();
    let open = depends_on_evidence(&alone) && (key.is_some() || subject_counts);
    let verdict = if open { actionability(run, &operation, evidence) } else { alone };
    let superseding = evidence.superseding.filter(|_| open);
    let follow_up = is_follow_up(verdict.status);
    let left = left_at(run, &verdict, evidence);
    let item = follow_up.then(|| item_key(run, id, &operation, &verdict).0.to_vec());
    let text = |name: &Option<Name>| name.as_ref().map_or_else(String::new, Name::to_string);
    let json = |error: serde_json::Error| StoreError::Corrupt(error.to_string());
    Ok(RunRow {
        run_id: id.0,
        state: serde_json::to_string(run).map_err(json)?,
        first_position: i64::try_from(tracked.first_position).unwrap_or(i64::MAX),
        last_position: i64::try_from(tracked.last_position).unwrap_or(i64::MAX),
        operation: name.to_owned(),
        family: operation.family_name.to_owned(),
        environment: text(&run.environment),
        subject: run.subject.as_ref().map_or_else(String::new, Subject::to_string),
        subject_key: subject_key(run).map(|key| key.as_bytes().to_vec()),
        connection: text(&run.connection),
        queue: text(&run.queue),
        status: code(Status::ALL, &run.status),
        outcome: code(Outcome::ALL, &run.outcome),
        reconciled: run.is_reconciled(),
        dispatched_at: run.dispatched_at.micros(),
        waiting_since: run.dispatch_recorded_at.micros(),
        queue_window: run.lifecycle.queue_window.map(|window| window.micros()),
        settled_at: run.settled_at.map(Moment::micros),
        ended_at: run.completion.as_ref().map(|end| end.recorded_at.micros()),
        left_at: left.map(Moment::micros),
        deadline: deadline(run, blind).map(Moment::micros),
        abandon_at: abandon_at(run, blind).map(Moment::micros),
        success: run.is_plain_success(),
        open,
        key: key.map(|key| key.digest().to_vec()),
        superseded_by: superseding.map(|run| run.run_id.0),
        superseded_at: superseding.map(|run| run.dispatched_at.micros()),
        actionability: code(Actionability::ALL, &verdict.status),
        reason: verdict.reason,
        proof: verdict
            .proof
            .map(|proof| serde_json::to_string(&proof))
            .transpose()
            .map_err(json)?,
        follow_up,
        item_key: item,
        search: search_text(id, run),
    })
}

/// What a search for text looks into, in lower case, one thing a line: a search cannot match
/// across two of them, because no name holds a line break.
fn search_text(id: RunId, run: &Run) -> String {
    let names = [
        &run.operation,
        &run.environment,
        &run.fingerprint,
        &run.queue,
        &run.connection,
        &run.job_class,
        &run.initiator,
    ];
    let worker = run.start.as_ref().and_then(|start| start.worker.as_ref());
    let reason = run.completion.as_ref().and_then(|end| end.reason_code.as_ref());
    let external = run.external_ids.iter().map(|external| &external.id);
    let mut text = id.to_string();
    if let Some(subject) = &run.subject {
        text.push('\n');
        text.push_str(&subject.to_string().to_lowercase());
    }
    for name in names.into_iter().flatten().chain(worker).chain(reason).chain(external) {
        text.push('\n');
        text.push_str(&name.as_str().to_lowercase());
    }
    text
}

/// Whether a verdict that was reached without evidence is one that evidence could change: one of
/// the rows of DESIGN section 7 from 8 on.
fn depends_on_evidence(alone: &Verdict) -> bool {
    const LATER_ROWS: [&str; 4] =
        ["contradicted", "insufficient_correlation", "unclassified_operation", "problem"];
    is_follow_up(alone.status)
        && alone.reason.as_deref().is_some_and(|reason| LATER_ROWS.contains(&reason))
}

/// The subject of a run in the run's scope, as the table `subjects` knows it.
pub(crate) fn subject_key(run: &Run) -> Option<Uuid> {
    let subject = run.subject.clone()?;
    Some(Stream::subject(&SubjectKey { environment: run.environment.clone(), subject }).id)
}
