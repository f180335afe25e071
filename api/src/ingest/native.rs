//! The native way in: one event, a JSON array of events, or one event a line.
//!
//! It reads strictly. A member that it does not know is refused by name, so that a misspelt one
//! never quietly means nothing.

mod data;
mod evidence;
mod named;
mod read;
mod schema;
#[cfg(test)]
pub(in crate::ingest) mod tests;

use std::borrow::Cow;
use std::fmt::Display;

use runledger_ledger::event::Actor;
use runledger_ledger::run::{ExternalId, FollowUpAction, FollowUpCommand, RunCommand};
use runledger_ledger::submission::{Command, ReportId, Submission};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, RunId};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;

pub(crate) use read::Object;

pub use data::{ARTIFACTS, EXTERNAL_IDS, FIELDS, LABELS};
pub use data::{
    CancelledData, DispatchedData, EndedData, FailedData, FailedOutcome, FollowUpData,
    HeartbeatData, ObservedData, StartedData, SucceededData, WorkerSeenData, WorkerStoppedData,
};

use super::split::{self, Slice};
use super::{BodyError, Caller, EVENT_BYTES, EVENT_DEPTH, ItemError};

/// Every type that may be sent, in the order of the design.
pub const TYPES: [&str; 12] = [
    "run.dispatched",
    "run.started",
    "run.heartbeat",
    "run.succeeded",
    "run.failed",
    "run.cancelled",
    "run.ended",
    "run.follow_up_resolved",
    "run.follow_up_reopened",
    "subject.observed",
    "worker.seen",
    "worker.stopped",
];

/// What a body may be.
const WANTED: &str = "one event, a JSON array of events, or one event a line";

/// What came of one item.
pub type Item = Result<Parsed, ItemError>;

/// An event that was understood.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What is asked of the ledger. `strict` is for the caller to set.
    pub submission: Submission,
    /// The run that the event named; none if its id was made here, if another system's id names the
    /// run, or if it is of no run.
    pub run_id: Option<RunId>,
    /// Whether it is a dispatch that asks first whether its work is there already.
    pub unless_proven: bool,
}

/// An event as it is sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Event)]
pub struct EventRequest<'a> {
    /// Who makes it happen; the token's owner if left out.
    #[serde(default, deserialize_with = "read::optional")]
    #[schema(schema_with = schema::actor)]
    actor: Option<Actor>,
    /// What there is to say, by type.
    #[serde(borrow, default)]
    #[schema(value_type = Option<EventData>)]
    data: Option<&'a RawValue>,
    /// The scope of `external_id`; the `environment` of `data` if left out, and without one the
    /// workspace itself.
    #[schema(value_type = Option<String>)]
    environment: Option<Name>,
    /// Names the run by what another system calls it, instead of `run_id`: by an id that was
    /// recorded among the `external_ids` of one run of this scope. If there is none, a
    /// `run.dispatched` makes one, and so does a signal that names its operation.
    #[serde(default, deserialize_with = "read::optional")]
    #[schema(schema_with = schema::external_id)]
    external_id: Option<ExternalId>,
    /// What the event is known by when it comes again, unique for its source.
    #[schema(value_type = Option<String>)]
    id: Option<Name>,
    /// When it happened, in RFC 3339; left out, when it is recorded.
    #[serde(default, deserialize_with = "read::time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    occurred_at: Option<Moment>,
    /// The run; a new one is made for a `run.dispatched` without it and without `external_id`.
    #[schema(value_type = Option<uuid::Uuid>)]
    run_id: Option<RunId>,
    /// The source that reports it; the token's if left out.
    #[schema(value_type = Option<String>)]
    source: Option<Name>,
    /// What happened, such as `run.started`.
    #[serde(rename = "type", borrow)]
    #[schema(value_type = String, example = "run.dispatched")]
    kind: Cow<'a, str>,
}

/// The data of an event.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the variants are the types, and their data is documented")]
pub enum EventData {
    Dispatched(Box<DispatchedData>),
    Started(Box<StartedData>),
    Heartbeat(Box<HeartbeatData>),
    Succeeded(Box<SucceededData>),
    Failed(Box<FailedData>),
    Cancelled(Box<CancelledData>),
    Ended(Box<EndedData>),
    FollowUp(FollowUpAction, FollowUpData),
    Observed(Box<ObservedData>),
    WorkerSeen(WorkerSeenData),
    WorkerStopped(WorkerStoppedData),
}

/// Reads a body: one event, an array of them, or one a line (told by `content_type`, or by the
/// body itself). `new_run_id` makes the id of a run that was dispatched without one.
pub fn parse_body<E: Display>(
    body: &[u8],
    content_type: Option<&str>,
    caller: Caller<'_>,
    new_run_id: &mut impl FnMut() -> Result<RunId, E>,
) -> Result<Vec<Item>, BodyError> {
    let trimmed = split::trimmed(body, WANTED)?;
    let (slices, numbered) = match trimmed.first() {
        // All of the body is given, so that lines are counted as the client counts them.
        _ if content_type.is_some_and(means_lines) => (split::lines(body)?, true),
        Some(b'[') => (split::array(body)?, true),
        Some(b'{') if split::is_lines(trimmed) => (split::lines(body)?, true),
        _ => {
            if let Some((problem, _)) = read::syntax_problem(trimmed) {
                return Err(BodyError::NotJson(problem));
            }
            (vec![Slice { bytes: trimmed, line: 1 }], false)
        }
    };
    let read = |slice: Slice<'_>| {
        let line = numbered.then_some(slice.line);
        parse_item(slice.bytes, line, caller, new_run_id)
    };
    Ok(slices.into_iter().map(read).collect())
}

/// Whether [`parse_body`] takes a body for one event that was sent alone, and not for a list of
/// events, however short.
pub fn is_one(body: &[u8], content_type: Option<&str>) -> bool {
    let trimmed = body.trim_ascii();
    match trimmed.first() {
        _ if content_type.is_some_and(means_lines) => false,
        Some(b'[') => false,
        Some(b'{') => !split::is_lines(trimmed),
        _ => true,
    }
}

/// Whether a media type says that each line is an event.
fn means_lines(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    ["application/x-ndjson", "application/ndjson", "application/jsonl"]
        .iter()
        .any(|lines| media_type.eq_ignore_ascii_case(lines))
}

fn parse_item<E: Display>(
    json: &[u8],
    line: Option<usize>,
    caller: Caller<'_>,
    new_run_id: &mut impl FnMut() -> Result<RunId, E>,
) -> Item {
    if json.len() > EVENT_BYTES {
        let problem = format!("the event has {} bytes; at most {EVENT_BYTES} may come", json.len());
        return Err(ItemError::new("event_too_large", problem));
    }
    let glance = split::glance(json);
    if glance.depth > EVENT_DEPTH {
        let problem = format!("the event is nested more than {EVENT_DEPTH} levels deep");
        return Err(ItemError::new("too_deep", problem));
    }
    if glance.odd_number {
        read::check_numbers(json)?;
    }
    let event: EventRequest<'_> =
        read::object(json, "").map_err(|error| not_json(json, line).unwrap_or(error))?;
    event.parse(caller, new_run_id)
}

/// The error of an item that is no JSON, if it is none.
fn not_json(json: &[u8], line: Option<usize>) -> Option<ItemError> {
    let (problem, column) = read::syntax_problem(json)?;
    let place = line.map(|line| format!(" (line {line}, column {column} of the event)"));
    let place = place.unwrap_or_default();
    Some(ItemError::new("not_json", format!("the event is not JSON{place}: {problem}")))
}

impl EventRequest<'_> {
    fn parse<E: Display>(
        self,
        caller: Caller<'_>,
        new_run_id: &mut impl FnMut() -> Result<RunId, E>,
    ) -> Item {
        let data = EventData::read(&self.kind, self.data)?;
        self.check_names()?;
        self.check_actor(&data, caller)?;
        let actor = self.actor.as_ref().or(caller.actor);
        let run_id = self.run_id;
        let unless_proven = data.asks_first();
        let make = || match run_id {
            Some(run_id) => Ok(run_id),
            None => new_run_id().map_err(|error| {
                let problem = format!("no id could be made for the run ({error}); try again");
                ItemError::new("no_run_id_made", problem)
            }),
        };
        let submission = Submission {
            command: self.named(data.command(actor, make)?)?,
            occurred_at: self.occurred_at,
            actor: actor.cloned(),
            sender: caller.actor.filter(|sender| actor != Some(*sender)).cloned(),
            id: self.report_id()?,
            source: self.source.or_else(|| caller.source.cloned()),
            strict: false,
            found: None,
            within: None,
        };
        Ok(Parsed { submission, run_id, unless_proven })
    }

    /// Refuses what somebody says in another's name who may not: what is said of a follow-up is one's
    /// own word, and of anything else the log keeps who sent it.
    fn check_actor(&self, data: &EventData, caller: Caller<'_>) -> Result<(), ItemError> {
        if let Some(named) = &self.actor
            && !caller.may_name(named)
        {
            let problem = "may not be a person, a token, an adapter, the system or the \
                           administrator other than who sends the event, and its `kind` is of a to \
                           z, 0 to 9, `.`, `_` and `-`; leave it out, or give it another `kind`";
            return Err(ItemError::at("forbidden", "/actor", problem));
        }
        let EventData::FollowUp(_, word) = data else { return Ok(()) };
        let own = caller.actor.map(|actor| &actor.id);
        let named = self.actor.as_ref().map(|actor| &actor.id);
        for (said, pointer) in [(word.by.as_ref(), "/data/by"), (named, "/actor/id")] {
            if !caller.vouches && said.is_some() && said != own {
                let problem = "may not be anybody but who sends the event: leave it out";
                return Err(ItemError::at("forbidden", pointer, problem));
            }
        }
        Ok(())
    }

    /// What the event is known by. What was left out is left out of its content, so that an event
    /// sent again is the same event, whatever the ledger added.
    fn report_id(&self) -> Result<Option<ReportId>, ItemError> {
        let Some(id) = self.id.clone() else {
            return Ok(None);
        };
        let data = match self.data {
            Some(data) => serde_json::from_str(data.get()).map_err(|error| {
                ItemError::at("invalid_event", "/data", format!("cannot be read: {error}"))
            })?,
            None => json!({}),
        };
        let mut content = json!({ "type": self.kind, "data": data });
        if let Some(run_id) = self.run_id {
            content["run_id"] = Value::from(run_id.to_string());
        }
        if let Some(external_id) = &self.external_id {
            content["external_id"] = named::content(external_id);
        }
        if let Some(environment) = &self.environment {
            content["environment"] = Value::from(environment.as_str());
        }
        if let Some(occurred_at) = self.occurred_at {
            content["occurred_at"] = Value::from(occurred_at.micros());
        }
        Ok(Some(ReportId { id, content }))
    }
}

impl EventData {
    fn read(kind: &str, data: Option<&RawValue>) -> Result<Self, ItemError> {
        fn of<'a, T: Deserialize<'a>>(data: Option<&'a RawValue>) -> Result<T, ItemError> {
            read::object(data.map_or("{}", RawValue::get).as_bytes(), "/data")
        }
        Ok(match kind {
            "run.dispatched" => EventData::Dispatched(of(data)?),
            "run.started" => EventData::Started(of(data)?),
            "run.heartbeat" => EventData::Heartbeat(of(data)?),
            "run.succeeded" => EventData::Succeeded(of(data)?),
            "run.failed" => EventData::Failed(of(data)?),
            "run.cancelled" => EventData::Cancelled(of(data)?),
            "run.ended" => EventData::Ended(of(data)?),
            "run.follow_up_resolved" => EventData::FollowUp(FollowUpAction::Resolve, of(data)?),
            "run.follow_up_reopened" => EventData::FollowUp(FollowUpAction::Reopen, of(data)?),
            "subject.observed" => EventData::Observed(of(data).map_err(evidence::explained)?),
            "worker.seen" => EventData::WorkerSeen(of(data)?),
            "worker.stopped" => EventData::WorkerStopped(of(data)?),
            other => return Err(refused_type(other)),
        })
    }

    /// Whether it is a dispatch that asks first whether its work is there already.
    fn asks_first(&self) -> bool {
        matches!(self, EventData::Dispatched(data) if data.unless_proven.unwrap_or_default())
    }

    fn command(
        self,
        actor: Option<&Actor>,
        run: impl FnOnce() -> Result<RunId, ItemError>,
    ) -> Result<Command, ItemError> {
        let command = match self {
            EventData::Dispatched(data) => data.command()?,
            EventData::Started(data) => data.command()?,
            EventData::Heartbeat(data) => data.command()?,
            EventData::Succeeded(data) => data.command()?,
            EventData::Failed(data) => data.command()?,
            EventData::Cancelled(data) => data.command()?,
            EventData::Ended(data) => data.command()?,
            EventData::FollowUp(action, data) => follow_up(action, data, actor)?,
            EventData::Observed(data) => return data.command(),
            EventData::WorkerSeen(data) => return data.command(),
            EventData::WorkerStopped(data) => return Ok(data.command()),
        };
        Ok(Command::Run(run()?, command))
    }
}

fn follow_up(
    action: FollowUpAction,
    data: FollowUpData,
    actor: Option<&Actor>,
) -> Result<RunCommand, ItemError> {
    let FollowUpData { by, note, reason } = data;
    let Some(by) = by.or_else(|| actor.map(|actor| actor.id.clone())) else {
        let problem = "is missing, and the event has no actor; say who decides";
        return Err(ItemError::at("by_missing", "/data/by", problem));
    };
    Ok(RunCommand::FollowUp(FollowUpCommand { action, by, note, reason, unless_resolved: false }))
}

/// The error of a type that nobody may send.
fn refused_type(kind: &str) -> ItemError {
    let writer = match kind.split_once('.') {
        _ if kind == "run.reconciled" => {
            "the reconciler writes it, when an adapter has decided on the run"
        }
        _ if kind == "run.late_signal" => {
            "the ledger writes it, when a signal comes after the run completed; send that signal"
        }
        Some(("workspace" | "token" | "member" | "adapter", _)) => {
            "the ledger writes it, when an administrator or the server itself acts"
        }
        Some(("catalog", _)) => "the ledger writes it, when a catalog is published",
        _ => {
            let problem = format!("{kind:?} is no known type; send one of {}", TYPES.join(", "));
            return ItemError::at("unknown_type", "/type", problem);
        }
    };
    ItemError::at("type_not_allowed", "/type", format!("{kind} cannot be sent: {writer}"))
}
