//! Who is let in: the session of each request, and what its owner may do here.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::along::{self, Along};
use super::fault::{Fault, Page};
use super::framing;
use super::session::Viewer;
use crate::access::{self, Access, Principal};
use crate::app::App;
use crate::boundary::no_rule;
use crate::limits;
use crate::policy;
use crate::problem::{ApiError, ApiResult};

/// Lets a request through if whoever has its session may do what the page does. Who it is and what
/// was decided go along with the request.
pub(super) async fn authorize(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match decide(&app, &mut parts).await {
        Ok(None) => {}
        Ok(Some((viewer, access))) => {
            parts.extensions.insert(viewer);
            parts.extensions.insert(access);
        }
        Err(Fault::SignIn { .. }) if parts.method == Method::POST => {
            return along::sign_in_first(&parts, body).await;
        }
        Err(fault) => return framing::framed(&app, &parts, fault.into_response()).await,
    }
    let asked = parts.clone();
    // What came along is for this page alone.
    let taken = Along::of(&parts).and_then(|_| Along::taken(&parts.headers));
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(taken) = taken {
        response.headers_mut().append(header::SET_COOKIE, taken);
    }
    framing::framed(&app, &asked, response).await
}

async fn decide(app: &App, parts: &mut Parts) -> Page<Option<(Viewer, Access)>> {
    let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let method = parts.method.as_str();
    if policy::is_open_page(method, path) {
        return Ok(None);
    }
    // One that a page made by itself keeps no session alive.
    let active = !parts.headers.contains_key("hx-request");
    let (viewer, principal) = identify(app, parts, active).await?;
    limits::by_session(app, &principal)?;
    let access = allow(app, parts, principal).await?;
    Ok(Some((viewer, access)))
}

/// What would be decided now of a request that was let in: what it started may go on for longer
/// than a session and a role. None if it would not be let in, or if that cannot be known.
pub(super) async fn let_in_again(app: &App, parts: &mut Parts) -> Option<Access> {
    let (_, principal) = identify(app, parts, false).await.ok()?;
    allow(app, parts, principal).await.ok()
}

/// Whose session it is. `active` keeps it alive.
pub(super) async fn identify(
    app: &App,
    parts: &Parts,
    active: bool,
) -> Page<(Viewer, Arc<Principal>)> {
    let viewer = app.sessions().viewer(&parts.headers, app.ledger().now(), active).await;
    let viewer = viewer.map_err(ApiError::from)?;
    let viewer = viewer.ok_or_else(|| Fault::sign_in(&parts.headers, &parts.uri.to_string()))?;
    let principal = principal(app, &viewer).await?;
    Ok((viewer, principal))
}

/// What they may do here, if it is what the page does.
async fn allow(app: &App, parts: &mut Parts, principal: Arc<Principal>) -> Page<Access> {
    let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let action = policy::of_page(parts.method.as_str(), path);
    let Some(action) = action else { return Err(no_rule(&parts.method, path).into()) };
    let params = RawPathParams::from_request_parts(parts, app).await.map_err(ApiError::internal)?;
    let workspace = params.iter().find(|(name, _)| *name == "workspace").map(|(_, value)| value);
    Ok(Access::decide(principal, action, workspace)?)
}

/// Who has a session, with the roles of now.
pub(super) async fn principal(app: &App, viewer: &Viewer) -> ApiResult<Arc<Principal>> {
    match &viewer.person {
        None => Ok(Arc::clone(app.owner())),
        Some(person) => app.directory().principal(person).await,
    }
}

impl FromRequestParts<App> for Viewer {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Page<Self> {
        viewer(parts)
    }
}

/// Whoever has the session of a request that was let in.
pub(super) fn viewer(parts: &Parts) -> Page<Viewer> {
    let viewer = parts.extensions.get::<Viewer>().cloned();
    viewer.ok_or_else(|| Fault::sign_in(&parts.headers, "/"))
}

/// What was decided of a request that was let in.
pub(super) fn access(parts: &Parts) -> Page<Access> {
    Ok(access::of(parts)?)
}
