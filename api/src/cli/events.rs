//! Events as lines for people: where in the log, when, what, and the few words that matter.

use runledger_ledger::time::{Moment, Span};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::runs::short;
use super::table::{Cell, Row};
use super::times::absolute;

/// An event as the server hands it out.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    /// Its place in the log.
    pub(super) position: u64,
    /// None of one whose body is in an archive that the server cannot read.
    event: Option<Event>,
    archived: Option<Archived>,
}

/// Where a body is.
#[derive(Debug, Deserialize)]
struct Archived {
    place: String,
}

/// The parts of a stored event that a line shows.
#[derive(Debug, Deserialize)]
struct Event {
    aggregate_id: String,
    aggregate_type: String,
    #[serde(default)]
    data: Map<String, Value>,
    /// Of a tombstone: by which erasure its words went.
    erased: Option<Value>,
    recorded_at: Moment,
    occurred_at: Moment,
    #[serde(rename = "type")]
    kind: String,
}

/// Position, time and type of an event, and what it says.
pub(super) fn row(line: &Line) -> Row {
    let Some(event) = &line.event else { return elsewhere(line, 3) };
    let cells = [
        Cell::new(line.position.to_string()).dim(),
        Cell::new(absolute(event.recorded_at)),
        Cell::new(&event.kind),
    ];
    Row::of(cells).saying(Cell::new(said(event)).dim())
}

/// The same, and of which run it is.
pub(super) fn row_of_log(line: &Line) -> Row {
    let Some(event) = &line.event else { return elsewhere(line, 4) };
    let of = if event.aggregate_type == "run" { short(&event.aggregate_id) } else { "" };
    let cells = [
        Cell::new(line.position.to_string()).dim(),
        Cell::new(absolute(event.recorded_at)),
        Cell::new(&event.kind),
        Cell::new(of),
    ];
    Row::of(cells).saying(Cell::new(said(event)).dim())
}

/// An event whose body is in an archive.
fn elsewhere(line: &Line, cells: usize) -> Row {
    let mut row = vec![Cell::new(line.position.to_string()).dim()];
    row.resize_with(cells, || Cell::new(""));
    let place = line.archived.as_ref().map_or("an archive", |archived| archived.place.as_str());
    Row::of(row).saying(Cell::new(format!("archived in {place}")).dim())
}

/// What matters first; then whatever else there is that fits a few words.
const FIRST: [&str; 9] = [
    "operation",
    "environment",
    "subject",
    "worker",
    "outcome",
    "reason_code",
    "decision",
    "reason",
    "state",
];
/// What is for programs.
const QUIET: [&str; 11] = [
    "adapter_version",
    "attempt",
    "content",
    "evaluated_at",
    "evidence",
    "labels",
    "last",
    "lease_seconds",
    "lifecycle",
    "previous",
    "sha256",
];

fn said(event: &Event) -> String {
    let mut words = Vec::new();
    if event.erased.is_some() {
        words.push("erased".to_owned());
    }
    // What a report took on its way is not worth a word.
    if event.recorded_at.since(event.occurred_at) > Span::from_secs(5)
        || event.occurred_at.since(event.recorded_at) > Span::from_secs(5)
    {
        words.push(format!("occurred {}", absolute(event.occurred_at)));
    }
    let first = FIRST.iter().filter_map(|key| event.data.get_key_value(*key));
    let rest = event.data.iter().filter(|(key, _)| !FIRST.contains(&key.as_str()));
    let rest = rest.filter(|(key, _)| !QUIET.contains(&key.as_str()));
    for (key, value) in first.chain(rest) {
        match (key.as_str(), value) {
            ("operation" | "subject" | "environment" | "outcome" | "worker", value)
                if !value.is_boolean() =>
            {
                words.extend(short_text(value));
            }
            ("dispatch", Value::Object(dispatch)) => {
                words.extend(
                    dispatch.get("queue").and_then(short_text).map(|q| format!("queue {q}")),
                );
            }
            ("verified_at", Value::Number(at)) => {
                let at = at.as_i64().map(|micros| absolute(Moment::from_micros(micros)));
                words.extend(at.map(|at| format!("verified {at}")));
            }
            // What an erasure names is for programs; how much it is, for people.
            ("bodies" | "positions" | "streams", Value::Array(named))
                if event.aggregate_type == "erasure" =>
            {
                words.push(format!("{} {key}", named.len()));
            }
            ("subject", Value::Bool(_)) => words.push("and the subject itself".to_owned()),
            ("expires_at", Value::Number(at)) => {
                let at = at.as_i64().map(|micros| absolute(Moment::from_micros(micros)));
                words.extend(at.map(|at| format!("until {at}")));
            }
            ("inferred", _) => words.push("inferred".to_owned()),
            (key, value) => {
                let key = key.replace('_', " ");
                words.extend(short_text(value).map(|text| format!("{key} {text}")));
            }
        }
    }
    words.join(" · ")
}

/// A value in a few words; none if it has more to say.
fn short_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
        Value::Array(items) if !items.is_empty() => {
            Some(items.iter().map(short_text).collect::<Option<Vec<_>>>()?.join(", "))
        }
        Value::Object(map) => match (map.get("type"), map.get("id")) {
            (Some(Value::String(kind)), Some(Value::String(id))) => Some(format!("{kind}/{id}")),
            _ if !map.is_empty() && map.len() <= 3 => {
                let pair = |(key, value): (&String, &Value)| {
                    short_text(value).map(|value| format!("{key} {value}"))
                };
                Some(map.iter().map(pair).collect::<Option<Vec<_>>>()?.join(" "))
            }
            _ => None,
        },
        Value::Null | Value::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said_of(kind: &str, data: Value) -> String {
        let line = json!({ "position": 7, "leaf_hash": "00", "event": {
            "aggregate_id": "0192a0f4-7bde-7c3a-8f51-0d6c9e41b7aa", "aggregate_type": "run",
            "data": data, "recorded_at": 0, "occurred_at": 0, "type": kind } });
        let line: Line = serde_json::from_value(line).unwrap();
        said(line.event.as_ref().unwrap())
    }

    #[test]
    fn an_event_says_what_matters_in_a_few_words() {
        let dispatched = json!({ "attempt": 1, "operation": "backup.set.create",
            "environment": "prod", "subject": { "type": "backup_set", "id": "wiki" },
            "dispatch": { "queue": "backups", "run_id": "x" }, "lifecycle": { "run_window": "2h" } });
        let said = said_of("run.dispatched", dispatched);
        assert_eq!(said, "backup.set.create · prod · backup_set/wiki · queue backups");
        let failed =
            json!({ "outcome": "failed", "reason_code": "disk_full", "message": "no\nroom" });
        assert_eq!(
            said_of("run.failed", failed),
            "failed · reason code disk_full · message no\nroom"
        );
        let progress = json!({ "progress": { "done": 3, "total": 9 } });
        assert_eq!(said_of("run.heartbeat", progress), "progress done 3 total 9");
    }

    #[test]
    fn an_erasure_says_how_much_it_is_about_and_a_tombstone_that_it_is_one() {
        let of = |aggregate: &str, data: Value, erased: Value| {
            let event = json!({ "aggregate_id": "x", "aggregate_type": aggregate, "data": data,
                "erased": erased, "recorded_at": 0, "occurred_at": 0, "type": "any" });
            said(&serde_json::from_value::<Event>(event).unwrap())
        };
        let bodies =
            json!([{ "position": 2, "tombstone": "00" }, { "position": 3, "tombstone": "01" }]);
        let executed = json!({ "bodies": bodies, "last": true, "part": 1 });
        assert_eq!(of("erasure", executed, Value::Null), "2 bodies · part 1");
        let asked = json!({ "reason": "asked", "subject": true, "streams": [{}, {}, {}] });
        let said = of("erasure", asked, Value::Null);
        assert_eq!(said, "and the subject itself · reason asked · 3 streams");
        let tombstone = json!({ "operation": "backup.set.create" });
        assert_eq!(of("run", tombstone, json!({ "part": 1 })), "erased · backup.set.create");
    }
}
