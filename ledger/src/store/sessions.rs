//! Browsers that are signed in (specs/0018).

use uuid::Uuid;

use super::access::{Principal, SecretHash};
use super::people::person;
use super::{Scope, Store, StoreError};
use crate::access::Identity;
use crate::time::Moment;

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

/// What was found to be true of whoever signs in, and must still be when their session begins.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// Their password has this PHC string.
    Password(&'a str),
    /// A provider of identities knows them as this one.
    Identity(&'a Identity),
}

const SESSION: &str = "SELECT s.session_id, s.principal_id, p.name, s.form_token, s.began_at, \
     s.seen_at, s.device FROM web_sessions AS s \
     LEFT JOIN principals AS p ON p.principal_id = s.principal_id \
     AND p.removed_at IS NULL AND p.disabled_at IS NULL \
     WHERE s.hash = $1 AND (s.principal_id IS NULL OR p.principal_id IS NOT NULL)";
const SESSIONS: &str = "SELECT s.session_id, s.principal_id, p.name, s.form_token, s.began_at, \
     s.seen_at, s.device FROM web_sessions AS s \
     LEFT JOIN principals AS p ON p.principal_id = s.principal_id \
     WHERE s.principal_id = $1 OR ($1 IS NULL AND s.principal_id IS NULL) \
     ORDER BY s.seen_at DESC, s.session_id LIMIT 200";
type SessionRow = (Uuid, Option<Uuid>, Option<String>, String, i64, i64, String);
const BEGIN: &str = "INSERT INTO web_sessions (hash, session_id, principal_id, form_token, \
     began_at, seen_at, device) VALUES ($1, $2, $3, $4, $5, $5, $6)";
/// Of whoever can still sign in, and with the password that was looked at.
const BEGIN_OF: &str = "INSERT INTO web_sessions (hash, session_id, principal_id, form_token, \
     began_at, seen_at, device) SELECT $1, $2, p.principal_id, $4, $5, $5, $6 \
     FROM principals AS p WHERE p.principal_id = $3 AND p.password = $7 \
     AND p.removed_at IS NULL AND p.disabled_at IS NULL";
/// Of whoever can still sign in, and is still the one that the provider of identities told of.
const BEGIN_AS: &str = "INSERT INTO web_sessions (hash, session_id, principal_id, form_token, \
     began_at, seen_at, device) SELECT $1, $2, p.principal_id, $4, $5, $5, $6 \
     FROM principals AS p WHERE p.principal_id = $3 AND p.issuer = $7 AND p.subject = $8 \
     AND p.removed_at IS NULL AND p.disabled_at IS NULL";
const SIGNED_IN: &str = "UPDATE principals SET signed_in_at = $2 WHERE principal_id = $1 \
     AND (signed_in_at IS NULL OR signed_in_at < $2)";
const SEEN: &str = "UPDATE web_sessions SET seen_at = $2 WHERE hash = $1 AND seen_at < $2";
const END: &str = "DELETE FROM web_sessions WHERE hash = $1";
const END_ONE: &str = "DELETE FROM web_sessions WHERE session_id = $1 \
     AND (principal_id = $2 OR ($2 IS NULL AND principal_id IS NULL))";
const END_ALL: &str = "DELETE FROM web_sessions \
     WHERE (principal_id = $1 OR ($1 IS NULL AND principal_id IS NULL)) \
     AND ($2 IS NULL OR session_id <> $2)";
const SWEEP: &str = "DELETE FROM web_sessions WHERE began_at <= $1 OR seen_at <= $2";
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

    /// Begins a session of the administrator.
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

    /// Begins a session of a person who has proved who they are. False if that is no proof by now, or
    /// they cannot sign in any more.
    pub async fn begin_web_session_of(
        &self,
        person: Uuid,
        proof: Proof<'_>,
        hash: &SecretHash,
        session: &WebSession,
    ) -> Result<bool, StoreError> {
        let begun = on_both!(write self, Scope::Service, |connection| {
            let sql = match proof {
                Proof::Password(_) => BEGIN_OF,
                Proof::Identity(_) => BEGIN_AS,
            };
            let query = sqlx::query(sql)
                .bind(&hash[..])
                .bind(session.id)
                .bind(person)
                .bind(&session.form_token)
                .bind(session.began_at.micros())
                .bind(&session.device);
            let query = match proof {
                Proof::Password(phc) => query.bind(phc),
                Proof::Identity(identity) => query.bind(&identity.issuer).bind(&identity.subject),
            };
            let begun = query.execute(&mut *connection).await?.rows_affected();
            if begun > 0 {
                let query = sqlx::query(SIGNED_IN).bind(person).bind(session.began_at.micros());
                query.execute(connection).await?;
            }
            begun
        });
        Ok(begun > 0)
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

    /// Ends the sessions of a person, or of the administrator: all of them, or all but one. How many
    /// there were.
    pub async fn end_web_sessions_of(
        &self,
        principal: Option<Uuid>,
        but: Option<Uuid>,
    ) -> Result<u64, StoreError> {
        Ok(on_both!(write self, Scope::Service, |connection| {
            let query = sqlx::query(END_ALL).bind(principal).bind(but);
            query.execute(connection).await?.rows_affected()
        }))
    }

    /// Forgets sessions that began, or were last seen, at these moments or before.
    pub async fn sweep_web_sessions(&self, began: Moment, seen: Moment) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            let query = sqlx::query(SWEEP).bind(began.micros()).bind(seen.micros());
            query.execute(connection).await?;
        });
        Ok(())
    }
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
