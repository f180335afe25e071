//! What the answers of a probe mean: the part that both probes share.

use std::collections::BTreeMap;

use runledger_ledger::run::AdapterDecision;
use runledger_ledger::subject::SubjectState;
use runledger_ledger::words::WordError;
use serde::{Deserialize, Serialize};

use super::ProbeFault;
use crate::adapter::{Case, Decision, Kind, Manifest, Observation, Value};
use crate::conformance::{Set, case};
use crate::seam::is_word;
use crate::source::SourceClass;

/// What every probe says of itself. Names of columns or JSON pointers are `from`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Common {
    /// What the ledger knows it by.
    pub name: String,
    /// The version of what it decides.
    pub version: u32,
    /// The operation types that it handles.
    pub operations: Vec<String>,
    /// What to keep as evidence: its key, and its kind. An SQL probe takes the column of that name;
    /// an HTTP probe has the pointer in `pointers`.
    #[serde(default)]
    pub evidence: BTreeMap<String, Kind>,
    /// The thing that proves a decision.
    pub related: Option<RelatedFrom>,
    /// Where the value is that decides.
    pub value: String,
    /// What each value means.
    pub means: Vec<Meaning>,
}

/// Where the related thing is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelatedFrom {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where its id is.
    pub from: String,
}

/// What one value means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meaning {
    /// The value, as text.
    pub value: String,
    /// What it decides.
    pub decision: AdapterDecision,
    /// Why, in a word.
    pub reason: String,
    /// What it says of the run's subject.
    pub observe: Option<SubjectState>,
}

/// What a probe found of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeEvidence {
    /// The answers.
    pub found: Vec<Found>,
    /// How the source failed for this run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<SourceClass>,
}

/// One answer, with the scope that it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The workspace's name.
    pub workspace: String,
    /// The environment; empty for the workspace itself.
    pub environment: String,
    /// What decides.
    pub value: Option<String>,
    /// The id of the related thing.
    pub related: Option<String>,
    /// What is kept, by its key.
    pub kept: BTreeMap<String, String>,
}

impl Common {
    /// The manifest of the probe.
    pub fn manifest(&self, reads: &str) -> Manifest {
        let mut manifest = Manifest::new(&self.name, self.version).reads(reads);
        for operation in &self.operations {
            manifest = manifest.operation(operation);
        }
        for (key, kind) in &self.evidence {
            manifest = manifest.evidence(key, *kind);
        }
        match &self.related {
            Some(related) => manifest.related(&related.kind),
            None => manifest,
        }
    }

    /// What is wrong with it.
    pub(super) fn check(&self) -> Result<(), ProbeFault> {
        if self.operations.is_empty() {
            return Err(self.fault("it names no operation; give it at least one"));
        }
        let proves =
            |meaning: &Meaning| meaning.decision.outcome().is_some() || meaning.observe.is_some();
        if !self.means.iter().any(proves) {
            return Err(
                self.fault("no value of it proves or observes anything; say what one means")
            );
        }
        for (place, meaning) in self.means.iter().enumerate() {
            if !is_word(&meaning.reason) {
                return Err(self.fault("a reason must be a plain word (a to z, digits and _)"));
            }
            if self.means[..place].iter().any(|earlier| earlier.value == meaning.value) {
                return Err(self.fault(format!("the value {:?} has two meanings", meaning.value)));
            }
        }
        Ok(())
    }

    pub(super) fn fault(&self, why: impl Into<String>) -> ProbeFault {
        ProbeFault::Probe { probe: self.name.clone(), why: why.into() }
    }

    /// What the answers mean for a run. Pure.
    pub(super) fn decide(&self, case: &Case, evidence: &ProbeEvidence) -> Decision {
        if evidence.unanswered.is_some() {
            return Decision::new(AdapterDecision::NoChange, "source_did_not_answer");
        }
        let own = |found: &&Found| case.is_scope_of(&found.workspace, &found.environment);
        let own: Vec<&Found> = evidence.found.iter().filter(own).collect();
        let found = match own.as_slice() {
            [] => return Decision::open(case, "nothing_found"),
            [found] => *found,
            _ => return Decision::needs_attention("several_found"),
        };
        let meaning = self.means.iter().find(|one| Some(&one.value) == found.value.as_ref());
        let Some(meaning) = meaning else {
            return Decision::needs_attention("value_without_a_meaning");
        };
        let mut decision = Decision::new(meaning.decision, &meaning.reason);
        for (key, kind) in &self.evidence {
            if let Some(text) = found.kept.get(key) {
                decision = decision.evidence(key, read(*kind, text));
            }
        }
        if let (Some(from), Some(id)) = (&self.related, &found.related) {
            decision = decision.related(&from.kind, id);
        }
        match meaning.observe.filter(|_| case.run.subject.is_some()) {
            Some(state) => {
                let evidence = decision.evidence.clone();
                decision.observation(Observation { evidence, state, verified_at: case.at })
            }
            None => decision,
        }
    }

    /// Examples for the conformance kit, made from what the values mean.
    pub(super) fn specimens(&self) -> Result<Set<ProbeEvidence>, WordError> {
        let case = case(self.operations.first().map_or("", String::as_str))?;
        let found = |meaning: &Meaning| Found {
            workspace: case.workspace_name.to_string(),
            environment: case.environment().to_owned(),
            value: Some(meaning.value.clone()),
            related: self.related.as_ref().map(|_| "1".to_owned()),
            kept: self.evidence.iter().map(|(key, kind)| (key.clone(), sample(*kind))).collect(),
        };
        let of = |found: Vec<Found>| ProbeEvidence { found, unanswered: None };
        let nothing = of(Vec::new());
        let silent = ProbeEvidence { found: Vec::new(), unanswered: Some(SourceClass::Timeout) };
        let mut set = Set::new().missing("nothing found", &case, nothing).missing(
            "the source did not answer for this run",
            &case,
            silent,
        );
        for meaning in &self.means {
            let one = found(meaning);
            if meaning.decision.outcome().is_none() && meaning.observe.is_none() {
                continue;
            }
            let elsewhere = Found { environment: "elsewhere".to_owned(), ..one.clone() };
            let unnamed = Found { value: Some("?".to_owned()), ..one.clone() };
            set = set
                .proof("a value with a meaning", &case, of(vec![one.clone()]))
                .missing("no value", &case, of(vec![Found { value: None, ..one.clone() }]))
                .contradictory("two answers", &case, of(vec![one.clone(), one]))
                .foreign("another environment", &case, of(vec![elsewhere]))
                .malformed("no known value", &case, serde_json::json!(of(vec![unnamed])));
        }
        Ok(set)
    }
}

/// A value of its kind, where the text is one. The seam refuses what is not.
fn read(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Count => text.parse().map_or_else(|_| Value::from(text), Value::Number),
        Kind::Flag => text.parse().map_or_else(|_| Value::from(text), Value::Flag),
        _ => Value::from(text),
    }
}

fn sample(kind: Kind) -> String {
    let text = match kind {
        Kind::Id | Kind::Count => "1",
        Kind::State => "ready",
        Kind::Hash => "9c1185a5c5e9fc54",
        Kind::Time => "2026-01-01T00:00:00Z",
        Kind::Duration => "15m",
        Kind::Flag => "true",
    };
    text.to_owned()
}
