//! What the answers of a probe mean: the part that both probes share.

use std::collections::BTreeMap;

use runledger_ledger::run::AdapterDecision;
use runledger_ledger::subject::SubjectState;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::WordError;
use serde::{Deserialize, Serialize};

use super::ProbeFault;
use crate::adapter::{Case, Decision, Kind, Manifest, Observation, Observes, Value, Watched};
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
    /// The operation types that it handles; none if it only looks at subjects.
    #[serde(default)]
    pub operations: Vec<String>,
    /// The subjects that it looks at by itself, without a run.
    pub observes: Option<ObservesConfig>,
    /// What to keep as evidence: its key, and its kind. An SQL probe takes the column of that name;
    /// an HTTP probe has the pointer in `pointers`.
    #[serde(default)]
    pub evidence: BTreeMap<String, Kind>,
    /// The thing that proves a decision.
    pub related: Option<RelatedFrom>,
    /// Where the value is that decides.
    pub value: String,
    /// Where it says since when or as of when its value is so, as an RFC 3339 time. Left out, it is so
    /// when it is asked. An observation without it, where it should be, is none.
    pub verified_at: Option<String>,
    /// What each value means.
    pub means: Vec<Meaning>,
}

/// Which subjects a probe looks at by itself, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObservesConfig {
    /// The type of the subjects.
    pub subject: String,
    /// How long after one look at a subject it is looked at again; 5 minutes if left out.
    pub every: Option<Span>,
    /// How long a recorded observation stands; a day if left out.
    pub refresh: Option<Span>,
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
    /// What it decides of a run; left out, nothing.
    #[serde(default = "nothing")]
    pub decision: AdapterDecision,
    /// Why, in a word.
    #[serde(default = "observed")]
    pub reason: String,
    /// What it says of the subject.
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
    /// When the source says that it was so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<String>,
    /// What is kept, by its key.
    pub kept: BTreeMap<String, String>,
}

const fn nothing() -> AdapterDecision {
    AdapterDecision::NoChange
}

fn observed() -> String {
    "observed".to_owned()
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
        if let Some(ObservesConfig { subject, every, refresh }) = &self.observes {
            let (every, refresh) =
                (every.unwrap_or(Observes::EVERY), refresh.unwrap_or(Observes::REFRESH));
            manifest = manifest.observes(subject, every, refresh);
        }
        match &self.related {
            Some(related) => manifest.related(&related.kind),
            None => manifest,
        }
    }

    /// What is wrong with it.
    pub(super) fn check(&self) -> Result<(), ProbeFault> {
        if self.operations.is_empty() && self.observes.is_none() {
            let why = "it names no operation; give it at least one, or subjects that it observes";
            return Err(self.fault(why));
        }
        if self.observes.is_some() && self.means.iter().all(|one| one.observe.is_none()) {
            let why = "no value of it says anything of a subject; give one `observe`";
            return Err(self.fault(why));
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

    /// What is wrong with what it asks by, where `asks_by` says what is in its query or address: one
    /// that looks at subjects by themselves has no run to ask by.
    pub(super) fn check_asked(&self, asks_by: impl Fn(&str) -> bool) -> Result<(), ProbeFault> {
        if self.observes.is_none() {
            return Ok(());
        }
        if !asks_by("subject_id") {
            return Err(self.fault("it observes subjects, so it must ask by subject_id"));
        }
        match ["run_id", "fingerprint", "external_id"].into_iter().find(|place| asks_by(place)) {
            None => Ok(()),
            Some(place) => Err(self.fault(format!(
                "it observes subjects without a run, so it cannot ask by {place}; make it two probes"
            ))),
        }
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
        let kept = self.kept(found);
        let mut decision = Decision::new(meaning.decision, &meaning.reason);
        if let (Some(from), Some(id)) = (&self.related, &found.related) {
            decision = decision.related(&from.kind, id);
        }
        let state = meaning.observe.filter(|_| case.run.subject.is_some());
        let seen = state.and_then(|state| self.seen(found, state, case.at));
        let decision =
            kept.into_iter().fold(decision, |decision, (key, value)| decision.evidence(key, value));
        match seen {
            Some(seen) => decision.observation(seen),
            None => decision,
        }
    }

    /// What the answers say of a subject that was looked at by itself. Pure.
    pub(super) fn observe(
        &self,
        watched: &Watched,
        evidence: &ProbeEvidence,
    ) -> Option<Observation> {
        let own = |found: &&Found| watched.is_scope_of(&found.workspace, &found.environment);
        let own: Vec<&Found> = evidence.found.iter().filter(own).collect();
        let [found] = own.as_slice() else { return None };
        if evidence.unanswered.is_some() {
            return None;
        }
        let meaning = self.means.iter().find(|one| Some(&one.value) == found.value.as_ref())?;
        self.seen(found, meaning.observe?, watched.at)
    }

    fn seen(&self, found: &Found, state: SubjectState, at: Moment) -> Option<Observation> {
        let verified_at = match &self.verified_at {
            None => at,
            // What will be verified only later is not verified.
            Some(_) => found.verified_at.as_ref()?.parse().ok().filter(|said| *said <= at)?,
        };
        Some(Observation { evidence: self.kept(found), state, verified_at })
    }

    fn kept(&self, found: &Found) -> BTreeMap<String, Value> {
        let kept = self.evidence.iter().filter_map(|(key, kind)| {
            let text = found.kept.get(key)?;
            Some((key.clone(), read(*kind, text)))
        });
        kept.collect()
    }

    /// Examples for the conformance kit, made from what the values mean.
    pub(super) fn specimens(&self) -> Result<Set<ProbeEvidence>, WordError> {
        let case = case(self.operations.first().map_or("observed", String::as_str))?;
        let found = |meaning: &Meaning| Found {
            workspace: case.workspace_name.to_string(),
            environment: case.environment().to_owned(),
            value: Some(meaning.value.clone()),
            related: self.related.as_ref().map(|_| "1".to_owned()),
            verified_at: self.verified_at.as_ref().map(|_| sample(Kind::Time)),
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
        for meaning in self.means.iter().filter(|_| self.observes.is_some()) {
            if meaning.observe.is_some() {
                set = set.sight("a value that observes", &case, of(vec![found(meaning)]));
            }
        }
        for meaning in self.means.iter().filter(|_| !self.operations.is_empty()) {
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
