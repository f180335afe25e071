//! Judging: which runs a page may have changed the verdict of, and what proves it now.

use std::collections::{BTreeSet, HashMap};

use runledger_ledger::store::StoreError;
use runledger_ledger::subject::SubjectState;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, RunId};
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::counts::Changes;
use super::{Checkpoint, signed};
use crate::db::{Keys as _, Rows, Sought, Tx, on_tx};
use crate::fold::{Page, Seen, Tracked, row};
use crate::rules::actionability::{Evidence, Observation, Superseding};
use crate::tables::{Model, RunRow, load_runs, upsert_runs};

/// The evidence of open runs: the success that supersedes each (the one dispatched first; of
/// equals the one first in the log), and the latest observation of its subject in its scope.
const EVIDENCE: &str = "\
SELECT r.run_id,
       (SELECT s.run_id FROM runs AS s
        WHERE s.workspace_id = r.workspace_id AND s.generation = r.generation AND s.key = r.key
          AND s.success AND s.key IS NOT NULL AND s.dispatched_at > r.settled_at
        ORDER BY s.dispatched_at, s.first_position LIMIT 1),
       (SELECT s.dispatched_at FROM runs AS s
        WHERE s.workspace_id = r.workspace_id AND s.generation = r.generation AND s.key = r.key
          AND s.success AND s.key IS NOT NULL AND s.dispatched_at > r.settled_at
        ORDER BY s.dispatched_at, s.first_position LIMIT 1),
       (SELECT s.ended_at FROM runs AS s
        WHERE s.workspace_id = r.workspace_id AND s.generation = r.generation AND s.key = r.key
          AND s.success AND s.key IS NOT NULL AND s.dispatched_at > r.settled_at
        ORDER BY s.dispatched_at, s.first_position LIMIT 1),
       (SELECT o.state FROM subjects AS o WHERE o.workspace_id = r.workspace_id
            AND o.generation = r.generation AND o.subject_key = r.subject_key),
       (SELECT o.verified_at FROM subjects AS o WHERE o.workspace_id = r.workspace_id
            AND o.generation = r.generation AND o.subject_key = r.subject_key),
       (SELECT o.position FROM subjects AS o WHERE o.workspace_id = r.workspace_id
            AND o.generation = r.generation AND o.subject_key = r.subject_key)
FROM runs AS r";

type EvidenceRow =
    (Uuid, Option<Uuid>, Option<i64>, Option<i64>, Option<String>, Option<i64>, Option<i64>);

/// The runs whose verdict may have changed: open ones that the page touched, problems that its
/// successes supersede or no longer supersede, and problems of subjects that were observed.
pub(super) async fn affected(
    tx: &mut Tx,
    model: Model,
    page: &Page,
    rows: &[RunRow],
) -> Result<Vec<Uuid>, StoreError> {
    let mut affected: BTreeSet<Uuid> =
        rows.iter().filter(|row| row.open).map(|row| row.run_id).collect();
    let mut keys = BTreeSet::new();
    let mut earliest = i64::MAX;
    for row in rows {
        let before = page.runs.get(&row.id()).and_then(|tracked| tracked.before.as_ref());
        let speaks = |row: &RunRow| row.success.then(|| (row.key.clone(), row.dispatched_at));
        let (was, is) = (before.and_then(speaks), speaks(row));
        if was != is {
            for (key, dispatched_at) in was.into_iter().chain(is) {
                keys.extend(key);
                earliest = earliest.min(dispatched_at);
            }
        }
    }
    let keys: Vec<Vec<u8>> = keys.into_iter().collect();
    affected.extend(found(tx, sought(model, "key", UNSUPERSEDED), &keys, None).await?);
    affected.extend(found(tx, sought(model, "key", SUPERSEDED), &keys, Some(earliest)).await?);
    let subjects: Vec<Vec<u8>> = page.subjects.keys().map(|key| key.as_bytes().to_vec()).collect();
    let problems = sought(model, "subject_key", OPEN_SUBJECTS);
    affected.extend(found(tx, problems, &subjects, None).await?);
    Ok(affected.into_iter().collect())
}

/// The predicates of the indexes of the same names.
const UNSUPERSEDED: &str = " AND open AND superseded_by IS NULL AND key IS NOT NULL";
const SUPERSEDED: &str = " AND superseded_by IS NOT NULL";
const OPEN_SUBJECTS: &str = " AND open AND superseded_by IS NULL AND subject_key IS NOT NULL";

const fn sought(model: Model, column: &'static str, only: &'static str) -> Sought {
    Sought { table: "runs", column, model, only }
}

/// The runs that are sought by `keys`, of superseded ones those superseded at `since` or later.
async fn found(
    tx: &mut Tx,
    sought: Sought,
    keys: &[Vec<u8>],
    since: Option<i64>,
) -> Result<Vec<Uuid>, StoreError> {
    let mut all = Vec::new();
    for piece in tx.pieces(keys) {
        let found: Vec<(Uuid,)> = on_tx!(&mut *tx, |connection| {
            let mut query = QueryBuilder::<Db>::new("SELECT run_id FROM runs");
            Db::push_where(&mut query, sought, piece, |query| {
                if let Some(since) = since {
                    query.push(" AND superseded_at >= ").push_bind(since);
                }
            });
            query.build_query_as().fetch_all(connection).await?
        });
        all.extend(found.into_iter().map(|(id,)| id));
    }
    Ok(all)
}

/// Judges runs by what is recorded now, and writes those whose rows changed.
pub(super) async fn judge(
    tx: &mut Tx,
    now: &Checkpoint,
    ids: &[Uuid],
    changes: &mut Changes,
) -> Result<(), StoreError> {
    let evidence = evidence(tx, now.model, ids).await?;
    let mut changed = Vec::new();
    for before in load_runs(tx, now.model, ids).await? {
        let Some(evidence) = evidence.get(&before.run_id) else { continue };
        let mut page = Page::default();
        let id = before.id();
        page.give(before)?;
        let Some(tracked) = page.runs.remove(&id) else { continue };
        let row = row(id, &tracked, &now.catalog, &now.blind, evidence)?;
        let Tracked { before, .. } = tracked;
        if before.as_ref() != Some(&row) {
            changes.note(before.as_ref(), &row);
            changed.push(row);
        }
    }
    upsert_runs(tx, now.model, &changed).await
}

async fn evidence(
    tx: &mut Tx,
    model: Model,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Evidence>, StoreError> {
    let mut evidence = HashMap::with_capacity(ids.len());
    for piece in tx.pieces(ids) {
        let rows: Vec<EvidenceRow> = on_tx!(&mut *tx, |connection| {
            let mut query = QueryBuilder::<Db>::new(EVIDENCE);
            Db::push_where(&mut query, sought(model, "run_id", " AND open"), piece, |_| {});
            query.build_query_as().fetch_all(connection).await?
        });
        for (id, run, dispatched_at, ended_at, state, verified_at, position) in rows {
            let superseding = run.zip(dispatched_at).map(|(run, at)| Superseding {
                run_id: RunId(run),
                dispatched_at: Moment::from_micros(at),
                ended_at: Moment::from_micros(ended_at.unwrap_or(at)),
            });
            let observation = match (state, verified_at, position) {
                (Some(state), Some(verified_at), Some(position)) => Some(Observation {
                    state: state
                        .parse::<SubjectState>()
                        .map_err(|error| StoreError::Corrupt(error.to_string()))?,
                    verified_at: Moment::from_micros(verified_at),
                    position: u64::try_from(position).unwrap_or_default(),
                }),
                _ => None,
            };
            evidence.insert(id, Evidence { superseding, observation });
        }
    }
    Ok(evidence)
}

const NEWER: &str = " ON CONFLICT (workspace_id, generation, subject_key) DO UPDATE SET \
     state = excluded.state, verified_at = excluded.verified_at, position = excluded.position \
     WHERE excluded.verified_at >= subjects.verified_at";

/// Keeps the latest observation of each subject: the greatest time, of equals the last recorded.
pub(super) async fn write_subjects(
    tx: &mut Tx,
    model: Model,
    subjects: &HashMap<Uuid, Seen>,
) -> Result<(), StoreError> {
    let keys = subjects.keys().map(|key| &key.as_bytes()[..]);
    let names: Vec<String> = subjects.values().map(|seen| seen.key.subject.to_string()).collect();
    let environments = subjects.values().map(|seen| seen.key.environment.as_ref());
    Rows::of("subjects", model)
        .with("subject_key", keys)
        .with("environment", environments.map(|name| name.map_or("", Name::as_str)))
        .with("subject", names.iter().map(String::as_str))
        .with("state", subjects.values().map(|seen| seen.state))
        .with("verified_at", subjects.values().map(|seen| seen.verified_at.micros()))
        .with("position", subjects.values().map(|seen| signed(seen.position)))
        .write(tx, NEWER)
        .await
}
