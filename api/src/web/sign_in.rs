//! Signing in and out.

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::assets;
use super::door::principal;
use super::fault::{Fault, Page, html};
use super::preferences::Preferences;
use super::security::is_plain;
use super::session::set_cookie;
use super::words::{self, Words};
use crate::app::App;
use crate::problem::ApiError;

/// What a link to the form says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Link {
    /// What the server printed when it started.
    code: Option<String>,
    /// Where to go afterwards.
    next: Option<String>,
}

/// What the form says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Given {
    code: Option<String>,
    token: Option<String>,
    next: String,
}

/// What a form with nothing but a button says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Button {
    form_token: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignInPage {
    pub(super) w: &'static Words,
    pub(super) preferences: Preferences,
    pub(super) code: Option<String>,
    pub(super) next: String,
    /// The message that says why it did not work.
    pub(super) refused: Option<&'static str>,
}

/// `/` leads to the workspace that requests without one mean.
/// For whoever has no role there, to the first one that they have a role in.
pub(super) async fn begin(State(app): State<App>, headers: HeaderMap) -> Page<Redirect> {
    let viewer = app.sessions().viewer(&headers, app.ledger().now(), true).await;
    let Some(viewer) = viewer.map_err(ApiError::from)? else {
        return Ok(Redirect::to("/sign-in"));
    };
    let principal = principal(&app, &viewer).await?;
    let default = app.default_workspace().as_str();
    let meant = match principal.first_workspace() {
        Some(first) if principal.grant(default).is_none() => first,
        _ => default,
    };
    Ok(Redirect::to(&format!("/w/{meant}")))
}

/// The form. A link with a code gets a button: opening it changes nothing.
pub(super) async fn form(headers: HeaderMap, Query(link): Query<Link>) -> Page<Response> {
    let next = own_path(link.next.as_deref().unwrap_or("/")).to_owned();
    shown(&headers, link.code, next, None)
}

/// Takes a code or the token, and begins a session.
pub(super) async fn sign_in(
    State(app): State<App>,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Page<Response> {
    let now = app.ledger().now();
    let next = own_path(&given.next).to_owned();
    if is_plain(&headers) {
        return shown(&headers, None, next, Some("sign-in-needs-encryption"));
    }
    let refused = match (&given.code, &given.token) {
        (Some(code), _) if app.sessions().redeem(code, now) => None,
        (Some(_), _) => Some("sign-in-code-used"),
        (None, Some(token)) if app.administrator().matches(token.trim()) => None,
        (None, _) => Some("sign-in-wrong-token"),
    };
    if refused.is_some() {
        return shown(&headers, None, next, refused);
    }
    // Whoever was signed in here before is not any more.
    app.sessions().end(&headers).await.map_err(ApiError::from)?;
    let reference = app.sessions().begin(None, &headers, now).await.map_err(ApiError::internal)?;
    let mut response = Redirect::to(&next).into_response();
    if let Some(cookie) = set_cookie(&headers, Some(&reference)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Ends the session.
pub(super) async fn sign_out(
    State(app): State<App>,
    headers: HeaderMap,
    Form(button): Form<Button>,
) -> Page<Response> {
    let viewer = app.sessions().viewer(&headers, app.ledger().now(), true).await;
    if let Some(viewer) = viewer.map_err(ApiError::from)? {
        if !viewer.made(&button.form_token) {
            return Err(Fault::foreign(&headers));
        }
        app.sessions().end(&headers).await.map_err(ApiError::from)?;
    }
    let mut response = Redirect::to("/sign-in").into_response();
    if let Some(cookie) = set_cookie(&headers, None) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// A path of this server to go on at; `/` for anything else.
pub(super) fn own_path(next: &str) -> &str {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if next.starts_with('/') && !next.starts_with("//") && plain { next } else { "/" }
}

fn shown(
    headers: &HeaderMap,
    code: Option<String>,
    next: String,
    refused: Option<&'static str>,
) -> Page<Response> {
    let preferences = Preferences::of(headers);
    let w = Words::of(preferences.language);
    let page = html(&SignInPage { w, preferences, code, next, refused })?;
    let status = if refused.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    Ok((status, page).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for own in ["/", "/w/main/runs?q=a%20b&status=queued"] {
            assert_eq!(own_path(own), own);
        }
        for other in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\nb"] {
            assert_eq!(own_path(other), "/", "{other}");
        }
    }
}
