//! Evidence: checkpoints, tiles and proofs of a log, byte by byte in the formats of C2SP, so that
//! it can be verified with tools of others (`specs/0015-checkpoints-and-proofs.md`).

pub mod status;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use runledger_ledger::store::{Kept, SignedCheckpoint, Store, StoreError, StoredEvent};
use runledger_ledger::time::Moment;
use runledger_ledger::tree;
use runledger_ledger::words::WorkspaceId;
use runledger_proof::erasure;
use runledger_proof::note::Note;
use runledger_proof::receipt::Receipt;
use runledger_proof::tile::{self, Of, Tile};
use runledger_proof::witness::AddCheckpoint;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::extract::{Nothing, Path, Query, Workspace};
use crate::past::{AsOfThen, Then};
use crate::problem::{ApiError, ApiResult, Problems};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// What never changes, but for an erasure: entries may give way to tombstones (specs/0024). Only
/// who asked may keep it: it was asked for with a token.
const FOR_EVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");
const NOT_AT_ALL: HeaderValue = HeaderValue::from_static("no-cache");

/// The event that the path names, and its workspace.
#[derive(Clone, Debug, Deserialize)]
pub struct EventPath {
    position: u64,
}

/// The tile that the path names.
#[derive(Clone, Debug, Deserialize)]
pub struct TilePath {
    level: String,
    index: String,
}

/// Which two logs.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Between {
    /// The size of the older one; any, up to that of the newer.
    from: u64,
    /// The size of the newer one, of which there must be a checkpoint; left out, that of the last
    /// checkpoint.
    to: Option<u64>,
}

/// The last signed checkpoint of the log (C2SP tlog-checkpoint).
///
/// It is at most 10 seconds behind the log. Believe it by a key that you have from elsewhere:
/// `runledger keys list`. As of a moment, it is the one that was the last then, with the signatures that
/// it had.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/log/checkpoint",
    tag = "evidence",
    params(("workspace" = String, Path, description = "The name of the workspace."), AsOfThen),
    responses(
        (status = 200, description = "A signed note.", body = String, content_type = "text/plain"),
        Problems,
    )
)]
pub async fn checkpoint(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(asked): Query<AsOfThen>,
) -> ApiResult<Response> {
    let store = app.ledger().store();
    let found = match asked.then(&app, workspace).await? {
        Some(then) => last_then(store, workspace, then).await?.ok_or_else(|| {
            ApiError::not_found("no_checkpoint", "no checkpoint of the log was signed by then")
        })?,
        None => last(store, workspace).await?,
    };
    Ok(bytes(TEXT, NOT_AT_ALL, found.note))
}

/// A tile of the log's tree, or a bundle of its entries (C2SP tlog-tiles).
///
/// `level` is `entries`, or the level of the tile; `index` may go on over several parts of the
/// path, as in `tile/0/x001/234` and `tile/0/x001/235.p/7`.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/log/tile/{level}/{*index}",
    tag = "evidence",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("level" = String, Path, description = "`entries`, or the level, from 0."),
        ("index" = String, Path, description = "The index in groups of three digits, and the width of a partial tile."),
    ),
    responses(
        (status = 200, description = "Hashes of 32 bytes each, or entries with their lengths. It never changes.",
            body = Vec<u8>, content_type = "application/octet-stream"),
        Problems,
    )
)]
pub async fn tile(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(TilePath { level, index }): Path<TilePath>,
    _: Query<Nothing>,
) -> ApiResult<Response> {
    let none = || ApiError::not_found("no_such_tile", "the log has no such tile");
    let tile = Tile::parse(&format!("tile/{level}/{index}")).ok_or_else(none)?;
    let store = app.ledger().store();
    let size = store.head(workspace).await?.map_or(0, |head| head.size());
    if !tile.is_in(size) {
        return Err(none());
    }
    let body = tile_bytes(store, workspace, tile).await?.ok_or_else(none)?;
    Ok(bytes(BYTES, FOR_EVER, body))
}

/// What a tile of a log holds, byte by byte. None if it has no such tile.
pub async fn tile_bytes(
    store: &Store,
    workspace: WorkspaceId,
    tile: Tile,
) -> Result<Option<Vec<u8>>, StoreError> {
    let (Some(start), Some(end)) = (tile.start(), tile.end()) else { return Ok(None) };
    match tile.of {
        Of::Hashes(level) => {
            let hashes = tree::complete(store, workspace, level, start..end).await?;
            Ok(Some(hashes.concat()))
        }
        Of::Entries => {
            let limit = u32::try_from(tile.width).unwrap_or(u32::MAX);
            let events = store.log(workspace, start, end, limit).await?;
            let mut bundle = Vec::new();
            for event in &events {
                if !tile::push_entry(&mut bundle, &event.body) {
                    let problem = format!("the event at {} is too long", event.position);
                    return Err(StoreError::Corrupt(problem));
                }
            }
            Ok((events.len() as u64 == tile.width).then_some(bundle))
        }
    }
}

/// A proof that an event is in the log (C2SP tlog-proof), with the checkpoint that it leads to.
///
/// Whoever keeps it can show without the server that the event was recorded, and with what bytes. Of
/// an event that was erased, `extra` is the leaf hash.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/log/events/{position}/proof",
    tag = "evidence",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("position" = u64, Path, description = "The position of the event."),
    ),
    responses(
        (status = 200, description = "A `.tlog-proof` file.", body = String, content_type = "text/plain"),
        Problems,
    )
)]
pub async fn event_proof(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(EventPath { position }): Path<EventPath>,
    _: Query<Nothing>,
) -> ApiResult<Response> {
    let store = app.ledger().store();
    let found = store.log_as_kept(workspace, position, position.saturating_add(1), 1).await?;
    let Some(Kept { event, archived }) = store.told(workspace, found).await?.into_iter().next()
    else {
        let detail = format!("the log has no event at position {position}");
        return Err(ApiError::not_found("unknown_event", detail));
    };
    let Some(checkpoint) = store.checkpoint_of(workspace, position).await? else {
        let detail = "no checkpoint holds the event yet; one is signed at least every 10 seconds";
        return Err(ApiError::not_found("not_signed_yet", detail));
    };
    let proof = tree::inclusion(store, workspace, position, checkpoint.size).await?;
    let note = note(&checkpoint)?;
    // What has no bytes here is proved by its hash.
    let unread = archived.is_some_and(|archived| archived.why.is_some());
    let extra = if unread { Some(event.leaf_hash.clone()) } else { hash_of_erased(&event) };
    let receipt = Receipt { extra, index: position, proof, note };
    Ok(bytes(TEXT, NOT_AT_ALL, receipt.to_string().into_bytes()))
}

/// The leaf hash of an event whose body was erased: what its proof is a proof of. None of any other,
/// whose bytes say it.
pub(crate) fn hash_of_erased(event: &StoredEvent) -> Option<Vec<u8>> {
    erasure::mark(&event.body).map(|_| event.leaf_hash.clone())
}

/// A proof that the log only grew between two sizes, as the request that a witness takes (C2SP
/// tlog-witness, `add-checkpoint`), with the checkpoint of the newer one.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/log/consistency",
    tag = "evidence",
    params(("workspace" = String, Path, description = "The name of the workspace."), Between),
    responses(
        (status = 200, description = "The body of `add-checkpoint`.", body = String, content_type = "text/plain"),
        Problems,
    )
)]
pub async fn consistency(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(Between { from, to }): Query<Between>,
) -> ApiResult<Response> {
    let store = app.ledger().store();
    let newer = match to {
        None => last(store, workspace).await?,
        Some(to) => store.checkpoint_at(workspace, to).await?.ok_or_else(|| {
            let detail = format!("no checkpoint of {to} events was signed");
            ApiError::not_found("no_checkpoint", detail)
        })?,
    };
    if from > newer.size {
        let detail = format!("`from`: it is more than {}, the size of the newer one", newer.size);
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", detail));
    }
    let proof = tree::consistency(store, workspace, from, newer.size).await?;
    let ask = AddCheckpoint { old: from, proof, note: note(&newer)? };
    Ok(bytes(TEXT, NOT_AT_ALL, ask.to_string().into_bytes()))
}

async fn last(store: &Store, workspace: WorkspaceId) -> ApiResult<SignedCheckpoint> {
    let none = || ApiError::not_found("no_checkpoint", "no checkpoint of the log was signed yet");
    store.last_checkpoint(workspace).await?.ok_or_else(none)
}

/// The checkpoint that was the last one then. Named by an event or by a checkpoint, a moment is all the
/// time until the next event: what was signed of the log in that time counts.
async fn last_then(
    store: &Store,
    workspace: WorkspaceId,
    then: Then,
) -> Result<Option<SignedCheckpoint>, StoreError> {
    let by = if then.by_time { then.at } else { Moment::MAX };
    store.last_checkpoint_then(workspace, then.size, by).await
}

fn note(checkpoint: &SignedCheckpoint) -> ApiResult<Note> {
    Note::parse(&checkpoint.note).map_err(ApiError::internal)
}

fn bytes(kind: HeaderValue, cache: HeaderValue, body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache)], body).into_response()
}
