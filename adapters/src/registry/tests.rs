//! What a registry refuses, and that no fault of an adapter is a decision.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use runledger_ledger::run::AdapterDecision;
use runledger_ledger::words::WordError;
use serde_json::{Value, json};

use super::*;
use crate::adapter::{Case, Decision, SourceClass, SourceError};
use crate::conformance::{Set, case};

/// An adapter that does what its evidence says, and counts how often it is asked.
struct Says {
    manifest: Manifest,
    asked: Arc<AtomicUsize>,
}

impl Says {
    fn new(name: &str, operation: &str) -> Self {
        Says { manifest: Manifest::new(name, 1).operation(operation), asked: Arc::default() }
    }
}

#[async_trait]
impl Adapter for Says {
    type Evidence = Value;

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn handle(&self, _: &RunEvent, _: &Run) -> Wake {
        panic!("a fault of the test")
    }

    /// The fingerprint says what comes of it.
    async fn gather(&self, cases: &[Case]) -> Result<Vec<Value>, SourceError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let words = cases.iter().map(|case| case.run.fingerprint.as_ref().unwrap().as_str());
        if words.clone().any(|word| word == "unreadable") {
            return Err(SourceError::new(SourceClass::Malformed, "a test"));
        }
        if words.clone().any(|word| word == "hangs") {
            std::future::pending::<()>().await;
        }
        Ok(words.map(|word| json!(word)).collect())
    }

    fn decide(&self, _: &Case, evidence: &Value) -> Decision {
        match evidence.as_str() {
            Some("panics") => panic!("a fault of the test"),
            Some("leaks") => Decision::new(AdapterDecision::Failed, "x").evidence("body", "y"),
            Some("open") => Decision::needs_attention("open"),
            _ => Decision::new(AdapterDecision::Succeeded, "said_so"),
        }
    }
}

impl Specimens for Says {
    fn specimens(&self) -> Result<Set<Value>, WordError> {
        Ok(Set::new())
    }
}

fn catalog(text: &str) -> Catalog {
    Catalog::parse(&format!(
        "version = 1\n[family.unclassified]\ntitle = {{ en = \"U\", de = \"U\" }}\n\
         [family.f]\ntitle = {{ en = \"F\", de = \"F\" }}\n{text}"
    ))
    .unwrap()
}

const OPERATION: &str =
    "[operation.\"a.b\"]\nfamily = \"f\"\ntitle = { en = \"A\", de = \"A\" }\naliases = [\"a\"]\n";

fn asked_of(word: &str) -> Case {
    let mut case = case("a.b").unwrap();
    case.run.fingerprint = Some(word.parse().unwrap());
    case
}

async fn judged(words: &[&str]) -> Vec<String> {
    let registry = Registry::builder()
        .with(Says::new("says", "a.b"))
        .time_limit(Duration::from_millis(50))
        .build(&catalog(OPERATION))
        .unwrap();
    let cases = words.iter().map(|word| asked_of(word)).collect();
    let code = |one: &Judged| match &one.asked[0].result {
        Ok(ruling) => ruling.decision.decision.to_string(),
        Err(error) => error.code().to_owned(),
    };
    registry.judge(cases).await.iter().map(code).collect()
}

#[test]
fn two_adapters_of_one_name_or_one_operation_are_refused() {
    let errors = Registry::builder()
        .with(Says::new("one", "a.b"))
        .with(Says::new("one", "a.b"))
        .build(&catalog(OPERATION))
        .unwrap_err();
    assert_eq!(
        errors.to_string(),
        "two adapters are called one; remove one, or give it another name\n\
         both one and one handle a.b; a run has one owner, so take the operation out of one of them"
    );
}

#[test]
fn an_adapter_that_the_catalog_names_must_be_there_and_handle_it() {
    let named = catalog(&format!("{OPERATION}adapter = \"one\"\n"));
    let refused = |builder: RegistryBuilder| builder.build(&named).unwrap_err().to_string();
    assert_eq!(
        refused(Registry::builder()),
        "the catalog names the adapter one for a.b, and no adapter handles it; register one for \
         it, or change `adapter` of the operation in the catalog"
    );
    let two = refused(Registry::builder().with(Says::new("two", "a.b")));
    assert!(two.contains("and two handles it"), "{two}");
    let aside = refused(Registry::builder().with(Says::new("one", "c.d")));
    assert!(aside.contains("no adapter handles it"), "{aside}");
    assert!(Registry::builder().with(Says::new("one", "a.b")).build(&named).is_ok());
    let idle = Says::new("one", "a.b").manifest;
    assert!(Registry::builder().idle(idle, "no database").build(&named).is_ok());
}

#[test]
fn an_alias_and_an_unsound_manifest_are_refused() {
    let errors = Registry::builder().with(Says::new("one", "a")).build(&catalog(OPERATION));
    let text = errors.unwrap_err().to_string();
    assert_eq!(text, "one handles a, which is an alias of a.b; name a.b instead");
    for manifest in [
        Manifest::new("", 1).operation("a.b"),
        Manifest::new("Shouting", 1).operation("a.b"),
        Manifest::new("nothing", 1),
        Manifest::new("key", 1).operation("a.b").evidence("No Word", crate::adapter::Kind::Id),
        Manifest::new("related", 1).operation("a.b").related("x/y"),
    ] {
        let says = Says { manifest, asked: Arc::default() };
        let errors = Registry::builder().with(says).build(&catalog(OPERATION)).unwrap_err();
        assert!(matches!(errors.errors(), [RegistryError::Manifest { .. }]), "{errors}");
    }
}

#[test]
fn what_handles_what_is_listed() {
    let registry = Registry::builder()
        .with(Says::new("one", "a.b"))
        .idle(Manifest::new("two", 4).operation("c.d").reads("files"), "no directory is named")
        .build(&catalog(OPERATION))
        .unwrap();
    let rows: Vec<String> = registry
        .rows(&catalog(OPERATION))
        .iter()
        .map(|row| format!("{} {:?} {:?} {}", row.operation, row.adapter, row.idle, row.in_catalog))
        .collect();
    assert_eq!(
        rows,
        [
            "a.b Some((\"one\", 1)) None true",
            "c.d Some((\"two\", 4)) Some(\"no directory is named\") false",
        ]
    );
}

#[test]
fn the_built_in_adapters_fit_the_built_in_catalog_with_and_without_a_database() {
    let catalog = Catalog::built_in();
    let idle = crate::built_in(None).build(&catalog).unwrap();
    assert!(idle.owner("restore.execute").unwrap().idle().is_some());
    assert!(idle.owner("environment.review.compose").is_some());
}

#[tokio::test]
async fn a_panic_is_no_decision_and_wakes_nobody() {
    assert_eq!(judged(&["x", "panics", "y"]).await, ["succeeded", "broken", "succeeded"]);
    let registry =
        Registry::builder().with(Says::new("says", "a.b")).build(&catalog(OPERATION)).unwrap();
    let run = case("a.b").unwrap().run;
    let ended =
        RunEvent::Ended(runledger_ledger::run::Ended { fills: Default::default(), reason: None });
    assert_eq!(registry.handle(&ended, &run), Wake::Ignore);
}

#[tokio::test]
async fn a_hang_is_no_decision_and_ends_with_the_time_limit() {
    assert_eq!(judged(&["x", "hangs"]).await, ["timeout", "timeout"]);
}

#[tokio::test]
async fn one_unreadable_row_hides_nobody_elses() {
    let words = ["a", "b", "unreadable", "c", "d", "e", "f"];
    let wanted = ["succeeded"; 7].map(str::to_owned);
    let mut wanted = wanted.to_vec();
    wanted[2] = "malformed".to_owned();
    assert_eq!(judged(&words).await, wanted);
}

#[tokio::test]
async fn a_decision_that_the_seam_refuses_is_none() {
    assert_eq!(judged(&["leaks", "x"]).await, ["evidence_not_allowed", "succeeded"]);
}

#[tokio::test]
async fn a_page_is_one_gathering() {
    let says = Says::new("says", "a.b");
    let asked = Arc::clone(&says.asked);
    let registry = Registry::builder().with(says).build(&catalog(OPERATION)).unwrap();
    let judged = registry.judge((0..500).map(|_| asked_of("x")).collect()).await;
    assert_eq!((judged.len(), asked.load(Ordering::SeqCst)), (500, 1));
    assert!(judged.iter().all(|one| one.ruling().is_some_and(Ruling::is_terminal)));
}

#[tokio::test]
async fn those_of_every_operation_are_asked_of_what_the_owner_left_open() {
    let manifest = Manifest::new("every", 1).every_operation();
    let registry = Registry::builder()
        .with(Says::new("says", "a.b"))
        .with(Says { manifest, asked: Arc::default() })
        .build(&catalog(OPERATION))
        .unwrap();
    let mut unowned = asked_of("x");
    unowned.run.operation = Some("other.operation".parse().unwrap());
    let judged = registry.judge(vec![asked_of("x"), asked_of("open"), unowned]).await;
    let asked = |one: &Judged| {
        one.asked.iter().map(|asked| asked.adapter.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(judged.iter().map(asked).collect::<Vec<_>>(), ["says", "says every", "every"]);
    assert!(judged[1].ruling().is_some_and(|ruling| ruling.decision.reason_code == "open"));
}

#[tokio::test]
async fn a_decision_is_made_again_from_what_was_gathered() {
    let registry =
        Registry::builder().with(Says::new("says", "a.b")).build(&catalog(OPERATION)).unwrap();
    let judged = registry.judge(vec![asked_of("x")]).await.remove(0);
    let ruling = judged.ruling().unwrap();
    let again = registry.owner("a.b").unwrap().decide(&judged.case, &ruling.gathered);
    assert_eq!(again.as_ref(), Ok(ruling));
}
