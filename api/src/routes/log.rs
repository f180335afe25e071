//! The log itself, as it lies there.

use std::fmt::Write;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use runledger_ledger::store::{Kept, Store, StoreError};
use runledger_ledger::words::WorkspaceId;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::archived::ArchivedView;
use crate::problem::{ApiResult, Problems};
use crate::question::{Limit, LogQuestion, When};

/// Events that are read and sent at a time: what a slow reader costs in memory.
const PAGE: u32 = 500;

/// The header with the position of the last event that counts, be it sent or not.
const POSITION: HeaderName = HeaderName::from_static("runledger-position");

/// Which part of a log.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// The first position.
    #[param(default = 0)]
    from: u64,
    /// At most so many events; left out, all that count.
    #[param(value_type = Option<u64>, minimum = 1)]
    limit: Option<Limit<{ u64::MAX }>>,
}

/// The log, one event a line.
///
/// Each line is `{"position": …, "leaf_hash": "…", "event": {…}}`; the bytes of `event` are those
/// that are stored and hashed. Of one that is in an archive, `archived` says in which and where; if it
/// cannot be read there, `event` is null. The answer ends early, and not with its last chunk, if the database
/// fails on the way.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/log",
    tag = "log",
    params(("workspace" = String, Path, description = "The name of the workspace."), Part, When),
    responses(
        (status = 200, description = "In the order of the log.", body = String,
            content_type = "application/x-ndjson",
            headers(("runledger-position" = u64, description = "The last event that counts."))),
        Problems,
    )
)]
pub async fn read_log(State(app): State<App>, question: LogQuestion<Part>) -> ApiResult<Response> {
    let position = question.position();
    let LogQuestion { workspace, size, asked: part, .. } = question;
    let store = app.ledger().store().clone();
    let end = part.limit.map_or(size, |limit| part.from.saturating_add(limit.get()).min(size));
    let pages = stream::try_unfold(part.from, move |from| {
        let store = store.clone();
        async move { page(&store, workspace, from, end).await }
    });
    let media_type = [(header::CONTENT_TYPE, "application/x-ndjson")];
    let mut response = (media_type, Body::from_stream(pages)).into_response();
    if let Some(position) = position {
        response.headers_mut().insert(POSITION, position.into());
    }
    Ok(response)
}

/// The lines from position `from` on, and where the next page begins; none at the end.
async fn page(
    store: &Store,
    workspace: WorkspaceId,
    from: u64,
    end: u64,
) -> Result<Option<(Bytes, u64)>, StoreError> {
    if from >= end {
        return Ok(None);
    }
    let read = match store.log_as_kept(workspace, from, end, PAGE).await {
        Ok(events) => store.told(workspace, events).await,
        Err(error) => Err(error),
    };
    let events = read.inspect_err(|error| {
        tracing::error!(%workspace, from, %error, "a log that is being sent cannot be read on");
    })?;
    let Some(last) = events.last() else {
        return Ok(None);
    };
    let next = last.event.position + 1;
    let mut lines = Vec::with_capacity(events.len() * 700);
    for event in &events {
        line(&mut lines, event);
    }
    Ok(Some((lines.into(), next)))
}

fn line(out: &mut Vec<u8>, Kept { event, archived }: &Kept) {
    let mut head = String::with_capacity(120);
    // Writing to a string does not fail.
    let _ = write!(
        head,
        "{{\"position\":{},\"leaf_hash\":\"{}\",\"event\":",
        event.position,
        hex::encode(&event.leaf_hash)
    );
    out.extend_from_slice(head.as_bytes());
    let archived = archived.clone().map(ArchivedView::from);
    match &archived {
        Some(archived) if !archived.readable => out.extend_from_slice(b"null"),
        _ => out.extend_from_slice(&event.body),
    }
    if let Some(archived) = archived.and_then(|archived| serde_json::to_vec(&archived).ok()) {
        out.extend_from_slice(b",\"archived\":");
        out.extend_from_slice(&archived);
    }
    out.extend_from_slice(b"}\n");
}
