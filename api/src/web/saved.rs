//! Saved views: lists of runs that people gave a name.

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use runledger_ledger::access::{AccessChange, ViewRemoved};
use runledger_ledger::words::{Note, WorkspaceId};
use runledger_projections::{Kept, SavedView};
use serde::Deserialize;

use super::fault::{Fault, Page};
use super::links::encode;
use super::session::Viewer;
use super::shell::{Asked, Shell};
use crate::access::Access;
use crate::app::App;
use crate::extract::{self, Nothing, Query};
use crate::policy::Action;
use crate::problem::{ApiError, ApiResult};
use crate::reason::{BLANK, says_something};
use crate::routes::access::Place;
use crate::routes::runs::RunQuery;

/// A view to save or to forget, as its form gives it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Given {
    #[serde(default)]
    form_token: String,
    name: String,
    #[serde(default)]
    query: String,
    #[serde(default)]
    forget: bool,
    /// Why a view of somebody else goes.
    #[serde(default)]
    reason: String,
}

/// A saved view on the page of runs.
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) href: String,
    pub(super) chosen: bool,
    /// How it can be removed by who looks.
    pub(super) removal: Removal,
}

/// How a saved view can be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// It is one's own.
    Own,
    /// It is this one's, and who administers the workspace has to say why.
    WithReason(String),
    /// Not by who looks.
    Never,
}

/// The view that a path names.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ViewPath {
    name: String,
}

/// The saved views as links, and the filters of this page, if there are any to save.
pub(super) fn choices(shell: &Shell, saved: Vec<SavedView>) -> (Vec<Choice>, String) {
    let here = shell.filters();
    let choice = |view: SavedView| Choice {
        href: format!("/w/{}/runs?{}", shell.workspace, view.query),
        chosen: view.query == here,
        removal: removal(shell, &view),
        name: view.name,
    };
    (saved.into_iter().map(choice).collect(), here)
}

fn removal(shell: &Shell, view: &SavedView) -> Removal {
    if view.saved_by == shell.access.actor().id.as_str() {
        return Removal::Own;
    }
    match shell.may(Action::ManageAccess) {
        true => Removal::WithReason(view.saved_by.clone()),
        false => Removal::Never,
    }
}

/// A view by its name: leads to the list.
pub(super) async fn open(
    State(app): State<App>,
    Path(ViewPath { name, .. }): Path<ViewPath>,
    asked: Asked<Nothing>,
) -> Page<Response> {
    let saved = app.projections().saved_views(asked.workspace).await.map_err(ApiError::from)?;
    let found = saved.into_iter().find(|view| view.name == name).ok_or_else(|| {
        let detail = format!("no view called {name:?} is saved here");
        ApiError::not_found("unknown_view", detail)
    })?;
    let to = format!("/w/{}/runs?{}", asked.shell.workspace, found.query);
    Ok(Redirect::to(&to).into_response())
}

/// Saves a view, or forgets one.
pub(super) async fn keep(
    State(app): State<App>,
    Path(workspace): Path<String>,
    viewer: Viewer,
    access: Access,
    Form(given): Form<Given>,
) -> Page<Response> {
    if !viewer.made(&given.form_token) {
        return Err(Fault::foreign());
    }
    kept(&app, &access, &workspace, given).await
}

async fn kept(app: &App, access: &Access, name: &str, given: Given) -> Page<Response> {
    let workspace = extract::workspace(app, name).await?;
    let projections = app.projections();
    let view = given.name.trim();
    if given.forget {
        forget(app, access, workspace, view, &given.reason).await?;
        return Ok(Redirect::to(&format!("/w/{name}/runs")).into_response());
    }
    let query = checked(view, &given.query)?;
    let kept = projections
        .save_view(workspace, view, &query, &access.actor().id, app.ledger().now())
        .await;
    match kept.map_err(ApiError::from)? {
        Kept::Saved => {
            Ok(Redirect::to(&format!("/w/{name}/views/{}", encode(view))).into_response())
        }
        Kept::OfAnother => Err(of_another(view).into()),
        Kept::Full => {
            let most = SavedView::MOST;
            let detail =
                format!("{most} views are saved here, and no more can be; remove one first");
            Err(ApiError::new(StatusCode::CONFLICT, "too_many_views", detail).into())
        }
    }
}

/// Removes a view. One of somebody else is taken away by who administers the workspace, and the log says
/// why before it goes.
async fn forget(
    app: &App,
    access: &Access,
    workspace: WorkspaceId,
    name: &str,
    reason: &str,
) -> ApiResult<()> {
    let projections = app.projections();
    let saved = projections.saved_views(workspace).await?;
    let Some(view) = saved.into_iter().find(|view| view.name == name) else { return Ok(()) };
    if view.saved_by != access.actor().id.as_str() {
        if !access.may(Action::ManageAccess) {
            return Err(of_another(name));
        }
        let SavedView { name: view, query, saved_by } = view.clone();
        let removed = ViewRemoved { query, reason: said(reason)?, saved_by, view };
        let place = Place { app, access, workspace };
        place.note(AccessChange::ViewRemoved(removed)).await?;
    }
    match projections.forget_view(workspace, name, &view.saved_by).await? {
        true => Ok(()),
        // Somebody saved another one of this name meanwhile.
        false => Err(of_another(name)),
    }
}

/// A reason that says something.
fn said(reason: &str) -> ApiResult<Note> {
    let wrong = |detail: String| {
        let detail = format!("reason: {detail}");
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail)
    };
    match says_something(reason) {
        true => Note::new(reason).map_err(|error| wrong(error.to_string())),
        false => Err(wrong(BLANK.to_owned())),
    }
}

/// The answer to whoever would change a view that is not theirs.
fn of_another(name: &str) -> ApiError {
    let detail = format!(
        "somebody else saved the view {name:?}; save yours under another name, or ask them, or an \
         administrator of the workspace, to remove it"
    );
    ApiError::new(StatusCode::CONFLICT, "view_of_another", detail)
}

/// The filters of a view, if it is one that can be kept.
fn checked(name: &str, query: &str) -> ApiResult<String> {
    let wrong = |detail: String| {
        Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail))
    };
    let length = name.chars().count();
    let printable = !name.chars().any(|c| c.is_control() || c == '/');
    if length == 0 || length > SavedView::NAME || !printable || name == "." || name == ".." {
        let most = SavedView::NAME;
        return wrong(format!("name: 1 to {most} characters, and none of them a slash"));
    }
    if query.is_empty() || query.len() > SavedView::QUERY {
        let most = SavedView::QUERY;
        return wrong(format!("query: 1 to {most} bytes; narrow the list before you save it"));
    }
    let pairs: Vec<(String, String)> = Query::read_part(query, &[])?;
    let beside = ["as_of", "cursor"];
    if pairs.iter().any(|(name, _)| beside.contains(&name.as_str())) {
        return wrong("query: a view keeps neither a moment nor a place in a list".to_owned());
    }
    // What the list would refuse is refused here.
    let _: RunQuery = Query::read_part(query, &[])?;
    Ok(query.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_has_a_short_name_and_filters_that_the_list_takes() {
        let fine = "actionability=actionable&environment=prod";
        assert_eq!(checked("Ours", fine).unwrap(), fine);
        let long = "x".repeat(61);
        for (name, query) in [
            ("", fine),
            (long.as_str(), fine),
            ("a/b", fine),
            ("..", fine),
            ("a\nb", fine),
            ("Ours", ""),
            ("Ours", "colour=red"),
            ("Ours", "status=sleeping"),
            ("Ours", "status=queued&cursor=abc"),
            ("Ours", "status=queued&as_of=7"),
            ("Ours", "https://evil.example"),
        ] {
            assert!(checked(name, query).is_err(), "{name:?} {query:?}");
        }
    }
}
