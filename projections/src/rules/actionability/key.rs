//! Which runs are the same work (DESIGN section 7): what a superseding success must share with a
//! problem, and which follow-ups are one thing to do.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use runledger_ledger::catalog::{Operation, Supersession};
use runledger_ledger::run::Run;
use runledger_ledger::words::{Name, RunId, Subject};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::{Actionability, Verdict};

/// What two runs of a workspace must have in common for one to supersede the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The environment; none is the workspace itself.
    pub environment: Option<Name>,
    /// The canonical operation type, as recorded.
    pub operation: Name,
    /// What the family's supersession asks for.
    pub value: KeyValue,
}

impl Key {
    /// A stable hash of it, for comparing keys in a database.
    pub fn digest(&self) -> [u8; 16] {
        let mut parts = Parts::default();
        parts.key(self);
        parts.item().0
    }
}

/// The part of a [`Key`] that the family's supersession chooses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyValue {
    /// `scope`: equal subjects, or both none.
    Scope(Option<Subject>),
    /// `subject`: equal subjects, both present.
    Subject(Subject),
    /// `fingerprint`: equal fingerprints, both present.
    Fingerprint(Name),
}

/// The key of this run. None if its family knows no supersession, or the run lacks what it asks
/// for: then no later success speaks for it, and it speaks for no earlier problem.
pub fn supersession_key(run: &Run, operation: &Operation<'_>) -> Option<Key> {
    let value = match operation.family.supersession {
        Supersession::None => return None,
        Supersession::Scope => KeyValue::Scope(run.subject.clone()),
        Supersession::Subject => KeyValue::Subject(run.subject.clone()?),
        Supersession::Fingerprint => KeyValue::Fingerprint(run.fingerprint.clone()?),
    };
    let operation = run.operation.clone()?;
    Some(Key { environment: run.environment.clone(), operation, value })
}

/// Whether `success` supersedes `problem`, both of one workspace and of `operation`.
///
/// The read models ask the database the same question; this is what their answer must equal.
pub fn may_supersede(problem: &Run, success: &Run, operation: &Operation<'_>) -> bool {
    let key = supersession_key(problem, operation);
    key.is_some()
        && key == supersession_key(success, operation)
        && success.is_plain_success()
        && problem.settled_at.is_some_and(|settled| success.dispatched_at > settled)
}

/// Names one thing to do within a workspace: follow-ups that share it are its occurrences.
///
/// A stable hash; it shows nothing of what it was made from. In JSON and text it is hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey(pub [u8; 16]);

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for ItemKey {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut item = [0; 16];
        hex::decode_to_slice(text, &mut item)?;
        Ok(ItemKey(item))
    }
}

impl Serialize for ItemKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ItemKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let wanted = "a follow-up is named by its `key`: 32 hexadecimal digits";
        text.parse().map_err(|_| serde::de::Error::custom(wanted))
    }
}

/// The item that a follow-up belongs to. Actionable runs with the same supersession key share one;
/// a run that requires manual review, or whose family has no supersession, is one of its own.
pub fn item_key(run: &Run, run_id: RunId, operation: &Operation<'_>, verdict: &Verdict) -> ItemKey {
    let shared = (verdict.status == Actionability::Actionable)
        .then(|| supersession_key(run, operation))
        .flatten();
    let mut parts = Parts::default();
    match shared {
        Some(key) => parts.key(&key),
        None => parts.add(b"run", run_id.0.as_bytes()),
    }
    parts.item()
}

/// Feeds a hash with labelled parts, each with its length, so that no two lists of parts are the
/// same bytes.
#[derive(Default)]
struct Parts(Sha256);

impl Parts {
    fn key(&mut self, key: &Key) {
        self.add(b"operation", key.operation.as_str().as_bytes());
        if let Some(environment) = &key.environment {
            self.add(b"environment", environment.as_str().as_bytes());
        }
        match &key.value {
            KeyValue::Scope(subject) => {
                self.add(b"scope", b"");
                subject.iter().for_each(|subject| self.subject(subject));
            }
            KeyValue::Subject(subject) => self.subject(subject),
            KeyValue::Fingerprint(value) => self.add(b"fingerprint", value.as_str().as_bytes()),
        }
    }

    fn subject(&mut self, subject: &Subject) {
        self.add(b"subject type", subject.kind.as_str().as_bytes());
        self.add(b"subject id", subject.id.as_str().as_bytes());
    }

    fn add(&mut self, label: &[u8], value: &[u8]) {
        for bytes in [label, value] {
            self.0.update((bytes.len() as u64).to_be_bytes());
            self.0.update(bytes);
        }
    }

    fn item(self) -> ItemKey {
        let mut item = [0; 16];
        item.copy_from_slice(&self.0.finalize()[..16]);
        ItemKey(item)
    }
}
