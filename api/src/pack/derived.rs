//! The files of a pack that follow from its events: who has the events derives them again, byte by
//! byte.

use std::collections::HashSet;

use anyhow::Context;
use runledger_ledger::canonical;
use runledger_ledger::event::{AnyEvent, Recorded};
use runledger_ledger::fact::EventKind;
use runledger_ledger::run::{FollowUpRecord, RunEvent};
use runledger_ledger::time::Moment;
use runledger_ledger::words::RunId;
use runledger_ledger::workspace::WorkspaceEvent;
use runledger_projections::{Derivation, VERSION};
use runledger_proof::erasure;
use runledger_proof::merkle::leaf_hash;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::csv::line;
use super::spool::{Growing, Spool};
use super::told::{Erasures, Told};

/// Events that are folded at a time.
const PAGE: usize = 1_000;

const EVENTS_CSV: &str = "# A copy for people, not authoritative: what counts are the entries themselves.\n\
    position,recorded_at,occurred_at,type,stream,actor,leaf_hash\n";
const FOLLOW_UPS_CSV: &str = "# A copy for people, not authoritative: what counts are the entries themselves.\n\
    position,recorded_at,run,action,by,reason,note,actor\n";

/// What follows from events that are handed in, in the order of their log.
#[derive(Debug)]
pub(super) struct Derived {
    events: Growing,
    decisions: Growing,
    decisions_for_people: Growing,
    erasures: Erasures,
    /// Only of the whole log: what else follows from it.
    log: Option<Log>,
}

/// What follows only from all events.
#[derive(Debug)]
struct Log {
    derivation: Derivation,
    /// Not yet folded.
    page: Vec<Recorded>,
    catalogs: Vec<Value>,
    told: Told,
    last: Option<Moment>,
    /// The runs that were asked for; none is all.
    chosen: Option<HashSet<RunId>>,
}

impl Derived {
    /// Of all events of a log, some of which may be `chosen`: the others only say what became of
    /// those. The access log tells of what was recorded `between` two moments.
    pub(super) async fn of_log(
        whole: bool,
        between: (Option<Moment>, Option<Moment>),
    ) -> anyhow::Result<Self> {
        let derivation = Derivation::begin().await?;
        let (chosen, told) = ((!whole).then(HashSet::new), Told::new(between)?);
        let (page, catalogs) = (Vec::new(), Vec::new());
        let log = Log { derivation, page, catalogs, told, last: None, chosen };
        Ok(Derived { log: Some(log), ..Derived::of_selection()? })
    }

    /// Of some events only: what became of them is not known.
    pub(super) fn of_selection() -> anyhow::Result<Self> {
        let (mut events, mut people) = (Growing::new()?, Growing::new()?);
        events.add(EVENTS_CSV.as_bytes())?;
        people.add(FOLLOW_UPS_CSV.as_bytes())?;
        let decisions = Growing::new()?;
        let erasures = Erasures::new()?;
        Ok(Derived { events, decisions, decisions_for_people: people, erasures, log: None })
    }

    /// Sizes of checkpoints of which somebody else has said when they were there.
    pub(super) fn stamped(&self) -> Vec<u64> {
        self.log.as_ref().map(|log| log.told.stamped().to_vec()).unwrap_or_default()
    }

    /// Takes in the next event.
    pub(super) async fn take(
        &mut self,
        spool: &mut Spool,
        body: &[u8],
        event: Recorded,
        chosen: bool,
    ) -> anyhow::Result<()> {
        if chosen {
            self.events.add(row(body, &event).as_bytes())?;
            self.erasures.take(&event)?;
            if let Some(decision) = Decision::of(&event) {
                self.decisions.add(&json_line(&decision)?)?;
                self.decisions_for_people.add(decision.for_people().as_bytes())?;
            }
        }
        let Some(log) = &mut self.log else { return Ok(()) };
        log.catalog(spool, &event)?;
        log.told.take(spool, body, &event)?;
        if let (true, Some(runs), Some(run)) = (chosen, &mut log.chosen, event.stream.run_id()) {
            runs.insert(run);
        }
        log.last = Some(event.fact.recorded_at);
        log.page.push(event);
        if log.page.len() == PAGE {
            log.derivation.fold(std::mem::take(&mut log.page)).await?;
        }
        Ok(())
    }

    /// Adds the files.
    pub(super) async fn finish(self, spool: &mut Spool) -> anyhow::Result<()> {
        let Derived { events, decisions, decisions_for_people, erasures, log } = self;
        spool.keep("events.csv", events)?;
        erasures.finish(spool)?;
        spool.keep("follow-ups.csv", decisions_for_people)?;
        spool.keep("follow-ups.ndjson", decisions)?;
        match log {
            Some(log) => log.finish(spool).await,
            None => Ok(()),
        }
    }
}

impl Log {
    /// A catalog that was published: by what rules was judged from then on.
    fn catalog(&mut self, spool: &mut Spool, event: &Recorded) -> anyhow::Result<()> {
        let AnyEvent::Workspace(WorkspaceEvent::CatalogPublished(catalog)) = &event.fact.event
        else {
            return Ok(());
        };
        let name = format!("catalogs/{:020}.toml", event.position);
        spool.add(&name, catalog.content.as_bytes())?;
        self.catalogs.push(json!({
            "file": name,
            "in_force_from": event.position,
            "recorded_at": event.fact.recorded_at.to_string(),
            "sha256": catalog.sha256,
        }));
        Ok(())
    }

    async fn finish(mut self, spool: &mut Spool) -> anyhow::Result<()> {
        spool.add("catalogs/in-force.json", &canonical::to_bytes(&json!(self.catalogs))?)?;
        self.derivation.fold(std::mem::take(&mut self.page)).await?;
        let Log { derivation, last, chosen, catalogs, told, .. } = self;
        let at = last.unwrap_or(Moment::EPOCH);
        told.finish(spool, catalogs.last(), at)?;
        let (mut standings, mut digest, mut runs) = (Growing::new()?, Sha256::new(), 0_u64);
        let mut after = None;
        loop {
            let page = derivation.standings(at, after).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.run_id);
            for standing in &page {
                let bytes = json_line(standing)?;
                digest.update(&bytes);
                runs += 1;
                if chosen.as_ref().is_none_or(|runs| runs.contains(&standing.run_id)) {
                    standings.add(&bytes)?;
                }
            }
        }
        let (mut queues, mut count) = (Growing::new()?, 0_u64);
        for queue in derivation.queues(at).await? {
            let bytes = json_line(&queue)?;
            digest.update(&bytes);
            queues.add(&bytes)?;
            count += 1;
        }
        spool.keep("projections/standings.ndjson", standings)?;
        spool.keep("projections/queues.ndjson", queues)?;
        let state = json!({
            "as_of": at.to_string(),
            "projector_version": VERSION,
            "queues": count,
            "runs": runs,
            "state_digest": hex::encode(digest.finalize()),
        });
        Ok(spool.add("projections/state.json", &canonical::to_bytes(&state)?)?)
    }
}

/// A value in its canonical form, on a line of its own.
pub(super) fn json_line(value: &impl Serialize) -> anyhow::Result<Vec<u8>> {
    let value = serde_json::to_value(value)?;
    let mut bytes = canonical::to_bytes(&value).context("it has no canonical form")?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn row(body: &[u8], event: &Recorded) -> String {
    line(&[
        event.position.to_string(),
        event.fact.recorded_at.to_string(),
        event.fact.occurred_at.to_string(),
        event.fact.event.event_type().as_str().to_owned(),
        format!("{} {}", event.stream.kind, event.stream.id),
        actor(event).unwrap_or_default(),
        leaf(body),
    ])
}

/// The leaf hash of a body; of a tombstone, whose hash is another one, that it is one.
pub(super) fn leaf(body: &[u8]) -> String {
    match erasure::mark(body) {
        None => hex::encode(leaf_hash(body)),
        Some(mark) => format!("erased {}", mark.erasure),
    }
}

pub(super) fn actor(event: &Recorded) -> Option<String> {
    event.actor.as_ref().map(|actor| format!("{} {}", actor.kind, actor.id))
}

/// What a person decided about a follow-up.
#[derive(Serialize)]
struct Decision {
    position: u64,
    recorded_at: String,
    run_id: Option<RunId>,
    action: &'static str,
    by: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Who handed it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
}

impl Decision {
    fn of(event: &Recorded) -> Option<Decision> {
        let AnyEvent::Run(happened) = &event.fact.event else { return None };
        let (action, said) = match happened {
            RunEvent::FollowUpResolved(said) => ("resolved", said),
            RunEvent::FollowUpReopened(said) => ("reopened", said),
            _ => return None,
        };
        let FollowUpRecord { by, reason, note } = said;
        Some(Decision {
            position: event.position,
            recorded_at: event.fact.recorded_at.to_string(),
            run_id: event.stream.run_id(),
            action,
            by: by.to_string(),
            reason: reason.to_string(),
            note: note.as_ref().map(ToString::to_string),
            actor: actor(event),
        })
    }

    fn for_people(&self) -> String {
        line(&[
            self.position.to_string(),
            self.recorded_at.clone(),
            self.run_id.map(|run| run.to_string()).unwrap_or_default(),
            self.action.to_owned(),
            self.by.clone(),
            self.reason.clone(),
            self.note.clone().unwrap_or_default(),
            self.actor.clone().unwrap_or_default(),
        ])
    }
}
