//! The reconciliation seam: the one place where a decision becomes a command on a run.
//!
//! Events are for ever, so what an adapter says is checked here, before anything of it is
//! recorded: only what its manifest allows, each value of its kind, and no value that looks like a
//! token, a signed URL, credentials, an SQL error or a payload. A decision that breaks one rule is
//! refused whole. What is said of a refusal names the place and the reason, never the value.

mod kinds;
mod suspicion;

use std::collections::BTreeMap;

use runledger_ledger::run::{Fields, Reconcile, Related, Run, Scalar};
use runledger_ledger::subject::{Observe, SubjectKey};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, Note};

use crate::adapter::{Case, Decision, Manifest, Observation, Value};
pub use kinds::{MOST_EVIDENCE, is_word};
pub use suspicion::{Suspicion, suspicion};

/// Why a decision is not recorded. Nothing in it is a value of the adapter's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeamError {
    /// The evidence has a key that the manifest does not name.
    #[error("evidence has {key}, which the adapter's manifest does not allow")]
    NotAllowed {
        /// The key, or that it is none.
        key: String,
    },
    /// A value is not of the kind that the manifest gives its key.
    #[error("{place} is no {kind}")]
    NotOfItsKind {
        /// Which value.
        place: String,
        /// What it should be.
        kind: &'static str,
    },
    /// A value must not be kept for ever.
    #[error("{place} must not be recorded: it looks like {suspicion}")]
    Suspicious {
        /// Which value.
        place: String,
        /// What it looks like.
        suspicion: Suspicion,
    },
    /// There is too much of it.
    #[error("evidence has {0} entries; at most {MOST_EVIDENCE} are kept")]
    TooMuch(usize),
    /// It is related to a thing of a type that the manifest does not name.
    #[error("the type of the related thing is none that the adapter's manifest allows")]
    RelatedNotAllowed,
    /// It observes the subject of a run that has none.
    #[error("it observes a subject, and the run has none")]
    NoSubject,
    /// The case is not a run that the ledger knows.
    #[error("the run is not known")]
    UnknownRun,
}

/// Every code of a refusal.
const CODES: [&str; 7] = [
    "evidence_not_allowed",
    "evidence_not_of_its_kind",
    "evidence_suspicious",
    "evidence_too_much",
    "related_not_allowed",
    "no_subject",
    "unknown_run",
];

impl SeamError {
    /// Whether an error of this class is a decision that was refused. Otherwise the source gave no
    /// answer.
    pub fn is_code(class: &str) -> bool {
        CODES.contains(&class)
    }

    /// The stable code of the refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            SeamError::NotAllowed { .. } => "evidence_not_allowed",
            SeamError::NotOfItsKind { .. } => "evidence_not_of_its_kind",
            SeamError::Suspicious { .. } => "evidence_suspicious",
            SeamError::TooMuch(_) => "evidence_too_much",
            SeamError::RelatedNotAllowed => "related_not_allowed",
            SeamError::NoSubject => "no_subject",
            SeamError::UnknownRun => "unknown_run",
        }
    }
}

/// What a decision comes to, once checked: the commands for the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Commands {
    /// An observation of the run's subject, in the run's scope.
    pub observe: Option<(SubjectKey, Observe)>,
    /// The decision on the run, which holds only for the run as it was judged.
    pub reconcile: Reconcile,
}

/// Checks `decision`, which the adapter of `manifest` made on `case`, and puts it into commands.
///
/// # Errors
/// The decision breaks a rule. It is then no decision at all.
pub fn commands(
    manifest: &Manifest,
    case: &Case,
    decision: &Decision,
) -> Result<Commands, SeamError> {
    if !case.run.exists() {
        return Err(SeamError::UnknownRun);
    }
    let observe = match &decision.observation {
        Some(observation) => Some(observe(manifest, subject(case)?, observation)?),
        None => None,
    };
    Ok(Commands { observe, reconcile: reconcile(manifest, &case.run, case.at, decision)? })
}

/// The same of a decision on `run` at `at`, without what was seen of its subject.
pub(crate) fn reconcile(
    manifest: &Manifest,
    run: &Run,
    at: Moment,
    decision: &Decision,
) -> Result<Reconcile, SeamError> {
    Ok(Reconcile {
        adapter: name(manifest)?,
        adapter_version: manifest.version,
        decision: decision.decision,
        evaluated_at: at,
        evidence: evidence(manifest, &decision.evidence)?,
        expected_events: Some(run.events),
        reason_code: reason(&decision.reason_code)?,
        related: decision.related.as_ref().map(|found| related(manifest, found)).transpose()?,
    })
}

fn name(manifest: &Manifest) -> Result<Name, SeamError> {
    Name::new(&manifest.name).map_err(|_| not("the adapter's name", "name"))
}

/// Checks what the adapter of `manifest` saw of a subject, with a run or without one.
///
/// # Errors
/// The observation breaks a rule. It is then none at all.
pub fn observe(
    manifest: &Manifest,
    key: SubjectKey,
    observation: &Observation,
) -> Result<(SubjectKey, Observe), SeamError> {
    let observe = Observe {
        evidence: evidence(manifest, &observation.evidence)?,
        state: observation.state,
        verified_at: Some(observation.verified_at),
        verifier: Some(name(manifest)?),
    };
    Ok((key, observe))
}

fn subject(case: &Case) -> Result<SubjectKey, SeamError> {
    let subject = case.run.subject.clone().ok_or(SeamError::NoSubject)?;
    Ok(SubjectKey { environment: case.run.environment.clone(), subject })
}

fn evidence(manifest: &Manifest, found: &BTreeMap<String, Value>) -> Result<Fields, SeamError> {
    if found.len() > MOST_EVIDENCE {
        return Err(SeamError::TooMuch(found.len()));
    }
    found.iter().map(|(key, value)| entry(manifest, key, value)).collect()
}

fn entry(manifest: &Manifest, key: &str, value: &Value) -> Result<(Name, Scalar), SeamError> {
    let Some(kind) = manifest.evidence.get(key) else {
        // Keys may come from outside as well: one that is no plain word is not repeated.
        let plain = is_word(key) && suspicion(key).is_none();
        let key = if plain { format!("`{key}`") } else { "a key".to_owned() };
        return Err(SeamError::NotAllowed { key });
    };
    let place = || format!("evidence `{key}`");
    let scalar = match value {
        Value::Text(text) => Scalar::Text(text_of(*kind, text, place)?),
        Value::Number(number) if kinds::is_number_of(*kind, *number) => Scalar::Number(*number),
        Value::Flag(flag) if kinds::is_flag(*kind) => Scalar::Flag(*flag),
        Value::Number(_) | Value::Flag(_) | Value::Other => {
            return Err(not(place(), kinds::wanted(*kind)));
        }
    };
    let name = Name::new(key).map_err(|_| not(place(), kinds::wanted(*kind)))?;
    Ok((name, scalar))
}

fn text_of(
    kind: crate::adapter::Kind,
    text: &str,
    place: impl Fn() -> String,
) -> Result<Note, SeamError> {
    unsuspicious(text, &place)?;
    let fits = kinds::is_text_of(kind, text);
    let note = if fits { Note::new(text).ok() } else { None };
    note.ok_or_else(|| not(place(), kinds::wanted(kind)))
}

fn reason(text: &str) -> Result<Name, SeamError> {
    let place = || "the reason code".to_owned();
    unsuspicious(text, place)?;
    let name = if is_word(text) { Name::new(text).ok() } else { None };
    name.ok_or_else(|| not(place(), "plain word (a to z, digits and _)"))
}

fn related(manifest: &Manifest, found: &crate::adapter::Related) -> Result<Related, SeamError> {
    if !manifest.related.contains(&found.kind) {
        return Err(SeamError::RelatedNotAllowed);
    }
    let kind = Name::new(&found.kind).map_err(|_| SeamError::RelatedNotAllowed)?;
    let id = text_of(crate::adapter::Kind::Id, &found.id, || "the related id".to_owned())?;
    let id = Name::new(id.as_str()).map_err(|_| not("the related id", "id"))?;
    Ok(Related { id, kind })
}

fn unsuspicious(text: &str, place: impl Fn() -> String) -> Result<(), SeamError> {
    match suspicion(text) {
        Some(suspicion) => Err(SeamError::Suspicious { place: place(), suspicion }),
        None => Ok(()),
    }
}

fn not(place: impl Into<String>, kind: &'static str) -> SeamError {
    SeamError::NotOfItsKind { place: place.into(), kind }
}

#[cfg(test)]
mod tests;
