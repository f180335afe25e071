//! Which signs of life are recorded, and what they do.

use std::collections::BTreeMap;

use rstest::rstest;

use super::*;

/// A quarter of the thirty minutes that a sync may be silent.
const QUARTER: i64 = 450;

fn running() -> Story {
    Story::given([(0, sync()), (0, told(started()))])
}

fn full(done: u64, total: u64, phase: &str) -> Report {
    let parts = BTreeMap::from([(name("rows"), (done, total))]);
    let progress =
        Progress { done: Some(done), parts, phase: Some(name(phase)), total: Some(total) };
    Report::Heartbeat { progress: Some(progress) }
}

#[test]
fn a_heartbeat_on_a_queued_run_starts_it_and_is_always_recorded() {
    let mut story = Story::given([(0, sync())]);
    assert_eq!(story.when(5, told(beat())), "run.started run.heartbeat");
    assert_eq!(story.truth(), "running pending");
    assert!(story.run.start.as_ref().unwrap().inferred);
    assert_eq!(story.run.last_sign_of_life, Some(secs(5)));
}

#[test]
fn a_true_start_after_an_inferred_one_is_a_duplicate() {
    let mut story = Story::given([(0, sync()), (5, told(beat()))]);
    assert_eq!(story.when(6, told(started())), "duplicate");
    assert!(story.run.start.as_ref().unwrap().inferred);
}

#[test]
fn a_repeated_start_is_a_duplicate() {
    assert_eq!(running().when(1, told(started())), "duplicate");
}

#[rstest]
#[case(QUARTER - 1, "coalesced")]
#[case(QUARTER, "run.heartbeat")]
#[case(QUARTER + 1, "run.heartbeat")]
fn a_heartbeat_is_recorded_once_a_quarter_of_the_run_window_has_passed(
    #[case] at: i64,
    #[case] said: &str,
) {
    assert_eq!(running().when(at, told(beat())), said);
}

#[test]
fn the_quarter_counts_from_the_last_recorded_sign_of_life() {
    let mut story = running();
    story.given_at(100, 100, told(progress(1)));
    assert_eq!(story.when(QUARTER, told(beat())), "coalesced");
    assert_eq!(story.when(100 + QUARTER, told(beat())), "run.heartbeat");
    assert_eq!(story.when(100 + 2 * QUARTER - 1, told(beat())), "coalesced");
}

#[test]
fn the_quarter_is_measured_by_the_ledgers_clock() {
    let mut story = running();
    assert_eq!(story.when_at(1, 10_000, told(beat())), "coalesced");
    assert_eq!(story.when_at(QUARTER, 0, told(beat())), "run.heartbeat");
}

#[rstest]
#[case(full(1, 10, "copy"), "coalesced")]
#[case(full(2, 10, "copy"), "run.heartbeat")]
#[case(full(1, 11, "copy"), "run.heartbeat")]
#[case(full(1, 10, "check"), "run.heartbeat")]
#[case(progress(1), "run.heartbeat")]
#[case(full(0, 10, "copy"), "run.heartbeat")]
#[case(beat(), "coalesced")]
fn a_heartbeat_is_recorded_if_its_progress_differs_in_any_way(
    #[case] report: Report,
    #[case] said: &str,
) {
    let mut story = running();
    story.given_at(1, 1, told(full(1, 10, "copy")));
    assert_eq!(story.when(2, told(report)), said);
}

#[test]
fn a_heartbeat_without_progress_leaves_it_as_it_was() {
    let mut story = running();
    story.given_at(1, 1, told(full(1, 10, "copy")));
    let known = story.run.progress.clone();
    assert!(known.is_some());
    story.given_at(1 + QUARTER, 1 + QUARTER, told(beat()));
    assert_eq!(story.run.progress, known);
    let empty = Report::Heartbeat { progress: Some(Progress::default()) };
    assert_eq!(story.when(2 + QUARTER, told(empty)), "coalesced");
    assert_eq!(story.run.progress, known);
}

#[test]
fn the_fields_of_progress_replace_each_other_whole() {
    let mut story = running();
    story.given_at(1, 1, told(full(1, 10, "copy")));
    story.given_at(2, 2, told(progress(5)));
    let expected = Progress { done: Some(5), ..Progress::default() };
    assert_eq!(story.run.progress, Some(expected));
}

#[test]
fn without_a_run_window_only_progress_counts() {
    let mut story =
        Story::given([(0, dispatch("operation=nobody.knows.it")), (0, told(started()))]);
    assert_eq!(story.run.lifecycle.run_window, None);
    assert_eq!(story.when(1_000_000, told(beat())), "coalesced");
    assert_eq!(story.when(1_000_000, told(progress(1))), "run.heartbeat");
}

#[test]
fn what_is_not_recorded_is_no_sign_of_life() {
    let mut story = running();
    assert_eq!(story.when(10, told(beat())), "coalesced");
    assert_eq!(story.run.last_sign_of_life, Some(secs(0)));
}

#[test]
fn any_heartbeat_on_a_completed_run_is_coalesced() {
    for outcome in [Outcome::Succeeded, Outcome::Failed, Outcome::Unknown] {
        let mut story = Story::given([(0, sync()), (1, told(ends(outcome)))]);
        let before = story.run.clone();
        assert_eq!(story.when(1_000_000, told(progress(9))), "coalesced");
        assert_eq!(story.run, before);
    }
}

#[test]
fn progress_is_kept_after_the_run_completed() {
    let mut story = running();
    story.given_at(1, 1, told(progress(7)));
    story.given_at(2, 2, told(ends(Outcome::Failed)));
    assert_eq!(story.run.progress.as_ref().and_then(|progress| progress.done), Some(7));
}
