//! How a run comes to be known, and what counts as its dispatch.

use rstest::rstest;

use super::*;

const OPENS: &str = "operation=openlineage.job environment=prod";

#[rstest]
#[case(started(), "run.dispatched run.started")]
#[case(beat(), "run.dispatched run.started run.heartbeat")]
#[case(ends(Outcome::Succeeded), "run.dispatched run.succeeded")]
#[case(ends(Outcome::Blocked), "run.dispatched run.failed")]
#[case(ends(Outcome::Cancelled), "run.dispatched run.cancelled")]
#[case(ends(Outcome::Unknown), "run.dispatched run.ended")]
fn a_signal_that_names_its_operation_opens_an_unknown_run(
    #[case] report: Report,
    #[case] events: &str,
) {
    let mut story = Story::new();
    assert_eq!(story.when(10, signal(OPENS, report)), events);
    assert!(story.run.inferred);
    assert_eq!(story.run.dispatched_at, secs(10));
    assert_eq!(story.run.environment, Some(name("prod")));
}

#[rstest]
#[case(told(started()))]
#[case(told(beat()))]
#[case(signal("environment=prod subject=job/a", ends(Outcome::Succeeded)))]
#[case(resolve("ops", "fixed"))]
#[case(reopen("ops", "broken"))]
#[case(reconcile(AdapterDecision::Succeeded))]
fn whatever_else_speaks_of_an_unknown_run_is_refused(#[case] command: RunCommand) {
    let mut story = Story::new();
    assert_eq!(story.when(10, command), "unknown_run");
    assert!(!story.run.exists());
}

#[test]
fn only_the_canonical_name_of_an_operation_is_stored() {
    let story = Story::given([(0, dispatch("operation=inventory_sync"))]);
    assert_eq!(story.run.operation, Some(name("inventory.sync")));
    let story = Story::given([(0, signal("operation=inventory_sync", started()))]);
    assert_eq!(story.run.operation, Some(name("inventory.sync")));
}

#[test]
fn each_recorded_signal_of_an_inferred_run_fills_in_what_is_open() {
    let mut story = Story::given([(0, signal("operation=openlineage.job", started()))]);
    story.given_at(1, 1, signal("subject=job/a queue=spark connection=c1", progress(1)));
    story.given_at(2, 2, signal("fingerprint=f1 queue=other connection=c2", progress(2)));
    story.given_at(3, 3, signal("environment=prod job_class=Nightly", ends(Outcome::Failed)));
    story.given_at(4, 4, signal("subject=job/a", ends(Outcome::Succeeded)));
    let run = &story.run;
    assert_eq!(run.subject, "job/a".parse().ok());
    assert_eq!(run.fingerprint, Some(name("f1")));
    assert_eq!(run.environment, Some(name("prod")));
    assert_eq!(run.job_class, Some(name("Nightly")));
    assert_eq!((&run.queue, &run.connection), (&Some(name("spark")), &Some(name("c1"))));
}

#[test]
fn a_late_signal_of_an_inferred_run_fills_in_as_well() {
    let mut story = Story::given([(0, signal(OPENS, ends(Outcome::Failed)))]);
    story.given_at(1, 1, signal("subject=job/a queue=spark", ends(Outcome::Succeeded)));
    assert_eq!(story.run.subject, "job/a".parse().ok());
    assert_eq!(story.run.queue, Some(name("spark")));
}

#[test]
fn a_heartbeat_that_is_not_recorded_fills_in_nothing() {
    let mut story = Story::given([(0, signal(OPENS, started()))]);
    assert_eq!(story.when(1, signal("subject=job/a", beat())), "coalesced");
    assert_eq!(story.run.subject, None);
}

#[test]
fn the_true_dispatch_is_recorded_once_fills_in_and_counts_from_then_on() {
    let mut story = Story::given([(100, signal(OPENS, started()))]);
    let inferred_windows = story.run.lifecycle;
    let names = "operation=openlineage.job environment=prod subject=job/a queue=spark";
    assert_eq!(story.when_at(200, 50, dispatch(names)), "run.dispatched");
    assert!(!story.run.inferred);
    assert_eq!(story.run.subject, "job/a".parse().ok());
    assert_eq!(story.run.queue, Some(name("spark")));
    assert_eq!(story.run.dispatched_at, secs(50));
    assert_eq!(story.run.dispatch_recorded_at, secs(200));
    assert_eq!(story.run.lifecycle, inferred_windows);
    assert_eq!(story.truth(), "running pending");
    assert_eq!(story.when_at(300, 40, dispatch(names)), "duplicate");
    assert_eq!(story.run.dispatched_at, secs(50));
}

#[test]
fn a_true_dispatch_does_not_replace_what_signals_filled_in() {
    let mut story = Story::given([(0, signal("operation=openlineage.job queue=first", started()))]);
    story.given_at(1, 1, dispatch("operation=openlineage.job queue=second connection=c"));
    assert_eq!((&story.run.queue, &story.run.connection), (&Some(name("first")), &None));
}

#[test]
fn the_true_dispatch_of_a_completed_run_is_recorded_too() {
    let mut story = Story::given([(100, signal(OPENS, ends(Outcome::Succeeded)))]);
    assert_eq!(story.when_at(200, 50, dispatch(OPENS)), "run.dispatched");
    assert_eq!(story.truth(), "completed succeeded");
    assert_eq!(story.run.settled_at, Some(secs(100)));
    assert_eq!(story.run.dispatched_at, secs(50));
}

#[test]
fn any_further_dispatch_is_a_duplicate() {
    let mut story = Story::given([(0, sync())]);
    assert_eq!(story.when(1, sync()), "duplicate");
    story.given_at(2, 2, told(ends(Outcome::Failed)));
    assert_eq!(story.when(3, sync()), "duplicate");
}

#[test]
fn the_dispatch_time_is_the_earliest_effective_time_of_dispatch_and_recorded_signals() {
    let mut story = Story::new();
    story.given_at(100, 90, sync());
    assert_eq!(story.run.dispatched_at, secs(90));
    story.given_at(110, 80, told(started()));
    assert_eq!(story.run.dispatched_at, secs(80));
    assert_eq!(story.when_at(120, 10, told(beat())), "coalesced");
    assert_eq!(story.run.dispatched_at, secs(80));
    story.given_at(130, 70, told(progress(1)));
    assert_eq!(story.run.dispatched_at, secs(70));
    story.given_at(140, 60, told(ends(Outcome::Failed)));
    assert_eq!(story.run.dispatched_at, secs(60));
    story.given_at(150, 50, told(ends(Outcome::Succeeded)));
    assert_eq!(story.run.dispatched_at, secs(50));
}

#[test]
fn a_time_that_lies_in_the_future_counts_as_the_recorded_one() {
    let mut story = Story::new();
    story.given_at(10, 500, sync());
    assert_eq!(story.run.dispatched_at, secs(10));
    story.given_at(20, 500, told(ends(Outcome::Failed)));
    assert_eq!(story.run.settled_at, Some(secs(20)));
}

#[test]
fn the_windows_in_force_at_dispatch_are_kept_with_it() {
    let mut story = Story::given([(0, sync())]);
    let windows = Catalog::built_in().operation("inventory.sync").lifecycle;
    assert!(windows.has_window());
    let text = Catalog::built_in().text().replace("run_window = \"30m\"", "run_window = \"31m\"");
    story.catalog = Arc::new(Catalog::parse(&text).unwrap());
    story.given_at(1, 1, told(started()));
    assert_eq!(story.run.lifecycle, windows);
}

#[test]
fn a_unique_dispatch_lands_on_the_run_that_holds_its_key() {
    let key = "operation=inventory.sync environment=prod subject=tenant/1";
    let mut story = Story::new();
    story.holder = Some(RunId(uuid::Uuid::from_u128(7)));
    assert_eq!(story.when(0, unique_dispatch(key, Some(UniqueMode::Subject))), "existing");
    assert!(!story.run.exists());
    assert_eq!(story.when(0, dispatch(key)), "run.dispatched");
}

#[test]
fn the_holder_that_is_dispatched_again_is_a_duplicate() {
    let command =
        || unique_dispatch("operation=inventory.sync subject=tenant/1", Some(UniqueMode::Subject));
    let mut story = Story::given([(0, command())]);
    story.holder = Some(RunId(uuid::Uuid::from_u128(1)));
    assert_eq!(story.when(1, command()), "duplicate");
}

#[test]
fn the_true_dispatch_of_an_inferred_run_makes_no_reservation() {
    let mut story = Story::given([(0, signal("operation=inventory.sync", started()))]);
    story.holder = Some(RunId(uuid::Uuid::from_u128(7)));
    let command =
        unique_dispatch("operation=inventory.sync subject=tenant/1", Some(UniqueMode::Subject));
    assert_eq!(story.when(1, command), "run.dispatched");
    assert_eq!(story.run.unique, None);
    assert_eq!(super::super::ReservationKey::of_run(&story.run), None);
}

#[rstest]
#[case(UniqueMode::Subject, "subject=tenant/1", true)]
#[case(UniqueMode::Subject, "fingerprint=f1", false)]
#[case(UniqueMode::Fingerprint, "fingerprint=f1", true)]
#[case(UniqueMode::Fingerprint, "subject=tenant/1", false)]
fn without_the_value_of_its_mode_a_dispatch_is_an_ordinary_one(
    #[case] mode: UniqueMode,
    #[case] value: &str,
    #[case] holds: bool,
) {
    let command = unique_dispatch(&format!("operation=inventory.sync {value}"), Some(mode));
    let RunCommand::Dispatch(asked) = &command else { unreachable!() };
    let asked = super::super::ReservationKey::asked(asked, "inventory.sync");
    let story = Story::given([(0, command)]);
    assert_eq!(asked.is_some(), holds);
    assert_eq!(super::super::ReservationKey::of_run(&story.run), asked);
}

#[rstest]
#[case("operation=inventory.sync environment=prod subject=tenant/1")]
#[case("operation=inventory.sync subject=tenant/2")]
#[case("operation=policy.sync subject=tenant/1")]
fn a_key_is_of_one_environment_operation_and_value(#[case] other: &str) {
    let key = |text| {
        let story = Story::given([(0, unique_dispatch(text, Some(UniqueMode::Subject)))]);
        super::super::ReservationKey::of_run(&story.run).unwrap()
    };
    assert_eq!(
        key("operation=inventory_sync subject=tenant/1"),
        key("operation=inventory.sync subject=tenant/1")
    );
    assert_ne!(key("operation=inventory.sync subject=tenant/1"), key(other));
}

#[test]
fn nothing_is_invented_about_how_a_run_was_handed_over() {
    let story = Story::given([(0, sync())]);
    assert_eq!((story.run.queue, story.run.connection, story.run.job_class), (None, None, None));
}
