//! `strict=true`: a refusal instead of leniency, and nothing recorded.

use rstest::rstest;

use super::*;

fn completed() -> Story {
    Story::given([
        (0, sync()),
        (1, told(started())),
        (10, told(ends(Outcome::Failed))),
        (11, told(ends(Outcome::Cancelled))),
    ])
    .strictly()
}

#[rstest]
#[case(signal("operation=inventory.sync", started()))]
#[case(signal("operation=inventory.sync", beat()))]
#[case(signal("operation=inventory.sync", ends(Outcome::Failed)))]
#[case(told(started()))]
fn a_signal_for_an_unknown_run_is_refused(#[case] command: RunCommand) {
    assert_eq!(Story::new().strictly().when(0, command), "state_conflict");
}

#[test]
fn a_dispatch_makes_an_unknown_run_known() {
    assert_eq!(Story::new().strictly().when(0, sync()), "run.dispatched");
}

#[test]
fn a_heartbeat_on_a_queued_run_is_refused() {
    let mut story = Story::given([(0, sync())]).strictly();
    assert_eq!(story.when(1, told(beat())), "state_conflict");
    assert_eq!(story.when(1, told(started())), "run.started");
    assert_eq!(story.when(2, told(progress(1))), "run.heartbeat");
    assert_eq!(story.when(3, told(beat())), "coalesced");
}

#[rstest]
#[case(told(beat()))]
#[case(told(progress(4)))]
#[case(told(ends(Outcome::Succeeded)))]
#[case(told(ends(Outcome::Blocked)))]
#[case(told(ends(Outcome::Unknown)))]
fn what_is_no_exact_duplicate_on_a_completed_run_is_refused(#[case] command: RunCommand) {
    let mut story = completed();
    let before = story.run.clone();
    assert_eq!(story.when(20, command), "state_conflict");
    assert_eq!(story.run, before);
}

#[rstest]
#[case(sync())]
#[case(told(started()))]
#[case(told(ends(Outcome::Failed)))]
#[case(told(ends(Outcome::Cancelled)))]
fn an_exact_duplicate_on_a_completed_run_is_answered_as_one(#[case] command: RunCommand) {
    assert_eq!(completed().when(20, command), "duplicate");
}

#[test]
fn a_start_that_a_completed_run_never_had_is_refused() {
    let mut story = Story::given([(0, sync()), (1, told(ends(Outcome::Failed)))]).strictly();
    assert_eq!(story.when(2, told(started())), "state_conflict");
}

#[test]
fn the_true_dispatch_of_a_completed_inferred_run_is_refused() {
    let opened = signal("operation=inventory.sync", ends(Outcome::Failed));
    let mut story = Story::given([(0, opened)]).strictly();
    assert_eq!(story.when(1, dispatch("operation=inventory.sync")), "state_conflict");
}

#[test]
fn a_follow_up_on_a_completed_run_is_taken() {
    let mut story = completed();
    assert_eq!(story.when(20, resolve("ops", "fixed")), "run.follow_up_resolved");
    assert_eq!(story.when(21, reopen("ops", "again")), "run.follow_up_reopened");
}
