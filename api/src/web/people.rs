//! Everybody who signs in, and where: for the administrator of the server (specs/0022).

use askama::Template;
use axum::extract::{Form, Query, Request, State};
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Redirect, Response};
use runledger_ledger::store::Person;
use runledger_ledger::words::{Name, Note};
use serde::Deserialize;
use uuid::Uuid;

use super::account::SessionLine;
use super::along::Along;
use super::door;
use super::fault::{Fault, Page, html};
use super::links::encode;
use super::preferences::Preferences;
use super::session::Viewer;
use super::shell::Shell;
use super::words;
use crate::access::Access;
use crate::app::App;
use crate::extract::Path;
use crate::people::Hand;
use crate::problem::{ApiError, ApiResult};

#[derive(Template)]
#[template(path = "people.html")]
pub(super) struct PeoplePage {
    pub(super) shell: Shell,
    pub(super) people: Vec<Person>,
}

#[derive(Template)]
#[template(path = "person.html")]
pub(super) struct PersonPage {
    pub(super) shell: Shell,
    pub(super) person: Person,
    pub(super) sessions: Vec<SessionLine>,
    /// Whether sessions were just ended.
    pub(super) done: bool,
}

/// The person that the path names.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PersonPath {
    person: Name,
}

/// What the page is told that led here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct After {
    done: Option<String>,
}

/// Which sessions of somebody to end: one, or all of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    #[serde(default)]
    form_token: String,
    session: String,
    #[serde(deserialize_with = "crate::reason::said")]
    reason: Note,
}

pub(super) async fn page(State(app): State<App>, request: Request) -> Page<Html<String>> {
    let (parts, _) = request.into_parts();
    let who = (door::viewer(&parts)?, door::access(&parts)?);
    let (preferences, now) = (Preferences::of(&parts.headers), app.ledger().now());
    let mut shell = Shell::of_all(preferences, now, who, &parts.uri);
    shell.learn_everywhere(&app).await?;
    let people = app.ledger().store().people().await.map_err(ApiError::from)?;
    html(&PeoplePage { shell, people })
}

pub(super) async fn person(
    State(app): State<App>,
    Path(PersonPath { person }): Path<PersonPath>,
    Query(After { done }): Query<After>,
    request: Request,
) -> Page<Html<String>> {
    let (parts, _) = request.into_parts();
    let (viewer, access) = (door::viewer(&parts)?, door::access(&parts)?);
    let preferences = Preferences::of(&parts.headers);
    let (person, sessions) = of(&app, &access, &person, viewer.session).await?;
    let path = format!("/people/{}", encode(person.principal.name.as_str()));
    let uri: Uri = path.parse().map_err(ApiError::internal)?;
    let mut shell = Shell::of_all(preferences, app.ledger().now(), (viewer, access), &uri);
    shell.along = Along::of(&parts);
    shell.learn_everywhere(&app).await?;
    html(&PersonPage { shell, person, sessions, done: done.is_some() })
}

async fn of(
    app: &App,
    access: &Access,
    name: &Name,
    asks: Uuid,
) -> ApiResult<(Person, Vec<SessionLine>)> {
    let person = Hand { app, actor: access.actor() }.person(name).await?;
    let sessions = app.ledger().store().web_sessions(Some(person.principal.id)).await?;
    Ok((person, SessionLine::all(sessions, asks, app.ledger().now())))
}

/// Ends sessions of somebody, with a reason for the log.
pub(super) async fn end_sessions(
    State(app): State<App>,
    Path(PersonPath { person }): Path<PersonPath>,
    viewer: Viewer,
    access: Access,
    Form(end): Form<End>,
) -> Page<Response> {
    if !viewer.made(&end.form_token) {
        return Err(Fault::foreign());
    }
    ended(&app, &access, &person, end).await?;
    let to = format!("/people/{}?done=sessions", encode(person.as_str()));
    Ok(Redirect::to(&to).into_response())
}

async fn ended(app: &App, access: &Access, name: &Name, end: End) -> ApiResult<()> {
    // What names no session means all of them only if it says so.
    let session = match end.session.as_str() {
        "all" => None,
        one => Some(one.parse::<Uuid>().unwrap_or_default()),
    };
    let hand = Hand { app, actor: access.actor() };
    let person = hand.person(name).await?.principal;
    hand.end_sessions(&person, session, end.reason).await?;
    Ok(())
}
