//! People whom a provider of identities knows (specs/0026): who they are here, who lets them in, and
//! which roles their groups give them.
//!
//! Somebody is known by the provider's issuer and its subject for them, and by nothing else: no name and
//! no e-mail address of a token ever leads to a person who is here already.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use runledger_ledger::access::{
    AccessChange, Environments, Identity, MemberGranted, MemberRemoved, PersonChange,
    PrincipalKind, Role,
};
use runledger_ledger::event::Actor;
use runledger_ledger::store::{Grant, Person, Principal};
use runledger_ledger::words::{Name, Note, WorkspaceId};

use super::{Hand, PersonName};
use crate::access::is_taken;
use crate::app::App;
use crate::oidc::Known;
use crate::problem::{ApiError, ApiResult};
use crate::settings::{OidcSettings, RoleRule};

/// Most characters of a group that the log is told.
const GROUP: usize = 100;
/// Why a role is taken that a group gave.
const NO_GROUP: &str = "the provider has them in no group with a role here";

/// What becomes of somebody whom the provider knows.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// They may come in.
    Welcome(Principal),
    /// Nobody here is that one.
    Unknown,
    /// They were disabled here.
    Disabled,
    /// They would be made, and have no name that one can have here.
    Nameless,
    /// They would be made, and somebody else has their name.
    NameTaken(PersonName),
}

/// A role that groups give.
struct Given<'a> {
    role: Role,
    environments: &'a Environments,
    group: &'a str,
}

/// Whoever has signed in at the provider, with the roles that their groups give them now.
pub(crate) async fn arrive(
    app: &App,
    settings: &OidcSettings,
    known: &Known,
) -> ApiResult<Arrival> {
    let actor = actor()?;
    let hand = Hand { app, actor: &actor };
    let person = match app.ledger().store().person_known_as(&known.identity).await? {
        Some(person) if person.disabled_at.is_some() => return Ok(Arrival::Disabled),
        Some(person) => person.principal,
        None if !settings.provision => return Ok(Arrival::Unknown),
        None => {
            let name = known.name.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
            let Ok(name) = PersonName::try_from(name) else { return Ok(Arrival::Nameless) };
            // Whoever has the name is somebody else until they say so themselves.
            if app.ledger().store().person(name.name()).await?.is_some() {
                return Ok(Arrival::NameTaken(name));
            }
            let reason = note(format!("signed in for the first time at {}", settings.name))?;
            hand.add(&name, None, Some(known.identity.clone()), reason).await?;
            hand.person(name.name()).await?.principal
        }
    };
    hand.follow_groups(&person, settings, &known.groups).await?;
    Ok(Arrival::Welcome(person))
}

/// Somebody came in with a password: what their groups at the provider gave them is theirs again when
/// they come from there, and not for as long as they have a password.
pub(crate) async fn came_by_password(app: &App, person: &Principal) -> ApiResult<()> {
    let actor = actor()?;
    let hand = Hand { app, actor: &actor };
    hand.take_what_groups_gave(person, "they signed in with a password, which tells of no group")
        .await
}

/// Who acts when a provider's word changes something.
fn actor() -> ApiResult<Actor> {
    let word = |text: &str| Name::new(text).map_err(ApiError::internal);
    Ok(Actor { id: word("openid-connect")?, kind: word("system")? })
}

fn note(text: String) -> ApiResult<Note> {
    Note::new(text).map_err(ApiError::internal)
}

impl Hand<'_> {
    /// Says who a person is at the provider. Whoever they were there before is nobody here then. None
    /// if it was so.
    pub(crate) async fn link(
        &self,
        person: &Person,
        identity: Identity,
        reason: Option<Note>,
    ) -> ApiResult<Option<u64>> {
        if person.identity.as_ref() == Some(&identity) {
            return Ok(None);
        }
        self.refuse_taken(&identity).await?;
        let id = person.principal.id;
        let change = (PersonChange::Linked, Some(identity.clone()));
        let position = self.note_who(&person.principal, change, reason).await?;
        let others = person.identity.is_some();
        let linked = self.app.ledger().store().link_person(id, Some(&identity), others).await;
        linked.map_err(|error| if is_taken(&error) { taken() } else { error.into() })?;
        Ok(position)
    }

    /// Lets a person be nobody at the provider any more, and ends their sessions. None if it was so.
    pub(crate) async fn unlink(&self, person: &Person, reason: Note) -> ApiResult<Option<u64>> {
        let Some(identity) = person.identity.clone() else { return Ok(None) };
        let store = self.app.ledger().store();
        store.link_person(person.principal.id, None, true).await?;
        self.take_what_groups_gave(&person.principal, "they are nobody at the provider any more")
            .await?;
        let change = (PersonChange::Unlinked, Some(identity));
        self.note_who(&person.principal, change, Some(reason)).await
    }

    /// Refuses an identity that somebody has.
    pub(super) async fn refuse_taken(&self, identity: &Identity) -> ApiResult<()> {
        match self.app.ledger().store().person_known_as(identity).await? {
            Some(_) => Err(taken()),
            None => Ok(()),
        }
    }

    /// Gives and takes roles as the groups of a person say. What somebody was given by hand stays as
    /// it is.
    async fn follow_groups(
        &self,
        person: &Principal,
        settings: &OidcSettings,
        groups: &[String],
    ) -> ApiResult<()> {
        let store = self.app.ledger().store();
        let given = store.given_by_providers(person.id).await?;
        let wanted = self.wanted(&settings.roles, groups).await?;
        let current = store.grants(person.id).await?;
        for grant in current.iter().filter(|grant| given.contains(&grant.workspace)) {
            if !wanted.contains_key(&grant.workspace) {
                self.take_role(person, grant, NO_GROUP).await?;
            }
        }
        for (workspace, wish) in wanted {
            let has = current.iter().find(|grant| grant.workspace == workspace);
            let same = has.is_some_and(|grant| {
                grant.role == wish.role && grant.environments == *wish.environments
            });
            if !same && (has.is_none() || given.contains(&workspace)) {
                let previous = has.map(|grant| grant.role);
                self.give_role(person, workspace, &wish, previous, &settings.issuer).await?;
            }
        }
        Ok(())
    }

    /// The role that groups give in each workspace: of the rules about one, the first that fits.
    async fn wanted<'a>(
        &self,
        rules: &'a [RoleRule],
        groups: &[String],
    ) -> ApiResult<BTreeMap<WorkspaceId, Given<'a>>> {
        let mut wanted = BTreeMap::new();
        for rule in rules.iter().filter(|rule| groups.contains(&rule.group)) {
            let name = rule.workspace.as_str();
            let store = self.app.ledger().store();
            let Some(workspace) = store.workspace_by_name(name).await? else {
                tracing::warn!(
                    workspace = name,
                    "[oidc] gives a role in a workspace that is not there"
                );
                continue;
            };
            let RoleRule { role, environments, group, .. } = rule;
            wanted.entry(workspace).or_insert(Given { role: *role, environments, group });
        }
        Ok(wanted)
    }

    async fn give_role(
        &self,
        person: &Principal,
        workspace: WorkspaceId,
        wish: &Given<'_>,
        previous: Option<Role>,
        issuer: &str,
    ) -> ApiResult<()> {
        let Given { role, environments, group } = wish;
        let group: String = group.chars().take(GROUP).collect();
        let change = MemberGranted {
            member: person.name.clone(),
            kind: PrincipalKind::Person,
            role: *role,
            environments: (*environments).clone(),
            previous,
            reason: note(format!("the provider has them in the group {group}"))?,
        };
        self.record(workspace, AccessChange::MemberGranted(change)).await?;
        let (store, now) = (self.app.ledger().store(), self.app.ledger().now());
        store.grant(workspace, person.id, (*role, environments), Some(issuer), now).await?;
        self.app.directory().changed();
        Ok(())
    }

    /// Takes every role that a provider's groups gave somebody: nobody asks there any more whether they
    /// are still in them.
    pub(crate) async fn take_what_groups_gave(
        &self,
        person: &Principal,
        why: &str,
    ) -> ApiResult<()> {
        let store = self.app.ledger().store();
        let given = store.given_by_providers(person.id).await?;
        if given.is_empty() {
            return Ok(());
        }
        for grant in store.grants(person.id).await? {
            if given.contains(&grant.workspace) {
                self.take_role(person, &grant, why).await?;
            }
        }
        Ok(())
    }

    async fn take_role(&self, person: &Principal, grant: &Grant, why: &str) -> ApiResult<()> {
        let taken = self.app.ledger().store().take_given(grant.workspace, person.id).await;
        self.app.directory().changed();
        if !taken? {
            return Ok(());
        }
        let change = MemberRemoved {
            member: person.name.clone(),
            kind: PrincipalKind::Person,
            previous: grant.role,
            reason: note(why.to_owned())?,
        };
        self.record(grant.workspace, AccessChange::MemberRemoved(change)).await?;
        Ok(())
    }
}

fn taken() -> ApiError {
    let detail = "somebody else signs in as this one; `runledger users list` shows who";
    ApiError::new(StatusCode::CONFLICT, "identity_taken", detail)
}
