//! The keys that sign: one secret for all logs of a deployment, from which each log has its own.

use std::fmt;

use runledger_proof::note::{Kind, NoteError, SignerKey, VerifierKey, is_name};

use crate::clock::{Entropy, NoEntropy};
use crate::words::WorkspaceId;

/// The keys of a deployment. All of them sign: while one is being replaced, whoever trusts either
/// can go on.
#[derive(Clone)]
pub struct Keys {
    first: SignerKey,
    others: Vec<SignerKey>,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// There is no key in it at all.
    #[error("it holds no key")]
    None,
    /// A line of it is no key.
    #[error("line {line} is no signing key")]
    NotAKey {
        /// The line, from 1.
        line: usize,
        /// Why.
        #[source]
        source: NoteError,
    },
    /// Keys with several names: a log has one origin for ever.
    #[error(
        "its keys are named {0} and {1}; the name is part of every log's origin and never changes"
    )]
    TwoNames(String, String),
    /// It cannot be the name of a key.
    #[error("{0:?} cannot be the name of a key: it must not be empty, nor hold spaces or `+`")]
    Name(String),
    /// There were no random bytes to make one of.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

impl Keys {
    /// Reads keys, one a line, the newest first. Empty lines and those that begin with `#` are
    /// passed over.
    ///
    /// # Errors
    /// If one of them is no key, or there is none.
    pub fn parse(text: &str) -> Result<Keys, KeysError> {
        let lines = (1..).zip(text.lines().map(str::trim));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let keys: Result<Vec<SignerKey>, KeysError> = lines
            .map(|(line, text)| {
                SignerKey::parse(text).map_err(|source| KeysError::NotAKey { line, source })
            })
            .collect();
        let mut keys = keys?.into_iter();
        let first = keys.next().ok_or(KeysError::None)?;
        let others: Vec<SignerKey> = keys.collect();
        match others.iter().find(|other| other.name() != first.name()) {
            Some(other) => {
                Err(KeysError::TwoNames(first.name().to_owned(), other.name().to_owned()))
            }
            None => Ok(Keys { first, others }),
        }
    }

    /// A fresh key. `name` is where the logs are, such as a host.
    ///
    /// # Errors
    /// If it cannot be a name, or there are no random bytes.
    pub fn make(name: &str, entropy: &Entropy) -> Result<Keys, KeysError> {
        let mut secret = [0; 32];
        entropy.fill(&mut secret)?;
        let first = SignerKey::new(name, Kind::Ed25519, &secret).filter(|_| is_name(name));
        let first = first.ok_or_else(|| KeysError::Name(name.to_owned()))?;
        Ok(Keys { first, others: Vec::new() })
    }

    /// These keys with `newer` before them. It must have their name.
    ///
    /// # Errors
    /// [`KeysError::TwoNames`] if it has another one.
    pub fn rotate(mut self, newer: Keys) -> Result<Keys, KeysError> {
        let (old, new) = (self.first.name().to_owned(), newer.first.name().to_owned());
        if old != new {
            return Err(KeysError::TwoNames(old, new));
        }
        self.others.insert(0, self.first);
        Ok(Keys { first: newer.first, others: self.others })
    }

    /// The newest key alone.
    #[must_use]
    pub fn newest(self) -> Keys {
        Keys { first: self.first, others: Vec::new() }
    }

    /// How [`Keys::parse`] reads them. It is a secret.
    pub fn to_secret_text(&self) -> String {
        let lines = std::iter::once(&self.first).chain(&self.others);
        lines.map(|key| key.to_secret_text() + "\n").collect()
    }

    /// Their name: the beginning of every log's origin.
    pub fn name(&self) -> &str {
        self.first.name()
    }

    /// The origin of a log: its name for ever.
    pub fn origin(&self, workspace: WorkspaceId) -> String {
        format!("{}/ledger/{workspace}", self.first.name())
    }

    /// The keys of one log, the newest first.
    pub fn of_log(&self, workspace: WorkspaceId) -> Vec<SignerKey> {
        let origin = self.origin(workspace);
        let all = std::iter::once(&self.first).chain(&self.others);
        all.filter_map(|key| key.derive(&origin)).collect()
    }

    /// What others need to check the signatures of one log.
    pub fn verifiers(&self, workspace: WorkspaceId) -> Vec<VerifierKey> {
        self.of_log(workspace).iter().map(SignerKey::verifier).collect()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("name", &self.first.name()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_replaced_with_an_overlap_and_keep_their_name() {
        let entropy = Entropy::system();
        let workspace = WorkspaceId(uuid::Uuid::nil());
        let old = Keys::make("ledger.example", &entropy).unwrap();
        let both = old.clone().rotate(Keys::make("ledger.example", &entropy).unwrap()).unwrap();
        let read = Keys::parse(&format!("# ours\n\n{}", both.to_secret_text())).unwrap();
        assert_eq!(read.verifiers(workspace), both.verifiers(workspace));
        assert_eq!(both.verifiers(workspace)[1..], old.verifiers(workspace)[..]);
        assert_eq!(both.newest().verifiers(workspace).len(), 1);
        assert_eq!(read.origin(workspace), format!("ledger.example/ledger/{workspace}"));
        let other = Keys::make("elsewhere", &entropy).unwrap();
        assert!(matches!(old.rotate(other), Err(KeysError::TwoNames(..))));
        assert!(matches!(Keys::make("a b", &entropy), Err(KeysError::Name(_))));
        assert!(matches!(Keys::parse("\n# nothing"), Err(KeysError::None)));
        assert!(matches!(Keys::parse("\nx"), Err(KeysError::NotAKey { line: 2, .. })));
    }
}
