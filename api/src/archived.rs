//! Bodies that are in an archive (specs/0025), as readers are told of them.

use axum::http::StatusCode;
use runledger_ledger::archive::Archived;
use runledger_ledger::store::{StoredEvent, Whereabouts};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::{ApiError, ApiResult};

/// Which archive the body of an event is in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ArchivedView {
    /// The id of the archive.
    pub archive: Uuid,
    /// SHA-256 of the archive's manifest, in hexadecimal.
    pub digest: String,
    /// The directory where it was put.
    pub place: String,
    /// Whether the server could read it there. If not, there is no `event`.
    pub readable: bool,
}

impl From<Whereabouts> for ArchivedView {
    fn from(Whereabouts { archive, digest, place, why }: Whereabouts) -> Self {
        ArchivedView { archive, digest, place, readable: why.is_none() }
    }
}

/// The answer to a question that needs what is in an archive which cannot be read.
impl From<Archived> for ApiError {
    fn from(archived: Archived) -> Self {
        let detail = archived.to_string();
        let Archived { archive, digest, place, position, .. } = archived;
        ApiError::new(StatusCode::GONE, "archived", detail)
            .with("archive", archive.to_string().into())
            .with("digest", digest.into())
            .with("place", place.into())
            .with("position", position.into())
    }
}

/// The type of an event whose body is not there, as its marker says it.
pub(crate) fn kind(marker: &StoredEvent) -> ApiResult<String> {
    #[derive(serde::Deserialize)]
    struct Marker {
        #[serde(rename = "type")]
        kind: String,
    }
    let marker: Result<Marker, _> = serde_json::from_slice(&marker.body);
    marker.map(|marker| marker.kind).map_err(ApiError::internal)
}
