//! What an adapter says of itself: its name, what it handles, and what its decisions may hold.

use std::collections::{BTreeMap, BTreeSet};

use runledger_ledger::time::Span;
use runledger_ledger::words::words;

/// How long after a look that proved nothing a run is looked at again, unless an adapter says
/// otherwise.
pub const REVISIT: Span = Span::from_secs(300);

words! {
    /// What a value of evidence is. There is no kind for free text, so no decision can carry any.
    Kind {
        /// An identifier: 1 to 200 of letters, digits and `._:/@#+-`.
        Id = "id",
        /// A word of the domain for where a thing stands: 1 to 64 of letters, digits, `_` and `-`.
        State = "state",
        /// A whole number, not negative, within 2^53.
        Count = "count",
        /// A hash in hexadecimal, 16 to 128 digits, with its algorithm before a `:` or without.
        Hash = "hash",
        /// An RFC 3339 time.
        Time = "time",
        /// A length of time, such as `30m`.
        Duration = "duration",
        /// Yes or no.
        Flag = "flag",
    }
}

/// Which operation types an adapter handles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operations {
    /// These. Each belongs to one adapter only.
    Named(BTreeSet<String>),
    /// Every one, after the adapter that it belongs to.
    Every,
}

/// Which subjects an adapter looks at by itself, without a run, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observes {
    /// How long after one look at a subject it is looked at again.
    pub every: Span,
    /// How long a recorded observation stands; what is seen after that is recorded although it is
    /// the same.
    pub refresh: Span,
    /// The types of the subjects. Each belongs to one adapter only.
    pub subjects: BTreeSet<String>,
}

impl Observes {
    /// How often subjects are looked at, unless an adapter says otherwise.
    pub const EVERY: Span = Span::from_secs(300);
    /// How long an observation stands, unless an adapter says otherwise.
    pub const REFRESH: Span = Span::from_secs(86_400);
    /// The least time between two looks at one subject.
    pub const SHORTEST: Span = Span::from_secs(10);
}

/// What an adapter says of itself. Checked when it is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The keys that its evidence may have, and the kind of each.
    pub evidence: BTreeMap<String, Kind>,
    /// What the ledger knows it by.
    pub name: String,
    /// Which subjects it looks at by itself; none if it only judges runs.
    pub observes: Option<Observes>,
    /// What it handles.
    pub operations: Operations,
    /// What it reads, for people; none if it asks nobody.
    pub reads: Option<String>,
    /// The types of things that a decision may be related to.
    pub related: BTreeSet<String>,
    /// How long after a look that proved nothing its runs are looked at again.
    pub revisit: Span,
    /// The version of what it decides. A change that could decide otherwise is a new one.
    pub version: u32,
}

impl Manifest {
    /// An adapter that handles nothing yet, and whose decisions may hold nothing.
    pub fn new(name: impl Into<String>, version: u32) -> Self {
        Manifest {
            evidence: BTreeMap::new(),
            name: name.into(),
            observes: None,
            operations: Operations::Named(BTreeSet::new()),
            reads: None,
            related: BTreeSet::new(),
            revisit: REVISIT,
            version,
        }
    }

    /// It handles this operation type, by its canonical name.
    #[must_use]
    pub fn operation(mut self, operation: impl Into<String>) -> Self {
        if let Operations::Named(names) = &mut self.operations {
            names.insert(operation.into());
        }
        self
    }

    /// It looks at subjects of this type by itself, so often.
    #[must_use]
    pub fn observes(mut self, subject: impl Into<String>, every: Span, refresh: Span) -> Self {
        let mut subjects = self.observes.take().map(|known| known.subjects).unwrap_or_default();
        subjects.insert(subject.into());
        self.observes = Some(Observes { every, refresh, subjects });
        self
    }

    /// It is asked of runs of every operation type, after the adapter that the type belongs to.
    #[must_use]
    pub fn every_operation(mut self) -> Self {
        self.operations = Operations::Every;
        self
    }

    /// Its evidence may have this key, with a value of this kind.
    #[must_use]
    pub fn evidence(mut self, key: impl Into<String>, kind: Kind) -> Self {
        self.evidence.insert(key.into(), kind);
        self
    }

    /// Its decisions may be related to a thing of this type.
    #[must_use]
    pub fn related(mut self, kind: impl Into<String>) -> Self {
        self.related.insert(kind.into());
        self
    }

    /// What it reads, for people.
    #[must_use]
    pub fn reads(mut self, source: impl Into<String>) -> Self {
        self.reads = Some(source.into());
        self
    }

    /// How long after a look that proved nothing its runs are looked at again.
    #[must_use]
    pub fn revisit(mut self, after: Span) -> Self {
        self.revisit = after;
        self
    }
}
