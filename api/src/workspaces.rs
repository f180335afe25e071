//! The names of workspaces, and which workspace a name means.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

use runledger_ledger::store::{Store, StoreError};
use runledger_ledger::words::{Name, WorkspaceId};

/// The name of a workspace as it stands in URLs: `a` to `z`, digits and `-`, at most 63.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceName(Name);

/// A text that names no workspace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a workspace must be {}", WorkspaceName::FORM)]
pub struct NoWorkspaceName;

impl WorkspaceName {
    /// What a name must be, in words.
    pub const FORM: &str = "1 to 63 of a to z, 0 to 9 and -, beginning with a letter or a digit";

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The same as a name of the ledger.
    pub const fn name(&self) -> &Name {
        &self.0
    }
}

impl FromStr for WorkspaceName {
    type Err = NoWorkspaceName;

    fn from_str(text: &str) -> Result<Self, NoWorkspaceName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let mut bytes = text.bytes();
        let begins = bytes.next().is_some_and(plain);
        if !begins || text.len() > 63 || !bytes.all(|byte| plain(byte) || byte == b'-') {
            return Err(NoWorkspaceName);
        }
        Name::new(text).map(WorkspaceName).map_err(|_| NoWorkspaceName)
    }
}

impl fmt::Display for WorkspaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which workspace each name means, remembered. A workspace keeps its name and is never removed,
/// so what is remembered stays true; names that mean nothing are not remembered.
#[derive(Debug, Default)]
pub struct Workspaces {
    known: RwLock<HashMap<String, WorkspaceId>>,
}

impl Workspaces {
    /// The workspace called `name`, if there is one.
    pub async fn find(&self, store: &Store, name: &str) -> Result<Option<WorkspaceId>, StoreError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        if known.is_some() {
            return Ok(known);
        }
        if name.parse::<WorkspaceName>().is_err() {
            return Ok(None);
        }
        let found = store.workspace_by_name(name).await?;
        if let Some(id) = found {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.insert(name.to_owned(), id);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_name_fits_a_url() {
        for name in ["a", "0", "main", "team-1", &"x".repeat(63)] {
            assert_eq!(name.parse::<WorkspaceName>().unwrap().to_string(), name);
        }
        for name in ["", "-a", "A", "a_b", "a b", "ä", "a/b", &"x".repeat(64)] {
            assert_eq!(name.parse::<WorkspaceName>(), Err(NoWorkspaceName), "{name}");
        }
    }
}
