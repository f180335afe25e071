//! A script: what is reported to the server, and how many minutes before the present.
//!
//! Runs are called by labels; the player gives each label a run id.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// What happens in the demo, in the order in which it was written down.
#[derive(Debug, Default)]
pub(super) struct Script {
    steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Debug)]
pub(super) struct Step {
    /// Minutes before the present, as a negative number.
    pub(super) at: i64,
    /// What it is.
    pub(super) call: Call,
}

/// A request to the server, or what stands for one.
#[derive(Debug)]
pub(super) enum Call {
    /// `POST events`, with other events of the same minute.
    Event(Event),
    /// `POST /api/v1/lineage`.
    Lineage(Lineage),
    /// `POST runs/{run}/follow-up`.
    FollowUp { run: String, body: Value },
    /// `POST subjects/{type}/{id}/observations`.
    Observe { kind: &'static str, id: &'static str, body: Value },
    /// What an adapter found, handed to the server's reconciler.
    Decide(Finding),
    /// `GET runs/{run}` until the server itself has given the run up.
    UntilGivenUp { run: String },
}

/// A native event.
#[derive(Debug)]
pub(super) struct Event {
    /// Its run, if it is of one.
    pub(super) run: Option<String>,
    /// Its type.
    pub(super) kind: &'static str,
    /// Its data. `parent_run_id` and `retry_of` hold labels.
    pub(super) data: Map<String, Value>,
    /// Minutes before the present at which its source says that it happened, if it says so.
    pub(super) occurred: Option<i64>,
    /// Who reports it.
    pub(super) source: &'static str,
}

/// An OpenLineage event.
#[derive(Debug)]
pub(super) struct Lineage {
    /// Its run.
    pub(super) run: String,
    /// `START`, `COMPLETE` or `FAIL`.
    pub(super) kind: &'static str,
    /// Its job, in the namespace `warehouse`.
    pub(super) job: &'static str,
    /// Why it failed.
    pub(super) message: Option<&'static str>,
}

/// What an adapter found about a run.
#[derive(Debug)]
pub(super) struct Finding {
    /// About this run.
    pub(super) run: String,
    /// The thing that proves it: type and id.
    pub(super) related: (&'static str, &'static str),
    /// Why, in a word.
    pub(super) reason: &'static str,
}

impl Script {
    /// The steps in the order of time; those of one minute in the order in which they were written.
    pub(super) fn into_steps(mut self) -> Vec<Step> {
        self.steps.sort_by_key(|step| step.at);
        self.steps
    }

    /// Every operation type that is named in it.
    pub(super) fn operations(&self) -> BTreeSet<String> {
        let named = self.steps.iter().filter_map(|step| match &step.call {
            Call::Event(event) => event.data.get("operation")?.as_str().map(str::to_owned),
            Call::Lineage(_) => Some(crate::ingest::openlineage::OPERATION.to_owned()),
            _ => None,
        });
        named.collect()
    }

    /// Writes down a step.
    pub(super) fn add(&mut self, at: i64, call: Call) {
        self.steps.push(Step { at, call });
    }

    /// Begins the story of a run.
    pub(super) fn run(&mut self, label: impl Into<String>, operation: &str) -> RunStory<'_> {
        let data = object(json!({ "operation": operation, "initiator": "scheduler" }));
        RunStory { script: self, label: label.into(), source: "northwind", data }
    }

    /// Goes on with the story of a run that was begun before.
    pub(super) fn more_of(&mut self, label: impl Into<String>) -> RunStory<'_> {
        RunStory { script: self, label: label.into(), source: "northwind", data: Map::new() }
    }

    /// A worker reports that it takes from these queues, every `lease / 2` from `from` to `to`.
    pub(super) fn worker(
        &mut self,
        (connection, worker): (&str, &str),
        queues: &[&str],
        lease: i64,
        (from, to): (i64, i64),
    ) {
        let mut at = from;
        while at <= to {
            let seconds = lease * 60;
            let data = json!({ "connection": connection, "worker": worker, "queues": queues,
                "lease_seconds": seconds });
            self.add(at, about_no_run("worker.seen", data));
            at += lease / 2;
        }
    }

    /// A worker says that it goes.
    pub(super) fn worker_stops(&mut self, at: i64, (connection, worker): (&str, &str)) {
        let data = json!({ "connection": connection, "worker": worker });
        self.add(at, about_no_run("worker.stopped", data));
    }

    /// Somebody looks at a subject.
    pub(super) fn observed(
        &mut self,
        at: i64,
        (kind, id): (&'static str, &'static str),
        state: &str,
        verifier: &str,
    ) {
        let body = json!({ "environment": "prod", "state": state, "verifier": verifier });
        self.add(at, Call::Observe { kind, id, body });
    }

    /// Grace closes a follow-up, or opens it again.
    pub(super) fn follow_up(&mut self, at: i64, run: &str, action: &str, reason: &str, note: &str) {
        let body = json!({ "action": action, "by": "grace@northwind.example", "reason": reason,
            "note": note });
        self.add(at, Call::FollowUp { run: run.to_owned(), body });
    }

    /// An OpenLineage client reports.
    pub(super) fn lineage(
        &mut self,
        at: i64,
        run: &str,
        kind: &'static str,
        job: &'static str,
        message: Option<&'static str>,
    ) {
        let event = Lineage { run: run.to_owned(), kind, job, message };
        self.add(at, Call::Lineage(event));
    }
}

/// The story of one run, told in the order of time.
#[derive(Debug)]
pub(super) struct RunStory<'a> {
    script: &'a mut Script,
    label: String,
    source: &'static str,
    data: Map<String, Value>,
}

impl RunStory<'_> {
    /// It belongs to this environment.
    pub(super) fn of(self, environment: &str) -> Self {
        self.with("environment", environment)
    }

    /// It acts on this subject.
    pub(super) fn on(self, kind: &str, id: &str) -> Self {
        self.with("subject", json!({ "type": kind, "id": id }))
    }

    /// It waits in this queue.
    pub(super) fn queued_in(self, connection: &str, queue: &str) -> Self {
        self.with("connection", connection).with("queue", queue)
    }

    /// It names this of itself.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.insert(name.to_owned(), value.into());
        self
    }

    /// What follows is reported by this source.
    pub(super) fn told_by(self, source: &'static str) -> Self {
        RunStory { source, ..self }
    }

    /// It is asked for.
    pub(super) fn dispatched(mut self, at: i64) -> Self {
        let data = std::mem::take(&mut self.data);
        self.event(at, None, "run.dispatched", data)
    }

    /// A worker takes it.
    pub(super) fn started(self, at: i64, worker: &str) -> Self {
        self.event(at, None, "run.started", object(json!({ "worker": worker })))
    }

    /// It is alive, and this far.
    pub(super) fn alive(self, at: i64, progress: Value) -> Self {
        self.event(at, None, "run.heartbeat", object(json!({ "progress": progress })))
    }

    /// It is alive, and says no more.
    pub(super) fn still_alive(self, at: i64) -> Self {
        self.event(at, None, "run.heartbeat", Map::new())
    }

    /// It did what it was asked.
    pub(super) fn succeeded(self, at: i64, summary: Value) -> Self {
        self.event(at, None, "run.succeeded", object(json!({ "summary": summary })))
    }

    /// The same, told late: it happened at `occurred`.
    pub(super) fn succeeded_long_ago(self, at: i64, occurred: i64) -> Self {
        self.event(at, Some(occurred), "run.succeeded", Map::new())
    }

    /// It failed.
    pub(super) fn failed(self, at: i64, reason: &str, message: &str) -> Self {
        self.ended_with_problem(at, "failed", reason, message)
    }

    /// It ended with a problem of this kind.
    pub(super) fn ended_with_problem(
        self,
        at: i64,
        outcome: &str,
        reason: &str,
        message: &str,
    ) -> Self {
        let data = json!({ "outcome": outcome, "reason_code": reason, "message": message });
        self.event(at, None, "run.failed", object(data))
    }

    /// Somebody stopped it.
    pub(super) fn cancelled(self, at: i64, by: &str, reason: &str) -> Self {
        self.event(at, None, "run.cancelled", object(json!({ "by": by, "reason": reason })))
    }

    /// It ended, and its source does not say how.
    pub(super) fn ended(self, at: i64, reason: &str) -> Self {
        self.event(at, None, "run.ended", object(json!({ "reason": reason })))
    }

    /// The server itself gives it up about now.
    pub(super) fn given_up(self, at: i64) -> Self {
        let run = self.label.clone();
        self.script.add(at, Call::UntilGivenUp { run });
        self
    }

    /// An adapter finds that its work is there.
    pub(super) fn proven(
        self,
        at: i64,
        related: (&'static str, &'static str),
        reason: &'static str,
    ) -> Self {
        let finding = Finding { run: self.label.clone(), related, reason };
        self.script.add(at, Call::Decide(finding));
        self
    }

    fn event(
        self,
        at: i64,
        occurred: Option<i64>,
        kind: &'static str,
        data: Map<String, Value>,
    ) -> Self {
        let (run, source) = (Some(self.label.clone()), self.source);
        self.script.add(at, Call::Event(Event { run, kind, data, occurred, source }));
        self
    }
}

fn about_no_run(kind: &'static str, data: Value) -> Call {
    let data = object(data);
    Call::Event(Event { run: None, kind, data, occurred: None, source: "northwind" })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
