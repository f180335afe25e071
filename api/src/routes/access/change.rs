//! Changes of who may do what, each of them recorded.
//!
//! Who is given something gets it after the log says so; from whom something is taken loses it
//! before. So a crash in between leaves nobody with a right that the log does not know of.

use axum::http::StatusCode;
use runledger_ledger::access::{
    AccessChange, Environments, MemberGranted, MemberRemoved, PrincipalKind, Replaced, Role,
    TokenCreated, TokenRevoked,
};
use runledger_ledger::store::{NewToken, Principal, TokenRow};
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, Note, WorkspaceId};
use runledger_ledger::workspace::WorkspaceCommand;
use uuid::Uuid;

use super::owners::{Turn, Without};
use super::{Done, MadeToken};
use crate::access::{Access, is_taken};
use crate::app::App;
use crate::people::RESERVED;
use crate::problem::{ApiError, ApiResult};
use crate::token::Secret;

/// Most days that a token may last.
const MOST_DAYS: u16 = 3_650;
/// Most environments that a role is held to.
const MOST_ENVIRONMENTS: usize = 64;

/// Where something is changed, and by whom.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) app: &'a App,
    pub(crate) access: &'a Access,
    pub(crate) workspace: WorkspaceId,
}

impl Place<'_> {
    /// Refuses a role that whoever asks may not give or take, or that does not fit.
    pub(crate) fn may_give(&self, role: Role, environments: &Environments) -> ApiResult<()> {
        if role == Role::Owner && !self.is_owner() {
            let detail = "only an owner of the workspace makes or removes another owner";
            return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", detail));
        }
        let wrong = |detail: &'static str| {
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail))
        };
        match environments {
            Some(_) if matches!(role, Role::Owner | Role::Admin | Role::Adapter) => {
                wrong("`environments`: this role is for the whole workspace; leave them out")
            }
            Some(all) if all.is_empty() || all.len() > MOST_ENVIRONMENTS => {
                wrong("`environments`: name 1 to 64 of them, or leave them out")
            }
            _ => Ok(()),
        }
    }

    fn is_owner(&self) -> bool {
        let principal = self.access.principal();
        principal.is_administrator()
            || self.access.grant().is_some_and(|grant| grant.role == Role::Owner)
    }

    /// The service or adapter of this name with this role; it is made if there is none.
    pub(super) async fn holder(
        &self,
        name: &Name,
        kind: PrincipalKind,
        (role, environments): (Role, &Environments),
        reason: &Note,
    ) -> ApiResult<Principal> {
        self.may_give(role, environments)?;
        let store = self.app.ledger().store();
        let found = store.principal(self.workspace, name).await?;
        let holder = match found.filter(|found| found.workspace.is_some()) {
            Some(found) if found.kind == kind => found,
            Some(found) => return Err(other_kind(&found)),
            None => {
                is_plain(name)?;
                let new = Principal {
                    id: self.app.failure_id().map_err(ApiError::internal)?,
                    kind,
                    workspace: Some(self.workspace),
                    name: name.clone(),
                };
                match store.add_principal(&new, self.app.ledger().now()).await {
                    Err(error) if is_taken(&error) => return Err(busy()),
                    added => added?,
                }
                new
            }
        };
        let current = store.members(self.workspace).await?;
        let current = current.into_iter().find(|member| member.principal.id == holder.id);
        let same = current
            .as_ref()
            .is_some_and(|member| member.role == role && member.environments == *environments);
        if let Some(member) = current.filter(|_| !same) {
            // A second token must not change quietly what the first one may do.
            let detail = format!(
                "{name} has the role {} here, and its tokens have it with it; give it another role \
                 with `runledger roles grant`, or give the token to another name",
                member.role
            );
            return Err(ApiError::new(StatusCode::CONFLICT, "other_role", detail));
        }
        if !same {
            self.grant(&holder, (role, environments), reason).await?;
        }
        Ok(holder)
    }

    /// Makes a token for a service or an adapter that has its role.
    pub(super) async fn make_token(
        &self,
        holder: &Principal,
        (role, environments): (Role, Environments),
        days: u16,
        replaces: Option<(Uuid, Moment)>,
        reason: Note,
    ) -> ApiResult<MadeToken> {
        if days > MOST_DAYS {
            let detail = format!("`days` must be 0 to {MOST_DAYS}");
            return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail));
        }
        let (ledger, now) = (self.app.ledger(), self.app.ledger().now());
        let lasts = Span::from_secs(i64::from(days) * 86_400);
        let expires_at = (days > 0).then(|| now.plus(lasts));
        let secret = Secret::make(self.app.entropy()).map_err(ApiError::internal)?;
        let token = self.app.failure_id().map_err(ApiError::internal)?;
        self.note(AccessChange::TokenCreated(TokenCreated {
            token,
            holder: holder.name.clone(),
            role,
            environments,
            expires_at,
            replaces: replaces.map(|(token, until)| Replaced { token, until }),
            reason,
        }))
        .await?;
        let new = NewToken {
            token,
            hash: secret.hash(),
            principal: holder.id,
            workspace: self.workspace,
            created_at: now,
            expires_at,
        };
        ledger.store().add_token(&new).await?;
        if let Some((old, until)) = replaces {
            ledger.store().end_token(self.workspace, old, until).await?;
            self.app.directory().changed();
        }
        let expires_at = expires_at.map(|at| at.to_string());
        Ok(MadeToken { id: token, token: secret.expose().to_owned(), expires_at })
    }

    /// A token of this workspace.
    pub(super) async fn token(&self, token: Uuid) -> ApiResult<TokenRow> {
        let rows = self.app.ledger().store().tokens(self.workspace).await?;
        rows.into_iter().find(|row| row.token == token).ok_or_else(|| unknown_token(token))
    }

    /// Takes a token out of use.
    pub(crate) async fn revoke(&self, row: &TokenRow, reason: Note) -> ApiResult<Done> {
        let (store, now) = (self.app.ledger().store(), self.app.ledger().now());
        let role = row.grant.as_ref().map(|(role, _)| *role);
        let turn = self.turn_of_owners(role).await?;
        let revoked = async {
            turn.leaves_one(Without::Token(row)).await?;
            Ok::<bool, ApiError>(store.revoke_token(self.workspace, row.token, now).await?)
        };
        let revoked = revoked.await;
        self.app.directory().changed();
        turn.end().await;
        if !revoked? {
            return Ok(Done { position: None });
        }
        let change = TokenRevoked { token: row.token, holder: row.holder.clone(), reason };
        let position = self.note(AccessChange::TokenRevoked(change)).await?;
        Ok(Done { position })
    }

    /// Gives a principal a role.
    pub(super) async fn grant(
        &self,
        member: &Principal,
        (role, environments): (Role, &Environments),
        reason: &Note,
    ) -> ApiResult<Option<u64>> {
        self.may_give(role, environments)?;
        if (role == Role::Adapter) != (member.kind == PrincipalKind::Adapter) {
            let detail = "the role `adapter` is for remote adapters, and they have no other";
            return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail));
        }
        let previous = self.role_of(member).await?;
        if let Some(previous) = previous {
            self.may_give(previous, &None)?;
        }
        let taken = previous.filter(|previous| *previous != role);
        let turn = self.turn_of_owners(taken).await?;
        let given = self.give(&turn, member, previous, (role, environments), reason).await;
        turn.end().await;
        given
    }

    async fn give(
        &self,
        turn: &Turn<'_>,
        member: &Principal,
        previous: Option<Role>,
        (role, environments): (Role, &Environments),
        reason: &Note,
    ) -> ApiResult<Option<u64>> {
        turn.leaves_one(Without::Member(member.id)).await?;
        let position = self
            .note(AccessChange::MemberGranted(MemberGranted {
                member: member.name.clone(),
                kind: member.kind,
                role,
                environments: environments.clone(),
                previous,
                reason: reason.clone(),
            }))
            .await?;
        let (store, now) = (self.app.ledger().store(), self.app.ledger().now());
        store.grant(self.workspace, member.id, (role, environments), None, now).await?;
        self.app.directory().changed();
        Ok(position)
    }

    /// Takes a member's role and tokens away.
    pub(super) async fn remove(
        &self,
        name: &Name,
        kind: Option<PrincipalKind>,
        reason: Note,
    ) -> ApiResult<Done> {
        let (store, now) = (self.app.ledger().store(), self.app.ledger().now());
        let members = store.members(self.workspace).await?;
        let member = the_one(members, name, |member| {
            let of = &member.principal;
            of.name == *name && kind.is_none_or(|kind| of.kind == kind)
        })?;
        self.may_give(member.role, &None)?;
        let id = member.principal.id;
        let turn = self.turn_of_owners(Some(member.role)).await?;
        let taken = async {
            turn.leaves_one(Without::Member(id)).await?;
            store.revoke_tokens_of(self.workspace, id, now).await?;
            let taken = store.take_grant(self.workspace, id).await?;
            if member.principal.workspace.is_some() {
                store.remove_principal(id, now).await?;
            }
            Ok::<bool, ApiError>(taken)
        };
        let taken = taken.await;
        self.app.directory().changed();
        turn.end().await;
        if !taken? {
            return Ok(Done { position: None });
        }
        let (kind, previous) = (member.principal.kind, member.role);
        let change = MemberRemoved { member: name.clone(), kind, previous, reason };
        let position = self.note(AccessChange::MemberRemoved(change)).await?;
        Ok(Done { position })
    }

    async fn role_of(&self, member: &Principal) -> ApiResult<Option<Role>> {
        let grants = self.app.ledger().store().grants(member.id).await?;
        let here = grants.into_iter().find(|grant| grant.workspace == self.workspace);
        Ok(here.map(|grant| grant.role))
    }

    /// Records a change in the log of the workspace.
    pub(crate) async fn note(&self, change: AccessChange) -> ApiResult<Option<u64>> {
        let command = Command::Workspace(WorkspaceCommand::NoteAccess(change));
        let submission = Submission::new(command).by(self.access.actor().clone());
        let result = self.app.submit_one(self.workspace, submission).await?;
        match result.problem {
            Some(problem) => Err(ApiError::new(problem.status, problem.code, problem.detail)),
            None => Ok(result.position),
        }
    }
}

/// Refuses to make a program of a name that could be taken for another one, as those of people
/// cannot be either.
fn is_plain(name: &Name) -> ApiResult<()> {
    let text = name.as_str();
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_@+:/".contains(&byte);
    let reserved = RESERVED.iter().any(|name| text.eq_ignore_ascii_case(name));
    if begins && text.bytes().all(plain) && !reserved {
        return Ok(());
    }
    let detail = format!(
        "{text:?} cannot be the name of a program: use ASCII letters, digits and `. - _ @ + : /`, \
         begin with a letter or a digit, and do not call it as the ledger calls itself: {}",
        RESERVED.join(", ")
    );
    Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_name", detail))
}

/// The one answer for a token that is not there, and for one of another workspace.
pub(super) fn unknown_token(token: Uuid) -> ApiError {
    ApiError::not_found("unknown_token", format!("no token {token} is known here"))
}

/// The only one that is meant. A person and a service may have the same name, and what is given to
/// one of them must never be the other's.
pub(super) fn the_one<T>(all: Vec<T>, name: &Name, meant: impl Fn(&T) -> bool) -> ApiResult<T> {
    let mut meant = all.into_iter().filter(meant);
    let one = meant.next().ok_or_else(|| unknown_member(name))?;
    match meant.next() {
        None => Ok(one),
        Some(_) => {
            let detail = format!(
                "a person and a program are both called {name} here; say which is meant with `kind` \
                 (person, service or adapter; `--kind` on the command line)"
            );
            Err(ApiError::new(StatusCode::CONFLICT, "ambiguous_name", detail))
        }
    }
}

/// The one answer for somebody who is not there, and for a service of another workspace.
fn unknown_member(name: &Name) -> ApiError {
    let detail = format!(
        "nobody is called {name} here; a service or an adapter is made with its first token: \
         `runledger tokens new`"
    );
    ApiError::not_found("unknown_member", detail)
}

fn other_kind(found: &Principal) -> ApiError {
    let detail = format!("{} is the name of another kind of member: {}", found.name, found.kind);
    ApiError::new(StatusCode::CONFLICT, "other_kind", detail)
}

fn busy() -> ApiError {
    let detail = "somebody else made it at the same moment; send the request again";
    ApiError::new(StatusCode::CONFLICT, "name_taken", detail)
}
