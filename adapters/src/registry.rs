//! Which adapter judges which run: a plain list, checked once at the start.

mod erased;
mod judge;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runledger_ledger::catalog::Catalog;
use runledger_ledger::run::{Run, RunEvent};

use crate::adapter::{Adapter, Manifest, Observes, Operations, Wake, wake_on_problems};
use crate::conformance::{ErasedSpecimens, Specimens};
use crate::seam::{is_word, suspicion};
pub(crate) use erased::Fault;
use erased::{Erased, Faulty};
pub use judge::{Asked, Judged, Ruling, Seen, Unjudged};

/// How long an adapter may take for one page of cases, unless the registry is told otherwise.
pub const TIME_LIMIT: Duration = Duration::from_secs(15);

/// The adapters of this server. Clones share them.
#[derive(Clone, Debug)]
pub struct Registry {
    adapters: Arc<[Registered]>,
    time_limit: Duration,
}

impl Registry {
    /// An empty list to put adapters on.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder { adapters: Vec::new(), time_limit: TIME_LIMIT }
    }

    /// Every adapter, in the order of registration.
    pub fn adapters(&self) -> &[Registered] {
        &self.adapters
    }

    /// The adapter called `name`.
    pub fn adapter(&self, name: &str) -> Option<&Registered> {
        self.adapters.iter().find(|adapter| adapter.manifest.name == name)
    }

    /// The adapter that runs of this canonical operation type belong to.
    pub fn owner(&self, operation: &str) -> Option<&Registered> {
        self.adapters.iter().find(|adapter| {
            matches!(&adapter.manifest.operations, Operations::Named(names) if names.contains(operation))
        })
    }

    /// Whether an adapter should look at `run`, which `event` has just been added to: its owner, or
    /// one that is asked of every operation type.
    pub fn handle(&self, event: &RunEvent, run: &Run) -> Wake {
        let operation = run.operation.as_ref().map_or("", |name| name.as_str());
        let wakes = self
            .owner(operation)
            .into_iter()
            .chain(self.of_every_operation())
            .any(|adapter| adapter.handle(event, run) == Wake::Wake);
        if wakes { Wake::Wake } else { Wake::Ignore }
    }

    /// What handles what under `catalog`: a row for each operation type that an adapter handles or
    /// that the catalog names one for.
    pub fn rows(&self, catalog: &Catalog) -> Vec<Row> {
        let mut rows = BTreeMap::new();
        for operation in catalog.operations().filter(|operation| operation.adapter.is_some()) {
            rows.insert(operation.name.to_owned(), Row::of(operation.name, None, true));
        }
        for adapter in self.adapters.iter() {
            if let Operations::Named(names) = &adapter.manifest.operations {
                for name in names {
                    let known = catalog.operation(name).classified;
                    rows.insert(name.clone(), Row::of(name, Some(adapter), known));
                }
            }
        }
        let mut rows: Vec<Row> = rows.into_values().collect();
        rows.extend(self.of_every_operation().map(|adapter| Row::of("*", Some(adapter), true)));
        rows
    }

    /// Checks a catalog against this list: every adapter that it names must be here, and must
    /// handle the operation types that it is named for.
    ///
    /// # Errors
    /// All that is missing, and what to do about each.
    pub fn check(&self, catalog: &Catalog) -> Result<(), RegistryErrors> {
        let errors: Vec<RegistryError> = catalog
            .operations()
            .filter_map(|operation| {
                let wanted = operation.adapter?;
                let owner = self.owner(operation.name).map(|owner| owner.manifest.name.as_str());
                let of_every = self.of_every_operation().any(|one| one.manifest.name == wanted);
                (owner != Some(wanted) && !of_every).then(|| RegistryError::NotHandled {
                    operation: operation.name.to_owned(),
                    adapter: wanted.to_owned(),
                    owner: owner.map(str::to_owned),
                })
            })
            .chain(self.aliases(catalog))
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(RegistryErrors(errors)) }
    }

    fn aliases(&self, catalog: &Catalog) -> Vec<RegistryError> {
        let mut errors = Vec::new();
        for adapter in self.adapters.iter() {
            let Operations::Named(names) = &adapter.manifest.operations else { continue };
            for name in names {
                let canonical = catalog.canonical(name);
                if canonical != name {
                    errors.push(RegistryError::Alias {
                        adapter: adapter.manifest.name.clone(),
                        alias: name.clone(),
                        canonical: canonical.to_owned(),
                    });
                }
            }
        }
        errors
    }

    /// The adapters that look at subjects by themselves, and at which.
    pub fn observers(&self) -> impl Iterator<Item = (&Registered, &Observes)> {
        self.adapters
            .iter()
            .filter_map(|adapter| Some((adapter, adapter.manifest.observes.as_ref()?)))
    }

    /// How long an adapter may take for one page.
    pub const fn time_limit(&self) -> Duration {
        self.time_limit
    }

    fn of_every_operation(&self) -> impl Iterator<Item = &Registered> {
        let of_every = |adapter: &&Registered| adapter.manifest.operations == Operations::Every;
        self.adapters.iter().filter(of_every)
    }
}

/// One adapter of the list.
#[derive(Clone)]
pub struct Registered {
    /// What it says of itself.
    pub manifest: Manifest,
    judge: Judge,
}

/// Who judges for an adapter.
#[derive(Clone)]
enum Judge {
    /// Code of this process.
    Working(Arc<dyn Erased>),
    /// A program of its own, which comes for its runs.
    Remote,
    /// Nobody: why, and what to do about it.
    Idle(String),
}

impl Registered {
    /// Why it judges nothing, and what to do about it; none if it works.
    pub fn idle(&self) -> Option<&str> {
        match &self.judge {
            Judge::Idle(why) => Some(why),
            Judge::Working(_) | Judge::Remote => None,
        }
    }

    /// Whether it is a program of its own: nobody asks it, and it claims its runs.
    pub fn is_remote(&self) -> bool {
        matches!(self.judge, Judge::Remote)
    }

    /// Whether it should look at `run`. One that panics ignores: the run is looked at when it is
    /// due.
    pub fn handle(&self, event: &RunEvent, run: &Run) -> Wake {
        match &self.judge {
            Judge::Working(working) => erased::handle(&**working, event, run),
            Judge::Remote => wake_on_problems(event, run),
            Judge::Idle(_) => Wake::Ignore,
        }
    }

    /// The same adapter with a fault in its source.
    pub(crate) fn with_fault(&self, fault: Fault) -> Registered {
        let judge = match &self.judge {
            Judge::Working(adapter) => {
                Judge::Working(Arc::new(Faulty { adapter: Arc::clone(adapter), fault }))
            }
            other => other.clone(),
        };
        Registered { manifest: self.manifest.clone(), judge }
    }

    /// What it is tested with; none for one whose code is not here.
    pub(crate) fn specimens(&self) -> Option<ErasedSpecimens> {
        match &self.judge {
            Judge::Working(working) => Some(working.specimens()),
            Judge::Remote | Judge::Idle(_) => None,
        }
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered")
            .field("manifest", &self.manifest)
            .field("remote", &self.is_remote())
            .field("idle", &self.idle())
            .finish_non_exhaustive()
    }
}

/// One line of what handles what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The operation type; `*` for every one.
    pub operation: String,
    /// Its adapter and that adapter's version; none if there is none.
    pub adapter: Option<(String, u32)>,
    /// What the adapter reads.
    pub reads: Option<String>,
    /// Why the adapter judges nothing; none if it works.
    pub idle: Option<String>,
    /// Whether the adapter is a program of its own, which claims its runs.
    pub remote: bool,
    /// Whether the catalog names the operation type.
    pub in_catalog: bool,
}

impl Row {
    fn of(operation: &str, adapter: Option<&Registered>, in_catalog: bool) -> Row {
        let manifest = adapter.map(|adapter| &adapter.manifest);
        Row {
            operation: operation.to_owned(),
            adapter: manifest.map(|manifest| (manifest.name.clone(), manifest.version)),
            reads: manifest.and_then(|manifest| manifest.reads.clone()),
            idle: adapter.and_then(Registered::idle).map(str::to_owned),
            remote: adapter.is_some_and(Registered::is_remote),
            in_catalog,
        }
    }
}

/// A list of adapters that is not checked yet.
#[derive(Debug)]
pub struct RegistryBuilder {
    adapters: Vec<Registered>,
    time_limit: Duration,
}

impl RegistryBuilder {
    /// Adds an adapter. It brings what the conformance kit tests it with.
    #[must_use]
    pub fn with<A: Adapter + Specimens + 'static>(mut self, adapter: A) -> Self {
        let manifest = adapter.manifest().clone();
        self.adapters.push(Registered { manifest, judge: Judge::Working(Arc::new(adapter)) });
        self
    }

    /// Adds an adapter that cannot work: it has its operation types, and judges nothing. `why` says
    /// what to do about it.
    #[must_use]
    pub fn idle(mut self, manifest: Manifest, why: impl Into<String>) -> Self {
        self.adapters.push(Registered { manifest, judge: Judge::Idle(why.into()) });
        self
    }

    /// Adds an adapter that is a program of its own.
    #[must_use]
    pub fn remote(mut self, manifest: Manifest) -> Self {
        self.adapters.push(Registered { manifest, judge: Judge::Remote });
        self
    }

    /// How long an adapter may take for one page of cases.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Checks the list, alone and against the catalog.
    ///
    /// # Errors
    /// All that is wrong with it at once.
    pub fn build(self, catalog: &Catalog) -> Result<Registry, RegistryErrors> {
        let mut errors = Vec::new();
        for (place, adapter) in self.adapters.iter().enumerate() {
            errors.extend(unsound(&adapter.manifest));
            for earlier in &self.adapters[..place] {
                errors.extend(clash(&earlier.manifest, &adapter.manifest));
            }
        }
        let registry = Registry { adapters: self.adapters.into(), time_limit: self.time_limit };
        match registry.check(catalog) {
            Err(more) => errors.extend(more.0),
            Ok(()) if errors.is_empty() => return Ok(registry),
            Ok(()) => {}
        }
        Err(RegistryErrors(errors))
    }
}

/// What is wrong with a manifest of its own.
fn unsound(manifest: &Manifest) -> Vec<RegistryError> {
    let refuse = |why| RegistryError::Manifest { adapter: manifest.name.clone(), why };
    let mut errors = Vec::new();
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if manifest.name.is_empty() || manifest.name.len() > 100 || !manifest.name.bytes().all(plain) {
        errors.push(refuse("its name must be 1 to 100 of a to z, 0 to 9, `.`, `_` and `-`".into()));
    }
    let idle = manifest.operations == Operations::Named(Default::default());
    if idle && manifest.observes.is_none() {
        errors.push(refuse("it handles nothing; name its operation types in the manifest".into()));
    }
    let shortest = Observes::SHORTEST;
    let hasty = |observes: &Observes| observes.every < shortest || observes.refresh < shortest;
    if manifest.observes.as_ref().is_some_and(hasty) {
        let why = format!("it looks at subjects more often than every {shortest}");
        errors.push(refuse(why));
    }
    let subjects = manifest.observes.iter().flat_map(|observes| &observes.subjects);
    let words = manifest.evidence.keys().chain(&manifest.related).chain(subjects);
    for word in words.filter(|word| !is_word(word) || suspicion(word).is_some()) {
        errors.push(refuse(format!("`{word}` must be a plain word (a to z, digits and _)")));
    }
    errors
}

fn clash(earlier: &Manifest, later: &Manifest) -> Vec<RegistryError> {
    let mut errors = Vec::new();
    if earlier.name == later.name {
        errors.push(RegistryError::DuplicateName(later.name.clone()));
    }
    if let (Operations::Named(first), Operations::Named(second)) =
        (&earlier.operations, &later.operations)
    {
        errors.extend(first.intersection(second).map(|operation| RegistryError::TwoOwners {
            operation: operation.clone(),
            first: earlier.name.clone(),
            second: later.name.clone(),
        }));
    }
    if let (Some(first), Some(second)) = (&earlier.observes, &later.observes) {
        let both = first.subjects.intersection(&second.subjects);
        errors.extend(both.map(|subject| RegistryError::TwoObservers {
            subject: subject.clone(),
            first: earlier.name.clone(),
            second: later.name.clone(),
        }));
    }
    errors
}

/// One thing that is wrong with a list of adapters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Two adapters have one name.
    #[error("two adapters are called {0}; remove one, or give it another name")]
    DuplicateName(String),
    /// Two adapters handle one operation type.
    #[error(
        "both {first} and {second} handle {operation}; a run has one owner, so take the operation \
         out of one of them"
    )]
    TwoOwners {
        /// The operation type.
        operation: String,
        /// Who was first.
        first: String,
        /// Who came after.
        second: String,
    },
    /// Two adapters look at subjects of one type.
    #[error(
        "both {first} and {second} look at subjects of the type {subject}; take it out of one of \
         them, or they would contradict each other"
    )]
    TwoObservers {
        /// The type.
        subject: String,
        /// Who was first.
        first: String,
        /// Who came after.
        second: String,
    },
    /// The catalog names an adapter that does not handle the operation type.
    #[error(
        "the catalog names the adapter {adapter} for {operation}, and {}; register {adapter} for \
         it, or change `adapter` of the operation in the catalog",
        .owner.as_ref().map_or("no adapter handles it".to_owned(), |owner| format!("{owner} handles it"))
    )]
    NotHandled {
        /// The operation type.
        operation: String,
        /// The adapter that the catalog names.
        adapter: String,
        /// The adapter that handles it.
        owner: Option<String>,
    },
    /// An adapter names an alias.
    #[error(
        "{adapter} handles {alias}, which is an alias of {canonical}; name {canonical} instead"
    )]
    Alias {
        /// The adapter.
        adapter: String,
        /// What it names.
        alias: String,
        /// What is stored.
        canonical: String,
    },
    /// A manifest is not sound.
    #[error("the manifest of adapter {adapter} is not sound: {why}")]
    Manifest {
        /// The adapter.
        adapter: String,
        /// What is wrong, and what to do.
        why: String,
    },
}

/// All that is wrong with a list of adapters. Prints one problem per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryErrors(Vec<RegistryError>);

impl RegistryErrors {
    /// The problems, at least one.
    pub fn errors(&self) -> &[RegistryError] {
        &self.0
    }
}

impl fmt::Display for RegistryErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for RegistryErrors {}
