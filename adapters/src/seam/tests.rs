//! What the seam lets through, and what it says of what it does not.

use runledger_ledger::run::AdapterDecision;
use runledger_ledger::subject::SubjectState;
use runledger_ledger::time::{Moment, Span};

use super::*;
use crate::adapter::{Kind, SourceClass};
use crate::conformance::case;

fn manifest() -> Manifest {
    Kind::ALL
        .iter()
        .fold(Manifest::new("x", 3), |manifest, kind| manifest.evidence(kind.as_str(), *kind))
        .operation("a.b")
        .related("thing")
}

fn decided(decision: Decision) -> Result<Commands, SeamError> {
    commands(&manifest(), &case("a.b").unwrap(), &decision)
}

fn proof() -> Decision {
    Decision::new(AdapterDecision::Succeeded, "there")
}

#[test]
fn a_decision_becomes_a_command_that_holds_for_the_run_as_it_was() {
    let case = case("a.b").unwrap();
    let decision = proof()
        .related("thing", "42")
        .evidence("id", "rev-42")
        .evidence("state", "ready")
        .evidence("count", 3_usize)
        .evidence("hash", "sha256:00112233445566778899aabbccddeeff")
        .evidence("time", Moment::EPOCH)
        .evidence("duration", Span::from_secs(90))
        .evidence("flag", true);
    let reconcile = commands(&manifest(), &case, &decision).unwrap().reconcile;
    assert_eq!(reconcile.expected_events, Some(case.run.events));
    assert_eq!((reconcile.adapter.as_str(), reconcile.adapter_version), ("x", 3));
    assert_eq!(reconcile.evaluated_at, case.at);
    assert_eq!(reconcile.related.unwrap().to_string(), "thing/42");
    assert_eq!(reconcile.evidence.len(), 7);
}

#[test]
fn a_value_that_is_not_of_its_kind_is_refused() {
    for (key, value) in [
        ("id", Value::from("has a space")),
        ("id", Value::from("")),
        ("id", Value::from("x".repeat(201))),
        ("id", Value::from(7_i64)),
        ("state", Value::from("ready now")),
        ("state", Value::from("7")),
        ("count", Value::from(-1_i64)),
        ("count", Value::from(i64::MAX)),
        ("count", Value::from("3")),
        ("hash", Value::from("abc")),
        ("hash", Value::from("not hexadecimal!")),
        ("time", Value::from("yesterday")),
        ("duration", Value::from("soon")),
        ("flag", Value::from("true")),
        ("flag", Value::from(1_i64)),
    ] {
        let error = decided(proof().evidence(key, value.clone())).unwrap_err();
        assert_eq!(error.code(), "evidence_not_of_its_kind", "{key}: {value:?}");
    }
}

#[test]
fn only_what_the_manifest_names_is_recorded() {
    let error = decided(proof().evidence("body", "x")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "evidence has `body`, which the adapter's manifest does not allow"
    );
    let secret = "ghp_0123456789abcdef0123456789abcdef0123";
    let error = decided(proof().evidence(secret, "x")).unwrap_err();
    assert_eq!(error, SeamError::NotAllowed { key: "a key".to_owned() });
    assert_eq!(decided(proof().related("other", "1")), Err(SeamError::RelatedNotAllowed));
    let many = (0..33).fold(proof(), |proof, n| proof.evidence(format!("k{n}"), true));
    assert_eq!(decided(many), Err(SeamError::TooMuch(33)));
}

#[test]
fn a_reason_is_a_plain_word() {
    for reason in ["", "Review ready", "review-ready", "7", "a.b", "ä"] {
        let error = decided(Decision::new(AdapterDecision::Failed, reason)).unwrap_err();
        assert_eq!(error.code(), "evidence_not_of_its_kind", "{reason}");
    }
}

#[test]
fn an_observation_is_of_the_subject_of_the_run_in_its_scope() {
    let seen = Observation {
        evidence: BTreeMap::from([("state".to_owned(), Value::from("ready"))]),
        state: SubjectState::Healthy,
        verified_at: Moment::EPOCH,
    };
    let mut case = case("a.b").unwrap();
    let decision = proof().observation(seen.clone());
    let (key, observe) = commands(&manifest(), &case, &decision).unwrap().observe.unwrap();
    assert_eq!(
        (key.environment, Some(key.subject)),
        (case.run.environment.clone(), case.run.subject.clone())
    );
    assert_eq!(observe.verifier.unwrap().as_str(), "x");
    let mut leaking = seen;
    leaking.evidence.insert("id".to_owned(), Value::from("rl_admin_0123456789abcdef"));
    let error = decided(proof().observation(leaking)).unwrap_err();
    assert_eq!(error.code(), "evidence_suspicious");
    case.run.subject = None;
    assert_eq!(commands(&manifest(), &case, &decision), Err(SeamError::NoSubject));
}

#[test]
fn a_run_that_nobody_knows_has_no_commands() {
    let mut case = case("a.b").unwrap();
    case.run = runledger_ledger::run::Run::default();
    assert_eq!(commands(&manifest(), &case, &proof()), Err(SeamError::UnknownRun));
}

#[test]
fn a_refusal_is_told_from_a_source_that_fails_by_its_code() {
    let text = || "x".to_owned();
    for error in [
        SeamError::NotAllowed { key: text() },
        SeamError::NotOfItsKind { place: text(), kind: "id" },
        SeamError::Suspicious { place: text(), suspicion: Suspicion::Token },
        SeamError::TooMuch(33),
        SeamError::RelatedNotAllowed,
        SeamError::NoSubject,
        SeamError::UnknownRun,
    ] {
        assert!(SeamError::is_code(error.code()), "{error}");
    }
    for class in SourceClass::ALL {
        assert!(!SeamError::is_code(class.as_str()), "{class}");
    }
}
