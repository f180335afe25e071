//! Browsers that are signed in, and the passwords of people (specs/0018).

use uuid::Uuid;

use super::access::{Principal, SecretHash};
use super::{Scope, Store, StoreError};
use crate::access::PrincipalKind;
use crate::time::Moment;
use crate::words::Name;

/// A browser that is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSession {
    /// What people call it by.
    pub id: Uuid,
    /// Who is signed in; none is the administrator of the server.
    pub principal: Option<Principal>,
    /// What forms of it carry.
    pub form_token: String,
    /// When it began.
    pub began_at: Moment,
    /// When somebody last did something in it, about a minute exact.
    pub seen_at: Moment,
    /// What the browser calls itself.
    pub device: String,
}

const SESSION: &str = "SELECT s.session_id, s.principal_id, p.name, s.form_token, s.began_at, \
     s.seen_at, s.device FROM web_sessions AS s \
     LEFT JOIN principals AS p ON p.principal_id = s.principal_id AND p.removed_at IS NULL \
     WHERE s.hash = $1 AND (s.principal_id IS NULL OR p.principal_id IS NOT NULL)";
const SESSIONS: &str = "SELECT s.session_id, s.principal_id, p.name, s.form_token, s.began_at, \
     s.seen_at, s.device FROM web_sessions AS s \
     LEFT JOIN principals AS p ON p.principal_id = s.principal_id \
     WHERE s.principal_id = $1 OR ($1 IS NULL AND s.principal_id IS NULL) \
     ORDER BY s.seen_at DESC, s.session_id LIMIT 200";
type SessionRow = (Uuid, Option<Uuid>, Option<String>, String, i64, i64, String);
const BEGIN: &str = "INSERT INTO web_sessions (hash, session_id, principal_id, form_token, \
     began_at, seen_at, device) VALUES ($1, $2, $3, $4, $5, $5, $6)";
const SEEN: &str = "UPDATE web_sessions SET seen_at = $2 WHERE hash = $1 AND seen_at < $2";
const END: &str = "DELETE FROM web_sessions WHERE hash = $1";
const END_ONE: &str = "DELETE FROM web_sessions WHERE session_id = $1 \
     AND (principal_id = $2 OR ($2 IS NULL AND principal_id IS NULL))";
const END_ALL: &str = "DELETE FROM web_sessions WHERE principal_id = $1";
const SWEEP: &str = "DELETE FROM web_sessions WHERE began_at <= $1 OR seen_at <= $2";
const PASSWORD: &str = "SELECT principal_id, name, password FROM principals \
     WHERE name = $1 AND workspace_id IS NULL AND removed_at IS NULL";
const SET_PASSWORD: &str =
    "UPDATE principals SET password = $2 WHERE principal_id = $1 AND removed_at IS NULL";
const PEOPLE: &str = "SELECT principal_id, name FROM principals \
     WHERE workspace_id IS NULL AND removed_at IS NULL ORDER BY name";

impl Store {
    /// The session that a cookie refers to, if whoever it is of is still there.
    pub async fn web_session(&self, hash: &SecretHash) -> Result<Option<WebSession>, StoreError> {
        let row: Option<SessionRow> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(SESSION).bind(&hash[..]).fetch_optional(connection).await?
        });
        row.map(session).transpose()
    }

    /// The sessions of a person, or of the administrator, the one used last first.
    pub async fn web_sessions(
        &self,
        principal: Option<Uuid>,
    ) -> Result<Vec<WebSession>, StoreError> {
        let rows: Vec<SessionRow> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(SESSIONS).bind(principal).fetch_all(connection).await?
        });
        rows.into_iter().map(session).collect()
    }

    /// Begins a session.
    pub async fn begin_web_session(
        &self,
        hash: &SecretHash,
        session: &WebSession,
    ) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            sqlx::query(BEGIN)
                .bind(&hash[..])
                .bind(session.id)
                .bind(session.principal.as_ref().map(|principal| principal.id))
                .bind(&session.form_token)
                .bind(session.began_at.micros())
                .bind(&session.device)
                .execute(connection)
                .await?;
        });
        Ok(())
    }

    /// Notes that somebody did something in a session.
    pub async fn note_web_session(
        &self,
        hash: &SecretHash,
        seen_at: Moment,
    ) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            let query = sqlx::query(SEEN).bind(&hash[..]).bind(seen_at.micros());
            query.execute(connection).await?;
        });
        Ok(())
    }

    /// Ends the session that a cookie refers to.
    pub async fn end_web_session(&self, hash: &SecretHash) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            sqlx::query(END).bind(&hash[..]).execute(connection).await?;
        });
        Ok(())
    }

    /// Ends one session of a person, or of the administrator. False if it is none of theirs.
    pub async fn end_web_session_of(
        &self,
        session: Uuid,
        principal: Option<Uuid>,
    ) -> Result<bool, StoreError> {
        let ended = on_both!(write self, Scope::Service, |connection| {
            let query = sqlx::query(END_ONE).bind(session).bind(principal);
            query.execute(connection).await?.rows_affected()
        });
        Ok(ended > 0)
    }

    /// Ends all sessions of a person.
    pub async fn end_web_sessions_of(&self, principal: Uuid) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            sqlx::query(END_ALL).bind(principal).execute(connection).await?;
        });
        Ok(())
    }

    /// Forgets sessions that began, or were last seen, at these moments or before.
    pub async fn sweep_web_sessions(&self, began: Moment, seen: Moment) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            let query = sqlx::query(SWEEP).bind(began.micros()).bind(seen.micros());
            query.execute(connection).await?;
        });
        Ok(())
    }

    /// A person, and the PHC string of their password if they have one.
    pub async fn person(
        &self,
        called: &str,
    ) -> Result<Option<(Principal, Option<String>)>, StoreError> {
        let row: Option<(Uuid, String, Option<String>)> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(PASSWORD).bind(called).fetch_optional(connection).await?
        });
        row.map(|(id, name, password)| Ok((person(id, &name)?, password))).transpose()
    }

    /// Gives a person a password.
    pub async fn set_password(&self, person: Uuid, phc: &str) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            sqlx::query(SET_PASSWORD).bind(person).bind(phc).execute(connection).await?;
        });
        Ok(())
    }

    /// Everybody who can sign in, by name.
    pub async fn people(&self) -> Result<Vec<Principal>, StoreError> {
        let rows: Vec<(Uuid, String)> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(PEOPLE).fetch_all(connection).await?
        });
        rows.into_iter().map(|(id, name)| person(id, &name)).collect()
    }
}

fn person(id: Uuid, name: &str) -> Result<Principal, StoreError> {
    let name = Name::new(name)
        .map_err(|error| StoreError::Corrupt(format!("the name {name:?} {error}")))?;
    Ok(Principal { id, kind: PrincipalKind::Person, workspace: None, name })
}

fn session(row: SessionRow) -> Result<WebSession, StoreError> {
    let (id, principal, name, form_token, began_at, seen_at, device) = row;
    Ok(WebSession {
        id,
        principal: principal.zip(name).map(|(id, name)| person(id, &name)).transpose()?,
        form_token,
        began_at: Moment::from_micros(began_at),
        seen_at: Moment::from_micros(seen_at),
        device,
    })
}
