//! Every row of DESIGN section 9 for `restore.execute`.

use AdapterDecision::{Blocked, Failed, NeedsAttention, NoChange, PartiallySucceeded, Succeeded};
use rstest::rstest;

use super::*;

fn restore(id: &str, status: &str) -> Restore {
    Restore {
        id: id.to_owned(),
        workspace: "main".to_owned(),
        environment: "production".to_owned(),
        run_id: Some(case(ADAPTER).unwrap().run_id.0),
        status: status.to_owned(),
    }
}

fn judged(records: &[Restore], stale: bool) -> Decision {
    decide(&Case { stale, ..case(ADAPTER).unwrap() }, records)
}

#[rstest]
#[case("completed", Succeeded, "restore_completed")]
#[case("completed_with_errors", PartiallySucceeded, "restore_completed_with_errors")]
#[case("failed", Failed, "restore_failed")]
#[case("aborted", Blocked, "restore_aborted")]
#[case("executing", NoChange, "restore_is_executing")]
#[case("previewed", NoChange, "restore_is_previewed")]
#[case("Completed", NeedsAttention, "unknown_restore_status")]
fn a_record_decides(#[case] status: &str, #[case] wanted: AdapterDecision, #[case] reason: &str) {
    for stale in [false, true] {
        let decision = judged(&[restore("1", status)], stale);
        assert_eq!((decision.decision, decision.reason_code.as_str()), (wanted, reason));
    }
}

#[test]
fn no_record_is_a_question_only_once_the_run_is_stale() {
    assert_eq!(judged(&[], false).decision, NoChange);
    let stale = judged(&[], true);
    assert_eq!((stale.decision, stale.reason_code.as_str()), (NeedsAttention, "no_restore_found"));
}

#[test]
fn two_records_decide_nothing_even_if_they_agree() {
    let decision = judged(&[restore("1", "completed"), restore("2", "completed")], false);
    assert_eq!(decision.decision, NeedsAttention);
    assert_eq!(decision.reason_code, "ambiguous_restore");
}

#[test]
fn a_record_of_another_scope_or_run_is_none() {
    let completed = restore("1", "completed");
    for foreign in [
        Restore { workspace: "other".to_owned(), ..completed.clone() },
        Restore { environment: "elsewhere".to_owned(), ..completed.clone() },
        Restore { environment: String::new(), ..completed.clone() },
        Restore { run_id: Some(Uuid::max()), ..completed.clone() },
        Restore { run_id: None, ..completed },
    ] {
        assert_eq!(judged(std::slice::from_ref(&foreign), false).reason_code, "no_restore_found");
        let beside = judged(&[foreign, restore("2", "failed")], false);
        assert_eq!(beside.decision, Failed, "it does not make another one ambiguous");
    }
}

#[test]
fn a_record_that_the_subject_names_counts_unless_it_names_another_run() {
    let mut case = case(ADAPTER).unwrap();
    case.run.subject = Some("restore_run/7".parse().unwrap());
    let record = |run_id| Restore { run_id, ..restore("7", "completed") };
    assert_eq!(decide(&case, &[record(None)]).decision, Succeeded);
    assert_eq!(decide(&case, &[record(Some(case.run_id.0))]).decision, Succeeded);
    assert_eq!(decide(&case, &[record(Some(Uuid::max()))]).reason_code, "no_restore_found");
    case.run.subject = Some("restore_run/not-a-number".parse().unwrap());
    assert_eq!(decide(&case, &[record(None)]).reason_code, "no_restore_found");
}
