//! What the events of a workspace, of its erasures and its archives say of who did what with it, and how it
//! stood at the end: the access log of a pack, its erasures, and a snapshot of who may do what.

use std::collections::BTreeMap;

use runledger_ledger::access::AccessThen;
use runledger_ledger::archive::ArchiveEvent;
use runledger_ledger::erasure::ErasureEvent;
use runledger_ledger::event::{AggregateType, AnyEvent, Recorded};
use runledger_ledger::fact::EventKind;
use runledger_ledger::time::Moment;
use runledger_ledger::workspace::WorkspaceEvent;
use serde_json::{Value, json};
use uuid::Uuid;

use super::csv::line;
use super::derived::{actor, json_line, leaf};
use super::spool::{Growing, Spool};

const ERASURES_CSV: &str = "# A copy for people, not authoritative: what counts are the entries themselves.\n\
    position,recorded_at,erasure,step,actor,legal_basis,reason,bodies\n";

/// What was done with erasures, for people.
#[derive(Debug)]
pub(super) struct Erasures(Growing);

impl Erasures {
    pub(super) fn new() -> anyhow::Result<Self> {
        let mut file = Growing::new()?;
        file.add(ERASURES_CSV.as_bytes())?;
        Ok(Erasures(file))
    }

    pub(super) fn take(&mut self, event: &Recorded) -> anyhow::Result<()> {
        let AnyEvent::Erasure(told) = &event.fact.event else { return Ok(()) };
        let (basis, reason, bodies) = match told {
            ErasureEvent::Requested(asked) => {
                (asked.legal_basis.to_string(), asked.reason.to_string(), asked.events)
            }
            ErasureEvent::Approved(approved) => {
                let said = approved.reason.as_ref().or(approved.note.as_ref());
                (String::new(), said.map(ToString::to_string).unwrap_or_default(), 0)
            }
            ErasureEvent::Executed(part) => {
                (String::new(), String::new(), part.bodies.len() as u64)
            }
            ErasureEvent::Completed(done) => (String::new(), String::new(), done.bodies),
        };
        let cells = [
            event.position.to_string(),
            event.fact.recorded_at.to_string(),
            event.stream.id.to_string(),
            told.event_type().as_str().to_owned(),
            actor(event).unwrap_or_default(),
            basis,
            reason,
            bodies.to_string(),
        ];
        Ok(self.0.add(line(&cells).as_bytes())?)
    }

    pub(super) fn finish(self, spool: &mut Spool) -> anyhow::Result<()> {
        Ok(spool.keep("erasures.csv", self.0)?)
    }
}

/// What only the whole log tells.
#[derive(Debug)]
pub(super) struct Told {
    /// What was recorded then or later, and before.
    between: (Option<Moment>, Option<Moment>),
    access_log: Growing,
    rotations: Growing,
    access: AccessThen,
    keys: Value,
    archives: BTreeMap<Uuid, Value>,
    /// Erasures that were carried out to the end, and their bodies.
    erased: BTreeMap<Uuid, u64>,
    /// Sizes of checkpoints with a timestamp.
    stamped: Vec<u64>,
}

impl Told {
    pub(super) fn new(between: (Option<Moment>, Option<Moment>)) -> anyhow::Result<Self> {
        Ok(Told {
            between,
            access_log: Growing::new()?,
            rotations: Growing::new()?,
            access: AccessThen::default(),
            keys: Value::Null,
            archives: BTreeMap::new(),
            erased: BTreeMap::new(),
            stamped: Vec::new(),
        })
    }

    /// Sizes of checkpoints of which somebody else has said when they were there.
    pub(super) fn stamped(&self) -> &[u64] {
        &self.stamped
    }

    pub(super) fn take(
        &mut self,
        spool: &mut Spool,
        body: &[u8],
        event: &Recorded,
    ) -> anyhow::Result<()> {
        let of_people = [AggregateType::Workspace, AggregateType::Erasure, AggregateType::Archive];
        if !of_people.contains(&event.stream.kind) {
            return Ok(());
        }
        let (at, (from, to)) = (event.fact.recorded_at, self.between);
        if from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to) {
            self.access_log.add(&json_line(&entry(body, event)?)?)?;
        }
        match &event.fact.event {
            AnyEvent::Workspace(told) => self.of_workspace(spool, body, event, told)?,
            AnyEvent::Erasure(ErasureEvent::Completed(done)) => {
                self.erased.insert(event.stream.id, done.bodies);
            }
            AnyEvent::Archive(told) => self.of_archive(event.stream.id, told),
            _ => {}
        }
        Ok(())
    }

    fn of_workspace(
        &mut self,
        spool: &mut Spool,
        body: &[u8],
        event: &Recorded,
        told: &WorkspaceEvent,
    ) -> anyhow::Result<()> {
        self.access.take(told, event.fact.recorded_at);
        match told {
            WorkspaceEvent::KeyRotated(rotated) => {
                self.keys = json!(rotated.keys);
                self.rotations.add(&json_line(&entry(body, event)?)?)?;
            }
            WorkspaceEvent::CheckpointAccepted(_) => {
                self.rotations.add(&json_line(&entry(body, event)?)?)?;
            }
            WorkspaceEvent::CheckpointTimestamped(stamped) => {
                let name = format!("timestamps/{:020}-{}", stamped.size, event.position);
                spool.add(format!("{name}.note"), stamped.note.as_bytes())?;
                spool.add(format!("{name}.tsr"), &stamped.answer().unwrap_or_default())?;
                self.stamped.push(stamped.size);
            }
            _ => {}
        }
        Ok(())
    }

    fn of_archive(&mut self, id: Uuid, told: &ArchiveEvent) {
        match told {
            ArchiveEvent::Ordered(ordered) => {
                let archive = json!({
                    "archive": id, "digest": ordered.digest, "from": ordered.from,
                    "state": "ordered", "to": ordered.to,
                });
                self.archives.insert(id, archive);
            }
            ArchiveEvent::Dropped(_) => self.archive_is(id, "archived"),
            ArchiveEvent::Restored(_) => self.archive_is(id, "restored"),
        }
    }

    fn archive_is(&mut self, id: Uuid, state: &str) {
        if let Some(archive) = self.archives.get_mut(&id) {
            archive["state"] = json!(state);
        }
    }

    /// Adds the files. `catalog` is the one in force, and `at` when the last event was recorded.
    pub(super) fn finish(
        self,
        spool: &mut Spool,
        catalog: Option<&Value>,
        at: Moment,
    ) -> anyhow::Result<()> {
        let roles: Vec<Value> = self
            .access
            .clone()
            .members()
            .into_iter()
            .map(|member| {
                json!({
                    "environments": member.environments, "kind": member.kind.as_str(),
                    "name": member.name, "role": member.role.as_str(),
                    "since": member.since.to_string(),
                })
            })
            .collect();
        let time = |at: Option<Moment>| at.map(|at| at.to_string());
        let tokens: Vec<Value> = self
            .access
            .tokens()
            .into_iter()
            .map(|token| {
                json!({
                    "created_at": token.created_at.to_string(), "expires_at": time(token.expires_at),
                    "holder": token.holder, "kind": token.kind.as_str(),
                    "revoked_at": time(token.revoked_at), "token": token.token,
                })
            })
            .collect();
        let archives: Vec<Value> = self.archives.into_values().collect();
        let erased: Vec<Value> = self
            .erased
            .iter()
            .map(|(erasure, bodies)| json!({ "bodies": bodies, "erasure": erasure }))
            .collect();
        let snapshot = json!({
            "as_of": at.to_string(),
            "catalog": catalog,
            "keys": self.keys,
            "redaction": { "erasures": erased },
            "retention": { "archives": archives, "log": "kept for ever" },
            "roles": roles,
            "tokens": tokens,
        });
        spool.keep("access-log.ndjson", self.access_log)?;
        spool.keep("trust/key-rotations.ndjson", self.rotations)?;
        let mut bytes = runledger_ledger::canonical::to_bytes(&snapshot)?;
        bytes.push(b'\n');
        Ok(spool.add("config-snapshot.json", &bytes)?)
    }
}

/// What an event says, without what stands elsewhere in the pack or is long: catalogs, tokens of
/// authorities, the bodies that an erasure names.
fn entry(body: &[u8], event: &Recorded) -> anyhow::Result<Value> {
    let stored: Value = serde_json::from_slice(body)?;
    let mut data = stored["data"].clone();
    if let Some(data) = data.as_object_mut() {
        for long in ["bodies", "content"] {
            data.remove(long);
        }
        if matches!(event.fact.event, AnyEvent::Workspace(WorkspaceEvent::CheckpointTimestamped(_)))
        {
            data.remove("note");
            data.remove("token");
        }
    }
    Ok(json!({
        "actor": stored["actor"],
        "data": data,
        "leaf_hash": leaf(body),
        "position": event.position,
        "recorded_at": event.fact.recorded_at.to_string(),
        "type": event.fact.event.event_type().as_str(),
    }))
}
