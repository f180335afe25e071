//! The projector: folds a workspace's log, in order, into the rows of one generation of its read
//! models. Rows and checkpoint commit in one transaction, so each event takes effect once.
//!
//! A page costs a constant number of queries. It writes what it touched, then looks for the runs
//! whose verdict may have changed because of it (problems that a success supersedes, or whose
//! subject was observed), and judges those by the one function of `rules::actionability`.

mod counts;
mod queues;
mod rows;
mod sweep;
mod verdicts;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use runledger_ledger::catalog::Catalog;
use runledger_ledger::event::{AnyEvent, Recorded};
use runledger_ledger::store::{Store, StoreError, StoredEvent};
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;
use runledger_ledger::workspace::WorkspaceEvent;
use uuid::Uuid;

use self::sweep::Sweep;
use crate::db::{Tx, on_store, on_tx};
use crate::fold::{Page, Tracked};
use crate::rules::actionability::Evidence;
use crate::rules::blind::BlindTime;
use crate::tables::{Model, RunRow, load_runs};

/// The version of the projector. Read models that an older version made are built anew; those of a
/// newer one are left to it, so that servers of two versions do not build against each other.
pub const VERSION: i64 = 2;

/// How far a generation of a workspace's read models has come, and what folding needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) model: Model,
    pub(crate) version: i64,
    pub(crate) live: bool,
    /// Events folded so far: the next position.
    pub(crate) position: u64,
    pub(crate) recorded_at: Moment,
    pub(crate) catalog_position: Option<u64>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) blind: BlindTime,
    pub(crate) failure: Option<String>,
    /// How far the rows are those of the catalog that comes next, if that has begun.
    sweep: Option<String>,
}

/// Why a page was not folded.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// Another follower is there first. Nothing was written.
    #[error("another follower advances these read models")]
    NotAlone,
    /// Somebody else derives these read models anew at the moment. Nothing was done.
    #[error(
        "these read models are being rebuilt already; wait until that is done (a rebuild that was \
         killed counts as running for ten seconds more)"
    )]
    Rebuilding,
    /// A newer version of the program has made these read models, and this one leaves them alone.
    #[error(
        "these read models are of version {version}, and this program makes version {VERSION}; \
         use the newer program"
    )]
    Newer {
        /// The version that they are of.
        version: i64,
    },
    /// An event cannot be read or folded. The read model stays where it is, visibly.
    #[error("the event at position {position} cannot be folded: {problem}")]
    Parked {
        /// The event's place in the log.
        position: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no such workspace, or nothing has been derived for it yet.
    #[error("there are no read models of this workspace yet")]
    NoModel,
    /// The database failed.
    #[error("the read models could not be read or written")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ProjectionError {
    fn from(error: sqlx::Error) -> Self {
        ProjectionError::Store(error.into())
    }
}

/// What a reader finds of the live generation.
pub(crate) enum Seen {
    /// Nothing has been derived yet.
    Nothing,
    /// It is here.
    Here(Checkpoint),
    /// Another catalog has come into force: look at the live checkpoint anew.
    OtherCatalog,
}

const COLUMNS: &str = "SELECT generation, version, live, position, recorded_at, \
     catalog_position, blind, failure, sweep FROM projections WHERE workspace_id = $1";
const LIVE: &str = "SELECT generation, version, live, position, recorded_at, \
     catalog_position, blind, failure, sweep FROM projections WHERE workspace_id = $1 AND live";
const CREATE: &str = "INSERT INTO projections (workspace_id, generation, version, live, position, \
     recorded_at, blind) VALUES ($1, $2, $3, $4, 0, 0, '[]') ON CONFLICT DO NOTHING";
const ADVANCE: &str = "UPDATE projections SET position = $4, recorded_at = $5, \
     catalog_position = $6, blind = $7, failure = NULL, sweep = NULL \
     WHERE workspace_id = $1 AND generation = $2 AND position = $3 AND live = $8";
const PARK: &str = "UPDATE projections SET failure = $4 \
     WHERE workspace_id = $1 AND generation = $2 AND position = $3";

const HOLD: &str = "UPDATE projections SET sweep = $5 WHERE workspace_id = $1 AND generation = $2 \
     AND position = $3 AND live = $4 AND sweep IS NOT DISTINCT FROM $6";

type CheckpointRow =
    (i64, i64, bool, i64, i64, Option<i64>, String, Option<String>, Option<String>);

impl Checkpoint {
    /// All generations of a workspace, the live one first.
    pub(crate) async fn all(
        target: &Store,
        source: &Store,
        workspace: WorkspaceId,
    ) -> Result<Vec<Checkpoint>, StoreError> {
        let rows: Vec<CheckpointRow> = on_store!(target, workspace, |connection| {
            sqlx::query_as(COLUMNS).bind(workspace.0).fetch_all(connection).await?
        });
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            all.push(Checkpoint::read(source, workspace, row, None).await?);
        }
        all.sort_by_key(|checkpoint| (!checkpoint.live, checkpoint.model.generation));
        Ok(all)
    }

    async fn read(
        source: &Store,
        workspace: WorkspaceId,
        row: CheckpointRow,
        known: Option<&Checkpoint>,
    ) -> Result<Checkpoint, StoreError> {
        let catalog = match known {
            Some(known) => Arc::clone(&known.catalog),
            None => catalog_at(source, workspace, row.5.map(unsigned)).await?,
        };
        Checkpoint::of(workspace, row, catalog)
    }

    fn of(
        workspace: WorkspaceId,
        row: CheckpointRow,
        catalog: Arc<Catalog>,
    ) -> Result<Checkpoint, StoreError> {
        let (generation, version, live, position, recorded_at, catalog_position, ..) = row;
        let (.., blind, failure, sweep) = row;
        let blind: Vec<(Moment, Moment)> = serde_json::from_str(&blind)
            .map_err(|error| StoreError::Corrupt(format!("stored blind times: {error}")))?;
        Ok(Checkpoint {
            model: Model { workspace, generation },
            version,
            live,
            position: unsigned(position),
            recorded_at: Moment::from_micros(recorded_at),
            catalog,
            catalog_position: catalog_position.map(unsigned),
            blind: BlindTime::new(blind),
            failure,
            sweep,
        })
    }

    /// The live generation as the transaction of a reader sees it, who knows `self` of it.
    pub(crate) async fn seen_in(&self, tx: &mut Tx) -> Result<Seen, StoreError> {
        let workspace = self.model.workspace;
        let row: Option<CheckpointRow> = on_tx!(tx, |connection| {
            sqlx::query_as(LIVE).bind(workspace.0).fetch_optional(connection).await?
        });
        match row {
            None => Ok(Seen::Nothing),
            Some(row) if row.5.map(unsigned) != self.catalog_position => Ok(Seen::OtherCatalog),
            Some(row) => Checkpoint::of(workspace, row, Arc::clone(&self.catalog)).map(Seen::Here),
        }
    }

    /// The live generation of a workspace. `known` is what was read of it before: the parts that
    /// have not changed since are not read again.
    pub(crate) async fn live(
        store: &Store,
        workspace: WorkspaceId,
        known: Option<&Checkpoint>,
    ) -> Result<Option<Checkpoint>, StoreError> {
        let row: Option<CheckpointRow> = on_store!(store, workspace, |connection| {
            sqlx::query_as(LIVE).bind(workspace.0).fetch_optional(connection).await?
        });
        let Some(row) = row else { return Ok(None) };
        let known = known.filter(|known| {
            known.catalog_position.map(signed) == row.5 && known.model.generation == row.0
        });
        Checkpoint::read(store, workspace, row, known).await.map(Some)
    }

    /// What there is before anything was derived.
    pub(crate) fn nothing(workspace: WorkspaceId) -> Checkpoint {
        Checkpoint {
            model: Model { workspace, generation: 0 },
            version: VERSION,
            live: true,
            position: 0,
            recorded_at: Moment::EPOCH,
            catalog_position: None,
            catalog: Catalog::built_in(),
            blind: BlindTime::default(),
            failure: None,
            sweep: None,
        }
    }

    /// Makes a generation, empty.
    pub(crate) async fn create(
        target: &Store,
        model: Model,
        live: bool,
    ) -> Result<Checkpoint, StoreError> {
        let mut tx = Tx::begin(target, model.workspace).await?;
        on_tx!(&mut tx, |connection| {
            sqlx::query(CREATE)
                .bind(model.workspace.0)
                .bind(model.generation)
                .bind(VERSION)
                .bind(live)
                .execute(connection)
                .await?;
        });
        tx.commit().await?;
        Ok(Checkpoint { model, live, ..Checkpoint::nothing(model.workspace) })
    }

    /// Moves the stored checkpoint from here to `next`, unless somebody else has moved it. Done
    /// first in the transaction, so that a second follower waits here and then finds itself late.
    async fn advance(&self, tx: &mut Tx, next: &Checkpoint) -> Result<(), ProjectionError> {
        let blind: Vec<(Moment, Moment)> = next.blind.intervals().collect();
        let blind = serde_json::to_string(&blind)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let moved = on_tx!(tx, |connection| {
            sqlx::query(ADVANCE)
                .bind(self.model.workspace.0)
                .bind(self.model.generation)
                .bind(signed(self.position))
                .bind(signed(next.position))
                .bind(next.recorded_at.micros())
                .bind(next.catalog_position.map(signed))
                .bind(blind)
                .bind(self.live)
                .execute(connection)
                .await?
                .rows_affected()
        });
        if moved == 1 { Ok(()) } else { Err(ProjectionError::NotAlone) }
    }

    /// Whether some rows are already those of the catalog that comes next.
    pub(crate) fn is_between_catalogs(&self) -> bool {
        Sweep::of(self).is_some_and(|sweep| sweep.is_of(self.position))
    }

    /// Notes how far the rows are those of the catalog that comes next, unless somebody else has
    /// gone on from here. Done first in the transaction, as [`Checkpoint::advance`].
    async fn hold(&self, tx: &mut Tx, sweep: Option<&str>) -> Result<(), ProjectionError> {
        let held = on_tx!(tx, |connection| {
            sqlx::query(HOLD)
                .bind(self.model.workspace.0)
                .bind(self.model.generation)
                .bind(signed(self.position))
                .bind(self.live)
                .bind(sweep)
                .bind(self.sweep.as_deref())
                .execute(connection)
                .await?
                .rows_affected()
        });
        if held == 1 { Ok(()) } else { Err(ProjectionError::NotAlone) }
    }

    /// Notes why this generation does not go on. It is never skipped, and stays visible.
    pub(crate) async fn park(&self, target: &Store, problem: &str) -> Result<(), StoreError> {
        let mut tx = Tx::begin(target, self.model.workspace).await?;
        on_tx!(&mut tx, |connection| {
            sqlx::query(PARK)
                .bind(self.model.workspace.0)
                .bind(self.model.generation)
                .bind(signed(self.position))
                .bind(problem)
                .execute(connection)
                .await?;
        });
        tx.commit().await
    }
}

/// The catalog that came into force at `position` of the log; before the first, the built-in one.
async fn catalog_at(
    source: &Store,
    workspace: WorkspaceId,
    position: Option<u64>,
) -> Result<Arc<Catalog>, StoreError> {
    let Some(position) = position else { return Ok(Catalog::built_in()) };
    let events = source.log(workspace, position, position + 1, 1).await?;
    let published = events.first().map(|event| Recorded::decode(&event.body));
    match published.map(|event| event.map(|event| event.fact.event)) {
        Some(Ok(AnyEvent::Workspace(WorkspaceEvent::CatalogPublished(catalog)))) => {
            parse(&catalog.content)
        }
        _ => Err(StoreError::Corrupt(format!("position {position} holds no catalog"))),
    }
}

pub(crate) fn parse(text: &str) -> Result<Arc<Catalog>, StoreError> {
    if text == Catalog::built_in().text() {
        return Ok(Catalog::built_in());
    }
    let catalog = Catalog::parse(text)
        .map_err(|errors| StoreError::Corrupt(format!("a published catalog: {errors}")))?;
    Ok(Arc::new(catalog))
}

/// Reads stored events, and checks that they follow `position` without a gap.
pub(crate) fn decode(
    position: u64,
    events: &[StoredEvent],
) -> Result<Vec<Recorded>, ProjectionError> {
    let mut decoded = Vec::with_capacity(events.len());
    for (wanted, event) in (position..).zip(events) {
        let parked = |problem| ProjectionError::Parked { position: wanted, problem };
        if event.position != wanted {
            return Err(parked(format!("the log goes on at position {}", event.position)));
        }
        let recorded = Recorded::decode(&event.body).map_err(|error| parked(error.to_string()))?;
        if recorded.position != wanted {
            return Err(parked(format!("it says that it is at position {}", recorded.position)));
        }
        decoded.push(recorded);
    }
    Ok(decoded)
}

/// Folds `events`, which begin at the checkpoint, and commits. A catalog takes effect between two
/// pages, so that every verdict of a page is by one catalog; it takes as many transactions as there
/// are runs to judge by it.
pub(crate) async fn project(
    target: &Store,
    checkpoint: &Checkpoint,
    events: Vec<Recorded>,
) -> Result<Checkpoint, ProjectionError> {
    let mut checkpoint = checkpoint.clone();
    for page in of_one_catalog(events) {
        let next = after(&checkpoint, &page)?;
        if next.catalog_position != checkpoint.catalog_position {
            checkpoint = sweep::put_into_force(target, checkpoint, next).await?;
            continue;
        }
        let mut tx = Tx::begin(target, checkpoint.model.workspace).await?;
        checkpoint = project_page(&mut tx, &checkpoint, next, page).await?;
        tx.commit().await?;
    }
    Ok(checkpoint)
}

/// The same as [`project`], as a part of what a transaction does.
pub(crate) async fn project_in(
    tx: &mut Tx,
    checkpoint: &Checkpoint,
    events: Vec<Recorded>,
) -> Result<Checkpoint, ProjectionError> {
    let mut checkpoint = checkpoint.clone();
    for page in of_one_catalog(events) {
        let next = after(&checkpoint, &page)?;
        checkpoint = project_page(tx, &checkpoint, next, page).await?;
    }
    Ok(checkpoint)
}

/// Events, in pages that no catalog comes into force within.
fn of_one_catalog(events: Vec<Recorded>) -> Vec<Vec<Recorded>> {
    let is_catalog = |event: &Recorded| {
        matches!(event.fact.event, AnyEvent::Workspace(WorkspaceEvent::CatalogPublished(_)))
    };
    let mut pages = Vec::with_capacity(1);
    let mut rest = events;
    while let Some(first) = rest.first() {
        let length = if is_catalog(first) {
            1
        } else {
            rest.iter().position(is_catalog).unwrap_or(rest.len())
        };
        let after = rest.split_off(length);
        pages.push(rest);
        rest = after;
    }
    pages
}

/// Where `checkpoint` comes with `events`, as far as they say it themselves.
fn after(checkpoint: &Checkpoint, events: &[Recorded]) -> Result<Checkpoint, ProjectionError> {
    let mut next = Checkpoint { failure: None, sweep: None, ..checkpoint.clone() };
    for event in events {
        next.position = event.position + 1;
        next.recorded_at = event.fact.recorded_at;
        if let AnyEvent::Workspace(WorkspaceEvent::CatalogPublished(catalog)) = &event.fact.event {
            next.catalog = parse(&catalog.content)?;
            next.catalog_position = Some(event.position);
        }
    }
    Ok(next)
}

async fn project_page(
    tx: &mut Tx,
    checkpoint: &Checkpoint,
    mut next: Checkpoint,
    events: Vec<Recorded>,
) -> Result<Checkpoint, ProjectionError> {
    let mut page = load(tx, checkpoint.model, &events).await?;
    for event in events {
        page.fold(event, &mut next.blind);
    }
    checkpoint.advance(tx, &next).await?;
    write(tx, &next, page).await?;
    if next.catalog_position != checkpoint.catalog_position {
        sweep::all(tx, &next).await?;
    }
    Ok(next)
}

/// Loads the rows that `events` touch, in one query.
async fn load(tx: &mut Tx, model: Model, events: &[Recorded]) -> Result<Page, StoreError> {
    let ids: Vec<Uuid> = known_runs(events).into_iter().collect();
    let mut page = Page::default();
    for row in load_runs(tx, model, &ids).await? {
        page.give(row)?;
    }
    Ok(page)
}

/// The runs of `events` that an earlier event has made: those that begin here have no row yet.
fn known_runs(events: &[Recorded]) -> BTreeSet<Uuid> {
    let mut begun = HashSet::new();
    let mut known = BTreeSet::new();
    for event in events {
        let Some(run) = event.stream.run_id() else { continue };
        if event.sequence == 1 {
            begun.insert(run);
        } else if !begun.contains(&run) {
            known.insert(run.0);
        }
    }
    known
}

async fn write(tx: &mut Tx, now: &Checkpoint, page: Page) -> Result<(), StoreError> {
    let model = now.model;
    let page = Arc::new(page);
    let (rows, mut changes) = rows::write_runs(tx, now, &page).await?;
    verdicts::write_subjects(tx, model, &page.subjects).await?;
    queues::write_workers(tx, model, &page.workers).await?;
    queues::write_queues(tx, model, &page.queues).await?;
    counts::write_outcomes(tx, model, &page.ends).await?;
    let affected = verdicts::affected(tx, model, &page, &rows).await?;
    verdicts::judge(tx, now, &affected, &mut changes).await?;
    changes.write(tx, model).await?;
    if let Some(since) = page.blind_since {
        sweep::active(tx, now).await?;
        queues::extend_leases(tx, model, since, &now.blind).await?;
    }
    Ok(())
}

/// What a row said of its superseding success: it holds until it is judged anew, in this page.
fn evidence_before(tracked: &Tracked) -> Evidence {
    let superseding = tracked.before.as_ref().and_then(RunRow::superseding);
    Evidence { superseding, observation: None }
}

pub(crate) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
