//! The frame of a page that is refused: whoever is signed in keeps the way to other pages, the hint of
//! active work and the control of time.

use std::sync::Arc;

use axum::extract::OriginalUri;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use runledger_projections::{Counts, WorkspaceStanding};

use super::along;
use super::door;
use super::fault::Framed;
use super::preferences::Preferences;
use super::session::Viewer;
use super::shell::{Shell, filled, known};
use super::workspaces::{MOST_NARROWED, in_sight};
use crate::access::Access;
use crate::app::App;
use crate::extract::{self, Query};
use crate::policy::Action;
use crate::problem::{ApiError, ApiResult, Refused};
use crate::when;

/// Puts the frame beside a refusal, for the boundary to show it in. What goes wrong with that is no
/// reason to say less: the refusal is then shown by itself.
pub(super) async fn framed(app: &App, parts: &Parts, mut response: Response) -> Response {
    let status = response.status();
    let alone = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    let refused = response.extensions().get::<Refused>().is_some();
    let by_itself = parts.headers.contains_key("hx-request");
    if !refused || alone || by_itself || !status.is_client_error() {
        return response;
    }
    if let Some(shell) = frame(app, parts).await {
        response.extensions_mut().insert(Framed(Arc::new(shell)));
    }
    response
}

async fn frame(app: &App, parts: &Parts) -> Option<Shell> {
    let (viewer, principal) = door::identify(app, parts, false).await.ok()?;
    let named = parts.uri.path().strip_prefix("/w/").and_then(|rest| rest.split('/').next());
    let access = |action, workspace| Access::decide(Arc::clone(&principal), action, workspace);
    if let Some(name) = named
        && let Ok(access) = access(Action::ReadVerdicts, Some(name))
        && let Ok(shell) = of_workspace(app, parts, (viewer.clone(), access), name).await
    {
        return Some(shell);
    }
    let access = access(Action::AskOfSelf, None).ok()?;
    let mut shell = bare(app, parts, (viewer, access));
    if named.is_some() {
        // A workspace that is not there and one that they may not see are answered alike.
        shell.stand_at("/w".to_owned());
    }
    shell.learn_everywhere(app).await.ok()?;
    Some(shell)
}

fn bare(app: &App, parts: &Parts, who: (Viewer, Access)) -> Shell {
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let preferences = Preferences::of(&parts.headers);
    let mut shell = Shell::of_all(preferences, app.ledger().now(), who, uri);
    if parts.method != Method::GET {
        // Links and controls lead to the page that has the form.
        let page = along::page_of(parts.uri.path(), &[]);
        shell.stand_at(page.split('#').next().unwrap_or_default().to_owned());
    }
    shell
}

async fn of_workspace(
    app: &App,
    parts: &Parts,
    who: (Viewer, Access),
    name: &str,
) -> ApiResult<Shell> {
    let mut shell = bare(app, parts, who);
    let id = extract::workspace(app, name).await?;
    let query = filled(parts.uri.query().unwrap_or_default());
    let query: Vec<(String, String)> = Query::read_part(&query, &[]).unwrap_or_default();
    let one = |name| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    // Of a moment that is none it is shown as it is now.
    let as_of = one("as_of");
    let sight = shell.access.sight().clone();
    let (view, as_of) = match when::view(app, id, &sight, as_of.as_deref(), None).await {
        Ok(view) => (view, as_of),
        Err(_) => (when::view(app, id, &sight, None, None).await?, None),
    };
    let workspaces = app.ledger().store().workspaces().await?;
    let workspaces = shell.access.principal().among(workspaces);
    shell.environments = view.environments().await?;
    let environment = one("environment");
    shell.environment =
        environment.filter(|name| known(Some(name.as_str()), &shell.environments).is_ok());
    (shell.at, shell.position) = (view.at(), view.position());
    shell.workspace = name.to_owned();
    shell.workspaces = workspaces.into_iter().map(|(_, name)| name).collect();
    let kept = [("environment", &shell.environment), ("as_of", &as_of)];
    let kept = kept.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    shell.query = kept.collect();
    shell.as_of = as_of;
    Ok(shell)
}

impl Shell {
    /// Learns what is active in all workspaces of whoever looks: the hint of a page that is of none.
    pub(super) async fn learn_everywhere(&mut self, app: &App) -> ApiResult<()> {
        let workspaces = app.ledger().store().workspaces().await?;
        let (whole, in_part) = in_sight(&self.access, workspaces);
        let ids: Vec<_> = whole.into_iter().map(|(id, _)| id).collect();
        let all = app.projections().at_a_glance(&ids).await.map_err(ApiError::from)?;
        let mut counts: Vec<Counts> = all.into_values().map(|one| one.counts).collect();
        for (id, _, sight) in in_part.into_iter().take(MOST_NARROWED) {
            let view = when::view(app, id, &sight, None, None).await?;
            counts.extend(view.environments().await?.into_iter().map(|one| one.counts));
        }
        let counts = Counts::sum(&counts);
        self.everywhere = Some(WorkspaceStanding { counts, signed: None }.activity());
        Ok(())
    }
}
