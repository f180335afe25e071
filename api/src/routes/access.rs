//! Who may do what in a workspace: its members, and the tokens of its services and adapters
//! (specs/0018). Every change is in the log of the workspace, with who made it and why.

mod change;
mod owners;
mod past;

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use runledger_ledger::access::{Environments, PrincipalKind, Role};
use runledger_ledger::store::{Member, TokenRow};
use runledger_ledger::time::Span;
use runledger_ledger::words::{Name, Note};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::Access;
use crate::app::App;
use crate::extract::{Change, Json, Nothing, Query, Workspace};
use crate::past::AsOfThen;
use crate::problem::{ApiResult, Problems};
use crate::question::Items;
use crate::schema::word;

use change::unknown_token;

pub(crate) use change::Place;

/// How long a token lasts if nothing else is said, in days.
const DAYS: u16 = 90;
/// How long the old token is taken beside the new one, in hours, if nothing else is said.
const OVERLAP: u16 = 24;

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// The service or adapter that holds it; it is made if there is none of this name. An adapter
    /// has the name under which it claims runs.
    #[schema(value_type = String, example = "ci")]
    name: Name,
    /// What it may do: `reporter`, `adapter`, `viewer`, `auditor`, `operator`, `admin`.
    #[schema(schema_with = role)]
    role: Role,
    /// The environments that it is held to; left out, the whole workspace.
    #[schema(value_type = Option<Vec<String>>)]
    environments: Environments,
    /// After how many days it ends; 0 is never. Left out, 90.
    #[schema(maximum = 3650)]
    days: Option<u16>,
    /// Why.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "crate::reason::said")]
    reason: Note,
}

/// A token to take the place of another one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// For how many hours the old one is taken as well; left out, 24.
    #[schema(maximum = 720)]
    overlap_hours: Option<u16>,
    /// After how many days the new one ends; 0 is never. Left out, 90.
    #[schema(maximum = 3650)]
    days: Option<u16>,
    /// Why.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "crate::reason::said")]
    reason: Note,
}

/// Why something is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "crate::reason::said")]
    pub(super) reason: Note,
}

/// A role to be given to somebody.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// A person of this server, or a service of this workspace.
    #[schema(value_type = String, example = "ada")]
    name: Name,
    /// Which of them, where both are called so.
    #[serde(default)]
    #[schema(schema_with = kind)]
    kind: Option<PrincipalKind>,
    /// What they may do.
    #[schema(schema_with = role)]
    role: Role,
    /// The environments that they are held to; left out, the whole workspace.
    #[schema(value_type = Option<Vec<String>>)]
    environments: Environments,
    /// Why.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "crate::reason::said")]
    reason: Note,
}

/// Whose role is taken away, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// Which of them, where a person and a service are both called so.
    #[serde(default)]
    #[schema(schema_with = kind)]
    kind: Option<PrincipalKind>,
    /// Why.
    #[serde(deserialize_with = "crate::reason::said")]
    #[schema(value_type = String)]
    reason: Note,
}

/// A new token. It is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeToken {
    /// What it is called by.
    id: Uuid,
    /// The token itself; nobody can show it again.
    token: String,
    /// When it ends, in RFC 3339; left out, never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A token, without itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenView {
    /// What it is called by.
    id: Uuid,
    /// Who holds it.
    name: String,
    /// `service` or `adapter`.
    kind: &'static str,
    /// What its holder may do; left out, nothing any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// The environments that it is held to; left out, the whole workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    environments: Option<Vec<String>>,
    /// `active`, `expired` or `revoked`.
    state: &'static str,
    /// When it was made, in RFC 3339.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends, in RFC 3339; left out, never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it was last used, in RFC 3339, about a minute exact; left out, not yet. With `as_of` it is
    /// never told: the log does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// When it was revoked, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
}

/// Somebody with a role.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberView {
    /// Who.
    name: String,
    /// `person`, `service` or `adapter`.
    kind: &'static str,
    /// What they may do.
    role: &'static str,
    /// The environments that they are held to; left out, the whole workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    environments: Option<Vec<String>>,
    /// Since when, in RFC 3339.
    #[schema(format = DateTime)]
    since: String,
}

/// All tokens.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes what is answered")]
pub struct TokenList {
    items: Vec<TokenView>,
}

/// All members.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes what is answered")]
pub struct MemberList {
    items: Vec<MemberView>,
}

/// What was done, and where that is recorded.
#[derive(Debug, Serialize, ToSchema)]
pub struct Done {
    /// The position in the log of the event that says so; left out if there was nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<u64>,
}

/// Who was given a role, and where that is recorded.
#[derive(Debug, Serialize, ToSchema)]
pub struct Granted {
    /// Who.
    #[schema(value_type = String)]
    name: Name,
    /// `person`, `service` or `adapter`: each may have the name of another kind.
    #[schema(value_type = String)]
    kind: PrincipalKind,
    /// The position in the log of the event that says so; left out if there was nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
}

/// The token that the path names.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct TokenPath {
    token: Uuid,
}

/// The member that the path names.
#[derive(Clone, Debug, Deserialize)]
pub struct MemberPath {
    member: Name,
}

fn role() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    word!(Role)
}

fn kind() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    word!(PrincipalKind)
}

/// The tokens of a workspace, the newest first, also those that are not taken any more.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/tokens",
    tag = "access",
    params(("workspace" = String, Path, description = "The name of the workspace."), AsOfThen),
    responses((status = 200, description = "Without the tokens themselves.", body = TokenList), Problems)
)]
pub async fn list_tokens(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(asked): Query<AsOfThen>,
) -> ApiResult<axum::Json<Items<TokenView>>> {
    if let Some(then) = asked.then(&app, workspace).await? {
        return Ok(axum::Json(Items { items: past::tokens(&app, workspace, then).await? }));
    }
    let now = app.ledger().now();
    let rows = app.ledger().store().tokens(workspace).await?;
    let items = rows.into_iter().map(|row| TokenView::of(row, now)).collect();
    Ok(axum::Json(Items { items }))
}

/// Make a token. It is shown in the answer, and never again.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/tokens",
    tag = "access",
    params(("workspace" = String, Path, description = "The name of the workspace.")),
    request_body = NewToken,
    responses((status = 201, description = "It is made.", body = MadeToken), Problems)
)]
pub async fn new_token(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    _: Query<Nothing>,
    Json(new): Json<NewToken>,
) -> ApiResult<Response> {
    let NewToken { name, role, environments, days, reason } = new;
    let place = Place { app: &app, access: &access, workspace };
    let kind = match role {
        Role::Adapter => PrincipalKind::Adapter,
        _ => PrincipalKind::Service,
    };
    let holder = place.holder(&name, kind, (role, &environments), &reason).await?;
    let days = days.unwrap_or(DAYS);
    let made = place.make_token(&holder, (role, environments), days, None, reason).await?;
    Ok(shown_once(made))
}

/// Make a token that takes the place of another one. Both are taken for a while.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/tokens/{token}/rotate",
    tag = "access",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("token" = Uuid, Path, description = "What the old token is called by."),
    ),
    request_body = Rotation,
    responses((status = 201, description = "The new one.", body = MadeToken), Problems)
)]
pub async fn rotate_token(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Change { access, path, body }: Change<TokenPath, Rotation>,
) -> ApiResult<Response> {
    let TokenPath { token } = path;
    let Rotation { overlap_hours, days, reason } = body;
    let place = Place { app: &app, access: &access, workspace };
    let old = place.token(token).await?;
    let now = app.ledger().now();
    let Some(granted) = old.grant.clone().filter(|_| old.state(now) == "active") else {
        return Err(unknown_token(token));
    };
    place.may_give(granted.0, &granted.1)?;
    let holder = app.ledger().store().principal(workspace, &old.holder).await?;
    let holder = holder.ok_or_else(|| unknown_token(token))?;
    let hours = i64::from(overlap_hours.unwrap_or(OVERLAP).min(720));
    // One that ends before that is given no longer life.
    let until = now.plus(Span::from_secs(hours * 3_600));
    let until = old.expires_at.map_or(until, |ends| ends.min(until));
    let days = days.unwrap_or(DAYS);
    let made = place.make_token(&holder, granted, days, Some((token, until)), reason).await?;
    Ok(shown_once(made))
}

/// The answer with a new token, of which nobody on the way keeps a copy.
fn shown_once(made: MadeToken) -> Response {
    let uncached = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::CREATED, uncached, axum::Json(made)).into_response()
}

/// Take a token out of use, for good and from its next request on.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/tokens/{token}/revoke",
    tag = "access",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("token" = Uuid, Path, description = "What the token is called by."),
    ),
    request_body = Because,
    responses((status = 200, description = "It is not taken any more.", body = Done), Problems)
)]
pub async fn revoke_token(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Change { access, path, body }: Change<TokenPath, Because>,
) -> ApiResult<axum::Json<Done>> {
    let (TokenPath { token }, Because { reason }) = (path, body);
    let place = Place { app: &app, access: &access, workspace };
    let row = place.token(token).await?;
    if let Some((role, environments)) = &row.grant {
        place.may_give(*role, environments)?;
    }
    place.revoke(&row, reason).await.map(axum::Json)
}

/// Everybody with a role in a workspace, by name.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/members",
    tag = "access",
    params(("workspace" = String, Path, description = "The name of the workspace."), AsOfThen),
    responses((status = 200, description = "People, services and adapters.", body = MemberList), Problems)
)]
pub async fn list_members(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(asked): Query<AsOfThen>,
) -> ApiResult<axum::Json<Items<MemberView>>> {
    if let Some(then) = asked.then(&app, workspace).await? {
        return Ok(axum::Json(Items { items: past::members(&app, workspace, then).await? }));
    }
    let members = app.ledger().store().members(workspace).await?;
    let items = members.into_iter().map(MemberView::of).collect();
    Ok(axum::Json(Items { items }))
}

/// Give somebody a role, instead of the one that they have.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/members",
    tag = "access",
    params(("workspace" = String, Path, description = "The name of the workspace.")),
    request_body = NewMember,
    responses((status = 200, description = "They have it.", body = Granted), Problems)
)]
pub async fn grant_role(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    _: Query<Nothing>,
    Json(new): Json<NewMember>,
) -> ApiResult<axum::Json<Granted>> {
    let NewMember { name, kind, role, environments, reason } = new;
    let place = Place { app: &app, access: &access, workspace };
    let named = app.ledger().store().principals(workspace, &name).await?;
    let member = change::the_one(named, &name, |one| kind.is_none_or(|kind| one.kind == kind))?;
    let position = place.grant(&member, (role, &environments), &reason).await?;
    Ok(axum::Json(Granted { name: member.name, kind: member.kind, position }))
}

/// Take somebody's role away, and all their tokens with it.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/members/{member}/remove",
    tag = "access",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("member" = String, Path, description = "Their name."),
    ),
    request_body = Removal,
    responses((status = 200, description = "They have none any more.", body = Done), Problems)
)]
pub async fn remove_member(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Change { access, path, body }: Change<MemberPath, Removal>,
) -> ApiResult<axum::Json<Done>> {
    let (MemberPath { member }, Removal { kind, reason }) = (path, body);
    let place = Place { app: &app, access: &access, workspace };
    place.remove(&member, kind, reason).await.map(axum::Json)
}

impl TokenView {
    fn of(row: TokenRow, now: runledger_ledger::time::Moment) -> Self {
        let state = row.state(now);
        let (role, environments) = row.grant.unzip();
        TokenView {
            id: row.token,
            name: row.holder.to_string(),
            kind: row.kind.as_str(),
            role: role.map(Role::as_str),
            environments: names(environments.flatten()),
            state,
            created_at: row.created_at.to_string(),
            expires_at: row.expires_at.map(|at| at.to_string()),
            last_used_at: row.last_used_at.map(|at| at.to_string()),
            revoked_at: row.revoked_at.map(|at| at.to_string()),
        }
    }
}

impl MemberView {
    fn of(member: Member) -> Self {
        MemberView {
            name: member.principal.name.to_string(),
            kind: member.principal.kind.as_str(),
            role: member.role.as_str(),
            environments: names(member.environments),
            since: member.granted_at.to_string(),
        }
    }
}

fn names(environments: Option<BTreeSet<Name>>) -> Option<Vec<String>> {
    environments.map(|all| all.iter().map(ToString::to_string).collect())
}
