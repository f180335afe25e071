//! What stands in the place of an erased body: the facts that verdicts hang on, and nothing that
//! was said in somebody's own words.
//!
//! What is kept is on a list; what is not on it goes. Kept are the names of what the catalog and the
//! queues speak of (operation, environment, queue, reason code), states, outcomes, counts and times.
//! A subject and a fingerprint are kept as well, because verdicts on other runs hang on them, unless
//! the erasure is of the subject itself: then a stand-in takes its place.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::canonical::{self, CanonicalError};
use crate::event::{AnyEvent, DecodeError, ENVELOPE_VERSION, Recorded, data};
use crate::fact::EventKind;
use crate::run::{Named, Progress, RunEvent};
use crate::subject::SubjectEvent;
use crate::words::{Name, Subject, WordError};

/// What stands where somebody was named.
const NOBODY: &str = "erased";

/// Why there is no tombstone.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// The body is no event.
    #[error("its bytes are no event")]
    NoEvent(#[from] DecodeError),
    /// The log needs it as it is.
    #[error("{0} is never erased: the log could not be read or checked without it")]
    Kept(&'static str),
    /// It has no canonical form.
    #[error("its tombstone has no canonical form")]
    Canonical(#[from] CanonicalError),
    /// A stand-in is no word.
    #[error("a stand-in is no name")]
    Word(#[from] WordError),
}

/// The tombstone of `body`, which part `part` of `erasure` puts in its place. The same always gives
/// the same. With `subject`, a stand-in takes the place of the event's subject.
///
/// # Errors
/// If the body is no event, or one that is never erased.
pub fn tombstone(
    body: &[u8],
    erasure: Uuid,
    part: u64,
    subject: bool,
) -> Result<Vec<u8>, RedactError> {
    let recorded = Recorded::decode(body)?;
    let stored: Value = serde_json::from_slice(body).map_err(DecodeError::Envelope)?;
    let mut event = recorded.fact.event;
    let stand_in = subject.then(|| Name::new(format!("{NOBODY}-{erasure}"))).transpose()?;
    redact(&mut event, stand_in.as_ref())?;
    let mut tombstone = json!({
        "aggregate_id": recorded.stream.id,
        "aggregate_type": recorded.stream.kind,
        "data": data(&event),
        "erased": { "erasure": erasure, "part": part },
        "occurred_at": recorded.fact.occurred_at.micros(),
        "position": recorded.position,
        "recorded_at": recorded.fact.recorded_at.micros(),
        "schema": 1,
        "sequence": recorded.sequence,
        "type": event.event_type().as_str(),
        "v": ENVELOPE_VERSION,
        "workspace": stored["workspace"],
    });
    if let Some(actor) = &recorded.actor {
        tombstone["actor"] = json!({ "id": NOBODY, "kind": actor.kind });
    }
    Ok(canonical::to_bytes(&tombstone)?)
}

fn redact(event: &mut AnyEvent, stand_in: Option<&Name>) -> Result<(), RedactError> {
    match event {
        AnyEvent::Run(event) => of_run(event, stand_in),
        AnyEvent::Subject(SubjectEvent::Observed(seen)) => {
            seen.evidence.clear();
            seen.verifier = None;
            replace(Some(&mut seen.key.subject), stand_in);
            Ok(())
        }
        // A lease ends with a word of the same worker: under another name it would not.
        AnyEvent::Worker(_) => Ok(()),
        AnyEvent::Workspace(event) => Err(RedactError::Kept(event.event_type().as_str())),
        AnyEvent::Erasure(event) => Err(RedactError::Kept(event.event_type().as_str())),
        AnyEvent::Archive(event) => Err(RedactError::Kept(event.event_type().as_str())),
    }
}

fn of_run(event: &mut RunEvent, stand_in: Option<&Name>) -> Result<(), RedactError> {
    let fills = |named: &mut Named| {
        named.external_ids.clear();
        replace(named.subject.as_mut(), stand_in);
    };
    match event {
        RunEvent::Dispatched(event) => {
            event.external_ids.clear();
            event.initiator = None;
            event.labels = BTreeMap::new();
            replace(event.subject.as_mut(), stand_in);
        }
        RunEvent::Started(event) => {
            event.worker = None;
            fills(&mut event.fills);
        }
        RunEvent::Heartbeat(event) => {
            fills(&mut event.fills);
            event.progress = event.progress.take().map(|said| Progress {
                done: said.done,
                total: said.total,
                ..Progress::default()
            });
        }
        RunEvent::Succeeded(event) => {
            event.artifacts.clear();
            event.summary.clear();
            fills(&mut event.fills);
        }
        RunEvent::Failed(event) => {
            event.message = None;
            fills(&mut event.fills);
        }
        RunEvent::Cancelled(event) => {
            (event.by, event.reason) = (None, None);
            fills(&mut event.fills);
        }
        RunEvent::Ended(event) => {
            event.reason = None;
            fills(&mut event.fills);
        }
        RunEvent::Reconciled(event) => {
            event.evidence.clear();
            event.related = None;
        }
        RunEvent::LateSignal(event) => {
            event.data = Value::Null;
            fills(&mut event.fills);
        }
        RunEvent::FollowUpResolved(event) | RunEvent::FollowUpReopened(event) => {
            event.by = Name::new(NOBODY)?;
            event.note = None;
        }
    }
    Ok(())
}

fn replace(subject: Option<&mut Subject>, stand_in: Option<&Name>) {
    if let (Some(subject), Some(stand_in)) = (subject, stand_in) {
        subject.id = stand_in.clone();
    }
}
