//! The people who can sign in (specs/0022, specs/0026). No password is here: only what it is checked against.

use uuid::Uuid;

use super::access::Principal;
use super::{Scope, Store, StoreError};
use crate::access::{Identity, PrincipalKind};
use crate::time::Moment;
use crate::words::Name;

/// Somebody who can sign in, or could if they had a password or were enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub principal: Principal,
    /// When they were made.
    pub created_at: Moment,
    /// Since when they cannot sign in; none if they can.
    pub disabled_at: Option<Moment>,
    /// When they last signed in.
    pub signed_in_at: Option<Moment>,
    /// Whether they have a password.
    pub has_password: bool,
    /// Who they are at a provider of identities, if they sign in there.
    pub identity: Option<Identity>,
}

impl Person {
    /// `active`, `disabled` or `no_password`.
    pub const fn state(&self) -> &'static str {
        match (self.disabled_at, self.has_password || self.identity.is_some()) {
            (Some(_), _) => "disabled",
            (None, false) => "no_password",
            (None, true) => "active",
        }
    }
}

/// Who a name is of, and what their password is checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Who.
    pub principal: Principal,
    /// The PHC string of their password.
    pub password: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Credential")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

const CREDENTIAL: &str = "SELECT principal_id, name, password FROM principals \
     WHERE name = $1 AND workspace_id IS NULL AND removed_at IS NULL AND disabled_at IS NULL \
     AND password IS NOT NULL";
const SET_PASSWORD: &str =
    "UPDATE principals SET password = $2 WHERE principal_id = $1 AND removed_at IS NULL";
const DISABLE: &str = "UPDATE principals SET disabled_at = $2 \
     WHERE principal_id = $1 AND removed_at IS NULL AND disabled_at IS NULL";
const ENABLE: &str = "UPDATE principals SET disabled_at = NULL \
     WHERE principal_id = $1 AND removed_at IS NULL AND disabled_at IS NOT NULL";
const FORGET: &str = "UPDATE principals SET removed_at = $2, password = NULL, issuer = NULL, \
     subject = NULL WHERE principal_id = $1 AND removed_at IS NULL";
const LINK: &str = "UPDATE principals SET issuer = $2, subject = $3 \
     WHERE principal_id = $1 AND removed_at IS NULL";
const FORGET_SESSIONS: &str = "DELETE FROM web_sessions WHERE principal_id = $1";
const PEOPLE: &str = "SELECT p.principal_id, p.name, p.created_at, p.disabled_at, p.signed_in_at, \
     CASE WHEN p.password IS NULL THEN 0 ELSE 1 END, p.issuer, p.subject \
     FROM principals AS p WHERE p.workspace_id IS NULL AND p.removed_at IS NULL \
     AND ($1 IS NULL OR p.name = $1) ORDER BY p.name";
const KNOWN_AS: &str = "SELECT principal_id, name FROM principals WHERE issuer = $1 \
     AND subject = $2 AND workspace_id IS NULL AND removed_at IS NULL";
const ANYBODY: &str =
    "SELECT 1 FROM principals WHERE workspace_id IS NULL AND removed_at IS NULL LIMIT 1";
type PersonRow = (Uuid, String, i64, Option<i64>, Option<i64>, i32, Option<String>, Option<String>);

impl Store {
    /// Whoever signs in by this name, if anybody does now.
    pub async fn credential(&self, called: &str) -> Result<Option<Credential>, StoreError> {
        let row: Option<(Uuid, String, String)> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(CREDENTIAL).bind(called).fetch_optional(connection).await?
        });
        let credential = |(id, name, password): (Uuid, String, String)| {
            Ok(Credential { principal: person(id, &name)?, password })
        };
        row.map(credential).transpose()
    }

    /// Gives a person a password, by its PHC string.
    pub async fn set_password(&self, person: Uuid, phc: &str) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            sqlx::query(SET_PASSWORD).bind(person).bind(phc).execute(connection).await?;
        });
        Ok(())
    }

    /// Keeps a person from signing in, and ends their sessions with it. False if they could not.
    pub async fn disable_person(&self, person: Uuid, at: Moment) -> Result<bool, StoreError> {
        self.take_from_person(DISABLE, person, at).await
    }

    /// Removes a person, with their password and sessions: the name is free again. False if they
    /// were gone.
    pub async fn remove_person(&self, person: Uuid, at: Moment) -> Result<bool, StoreError> {
        self.take_from_person(FORGET, person, at).await
    }

    /// Says who a person is at a provider of identities, or that they are nobody there, and ends their
    /// sessions if they were somebody else. A [`StoreError::Conflict`] if another person is that one.
    pub async fn link_person(
        &self,
        person: Uuid,
        identity: Option<&Identity>,
        ends_sessions: bool,
    ) -> Result<(), StoreError> {
        let issuer = identity.map(|identity| identity.issuer.as_str());
        let subject = identity.map(|identity| identity.subject.as_str());
        on_both!(write self, Scope::Service, |connection| {
            let query = sqlx::query(LINK).bind(person).bind(issuer).bind(subject);
            query.execute(&mut *connection).await?;
            if ends_sessions {
                sqlx::query(FORGET_SESSIONS).bind(person).execute(connection).await?;
            }
        });
        Ok(())
    }

    /// Whoever a provider of identities knows as this one, also if they cannot sign in now.
    pub async fn person_known_as(&self, identity: &Identity) -> Result<Option<Person>, StoreError> {
        let row: Option<(Uuid, String)> = on_both!(read self, Scope::Service, |connection| {
            let query = sqlx::query_as(KNOWN_AS).bind(&identity.issuer).bind(&identity.subject);
            query.fetch_optional(connection).await?
        });
        match row {
            Some((id, name)) => self.person(&person(id, &name)?.name).await,
            None => Ok(None),
        }
    }

    async fn take_from_person(
        &self,
        sql: &'static str,
        person: Uuid,
        at: Moment,
    ) -> Result<bool, StoreError> {
        let taken = on_both!(write self, Scope::Service, |connection| {
            let query = sqlx::query(sql).bind(person).bind(at.micros());
            let taken = query.execute(&mut *connection).await?.rows_affected();
            sqlx::query(FORGET_SESSIONS).bind(person).execute(connection).await?;
            taken
        });
        Ok(taken > 0)
    }

    /// Lets a person sign in again, if they could not; false if they could. Sessions end either way.
    pub async fn enable_person(&self, person: Uuid) -> Result<bool, StoreError> {
        let enabled = on_both!(write self, Scope::Service, |connection| {
            // None of what was there before may come back with it.
            sqlx::query(FORGET_SESSIONS).bind(person).execute(&mut *connection).await?;
            sqlx::query(ENABLE).bind(person).execute(connection).await?.rows_affected()
        });
        Ok(enabled > 0)
    }

    /// Whether there is anybody.
    pub async fn has_people(&self) -> Result<bool, StoreError> {
        let row: Option<(i32,)> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(ANYBODY).fetch_optional(connection).await?
        });
        Ok(row.is_some())
    }

    /// Everybody, by name.
    pub async fn people(&self) -> Result<Vec<Person>, StoreError> {
        self.people_called(None).await
    }

    /// The person of this name.
    pub async fn person(&self, called: &Name) -> Result<Option<Person>, StoreError> {
        Ok(self.people_called(Some(called)).await?.into_iter().next())
    }

    async fn people_called(&self, called: Option<&Name>) -> Result<Vec<Person>, StoreError> {
        let rows: Vec<PersonRow> = on_both!(read self, Scope::Service, |connection| {
            let query = sqlx::query_as(PEOPLE).bind(called.map(Name::as_str));
            query.fetch_all(connection).await?
        });
        let read = |row: PersonRow| {
            let (id, name, created, disabled, signed_in, password, issuer, subject) = row;
            let identity = issuer.zip(subject);
            Ok(Person {
                principal: person(id, &name)?,
                created_at: Moment::from_micros(created),
                disabled_at: disabled.map(Moment::from_micros),
                signed_in_at: signed_in.map(Moment::from_micros),
                has_password: password != 0,
                identity: identity.map(|(issuer, subject)| Identity { issuer, subject }),
            })
        };
        rows.into_iter().map(read).collect()
    }
}

pub(super) fn person(id: Uuid, name: &str) -> Result<Principal, StoreError> {
    let name = Name::new(name)
        .map_err(|error| StoreError::Corrupt(format!("the name {name:?} {error}")))?;
    Ok(Principal { id, kind: PrincipalKind::Person, workspace: None, name })
}
