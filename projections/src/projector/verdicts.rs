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
use crate::db::{Tx, on_tx, pieces, push_list};
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
       o.state, o.verified_at, o.position
FROM runs AS r
LEFT JOIN subjects AS o ON o.workspace_id = r.workspace_id AND o.generation = r.generation
     AND o.subject_key = r.subject_key
WHERE r.open AND r.workspace_id = ";

type EvidenceRow = (Uuid, Option<Uuid>, Option<i64>, Option<String>, Option<i64>, Option<i64>);

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
    for piece in pieces(&keys) {
        let found: Vec<(Uuid,)> = on_tx!(&mut *tx, |connection| {
            let mut query =
                QueryBuilder::<Db>::new("SELECT run_id FROM runs WHERE workspace_id = ");
            query.push_bind(model.workspace.0).push(" AND generation = ");
            query.push_bind(model.generation);
            query.push(" AND open AND superseded_by IS NULL AND key IS NOT NULL AND key IN ");
            push_list!(query, piece);
            query.push(" UNION SELECT run_id FROM runs WHERE workspace_id = ");
            query.push_bind(model.workspace.0).push(" AND generation = ");
            query.push_bind(model.generation).push(" AND superseded_by IS NOT NULL AND key IN ");
            push_list!(query, piece);
            query.push(" AND superseded_at >= ").push_bind(earliest);
            query.build_query_as().fetch_all(connection).await?
        });
        affected.extend(found.into_iter().map(|(id,)| id));
    }
    let subjects: Vec<Vec<u8>> = page.subjects.keys().map(|key| key.as_bytes().to_vec()).collect();
    for piece in pieces(&subjects) {
        let found: Vec<(Uuid,)> = on_tx!(&mut *tx, |connection| {
            let mut query =
                QueryBuilder::<Db>::new("SELECT run_id FROM runs WHERE workspace_id = ");
            query.push_bind(model.workspace.0).push(" AND generation = ");
            query.push_bind(model.generation);
            query.push(" AND open AND superseded_by IS NULL AND subject_key IS NOT NULL");
            query.push(" AND subject_key IN ");
            push_list!(query, piece);
            query.build_query_as().fetch_all(connection).await?
        });
        affected.extend(found.into_iter().map(|(id,)| id));
    }
    Ok(affected.into_iter().collect())
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
    for piece in pieces(ids) {
        let rows: Vec<EvidenceRow> = on_tx!(&mut *tx, |connection| {
            let mut query = QueryBuilder::<Db>::new(EVIDENCE);
            query.push_bind(model.workspace.0).push(" AND r.generation = ");
            query.push_bind(model.generation).push(" AND r.run_id IN ");
            push_list!(query, piece);
            query.build_query_as().fetch_all(connection).await?
        });
        for (id, run, dispatched_at, state, verified_at, position) in rows {
            let superseding = run.zip(dispatched_at).map(|(run, at)| Superseding {
                run_id: RunId(run),
                dispatched_at: Moment::from_micros(at),
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

/// The superseding success that a row names.
pub(super) fn superseding(row: &RunRow) -> Evidence {
    let superseding = row.superseded_by.zip(row.superseded_at).map(|(run, at)| Superseding {
        run_id: RunId(run),
        dispatched_at: Moment::from_micros(at),
    });
    Evidence { superseding, observation: None }
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
    let subjects: Vec<(&Uuid, &Seen)> = subjects.iter().collect();
    for piece in pieces(&subjects) {
        on_tx!(&mut *tx, |connection| {
            let mut query = QueryBuilder::<Db>::new(
                "INSERT INTO subjects (workspace_id, generation, subject_key, environment, \
                 subject, state, verified_at, position) ",
            );
            query.push_values(piece, |mut values, (key, seen)| {
                let environment = seen.key.environment.as_ref().map_or("", Name::as_str);
                values
                    .push_bind(model.workspace.0)
                    .push_bind(model.generation)
                    .push_bind(key.as_bytes().to_vec())
                    .push_bind(environment.to_owned())
                    .push_bind(seen.key.subject.to_string())
                    .push_bind(seen.state)
                    .push_bind(seen.verified_at.micros())
                    .push_bind(signed(seen.position));
            });
            query.push(NEWER);
            query.build().execute(connection).await?;
        });
    }
    Ok(())
}
