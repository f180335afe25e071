//! The rules, each a function from an adapter and its examples to what is wrong.

use std::time::Duration;

use runledger_ledger::catalog::Catalog;
use runledger_ledger::fact::Fact;
use runledger_ledger::run::{self, Run, RunCommand, RunContext, RunEvent};
use runledger_ledger::words::{Name, words};
use serde_json::{Value, json};

use super::set::{Set, Specimen};
use crate::adapter::{Case, Operations, Wake, Watched};
use crate::registry::{Fault, Registered, Registry, Ruling, Seen, Unjudged};

words! {
    /// What an adapter is held to.
    Rule {
        /// It brings examples of every sort.
        Specimens = "brings_specimens",
        /// The same case and evidence give the same decision.
        Pure = "decides_purely",
        /// What proves something leads to a decision that says how the run ended.
        Proves = "proves",
        /// Missing, contradictory, foreign and malformed evidence prove nothing.
        FailsClosed = "fails_closed",
        /// Every decision passes the seam.
        Allowed = "keeps_to_its_manifest",
        /// The same decision twice is one event.
        Idempotent = "is_idempotent",
        /// It is not woken by its own decisions.
        Settles = "is_not_woken_by_decisions",
        /// What it sees of a subject by itself is of that subject, pure, and of its scope.
        Observes = "observes_its_subjects",
        /// A source that hangs, fails or panics leads to no decision.
        SurvivesSource = "survives_its_source",
    }
}

/// A rule that an adapter breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{adapter} breaks the rule {rule}: {detail}")]
pub struct Failure {
    /// The adapter.
    pub adapter: String,
    /// The rule.
    pub rule: Rule,
    /// With which example, and what came of it.
    pub detail: String,
}

/// How long the kit waits for a source that hangs.
const PATIENCE: Duration = Duration::from_millis(20);

/// Holds every adapter of `registry` to the contract, and returns what is wrong. Idle adapters have
/// nothing to be held to.
///
/// Needs a Tokio runtime with timers. It asks no source: what the adapters decide on are their own
/// examples.
pub async fn check(registry: &Registry) -> Vec<Failure> {
    let mut failures = Vec::new();
    for adapter in registry.adapters() {
        let Some(specimens) = adapter.specimens() else { continue };
        let mut report = Report { adapter, failures: &mut failures };
        match specimens.0 {
            Ok(set) => report.check(&set).await,
            Err(why) => report.fail(Rule::Specimens, why),
        }
    }
    failures
}

struct Report<'a> {
    adapter: &'a Registered,
    failures: &'a mut Vec<Failure>,
}

impl Report<'_> {
    async fn check(&mut self, set: &Set<Value>) {
        self.brings_specimens(set);
        for specimen in &set.proofs {
            self.proves(specimen);
            if self.adapter.manifest.reads.is_some() {
                self.proves_nothing_elsewhere(specimen);
                self.proves_nothing_unread(specimen);
            }
        }
        for specimen in set.missing.iter().chain(&set.contradictory).chain(&set.foreign) {
            self.is_pure(specimen);
            self.fails_closed(specimen, false);
        }
        for specimen in &set.malformed {
            self.fails_closed(specimen, true);
        }
        if let Some(specimen) = set.proofs.first() {
            self.survives_its_source(&specimen.case).await;
        }
        for specimen in &set.sights {
            self.observes(specimen);
        }
        if let Some(watched) = set.sights.first().and_then(|sight| Watched::of(&sight.case)) {
            self.survives_its_source_unasked(&watched).await;
        }
    }

    fn fail(&mut self, rule: Rule, detail: impl Into<String>) {
        let adapter = self.adapter.manifest.name.clone();
        self.failures.push(Failure { adapter, rule, detail: detail.into() });
    }

    fn brings_specimens(&mut self, set: &Set<Value>) {
        let manifest = &self.adapter.manifest;
        let judges = manifest.operations != Operations::Named(Default::default());
        let reads = judges && manifest.reads.is_some();
        let sorts = [
            ("proof", set.proofs.len(), judges),
            ("missing", set.missing.len(), judges),
            ("contradictory", set.contradictory.len(), reads),
            ("foreign", set.foreign.len(), reads),
            ("malformed", set.malformed.len(), reads),
            ("sight", set.sights.len(), manifest.observes.is_some()),
        ];
        for (sort, _, _) in sorts.into_iter().filter(|(_, count, wanted)| *wanted && *count == 0) {
            self.fail(Rule::Specimens, format!("it has no example of `{sort}` evidence"));
        }
    }

    /// Decides twice, on the evidence and on what is left of it after a second serialisation.
    fn is_pure(&mut self, specimen: &Specimen<Value>) {
        let text = specimen.evidence.to_string();
        let again: Value = serde_json::from_str(&text).unwrap_or_default();
        let decide = |evidence: &Value| self.adapter.decide(&specimen.case, evidence);
        let decisions = [&specimen.evidence, &specimen.evidence, &again].map(decide);
        let [first, second, third] = decisions.map(|one| one.map(|ruling| ruling.decision));
        if first != second || first != third {
            self.fail(Rule::Pure, format!("\"{}\" led to different decisions", specimen.says));
        }
    }

    fn proves(&mut self, specimen: &Specimen<Value>) {
        self.is_pure(specimen);
        match self.adapter.decide(&specimen.case, &specimen.evidence) {
            Err(Unjudged::Refused(error)) => {
                self.fail(Rule::Allowed, format!("\"{}\": {error}", specimen.says));
            }
            Err(error) => self.fail(Rule::Proves, format!("\"{}\": {error}", specimen.says)),
            Ok(ruling) if !ruling.proves() => {
                let found = ruling.decision.decision;
                self.fail(Rule::Proves, format!("\"{}\" led to {found}", specimen.says));
            }
            Ok(ruling) => self.is_idempotent(specimen, &ruling),
        }
    }

    /// The same evidence is no proof for a run of another scope.
    fn proves_nothing_elsewhere(&mut self, specimen: &Specimen<Value>) {
        let (Ok(workspace), Ok(environment)) =
            (Name::new("some-other-workspace"), Name::new("some-other-environment"))
        else {
            return;
        };
        let elsewhere = |change: &dyn Fn(&mut Case)| {
            let mut elsewhere = specimen.clone();
            change(&mut elsewhere.case);
            elsewhere
        };
        let here = specimen.case.environment();
        self.fails_closed(&elsewhere(&|case| case.workspace_name = workspace.clone()), false);
        for environment in [None, Some(environment)] {
            if environment.as_ref().map_or("", Name::as_str) != here {
                let change = |case: &mut Case| case.run.environment = environment.clone();
                self.fails_closed(&elsewhere(&change), false);
            }
        }
    }

    /// What is not evidence at all proves nothing.
    fn proves_nothing_unread(&mut self, specimen: &Specimen<Value>) {
        for evidence in [Value::Null, json!(""), json!(0), json!([]), json!({}), json!([null])] {
            self.fails_closed(&Specimen { evidence, ..specimen.clone() }, true);
        }
    }

    fn fails_closed(&mut self, specimen: &Specimen<Value>, may_be_unread: bool) {
        for stale in [false, true] {
            let case = Case { stale, ..specimen.case.clone() };
            let when = if stale { "stale" } else { "fresh" };
            match self.adapter.decide(&case, &specimen.evidence) {
                Ok(ruling) => {
                    if ruling.proves() {
                        let found = ruling.decision.decision;
                        let detail = format!("\"{}\", {when}, led to {found}", specimen.says);
                        self.fail(Rule::FailsClosed, detail);
                    }
                }
                Err(Unjudged::Source(_)) if may_be_unread => {}
                Err(Unjudged::Refused(error)) => {
                    self.fail(Rule::Allowed, format!("\"{}\", {when}: {error}", specimen.says));
                }
                Err(error) => {
                    self.fail(Rule::FailsClosed, format!("\"{}\", {when}: {error}", specimen.says));
                }
            }
        }
    }

    /// Records the decision on the run, and the same decision again.
    fn is_idempotent(&mut self, specimen: &Specimen<Value>, ruling: &Ruling) {
        let mut run = specimen.case.run.clone();
        let mut events = 0;
        for _ in 0..2 {
            let facts = recorded(&run, &specimen.case, ruling);
            events += facts.len();
            facts.iter().for_each(|fact| run.apply(fact));
            let woken =
                facts.iter().any(|fact| self.adapter.handle(&fact.event, &run) == Wake::Wake);
            if woken {
                let detail = "run.reconciled wakes it, so it could wake itself for ever";
                self.fail(Rule::Settles, detail);
            }
        }
        if events != usize::from(ruling.is_terminal()) {
            let detail = format!("\"{}\" twice made {events} events", specimen.says);
            self.fail(Rule::Idempotent, detail);
        }
    }

    /// The evidence says one thing of the subject, twice, and nothing of the same subject elsewhere.
    fn observes(&mut self, specimen: &Specimen<Value>) {
        let Specimen { says, case, evidence } = specimen;
        let Some(here) = Watched::of(case) else {
            return self.fail(Rule::Observes, format!("\"{says}\" is of a case without a subject"));
        };
        let look = |watched: &Watched, evidence: &Value| self.adapter.observe(watched, evidence);
        let first: Result<Option<Seen>, Unjudged> = look(&here, evidence);
        let again = look(&here, evidence);
        let Ok(elsewhere) = Name::new("some-other-scope") else { return };
        let in_workspace = Watched { workspace_name: elsewhere.clone(), ..here.clone() };
        let in_environment = Watched { environment: Some(elsewhere), ..here.clone() };
        let strange = [look(&in_workspace, evidence), look(&in_environment, evidence)];
        let unread = [Value::Null, json!({}), json!([])].map(|nothing| look(&here, &nothing));
        if first != again {
            self.fail(Rule::Pure, format!("\"{says}\" led to different observations"));
        }
        match first {
            Ok(Some(_)) => {}
            Ok(None) => self.fail(Rule::Observes, format!("\"{says}\" led to no observation")),
            Err(Unjudged::Refused(error)) => {
                self.fail(Rule::Allowed, format!("\"{says}\": {error}"));
            }
            Err(error) => self.fail(Rule::Observes, format!("\"{says}\": {error}")),
        }
        if strange.iter().chain(&unread).any(|seen| matches!(seen, Ok(Some(_)))) {
            let detail = format!("\"{says}\" was seen in another scope, or where nothing is");
            self.fail(Rule::FailsClosed, detail);
        }
    }

    async fn survives_its_source_unasked(&mut self, watched: &Watched) {
        for fault in Fault::ALL {
            let faulty = self.adapter.with_fault(*fault);
            let seen = faulty.look(vec![watched.clone(), watched.clone()], PATIENCE).await;
            let nothing =
                |seen: &Result<Option<Seen>, Unjudged>| matches!(seen, Err(Unjudged::Source(_)));
            if seen.len() != 2 || !seen.iter().all(nothing) {
                let detail = format!("a source that {fault} led to an observation");
                self.fail(Rule::SurvivesSource, detail);
            }
        }
    }

    async fn survives_its_source(&mut self, case: &Case) {
        for fault in Fault::ALL {
            let faulty = self.adapter.with_fault(*fault);
            let results = faulty.judge(vec![case.clone(), case.clone()], PATIENCE).await;
            let no_decision =
                |result: &Result<Ruling, Unjudged>| matches!(result, Err(Unjudged::Source(_)));
            if results.len() != 2 || !results.iter().all(no_decision) {
                self.fail(Rule::SurvivesSource, format!("a source that {fault} led to a decision"));
            }
        }
    }
}

/// What the ledger records of a decision on `run`.
fn recorded(run: &Run, case: &Case, ruling: &Ruling) -> Vec<Fact<RunEvent>> {
    let catalog = Catalog::built_in();
    let context = RunContext {
        catalog: &catalog,
        holder: None,
        occurred_at: case.at,
        recorded_at: case.at,
        run_id: case.run_id,
        strict: false,
    };
    let mut reconcile = ruling.commands.reconcile.clone();
    reconcile.expected_events = None;
    match run.decide(&RunCommand::Reconcile(Box::new(reconcile)), &context) {
        Ok(run::Decision::Record(facts)) => facts,
        Ok(_) | Err(_) => Vec::new(),
    }
}
