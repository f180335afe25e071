//! Which moment a read is about: `as_of`, and `after` for those who have just written.

mod in_sight;

use std::time::Duration;

use axum::http::StatusCode;
use runledger_ledger::store::Store;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::WorkspaceId;
use runledger_projections::{
    AsOf, FOLLOWER_LEASE, PageError, ProjectionError, Sight, View, ViewError,
};

use crate::app::App;
use crate::problem::{ApiError, ApiResult, unknown_workspace};

/// How long a read waits for the event that it must come after.
const PATIENCE: Duration = Duration::from_secs(PATIENCE_SECONDS.unsigned_abs());
const PATIENCE_SECONDS: i64 = 5;
/// A server that is started again after a `kill -9` follows its logs when the dead one's leases are
/// over: who asks meanwhile waits, and is not sent away.
const _: () = assert!(Span::from_secs(PATIENCE_SECONDS).micros() > FOLLOWER_LEASE.micros());
/// How long a write waits that tells of something besides.
const BRIEFLY: Duration = Duration::from_secs(1);

/// What `as_of` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// A moment, or a position.
    AsOf(AsOf),
    /// The checkpoint of a log of so many events.
    Size(u64),
    /// The checkpoint with this root.
    Root([u8; 32]),
}

/// Reads `as_of`: a position of the log, a time, or a checkpoint: `size:EVENTS`, `root:HEX`.
///
/// # Errors
/// If it is none of them.
pub fn as_of(text: Option<&str>) -> ApiResult<Said> {
    let Some(text) = text else {
        return Ok(Said::AsOf(AsOf::Now));
    };
    let wrong = |why: &dyn std::fmt::Display| {
        let detail = format!(
            "`as_of` must be a position of the log, a time, or a checkpoint (`size:EVENTS` or \
             `root:` and 64 hexadecimal digits): {why}"
        );
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", detail)
    };
    if let Some(size) = text.strip_prefix("size:") {
        return size.parse().map(Said::Size).map_err(|error| wrong(&error));
    }
    if let Some(root) = text.strip_prefix("root:") {
        let mut hash = [0; 32];
        hex::decode_to_slice(root, &mut hash).map_err(|error| wrong(&error))?;
        return Ok(Said::Root(hash));
    }
    if let Ok(position) = text.parse() {
        return Ok(Said::AsOf(AsOf::Position(position)));
    }
    // In a query a `+` that is not escaped is read as a space.
    let moment = text.replace(' ', "+").parse::<Moment>();
    moment.map(|moment| Said::AsOf(AsOf::Moment(moment))).map_err(|error| wrong(&error))
}

/// Which moment of a workspace is meant. A checkpoint stands for its last event: the answer is then
/// the same for ever, and anybody who has the checkpoint knows from which events it follows.
pub async fn moment(store: &Store, workspace: WorkspaceId, said: Said) -> ApiResult<AsOf> {
    let found = match said {
        Said::AsOf(as_of) => return Ok(as_of),
        Said::Size(size) => store.checkpoint_at(workspace, size).await?,
        Said::Root(root) => store.checkpoint_of_root(workspace, &root).await?,
    };
    let last = found.and_then(|checkpoint| checkpoint.size.checked_sub(1));
    last.map(AsOf::Position).ok_or_else(no_checkpoint)
}

fn no_checkpoint() -> ApiError {
    let detail = "`as_of`: no such checkpoint of this log was signed";
    ApiError::not_found("no_checkpoint", detail)
}

/// The read models of `workspace` as of a moment, once they hold the event at `after`, as somebody
/// sees them who sees no more than `sight`.
pub async fn view(
    app: &App,
    workspace: WorkspaceId,
    sight: &Sight,
    when: Option<&str>,
    after: Option<u64>,
) -> ApiResult<View> {
    let (as_of, after) = asked(app, workspace, sight, when, after).await?;
    if let Some(position) = after {
        there(app, workspace, position).await?;
    }
    Ok(app.projections().view(workspace, as_of).await?.seen_with(sight.clone()))
}

/// Which moment is asked about, and which event is waited for.
async fn asked(
    app: &App,
    workspace: WorkspaceId,
    sight: &Sight,
    when: Option<&str>,
    after: Option<u64>,
) -> ApiResult<(AsOf, Option<u64>)> {
    let said = as_of(when)?;
    if sight.is_narrowed() {
        let as_of = in_sight::moment(app, workspace, sight, said).await?;
        let after = match after {
            Some(position) => in_sight::after(app, workspace, as_of, position).await?,
            None => None,
        };
        return Ok((as_of, after));
    }
    let as_of = moment(app.ledger().store(), workspace, said).await?;
    if let Some(position) = after {
        agree(app, workspace, as_of, position).await?;
    }
    Ok((as_of, after))
}

/// The read models of `workspace` as they are now, with all that is recorded in them if they get
/// there in time.
pub async fn latest(app: &App, workspace: WorkspaceId) -> ApiResult<View> {
    let head = app.ledger().store().head(workspace).await?;
    if let Some(last) = head.and_then(|head| head.size().checked_sub(1)) {
        let there = app.projections().wait(workspace, last, BRIEFLY).await;
        there.map_err(ViewError::from)?;
    }
    Ok(app.projections().view(workspace, AsOf::Now).await?)
}

/// How many events of the log of `workspace` count at a moment, as the log itself says, and which
/// moment that is.
pub async fn size(
    app: &App,
    workspace: WorkspaceId,
    sight: &Sight,
    when: Option<&str>,
    after: Option<u64>,
) -> ApiResult<(u64, Moment)> {
    let store = app.ledger().store();
    let (as_of, after) = asked(app, workspace, sight, when, after).await?;
    let head = store.head(workspace).await?.ok_or_else(unknown_workspace)?;
    let (size, now) = (head.size(), app.ledger().now());
    if let Some(position) = after {
        recorded(position, size)?;
    }
    match as_of {
        AsOf::Now => Ok((size, now.max(head.last_recorded_at))),
        AsOf::Position(position) if position < size => {
            let at = store.recorded_at(workspace, position).await?;
            Ok((position + 1, at.unwrap_or(head.last_recorded_at)))
        }
        AsOf::Position(position) => Err(ViewError::Beyond { position, size }.into()),
        AsOf::Moment(moment) if moment > now.max(head.last_recorded_at) => {
            Err(ViewError::Future { asked: moment, now }.into())
        }
        AsOf::Moment(moment) => Ok((store.size_at(workspace, moment).await?, moment)),
    }
}

/// An answer as of a moment cannot hold what came after it.
async fn agree(app: &App, workspace: WorkspaceId, as_of: AsOf, after: u64) -> ApiResult<()> {
    let past = match as_of {
        AsOf::Now => false,
        AsOf::Position(position) => after > position,
        AsOf::Moment(moment) => {
            let recorded_at = app.ledger().store().recorded_at(workspace, after).await?;
            recorded_at.is_some_and(|recorded_at| recorded_at > moment)
        }
    };
    if !past {
        return Ok(());
    }
    let detail = format!(
        "`after` names position {after}, which came after the moment that `as_of` asks about; leave \
         one of them out"
    );
    Err(ApiError::new(StatusCode::BAD_REQUEST, "after_past_as_of", detail))
}

/// Waits until the read models hold the event at `position`.
async fn there(app: &App, workspace: WorkspaceId, position: u64) -> ApiResult<()> {
    let head = app.ledger().store().head(workspace).await?;
    recorded(position, head.map_or(0, |head| head.size()))?;
    let there = app.projections().wait(workspace, position, PATIENCE).await;
    if there.map_err(ViewError::from)? {
        return Ok(());
    }
    let detail = format!(
        "the read models do not hold the event at position {position} yet; ask again shortly"
    );
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_there_yet", detail))
}

/// Whoever has been answered with a position finds it in the log.
fn recorded(position: u64, size: u64) -> ApiResult<()> {
    if position < size {
        return Ok(());
    }
    let detail = format!("`after`: there is no position {position}; the log has {size} events");
    Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "after_in_future", detail))
}

impl From<ViewError> for ApiError {
    fn from(error: ViewError) -> Self {
        let busy =
            |code, detail: String| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        match error {
            ViewError::NoWorkspace => unknown_workspace(),
            ViewError::Future { .. } | ViewError::Beyond { .. } => {
                let detail = format!("`as_of`: {error}");
                ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "as_of_in_future", detail)
            }
            ViewError::Page(error) => {
                let code = match error {
                    PageError::Limit { .. } => "invalid_query",
                    PageError::Cursor | PageError::OtherList => "invalid_cursor",
                };
                ApiError::new(StatusCode::BAD_REQUEST, code, error.to_string())
            }
            ViewError::Preparing { .. } => busy("preparing", error.to_string()),
            ViewError::Projection(ProjectionError::Store(error)) => error.into(),
            ViewError::Projection(
                error @ (ProjectionError::NotAlone
                | ProjectionError::NoModel
                | ProjectionError::Rebuilding
                | ProjectionError::Newer { .. }),
            ) => busy("not_there_yet", format!("{error}; ask again shortly")),
            ViewError::Projection(error @ ProjectionError::Parked { .. }) => {
                ApiError::internal(error)
            }
        }
    }
}
