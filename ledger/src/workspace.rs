//! The aggregate `workspace`: the tenant itself, its catalog, and when the ledger was blind
//! (DESIGN sections 3 to 5).

use serde::{Deserialize, Serialize};

use crate::access::{
    AccessChange, AuditPackRead, CheckpointAccepted, CheckpointTimestamped, KeyRotated,
    MemberGranted, MemberRemoved, PersonChanged, TokenCreated, TokenRevoked, ViewRemoved,
};
use crate::catalog::{Catalog, CatalogErrors};
use crate::fact::{EventKind, EventType, Fact};
use crate::time::Moment;
use crate::words::{Name, Note};

/// One immutable fact of a workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum WorkspaceEvent {
    /// It was made.
    #[serde(rename = "workspace.created")]
    Created(Created),
    /// The ledger could not listen for a while.
    #[serde(rename = "workspace.ledger_blind")]
    LedgerBlind(LedgerBlind),
    /// A catalog came into force.
    #[serde(rename = "catalog.published")]
    CatalogPublished(CatalogPublished),
    /// A token was made.
    #[serde(rename = "token.created")]
    TokenCreated(TokenCreated),
    /// A token was taken out of use.
    #[serde(rename = "token.revoked")]
    TokenRevoked(TokenRevoked),
    /// Somebody was given a role.
    #[serde(rename = "member.granted")]
    MemberGranted(MemberGranted),
    /// Somebody's role was taken away.
    #[serde(rename = "member.removed")]
    MemberRemoved(MemberRemoved),
    /// Who can sign in, or how, was changed.
    #[serde(rename = "person.changed")]
    PersonChanged(PersonChanged),
    /// An audit pack was read.
    #[serde(rename = "audit_pack.read")]
    AuditPackRead(AuditPackRead),
    /// A saved view of somebody else was taken away.
    #[serde(rename = "view.removed")]
    ViewRemoved(ViewRemoved),
    /// Other keys sign its checkpoints.
    #[serde(rename = "key.rotated")]
    KeyRotated(KeyRotated),
    /// Somebody said from which checkpoint on it is signed.
    #[serde(rename = "checkpoint.accepted")]
    CheckpointAccepted(CheckpointAccepted),
    /// Somebody kept what an authority said of when a checkpoint was there.
    #[serde(rename = "checkpoint.timestamped")]
    CheckpointTimestamped(CheckpointTimestamped),
}

impl EventKind for WorkspaceEvent {
    fn event_type(&self) -> EventType {
        match self {
            WorkspaceEvent::Created(_) => EventType::WorkspaceCreated,
            WorkspaceEvent::LedgerBlind(_) => EventType::WorkspaceLedgerBlind,
            WorkspaceEvent::CatalogPublished(_) => EventType::CatalogPublished,
            WorkspaceEvent::TokenCreated(_) => EventType::TokenCreated,
            WorkspaceEvent::TokenRevoked(_) => EventType::TokenRevoked,
            WorkspaceEvent::MemberGranted(_) => EventType::MemberGranted,
            WorkspaceEvent::MemberRemoved(_) => EventType::MemberRemoved,
            WorkspaceEvent::PersonChanged(_) => EventType::PersonChanged,
            WorkspaceEvent::AuditPackRead(_) => EventType::AuditPackRead,
            WorkspaceEvent::ViewRemoved(_) => EventType::ViewRemoved,
            WorkspaceEvent::KeyRotated(_) => EventType::KeyRotated,
            WorkspaceEvent::CheckpointAccepted(_) => EventType::CheckpointAccepted,
            WorkspaceEvent::CheckpointTimestamped(_) => EventType::CheckpointTimestamped,
        }
    }
}

/// A workspace was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Created {
    /// Its name, as it stands in URLs.
    pub name: Name,
    /// Why it was made, by whoever made it; none in logs that began before that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Note>,
}

/// The ledger could not listen; silence in that time means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerBlind {
    /// When it last could.
    pub from: Moment,
    /// When it could again.
    pub to: Moment,
}

/// A catalog came into force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogPublished {
    /// The whole text.
    pub content: String,
    /// SHA-256 of the text, in hexadecimal.
    pub sha256: String,
    /// The version of the catalog's form.
    pub version: u32,
    /// Why it was published, by whoever did; none in logs that began before that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Note>,
}

/// What the workspace's stream says that decisions need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Workspace {
    /// Its name; none while it has not been made.
    pub name: Option<Name>,
    /// SHA-256 of the catalog in force, in hexadecimal.
    pub catalog_sha256: Option<String>,
    /// The text of the catalog in force.
    pub catalog: Option<String>,
}

/// What may be asked of a workspace.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkspaceCommand {
    /// Make it.
    Create {
        /// Its name, as it stands in URLs.
        name: Name,
        /// Why.
        reason: Option<Note>,
    },
    /// Note that the ledger could not listen.
    NoteBlind(LedgerBlind),
    /// Put a catalog into force; the one in force again is a duplicate.
    PublishCatalog {
        /// The whole text.
        text: String,
        /// Why.
        reason: Option<Note>,
    },
    /// Note who may do what from now on.
    NoteAccess(AccessChange),
}

/// Why a command on a workspace is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WorkspaceRefusal {
    /// It has been made already.
    #[error("the workspace exists already")]
    Exists,
    /// The catalog does not load.
    #[error("the catalog cannot be published")]
    Catalog(#[source] CatalogErrors),
    /// It ends before it begins.
    #[error("a blind time must end after it begins")]
    BlindBackwards,
}

impl WorkspaceRefusal {
    /// The stable code of the refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            WorkspaceRefusal::Exists => "workspace_exists",
            WorkspaceRefusal::Catalog(_) => "invalid_catalog",
            WorkspaceRefusal::BlindBackwards => "invalid_blind_time",
        }
    }
}

impl Workspace {
    /// Decides on a command; no event is a duplicate.
    pub fn decide(
        &self,
        command: &WorkspaceCommand,
        occurred_at: Moment,
        recorded_at: Moment,
    ) -> Result<Option<Fact<WorkspaceEvent>>, WorkspaceRefusal> {
        let event = match command {
            WorkspaceCommand::Create { .. } if self.name.is_some() => {
                return Err(WorkspaceRefusal::Exists);
            }
            WorkspaceCommand::Create { name, reason } => {
                WorkspaceEvent::Created(Created { name: name.clone(), reason: reason.clone() })
            }
            WorkspaceCommand::NoteBlind(blind) if blind.from >= blind.to => {
                return Err(WorkspaceRefusal::BlindBackwards);
            }
            WorkspaceCommand::NoteBlind(blind) => WorkspaceEvent::LedgerBlind(*blind),
            WorkspaceCommand::NoteAccess(change) => match change.clone() {
                AccessChange::TokenCreated(event) => WorkspaceEvent::TokenCreated(event),
                AccessChange::TokenRevoked(event) => WorkspaceEvent::TokenRevoked(event),
                AccessChange::MemberGranted(event) => WorkspaceEvent::MemberGranted(event),
                AccessChange::MemberRemoved(event) => WorkspaceEvent::MemberRemoved(event),
                AccessChange::PersonChanged(event) => WorkspaceEvent::PersonChanged(event),
                AccessChange::AuditPackRead(event) => WorkspaceEvent::AuditPackRead(event),
                AccessChange::ViewRemoved(event) => WorkspaceEvent::ViewRemoved(event),
                AccessChange::KeyRotated(event) => WorkspaceEvent::KeyRotated(event),
                AccessChange::CheckpointAccepted(event) => {
                    WorkspaceEvent::CheckpointAccepted(event)
                }
                AccessChange::CheckpointTimestamped(event) => {
                    WorkspaceEvent::CheckpointTimestamped(event)
                }
            },
            WorkspaceCommand::PublishCatalog { text, reason } => {
                let catalog = Catalog::parse(text).map_err(WorkspaceRefusal::Catalog)?;
                let sha256 = hex::encode(catalog.sha256());
                if self.catalog_sha256.as_ref() == Some(&sha256) {
                    return Ok(None);
                }
                WorkspaceEvent::CatalogPublished(CatalogPublished {
                    content: text.clone(),
                    sha256,
                    version: catalog.version(),
                    reason: reason.clone(),
                })
            }
        };
        Ok(Some(Fact { occurred_at, recorded_at, event }))
    }

    /// Takes in the next event of the workspace's stream.
    pub fn apply(&mut self, fact: &Fact<WorkspaceEvent>) {
        match &fact.event {
            WorkspaceEvent::Created(event) => self.name = Some(event.name.clone()),
            WorkspaceEvent::LedgerBlind(_)
            | WorkspaceEvent::TokenCreated(_)
            | WorkspaceEvent::TokenRevoked(_)
            | WorkspaceEvent::MemberGranted(_)
            | WorkspaceEvent::MemberRemoved(_)
            | WorkspaceEvent::PersonChanged(_)
            | WorkspaceEvent::AuditPackRead(_)
            | WorkspaceEvent::ViewRemoved(_)
            | WorkspaceEvent::KeyRotated(_)
            | WorkspaceEvent::CheckpointAccepted(_)
            | WorkspaceEvent::CheckpointTimestamped(_) => {}
            WorkspaceEvent::CatalogPublished(event) => {
                self.catalog_sha256 = Some(event.sha256.clone());
                self.catalog = Some(event.content.clone());
            }
        }
    }
}
