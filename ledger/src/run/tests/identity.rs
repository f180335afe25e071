//! A run is what its dispatch said it is.

use rstest::rstest;

use super::*;

const FULL: &str = "operation=inventory.sync environment=prod subject=tenant/1 fingerprint=f1";

fn reports() -> Vec<Report> {
    let mut reports = vec![started(), beat(), progress(1)];
    reports.extend(Outcome::ALL.iter().filter(|o| **o != Outcome::Pending).map(|o| ends(*o)));
    reports
}

#[rstest]
#[case("operation=policy.sync")]
#[case("operation=nobody.knows.it")]
#[case("environment=staging")]
#[case("subject=tenant/2")]
#[case("subject=connection/1")]
#[case("fingerprint=f2")]
fn a_signal_that_names_another_run_is_refused_before_anything_else(#[case] other: &str) {
    let queued = Story::given([(0, dispatch(FULL))]);
    let mut completed = queued.clone();
    completed.given_at(1, 1, told(ends(Outcome::Failed)));
    for story in [queued.clone(), queued.strictly(), completed.clone(), completed.strictly()] {
        for report in reports() {
            let mut story = story.clone();
            let before = story.run.clone();
            assert_eq!(story.when(2, signal(other, report)), "identity_mismatch");
            assert_eq!(story.run, before);
        }
    }
}

#[rstest]
#[case("operation=policy.sync environment=prod subject=tenant/1 fingerprint=f1")]
#[case("operation=inventory.sync environment=staging subject=tenant/1 fingerprint=f1")]
#[case("operation=inventory.sync environment=prod subject=tenant/2 fingerprint=f1")]
#[case("operation=inventory.sync environment=prod subject=tenant/1 fingerprint=f2")]
fn a_dispatch_that_names_another_run_is_refused_and_no_duplicate(#[case] other: &str) {
    let mut truly = Story::given([(0, dispatch(FULL))]);
    assert_eq!(truly.when(1, dispatch(other)), "identity_mismatch");
    let mut inferred = Story::given([(0, signal(FULL, started()))]);
    assert_eq!(inferred.when(1, dispatch(other)), "identity_mismatch");
}

#[test]
fn naming_nothing_never_mismatches() {
    for report in reports() {
        let mut story = Story::given([(0, dispatch(FULL)), (1, told(started()))]);
        assert_ne!(story.when(2, told(report)), "identity_mismatch");
    }
    let mut story = Story::given([(0, dispatch(FULL))]);
    assert_eq!(story.when(1, dispatch("operation=inventory.sync")), "duplicate");
}

#[test]
fn aliases_are_resolved_before_anything_is_compared() {
    let mut story = Story::given([(0, dispatch(FULL))]);
    assert_eq!(story.when(1, signal("operation=inventory_sync", started())), "run.started");
    assert_eq!(story.when(2, dispatch("operation=inventory_sync")), "duplicate");
}

#[test]
fn a_run_keeps_its_name_when_a_newer_catalog_makes_an_alias_of_it() {
    let mut story = Story::given([(0, dispatch("operation=stock.sync"))]);
    let text = Catalog::built_in().text().replace(
        "aliases = [\"inventory_sync\"]",
        "aliases = [\"inventory_sync\", \"stock.sync\"]",
    );
    story.catalog = Arc::new(Catalog::parse(&text).unwrap());
    assert_eq!(story.catalog.canonical("stock.sync"), "inventory.sync");
    assert_eq!(story.when(1, signal("operation=stock.sync", started())), "run.started");
    assert_eq!(story.when(2, signal("operation=policy.sync", beat())), "identity_mismatch");
}

#[rstest]
#[case("environment=prod")]
#[case("subject=tenant/1")]
#[case("fingerprint=f1")]
fn a_value_where_the_run_has_none_fills_an_inferred_run_and_mismatches_a_true_one(
    #[case] value: &str,
) {
    let mut inferred = Story::given([(0, signal("operation=inventory.sync", started()))]);
    assert_eq!(inferred.when(1, signal(value, ends(Outcome::Failed))), "run.failed");
    let mut truly = Story::given([(0, dispatch("operation=inventory.sync"))]);
    assert_eq!(truly.when(1, signal(value, ends(Outcome::Failed))), "identity_mismatch");
    let again = format!("operation=inventory.sync {value}");
    assert_eq!(truly.when(1, dispatch(&again)), "identity_mismatch");
}

#[test]
fn after_its_true_dispatch_an_inferred_run_is_open_no_more() {
    let mut story = Story::given([
        (0, signal("operation=inventory.sync", started())),
        (1, dispatch("operation=inventory.sync")),
    ]);
    assert_eq!(
        story.when(2, signal("subject=tenant/1", ends(Outcome::Failed))),
        "identity_mismatch"
    );
}

#[test]
fn a_queue_is_no_part_of_the_identity() {
    let mut story = Story::given([(0, dispatch("operation=inventory.sync queue=a"))]);
    assert_eq!(story.when(1, signal("queue=b connection=c job_class=D", started())), "run.started");
    assert_eq!(story.run.queue, Some(name("a")));
}

#[test]
fn an_operation_of_scope_workspace_may_have_no_environment() {
    let usage = "operation=workspace.usage.report";
    let here = format!("{usage} environment=prod");
    let mut story = Story::new();
    assert_eq!(story.when(0, dispatch(&here)), "environment_not_allowed");
    assert_eq!(story.when(0, signal(&here, started())), "environment_not_allowed");
    assert!(!story.run.exists());
    assert_eq!(story.when(1, signal(usage, started())), "run.dispatched run.started");
    assert_eq!(story.when(2, signal("environment=prod", progress(1))), "environment_not_allowed");
    assert_eq!(story.when(2, dispatch(&here)), "environment_not_allowed");
}

#[test]
fn every_other_operation_may_have_none_and_then_belongs_to_the_workspace() {
    for operation in ["operation=inventory.sync", "operation=nobody.knows.it"] {
        let story = Story::given([(0, dispatch(operation))]);
        assert_eq!(story.run.environment, None);
    }
}
