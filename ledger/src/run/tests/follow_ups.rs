//! A person's word on a completed run.

use super::*;

fn failed() -> Story {
    Story::given([(0, sync()), (10, told(ends(Outcome::Failed)))])
}

#[test]
fn a_follow_up_on_an_active_run_is_refused() {
    for mut story in [Story::given([(0, sync())]), Story::given([(0, sync()), (1, told(beat()))])] {
        assert_eq!(story.when(2, resolve("ops", "fixed")), "not_terminal");
        assert_eq!(story.when(2, reopen("ops", "fixed")), "not_terminal");
    }
}

#[test]
fn any_completed_run_may_be_resolved() {
    for outcome in [Outcome::Failed, Outcome::Unknown, Outcome::Succeeded, Outcome::Cancelled] {
        let mut story = Story::given([(0, sync()), (10, told(ends(outcome)))]);
        assert_eq!(story.when(20, resolve("ops", "fixed")), "run.follow_up_resolved");
        assert_eq!(story.truth(), format!("completed {outcome}"));
        assert!(story.run.resolution().is_some());
    }
}

#[test]
fn reopening_what_is_not_resolved_is_refused() {
    let mut story = failed();
    assert_eq!(story.when(20, reopen("ops", "again")), "not_resolved");
    story.given_at(21, 21, resolve("ops", "fixed"));
    assert_eq!(story.when(22, reopen("ops", "again")), "run.follow_up_reopened");
    assert!(story.run.resolution().is_none());
    assert_eq!(story.when(23, reopen("other", "again")), "not_resolved");
}

#[test]
fn the_same_word_again_is_a_duplicate() {
    let mut story = failed();
    story.given_at(20, 20, resolve("ops", "fixed"));
    assert_eq!(story.when(21, resolve("ops", "fixed")), "duplicate");
    assert_eq!(story.when(22, resolve("ops", "not_needed")), "run.follow_up_resolved");
    assert_eq!(story.when(23, resolve("boss", "not_needed")), "run.follow_up_resolved");
    assert_eq!(story.when(24, resolve("ops", "not_needed")), "run.follow_up_resolved");
    story.given_at(25, 25, reopen("ops", "again"));
    assert_eq!(story.when(26, reopen("ops", "again")), "duplicate");
    assert_eq!(story.when(27, resolve("ops", "not_needed")), "run.follow_up_resolved");
}

#[test]
fn who_resolves_once_is_told_that_it_is_resolved() {
    let mut story = failed();
    assert_eq!(story.when(20, resolve_once("ops", "fixed")), "run.follow_up_resolved");
    assert_eq!(story.when(21, resolve_once("ops", "fixed")), "duplicate");
    assert_eq!(story.when(22, resolve_once("ops", "not_needed")), "already_resolved");
    assert_eq!(story.when(23, resolve_once("boss", "fixed")), "already_resolved");
    story.given_at(24, 24, reopen("boss", "again"));
    assert_eq!(story.when(25, resolve_once("ops", "fixed")), "run.follow_up_resolved");
}

#[test]
fn a_late_signal_that_disagrees_voids_a_resolution_made_before_it() {
    let mut story = failed();
    story.given_at(20, 20, resolve("ops", "fixed"));
    story.given_at(30, 30, told(ends(Outcome::Cancelled)));
    assert!(story.run.resolution().is_none());
    assert_eq!(story.when(31, reopen("ops", "again")), "not_resolved");
    assert_eq!(story.when(32, resolve("ops", "fixed")), "run.follow_up_resolved");
    assert!(story.run.resolution().is_some());
}

#[test]
fn a_late_signal_that_disagrees_leaves_a_reopening_the_last_word() {
    let mut story = failed();
    story.given_at(20, 20, resolve("ops", "fixed"));
    story.given_at(21, 21, reopen("ops", "again"));
    story.given_at(30, 30, told(ends(Outcome::Cancelled)));
    assert_eq!(story.when(31, reopen("ops", "again")), "duplicate");
}

#[test]
fn a_late_signal_that_agrees_leaves_a_resolution_as_it_is() {
    let mut story = Story::given([(0, sync()), (10, reconcile(AdapterDecision::Failed))]);
    story.given_at(20, 20, resolve("ops", "fixed"));
    story.given_at(30, 30, told(ends(Outcome::Failed)));
    assert!(story.run.resolution().is_some());
}

#[test]
fn a_later_word_after_an_unknown_end_voids_a_resolution_as_well() {
    let mut story = Story::given([(0, sync()), (10, told(ends(Outcome::Unknown)))]);
    story.given_at(20, 20, resolve("ops", "fixed"));
    story.given_at(30, 30, told(ends(Outcome::Failed)));
    assert!(story.run.resolution().is_none());
}
