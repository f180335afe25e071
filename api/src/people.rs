//! People: who can sign in, and what is done about them (specs/0022, specs/0026).
//!
//! Each change is recorded in the log of every workspace in which the person has a role, and in the
//! one that the server means when none is named. Who is given something gets it after the log says
//! so; from whom something is taken loses it before.

mod identity;
mod password;
mod throttle;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use axum::http::StatusCode;
use runledger_ledger::access::{
    AccessChange, Identity, MemberRemoved, PersonChange, PersonChanged, PrincipalKind,
};
use runledger_ledger::event::Actor;
use runledger_ledger::store::{Credential, Person, Principal};
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::words::{Name, Note, WorkspaceId};
use runledger_ledger::workspace::WorkspaceCommand;
use serde::Deserialize;
use uuid::Uuid;

use crate::access::is_taken;
use crate::app::App;
use crate::extract;
use crate::problem::{ApiError, ApiResult};

pub(crate) use identity::{Arrival, arrive, came_by_password};
pub use password::{LONGEST, Password, Passwords, SHORTEST, Unfit};
pub use throttle::Throttle;

/// Who acts in the name of the ledger itself: nobody else is called so.
pub(crate) const RESERVED: [&str; 6] =
    ["administrator", "openid-connect", "runledger", "secret-scanning", "server", "system"];

/// The name that a person signs in with: letters of one case, so that none looks like another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PersonName(Name);

/// A text that nobody can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a person must be {}", PersonName::FORM)]
pub struct NoPersonName;

impl PersonName {
    /// What a name must be, in words.
    pub const FORM: &str = "1 to 100 of a to z, 0 to 9 and . - _ @ +, beginning with a letter or a \
         digit, and not as the ledger calls itself (`administrator`, `system`, …)";

    /// The same as a name of the ledger.
    pub const fn name(&self) -> &Name {
        &self.0
    }
}

impl TryFrom<String> for PersonName {
    type Error = NoPersonName;

    fn try_from(text: String) -> Result<Self, NoPersonName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let begins = text.bytes().next().is_some_and(plain);
        let all = text.bytes().all(|byte| plain(byte) || b".-_@+".contains(&byte));
        if !begins || !all || text.len() > 100 || RESERVED.contains(&text.as_str()) {
            return Err(NoPersonName);
        }
        Name::new(text).map(PersonName).map_err(|_| NoPersonName)
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Whoever is called so, if `text` is their password and they may sign in now. A refusal does not
/// tell why: nobody is called so, the password is another one, it was taken away, or too much was
/// guessed from this address.
pub(crate) async fn recognize(
    app: &App,
    called: &str,
    text: String,
    address: IpAddr,
) -> ApiResult<Option<Credential>> {
    let called = called.trim().to_ascii_lowercase();
    let now = app.ledger().now();
    let Some(attempt) = app.throttle().begin(&called, address, now) else { return Ok(None) };
    let found = look(app, called, text).await;
    match &found {
        Ok(Some(_)) => app.throttle().forgive(attempt, true),
        // No name: some people type their password there.
        Ok(None) => tracing::info!(%address, "a sign-in was refused"),
        // Nobody looked, so nobody has failed.
        Err(_) => app.throttle().forgive(attempt, false),
    }
    found
}

async fn look(app: &App, called: String, text: String) -> ApiResult<Option<Credential>> {
    let found = match PersonName::try_from(called) {
        Ok(name) => app.ledger().store().credential(name.name().as_str()).await?,
        Err(NoPersonName) => None,
    };
    let phc = found.as_ref().map(|found| found.password.clone());
    let matches = app.passwords().matches(text, phc).await?;
    Ok(found.filter(|_| matches))
}

/// Who changes something about people.
#[derive(Clone, Copy)]
pub(crate) struct Hand<'a> {
    pub(crate) app: &'a App,
    pub(crate) actor: &'a Actor,
}

impl Hand<'_> {
    /// The person of this name.
    pub(crate) async fn person(&self, name: &Name) -> ApiResult<Person> {
        let found = self.app.ledger().store().person(name).await?;
        found.ok_or_else(|| unknown_person(name))
    }

    /// Makes a person who signs in with a password, as somebody of the provider, or either way.
    pub(crate) async fn add(
        &self,
        name: &PersonName,
        password: Option<Password>,
        identity: Option<Identity>,
        reason: Note,
    ) -> ApiResult<Option<u64>> {
        let phc = match password {
            Some(password) => Some(self.hashed(password).await?),
            None => None,
        };
        if let Some(identity) = &identity {
            self.refuse_taken(identity).await?;
        }
        let (store, now) = (self.app.ledger().store(), self.app.ledger().now());
        let new = Principal {
            id: self.app.failure_id().map_err(ApiError::internal)?,
            kind: PrincipalKind::Person,
            workspace: None,
            name: name.name().clone(),
        };
        // With nothing to sign in by nobody does, so this may come before the log says so.
        match store.add_principal(&new, now).await {
            Err(error) if is_taken(&error) => {
                let detail = format!("somebody is called {name} already; choose another name");
                return Err(ApiError::new(StatusCode::CONFLICT, "name_taken", detail));
            }
            added => added?,
        }
        let change = (PersonChange::Added, identity.clone());
        let position = self.note_who(&new, change, Some(reason)).await?;
        if let Some(phc) = phc {
            store.set_password(new.id, &phc).await?;
        }
        if let Some(identity) = identity {
            store.link_person(new.id, Some(&identity), false).await?;
        }
        Ok(position)
    }

    /// Gives a person a password, and ends their sessions but for one.
    pub(crate) async fn set_password(
        &self,
        person: &Principal,
        password: Password,
        reason: Option<Note>,
        but: Option<Uuid>,
    ) -> ApiResult<Option<u64>> {
        let phc = self.hashed(password).await?;
        let store = self.app.ledger().store();
        let position = self.note(person, PersonChange::PasswordSet, reason).await?;
        store.set_password(person.id, &phc).await?;
        store.end_web_sessions_of(Some(person.id), but).await?;
        Ok(position)
    }

    /// Keeps a person from signing in and ends their sessions, at once. None if it was so.
    pub(crate) async fn disable(&self, person: &Principal, reason: Note) -> ApiResult<Option<u64>> {
        let now = self.app.ledger().now();
        if !self.app.ledger().store().disable_person(person.id, now).await? {
            return Ok(None);
        }
        self.note(person, PersonChange::Disabled, Some(reason)).await
    }

    /// Lets a person sign in again. None if they could.
    pub(crate) async fn enable(&self, person: &Person, reason: Note) -> ApiResult<Option<u64>> {
        if person.disabled_at.is_none() {
            return Ok(None);
        }
        let person = &person.principal;
        let position = self.note(person, PersonChange::Enabled, Some(reason)).await?;
        self.app.ledger().store().enable_person(person.id).await?;
        Ok(position)
    }

    /// Ends one session of a person, or all of them. None if there was none.
    pub(crate) async fn end_sessions(
        &self,
        person: &Principal,
        session: Option<Uuid>,
        reason: Note,
    ) -> ApiResult<Option<u64>> {
        let store = self.app.ledger().store();
        let ended = match session {
            Some(session) => store.end_web_session_of(session, Some(person.id)).await?,
            None => store.end_web_sessions_of(Some(person.id), None).await? > 0,
        };
        if !ended {
            return Ok(None);
        }
        let change =
            PersonChanged { session, ..changed(person, PersonChange::SessionsEnded, Some(reason)) };
        self.note_in(self.places(person).await?, change).await
    }

    /// Removes a person with all their roles. Their name is free again.
    pub(crate) async fn remove(&self, person: &Principal, reason: Note) -> ApiResult<Option<u64>> {
        let store = self.app.ledger().store();
        let grants = store.grants(person.id).await?;
        let removed = store.remove_person(person.id, self.app.ledger().now()).await?;
        let places = self.places(person).await?;
        for grant in grants {
            if store.take_grant(grant.workspace, person.id).await? {
                let change = MemberRemoved {
                    member: person.name.clone(),
                    kind: person.kind,
                    previous: grant.role,
                    reason: reason.clone(),
                };
                self.record(grant.workspace, AccessChange::MemberRemoved(change)).await?;
            }
        }
        if !removed {
            return Ok(None);
        }
        self.note_in(places, changed(person, PersonChange::Removed, Some(reason))).await
    }

    async fn hashed(&self, password: Password) -> ApiResult<String> {
        self.app.passwords().hash(password, self.app.entropy()).await
    }

    /// Where a change about a person is recorded. The first is the one that the server means.
    async fn places(&self, person: &Principal) -> ApiResult<Vec<WorkspaceId>> {
        let own = extract::workspace(self.app, self.app.default_workspace().as_str()).await?;
        let grants = self.app.ledger().store().grants(person.id).await?;
        let others: BTreeSet<WorkspaceId> = grants.iter().map(|grant| grant.workspace).collect();
        let others = others.into_iter().filter(|workspace| *workspace != own);
        Ok([own].into_iter().chain(others).collect())
    }

    async fn note(
        &self,
        person: &Principal,
        change: PersonChange,
        reason: Option<Note>,
    ) -> ApiResult<Option<u64>> {
        self.note_who(person, (change, None), reason).await
    }

    async fn note_who(
        &self,
        person: &Principal,
        change: (PersonChange, Option<Identity>),
        reason: Option<Note>,
    ) -> ApiResult<Option<u64>> {
        let (change, identity) = change;
        let change = PersonChanged { identity, ..changed(person, change, reason) };
        self.note_in(self.places(person).await?, change).await
    }

    /// Records a change, and gives its position in the first place.
    async fn note_in(
        &self,
        places: Vec<WorkspaceId>,
        change: PersonChanged,
    ) -> ApiResult<Option<u64>> {
        let mut first = None;
        for place in places {
            let position = self.record(place, AccessChange::PersonChanged(change.clone())).await?;
            first = first.or(position);
        }
        Ok(first)
    }

    async fn record(&self, workspace: WorkspaceId, change: AccessChange) -> ApiResult<Option<u64>> {
        let command = Command::Workspace(WorkspaceCommand::NoteAccess(change));
        let submission = Submission::new(command).by(self.actor.clone());
        let result = self.app.submit_one(workspace, submission).await?;
        match result.problem {
            Some(problem) => Err(ApiError::new(problem.status, problem.code, problem.detail)),
            None => Ok(result.position),
        }
    }
}

fn changed(person: &Principal, change: PersonChange, reason: Option<Note>) -> PersonChanged {
    PersonChanged { person: person.name.clone(), change, identity: None, session: None, reason }
}

/// The one answer for somebody who is not there.
fn unknown_person(name: &Name) -> ApiError {
    let detail =
        format!("nobody is called \"{name}\" here; `runledger users list` shows everybody");
    ApiError::not_found("unknown_person", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_called_what_nobody_mistakes() {
        for name in ["ada", "a", "ada.l@example.com", "7-of_9+x", &"x".repeat(100)] {
            assert_eq!(PersonName::try_from(name.to_owned()).unwrap().to_string(), name);
        }
        for name in ["", "Ada", "a b", "ä", "-a", "a/b", "administrator", &"x".repeat(101)] {
            assert_eq!(PersonName::try_from(name.to_owned()), Err(NoPersonName), "{name}");
        }
    }
}
