//! All workspaces of whoever looks, side by side: what needs a person in each, and how each log is.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Html;
use runledger_projections::rules::activity::Activity;
use runledger_projections::texts::Phrase;
use runledger_projections::{Counts, Lag, WorkspaceStanding};

use super::door;
use super::fault::{Page, html};
use super::preferences::Preferences;
use super::shell::Shell;
use super::words;
use crate::app::App;
use crate::problem::ApiError;

/// A workspace among others.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) standing: WorkspaceStanding,
    pub(super) lag: Option<Lag>,
    /// Why its log takes no more events.
    pub(super) halted: Option<String>,
}

#[derive(Template)]
#[template(path = "workspaces.html")]
pub(super) struct WorkspacesPage {
    pub(super) shell: Shell,
    pub(super) lines: Vec<Line>,
    /// All of them together.
    pub(super) sum: Counts,
}

impl WorkspacesPage {
    /// The runs that have not ended, in all of them.
    pub(super) fn activity(&self) -> Activity {
        let each = self.lines.iter().map(|line| line.standing.activity());
        each.fold(Activity::default(), |sum, one| Activity {
            fresh: sum.fresh + one.fresh,
            stale: sum.stale + one.stale,
            unknown: sum.unknown + one.unknown,
        })
    }
}

pub(super) async fn page(State(app): State<App>, request: Request) -> Page<Html<String>> {
    let (parts, _) = request.into_parts();
    let who = (door::viewer(&parts)?, door::access(&parts)?);
    let preferences = Preferences::of(&parts.headers);
    // No moment, and no other filter: what is asked for and not done must not look done.
    if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        let detail = "all workspaces are shown as they are now, so this page takes no parameters; \
                      open one of them for another moment or a filter";
        let refused = ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", detail);
        return Err(refused.into());
    }
    let shell = Shell::of_all(preferences, app.ledger().now(), who, &parts.uri);
    html(&all(&app, shell).await?)
}

async fn all(app: &App, shell: Shell) -> Page<WorkspacesPage> {
    let workspaces = app.ledger().store().workspaces().await.map_err(ApiError::from)?;
    // Counts side by side are those of whole workspaces.
    let workspaces: Vec<_> =
        workspaces.into_iter().filter(|(_, name)| shell.access.sees_all_of(name)).collect();
    let ids: Vec<_> = workspaces.iter().map(|(id, _)| *id).collect();
    let mut standings = app.projections().at_a_glance(&ids).await.map_err(ApiError::from)?;
    let lags = app.projections().lags().await.map_err(ApiError::from)?;
    let mut lags: HashMap<_, _> = lags.into_iter().map(|lag| (lag.workspace, lag)).collect();
    let mut lines: Vec<Line> = workspaces
        .into_iter()
        .map(|(id, name)| Line {
            name,
            standing: standings.remove(&id).unwrap_or_default(),
            lag: lags.remove(&id),
            halted: app.ledger().halted(id).map(|why| why.to_string()),
        })
        .collect();
    // What needs a person comes first.
    lines.sort_by_key(|line| {
        let counts = &line.standing.counts;
        (std::cmp::Reverse((counts.follow_up_items, counts.active_stale)), line.name.clone())
    });
    let sum = Counts::sum(lines.iter().map(|line| &line.standing.counts));
    Ok(WorkspacesPage { shell, lines, sum })
}
