//! What decisions need to know of a log: streams, ids that were used, claims and reservations.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Claim, KnownId, PgStore, Store, StoreError, StoredEvent, postgres, unsigned};
use crate::correlation::CorrelationKey;
use crate::event::{AggregateType, Stream};
use crate::run::ReservationKey;
use crate::words::{Name, RunId, WorkspaceId};

/// What the decisions of one batch need.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Runs whose events are needed.
    pub(crate) runs: Vec<RunId>,
    /// Streams whose length is needed.
    pub(crate) streams: Vec<Stream>,
    /// Sources, and ids of theirs that may have been used.
    pub(crate) ids: Vec<(Name, Name)>,
    /// External ids that runs may claim.
    pub(crate) claims: Vec<CorrelationKey>,
    /// Keys that runs may hold.
    pub(crate) reservations: Vec<ReservationKey>,
}

/// What there is of it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The events of the runs, run by run in their order; markers where bodies are in archives.
    pub(crate) events: Vec<StoredEvent>,
    /// The lengths of the streams.
    pub(crate) sequences: Vec<(Stream, u64)>,
    /// The ids that were used.
    pub(crate) ids: Vec<KnownId>,
    /// The runs that claim the external ids, the first few of each.
    pub(crate) claims: Vec<Claim>,
    /// The runs that hold the keys.
    pub(crate) reservations: Vec<(ReservationKey, RunId)>,
}

impl Needs {
    const fn is_empty(&self) -> bool {
        self.runs.is_empty()
            && self.streams.is_empty()
            && self.ids.is_empty()
            && self.claims.is_empty()
            && self.reservations.is_empty()
    }
}

impl Store {
    /// All that a batch needs. On PostgreSQL that is one round trip, whatever it is: each one more
    /// makes everybody wait who is in the batch.
    pub(crate) async fn needs(
        &self,
        workspace: WorkspaceId,
        needs: &Needs,
    ) -> Result<Found, StoreError> {
        if needs.is_empty() {
            return Ok(Found::default());
        }
        let mut found = Found::default();
        let store = match self {
            Store::Postgres(store) => return store.needs(workspace, needs).await,
            Store::Sqlite(store) => store,
        };
        if !needs.runs.is_empty() {
            let streams: Vec<Stream> = needs.runs.iter().copied().map(Stream::run).collect();
            found.events = store.load_streams(workspace, &streams).await?;
        }
        if !needs.streams.is_empty() {
            found.sequences = store.last_sequences(workspace, &needs.streams).await?;
        }
        if !needs.ids.is_empty() {
            found.ids = store.known_ids(workspace, &needs.ids).await?;
        }
        if !needs.claims.is_empty() {
            found.claims = self.claims(workspace, &needs.claims).await?;
        }
        if !needs.reservations.is_empty() {
            found.reservations = store.reservations(workspace, &needs.reservations).await?;
        }
        Ok(found)
    }

    /// All streams' events of `streams`, stream by stream in their order.
    pub async fn load_streams(
        &self,
        workspace: WorkspaceId,
        streams: &[Stream],
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let events = match self {
            Store::Postgres(store) => store.load_streams(workspace, streams).await,
            Store::Sqlite(store) => store.load_streams(workspace, streams).await,
        };
        self.bring_back(workspace, events?).await
    }

    /// How many events each of `streams` holds.
    pub async fn last_sequences(
        &self,
        workspace: WorkspaceId,
        streams: &[Stream],
    ) -> Result<Vec<(Stream, u64)>, StoreError> {
        match self {
            Store::Postgres(store) => store.last_sequences(workspace, streams).await,
            Store::Sqlite(store) => store.last_sequences(workspace, streams).await,
        }
    }

    /// The events that these pairs of source and id are known by.
    pub async fn known_ids(
        &self,
        workspace: WorkspaceId,
        ids: &[(Name, Name)],
    ) -> Result<Vec<KnownId>, StoreError> {
        match self {
            Store::Postgres(store) => store.known_ids(workspace, ids).await,
            Store::Sqlite(store) => store.known_ids(workspace, ids).await,
        }
    }

    /// The runs that hold these keys.
    pub async fn reservations(
        &self,
        workspace: WorkspaceId,
        keys: &[ReservationKey],
    ) -> Result<Vec<(ReservationKey, RunId)>, StoreError> {
        match self {
            Store::Postgres(store) => store.reservations(workspace, keys).await,
            Store::Sqlite(store) => store.reservations(workspace, keys).await,
        }
    }
}

const NEEDS: &str = "SELECT * FROM needs_of_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// A row of the answer; what is in it stands in [`super::functions`].
#[derive(FromRow)]
struct NeedsRow {
    what: i16,
    run_id: Option<Uuid>,
    kind: Option<i16>,
    number: Option<i64>,
    at: Option<i64>,
    bytes: Option<Vec<u8>>,
    hash: Option<Vec<u8>>,
    source: Option<String>,
    event_id: Option<String>,
}

impl PgStore {
    async fn needs(&self, workspace: WorkspaceId, needs: &Needs) -> Result<Found, StoreError> {
        let runs: Vec<Uuid> = needs.runs.iter().map(|run| run.0).collect();
        let (kinds, streams): (Vec<i16>, Vec<Uuid>) =
            needs.streams.iter().map(|stream| (stream.kind.number(), stream.id)).unzip();
        let (sources, ids): (Vec<&str>, Vec<&str>) =
            needs.ids.iter().map(|(source, id)| (source.as_str(), id.as_str())).unzip();
        let claims: Vec<&[u8]> = needs.claims.iter().map(|key| &key.0[..]).collect();
        let held: Vec<&[u8]> = needs.reservations.iter().map(|key| &key.0[..]).collect();
        let rows: Vec<NeedsRow> = sqlx::query_as(NEEDS)
            .bind(workspace.0)
            .bind(AggregateType::Run.number())
            .bind(runs)
            .bind(kinds)
            .bind(streams)
            .bind(sources)
            .bind(ids)
            .bind(claims)
            .bind(super::correlations::most())
            .bind(held)
            .fetch_all(self.pool())
            .await?;
        let mut found = Found::default();
        for row in rows {
            found.take(row)?;
        }
        Ok(found)
    }
}

impl Found {
    fn take(&mut self, row: NeedsRow) -> Result<(), StoreError> {
        let NeedsRow { what, run_id, kind, number, at, bytes, hash, source, event_id } = row;
        match (what, run_id, kind, number, bytes, hash) {
            (0, None, None, Some(position), Some(body), Some(leaf_hash)) => {
                let position = unsigned(position)?;
                let recorded_at = at.unwrap_or_default();
                self.events.push(StoredEvent { position, body, leaf_hash, recorded_at });
            }
            (1, Some(id), Some(kind), count, None, None) => {
                self.sequences.push(super::counted((kind, id, count))?);
            }
            (2, Some(id), Some(kind), Some(position), None, Some(content)) => {
                let names = (source.unwrap_or_default(), event_id.unwrap_or_default());
                let row = (names.0, names.1, position, content, kind, id);
                self.ids.push(postgres::known_id(row)?);
            }
            (3, Some(run), None, None, Some(key), None) => {
                self.claims.push((CorrelationKey(super::hash(&key)?), RunId(run)));
            }
            (4, Some(run), None, None, Some(key), None) => {
                self.reservations.push((ReservationKey(super::hash(&key)?), RunId(run)));
            }
            _ => {
                let what = format!("the database answered a batch with a row of kind {what}");
                return Err(StoreError::Corrupt(what));
            }
        }
        Ok(())
    }
}
