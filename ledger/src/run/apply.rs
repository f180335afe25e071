//! What one more event makes of a run. It never fails: what is stored is true.

use super::{
    CompletedBy, Completion, Dispatched, Failed, FollowUp, FollowUpAction, FollowUpRecord,
    Heartbeat, LateSignal, LateWord, Named, Proof, Reconciled, Run, RunEvent, Start, Started,
};
use crate::fact::Fact;
use crate::time::Moment;
use crate::words::{Outcome, Signal, Status};

/// The two times of the event at hand.
#[derive(Clone, Copy)]
struct Times {
    occurred_at: Moment,
    recorded_at: Moment,
    effective_at: Moment,
}

impl Run {
    /// Takes in the next event of this run's stream.
    pub fn apply(&mut self, fact: &Fact<RunEvent>) {
        let times = Times {
            occurred_at: fact.occurred_at,
            recorded_at: fact.recorded_at,
            effective_at: fact.effective_at(),
        };
        self.events = self.events.saturating_add(1);
        match &fact.event {
            RunEvent::Dispatched(event) => self.dispatched(event, times),
            RunEvent::Started(event) => self.started(event, times),
            RunEvent::Heartbeat(event) => self.heartbeat(event, times),
            RunEvent::Succeeded(event) => {
                let end = Completion {
                    summary: event.summary.clone(),
                    artifacts: event.artifacts.clone(),
                    ..ended_by(Signal::Succeeded, times)
                };
                self.signalled(&event.fills, times);
                self.complete(Outcome::Succeeded, end, times.effective_at);
            }
            RunEvent::Failed(event) => self.failed(event, times),
            RunEvent::Cancelled(event) => {
                let end = Completion {
                    message: event.reason.clone(),
                    ..ended_by(Signal::Cancelled, times)
                };
                self.signalled(&event.fills, times);
                self.complete(Outcome::Cancelled, end, times.effective_at);
            }
            RunEvent::Ended(event) => {
                let end =
                    Completion { message: event.reason.clone(), ..ended_by(Signal::Ended, times) };
                self.signalled(&event.fills, times);
                self.complete(Outcome::Unknown, end, times.effective_at);
            }
            RunEvent::Reconciled(event) => self.reconciled(event, times),
            RunEvent::LateSignal(event) => self.late_signal(event, times),
            RunEvent::FollowUpResolved(event) => {
                self.followed_up(FollowUpAction::Resolve, event, times);
            }
            RunEvent::FollowUpReopened(event) => {
                self.followed_up(FollowUpAction::Reopen, event, times);
            }
        }
    }

    fn dispatched(&mut self, event: &Dispatched, times: Times) {
        let first = !self.exists();
        let record = &event.dispatch;
        if first {
            self.operation = Some(event.operation.clone());
            self.inferred = event.inferred;
            self.unique = event.unique;
            self.dispatched_at = times.effective_at;
        } else {
            // The true dispatch of an inferred run: it counts from now on, and reserves nothing.
            self.inferred = false;
            self.dispatched_at = self.dispatched_at.min(times.effective_at);
        }
        self.fill(&Named {
            connection: record.connection.clone(),
            environment: event.environment.clone(),
            external_ids: event.external_ids.clone(),
            fingerprint: event.fingerprint.clone(),
            job_class: record.job_class.clone(),
            operation: None,
            queue: record.queue.clone(),
            subject: event.subject.clone(),
        });
        self.attempt = if first { event.attempt } else { self.attempt.max(event.attempt) };
        self.lifecycle = event.lifecycle;
        self.dispatch_recorded_at = times.recorded_at;
        fill(&mut self.initiator, &event.initiator);
        fill(&mut self.parent_run_id, &event.parent_run_id);
        fill(&mut self.retry_of, &event.retry_of);
        for (key, value) in &event.labels {
            self.labels.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }

    fn started(&mut self, event: &Started, times: Times) {
        self.signalled(&event.fills, times);
        let after_completion = self.status == Status::Completed;
        self.start = Some(Start {
            occurred_at: times.occurred_at,
            recorded_at: times.recorded_at,
            worker: event.worker.clone(),
            inferred: event.inferred,
            after_completion,
        });
        if let Some(attempt) = event.attempt {
            self.attempt = self.attempt.max(attempt);
        }
        if !after_completion {
            self.status = Status::Running;
            self.last_sign_of_life = Some(times.recorded_at);
        }
    }

    fn heartbeat(&mut self, event: &Heartbeat, times: Times) {
        self.signalled(&event.fills, times);
        self.last_sign_of_life = Some(times.recorded_at);
        if event.progress.is_some() {
            self.progress.clone_from(&event.progress);
        }
    }

    fn failed(&mut self, event: &Failed, times: Times) {
        let end = Completion {
            reason_code: Some(event.reason_code.clone()),
            message: event.message.clone(),
            retryable: event.retryable,
            ..ended_by(Signal::Failed, times)
        };
        self.signalled(&event.fills, times);
        self.complete(event.outcome, end, times.effective_at);
    }

    fn complete(&mut self, outcome: Outcome, end: Completion, settled_at: Moment) {
        self.status = Status::Completed;
        self.outcome = outcome;
        self.completion = Some(end);
        self.settled_at = Some(settled_at);
    }

    /// A reconciliation's effective time is its `recorded_at`.
    fn reconciled(&mut self, event: &Reconciled, times: Times) {
        if self.status == Status::Completed {
            self.proof = Some(Proof {
                adapter: event.adapter.clone(),
                recorded_at: times.recorded_at,
                related: event.related.clone(),
            });
        } else if let Some(outcome) = event.decision.outcome() {
            let end = Completion {
                occurred_at: times.recorded_at,
                recorded_at: times.recorded_at,
                by: CompletedBy::Adapter(event.adapter.clone()),
                reason_code: Some(event.reason_code.clone()),
                message: None,
                retryable: None,
                summary: Default::default(),
                artifacts: event.related.iter().cloned().collect(),
            };
            self.complete(outcome, end, times.recorded_at);
        }
        self.reconciliation = Some(Box::new(event.clone()));
    }

    fn late_signal(&mut self, event: &LateSignal, times: Times) {
        self.signalled(&event.fills, times);
        self.late.push(LateWord {
            outcome: event.outcome,
            agrees: event.agrees,
            effective_at: times.effective_at,
            recorded_at: times.recorded_at,
        });
        if !event.agrees {
            self.settled_at = self.settled_at.max(Some(times.effective_at));
            // A person's word counts for what was known when it was given. Only a resolution is
            // void: a reopening stays the last word.
            if self.resolution().is_some() {
                self.follow_up = None;
            }
        }
    }

    fn followed_up(&mut self, action: FollowUpAction, event: &FollowUpRecord, times: Times) {
        self.follow_up = Some(FollowUp {
            action,
            by: event.by.clone(),
            note: event.note.clone(),
            reason: event.reason.clone(),
            recorded_at: times.recorded_at,
        });
    }

    /// What every recorded signal does: it may move the dispatch time, and fills what is open.
    fn signalled(&mut self, fills: &Named, times: Times) {
        self.dispatched_at = self.dispatched_at.min(times.effective_at);
        self.fill(fills);
    }

    fn fill(&mut self, named: &Named) {
        fill(&mut self.environment, &named.environment);
        fill(&mut self.subject, &named.subject);
        fill(&mut self.fingerprint, &named.fingerprint);
        fill(&mut self.job_class, &named.job_class);
        // A connection says something of a queue, not of a run: the two are taken together.
        if self.queue.is_none() && named.queue.is_some() {
            self.queue.clone_from(&named.queue);
            self.connection.clone_from(&named.connection);
        }
        for id in &named.external_ids {
            if !self.external_ids.contains(id) {
                self.external_ids.push(id.clone());
            }
        }
    }
}

fn fill<T: Clone>(open: &mut Option<T>, value: &Option<T>) {
    if open.is_none() {
        open.clone_from(value);
    }
}

fn ended_by(signal: Signal, times: Times) -> Completion {
    Completion {
        occurred_at: times.occurred_at,
        recorded_at: times.recorded_at,
        by: CompletedBy::Signal(signal),
        reason_code: None,
        message: None,
        retryable: None,
        summary: Default::default(),
        artifacts: Vec::new(),
    }
}
