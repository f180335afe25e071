//! Who may ask and what they may do: the words of it, and what the log says when it changes
//! (specs/0018). What each role may do is decided at the boundary, and nowhere here.

mod past;
mod timestamped;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Moment;
use crate::words::{Name, Note};

pub use past::{AccessThen, MemberThen};
pub use timestamped::CheckpointTimestamped;

crate::words::words! {
    /// What somebody may do in a workspace.
    Role {
        /// Everything in it, also who else owns it.
        Owner = "owner",
        /// Everything in it, but for its owners.
        Admin = "admin",
        /// Reads everything, works the follow-ups, reports events.
        Operator = "operator",
        /// Reports events, and reads nothing.
        Reporter = "reporter",
        /// Judges the runs of one remote adapter.
        Adapter = "adapter",
        /// Reads and exports everything, and changes nothing.
        Auditor = "auditor",
        /// Reads what is derived: no raw events, no evidence.
        Viewer = "viewer",
    }
}

crate::words::words! {
    /// What kind of thing asks.
    PrincipalKind {
        /// A person, who signs in.
        Person = "person",
        /// A program, with a token.
        Service = "service",
        /// A remote adapter, with a token.
        Adapter = "adapter",
    }
}

crate::words::words! {
    /// What was done about a person (specs/0022).
    PersonChange {
        /// They were made.
        Added = "added",
        /// They cannot sign in any more, until they are enabled again.
        Disabled = "disabled",
        /// They can sign in again.
        Enabled = "enabled",
        /// They were given a password, or changed it themselves.
        PasswordSet = "password_set",
        /// They can sign in as somebody of a provider of identities (specs/0026).
        Linked = "linked",
        /// They cannot any more.
        Unlinked = "unlinked",
        /// Sessions of theirs were ended.
        SessionsEnded = "sessions_ended",
        /// They are gone, and their name is free.
        Removed = "removed",
    }
}

/// The environments that a role is narrowed to; none is the whole workspace.
pub type Environments = Option<BTreeSet<Name>>;

/// A token was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenCreated {
    /// What it is called by.
    pub token: Uuid,
    /// Whose it is.
    pub holder: Name,
    /// What its holder may do.
    pub role: Role,
    /// Where; none is the whole workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environments: Environments,
    /// When it ends; none is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Moment>,
    /// The token that it takes the place of, and until when that one is taken as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaced>,
    /// Why.
    pub reason: Note,
}

/// A token in whose place there is a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Which one.
    pub token: Uuid,
    /// Until when it is taken.
    pub until: Moment,
}

/// A token is not taken any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenRevoked {
    /// What it is called by.
    pub token: Uuid,
    /// Whose it was.
    pub holder: Name,
    /// Why.
    pub reason: Note,
}

/// Somebody was given a role, or another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberGranted {
    /// Who.
    pub member: Name,
    /// What kind of thing.
    pub kind: PrincipalKind,
    /// The role.
    pub role: Role,
    /// Where; none is the whole workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environments: Environments,
    /// The role before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Role>,
    /// Why.
    pub reason: Note,
}

/// Somebody has no role here any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberRemoved {
    /// Who.
    pub member: Name,
    /// What kind of thing.
    pub kind: PrincipalKind,
    /// The role until then.
    pub previous: Role,
    /// Why.
    pub reason: Note,
}

/// Who can sign in, or how, was changed. People belong to no workspace: it is recorded where they
/// have a role, and in the workspace that the server means when none is named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PersonChanged {
    /// Who.
    pub person: Name,
    /// What was done.
    pub change: PersonChange,
    /// Who they are, or were until then, at a provider of identities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Which session was ended; none is all of theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Uuid>,
    /// Why; none if they did it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Note>,
}

/// Somebody as a provider of identities knows them (specs/0026). The same subject of another issuer is
/// somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// What it calls them, for good.
    pub subject: String,
}

/// An audit pack was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditPackRead {
    /// SHA-256 of its manifest, in hexadecimal, where a command made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Which one: the run that made it. Of one that a command made, an id that follows from its
    /// manifest.
    pub pack: Uuid,
    /// Why.
    pub reason: Note,
}

/// An administrator took a saved view of somebody else away. What people do with their own is told nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRemoved {
    /// Its filters, so that it can be saved again.
    pub query: String,
    /// Why.
    pub reason: Note,
    /// Who had saved it.
    pub saved_by: String,
    /// What it was called.
    pub view: String,
}

/// Other keys sign the checkpoints of the log from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotated {
    /// Those that sign from here on and did not before, as verifier keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// All that sign from here on, the newest first, as verifier keys.
    pub keys: Vec<String>,
    /// Those that signed before and do not any more, by their ids in hexadecimal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<String>,
    /// Why, where somebody had to say so because the keys before are lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Note>,
}

/// Somebody has said from which checkpoint on the log is signed, where what the server had written
/// down outside of the database did not tell, or told otherwise (specs/0029).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointAccepted {
    /// What does not count any more; none if nothing was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<SignedBefore>,
    /// Why.
    pub reason: Note,
    /// The root of the events that were signed last, in hexadecimal.
    pub root: String,
    /// How many they are.
    pub size: u64,
}

/// What was signed of a log, and does not count any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBefore {
    /// Which log.
    pub log: Uuid,
    /// The root of its events, in hexadecimal.
    pub root: String,
    /// How many they were.
    pub size: u64,
}

/// A change of who may do what, to be recorded in the log of the workspace.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the variants are the events")]
pub enum AccessChange {
    TokenCreated(TokenCreated),
    TokenRevoked(TokenRevoked),
    MemberGranted(MemberGranted),
    MemberRemoved(MemberRemoved),
    PersonChanged(PersonChanged),
    AuditPackRead(AuditPackRead),
    ViewRemoved(ViewRemoved),
    KeyRotated(KeyRotated),
    CheckpointAccepted(CheckpointAccepted),
    CheckpointTimestamped(CheckpointTimestamped),
}
