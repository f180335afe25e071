//! The page of whoever is signed in: their password, where they are signed in, and what they may do
//! (specs/0022).

use askama::Template;
use axum::extract::{Form, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use runledger_ledger::access::Role;
use runledger_ledger::event::Actor;
use runledger_ledger::store::{Credential, Principal, WebSession};
use runledger_ledger::time::Moment;
use serde::Deserialize;
use uuid::Uuid;

use super::device;
use super::door;
use super::fault::{Fault, Page, html};
use super::openid::keep;
use super::preferences::Preferences;
use super::session::{Viewer, is_there};
use super::shell::Shell;
use super::sign_in::Origin;
use super::words;
use crate::access::Access;
use crate::app::App;
use crate::people::{self, Hand, Password, Unfit};
use crate::problem::ApiError;

/// A browser in which somebody is signed in.
pub(super) struct SessionLine {
    pub(super) id: Uuid,
    pub(super) device: String,
    pub(super) agent: String,
    pub(super) began_at: Moment,
    pub(super) seen_at: Moment,
    /// Whether it is the one that asks.
    pub(super) this: bool,
}

impl SessionLine {
    /// Those that have not ended, the one that was used last first.
    pub(super) fn all(sessions: Vec<WebSession>, asks: Uuid, now: Moment) -> Vec<Self> {
        let there = sessions.into_iter().filter(|session| is_there(session, now));
        let line = |session: WebSession| SessionLine {
            id: session.id,
            device: device::name(&session.device),
            agent: session.device,
            began_at: session.began_at,
            seen_at: session.seen_at,
            this: session.id == asks,
        };
        there.map(line).collect()
    }
}

/// A role in a workspace.
pub(super) struct RoleLine {
    pub(super) workspace: String,
    pub(super) role: Role,
    /// The environments that it is held to; none is the whole workspace.
    pub(super) environments: Option<String>,
}

#[derive(Template)]
#[template(path = "account.html")]
pub(super) struct AccountPage {
    pub(super) shell: Shell,
    /// Who it is; none is the administrator of the server.
    pub(super) person: Option<String>,
    pub(super) roles: Vec<RoleLine>,
    pub(super) sessions: Vec<SessionLine>,
    /// The message that says what was done.
    pub(super) done: Option<&'static str>,
    /// The message that says why the password was not changed.
    pub(super) refused: Option<&'static str>,
    /// Whether they have a password.
    pub(super) has_password: bool,
    /// How they sign in with the provider of identities, if there is one.
    pub(super) provider: Option<ProviderLine>,
}

/// Who somebody is at the provider of identities.
pub(super) struct ProviderLine {
    /// What it is called.
    pub(super) name: String,
    /// Who they are there, if they sign in there.
    pub(super) subject: Option<String>,
    /// Where to go on to say so; none until they have asked for it.
    pub(super) go_on: Option<String>,
    /// The message that says why they cannot ask for it.
    pub(super) refused: Option<&'static str>,
}

/// What the page is told that led here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct After {
    done: Option<String>,
}

/// The form of a new password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    #[serde(default)]
    form_token: String,
    current: String,
    password: String,
    again: String,
}

/// The form of whoever wants to sign in with the provider from now on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    #[serde(default)]
    form_token: String,
    current: String,
}

/// Which sessions to end: one, or all but the one that asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    #[serde(default)]
    form_token: String,
    session: Option<Uuid>,
    others: Option<bool>,
}

pub(super) async fn page(
    State(app): State<App>,
    Query(After { done }): Query<After>,
    request: Request,
) -> Page<Response> {
    let done = match done.as_deref() {
        Some("password") => Some("account-password-done"),
        Some("sessions") => Some("account-sessions-done"),
        Some("linked") => Some("account-linked-done"),
        _ => None,
    };
    let (parts, _) = request.into_parts();
    let who = (door::viewer(&parts)?, door::access(&parts)?);
    let page = shown(&app, &parts.headers, who, done, None).await?;
    Ok(html(&page)?.into_response())
}

/// Gives whoever asks another password, if they know the one that they have. They stay signed in here
/// and nowhere else.
pub(super) async fn change_password(
    State(app): State<App>,
    viewer: Viewer,
    access: Access,
    origin: Origin,
    headers: HeaderMap,
    Form(change): Form<Change>,
) -> Page<Response> {
    if !viewer.made(&change.form_token) {
        return Err(Fault::foreign());
    }
    let changed = changed(&app, &viewer, access.actor(), origin, change).await;
    let refused = changed?;
    let Some(refused) = refused else {
        return Ok(Redirect::to("/account?done=password").into_response());
    };
    let page = shown(&app, &headers, (viewer, access), None, Some(refused)).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response())
}

/// Changes the password, or gives the message that says why it is not changed.
async fn changed(
    app: &App,
    viewer: &Viewer,
    actor: &Actor,
    origin: Origin,
    change: Change,
) -> Result<Option<&'static str>, ApiError> {
    let Some(person) = &viewer.person else { return Ok(Some("account-administrator")) };
    if change.password != change.again {
        return Ok(Some("account-password-differs"));
    }
    let password = match Password::new(change.password) {
        Ok(password) => password,
        Err(Unfit::Length) => return Ok(Some("account-password-length")),
        Err(Unfit::Monotonous) => return Ok(Some("account-password-monotonous")),
    };
    if knows(app, person, change.current, origin).await?.is_none() {
        return Ok(Some("account-password-wrong"));
    }
    let hand = Hand { app, actor };
    hand.set_password(person, password, None, Some(viewer.session)).await?;
    Ok(None)
}

/// What is kept of the password of this person, if whoever asks knows it. A session that was left open is no reason
/// to guess faster.
async fn knows(
    app: &App,
    person: &Principal,
    text: String,
    origin: Origin,
) -> Result<Option<Credential>, ApiError> {
    let name = person.name.as_str();
    let found: Option<Credential> = people::recognize(app, name, text, origin.0).await?;
    Ok(found.filter(|found| found.principal.id == person.id))
}

/// Lets whoever asks say who they are at the provider, if they know their password: a session that was
/// left open is no reason to let somebody else in for good. They go on by a link, as no form of this
/// server leads elsewhere.
pub(super) async fn link(
    State(app): State<App>,
    viewer: Viewer,
    access: Access,
    origin: Origin,
    headers: HeaderMap,
    Form(link): Form<Link>,
) -> Page<Response> {
    if !viewer.made(&link.form_token) {
        return Err(Fault::foreign());
    }
    let (session, who) = (viewer.session, viewer.person.clone());
    let mut page = shown(&app, &headers, (viewer, access), None, None).await?;
    let (Some(person), Some(provider), Some(line)) = (who, app.provider(), &mut page.provider)
    else {
        return Err(ApiError::of_status(StatusCode::NOT_FOUND).into());
    };
    let Some(known) = knows(&app, &person, link.current, origin).await? else {
        line.refused = Some("account-password-wrong");
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response());
    };
    let (now, of) = (app.ledger().now(), (session, known.password.as_str()));
    let Ok(begun) = provider.begin(now, Some(of), "/account?done=linked").await else {
        line.refused = Some("account-provider-away");
        return Ok((StatusCode::SERVICE_UNAVAILABLE, html(&page)?).into_response());
    };
    line.go_on = Some(begun.url.to_string());
    let mut response = html(&page)?.into_response();
    keep(&headers, provider, &mut response, Some(&begun.cookie));
    Ok(response)
}

/// Ends sessions of whoever asks.
pub(super) async fn end_sessions(
    State(app): State<App>,
    viewer: Viewer,
    Form(end): Form<End>,
) -> Page<Response> {
    if !viewer.made(&end.form_token) {
        return Err(Fault::foreign());
    }
    let person = viewer.person.as_ref().map(|person| person.id);
    let store = app.ledger().store();
    let ended = async {
        if let Some(session) = end.session {
            store.end_web_session_of(session, person).await?;
        }
        if end.others == Some(true) {
            store.end_web_sessions_of(person, Some(viewer.session)).await?;
        }
        Ok::<(), runledger_ledger::store::StoreError>(())
    };
    ended.await.map_err(ApiError::from)?;
    let to =
        if end.session == Some(viewer.session) { "/sign-in" } else { "/account?done=sessions" };
    Ok(Redirect::to(to).into_response())
}

async fn shown(
    app: &App,
    headers: &HeaderMap,
    (viewer, access): (Viewer, Access),
    done: Option<&'static str>,
    refused: Option<&'static str>,
) -> Page<AccountPage> {
    let (now, store) = (app.ledger().now(), app.ledger().store());
    let id = viewer.person.as_ref().map(|person| person.id);
    let sessions = store.web_sessions(id).await.map_err(ApiError::from)?;
    let sessions = SessionLine::all(sessions, viewer.session, now);
    let grants = match id {
        Some(id) => store.grants(id).await.map_err(ApiError::from)?,
        None => Vec::new(),
    };
    let roles = grants.into_iter().map(|grant| RoleLine {
        workspace: grant.workspace_name,
        role: grant.role,
        environments: grant
            .environments
            .map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    });
    let roles = roles.collect();
    let person = viewer.person.as_ref().map(|person| person.name.to_string());
    let known = match &viewer.person {
        Some(person) => store.person(&person.name).await.map_err(ApiError::from)?,
        None => None,
    };
    let has_password = known.as_ref().is_some_and(|known| known.has_password);
    let provider = known.zip(app.provider()).map(|(known, provider)| ProviderLine {
        name: provider.settings().name.clone(),
        subject: known.identity.map(|identity| identity.subject),
        go_on: None,
        refused: None,
    });
    let preferences = Preferences::of(headers);
    let uri = axum::http::Uri::from_static("/account");
    let mut shell = Shell::of_all(preferences, now, (viewer, access), &uri);
    shell.learn_everywhere(app).await?;
    Ok(AccountPage { shell, person, roles, sessions, done, refused, has_password, provider })
}
