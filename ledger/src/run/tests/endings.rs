//! The first terminal truth is the historical one.

use rstest::rstest;

use super::*;

const ENDS: [Outcome; 6] = [
    Outcome::Succeeded,
    Outcome::PartiallySucceeded,
    Outcome::Blocked,
    Outcome::Failed,
    Outcome::Cancelled,
    Outcome::Unknown,
];

fn ended(outcome: Outcome) -> Story {
    Story::given([(0, sync()), (1, told(started())), (10, told(ends(outcome)))])
}

#[test]
fn the_first_terminal_signal_is_the_outcome() {
    for outcome in ENDS {
        let story = ended(outcome);
        assert_eq!(story.truth(), format!("completed {outcome}"));
        assert_eq!(story.run.settled_at, Some(secs(10)));
    }
}

#[test]
fn a_repeated_terminal_signal_with_the_same_outcome_is_a_duplicate() {
    for outcome in ENDS {
        assert_eq!(ended(outcome).when(11, told(ends(outcome))), "duplicate");
    }
}

#[test]
fn a_terminal_signal_with_another_outcome_is_kept_beside_the_truth_once() {
    for first in ENDS {
        for second in ENDS.into_iter().filter(|second| *second != first) {
            let mut story = ended(first);
            let said = story.when(20, told(ends(second)));
            if second == Outcome::Unknown {
                assert_eq!(said, "duplicate", "`ended` says nothing new after {first}");
                assert!(!story.run.is_contradicted());
                continue;
            }
            assert_eq!(said, "run.late_signal", "{second} after {first}");
            assert_eq!(story.truth(), format!("completed {first}"));
            assert!(!story.run.late[0].agrees);
            assert_eq!(story.when(30, told(ends(second))), "duplicate");
        }
    }
}

#[test]
fn each_other_outcome_is_kept_once() {
    let mut story = ended(Outcome::Failed);
    for (at, outcome) in [(20, Outcome::Succeeded), (21, Outcome::Cancelled)] {
        assert_eq!(story.when(at, told(ends(outcome))), "run.late_signal");
    }
    for (at, outcome) in [(22, Outcome::Succeeded), (23, Outcome::Cancelled)] {
        assert_eq!(story.when(at, told(ends(outcome))), "duplicate");
    }
    assert_eq!(story.run.late.len(), 2);
}

#[test]
fn another_outcome_contradicts_a_run_unless_its_own_is_unknown() {
    for first in ENDS {
        let mut story = ended(first);
        let second = if first == Outcome::Succeeded { Outcome::Failed } else { Outcome::Succeeded };
        assert!(!story.run.is_contradicted());
        story.given_at(20, 20, told(ends(second)));
        assert_eq!(story.run.is_contradicted(), first != Outcome::Unknown, "{first}");
    }
}

#[rstest]
#[case(10, 20, 20)]
#[case(10, 5, 10)]
#[case(10, 99, 30)]
fn a_run_settles_at_the_latest_effective_time_of_truth_and_disagreeing_words(
    #[case] truth: i64,
    #[case] late: i64,
    #[case] settled: i64,
) {
    let mut story = Story::given([(0, sync())]);
    story.given_at(15, truth, told(ends(Outcome::Failed)));
    story.given_at(30, late, told(ends(Outcome::Succeeded)));
    assert_eq!(story.run.settled_at, Some(secs(settled)));
}

#[test]
fn a_later_word_moves_the_settling_of_an_unknown_end_too() {
    let mut story = ended(Outcome::Unknown);
    story.given_at(20, 20, told(ends(Outcome::Succeeded)));
    assert_eq!(story.run.settled_at, Some(secs(20)));
    assert_eq!(story.truth(), "completed unknown");
}

#[test]
fn a_word_that_agrees_does_not_move_the_settling() {
    let mut story = Story::given([(0, sync()), (10, reconcile(AdapterDecision::Failed))]);
    story.given_at(20, 20, told(ends(Outcome::Failed)));
    assert_eq!(story.run.settled_at, Some(secs(10)));
}

#[test]
fn a_start_after_completion_fills_the_start_in_and_changes_nothing_else() {
    let mut story = Story::given([(10, sync()), (20, told(ends(Outcome::Failed)))]);
    let before = story.run.clone();
    assert_eq!(story.when_at(30, 15, told(started())), "run.started");
    let start = story.run.start.clone().unwrap();
    assert!(start.after_completion, "it is no start of its queue");
    assert_eq!(start.occurred_at, secs(15));
    assert_eq!(story.run, Run { start: Some(start), events: before.events + 1, ..before });
    assert_eq!(story.when(31, told(started())), "duplicate");
}

#[test]
fn a_late_word_keeps_what_it_carried() {
    let mut story = ended(Outcome::Succeeded);
    let context = RunContext {
        catalog: &story.catalog,
        holder: None,
        occurred_at: secs(20),
        recorded_at: secs(20),
        run_id: RunId(uuid::Uuid::nil()),
        strict: false,
    };
    let decision = story.run.decide(&told(ends(Outcome::Blocked)), &context).unwrap();
    let Decision::Record(facts) = decision else { panic!("{decision:?}") };
    let crate::run::RunEvent::LateSignal(late) = &facts[0].event else { panic!("{facts:?}") };
    assert_eq!(late.data["reason_code"], "broken");
    assert_eq!((late.outcome, late.agrees), (Outcome::Blocked, false));
    story.run.apply(&facts[0]);
    assert_eq!(story.run.differing_late_outcomes().collect::<Vec<_>>(), [Outcome::Blocked]);
}
