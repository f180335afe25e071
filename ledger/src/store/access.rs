//! Who may ask: principals, their roles and tokens, and the sessions of browsers (specs/0018).
//!
//! What a request is allowed is read with one statement, from what is committed: what one server
//! takes away, all servers refuse from their next request on.

use std::collections::BTreeSet;
use std::str::FromStr;

use uuid::Uuid;

use super::{Scope, Store, StoreError};
use crate::access::{Environments, PrincipalKind, Role};
use crate::time::Moment;
use crate::words::{Name, WorkspaceId};

/// The SHA-256 of a token, or of what a cookie holds.
pub type SecretHash = [u8; 32];

/// Somebody or something that may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its id.
    pub id: Uuid,
    /// What kind of thing it is.
    pub kind: PrincipalKind,
    /// The workspace that it belongs to; none of a person.
    pub workspace: Option<WorkspaceId>,
    /// Its name: unique among people, or in its workspace.
    pub name: Name,
}

/// A role in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where.
    pub workspace: WorkspaceId,
    /// The name of the workspace.
    pub workspace_name: String,
    /// What.
    pub role: Role,
    /// In which environments; none is the whole workspace.
    pub environments: Environments,
}

/// Whoever holds a token that is taken now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHolder {
    /// What the token is called by.
    pub token: Uuid,
    /// When it ends.
    pub expires_at: Option<Moment>,
    /// Who.
    pub principal: Principal,
    /// What they may do.
    pub grants: Vec<Grant>,
}

/// A token as people see it. The token itself is nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// What it is called by.
    pub token: Uuid,
    /// Whose it is.
    pub holder: Name,
    /// What kind of thing that is.
    pub kind: PrincipalKind,
    /// What its holder may do; none if it was taken away.
    pub grant: Option<(Role, Environments)>,
    /// When it was made.
    pub created_at: Moment,
    /// When it ends; none is never.
    pub expires_at: Option<Moment>,
    /// When it was last used, about a minute exact.
    pub last_used_at: Option<Moment>,
    /// When it was revoked.
    pub revoked_at: Option<Moment>,
}

impl TokenRow {
    /// `active`, `expired` or `revoked`, at a moment.
    pub fn state(&self, now: Moment) -> &'static str {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(ends)) if now >= ends => "expired",
            (None, _) => "active",
        }
    }
}

/// A new token.
#[derive(Clone, Copy, Debug)]
pub struct NewToken {
    /// What it is called by.
    pub token: Uuid,
    /// Its hash.
    pub hash: SecretHash,
    /// Whose it is.
    pub principal: Uuid,
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// When it is made.
    pub created_at: Moment,
    /// When it ends; none is never.
    pub expires_at: Option<Moment>,
}

/// A member of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub principal: Principal,
    /// The role.
    pub role: Role,
    /// Where; none is the whole workspace.
    pub environments: Environments,
    /// Since when.
    pub granted_at: Moment,
}

const HOLDER: &str = "SELECT t.token_id, t.expires_at, p.principal_id, p.kind, p.workspace_id, \
     p.name, g.workspace_id, w.name, g.role, g.environments FROM tokens AS t \
     JOIN principals AS p ON p.principal_id = t.principal_id \
     JOIN role_grants AS g ON g.principal_id = p.principal_id \
     JOIN workspaces AS w ON w.workspace_id = g.workspace_id \
     WHERE t.hash = $1 AND t.revoked_at IS NULL AND p.removed_at IS NULL \
     AND (t.expires_at IS NULL OR t.expires_at > $2)";
type HolderRow =
    (Uuid, Option<i64>, Uuid, String, Option<Uuid>, String, Uuid, String, String, Option<String>);
const GRANTS: &str = "SELECT g.workspace_id, w.name, g.role, g.environments FROM role_grants AS g \
     JOIN workspaces AS w ON w.workspace_id = g.workspace_id WHERE g.principal_id = $1 \
     ORDER BY w.name";
const TOKENS: &str = "SELECT t.token_id, p.name, p.kind, g.role, g.environments, t.created_at, \
     t.expires_at, t.last_used_at, t.revoked_at FROM tokens AS t \
     JOIN principals AS p ON p.principal_id = t.principal_id \
     LEFT JOIN role_grants AS g ON g.principal_id = p.principal_id \
     AND g.workspace_id = t.workspace_id \
     WHERE t.workspace_id = $1 ORDER BY t.created_at DESC, t.token_id";
type TokenTuple = (
    Uuid,
    String,
    String,
    Option<String>,
    Option<String>,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);
const ADD_TOKEN: &str = "INSERT INTO tokens (token_id, hash, principal_id, workspace_id, \
     created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)";
const REVOKE: &str = "UPDATE tokens SET revoked_at = $3 \
     WHERE workspace_id = $1 AND token_id = $2 AND revoked_at IS NULL";
const END_TOKEN: &str = "UPDATE tokens SET expires_at = $3 WHERE workspace_id = $1 \
     AND token_id = $2 AND (expires_at IS NULL OR expires_at > $3)";
const REVOKE_ALL: &str = "UPDATE tokens SET revoked_at = $3 \
     WHERE workspace_id = $1 AND principal_id = $2 AND revoked_at IS NULL";
const USED: &str = "UPDATE tokens SET last_used_at = $2 WHERE token_id = $1 \
     AND (last_used_at IS NULL OR last_used_at < $2)";
const PRINCIPAL: &str = "SELECT principal_id, kind, workspace_id, name FROM principals \
     WHERE name = $1 AND removed_at IS NULL AND (workspace_id IS NULL OR workspace_id = $2) \
     ORDER BY CASE WHEN workspace_id IS NULL THEN 1 ELSE 0 END";
const ADD_PRINCIPAL: &str = "INSERT INTO principals (principal_id, kind, workspace_id, name, \
     created_at) VALUES ($1, $2, $3, $4, $5)";
const REMOVE_PRINCIPAL: &str =
    "UPDATE principals SET removed_at = $2 WHERE principal_id = $1 AND removed_at IS NULL";
const MEMBERS: &str = "SELECT p.principal_id, p.kind, p.workspace_id, p.name, g.role, \
     g.environments, g.granted_at FROM role_grants AS g \
     JOIN principals AS p ON p.principal_id = g.principal_id AND p.removed_at IS NULL \
     WHERE g.workspace_id = $1 ORDER BY p.name, p.principal_id";
type MemberRow = (Uuid, String, Option<Uuid>, String, String, Option<String>, i64);
const GRANT: &str = "INSERT INTO role_grants (workspace_id, principal_id, role, environments, \
     granted_at, issuer) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (workspace_id, principal_id) DO UPDATE \
     SET role = excluded.role, environments = excluded.environments, \
     granted_at = excluded.granted_at, issuer = excluded.issuer \
     WHERE excluded.issuer IS NULL OR role_grants.issuer IS NOT NULL";
const GIVEN_BY_PROVIDERS: &str =
    "SELECT workspace_id FROM role_grants WHERE principal_id = $1 AND issuer IS NOT NULL";
const TAKE: &str = "DELETE FROM role_grants WHERE workspace_id = $1 AND principal_id = $2";
const TAKE_GIVEN: &str = "DELETE FROM role_grants WHERE workspace_id = $1 AND principal_id = $2 \
     AND issuer IS NOT NULL";

const MAY_READ: &str = "SELECT coalesce(has_table_privilege(to_regclass('tokens'), 'SELECT') \
     AND has_table_privilege(to_regclass('role_grants'), 'SELECT') \
     AND has_table_privilege(to_regclass('principals'), 'SELECT'), false)";

impl Store {
    /// Whether whoever is connected may read who may do what: a reader on PostgreSQL may not.
    pub async fn may_read_access(&self) -> Result<bool, StoreError> {
        match self {
            Store::Postgres(store) => {
                Ok(sqlx::query_scalar(MAY_READ).fetch_one(store.pool()).await?)
            }
            Store::Sqlite(_) => Ok(true),
        }
    }

    /// Who holds the token with this hash, if it is taken now.
    pub async fn token_holder(
        &self,
        hash: &SecretHash,
        now: Moment,
    ) -> Result<Option<TokenHolder>, StoreError> {
        let rows: Vec<HolderRow> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(HOLDER).bind(&hash[..]).bind(now.micros()).fetch_all(connection).await?
        });
        let mut holder: Option<TokenHolder> = None;
        for (token, expires_at, id, kind, home, name, workspace, of, role, environments) in rows {
            let grant = grant((workspace, of, role, environments))?;
            match &mut holder {
                Some(holder) => holder.grants.push(grant),
                None => {
                    holder = Some(TokenHolder {
                        token,
                        expires_at: expires_at.map(Moment::from_micros),
                        principal: principal((id, kind, home, name))?,
                        grants: vec![grant],
                    });
                }
            }
        }
        Ok(holder)
    }

    /// The roles of a principal, by the names of their workspaces.
    pub async fn grants(&self, principal: Uuid) -> Result<Vec<Grant>, StoreError> {
        let rows: Vec<(Uuid, String, String, Option<String>)> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(GRANTS).bind(principal).fetch_all(connection).await?
        });
        rows.into_iter().map(grant).collect()
    }

    /// The tokens of a workspace, the newest first, also those that have ended.
    pub async fn tokens(&self, workspace: WorkspaceId) -> Result<Vec<TokenRow>, StoreError> {
        let rows: Vec<TokenTuple> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(TOKENS).bind(workspace.0).fetch_all(connection).await?
        });
        let row =
            |(token, holder, kind, role, environments, made, ends, used, revoked): TokenTuple| {
                let role: Option<Role> = role.map(|role| word(&role)).transpose()?;
                let environments = read_environments(environments)?;
                Ok(TokenRow {
                    token,
                    holder: name(holder)?,
                    kind: word(&kind)?,
                    grant: role.map(|role| (role, environments)),
                    created_at: Moment::from_micros(made),
                    expires_at: ends.map(Moment::from_micros),
                    last_used_at: used.map(Moment::from_micros),
                    revoked_at: revoked.map(Moment::from_micros),
                })
            };
        rows.into_iter().map(row).collect()
    }

    /// Keeps a new token.
    pub async fn add_token(&self, new: &NewToken) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            sqlx::query(ADD_TOKEN)
                .bind(new.token)
                .bind(&new.hash[..])
                .bind(new.principal)
                .bind(new.workspace.0)
                .bind(new.created_at.micros())
                .bind(new.expires_at.map(Moment::micros))
                .execute(connection)
                .await?;
        });
        Ok(())
    }

    /// Takes a token out of use, for good. False if there is none of it that is in use.
    pub async fn revoke_token(
        &self,
        workspace: WorkspaceId,
        token: Uuid,
        at: Moment,
    ) -> Result<bool, StoreError> {
        self.change_token(REVOKE, workspace, token, at).await
    }

    /// Lets a token end at a moment, if it does not end before.
    pub async fn end_token(
        &self,
        workspace: WorkspaceId,
        token: Uuid,
        at: Moment,
    ) -> Result<bool, StoreError> {
        self.change_token(END_TOKEN, workspace, token, at).await
    }

    /// Takes all tokens of a principal out of use.
    pub async fn revoke_tokens_of(
        &self,
        workspace: WorkspaceId,
        principal: Uuid,
        at: Moment,
    ) -> Result<bool, StoreError> {
        self.change_token(REVOKE_ALL, workspace, principal, at).await
    }

    async fn change_token(
        &self,
        sql: &'static str,
        workspace: WorkspaceId,
        which: Uuid,
        at: Moment,
    ) -> Result<bool, StoreError> {
        let changed = on_both!(write self, Scope::Service, |connection| {
            sqlx::query(sql)
                .bind(workspace.0)
                .bind(which)
                .bind(at.micros())
                .execute(connection)
                .await?
                .rows_affected()
        });
        Ok(changed > 0)
    }

    /// Notes when tokens were used.
    pub async fn note_tokens_used(&self, used: &[(Uuid, Moment)]) -> Result<(), StoreError> {
        for (token, at) in used {
            on_both!(write self, Scope::Service, |connection| {
                sqlx::query(USED).bind(*token).bind(at.micros()).execute(connection).await?;
            });
        }
        Ok(())
    }

    /// The service, adapter or person of this name that a workspace means: its own come first.
    pub async fn principal(
        &self,
        workspace: WorkspaceId,
        name: &Name,
    ) -> Result<Option<Principal>, StoreError> {
        Ok(self.principals(workspace, name).await?.into_iter().next())
    }

    /// Everybody whom a workspace may mean by this name: its own service or adapter, and the person
    /// of this server.
    pub async fn principals(
        &self,
        workspace: WorkspaceId,
        name: &Name,
    ) -> Result<Vec<Principal>, StoreError> {
        let rows: Vec<(Uuid, String, Option<Uuid>, String)> = on_both!(read self, Scope::Service, |connection| {
            let query = sqlx::query_as(PRINCIPAL).bind(name.as_str());
            query.bind(workspace.0).fetch_all(connection).await?
        });
        rows.into_iter().map(principal).collect()
    }

    /// Makes a principal. A [`StoreError`] if the name is taken.
    pub async fn add_principal(&self, new: &Principal, at: Moment) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            sqlx::query(ADD_PRINCIPAL)
                .bind(new.id)
                .bind(new.kind.as_str())
                .bind(new.workspace.map(|id| id.0))
                .bind(new.name.as_str())
                .bind(at.micros())
                .execute(connection)
                .await?;
        });
        Ok(())
    }

    /// Removes a principal: its name is free again, and none of its tokens is taken any more.
    pub async fn remove_principal(&self, id: Uuid, at: Moment) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            sqlx::query(REMOVE_PRINCIPAL).bind(id).bind(at.micros()).execute(connection).await?;
        });
        Ok(())
    }

    /// Everybody with a role in a workspace, by name.
    pub async fn members(&self, workspace: WorkspaceId) -> Result<Vec<Member>, StoreError> {
        let rows: Vec<MemberRow> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(MEMBERS).bind(workspace.0).fetch_all(connection).await?
        });
        let member = |(id, kind, home, name, role, environments, granted_at): MemberRow| {
            Ok(Member {
                principal: principal((id, kind, home, name))?,
                role: word(&role)?,
                environments: read_environments(environments)?,
                granted_at: Moment::from_micros(granted_at),
            })
        };
        rows.into_iter().map(member).collect()
    }

    /// Gives a principal a role in a workspace, instead of the one that it has; `issuer` is the
    /// provider of identities that does, and none a hand.
    pub async fn grant(
        &self,
        workspace: WorkspaceId,
        principal: Uuid,
        (role, environments): (Role, &Environments),
        issuer: Option<&str>,
        at: Moment,
    ) -> Result<(), StoreError> {
        let environments = environments.as_ref().map(serde_json::to_string).transpose();
        let environments = environments.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        on_both!(write self, Scope::Service, |connection| {
            sqlx::query(GRANT)
                .bind(workspace.0)
                .bind(principal)
                .bind(role.as_str())
                .bind(environments)
                .bind(at.micros())
                .bind(issuer)
                .execute(connection)
                .await?;
        });
        Ok(())
    }

    /// The workspaces in which a provider of identities gave a principal its role.
    pub async fn given_by_providers(
        &self,
        principal: Uuid,
    ) -> Result<BTreeSet<WorkspaceId>, StoreError> {
        let rows: Vec<(Uuid,)> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(GIVEN_BY_PROVIDERS).bind(principal).fetch_all(connection).await?
        });
        Ok(rows.into_iter().map(|(workspace,)| WorkspaceId(workspace)).collect())
    }

    /// Takes a principal's role in a workspace away. False if it has none.
    pub async fn take_grant(
        &self,
        workspace: WorkspaceId,
        principal: Uuid,
    ) -> Result<bool, StoreError> {
        self.take(TAKE, workspace, principal).await
    }

    /// The same with a role that a provider gave: one that was given by hand stays.
    pub async fn take_given(
        &self,
        workspace: WorkspaceId,
        principal: Uuid,
    ) -> Result<bool, StoreError> {
        self.take(TAKE_GIVEN, workspace, principal).await
    }

    async fn take(
        &self,
        statement: &'static str,
        workspace: WorkspaceId,
        principal: Uuid,
    ) -> Result<bool, StoreError> {
        let taken = on_both!(write self, Scope::Service, |connection| {
            let query = sqlx::query(statement).bind(workspace.0).bind(principal);
            query.execute(connection).await?.rows_affected()
        });
        Ok(taken > 0)
    }
}

fn principal(row: (Uuid, String, Option<Uuid>, String)) -> Result<Principal, StoreError> {
    let (id, kind, workspace, of) = row;
    let (kind, workspace) = (word(&kind)?, workspace.map(WorkspaceId));
    Ok(Principal { id, kind, workspace, name: name(of)? })
}

fn grant(row: (Uuid, String, String, Option<String>)) -> Result<Grant, StoreError> {
    let (workspace, workspace_name, role, environments) = row;
    Ok(Grant {
        workspace: WorkspaceId(workspace),
        workspace_name,
        role: word(&role)?,
        environments: read_environments(environments)?,
    })
}

/// What cannot be read gives no rights: it is an error, and never the whole workspace.
fn read_environments(text: Option<String>) -> Result<Environments, StoreError> {
    let read = |text: String| serde_json::from_str::<BTreeSet<Name>>(&text);
    text.map(read).transpose().map_err(|error| {
        StoreError::Corrupt(format!("the environments of a role cannot be read: {error}"))
    })
}

fn word<T: FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt(format!("{text:?} is no word of a role")))
}

fn name(text: String) -> Result<Name, StoreError> {
    Name::new(&text).map_err(|error| StoreError::Corrupt(format!("the name {text:?} {error}")))
}
