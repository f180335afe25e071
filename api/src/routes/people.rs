//! The people of the server: who can sign in, and where they are signed in (specs/0022). For the
//! administrator of the server alone; what people may do in a workspace is its own to say
//! (`access.rs`).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runledger_ledger::access::Identity;
use runledger_ledger::store::{Person, WebSession};
use runledger_ledger::words::{Name, Note};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::access::{Because, Done};
use crate::access::Access;
use crate::app::App;
use crate::extract::{Change, Json, Nothing, Path, Query};
use crate::people::{Hand, Password, PersonName};
use crate::problem::{ApiError, ApiResult, Problems};
use crate::question::Items;
use crate::web::is_there;

/// Somebody who is to sign in: with a password, as somebody of the provider of identities, or either
/// way.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    /// What they sign in with: 1 to 100 of `a` to `z`, `0` to `9` and `. - _ @ +`.
    #[schema(value_type = String, example = "ada")]
    name: PersonName,
    /// Their password: 12 to 256 characters.
    #[schema(value_type = Option<String>, format = Password, min_length = 12, max_length = 256)]
    password: Option<Password>,
    /// What the provider of identities calls them for good.
    #[schema(value_type = Option<String>, max_length = 255)]
    subject: Option<Subject>,
    /// Why.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "crate::reason::said")]
    reason: Note,
}

/// Who somebody is at the provider of identities.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIdentity {
    /// What the provider calls them for good.
    #[schema(value_type = String, max_length = 255)]
    subject: Subject,
    /// Why.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "crate::reason::said")]
    reason: Note,
}

/// What a provider calls somebody for good.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Subject(String);

/// A text that no provider calls anybody.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a subject has 1 to 255 bytes, and no line breaks")]
pub struct NoSubject;

impl TryFrom<String> for Subject {
    type Error = NoSubject;

    fn try_from(text: String) -> Result<Self, NoSubject> {
        let fits = !text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control);
        if fits { Ok(Subject(text)) } else { Err(NoSubject) }
    }
}

/// Another password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The password: 12 to 256 characters.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 256)]
    password: Password,
    /// Why.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "crate::reason::said")]
    reason: Note,
}

/// Somebody who signs in.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonView {
    /// Their name.
    name: String,
    /// `active`; `disabled`, if they cannot sign in until they are enabled; `no_password`, if they
    /// cannot until they have one, or are somebody at the provider of identities.
    state: &'static str,
    /// When they were made, in RFC 3339.
    #[schema(format = DateTime)]
    created_at: String,
    /// Since when they cannot sign in, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    disabled_at: Option<String>,
    /// When they last signed in, in RFC 3339; left out, not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    signed_in_at: Option<String>,
    /// Whether they have a password.
    has_password: bool,
    /// Who they are at a provider of identities, if they sign in there.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityView>,
}

/// Somebody as a provider of identities knows them.
#[derive(Debug, Serialize, ToSchema)]
pub struct IdentityView {
    /// The provider.
    issuer: String,
    /// What it calls them for good.
    subject: String,
}

/// A browser in which somebody is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// What it is called by.
    id: Uuid,
    /// What the browser calls itself.
    device: String,
    /// When they signed in, in RFC 3339.
    #[schema(format = DateTime)]
    began_at: String,
    /// When somebody last did something in it, in RFC 3339, about a minute exact.
    #[schema(format = DateTime)]
    seen_at: String,
}

/// Everybody.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes what is answered")]
pub struct PersonList {
    items: Vec<PersonView>,
}

/// All sessions of a person.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes what is answered")]
pub struct SessionList {
    items: Vec<SessionView>,
}

/// The person that the path names.
#[derive(Clone, Debug, Deserialize)]
pub struct PersonPath {
    person: Name,
}

/// The session that the path names.
#[derive(Clone, Debug, Deserialize)]
pub struct SessionPath {
    person: Name,
    session: Uuid,
}

/// Everybody who signs in, by name.
#[utoipa::path(
    get,
    path = "/v1/people",
    tag = "people",
    responses((status = 200, description = "Without their passwords.", body = PersonList), Problems)
)]
pub async fn list_people(
    State(app): State<App>,
    _: Query<Nothing>,
) -> ApiResult<axum::Json<Items<PersonView>>> {
    let people = app.ledger().store().people().await?;
    Ok(axum::Json(Items { items: people.into_iter().map(PersonView::of).collect() }))
}

/// Make a person who signs in with a password, as somebody of the provider of identities, or either
/// way. They have no role yet.
#[utoipa::path(
    post,
    path = "/v1/people",
    tag = "people",
    request_body = NewPerson,
    responses((status = 201, description = "They can sign in.", body = Done), Problems)
)]
pub async fn add_person(
    State(app): State<App>,
    access: Access,
    _: Query<Nothing>,
    Json(new): Json<NewPerson>,
) -> ApiResult<Response> {
    let NewPerson { name, password, subject, reason } = new;
    if password.is_none() && subject.is_none() {
        let detail = "say how they sign in: `password`, `subject`, or both";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail));
    }
    let identity = subject.map(|subject| identity(&app, subject)).transpose()?;
    let hand = Hand { app: &app, actor: access.actor() };
    let position = hand.add(&name, password, identity, reason).await?;
    Ok((StatusCode::CREATED, axum::Json(Done { position })).into_response())
}

/// Give somebody another password. Their sessions end.
#[utoipa::path(
    post,
    path = "/v1/people/{person}/password",
    tag = "people",
    params(("person" = String, Path, description = "Their name.")),
    request_body = NewPassword,
    responses((status = 200, description = "They have it.", body = Done), Problems)
)]
pub async fn set_password(
    State(app): State<App>,
    Change { access, path, body }: Change<PersonPath, NewPassword>,
) -> ApiResult<axum::Json<Done>> {
    let (PersonPath { person }, NewPassword { password, reason }) = (path, body);
    let hand = Hand { app: &app, actor: access.actor() };
    let person = hand.person(&person).await?.principal;
    let position = hand.set_password(&person, password, Some(reason), None).await?;
    Ok(axum::Json(Done { position }))
}

/// Say who somebody is at the provider of identities. Who they were there before ends, and their
/// sessions with it.
#[utoipa::path(
    post,
    path = "/v1/people/{person}/identity",
    tag = "people",
    params(("person" = String, Path, description = "Their name.")),
    request_body = NewIdentity,
    responses((status = 200, description = "They sign in there.", body = Done), Problems)
)]
pub async fn link_person(
    State(app): State<App>,
    Change { access, path, body }: Change<PersonPath, NewIdentity>,
) -> ApiResult<axum::Json<Done>> {
    let (PersonPath { person }, NewIdentity { subject, reason }) = (path, body);
    let hand = Hand { app: &app, actor: access.actor() };
    let person = hand.person(&person).await?;
    let position = hand.link(&person, identity(&app, subject)?, Some(reason)).await?;
    Ok(axum::Json(Done { position }))
}

/// Let somebody not sign in with the provider of identities any more. Their sessions end at once.
#[utoipa::path(
    post,
    path = "/v1/people/{person}/identity/remove",
    tag = "people",
    params(("person" = String, Path, description = "Their name.")),
    request_body = Because,
    responses((status = 200, description = "They do not.", body = Done), Problems)
)]
pub async fn unlink_person(
    State(app): State<App>,
    Change { access, path, body }: Change<PersonPath, Because>,
) -> ApiResult<axum::Json<Done>> {
    let (PersonPath { person }, Because { reason }) = (path, body);
    let hand = Hand { app: &app, actor: access.actor() };
    let person = hand.person(&person).await?;
    let position = hand.unlink(&person, reason).await?;
    Ok(axum::Json(Done { position }))
}

/// Keep somebody from signing in. Their sessions end at once; their roles stay.
#[utoipa::path(
    post,
    path = "/v1/people/{person}/disable",
    tag = "people",
    params(("person" = String, Path, description = "Their name.")),
    request_body = Because,
    responses((status = 200, description = "They cannot sign in.", body = Done), Problems)
)]
pub async fn disable_person(
    State(app): State<App>,
    Change { access, path, body }: Change<PersonPath, Because>,
) -> ApiResult<axum::Json<Done>> {
    let (PersonPath { person }, Because { reason }) = (path, body);
    let hand = Hand { app: &app, actor: access.actor() };
    let person = hand.person(&person).await?.principal;
    let position = hand.disable(&person, reason).await?;
    Ok(axum::Json(Done { position }))
}

/// Let somebody sign in again.
#[utoipa::path(
    post,
    path = "/v1/people/{person}/enable",
    tag = "people",
    params(("person" = String, Path, description = "Their name.")),
    request_body = Because,
    responses((status = 200, description = "They can sign in.", body = Done), Problems)
)]
pub async fn enable_person(
    State(app): State<App>,
    Change { access, path, body }: Change<PersonPath, Because>,
) -> ApiResult<axum::Json<Done>> {
    let (PersonPath { person }, Because { reason }) = (path, body);
    let hand = Hand { app: &app, actor: access.actor() };
    let person = hand.person(&person).await?;
    let position = hand.enable(&person, reason).await?;
    Ok(axum::Json(Done { position }))
}

/// Remove somebody, with all their roles. Their name is free again.
#[utoipa::path(
    post,
    path = "/v1/people/{person}/remove",
    tag = "people",
    params(("person" = String, Path, description = "Their name.")),
    request_body = Because,
    responses((status = 200, description = "They are gone.", body = Done), Problems)
)]
pub async fn remove_person(
    State(app): State<App>,
    Change { access, path, body }: Change<PersonPath, Because>,
) -> ApiResult<axum::Json<Done>> {
    let (PersonPath { person }, Because { reason }) = (path, body);
    let hand = Hand { app: &app, actor: access.actor() };
    let person = hand.person(&person).await?.principal;
    let position = hand.remove(&person, reason).await?;
    Ok(axum::Json(Done { position }))
}

/// Where somebody is signed in, the browser that was used last first.
#[utoipa::path(
    get,
    path = "/v1/people/{person}/sessions",
    tag = "people",
    params(("person" = String, Path, description = "Their name.")),
    responses((status = 200, description = "Those that have not ended.", body = SessionList), Problems)
)]
pub async fn list_sessions(
    State(app): State<App>,
    access: Access,
    Path(PersonPath { person }): Path<PersonPath>,
    _: Query<Nothing>,
) -> ApiResult<axum::Json<Items<SessionView>>> {
    let hand = Hand { app: &app, actor: access.actor() };
    let (person, now) = (hand.person(&person).await?.principal, app.ledger().now());
    let sessions = app.ledger().store().web_sessions(Some(person.id)).await?;
    let there = sessions.into_iter().filter(|session| is_there(session, now));
    Ok(axum::Json(Items { items: there.map(SessionView::of).collect() }))
}

/// Sign somebody out everywhere.
#[utoipa::path(
    post,
    path = "/v1/people/{person}/sessions/end",
    tag = "people",
    params(("person" = String, Path, description = "Their name.")),
    request_body = Because,
    responses((status = 200, description = "They are signed out.", body = Done), Problems)
)]
pub async fn end_sessions(
    State(app): State<App>,
    Change { access, path, body }: Change<PersonPath, Because>,
) -> ApiResult<axum::Json<Done>> {
    let (PersonPath { person }, Because { reason }) = (path, body);
    let hand = Hand { app: &app, actor: access.actor() };
    let person = hand.person(&person).await?.principal;
    let position = hand.end_sessions(&person, None, reason).await?;
    Ok(axum::Json(Done { position }))
}

/// Sign somebody out in one browser.
#[utoipa::path(
    post,
    path = "/v1/people/{person}/sessions/{session}/end",
    tag = "people",
    params(
        ("person" = String, Path, description = "Their name."),
        ("session" = Uuid, Path, description = "What the session is called by."),
    ),
    request_body = Because,
    responses((status = 200, description = "It has ended.", body = Done), Problems)
)]
pub async fn end_session(
    State(app): State<App>,
    Change { access, path, body }: Change<SessionPath, Because>,
) -> ApiResult<axum::Json<Done>> {
    let (SessionPath { person, session }, Because { reason }) = (path, body);
    let hand = Hand { app: &app, actor: access.actor() };
    let person = hand.person(&person).await?.principal;
    let position = hand.end_sessions(&person, Some(session), reason).await?;
    let position = position.ok_or_else(|| {
        let detail = format!("{} has no session {session}, or it has ended", person.name);
        ApiError::not_found("unknown_session", detail)
    })?;
    Ok(axum::Json(Done { position: Some(position) }))
}

/// Somebody of the provider that this server has.
fn identity(app: &App, Subject(subject): Subject) -> ApiResult<Identity> {
    let provider = app.provider().ok_or_else(|| {
        let detail =
            "this server has no provider of identities; name one in [oidc] of its settings";
        ApiError::new(StatusCode::CONFLICT, "no_provider", detail)
    })?;
    Ok(Identity { issuer: provider.settings().issuer.clone(), subject })
}

impl PersonView {
    fn of(person: Person) -> Self {
        PersonView {
            name: person.principal.name.to_string(),
            state: person.state(),
            created_at: person.created_at.to_string(),
            disabled_at: person.disabled_at.map(|at| at.to_string()),
            signed_in_at: person.signed_in_at.map(|at| at.to_string()),
            has_password: person.has_password,
            identity: person
                .identity
                .map(|Identity { issuer, subject }| IdentityView { issuer, subject }),
        }
    }
}

impl SessionView {
    fn of(session: WebSession) -> Self {
        SessionView {
            id: session.id,
            device: session.device,
            began_at: session.began_at.to_string(),
            seen_at: session.seen_at.to_string(),
        }
    }
}
