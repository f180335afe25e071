//! The examples that an adapter brings.

use runledger_ledger::words::WordError;
use serde::Serialize;
use serde_json::Value;

use crate::adapter::Case;

/// One example: a run, and what was gathered of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Specimen<E> {
    /// What it is an example of, for whoever reads a failure.
    pub says: &'static str,
    /// The run.
    pub case: Case,
    /// What was gathered.
    pub evidence: E,
}

/// The examples of one adapter, by what they must lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct Set<E> {
    pub(crate) proofs: Vec<Specimen<E>>,
    pub(crate) missing: Vec<Specimen<E>>,
    pub(crate) contradictory: Vec<Specimen<E>>,
    pub(crate) foreign: Vec<Specimen<E>>,
    pub(crate) malformed: Vec<Specimen<Value>>,
    pub(crate) sights: Vec<Specimen<E>>,
}

impl<E> Default for Set<E> {
    fn default() -> Self {
        Set {
            proofs: Vec::new(),
            missing: Vec::new(),
            contradictory: Vec::new(),
            foreign: Vec::new(),
            malformed: Vec::new(),
            sights: Vec::new(),
        }
    }
}

impl<E> Set<E> {
    /// No examples.
    pub fn new() -> Self {
        Set::default()
    }

    /// Evidence that says how the run ended.
    #[must_use]
    pub fn proof(mut self, says: &'static str, case: &Case, evidence: E) -> Self {
        self.proofs.push(Specimen { says, case: case.clone(), evidence });
        self
    }

    /// Evidence that is not there, or not of this run, or of work that is not done.
    #[must_use]
    pub fn missing(mut self, says: &'static str, case: &Case, evidence: E) -> Self {
        self.missing.push(Specimen { says, case: case.clone(), evidence });
        self
    }

    /// Evidence of which one half says otherwise than the other.
    #[must_use]
    pub fn contradictory(mut self, says: &'static str, case: &Case, evidence: E) -> Self {
        self.contradictory.push(Specimen { says, case: case.clone(), evidence });
        self
    }

    /// Evidence of another workspace or environment, which would be proof in the run's own.
    #[must_use]
    pub fn foreign(mut self, says: &'static str, case: &Case, evidence: E) -> Self {
        self.foreign.push(Specimen { says, case: case.clone(), evidence });
        self
    }

    /// Evidence of the case's subject as it is gathered on a schedule, that says what became of it.
    #[must_use]
    pub fn sight(mut self, says: &'static str, case: &Case, evidence: E) -> Self {
        self.sights.push(Specimen { says, case: case.clone(), evidence });
        self
    }

    /// Evidence as no sound source gives it, in its serialised form.
    #[must_use]
    pub fn malformed(mut self, says: &'static str, case: &Case, evidence: Value) -> Self {
        self.malformed.push(Specimen { says, case: case.clone(), evidence });
        self
    }
}

/// The examples of an adapter whose evidence is JSON by now.
pub(crate) struct ErasedSpecimens(pub(crate) Result<Set<Value>, String>);

impl ErasedSpecimens {
    pub(crate) fn of<E: Serialize>(set: Result<Set<E>, WordError>) -> Self {
        ErasedSpecimens(set.map_err(|error| error.to_string()).and_then(erased))
    }
}

fn erased<E: Serialize>(set: Set<E>) -> Result<Set<Value>, String> {
    Ok(Set {
        proofs: all(set.proofs)?,
        missing: all(set.missing)?,
        contradictory: all(set.contradictory)?,
        foreign: all(set.foreign)?,
        malformed: set.malformed,
        sights: all(set.sights)?,
    })
}

fn all<E: Serialize>(specimens: Vec<Specimen<E>>) -> Result<Vec<Specimen<Value>>, String> {
    let one = |specimen: Specimen<E>| {
        let Specimen { says, case, evidence } = specimen;
        let evidence = serde_json::to_value(evidence)
            .map_err(|_| format!("the evidence of \"{says}\" has no serialised form"))?;
        Ok(Specimen { says, case, evidence })
    };
    specimens.into_iter().map(one).collect()
}
