//! What must not be in an event, and what may: a corpus of each, through the seam.

use runledger_adapters::adapter::{Case, Decision, Kind, Manifest, Value};
use runledger_adapters::conformance::case;
use runledger_adapters::seam::{SeamError, commands, suspicion};
use runledger_ledger::run::AdapterDecision;

/// The values, one a line; `\n` and `\t` stand for themselves.
fn bad() -> Vec<String> {
    let lines = include_str!("../../fixtures/evidence/bad.txt").lines();
    let values = lines.filter(|line| !line.is_empty() && !line.starts_with("## "));
    values.map(|line| line.replace("\\n", "\n").replace("\\t", "\t")).collect()
}

/// `kind value`, one a line.
fn good() -> Vec<(Kind, &'static str)> {
    let lines = include_str!("../../fixtures/evidence/good.txt").lines();
    let values = lines.filter(|line| !line.is_empty() && !line.starts_with("## "));
    values
        .map(|line| line.split_once(' ').unwrap())
        .map(|(kind, value)| (kind.parse().unwrap(), value))
        .collect()
}

fn manifest() -> Manifest {
    let manifest = Manifest::new("corpus", 1).operation("a.b").related("thing");
    Kind::ALL.iter().fold(manifest, |manifest, kind| manifest.evidence(kind.as_str(), *kind))
}

fn refused(case: &Case, decision: &Decision) -> SeamError {
    match commands(&manifest(), case, decision) {
        Err(error) => error,
        Ok(commands) => panic!("it went through: {commands:?}"),
    }
}

#[test]
fn no_secret_error_or_payload_gets_into_an_event() {
    let case = case("a.b").unwrap();
    let bad = bad();
    assert!(bad.len() >= 80, "only {} values", bad.len());
    for value in &bad {
        assert!(suspicion(value).is_some(), "not found suspicious: {value}");
        let proof = Decision::new(AdapterDecision::Succeeded, "x");
        let mut decisions = vec![
            (proof.clone().related("thing", value), "the related id"),
            (Decision::new(AdapterDecision::Failed, value), "the reason code"),
        ];
        let texts = [Kind::Id, Kind::State, Kind::Hash, Kind::Time, Kind::Duration];
        let of_kind =
            |kind: &Kind| (proof.clone().evidence(kind.as_str(), value.as_str()), kind.as_str());
        decisions.extend(texts.iter().map(of_kind));
        for (decision, place) in decisions {
            let error = refused(&case, &decision);
            assert!(matches!(error, SeamError::Suspicious { .. }), "{value}: {error}");
            let said = format!("{error} {error:?}");
            assert!(said.contains(place), "{place} is not named: {said}");
            assert!(!said.contains(value.as_str()), "it repeats the value: {said}");
        }
        // Nor as a key.
        let said = refused(&case, &proof.evidence(value.as_str(), true)).to_string();
        assert!(!said.contains(value.as_str()), "it repeats the key: {said}");
    }
}

#[test]
fn what_evidence_is_made_of_gets_through() {
    let case = case("a.b").unwrap();
    let good = good();
    assert!(good.len() >= 60, "only {} values", good.len());
    for (kind, text) in good {
        let value = match kind {
            Kind::Count => Value::Number(text.parse().unwrap()),
            Kind::Flag => Value::Flag(text.parse().unwrap()),
            _ => Value::from(text),
        };
        let decision =
            Decision::new(AdapterDecision::Succeeded, "x").evidence(kind.as_str(), value);
        let through = commands(&manifest(), &case, &decision);
        assert!(through.is_ok(), "{kind} {text}: {through:?}");
    }
}
