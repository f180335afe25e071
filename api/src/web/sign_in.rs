//! Signing in and out.

use std::net::{IpAddr, Ipv4Addr};

use askama::Template;
use axum::extract::{Form, FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use runledger_ledger::store::Proof;
use serde::Deserialize;

use super::assets;
use super::door::principal;
use super::fault::{Fault, Page, html};
use super::links::encode;
use super::preferences::Preferences;
use super::security::is_plain;
use super::session::set_cookie;
use super::words::{self, Words};
use crate::app::App;
use crate::limits;
use crate::people;
use crate::policy::{self, Action, Place, Verdict};
use crate::problem::{ApiError, ApiResult};

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
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Given {
    code: Option<String>,
    token: Option<String>,
    name: Option<String>,
    password: Option<String>,
    next: String,
}

/// Where a request comes from: what guesses are counted by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin(pub(super) IpAddr);

impl FromRequestParts<App> for Origin {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &App,
    ) -> Result<Self, std::convert::Infallible> {
        // Whoever is of no address is one.
        let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Ok(Origin(limits::address(app, parts).unwrap_or(unknown)))
    }
}

/// What a form with nothing but a button says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Button {
    #[serde(default)]
    form_token: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignInPage {
    pub(super) w: &'static Words,
    pub(super) preferences: Preferences,
    pub(super) code: Option<String>,
    pub(super) next: String,
    /// Whether there is anybody but the administrator of the server.
    pub(super) people: bool,
    /// The name that was tried.
    pub(super) name: String,
    /// The message that says why it did not work.
    pub(super) refused: Option<&'static str>,
    /// What the provider of identities is called, if there is one.
    pub(super) provider: Option<String>,
    /// Why nobody was signed in with it.
    pub(super) told: Option<Told>,
}

/// What is said of a sign-in with the provider.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// What happened, and what to do next.
    pub(super) text: String,
    /// Who it is at the provider, for whoever is to let them in.
    pub(super) subject: Option<String>,
}

impl Told {
    /// A sentence and nothing else.
    pub(super) const fn of(text: String) -> Self {
        Told { text, subject: None }
    }
}

impl SignInPage {
    /// Whether the form for the administrator lies open.
    pub(super) fn by_token(&self) -> bool {
        self.refused.is_some_and(|key| key != REFUSED)
    }

    /// Where the provider is asked.
    pub(super) fn to_provider(&self) -> String {
        match self.next.as_str() {
            "/" => "/sign-in/openid".to_owned(),
            next => format!("/sign-in/openid?next={}", encode(next)),
        }
    }
}

/// What whoever is not recognized is told, whatever the reason.
const REFUSED: &str = "sign-in-refused";

/// `/` leads to the workspace that requests without one mean.
/// For whoever has no role there, to the first one that they have a role in.
pub(super) async fn begin(State(app): State<App>, headers: HeaderMap) -> Page<Redirect> {
    let viewer = app.sessions().viewer(&headers, app.ledger().now(), true).await;
    let Some(viewer) = viewer.map_err(ApiError::from)? else {
        return Ok(Redirect::to("/sign-in"));
    };
    let principal = principal(&app, &viewer).await?;
    let reads = |workspace: &&str| {
        let verdict = policy::judge(&principal, Action::ReadVerdicts, Place::of(Some(*workspace)));
        matches!(verdict, Verdict::Allowed(_))
    };
    let default = app.default_workspace().as_str();
    let meant = [default].into_iter().chain(principal.workspaces()).find(reads);
    // Whoever reads nothing has a page of their own all the same.
    Ok(Redirect::to(&meant.map_or("/account".to_owned(), |name| format!("/w/{name}"))))
}

/// The form. A link with a code gets a button: opening it changes nothing.
pub(super) async fn form(
    State(app): State<App>,
    headers: HeaderMap,
    Query(link): Query<Link>,
) -> Page<Response> {
    let next = own_path(link.next.as_deref().unwrap_or("/")).to_owned();
    shown(&app, &headers, Tried { code: link.code, next, ..Tried::default() }).await
}

/// Takes a name with its password, a code, or the token, and begins a session.
pub(super) async fn sign_in(
    State(app): State<App>,
    origin: Origin,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Page<Response> {
    let next = own_path(&given.next).to_owned();
    let name = given.name.clone().unwrap_or_default();
    if is_plain(&headers) {
        let refused = Some("sign-in-needs-encryption");
        return shown(&app, &headers, Tried { next, name, refused, ..Tried::default() }).await;
    }
    let reference = match begun(&app, origin, &headers, given).await? {
        Ok(reference) => reference,
        Err(refused) => {
            let refused = Some(refused);
            return shown(&app, &headers, Tried { next, name, refused, ..Tried::default() }).await;
        }
    };
    // Whoever was signed in here before is not any more.
    app.sessions().end(&headers).await.map_err(ApiError::from)?;
    let mut response = Redirect::to(&next).into_response();
    if let Some(cookie) = set_cookie(&headers, Some(&reference)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The reference of a session for whoever is recognized; else the message that says so.
async fn begun(
    app: &App,
    Origin(address): Origin,
    headers: &HeaderMap,
    given: Given,
) -> ApiResult<Result<String, &'static str>> {
    let (sessions, now) = (app.sessions(), app.ledger().now());
    let refused = match (given.code, given.token, given.name) {
        (Some(code), _, _) if sessions.redeem(&code, now) => None,
        (Some(_), _, _) => Some("sign-in-code-used"),
        (None, Some(token), _) if app.administrator().matches(token.trim()) => None,
        (None, Some(_), _) | (None, None, None) => Some("sign-in-wrong-token"),
        (None, None, Some(name)) => {
            let password = given.password.unwrap_or_default();
            let found = people::recognize(app, &name, password, address).await?;
            let begun = match found {
                Some(found) => {
                    people::came_by_password(app, &found.principal).await?;
                    let proof = Proof::Password(&found.password);
                    let begun = sessions.begin_of(found.principal.id, proof, headers, now).await;
                    begun.map_err(ApiError::internal)?
                }
                None => None,
            };
            return Ok(begun.ok_or(REFUSED));
        }
    };
    match refused {
        Some(refused) => Ok(Err(refused)),
        None => Ok(Ok(sessions.begin(headers, now).await.map_err(ApiError::internal)?)),
    }
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
            return Err(Fault::foreign());
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

/// What was tried before the form is shown.
#[derive(Default)]
pub(super) struct Tried {
    pub(super) code: Option<String>,
    pub(super) next: String,
    pub(super) name: String,
    pub(super) refused: Option<&'static str>,
    pub(super) told: Option<(StatusCode, Told)>,
}

/// The form, with what is to be said of what was tried.
pub(super) async fn shown(app: &App, headers: &HeaderMap, tried: Tried) -> Page<Response> {
    let Tried { code, next, name, refused, told } = tried;
    let people = app.ledger().store().has_people().await.map_err(ApiError::from)?;
    let preferences = Preferences::of(headers);
    let w = Words::of(preferences.language);
    let name = if name.len() <= 100 { name } else { String::new() };
    let provider = app.provider().map(|provider| provider.settings().name.clone());
    let (status, told) = match told {
        Some((status, told)) => (status, Some(told)),
        None if refused.is_some() => (StatusCode::UNAUTHORIZED, None),
        None => (StatusCode::OK, None),
    };
    let page = SignInPage { w, preferences, code, next, people, name, refused, provider, told };
    let page = html(&page)?;
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
