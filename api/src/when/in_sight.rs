//! What a reader who is held to environments may name of the log (specs/0018).
//!
//! A position counts what happened in the whole workspace. So the one of an event that they see is
//! a moment to them, and any other is answered alike, whether there is such an event or not.

use axum::http::StatusCode;
use runledger_ledger::event::{AnyEvent, Recorded};
use runledger_ledger::subject::SubjectEvent;
use runledger_ledger::words::WorkspaceId;
use runledger_projections::{AsOf, Sight, ViewError};

use super::{BRIEFLY, Said, no_checkpoint};
use crate::app::App;
use crate::problem::{ApiError, ApiResult};

/// The moment that such a reader names.
pub(super) async fn moment(
    app: &App,
    workspace: WorkspaceId,
    sight: &Sight,
    said: Said,
) -> ApiResult<AsOf> {
    match said {
        Said::AsOf(AsOf::Position(position)) => {
            if sees(app, workspace, sight, position).await? {
                return Ok(AsOf::Position(position));
            }
            let detail = format!(
                "`as_of`: no event at position {position} is of an environment that you see; name \
                 one of a run that you see, or a time"
            );
            Err(ApiError::not_found("unknown_position", detail))
        }
        Said::AsOf(as_of) => Ok(as_of),
        // They read no checkpoints, which are of the whole log.
        Said::Size(_) | Said::Root(_) => Err(no_checkpoint()),
    }
}

/// The last event that such a reader waits for: what was not recorded yet is not waited for, and
/// not refused either, for both would tell how long the log is.
pub(super) async fn after(
    app: &App,
    workspace: WorkspaceId,
    as_of: AsOf,
    after: u64,
) -> ApiResult<Option<u64>> {
    if as_of != AsOf::Now {
        let detail = "`after` is for answers of now; leave it or `as_of` out";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "after_past_as_of", detail));
    }
    let head = app.ledger().store().head(workspace).await?;
    let last = head.and_then(|head| head.size().checked_sub(1));
    Ok(last.map(|last| last.min(after)))
}

/// Whether the event at `position` is of an environment in sight.
async fn sees(app: &App, workspace: WorkspaceId, sight: &Sight, position: u64) -> ApiResult<bool> {
    let store = app.ledger().store();
    let events = store.log(workspace, position, position.saturating_add(1), 1).await?;
    // What was erased is nobody's any more.
    let event = events.first().and_then(|event| Recorded::decode(&event.body).ok());
    match event {
        Some(Recorded { stream, fact, .. }) => match (stream.run_id(), fact.event) {
            (Some(run), _) => {
                let folded = app.projections().wait(workspace, position, BRIEFLY).await;
                folded.map_err(ViewError::from)?;
                let now = app.projections().view(workspace, AsOf::Now).await?;
                let there = now.seen_with(sight.clone()).there(&[run]).await?;
                Ok(there.contains(&run))
            }
            (None, AnyEvent::Subject(SubjectEvent::Observed(observed))) => {
                Ok(sight.sees(observed.key.environment.as_ref()))
            }
            _ => Ok(false),
        },
        None => Ok(false),
    }
}
