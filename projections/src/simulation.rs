//! The policy simulator: what would have been judged differently under another catalog.
//!
//! The log is replayed once, into two scratch databases side by side: as it was judged, and as the
//! other catalog would have had it from the first event on. Nothing of the ledger is changed, and
//! memory holds a page of events and a page of runs, however long the log is.

mod rewrite;

use std::collections::BTreeMap;
use std::sync::Arc;

use runledger_ledger::catalog::{Catalog, Lifecycle, Operation};
use runledger_ledger::event::Recorded;
use runledger_ledger::run::Run;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, RunId, WorkspaceId};
use serde::{Deserialize, Serialize};

use self::rewrite::Under;
use crate::ahead::Ahead;
use crate::as_of::{self, AsOf, Replayed};
use crate::follower;
use crate::projections::Projections;
use crate::projector::{self, ProjectionError};
use crate::rules::rfc3339;
use crate::rules::standing::Standing;
use crate::tables::{RunRow, Which, page_of_runs};
use crate::view::{Reading, View, ViewError};

/// Runs that are compared at a time.
const PAGE: i64 = 500;

/// What another catalog would have changed, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulation {
    /// The moment at which both are judged.
    #[serde(with = "rfc3339")]
    pub at: Moment,
    /// Events that were replayed.
    pub events: u64,
    /// Runs that were compared.
    pub runs: u64,
    /// The catalogs as they were in force, the last of them by its hash.
    pub present: Judged,
    /// The other catalog.
    pub other: Judged,
    /// Runs that would have been judged differently.
    pub differing: u64,
    /// How many of them differ in what.
    pub by_field: BTreeMap<String, u64>,
    /// The first of them, in the order of their ids.
    pub differences: Vec<Differing>,
    /// How many more there are.
    pub more: u64,
}

/// What was judged by one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// SHA-256 of the catalog, in hexadecimal.
    pub catalog_sha256: String,
    /// Runs that need a person.
    pub follow_ups: u64,
    /// Runs that are past their window.
    pub stale: u64,
}

/// A run that would have been judged differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differing {
    /// Which one.
    pub run_id: RunId,
    /// Its operation, as it is recorded.
    pub operation: String,
    /// What differs.
    pub differences: Vec<Sides>,
    /// The rules for this run that differ. None: it is other runs (of its queue, or a later success) that are
    /// judged differently, and this one with them.
    pub why: Vec<Sides>,
}

/// One thing under both catalogs. Where a side has none, it is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sides {
    /// Which thing.
    pub field: String,
    /// As it was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<String>,
    /// As the other catalog has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
}

impl Projections {
    /// Replays the log of `workspace` up to a moment under `other`, and compares every run with how
    /// it was judged. At most `limit` runs are listed; `progress` is told how many events of how
    /// many are replayed.
    ///
    /// # Errors
    /// If there is no such workspace or moment, or the log cannot be replayed.
    pub async fn simulate(
        &self,
        workspace: WorkspaceId,
        as_of: AsOf,
        other: &Arc<Catalog>,
        limit: usize,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Simulation, ViewError> {
        let (size, at) = self.moment(workspace, as_of).await?;
        let mut present = as_of::begin(workspace).await?;
        let mut changed = as_of::begin(workspace).await?;
        changed.checkpoint.catalog = Arc::clone(other);
        let mut under = Under::new(Arc::clone(other));
        let mut ahead = Ahead::new(self.store(), workspace, follower::PAGE);
        while present.checkpoint.position < size {
            let position = present.checkpoint.position;
            let events = ahead.page(position, size).await?;
            if events.is_empty() {
                let problem = format!("the log ends before position {size}");
                return Err(ProjectionError::Parked { position, problem }.into());
            }
            let rewritten = events.iter().map(|event| under.rewrite(event));
            let rewritten = rewritten.collect::<Result<Vec<Recorded>, _>>()?;
            fold(&mut present, events).await?;
            fold(&mut changed, rewritten).await?;
            progress(present.checkpoint.position, size);
        }
        let present = self.scratch_view(present, size, at);
        let changed = self.scratch_view(changed, size, at);
        compare(&present, &changed, limit).await
    }
}

async fn fold(side: &mut Replayed, events: Vec<Recorded>) -> Result<(), ProjectionError> {
    side.checkpoint = projector::project(&side.store, &side.checkpoint, events).await?;
    Ok(())
}

async fn compare(present: &View, other: &View, limit: usize) -> Result<Simulation, ViewError> {
    let (mut left, mut right) = (present.read().await?, other.read().await?);
    let catalog = |reading: &Reading| Judged {
        catalog_sha256: hex::encode(reading.checkpoint.catalog.sha256()),
        follow_ups: 0,
        stale: 0,
    };
    let mut found = Simulation {
        at: present.at(),
        events: present.position(),
        runs: 0,
        present: catalog(&left),
        other: catalog(&right),
        differing: 0,
        by_field: BTreeMap::new(),
        differences: Vec::new(),
        more: 0,
    };
    let mut after = None;
    loop {
        let model = left.model();
        let rows = page_of_runs(&mut left.tx, model, Which::All, after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(found) };
        after = Some((0, last.run_id));
        let ids: Vec<_> = rows.iter().map(|row| row.run_id).collect();
        let others = right.rows(&ids).await?;
        let standings = left.standings(&rows).await?;
        let other_standings = right.standings(&others).await?;
        let sides = rows.iter().zip(&standings).zip(others.iter().zip(&other_standings));
        for ((row, standing), (other_row, other_standing)) in sides {
            let one = Side { row, standing, reading: &left };
            let two = Side { row: other_row, standing: other_standing, reading: &right };
            found.note(&one, &two, limit)?;
        }
    }
}

/// One run as one side has it.
struct Side<'a> {
    row: &'a RunRow,
    standing: &'a Standing,
    reading: &'a Reading,
}

impl Simulation {
    fn note(&mut self, one: &Side<'_>, two: &Side<'_>, limit: usize) -> Result<(), ViewError> {
        self.runs += 1;
        self.present.count(one.standing);
        self.other.count(two.standing);
        let differences = differing(one.judged(), two.judged());
        if differences.is_empty() {
            return Ok(());
        }
        self.differing += 1;
        for Sides { field, .. } in &differences {
            *self.by_field.entry(field.clone()).or_default() += 1;
        }
        if self.differences.len() >= limit {
            self.more += 1;
            return Ok(());
        }
        let why = differing(one.rules()?, two.rules()?);
        let (run_id, operation) = (one.row.id(), one.row.operation.clone());
        self.differences.push(Differing { run_id, operation, differences, why });
        Ok(())
    }
}

impl Judged {
    fn count(&mut self, standing: &Standing) {
        self.follow_ups += u64::from(standing.now.follow_up);
        self.stale += u64::from(standing.now.freshness.is_stale());
    }
}

type Fields = Vec<(&'static str, Option<String>)>;

impl Side<'_> {
    /// What is judged of a run.
    fn judged(&self) -> Fields {
        let Side { row, standing, reading } = self;
        let now = &standing.now;
        let given_up = row.abandon_at.is_some_and(|at| at <= reading.at.micros());
        let proof = now.actionability.proof.as_ref().and_then(word);
        vec![
            ("operation", Some(row.operation.clone())),
            ("family", Some(row.family.clone())),
            ("freshness", word(&now.freshness)),
            ("given_up", Some(given_up.to_string())),
            ("queue", now.queue.and_then(|queue| word(&queue.verdict))),
            ("actionability", word(&now.actionability.status)),
            ("reason", now.actionability.reason.clone()),
            ("proof", proof),
            ("follow_up", Some(now.follow_up.to_string())),
            ("guidance", word(&now.guidance.key)),
        ]
    }

    /// By which rules. The windows are those of the run: its dispatch has fixed them.
    fn rules(&self) -> Result<Fields, ViewError> {
        let run: Run = self.row.run()?;
        let name = run.operation.as_ref().map_or("", Name::as_str);
        let Operation { family, family_name, .. } = self.reading.checkpoint.catalog.operation(name);
        let Lifecycle { queue_window, run_window, abandon_after } = run.lifecycle;
        let span = |span: Option<Span>| span.map(|span| span.to_string());
        Ok(vec![
            ("operation", Some(name.to_owned())),
            ("family", Some(family_name.to_owned())),
            ("supersession", word(&family.supersession)),
            ("current_state", word(&family.current_state)),
            ("review", word(&family.review)),
            ("informational", Some(family.informational.to_string())),
            ("queue_window", span(queue_window)),
            ("run_window", span(run_window)),
            ("abandon_after", span(abandon_after)),
        ])
    }
}

/// How JSON tells a value: a word as it is, anything else as its text.
fn word(value: &impl Serialize) -> Option<String> {
    match serde_json::to_value(value).ok()? {
        serde_json::Value::String(word) => Some(word),
        serde_json::Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn differing(present: Fields, other: Fields) -> Vec<Sides> {
    let pairs = present.into_iter().zip(other);
    let differing = pairs.filter(|((_, present), (_, other))| present != other);
    differing
        .map(|((field, present), (_, other))| Sides { field: field.to_owned(), present, other })
        .collect()
}
