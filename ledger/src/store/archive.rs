//! Bodies that are in an archive (specs/0025): where they stood are markers, and a reader is given
//! what the archive holds, if it has the hash that the log has.

use std::sync::Arc;

use uuid::Uuid;

use super::{Store, StoreError, StoredEvent, signed};
use crate::archive::{ArchiveEvent, Archives, Ordered, archive_of};
use crate::event::{AggregateType, AnyEvent, Recorded, Stream};
use crate::words::WorkspaceId;

const PUT: &str = "UPDATE events SET body = $3 WHERE workspace_id = $1 AND position = $2";
const PUT_MANY: &str = "UPDATE events SET body = put.body \
     FROM UNNEST($2::bigint[], $3::bytea[]) AS put (position, body) \
     WHERE events.workspace_id = $1 AND events.position = put.position";
/// The first event of each archive; their ids are in the order of time.
const ARCHIVES: &str = "SELECT aggregate_id FROM events \
     WHERE workspace_id = $1 AND aggregate_type = $2 AND sequence = 1 ORDER BY aggregate_id";

/// An event, and where its body is, if it is in an archive.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The event; with a marker for its body where the archive cannot be read.
    pub event: StoredEvent,
    /// Which archive its body is in.
    pub archived: Option<Whereabouts>,
}

/// Which archive a body is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// The archive.
    pub archive: Uuid,
    /// SHA-256 of its manifest, in hexadecimal.
    pub digest: String,
    /// Where it was put.
    pub place: String,
    /// Why it cannot be read from here; none if it was.
    pub why: Option<String>,
}

impl Store {
    /// Where archives are looked for.
    pub fn archives(&self) -> &Archives {
        match self {
            Store::Postgres(store) => store.archives(),
            Store::Sqlite(store) => store.archives(),
        }
    }

    /// The same store, which looks for archives there.
    #[must_use]
    pub fn with_archives(self, archives: Archives) -> Self {
        match self {
            Store::Postgres(store) => Store::Postgres(store.with_archives(archives)),
            Store::Sqlite(store) => Store::Sqlite(store.with_archives(archives)),
        }
    }

    /// Puts markers in the place of bodies, or bodies in the place of markers: all of them or none.
    /// On `Ok` it is durable.
    ///
    /// # Errors
    /// When the database refuses one, or fails.
    pub async fn put_markers(
        &self,
        workspace: WorkspaceId,
        bodies: &[(u64, Vec<u8>)],
    ) -> Result<(), StoreError> {
        if bodies.is_empty() {
            return Ok(());
        }
        match self {
            Store::Postgres(store) => {
                let mut transaction = store.begin_writing(workspace.into()).await?;
                sqlx::query(PUT_MANY)
                    .bind(workspace.0)
                    .bind(bodies.iter().map(|(position, _)| signed(*position)).collect::<Vec<_>>())
                    .bind(bodies.iter().map(|(_, body)| &body[..]).collect::<Vec<_>>())
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
            }
            Store::Sqlite(store) => {
                let mut transaction = store.begin_durable().await?;
                for (position, body) in bodies {
                    let put = sqlx::query(PUT).bind(workspace.0).bind(signed(*position));
                    put.bind(&body[..]).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    /// The archives of a workspace, in the order in which they were ordered.
    pub async fn archives_of(&self, workspace: WorkspaceId) -> Result<Vec<Uuid>, StoreError> {
        let rows: Vec<(Uuid,)> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(ARCHIVES)
                .bind(workspace.0)
                .bind(AggregateType::Archive.number())
                .fetch_all(connection)
                .await?
        });
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// The events with the bodies that archives hold, for one who has read them from the database in
    /// a transaction of their own.
    ///
    /// # Errors
    /// [`StoreError::Archived`] if one of the archives cannot be read.
    pub async fn bring_back(
        &self,
        workspace: WorkspaceId,
        mut events: Vec<StoredEvent>,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        for event in &mut events {
            if let Some(archive) = archive_of(&event.body) {
                let ordered = self.ordered(workspace, archive, event.position).await?;
                let (position, leaf) = (event.position, &event.leaf_hash);
                let body = self.archives().body(archive, &ordered, position, leaf).await;
                event.body = body.map_err(|archived| StoreError::Archived(Box::new(archived)))?;
            }
        }
        Ok(events)
    }

    /// The same, where a reader is told of what cannot be read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn told(
        &self,
        workspace: WorkspaceId,
        events: Vec<StoredEvent>,
    ) -> Result<Vec<Kept>, StoreError> {
        let mut told = Vec::with_capacity(events.len());
        for mut event in events {
            let Some(archive) = archive_of(&event.body) else {
                told.push(Kept { event, archived: None });
                continue;
            };
            let ordered = self.ordered(workspace, archive, event.position).await?;
            let (position, leaf) = (event.position, &event.leaf_hash);
            let why = match self.archives().body(archive, &ordered, position, leaf).await {
                Ok(body) => {
                    event.body = body;
                    None
                }
                Err(archived) => Some(archived.why),
            };
            let Ordered { digest, place, .. } = &*ordered;
            let (digest, place) = (digest.clone(), place.to_string());
            let archived = Some(Whereabouts { archive, digest, place, why });
            told.push(Kept { event, archived });
        }
        Ok(told)
    }

    /// What the log says of an archive that a marker names.
    pub(crate) async fn ordered(
        &self,
        workspace: WorkspaceId,
        archive: Uuid,
        position: u64,
    ) -> Result<Arc<Ordered>, StoreError> {
        if let Some(known) = self.archives().ordered(archive) {
            return Ok(known);
        }
        let stream = self.stream_as_kept(workspace, Stream::archive(archive), 0, 1).await?;
        let first = stream.first().and_then(|first| Recorded::decode(&first.body).ok());
        match first.map(|first| first.fact.event) {
            Some(AnyEvent::Archive(ArchiveEvent::Ordered(ordered))) => {
                Ok(self.archives().remember(archive, ordered))
            }
            _ => Err(StoreError::Corrupt(format!(
                "the event at position {position} was replaced by the marker of an archive that no \
                 order in the log names"
            ))),
        }
    }
}
