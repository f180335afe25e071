//! The operation catalog (DESIGN section 4): which operation types there are, and the policy of
//! each family of them.
//!
//! A [`Catalog`] that exists is sound: every operation has a family, every name means one thing,
//! every window can be missed. What is wrong in a file is refused when it is read, all of it at
//! once and by line. A name that no file mentions belongs to the family `unclassified`; nothing
//! is guessed from how it is spelled.

mod read;
mod section;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// The family of every operation that no catalog names.
pub const UNCLASSIFIED: &str = "unclassified";

/// The longest catalog text in bytes: it must fit in one event, `catalog.published`.
pub const MAX_TEXT_BYTES: usize = 48 * 1024;

/// The longest operation, family, adapter or artifact name, in bytes. An alias may be as long as a name
/// that arrives.
pub const MAX_NAME_BYTES: usize = 100;

/// The operation types and families of one catalog file. Share it as `Arc<Catalog>`.
#[derive(Clone, Debug)]
pub struct Catalog {
    text: String,
    version: u32,
    sha256: [u8; 32],
    /// In file order.
    families: Vec<(String, Family)>,
    /// In file order.
    operations: Vec<Entry>,
    /// Canonical names and aliases, each with its place in `operations`.
    names: HashMap<String, usize>,
    /// The place of [`UNCLASSIFIED`] in `families`.
    unclassified: usize,
}

impl Catalog {
    /// The catalog that comes with this build, parsed once per process.
    pub fn built_in() -> Arc<Catalog> {
        static BUILT_IN: LazyLock<Arc<Catalog>> =
            LazyLock::new(|| match Catalog::parse(include_str!("../catalog.toml")) {
                Ok(catalog) => Arc::new(catalog),
                // The file is part of the build and a test loads it, so this cannot be met.
                Err(errors) => unreachable!("ledger/catalog.toml is not sound:\n{errors}"),
            });
        Arc::clone(&BUILT_IN)
    }

    /// Reads a catalog file.
    ///
    /// # Errors
    /// Everything that is wrong with the text, in the order of its lines. A text that is not TOML
    /// is not looked at any further.
    pub fn parse(text: &str) -> Result<Catalog, CatalogErrors> {
        read::catalog(text)
    }

    /// The exact text that was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The version of the catalog's form; 1 is the only one there is.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// SHA-256 of [`Catalog::text`].
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The canonical name behind `name`: an alias resolves, any other name is its own.
    pub fn canonical<'a>(&'a self, name: &'a str) -> &'a str {
        self.entry(name).map_or(name, |entry| &entry.name)
    }

    /// The operation that `name` (canonical or alias) means. One that is not in the catalog
    /// belongs to the family [`UNCLASSIFIED`].
    pub fn operation<'a>(&'a self, name: &'a str) -> Operation<'a> {
        match self.entry(name) {
            Some(entry) => self.classified(entry),
            None => self.unclassified(name),
        }
    }

    /// The operations of the file, in its order.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        self.operations.iter().map(|entry| self.classified(entry))
    }

    /// The families of the file with their names, in its order; [`UNCLASSIFIED`] last if the file says
    /// nothing of it.
    pub fn families(&self) -> impl Iterator<Item = (&str, &Family)> {
        self.families.iter().map(|(name, family)| (name.as_str(), family))
    }

    /// The family called `name`.
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families().find(|(known, _)| *known == name).map(|(_, family)| family)
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.names.get(name).map(|&place| &self.operations[place])
    }

    fn classified<'a>(&'a self, entry: &'a Entry) -> Operation<'a> {
        let (family_name, family) = &self.families[entry.family];
        Operation {
            name: &entry.name,
            classified: true,
            title: Some(&entry.title),
            aliases: &entry.aliases,
            scope: entry.scope,
            adapter: entry.adapter.as_deref(),
            artifact: entry.artifact.as_deref(),
            family_name,
            family,
            lifecycle: entry.lifecycle,
        }
    }

    fn unclassified<'a>(&'a self, name: &'a str) -> Operation<'a> {
        let (family_name, family) = &self.families[self.unclassified];
        Operation {
            name,
            classified: false,
            title: None,
            aliases: &[],
            scope: OperationScope::Environment,
            adapter: None,
            artifact: None,
            family_name,
            family,
            lifecycle: family.lifecycle,
        }
    }
}

/// One operation type, with all that the catalog says about it.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// The canonical name.
    pub name: &'a str,
    /// Whether the catalog names it.
    pub classified: bool,
    /// What people call it; none if the catalog does not name it.
    pub title: Option<&'a Title>,
    /// Other names that resolve to it on the way in.
    pub aliases: &'a [String],
    /// What its runs belong to.
    pub scope: OperationScope,
    /// The reconciliation adapter that can look for proof of its runs' end.
    pub adapter: Option<&'a str>,
    /// The type of the artifact that its runs make.
    pub artifact: Option<&'a str>,
    /// The name of its family.
    pub family_name: &'a str,
    /// Its family: its policy.
    pub family: &'a Family,
    /// The windows in force: its own, and its family's where it has none.
    pub lifecycle: Lifecycle,
}

/// What the runs of an operation belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationScope {
    /// An environment where one is named, the workspace otherwise.
    #[default]
    Environment,
    /// The workspace itself; naming an environment is refused.
    Workspace,
}

/// A policy for operations of one kind, as data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// What people call it.
    pub title: Title,
    /// Which later success makes a problem good.
    pub supersession: Supersession,
    /// Whose present health makes a problem good.
    pub current_state: CurrentState,
    /// Whether proof closes a follow-up, or only a person does.
    pub review: Review,
    /// Whether its problems are for information only.
    pub informational: bool,
    /// The windows of its operations.
    pub lifecycle: Lifecycle,
}

/// What a later success must share with a problem to supersede it, beside operation and scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supersession {
    /// No later success supersedes it.
    #[default]
    None,
    /// Nothing more than the scope.
    Scope,
    /// The subject.
    Subject,
    /// The fingerprint.
    Fingerprint,
}

/// Whose observed state speaks for a problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CurrentState {
    /// Nobody's.
    #[default]
    None,
    /// That of the run's subject.
    Subject,
}

/// Who may close a follow-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    /// Proof, or a person.
    #[default]
    Auto,
    /// Only a person.
    Manual,
}

/// The windows of a run. One that is left out is not known, and nothing is concluded from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifecycle {
    /// How long a run may wait from its dispatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_window: Option<Span>,
    /// How long a run may be silent from its last sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_window: Option<Span>,
    /// How long a run stays stale before it is given up (DESIGN section 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abandon_after: Option<Span>,
}

impl Lifecycle {
    /// These windows, and those of `family` where there is none, one by one.
    #[must_use]
    pub fn or(self, family: Lifecycle) -> Lifecycle {
        Lifecycle {
            queue_window: self.queue_window.or(family.queue_window),
            run_window: self.run_window.or(family.run_window),
            abandon_after: self.abandon_after.or(family.abandon_after),
        }
    }

    /// Whether there is a deadline that a run could miss.
    pub fn has_window(self) -> bool {
        self.queue_window.is_some() || self.run_window.is_some()
    }
}

/// What people call a thing, in each language of the product.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Title {
    /// English.
    pub en: String,
    /// German.
    pub de: String,
}

/// All that is wrong with a catalog text, in the order of its lines. Prints one problem per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogErrors(Vec<CatalogError>);

impl CatalogErrors {
    /// The problems, at least one. Those of the whole file come first.
    pub fn errors(&self) -> &[CatalogError] {
        &self.0
    }
}

impl fmt::Display for CatalogErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CatalogErrors {}

/// One thing that is wrong with a catalog text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogError {
    /// The line, counted from 1; none if it is about the whole file.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for CatalogError {}

/// An operation as the file has it.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    title: Title,
    aliases: Vec<String>,
    scope: OperationScope,
    adapter: Option<String>,
    artifact: Option<String>,
    /// The place of its family in [`Catalog::families`].
    family: usize,
    /// With the family's windows already filled in.
    lifecycle: Lifecycle,
}
