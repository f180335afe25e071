//! What proofs are made of, and what was signed: hashes of tiles and checkpoints.

use std::ops::Range;

use runledger_proof::tile::TileHash;
use sqlx::{PgConnection, QueryBuilder, Sqlite, SqliteConnection};

use super::{Store, StoreError, hash, pieces, signed, unsigned};
use crate::merkle::Hash;
use crate::time::Moment;
use crate::words::WorkspaceId;

/// A checkpoint that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// Events that it is about.
    pub size: u64,
    /// Their root.
    pub root: Hash,
    /// When it was signed.
    pub signed_at: Moment,
    /// The signed note, byte by byte.
    pub note: Vec<u8>,
}

const LEAVES: &str = "SELECT position, leaf_hash FROM events \
     WHERE workspace_id = $1 AND position >= $2 AND position < $3 ORDER BY position";
const HASHES: &str = "SELECT place, hash FROM tile_hashes \
     WHERE workspace_id = $1 AND place >= $2 AND place < $3 AND level = $4 ORDER BY place";
const COUNT_HASHES: &str = "SELECT count(*) FROM tile_hashes \
     WHERE workspace_id = $1 AND level = $2 AND place < $3";
const BEYOND: &str = "SELECT level, place FROM tile_hashes \
     WHERE workspace_id = $1 AND level = $2 AND place >= $3 ORDER BY place LIMIT 1";
const STRAY: &str = "SELECT level, place FROM tile_hashes WHERE workspace_id = $1 \
     AND (level < 1 OR level >= $2 OR place < 0) ORDER BY level, place LIMIT 1";
const ADD_HASHES: &str = "INSERT INTO tile_hashes (workspace_id, level, place, hash) \
     SELECT $1, * FROM UNNEST($2::smallint[], $3::bigint[], $4::bytea[]) ON CONFLICT DO NOTHING";
const ADD_CHECKPOINT: &str = "INSERT INTO checkpoints (workspace_id, size, signed_at, root, note) \
     VALUES ($1, $2, $3, $4, $5)";
const LAST_CHECKPOINT: &str = "SELECT size, signed_at, root, note FROM checkpoints \
     WHERE workspace_id = $1 ORDER BY size DESC, signed_at DESC LIMIT 1";
const LAST_THEN: &str = "SELECT size, signed_at, root, note FROM checkpoints \
     WHERE workspace_id = $1 AND size <= $2 AND signed_at <= $3 \
     ORDER BY size DESC, signed_at DESC LIMIT 1";
const COVERING: &str = "SELECT size, signed_at, root, note FROM checkpoints \
     WHERE workspace_id = $1 AND size > $2 ORDER BY size DESC, signed_at DESC LIMIT 1";
const AT_SIZE: &str = "SELECT size, signed_at, root, note FROM checkpoints \
     WHERE workspace_id = $1 AND size = $2 ORDER BY signed_at DESC LIMIT 1";
const OF_SIZE: &str = "SELECT size, signed_at, root, note FROM checkpoints \
     WHERE workspace_id = $1 AND size = $2 ORDER BY signed_at";
const OF_ROOT: &str = "SELECT size, signed_at, root, note FROM checkpoints \
     WHERE workspace_id = $1 AND root = $2 ORDER BY size DESC, signed_at DESC LIMIT 1";
const CHECKPOINTS: &str = "SELECT size, signed_at, root, note FROM checkpoints \
     WHERE workspace_id = $1 AND size >= $2 ORDER BY size, signed_at LIMIT $3";

type Row = (i64, i64, Vec<u8>, Vec<u8>);

impl Store {
    /// Hashes of one level of the tree with their places: leaf hashes, or those of tiles.
    pub async fn hashes(
        &self,
        workspace: WorkspaceId,
        level: u32,
        places: Range<u64>,
    ) -> Result<Vec<(u64, Hash)>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> = on_both!(read self, workspace, |connection| {
            let mut query = sqlx::query_as(if level == 0 { LEAVES } else { HASHES })
                .bind(workspace.0)
                .bind(signed(places.start))
                .bind(signed(places.end));
            if level > 0 {
                query = query.bind(small(level));
            }
            query.fetch_all(connection).await?
        });
        rows.into_iter().map(|(place, bytes)| Ok((unsigned(place)?, hash(&bytes)?))).collect()
    }

    /// How many hashes of tiles there are on a level, before place `before`.
    pub async fn count_hashes(
        &self,
        workspace: WorkspaceId,
        level: u32,
        before: u64,
    ) -> Result<u64, StoreError> {
        let count: i64 = on_both!(read self, workspace, |connection| {
            sqlx::query_scalar(COUNT_HASHES)
                .bind(workspace.0)
                .bind(small(level))
                .bind(signed(before))
                .fetch_one(connection)
                .await?
        });
        unsigned(count)
    }

    /// The first hash of a tile at place `from` of its level or behind it, if there is one.
    pub async fn hash_beyond(
        &self,
        workspace: WorkspaceId,
        level: u32,
        from: u64,
    ) -> Result<Option<u64>, StoreError> {
        let row: Option<(i16, i64)> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(BEYOND)
                .bind(workspace.0)
                .bind(small(level))
                .bind(signed(from))
                .fetch_optional(connection)
                .await?
        });
        row.map(|(_, place)| unsigned(place)).transpose()
    }

    /// The first hash, by its level and its place, that is of no tile: no level of tiles from 1 up to
    /// `levels` has it. Nobody reads it.
    pub async fn stray_hash(
        &self,
        workspace: WorkspaceId,
        levels: u32,
    ) -> Result<Option<(i16, i64)>, StoreError> {
        Ok(on_both!(read self, workspace, |connection| {
            sqlx::query_as(STRAY)
                .bind(workspace.0)
                .bind(small(levels))
                .fetch_optional(connection)
                .await?
        }))
    }

    /// Adds hashes of tiles that are not there yet.
    pub async fn add_hashes(
        &self,
        workspace: WorkspaceId,
        hashes: &[TileHash],
    ) -> Result<(), StoreError> {
        if hashes.is_empty() {
            return Ok(());
        }
        match self {
            Store::Postgres(store) => {
                let mut transaction = store.begin_writing(workspace.into()).await?;
                on_postgres(&mut transaction, workspace, hashes).await?;
                transaction.commit().await?;
            }
            Store::Sqlite(store) => {
                let mut transaction = store.begin_durable().await?;
                on_sqlite(&mut transaction, workspace, hashes).await?;
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    /// Keeps a checkpoint that was signed.
    pub async fn add_checkpoint(
        &self,
        workspace: WorkspaceId,
        checkpoint: &SignedCheckpoint,
    ) -> Result<(), StoreError> {
        on_both!(write self, workspace, |connection| {
            sqlx::query(ADD_CHECKPOINT)
                .bind(workspace.0)
                .bind(signed(checkpoint.size))
                .bind(checkpoint.signed_at.micros())
                .bind(&checkpoint.root[..])
                .bind(&checkpoint.note[..])
                .execute(connection)
                .await?;
        });
        Ok(())
    }

    /// The checkpoint that was signed last.
    pub async fn last_checkpoint(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Option<SignedCheckpoint>, StoreError> {
        let row: Option<Row> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(LAST_CHECKPOINT).bind(workspace.0).fetch_optional(connection).await?
        });
        row.map(checkpoint).transpose()
    }

    /// The checkpoint that was the last one then: of at most `size` events, and signed by `by`.
    pub async fn last_checkpoint_then(
        &self,
        workspace: WorkspaceId,
        size: u64,
        by: Moment,
    ) -> Result<Option<SignedCheckpoint>, StoreError> {
        let row: Option<Row> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(LAST_THEN)
                .bind(workspace.0)
                .bind(signed(size))
                .bind(by.micros())
                .fetch_optional(connection)
                .await?
        });
        row.map(checkpoint).transpose()
    }

    /// The last checkpoint of a log that holds the event at `position`.
    pub async fn checkpoint_of(
        &self,
        workspace: WorkspaceId,
        position: u64,
    ) -> Result<Option<SignedCheckpoint>, StoreError> {
        let row: Option<Row> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(COVERING)
                .bind(workspace.0)
                .bind(signed(position))
                .fetch_optional(connection)
                .await?
        });
        row.map(checkpoint).transpose()
    }

    /// The checkpoint of a log of `size` events, with all signatures that were gathered.
    pub async fn checkpoint_at(
        &self,
        workspace: WorkspaceId,
        size: u64,
    ) -> Result<Option<SignedCheckpoint>, StoreError> {
        let row: Option<Row> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(AT_SIZE)
                .bind(workspace.0)
                .bind(signed(size))
                .fetch_optional(connection)
                .await?
        });
        row.map(checkpoint).transpose()
    }

    /// Every checkpoint of a log of `size` events: as it was signed first, and with the signatures that
    /// came later.
    pub async fn checkpoints_of(
        &self,
        workspace: WorkspaceId,
        size: u64,
    ) -> Result<Vec<SignedCheckpoint>, StoreError> {
        let rows: Vec<Row> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(OF_SIZE)
                .bind(workspace.0)
                .bind(signed(size))
                .fetch_all(connection)
                .await?
        });
        rows.into_iter().map(checkpoint).collect()
    }

    /// The checkpoint of a log with this root.
    pub async fn checkpoint_of_root(
        &self,
        workspace: WorkspaceId,
        root: &Hash,
    ) -> Result<Option<SignedCheckpoint>, StoreError> {
        let row: Option<Row> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(OF_ROOT)
                .bind(workspace.0)
                .bind(&root[..])
                .fetch_optional(connection)
                .await?
        });
        row.map(checkpoint).transpose()
    }

    /// Checkpoints of logs of at least `from` events, in the order of their sizes.
    pub async fn checkpoints(
        &self,
        workspace: WorkspaceId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<SignedCheckpoint>, StoreError> {
        let rows: Vec<Row> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(CHECKPOINTS)
                .bind(workspace.0)
                .bind(signed(from))
                .bind(i64::from(limit))
                .fetch_all(connection)
                .await?
        });
        rows.into_iter().map(checkpoint).collect()
    }
}

fn checkpoint((size, signed_at, root, note): Row) -> Result<SignedCheckpoint, StoreError> {
    let (size, signed_at) = (unsigned(size)?, Moment::from_micros(signed_at));
    Ok(SignedCheckpoint { size, root: hash(&root)?, signed_at, note })
}

/// A level as the databases keep it. There are no more than eight.
fn small(level: u32) -> i16 {
    i16::try_from(level).unwrap_or(i16::MAX)
}

/// The columns of hashes of tiles: level, place and hash.
pub(super) fn columns(hashes: &[TileHash]) -> (Vec<i16>, Vec<i64>, Vec<&[u8]>) {
    let levels = hashes.iter().map(|hash| small(hash.level)).collect();
    let places = hashes.iter().map(|hash| signed(hash.index)).collect();
    (levels, places, hashes.iter().map(|hash| &hash.hash[..]).collect())
}

async fn on_postgres(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    hashes: &[TileHash],
) -> Result<(), sqlx::Error> {
    let (levels, places, hashes) = columns(hashes);
    sqlx::query(ADD_HASHES)
        .bind(workspace.0)
        .bind(levels)
        .bind(places)
        .bind(hashes)
        .execute(connection)
        .await
        .map(drop)
}

pub(super) async fn on_sqlite(
    connection: &mut SqliteConnection,
    workspace: WorkspaceId,
    hashes: &[TileHash],
) -> Result<(), sqlx::Error> {
    for hashes in pieces(hashes, 64) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO tile_hashes (workspace_id, level, place, hash) ",
        );
        query.push_values(hashes, |mut values, hash| {
            values
                .push_bind(workspace.0)
                .push_bind(small(hash.level))
                .push_bind(signed(hash.index))
                .push_bind(&hash.hash[..]);
        });
        query.push(" ON CONFLICT DO NOTHING");
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}
