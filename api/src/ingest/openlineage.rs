//! The way in for OpenLineage clients (spec 2-0-2): dbt, Airflow and others, unmodified.
//!
//! It reads leniently. A client cannot be told anything but a status code, and loses what is
//! refused; so only what names no run or no job is refused. What it means:
//!
//! | event | here |
//! |---|---|
//! | START, RUNNING (or no type) | started, heartbeat |
//! | COMPLETE, FAIL, ABORT | succeeded, failed, cancelled |
//! | OTHER, or a type that is not known | taken; it never changes a state, so nothing is recorded |
//! | dataset and job events | taken; they are of no run |
//!
//! The job is the subject, and its namespace the environment: the next run of the same job is what
//! makes a failure good. Airflow gives each try of a task a run of its own, and `attempt` keeps
//! which one it is.

mod batch;
mod facets;
#[cfg(test)]
mod tests;

use runledger_ledger::event::Actor;
use runledger_ledger::run::{Fields, Named, Report, RunCommand, SignalReport};
use runledger_ledger::submission::{Command, ReportId, Submission};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{NAME_BYTES, NOTE_BYTES, Name, Note, Outcome, RunId, Subject};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use batch::{BatchResponse, BatchStatus, BatchSummary, FailedEvent, Failure};

use super::{BodyError, ItemError, UNSPECIFIED, not_json, split, word};

/// The operation type of every run that OpenLineage tells of.
pub const OPERATION: &str = "openlineage.job";
/// The source that its events are recorded with, whoever sends them.
pub const SOURCE: &str = "openlineage";
/// The type of the subject of its runs.
pub const SUBJECT_TYPE: &str = "job";

/// What an event is to the ledger.
#[derive(Clone, Debug)]
pub enum Mapped {
    /// A signal of a run.
    Signal(Box<Submission>),
    /// It is taken, and there is nothing to record.
    Unrecorded(Unrecorded),
}

/// Why there is nothing to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unrecorded {
    /// `OTHER`, or a type that is not known: an annotation of its run.
    Annotation {
        /// Of this run.
        run: RunId,
        /// Its type, as it was sent.
        event_type: String,
    },
    /// It tells of a dataset.
    Dataset,
    /// It tells of a job, and of no run of it.
    Job,
}

/// What came of one event of a batch.
pub type Item = Result<Mapped, ItemError>;

/// Reads the body of `POST …/lineage`: one event.
pub fn parse(body: &[u8], actor: Option<&Actor>) -> Item {
    let sent = split::trimmed(body, "one OpenLineage event")?;
    item(sent, actor)
}

/// Reads the body of `POST …/lineage/batch`: a JSON array of events, each with its own result.
pub fn parse_batch(body: &[u8], actor: Option<&Actor>) -> Result<Vec<Item>, BodyError> {
    if !split::trimmed(body, "a JSON array of OpenLineage events")?.starts_with(b"[") {
        return Err(BodyError::WrongShape("a JSON array of events; send one alone to /lineage"));
    }
    let slices = split::array(body)?;
    Ok(slices.into_iter().map(|slice| item(slice.bytes, actor)).collect())
}

fn item(sent: &[u8], actor: Option<&Actor>) -> Item {
    let event: Value = serde_json::from_slice(sent).map_err(|problem| {
        ItemError::new("not_json", format!("the event is not JSON: {}", not_json(&problem)))
    })?;
    map(&event, sent, actor)
}

/// Maps an event. `sent` is its bytes as they came: they tell an event that is sent again from
/// another one.
pub fn map(event: &Value, sent: &[u8], actor: Option<&Actor>) -> Item {
    let Some(members) = event.as_object() else {
        return Err(ItemError::new("invalid_event", "the event must be an object"));
    };
    let has = |member: &str| members.get(member).is_some_and(|value| !value.is_null());
    if !has("run") && !has("eventType") {
        return match (has("dataset"), has("job")) {
            (true, _) => Ok(Mapped::Unrecorded(Unrecorded::Dataset)),
            (false, true) => Ok(Mapped::Unrecorded(Unrecorded::Job)),
            (false, false) => Err(ItemError::new(
                "invalid_event",
                "the event has no run, no job and no dataset, so it is no OpenLineage event",
            )),
        };
    }
    RunEvent::read(event, sent)?.map(actor)
}

/// A run event: what must be in it, and the rest of it.
struct RunEvent<'a> {
    event: &'a Value,
    sent: &'a [u8],
    run_text: &'a str,
    namespace: &'a str,
    job: &'a str,
    event_type: String,
}

impl<'a> RunEvent<'a> {
    fn read(event: &'a Value, sent: &'a [u8]) -> Result<Self, ItemError> {
        let needed = |code, pointer: &str| {
            text(event, pointer).ok_or_else(|| {
                ItemError::at(
                    code,
                    pointer,
                    "must be a text that is not empty; a run event has one",
                )
            })
        };
        let event_type = match event.get("eventType") {
            // The spec does not ask for a type, and says that facets may come at any time.
            None | Some(Value::Null) => "RUNNING".to_owned(),
            Some(Value::String(kind)) => kind.trim().to_ascii_uppercase(),
            Some(other) => other.to_string(),
        };
        Ok(RunEvent {
            event,
            sent,
            run_text: needed("run_id_missing", "/run/runId")?,
            namespace: needed("job_missing", "/job/namespace")?,
            job: needed("job_missing", "/job/name")?,
            event_type,
        })
    }

    fn map(&self, actor: Option<&Actor>) -> Item {
        let run = run_id(self.run_text);
        let time = event_time(self.event.get("eventTime"));
        let mut origin = facets::origin(self.event, time.assumption.as_deref());
        let mut external_ids = facets::external_ids(self.event);
        if run.0.to_string() != self.run_text.to_ascii_lowercase() {
            external_ids.extend(facets::external_id(SOURCE, "run", self.run_text));
        }
        origin.parent_run_id = origin.parent_run_id.filter(|parent| *parent != run);
        let Some((signal, report)) = self.report(origin.attempt)? else {
            let event_type = super::cut(self.event_type.clone(), NAME_BYTES);
            return Ok(Mapped::Unrecorded(Unrecorded::Annotation { run, event_type }));
        };
        let named = Named {
            environment: Some(name(self.namespace)?),
            external_ids,
            operation: Some(word(OPERATION)?),
            subject: Some(Subject {
                kind: word(SUBJECT_TYPE)?,
                id: name(&format!("{}/{}", self.namespace, self.job))?,
            }),
            ..Named::default()
        };
        let signal_report = SignalReport { named, origin, report };
        Ok(Mapped::Signal(Box::new(Submission {
            command: Command::Run(run, RunCommand::Signal(Box::new(signal_report))),
            occurred_at: time.moment,
            actor: actor.cloned(),
            sender: None,
            source: Some(word(SOURCE)?),
            id: Some(self.report_id(signal, run, time.moment)?),
            strict: false,
            found: None,
            within: None,
        })))
    }

    /// What the event says, with the type of the event that it becomes; none if it says nothing
    /// of its run's life.
    fn report(&self, attempt: Option<u32>) -> Result<Option<(&'static str, Report)>, ItemError> {
        Ok(Some(match self.event_type.as_str() {
            "START" => ("run.started", Report::Started { attempt, worker: None }),
            "RUNNING" => ("run.heartbeat", Report::Heartbeat { progress: None }),
            "COMPLETE" => {
                ("run.succeeded", Report::Succeeded { artifacts: vec![], summary: Fields::new() })
            }
            "FAIL" => {
                let message = text(self.event, "/run/facets/errorMessage/message");
                let report = Report::Failed {
                    message: message.and_then(|message| note(message, NOTE_BYTES)),
                    outcome: Outcome::Failed,
                    reason_code: word(UNSPECIFIED)?,
                    retryable: None,
                };
                ("run.failed", report)
            }
            // It stopped abnormally: a person may have stopped it, or its process was killed.
            "ABORT" => {
                ("run.cancelled", Report::Cancelled { by: None, reason: note("abort", NOTE_BYTES) })
            }
            _ => return Ok(None),
        }))
    }

    /// OpenLineage events have no id, and clients send the same bytes again when an answer is late
    /// or lost. So their run, type, time and bytes are their id.
    fn report_id(
        &self,
        signal: &str,
        run: RunId,
        occurred_at: Option<Moment>,
    ) -> Result<ReportId, ItemError> {
        let body = hex::encode(Sha256::digest(self.sent));
        let time = self.event.get("eventTime").map(Value::to_string).unwrap_or_default();
        let mut hash = Sha256::new();
        for part in [self.run_text, &self.event_type, &time, &body] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let mut content = json!({
            "type": signal,
            "run_id": run.to_string(),
            "data": {"operation": OPERATION, "body_sha256": body},
        });
        if let Some(occurred_at) = occurred_at {
            content["occurred_at"] = Value::from(occurred_at.micros());
        }
        Ok(ReportId { id: name(&hex::encode(hash.finalize()))?, content })
    }
}

/// The run of an OpenLineage run id: the UUID that it should be, else a UUID (version 8) that
/// follows from the text, the same wherever it is met.
fn run_id(text: &str) -> RunId {
    if let Ok(id) = text.parse() {
        return RunId(id);
    }
    let mut hash = Sha256::new();
    hash.update("runledger openlineage run\0");
    hash.update(text);
    RunId(uuid_of(&hash.finalize()))
}

fn uuid_of(hash: &[u8]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash).for_each(|(byte, hashed)| *byte = *hashed);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// When an event says that it happened, and what had to be assumed to say so.
struct EventTime {
    moment: Option<Moment>,
    assumption: Option<String>,
}

/// Reads a time leniently: with `Z` or an offset, and without a zone as UTC. An event whose time
/// cannot be read happened when it is recorded.
fn event_time(value: Option<&Value>) -> EventTime {
    let unread = |text: &str| EventTime {
        moment: None,
        assumption: Some(format!("{text:?} cannot be read; the time of recording counts")),
    };
    match value {
        None | Some(Value::Null) => EventTime {
            moment: None,
            assumption: Some("not given; the time of recording counts".to_owned()),
        },
        Some(Value::String(text)) => {
            let text = text.trim();
            if let Ok(moment) = text.parse() {
                return EventTime { moment: Some(moment), assumption: None };
            }
            match format!("{text}Z").parse() {
                Ok(moment) => EventTime {
                    moment: Some(moment),
                    assumption: Some("given without a zone; taken as UTC".to_owned()),
                },
                Err(_) => unread(text),
            }
        }
        Some(other) => unread(&other.to_string()),
    }
}

/// The text at a JSON pointer, if there is one that is not empty.
fn text<'a>(event: &'a Value, pointer: &str) -> Option<&'a str> {
    event.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Bytes of the hash that a shortened name ends with, in hex.
const SUFFIX: usize = 16;

/// `text` as a name. What is too long or holds control characters is cut and cleaned, and ends
/// with `~` and a part of the SHA-256 of the whole: readable, still its own, and the same each
/// time. A client must not lose its events because a job has a long name.
fn name(text: &str) -> Result<Name, ItemError> {
    if let Ok(name) = Name::new(text) {
        return Ok(name);
    }
    let clean = cleaned(text, false);
    let prefix = &clean[..clean.floor_char_boundary(NAME_BYTES - SUFFIX - 1)];
    let mut hash = hex::encode(Sha256::digest(text));
    hash.truncate(SUFFIX);
    Name::new(format!("{prefix}~{hash}"))
        .map_err(|problem| ItemError::new("internal", format!("a shortened name {problem}")))
}

/// `text` as a note of at most `most` bytes; none if it is empty.
fn note(text: &str, most: usize) -> Option<Note> {
    let clean = cleaned(text, true);
    Note::new(&clean[..clean.floor_char_boundary(most)]).ok()
}

/// `text` with a space for each control character.
fn cleaned(text: &str, may_break_lines: bool) -> String {
    let keep = |c: &char| !c.is_control() || (may_break_lines && matches!(c, '\n' | '\t' | '\r'));
    text.chars().map(|c| if keep(&c) { c } else { ' ' }).collect()
}
